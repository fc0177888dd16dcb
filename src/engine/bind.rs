//! Making listening sockets: what each `bind` and `stats socket` line asks for, and what went wrong.
//!
//! Runs before the process gives its rights up. Faults are worded as HAProxy words them, since people grep
//! them. Sources: configuration manual, "Bind options"; tcp(7), ip(7), unix(7), mptcp(7).

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::netns::Namespaces;
use super::sys;
use crate::base::addr::{Ports, Target, Transport};
use crate::model::config::Config;
use crate::model::ids::ListenerId;
use crate::model::listener::{Listener, Owner, V6Only};

/// Connections that may wait to be accepted when nothing else says how many.
const BACKLOG_DEFAULT: u32 = 1024;

/// Seconds for which the kernel keeps a connection without data from us (`defer-accept`).
const DEFER_ACCEPT_S: libc::c_int = 60;

/// A listening socket, ready to be accepted from.
#[derive(Debug)]
pub struct Bound {
    /// Which listener of the configuration it serves.
    pub listener: ListenerId,
    /// The socket.
    pub socket: Socket,
}

/// At which step a listener failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Making and binding its socket.
    Binding,
    /// Preparing and starting to listen.
    Starting,
}

/// What went wrong with a listener.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// socket(2) failed.
    #[error("cannot create receiving socket ({})", Os(.0))]
    Create(io::Error),
    /// The inherited descriptor is unusable.
    #[error("cannot dup() receiving socket ({})", Os(.0))]
    Inherited(io::Error),
    /// setsockopt for the address's reuse failed.
    #[error("cannot do so_reuseaddr")]
    ReuseAddr,
    /// The socket could not be made transparent.
    #[error("cannot make receiving socket transparent")]
    Transparent,
    /// The socket could not be bound to its interface: a warning, as in HAProxy; it listens on all of them.
    #[error("cannot bind receiver to device '{device}' ({})", Os(.source))]
    Device {
        /// The interface.
        device: String,
        /// Why.
        source: io::Error,
    },
    /// bind(2) failed.
    #[error("cannot bind socket ({})", Os(.0))]
    Bind(io::Error),
    /// bind(2) failed for a UNIX address.
    #[error("cannot bind UNIX socket ({})", InUse(.0))]
    BindUnix(io::Error),
    /// The path or name does not fit.
    #[error("name too long for UNIX socket (limit usually 97)")]
    NameTooLong,
    /// A file is in the way.
    #[error("error when trying to unlink previous UNIX socket ({})", Os(.0))]
    Unlink(io::Error),
    /// Owner, group or permissions could not be set.
    #[error("cannot change UNIX socket ownership ({})", Os(.0))]
    Ownership(io::Error),
    /// The new socket could not take the place of the old one.
    #[error("cannot switch final and temporary UNIX sockets ({})", Os(.0))]
    Switch(io::Error),
    /// TCP_MAXSEG was refused: a warning.
    #[error("cannot set MSS to {mss}, ({})", Os(.source))]
    Mss {
        /// The value asked for.
        mss: i32,
        /// Why.
        source: io::Error,
    },
    /// TCP_CONGESTION was refused: a warning.
    #[error("cannot set TCP congestion control algorithm, ({})", Os(.0))]
    Congestion(io::Error),
    /// TCP_USER_TIMEOUT was refused: a warning.
    #[error("cannot set TCP User Timeout, ({})", Os(.0))]
    UserTimeout(io::Error),
    /// TCP_DEFER_ACCEPT was refused: a warning.
    #[error("cannot enable DEFER_ACCEPT, ({})", Os(.0))]
    DeferAccept(io::Error),
    /// TCP_FASTOPEN was refused: a warning.
    #[error("cannot enable TCP_FASTOPEN, ({})", Os(.0))]
    FastOpen(io::Error),
    /// listen(2) failed.
    #[error("cannot listen to socket ({})", Os(.0))]
    Listen(io::Error),
    /// The form of the address cannot be listened on.
    #[error("this address cannot be listened on")]
    Unsupported,
}

impl Fault {
    /// Whether the listener works all the same.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Mss { .. }
                | Self::Congestion(_)
                | Self::UserTimeout(_)
                | Self::DeferAccept(_)
                | Self::FastOpen(_)
                | Self::Device { .. }
        )
    }
}

