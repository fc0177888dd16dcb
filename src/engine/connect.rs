//! Opening a connection to a server: protocol, source, options, and what a refusal means.
//!
//! Source: configuration manual, "Server and default-server options", `source`, `dispatch`,
//! `option transparent`; tcp(7), mptcp(7).

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::bind::Os;
use super::conn::{BackSide, Conn, Owner, Shelf, Side};
use super::core::Core;
use super::netns::{Namespaces, NetnsId};
use super::poll::Ready;
use super::shortage::Shortage;
use super::sys;
use crate::base::hash::xxh64;
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::model::ids::{ProxyId, ServerId};
use crate::model::proxy::{Proxy, TcpKeepAlive};
use crate::model::server::{PortChoice, Server, Source, Target, UseSrc};
use crate::model::txn::Endpoint;
use crate::policy::log::syslog::Level;
use crate::proto::h1::conn::ServerSide;

/// Why no attempt is under way. All but [`DialError::Unusable`] are tried again at once, maybe elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialError {
    /// `strict-maxconn` leaves no room: nothing was tried.
    NoRoom,
    /// Refused at once.
    Refused,
    /// The address of `source` cannot be bound, or all ports of its range are in use.
    Source,
    /// The same for an address that is not ours (`usesrc`).
    ForeignSource,
    /// connect(2) finds no local port.
    NoPort,
    /// connect(2) finds local address and port taken.
    AddressInUse,
    /// The backlog of a UNIX socket is full.
    Backlog,
    /// Out of descriptors or memory.
    Short(Shortage),
    /// This process may not make such a socket.
    Forbidden,
    /// The system has no such protocol, by its error number: no use in trying again.
    Unusable(i32),
}

impl DialError {
    /// What the operator is told, as HAProxy words it, since alarms look for it.
    pub(crate) fn message(self, backend: &str, maxsock: u32) -> Option<(Level, String)> {
        let bind =
            |what: &str| format!("Cannot bind to {what} address before connect() for backend {backend}.");
        let connect = |why: &str| format!("Connect() failed for backend {backend}: {why}.");
        Some(match self {
            Self::NoRoom | Self::Refused => return None,
            Self::Source => (Level::Emerg, bind("source")),
            Self::ForeignSource => (Level::Emerg, bind("tproxy source")),
            Self::NoPort => (Level::Err, connect("no free ports")),
            Self::AddressInUse => (Level::Err, connect("local address already in use")),
            Self::Backlog => (
                Level::Err,
                connect("the backlog of the server's UNIX socket is full"),
            ),
            Self::Short(shortage) => (Level::Emerg, shortage.connect_line(backend, maxsock)),
            Self::Forbidden => (
                Level::Emerg,
                format!("Proxy {backend} has insufficient permissions to open server socket."),
            ),
            Self::Unusable(code) => {
                // A protocol that is not there is no news: the configuration asked for it.
                if matches!(code, libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) {
                    return None;
                }
                let why = Os(&io::Error::from_raw_os_error(code)).to_string();
                let text = format!("Proxy {backend} cannot create a server socket: {why}");
                (Level::Emerg, text)
            }
        })
    }
}

/// What an attempt needs to know of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientSight {
    /// Where the client is.
    pub(crate) src: Endpoint,
    /// Where it connected to.
    pub(crate) dst: Endpoint,
    /// The network namespace it belongs to.
    pub(crate) netns: Option<NetnsId>,
}

/// Where a connection goes and where from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Where to.
    to: RouteTo,
    /// Local address, from `source`.
    from: Option<SocketAddr>,
    /// The local address is not ours (`usesrc`).
    foreign: bool,
    /// Take a port of the server's source range.
    port_range: bool,
    /// The network namespace it begins in.
    netns: Option<NetnsId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RouteTo {
    Inet(SocketAddr, bool),
    Unix(Vec<u8>),
    Abstract(Vec<u8>, bool),
}

