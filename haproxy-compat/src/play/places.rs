//! Where things are in a case: placeholders and what stands for them, addresses as a case writes them, and what a
//! program listens on as the kernel tells it. Source: proc(5), /proc/net/tcp and /proc/net/unix.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::client::{Client, spoken};
use crate::origin::{Origin, Record};
use crate::ports::{free_ports, is_listening, listening};
use crate::sink::Sink;
use crate::{PATIENCE, TempDir};

/// How many ports in a row a `{free1}` stands for: `{free1.port}`, `{free1.port+1}` and so on.
const ROW: u16 = 4;
/// An abstract name of the kind `abns` fills the address.
const ABSTRACT_ROOM: usize = 107;

/// An address to connect to or to listen at.
enum Spot {
    Inet(SocketAddr, Protocol),
    /// A path, or an abstract name behind a NUL.
    Unix(String),
}

impl Spot {
    /// `127.0.0.1:80`, `[::1]:80`, `mptcp@127.0.0.1:80`, `/path`, `abns@name`, `abnsz@name`.
    fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('@').unwrap_or(("", text));
        Some(match kind {
            "" if rest.starts_with('/') => Self::Unix(rest.into()),
            "" => Self::Inet(rest.parse().ok()?, Protocol::TCP),
            "mptcp" => Self::Inet(rest.parse().ok()?, Protocol::MPTCP),
            "abns" => Self::Unix(format!("\0{rest:\0<width$}", width = ABSTRACT_ROOM)),
            "abnsz" => Self::Unix(format!("\0{rest}")),
            _ => return None,
        })
    }

    fn socket(&self) -> std::io::Result<(Socket, SockAddr)> {
        Ok(match self {
            Self::Inet(addr, protocol) => {
                let domain = Domain::for_address(*addr);
                (
                    Socket::new(domain, Type::STREAM, Some(*protocol))?,
                    (*addr).into(),
                )
            }
            Self::Unix(path) => (
                Socket::new(Domain::UNIX, Type::STREAM, None)?,
                SockAddr::unix(path)?,
            ),
        })
    }
}

/// What the placeholders of a group stand for.
#[derive(Default)]
pub(super) struct Places {
    /// Addresses that the proxy binds itself: the first of each row.
    pub(super) free: BTreeMap<String, SocketAddr>,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) sinks: BTreeMap<String, Sink>,
    /// Placeholders with their values.
    words: Vec<(String, String)>,
    /// For origins on unix sockets.
    dir: Option<TempDir>,
    /// Keeps the refusing and the silent address as they are.
    odd: Vec<Socket>,
}

impl Places {
    /// Makes what a configuration and the addresses of origins name.
    pub(super) fn new(config: &str, at: &[(String, String)]) -> Self {
        let mut places = Self::default();
        let dir = TempDir::new();
        let path = dir.path().display().to_string();
        let tag = path.rsplit('/').next().unwrap_or_default().to_string();
        places.words = vec![("{run}".into(), path), ("{tag}".into(), tag)];
        places.dir = Some(dir);
        let text: String = at.iter().map(|(_, addr)| addr.as_str()).collect();
        for name in placeholders(&(text + config)) {
            // An origin of its own address is made when the addresses are known.
            if !at.iter().any(|(origin, _)| *origin == name) {
                let addr = places.address(&name);
                places.name(&name, addr);
            }
        }
        for (name, addr) in at {
            let text = places.resolve(addr);
            let origin = listen(&text).unwrap_or_else(|e| panic!("{name} at {text}: {e}"));
            if let Some(addr) = origin.inet() {
                places.name(name, addr);
            }
            places.origins.insert(name.clone(), origin);
        }
        places
    }

    /// What one placeholder stands for.
    fn address(&mut self, name: &str) -> SocketAddr {
        match name {
            "dead" => refusing(&mut self.odd),
            "full" => silent(&mut self.odd),
            _ if name.starts_with("free") => {
                let addr = ([127, 0, 0, 1], free_ports(ROW)).into();
                self.free.insert(name.into(), addr);
                addr
            }
            _ if name.starts_with("log") => {
                let sink = self.sinks.entry(name.into()).or_insert_with(Sink::new);
                ([127, 0, 0, 1], sink.port).into()
            }
            _ => {
                let origin = self.origins.entry(name.into());
                origin.or_insert_with(|| Origin::new(Vec::new())).addr()
            }
        }
    }

    fn name(&mut self, name: &str, addr: SocketAddr) {
        self.words.push((format!("{{{name}}}"), addr.to_string()));
        self.words
            .push((format!("{{{name}.port}}"), addr.port().to_string()));
        for more in 1..ROW {
            let port = addr.port().saturating_add(more).to_string();
            self.words.push((format!("{{{name}.port+{more}}}"), port));
        }
    }

