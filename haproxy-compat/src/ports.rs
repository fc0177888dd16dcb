//! Ports for what cannot be handed over as a bound socket: ranges, lists, addresses where nobody listens.
//!
//! They come from below the range that the kernel gives to outgoing connections
//! (net.ipv4.ip_local_port_range, from 32768 by default). A port of that range that is free now may be a
//! client's a moment later, and after a load test most of it waits in TIME_WAIT, which keeps others from
//! binding it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports to give, all of five digits so that sizes do not depend on which one a test got.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// The first of `count` ports in a row that nobody listens on. No other call in this process gets them.
pub fn free_ports(count: u16) -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let span = LAST - FIRST - count;
    // Programs that run side by side begin at places that lie apart.
    let begin = u16::try_from(u64::from(std::process::id()) * 131 % u64::from(span)).unwrap_or(0);
    (0..2000)
        .find_map(|_| {
            let taken = TAKEN.fetch_add(count, Ordering::Relaxed);
            let at = (u32::from(begin) + u32::from(taken)) % u32::from(span);
            let first = FIRST + u16::try_from(at).unwrap_or(0);
            (first..first + count).all(is_free).then_some(first)
        })
        .expect("some free ports in a row")
}

/// The lines of those who listen in `/proc/net/tcp` or its like. They come before all others, and the kernel makes a
/// table while it is read: the many of a busy machine that end or wait are never asked for.
pub fn listening(table: &str) -> Vec<String> {
    File::open(table).map_or_else(|_| Vec::new(), |file| listening_in(BufReader::new(file)))
}

/// The same of a table that is being read.
pub fn listening_in(table: impl BufRead) -> Vec<String> {
    let lines = table.lines().map_while(Result::ok).skip(1);
    lines
        .take_while(|line| line.split_whitespace().nth(3) == Some("0A"))
        .collect()
}

/// Whether one of these lines is of a local address that ends like this: address and port, or the port alone, in its
/// hexadecimal form.
pub fn is_listening(lines: &[String], end: &str) -> bool {
    let ends = |line: &String| {
        line.split_whitespace()
            .nth(1)
            .is_some_and(|local| local.ends_with(end))
    };
    lines.iter().any(ends)
}

/// Whether nobody has the port, of either family and on any address.
fn is_free(port: u16) -> bool {
    let wildcard: SocketAddr = (Ipv6Addr::UNSPECIFIED, port).into();
    let loopback: SocketAddr = ([127, 0, 0, 1], port).into();
    // A machine without IPv6 is asked for IPv4 alone.
    let is_taken = |addr| TcpListener::bind(addr).is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
    !is_taken(wildcard) && !is_taken(loopback)
}
