//! A syslog server that reads every line and forgets it. Asked with the one word `count`, it answers how many came.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::SockRef;

/// Bytes that may wait to be read; the kernel gives what it allows.
const ROOM: usize = 8 * 1024 * 1024;
const QUESTION: &[u8] = b"count";

/// Drains until the process is ended; says on standard output when it listens.
pub(crate) fn run(listen: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(listen)?;
    SockRef::from(&socket).set_recv_buffer_size(ROOM)?;
    println!("ready");
    let mut buffer = vec![0; 64 * 1024];
    let mut count = 0u64;
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        if buffer.get(..length) == Some(QUESTION) {
            socket.send_to(count.to_string().as_bytes(), from)?;
        } else {
            count += 1;
        }
    }
}

/// How many lines a sink has read.
pub(crate) fn count(sink: SocketAddr) -> io::Result<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(3)))?;
    socket.send_to(QUESTION, sink)?;
    let mut buffer = [0; 32];
    let length = socket.recv(&mut buffer)?;
    let text = std::str::from_utf8(&buffer[..length]).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("the sink does not count"))
}