    /// A text with values in the place of placeholders.
    pub(super) fn resolve(&self, text: &str) -> String {
        let put = |text: String, (name, value): &(String, String)| text.replace(name, value);
        self.words.iter().fold(text.to_string(), put)
    }

    /// What is shown instead of ports and names that differ from run to run.
    pub(super) fn masks(&self) -> Vec<(String, String)> {
        let mut masks: Vec<(String, String)> = Vec::new();
        for (name, addr) in &self.free {
            masks.push((addr.port().to_string(), format!("{{{name}}}")));
            for more in 1..ROW {
                masks.push(((addr.port() + more).to_string(), format!("{{{name}+{more}}}")));
            }
        }
        // A row may have an origin in it: the row's name tells more.
        for (name, origin) in &self.origins {
            if let Some(addr) = origin.inet() {
                masks.push((addr.port().to_string(), format!("{{{name}}}")));
            }
        }
        let own = self.words.iter().take(2);
        masks.extend(own.map(|(name, value)| (value.clone(), name.clone())));
        masks
    }

    /// Whether somebody listens in every row.
    pub(super) fn are_open(&self) -> bool {
        if self.free.is_empty() {
            return true;
        }
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(listening);
        let open = |port: u16| tables.iter().any(|t| is_listening(t, &format!(":{port:04X}")));
        self.free
            .values()
            .all(|a| (0..ROW).any(|more| open(a.port() + more)))
    }
}

/// Connects to an address as a case writes it; gives a note where the kind of connection is not plain to see.
pub(super) fn connect(text: &str) -> std::io::Result<(Client, Option<String>)> {
    let spot = Spot::read(text).unwrap_or_else(|| panic!("no address: {text}"));
    let (socket, addr) = spot.socket()?;
    if addr.is_unix() {
        socket.connect(&addr)?;
        return Ok((Client::over(socket)?, None));
    }
    socket.connect_timeout(&addr, PATIENCE)?;
    socket.set_tcp_nodelay(true)?;
    let asked = matches!(spot, Spot::Inet(_, Protocol::MPTCP));
    let note = asked.then(|| format!(". over {}", spoken(&socket)));
    Ok((Client::over(socket)?, note))
}

/// How often another port is tried where one was free a moment ago: other programs of the kind run beside this one.
const PORTS_TRIED: usize = 8;

/// An origin at an address as a case writes it. A port that the kernel gives for one address may be in use at another,
/// and then two things have one name: for port 0 one is looked for that is free at all of them.
fn listen(text: &str) -> std::io::Result<Origin> {
    let mut spot = Spot::read(text).unwrap_or_else(|| panic!("no address: {text}"));
    let any = matches!(&spot, Spot::Inet(addr, _) if addr.port() == 0);
    let mut tries = if any { PORTS_TRIED } else { 1 };
    loop {
        if let (true, Spot::Inet(addr, _)) = (any, &mut spot) {
            addr.set_port(free_ports(1));
        }
        tries -= 1;
        match listen_at(&spot) {
            Err(e) if e.kind() == ErrorKind::AddrInUse && tries > 0 => {}
            done => return done,
        }
    }
}

fn listen_at(spot: &Spot) -> std::io::Result<Origin> {
    let (socket, addr) = spot.socket()?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if !addr.is_unix() {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&addr)?;
    socket.listen(64)?;
    Ok(Origin::on(socket, Vec::new()))
}

/// Which way a connection came to an origin. Ports are shown where they are known ones.
pub(super) fn route(record: &Record, names: &[(String, String)]) -> String {
    let shown = |addr: Option<SocketAddr>| {
        let Some(addr) = addr else { return "unix".into() };
        let port = addr.port().to_string();
        let port = names
            .iter()
            .find(|(known, _)| *known == port)
            .map_or("*", |(_, name)| name);
        format!("{}:{port}", addr.ip().to_canonical())
    };
    format!(
        ". from {} to {} over {}",
        shown(record.from),
        shown(record.at),
        record.over
    )
}

/// What a process listens on; sockets in files with their rights.
pub(super) fn listeners(pid: u32) -> Vec<String> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let links = links.flatten().filter_map(|e| std::fs::read_link(e.path()).ok());
    let own: Vec<String> = links
        .filter_map(|l| {
            Some(
                l.to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_string(),
            )
        })
        .collect();
    let has = |inode: Option<&&str>| inode.is_some_and(|i| own.iter().any(|o| o == i));
    let mut lines = Vec::new();
    for table in ["tcp", "tcp6"] {
        let listening = listening(&format!("/proc/net/{table}"));
        for words in listening.iter().map(|l| l.split_whitespace().collect::<Vec<_>>()) {
            if has(words.get(9)) {
                let addr = words.get(1).and_then(|w| decoded(w));
                lines.extend(addr.map(|addr| format!("{table} {addr}")));
            }
        }
    }
    let text = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    for words in text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()) {
        if words.get(3) == Some(&"00010000") && has(words.get(6)) {
            lines.push(named(words.get(7).copied().unwrap_or("?"), pid));
        }
    }
    lines
}