impl Route {
    /// The route to a server (or to the target of `dispatch`) for that client. `None` when it has no address.
    pub(crate) fn new(target: &Target, source: Option<&Source>, client: ClientSight) -> Option<Self> {
        let to = match target {
            Target::Inet { ip, port, mptcp } => {
                let client_dst = client.dst.inet();
                let port = match port {
                    PortChoice::Fixed(port) => *port,
                    PortChoice::Client(offset) => {
                        let base = i32::from(client_dst.map_or(0, |dst| dst.port()));
                        // As HAProxy: the sum wraps in 16 bits.
                        u16::try_from((base + offset).rem_euclid(1 << 16)).unwrap_or(0)
                    }
                };
                let ip = match ip {
                    // The server's address is 0.0.0.0 or ::, that is: where the client went.
                    Some(ip) if ip.is_unspecified() => client_dst.map_or(*ip, |dst| dst.ip()),
                    Some(ip) => *ip,
                    None => return None,
                };
                RouteTo::Inet(SocketAddr::new(ip, port), *mptcp)
            }
            Target::Unix(path) => RouteTo::Unix(path.clone()),
            Target::Abstract { name, zero_padded } => RouteTo::Abstract(name.clone(), !zero_padded),
        };
        Some(Self::with_source(to, source, client))
    }

    /// The route to where the client wanted to go (`option transparent`).
    pub(crate) fn to_client_destination(source: Option<&Source>, client: ClientSight) -> Option<Self> {
        let to = RouteTo::Inet(client.dst.inet()?, false);
        Some(Self::with_source(to, source, client))
    }

    fn with_source(to: RouteTo, source: Option<&Source>, client: ClientSight) -> Self {
        // A UNIX socket is not connected from anywhere.
        let source = source.filter(|_| matches!(to, RouteTo::Inet(..)));
        let (from, foreign) = match source {
            None => (None, false),
            Some(source) => match (&source.usesrc, client.src.inet()) {
                (Some(UseSrc::Client), Some(src)) => (Some(src), true),
                (Some(UseSrc::ClientIp), Some(src)) => (Some(SocketAddr::new(src.ip(), 0)), true),
                (Some(UseSrc::Fixed(addr)), _) => (Some(*addr), true),
                // As HAProxy: the port of no address is none.
                _ => (source.addr.filter(|addr| !addr.ip().is_unspecified()), false),
            },
        };
        let port_range = !foreign && source.is_some_and(|source| source.ports.is_some());
        Self {
            to,
            from,
            foreign,
            port_range,
            netns: None,
        }
    }

    /// The same route, from within a network namespace.
    pub(crate) fn inside(self, netns: Option<NetnsId>) -> Self {
        Self { netns, ..self }
    }

    /// The address that is connected to.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match &self.to {
            RouteTo::Inet(addr, _) => Endpoint::Inet(*addr),
            RouteTo::Unix(_) | RouteTo::Abstract(..) => Endpoint::Unix,
        }
    }

    /// What two requests must have in common to share a connection, besides the server: 0 for the plain case
    /// in which neither the address nor the source follows the client.
    pub(crate) fn hash(&self, follows_client: bool) -> u64 {
        if !follows_client && !self.foreign {
            return 0;
        }
        let mut bytes = [0_u8; 64];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            if let Some(room) = bytes.get_mut(at..at + part.len()) {
                room.copy_from_slice(part);
                at += part.len();
            }
        };
        let mut put_addr = |addr: SocketAddr| {
            match addr.ip() {
                IpAddr::V4(ip) => put(&ip.octets()),
                IpAddr::V6(ip) => put(&ip.octets()),
            }
            put(&addr.port().to_be_bytes());
        };
        if let RouteTo::Inet(addr, _) = self.to {
            put_addr(addr);
        }
        if let (Some(addr), true) = (self.from, self.foreign) {
            put_addr(addr);
        }
        let netns = self.netns.map_or(0, NetnsId::number);
        xxh64(&bytes, netns) | 1
    }
}

