//! Sockets of the generators, the origin and the relay: TCP or MPTCP, never blocking.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted: as many as the kernel allows.
const BACKLOG: i32 = 65_535;

fn open(addr: SocketAddr, mptcp: bool) -> io::Result<Socket> {
    let protocol = if mptcp { Protocol::MPTCP } else { Protocol::TCP };
    let kind = Type::STREAM.nonblocking().cloexec();
    Socket::new(Domain::for_address(addr), kind, Some(protocol))
}

/// A listening socket.
pub(crate) fn listen(addr: SocketAddr, mptcp: bool) -> io::Result<TcpListener> {
    let socket = open(addr, mptcp)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A connection under way.
pub(crate) fn connect(addr: SocketAddr, mptcp: bool) -> io::Result<TcpStream> {
    start(open(addr, mptcp)?, addr)
}

/// A connection under way that takes little at a time: a receive buffer of `room` bytes, and segments of `segment` bytes
/// instead of loopback's 64 KiB. The segments matter to the other end: by them its kernel sizes the send buffer, which
/// over loopback would take a megabyte.
pub(crate) fn connect_narrow(addr: SocketAddr, room: usize, segment: u32) -> io::Result<TcpStream> {
    let socket = open(addr, false)?;
    socket.set_recv_buffer_size(room)?;
    socket.set_tcp_mss(segment)?;
    start(socket, addr)
}

fn start(socket: Socket, addr: SocketAddr) -> io::Result<TcpStream> {
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&addr.into()) {
        Err(error) if !is_under_way(&error) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// std has no name for it yet.
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Whether the kernel gives MPTCP sockets.
pub(crate) fn has_mptcp() -> bool {
    open(SocketAddr::from(([127, 0, 0, 1], 0)), true).is_ok()
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections: one of these may be a
/// client's a moment later, and after a run most of them wait in TIME_WAIT.
pub(crate) fn free_port() -> io::Result<u16> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const SPAN: u32 = 22_000;
    for _ in 0..SPAN {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (std::process::id().wrapping_mul(131).wrapping_add(step)) % SPAN;
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        if StdListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port"))
}