/// An operating system's error as C's strerror words it, without Rust's "(os error N)".
pub(crate) struct Os<'a>(pub(crate) &'a io::Error);

impl fmt::Display for Os<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.rfind(" (os error") {
            Some(end) => f.write_str(&text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// The same, for a UNIX address that is taken in other words.
struct InUse<'a>(&'a io::Error);

impl fmt::Display for InUse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            io::ErrorKind::AddrInUse => f.write_str("already in use"),
            _ => Os(self.0).fmt(f),
        }
    }
}

/// A fault, and which listener it befell.
#[derive(Debug)]
pub struct BindError {
    /// The listener.
    pub listener: ListenerId,
    /// At which step.
    pub stage: Stage,
    /// What.
    pub fault: Fault,
}

impl BindError {
    /// The message without its severity, as HAProxy words it.
    pub fn message(&self, config: &Config) -> String {
        let listener = config.listener(self.listener);
        let owner = match listener.owner {
            Owner::Proxy(id) => {
                let proxy = config.proxy(id);
                let kind = if proxy.caps.backend { "proxy" } else { "frontend" };
                format!("{kind} {}", proxy.name)
            }
            Owner::Cli => "frontend GLOBAL".to_owned(),
            Owner::MasterCli => "proxy MASTER".to_owned(),
        };
        let stage = match self.stage {
            Stage::Binding => "Binding",
            Stage::Starting => "Starting",
        };
        let declared = &listener.declared;
        let is_unix = matches!(listener.addr.target, Target::Unix(_) | Target::Abstract { .. });
        let at = match self.stage {
            Stage::Binding if is_unix => "",
            _ => "for ",
        };
        format!(
            "{stage} [{}:{}] for {owner}: protocol {}: {} {at}[{}].",
            declared.file,
            declared.line,
            listener.addr.protocol_name(None),
            self.fault,
            AddressText(listener),
        )
    }
}

struct AddressText<'a>(&'a Listener);

impl fmt::Display for AddressText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.addr.target {
            Target::Ip { ip, ports } => write!(f, "{ip}:{}", ports.low()),
            Target::Name { host, ports, .. } => write!(f, "{host}:{}", ports.low()),
            Target::Unix(path) => f.write_str(&String::from_utf8_lossy(path)),
            Target::Abstract { name, .. } => write!(f, "abns@{}", String::from_utf8_lossy(name)),
            Target::Fd(fd) | Target::SockPair(fd) => write!(f, "fd {fd}"),
        }
    }
}

/// Binds every listener of the configuration. Faults that are warnings leave the listener working; on any
/// other the caller ends the process, since half a service is none.
pub fn bind_all(config: &Config, namespaces: &Namespaces) -> (Vec<Bound>, Vec<BindError>) {
    let mut bound = Vec::with_capacity(config.listeners.len());
    let mut errors = Vec::new();
    for listener in &config.listeners {
        if let Owner::Proxy(id) = listener.owner
            && config.proxy(id).disabled
        {
            continue;
        }
        let id = listener.id;
        let mut report = |stage, fault| {
            errors.push(BindError {
                listener: id,
                stage,
                fault,
            })
        };
        let made = make_socket(config, namespaces, listener, &mut |fault| {
            report(Stage::Binding, fault)
        });
        match made {
            Ok(socket) => {
                match start(config, listener, &socket, &mut |fault| {
                    report(Stage::Starting, fault)
                }) {
                    Ok(()) => bound.push(Bound { listener: id, socket }),
                    Err(fault) => report(Stage::Starting, fault),
                }
            }
            Err(fault) => report(Stage::Binding, fault),
        }
    }
    if errors.iter().all(|error| error.fault.is_warning()) {
        close_inherited(&bound, config);
    }
    (bound, errors)
}

/// A listening socket of its own for one listener; options that the system refuses were reported at the start.
///
/// # Errors
/// What the system says.
pub(crate) fn open(config: &Config, namespaces: &Namespaces, listener: &Listener) -> Result<Socket, Fault> {
    let socket = make_socket(config, namespaces, listener, &mut |_| {})?;
    start(config, listener, &socket, &mut |_| {})?;
    Ok(socket)
}