/// Begins to connect; with `early_data` there is something to send at once. The connection is in its slot and registered; its `WRITE` readiness tells the outcome.
pub(crate) fn dial(
    core: &mut Core,
    route: &Route,
    backend: ProxyId,
    server: Option<ServerId>,
    stream: Key,
    hash: u64,
    early_data: bool,
) -> Result<Key, DialError> {
    let config = core.config.clone();
    let proxy = config.proxy(backend);
    let settings = server.map(|id| config.server(id));
    if server.is_some_and(|id| !core.has_room_for_conn(id)) {
        return Err(DialError::NoRoom);
    }
    let socket = make_socket(route, &core.namespaces)?;
    set_options(
        &socket,
        route,
        proxy,
        settings.map(|server| &**server),
        &config.global.tune,
    );
    if early_data && settings.is_some_and(|server| server.tfo) && matches!(route.to, RouteTo::Inet(..)) {
        // The SYN waits for the first write: without one, a server that speaks first would never be reached.
        let fd = socket.as_raw_fd();
        let _ = sys::set_sockopt(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1);
    }
    let mut source_port = None;
    if route.port_range {
        let id = server.ok_or(DialError::Source)?;
        source_port = Some(bind_in_range(core, &socket, route, id)?);
    } else if let Some(from) = route.from {
        bind_source(&socket, from, route.foreign)?;
    }
    let give_back = |core: &mut Core| {
        if let (Some(id), Some(port)) = (server, source_port) {
            core.idle.give_source_port_back(id, port);
        }
    };
    let ready = match connect(&socket, route) {
        Ok(()) => Ready::WRITE,
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ready::NONE,
        Err(error) => {
            give_back(core);
            return Err(refusal(&error, route));
        }
    };
    let side = BackSide {
        server,
        backend,
        hash,
        requests: 0,
        shelf: Shelf::None,
        private_to: None,
        idle_since: Ticks::ZERO,
        source_port,
        h1: ServerSide::new(),
    };
    let conn = Conn::new(socket, ready, Owner::Stream(stream), Side::Back(side));
    match core.add_conn(conn) {
        Some(key) => {
            if let Some(id) = server {
                core.state.server_mut(id).all_conns += 1;
            }
            Ok(key)
        }
        None => {
            give_back(core);
            Err(DialError::Short(Shortage::Memory))
        }
    }
}

/// What an error of connect(2) means for the request.
fn refusal(error: &io::Error, route: &Route) -> DialError {
    match (error.raw_os_error(), &route.to) {
        (Some(libc::EADDRINUSE), _) => DialError::AddressInUse,
        (Some(libc::EAGAIN | libc::EADDRNOTAVAIL), RouteTo::Inet(..)) => DialError::NoPort,
        (Some(libc::EAGAIN), _) => DialError::Backlog,
        _ => DialError::Refused,
    }
}

fn make_socket(route: &Route, namespaces: &Namespaces) -> Result<Socket, DialError> {
    let (domain, protocol) = match &route.to {
        RouteTo::Inet(addr, mptcp) => {
            let protocol = if *mptcp { Protocol::MPTCP } else { Protocol::TCP };
            (Domain::for_address(*addr), Some(protocol))
        }
        RouteTo::Unix(_) | RouteTo::Abstract(..) => (Domain::UNIX, None),
    };
    let make = || Socket::new(domain, Type::STREAM.nonblocking(), protocol);
    let made = namespaces.inside(route.netns, make);
    made.map_err(|error| match (Shortage::of(&error), error.raw_os_error()) {
        (Some(shortage), _) => DialError::Short(shortage),
        (None, Some(libc::EPERM)) => DialError::Forbidden,
        (None, code) => DialError::Unusable(code.unwrap_or(0)),
    })
}

