//! A syslog sink: a UDP socket on a free port that keeps every datagram in the order of arrival.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// One log target.
pub struct Sink {
    socket: UdpSocket,
    /// The port it listens on.
    pub port: u16,
}

impl Sink {
    /// Opens a sink on 127.0.0.1.
    pub fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free UDP port");
        let port = socket.local_addr().expect("a bound socket").port();
        Self { socket, port }
    }

    /// Takes the next datagram that comes within `limit`.
    pub fn next(&self, limit: Duration) -> Option<String> {
        let mut buf = vec![0u8; 65536];
        self.socket
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))))
            .ok()?;
        let n = self.socket.recv(&mut buf).ok()?;
        Some(super::text::escape(&buf[..n]))
    }

    /// Takes the next datagram that holds `part`, passing over others.
    pub fn expect(&self, part: &str) -> String {
        let deadline = Instant::now() + super::PATIENCE;
        let mut passed = Vec::new();
        while let Some(line) = self.next(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return line;
            }
            passed.push(line);
        }
        panic!("no log line with {part:?}; got {passed:#?}")
    }

    /// Takes all that comes until `wanted` lines that pass `keep` are there (with `grace` for more
    /// that should not come) or `limit` is over.
    pub fn collect(
        &self,
        wanted: usize,
        limit: Duration,
        grace: Duration,
        keep: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let deadline = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = if lines.len() >= wanted {
                grace.min(left)
            } else {
                left
            };
            match self.next(wait) {
                Some(line) if keep(&line) => lines.push(line),
                Some(_) => {}
                None => return lines,
            }
        }
    }
}