/// Closes the numbers of inherited descriptors once all lines that name them have copies: a listener that is
/// closed later must not stay open under its old number.
fn close_inherited(bound: &[Bound], config: &Config) {
    let mut numbers: Vec<i32> = bound
        .iter()
        .filter_map(|socket| match config.listener(socket.listener).addr.target {
            Target::Fd(fd) => Some(fd),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    for fd in numbers {
        sys::close_inherited(fd);
    }
}

/// Makes and binds the socket of one listener. Refused options are reported and no error.
fn make_socket(
    config: &Config,
    namespaces: &Namespaces,
    listener: &Listener,
    report: &mut impl FnMut(Fault),
) -> Result<Socket, Fault> {
    let namespace = listener
        .namespace
        .as_ref()
        .and_then(|name| namespaces.find(name.as_bytes()));
    let make = |domain, protocol| {
        namespaces
            .inside(namespace, || stream_socket(domain, protocol))
            .map_err(Fault::Create)
    };
    match &listener.addr.target {
        Target::Ip { ip, ports } => {
            let port = match ports {
                Ports::One(port) | Ports::Range(port, _) => *port,
                Ports::None | Ports::Offset(_) => 0,
            };
            let address = SocketAddr::new(*ip, port);
            let protocol = match listener.addr.transport {
                Transport::Mptcp => Protocol::MPTCP,
                Transport::Stream | Transport::Datagram => Protocol::TCP,
            };
            let socket = make(Domain::for_address(address), Some(protocol))?;
            bind_inet(config, listener, &socket, address, report)?;
            Ok(socket)
        }
        Target::Unix(path) => unix_socket(listener, path, || make(Domain::UNIX, None)),
        Target::Abstract {
            name,
            zero_terminated,
        } => {
            let address = sys::abstract_address(name, *zero_terminated).ok_or(Fault::NameTooLong)?;
            let socket = make(Domain::UNIX, None)?;
            socket.bind(&address).map_err(Fault::BindUnix)?;
            Ok(socket)
        }
        Target::Fd(fd) => sys::inherited_socket(*fd).map_err(Fault::Inherited),
        Target::SockPair(_) | Target::Name { .. } => Err(Fault::Unsupported),
    }
}

/// A stream socket, non-blocking and closed on exec.
fn stream_socket(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.nonblocking(), protocol)
}

/// Sets what an IP socket needs before it is bound, and binds it.
fn bind_inet(
    config: &Config,
    listener: &Listener,
    socket: &Socket,
    address: SocketAddr,
    report: &mut impl FnMut(Fault),
) -> Result<(), Fault> {
    socket.set_reuse_address(true).map_err(|_| Fault::ReuseAddr)?;
    if !config.global.noreuseport {
        // Old kernels lack it, and a listener without it works.
        let _ = socket.set_reuse_port(true);
    }
    if listener.transparent {
        let made = if address.is_ipv4() {
            socket.set_ip_transparent_v4(true)
        } else {
            sys::set_sockopt(socket.as_raw_fd(), libc::SOL_IPV6, libc::IPV6_TRANSPARENT, 1)
        };
        made.map_err(|_| Fault::Transparent)?;
    }
    if let Some(device) = &listener.interface
        && let Err(source) = socket.bind_device(Some(device.as_bytes()))
    {
        report(Fault::Device {
            device: device.to_string(),
            source,
        });
    }
    if address.is_ipv6() {
        let only = match listener.v6only {
            V6Only::System => None,
            V6Only::Both => Some(false),
            V6Only::Only => Some(true),
        };
        if let Some(only) = only {
            // As HAProxy: a refusal leaves the system's choice.
            let _ = socket.set_only_v6(only);
        }
    }
    socket.bind(&SockAddr::from(address)).map_err(Fault::Bind)
}

/// Binds a UNIX socket under a temporary name and puts it in place of a previous one, so that no client meets
/// a gap. Whatever else has the name is replaced as well, as in HAProxy.
fn unix_socket(
    listener: &Listener,
    path: &[u8],
    make: impl FnOnce() -> Result<Socket, Fault>,
) -> Result<Socket, Fault> {
    let path = PathBuf::from(OsStr::from_bytes(path));
    let temporary = suffixed(&path, format!(".{}.tmp", std::process::id()).as_bytes());
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Fault::Unlink(error)),
        _ => {}
    }
    let address = SockAddr::unix(&temporary).map_err(|_| Fault::NameTooLong)?;
    let socket = make()?;
    socket.bind(&address).map_err(Fault::BindUnix)?;
    let settle = || -> Result<(), Fault> {
        if listener.uid.is_some() || listener.gid.is_some() {
            chown(&temporary, listener.uid, listener.gid).map_err(Fault::Ownership)?;
        }
        if let Some(mode) = listener.mode {
            fs::set_permissions(&temporary, fs::Permissions::from_mode(mode)).map_err(Fault::Ownership)?;
        }
        fs::rename(&temporary, &path).map_err(Fault::Switch)
    };
    if let Err(fault) = settle() {
        let _ = fs::remove_file(&temporary);
        return Err(fault);
    }
    Ok(socket)
}