/// `0100007F:1F90` as an address.
fn decoded(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = if ip.len() == 8 {
        IpAddr::from(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for (at, part) in bytes.chunks_mut(4).enumerate() {
            part.copy_from_slice(&word(at * 8)?);
        }
        IpAddr::from(Ipv6Addr::from(bytes))
    };
    Some(SocketAddr::new(ip, port))
}

/// The name of a unix socket, with its rights where it is a file. It is bound under a temporary name.
fn named(name: &str, pid: u32) -> String {
    if let Some(name) = name.strip_prefix('@') {
        let kind = if name.len() == ABSTRACT_ROOM {
            "abns"
        } else {
            "abnsz"
        };
        return format!("{kind} {}", name.trim_end_matches('@'));
    }
    let path = name.strip_suffix(&format!(".{pid}.tmp")).unwrap_or(name);
    match std::fs::metadata(Path::new(&format!("/proc/{pid}/cwd")).join(path)) {
        Ok(data) => {
            let own = std::fs::metadata("/proc/self").ok().map(|d| (d.uid(), d.gid()));
            let shown = |id: u32, own: Option<u32>| match own {
                Some(own) if own == id => "own".to_string(),
                _ => id.to_string(),
            };
            format!(
                "unix {path} mode {:o} uid {} gid {}",
                data.permissions().mode() & 0o7777,
                shown(data.uid(), own.map(|o| o.0)),
                shown(data.gid(), own.map(|o| o.1))
            )
        }
        Err(_) => format!("unix {path} gone"),
    }
}

/// What of the things that cases need this machine does not have.
pub(super) fn lacks(needs: &[String]) -> Option<String> {
    let has = |need: &str| match need {
        "ipv6" => std::net::TcpListener::bind("[::1]:0").is_ok(),
        "mptcp" => Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)).is_ok(),
        "root" => std::fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0),
        other => panic!("nobody knows whether there is {other}"),
    };
    let missing = needs.iter().find(|need| !has(need))?;
    Some(format!("it needs {missing}, which is not to be had here"))
}

/// The placeholders that stand for addresses, each once.
fn placeholders(text: &str) -> Vec<String> {
    let known = |n: &str| {
        let number = |p: &str| {
            n.strip_prefix(p)
                .is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
        };
        n == "dead" || n == "full" || number("log") || number("free") || (n.len() > 1 && number("s"))
    };
    let mut names: Vec<String> = text
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|n| n.split_once(".port").map_or(n, |(name, _)| name).to_string())
        .filter(|n| known(n))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// An address that refuses connections: bound, not listening.
fn refusing(keep: &mut Vec<Socket>) -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a TCP socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a free port");
    let addr = local(&socket);
    keep.push(socket);
    addr
}

/// An address that never answers: a listener whose queue is full.
fn silent(keep: &mut Vec<Socket>) -> SocketAddr {
    let socket = crate::proxy::listener(0);
    let addr = local(&socket);
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a TCP socket");
        filler.set_nonblocking(true).expect("O_NONBLOCK");
        let _ = filler.connect(&addr.into());
        keep.push(filler);
    }
    keep.push(socket);
    addr
}

fn local(socket: &Socket) -> SocketAddr {
    let addr = socket.local_addr().ok().and_then(|a| a.as_socket());
    addr.expect("a TCP address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_kernel() {
        let shown = |text| decoded(text).map(|addr| addr.to_string());
        assert_eq!(shown("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(
            shown("00000000000000000000000001000000:0050").as_deref(),
            Some("[::1]:80")
        );
        assert_eq!(shown("01007F"), None);
        assert_eq!(named("@x", 1), "abnsz x");
    }

    #[test]
    fn rows_of_ports_are_named() {
        let places = Places::new("{free1.port+1} {s1}", &[("s2".into(), "127.0.0.1:0".into())]);
        let port = places.free["free1"].port();
        assert_eq!(
            places.resolve("{free1.port}-{free1.port+2}"),
            format!("{port}-{}", port + 2)
        );
        assert!(places.origins.contains_key("s1") && places.origins.contains_key("s2"));
        let masks = places.masks();
        assert!(masks.contains(&((port + 3).to_string(), "{free1+3}".into())));
        assert!(!places.are_open());
    }
}