/// Sets what the configuration asks for. A refused option never ends the connection: kernels and protocols
/// differ in what they take (an MPTCP socket refuses several).
fn set_options(
    socket: &Socket,
    route: &Route,
    proxy: &Proxy,
    server: Option<&Server>,
    tune: &crate::model::global::Tune,
) {
    let RouteTo::Inet(..) = route.to else { return };
    let _ = socket.set_tcp_nodelay(true);
    if proxy.options.srvtcpka {
        set_keep_alive(socket, proxy.server_keep_alive);
    }
    if proxy.options.tcp_smart_connect {
        let _ = socket.set_tcp_quickack(false);
    }
    if proxy.options.nolinger {
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
    if let Some(server) = server {
        set_server_options(socket, server);
    }
    let source = server
        .and_then(|server| server.source.as_ref())
        .or(proxy.source.as_ref());
    if let Some(device) = source.and_then(|source| source.interface.as_deref()) {
        let _ = socket.bind_device(Some(device.as_bytes()));
    }
    if tune.rcvbuf_server > 0 {
        let _ = socket.set_recv_buffer_size(tune.rcvbuf_server as usize);
    }
    if tune.sndbuf_server > 0 {
        let _ = socket.set_send_buffer_size(tune.sndbuf_server as usize);
    }
    if tune.notsent_lowat_server > 0 {
        let _ = socket.set_tcp_notsent_lowat(tune.notsent_lowat_server);
    }
}

/// Sets what the server's own line asks for.
fn set_server_options(socket: &Socket, server: &Server) {
    let fd = socket.as_raw_fd();
    if let Some(timeout_ms) = server.tcp_ut_ms {
        let value = libc::c_int::try_from(timeout_ms).unwrap_or(libc::c_int::MAX);
        let _ = sys::set_sockopt(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, value);
    }
    if let Some(name) = &server.cc {
        let _ = socket.set_tcp_congestion(name.as_bytes());
    }
}

/// Turns keep-alive probes on, with the numbers given.
pub(crate) fn set_keep_alive(socket: &Socket, settings: TcpKeepAlive) {
    let _ = socket.set_keepalive(true);
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle_s) = settings.idle_s {
        keepalive = keepalive.with_time(Duration::from_secs(u64::from(idle_s)));
    }
    if let Some(interval_s) = settings.interval_s {
        keepalive = keepalive.with_interval(Duration::from_secs(u64::from(interval_s)));
    }
    if let Some(count) = settings.count {
        keepalive = keepalive.with_retries(count);
    }
    if settings != TcpKeepAlive::default() {
        let _ = socket.set_tcp_keepalive(&keepalive);
    }
}

/// Binds to a fixed source. `foreign` addresses need the transparent option.
fn bind_source(socket: &Socket, from: SocketAddr, foreign: bool) -> Result<(), DialError> {
    let _ = socket.set_reuse_address(true);
    if foreign {
        let made = if from.is_ipv4() {
            socket.set_ip_transparent_v4(true)
        } else {
            sys::set_sockopt(socket.as_raw_fd(), libc::SOL_IPV6, libc::IPV6_TRANSPARENT, 1)
        };
        made.map_err(|_| DialError::ForeignSource)?;
    }
    if from.port() == 0 {
        // The kernel picks the port at connect, when it knows the destination: many more are free then.
        let _ = sys::set_sockopt(socket.as_raw_fd(), libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    }
    let bound = socket.bind(&SockAddr::from(from));
    bound.map_err(|_| {
        if foreign {
            DialError::ForeignSource
        } else {
            DialError::Source
        }
    })
}

/// Attempts to bind within a port range before giving up.
const RANGE_ATTEMPTS: u32 = 10;

/// Binds to a free port of the server's source range. Without an address the port is only counted, as in HAProxy.
fn bind_in_range(
    core: &mut Core,
    socket: &Socket,
    route: &Route,
    server: ServerId,
) -> Result<u16, DialError> {
    let _ = socket.set_reuse_address(true);
    for _ in 0..RANGE_ATTEMPTS {
        let port = core.idle.take_source_port(server).ok_or(DialError::Source)?;
        let Some(from) = route.from else { return Ok(port) };
        if socket
            .bind(&SockAddr::from(SocketAddr::new(from.ip(), port)))
            .is_ok()
        {
            return Ok(port);
        }
        core.idle.give_source_port_back(server, port);
    }
    Err(DialError::Source)
}

fn connect(socket: &Socket, route: &Route) -> io::Result<()> {
    match &route.to {
        RouteTo::Inet(addr, _) => socket.connect(&SockAddr::from(*addr)),
        RouteTo::Unix(path) => socket.connect(&SockAddr::unix(Path::new(OsStr::from_bytes(path)))?),
        RouteTo::Abstract(name, zero_terminated) => {
            let address = sys::abstract_address(name, *zero_terminated)
                .ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
            socket.connect(&address)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::netns::Namespaces;

    #[test]
    fn connections_of_two_namespaces_are_not_shared() {
        let client = ClientSight {
            src: Endpoint::Unix,
            dst: Endpoint::Unix,
            netns: None,
        };
        let target = Target::Unix(b"/s".to_vec());
        let named = Namespaces::of_names(&["a", "b"]);
        let route = |name: &[u8]| {
            let route = Route::new(&target, None, client).expect("it has an address");
            route.inside(named.find(name))
        };
        let hashes = [b"a", b"b", b"c"].map(|name| route(name).hash(true));
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
        // A namespace that is the server's own is the same for all.
        assert_eq!(route(b"a").hash(false), 0);
    }
}