/// A path with bytes added to its last component.
fn suffixed(path: &Path, suffix: &[u8]) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.extend_from_slice(suffix);
    PathBuf::from(OsStr::from_bytes(&bytes))
}

/// Sets what a listening socket needs, and listens. Refused options are reported and no error.
fn start(
    config: &Config,
    listener: &Listener,
    socket: &Socket,
    report: &mut impl FnMut(Fault),
) -> Result<(), Fault> {
    let proxy = match listener.owner {
        Owner::Proxy(id) => Some(config.proxy(id)),
        Owner::Cli | Owner::MasterCli => None,
    };
    let is_tcp = matches!(listener.addr.target, Target::Ip { .. });
    let fd = socket.as_raw_fd();
    let backlog = libc::c_int::try_from(backlog(config, listener)).unwrap_or(libc::c_int::MAX);
    if is_tcp {
        // Accepted TCP sockets inherit it: one call here instead of one per connection.
        let _ = socket.set_tcp_nodelay(true);
        if let Some(mss) = listener.mss
            && let Err(source) = sys::set_sockopt(fd, libc::IPPROTO_TCP, libc::TCP_MAXSEG, mss)
        {
            report(Fault::Mss { mss, source });
        }
        if let Some(name) = &listener.cc
            && let Err(error) = socket.set_tcp_congestion(name.as_bytes())
        {
            report(Fault::Congestion(error));
        }
        if let Some(timeout_ms) = listener.tcp_ut_ms {
            let value = libc::c_int::try_from(timeout_ms).unwrap_or(libc::c_int::MAX);
            if let Err(error) = sys::set_sockopt(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, value) {
                report(Fault::UserTimeout(error));
            }
        }
        if listener.defer_accept
            && let Err(error) =
                sys::set_sockopt(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, DEFER_ACCEPT_S)
        {
            report(Fault::DeferAccept(error));
        }
        if listener.tfo
            && let Err(error) = sys::set_sockopt(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, backlog)
        {
            report(Fault::FastOpen(error));
        }
        if proxy.is_some_and(|proxy| proxy.options.tcp_smart_accept) {
            let _ = socket.set_tcp_quickack(false);
        }
        let tune = &config.global.tune;
        if tune.rcvbuf_client > 0 {
            let _ = socket.set_recv_buffer_size(tune.rcvbuf_client as usize);
        }
        if tune.sndbuf_client > 0 {
            let _ = socket.set_send_buffer_size(tune.sndbuf_client as usize);
        }
    }
    socket.listen(backlog).map_err(Fault::Listen)
}

/// How many connections may wait: the line's, else the frontend's `backlog`, else either's `maxconn`.
pub(crate) fn backlog(config: &Config, listener: &Listener) -> u32 {
    let proxy = match listener.owner {
        Owner::Proxy(id) => Some(config.proxy(id)),
        Owner::Cli | Owner::MasterCli => None,
    };
    let line_maxconn = (listener.maxconn > 0).then_some(listener.maxconn);
    listener
        .backlog
        .or_else(|| proxy.and_then(|proxy| proxy.backlog))
        .or(line_maxconn)
        .or_else(|| proxy.and_then(|proxy| proxy.maxconn))
        .or(config.global.maxconn)
        .filter(|backlog| *backlog > 0)
        .unwrap_or(BACKLOG_DEFAULT)
}
