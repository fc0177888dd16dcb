//! Sending log lines: in order, without blocking, one datagram or one write each.
//!
//! What a full or failing target does not take is dropped and counted, as no request may wait for a log.
//! Lines are laid out by `policy/log`; this is the sockets. Source: configuration manual, `log`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::sys;
use crate::model::config::Config;
use crate::model::ids::ProxyId;
use crate::model::logging::{LogSink, LogTarget};
use crate::policy::log::calendar::Zone;
use crate::policy::log::syslog::{Level, Sampler, Sender, Stamper, WallTime, level_sent, write_message};

/// Tag of lines when neither the proxy nor the process has one: the name under which tools know the program.
const TAG_DEFAULT: &str = "haproxy";

/// Seconds for which the offset of local time is trusted.
const ZONE_TRUST_S: u64 = 1;

/// Sockets and counters behind the `log` lines of one loop.
pub(crate) struct Logger {
    /// One socket for each UDP target, connected: the kernel then looks for a route once, not for every line.
    udp: Vec<(SocketAddr, Socket)>,
    unix: Option<Socket>,
    /// Addresses of UNIX targets, made once.
    unix_addresses: HashMap<LogSink, SockAddr>,
    /// One per `log` line of each proxy, then those of the process.
    samplers: HashMap<(Option<ProxyId>, usize), Sampler>,
    stamper: Stamper,
    zone: Zone,
    zone_read_s: u64,
    /// The message, before headers.
    pub(crate) line: Vec<u8>,
    packet: Vec<u8>,
    pid: u32,
    hostname: String,
    /// Lines that no target took.
    pub(crate) dropped: u64,
}

impl Logger {
    /// A logger for the process of that number on that host.
    pub(crate) fn new(pid: u32, hostname: &str) -> Self {
        Self {
            udp: Vec::new(),
            unix: None,
            unix_addresses: HashMap::new(),
            samplers: HashMap::new(),
            stamper: Stamper::default(),
            zone: Zone::UTC,
            zone_read_s: 0,
            line: Vec::new(),
            packet: Vec::new(),
            pid,
            hostname: hostname.to_owned(),
            dropped: 0,
        }
    }

    /// The process number that lines carry.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Local time's offset at that moment.
    pub(crate) fn zone(&mut self, wall_us: u64) -> Zone {
        let now_s = wall_us / 1_000_000;
        if now_s.abs_diff(self.zone_read_s) >= ZONE_TRUST_S {
            self.zone = Zone {
                east_s: sys::local_offset_s(now_s),
            };
            self.zone_read_s = now_s;
        }
        self.zone
    }

    /// Sends `self.line` to the targets of a proxy, or with `None` of the process.
    pub(crate) fn send_line(&mut self, config: &Config, proxy: Option<ProxyId>, level: Level, wall_us: u64) {
        let zone = self.zone(wall_us);
        let global = &config.global;
        let (targets, tag) = match proxy {
            Some(id) => (&config.proxy(id).logs, config.proxy(id).log_tag.as_deref()),
            None => (&global.logs, None),
        };
        let tag = tag.or(global.log_tag.as_deref()).unwrap_or(TAG_DEFAULT);
        // Taken out and put back, like the line: sending needs the rest of `self`.
        let own_name = std::mem::take(&mut self.hostname);
        let hostname = global
            .log_send_hostname
            .as_ref()
            .map(|name| name.as_deref().unwrap_or(&own_name).as_bytes());
        let line = std::mem::take(&mut self.line);
        for (index, target) in targets.iter().enumerate() {
            let Some(sent_level) = level_sent(target, level) else {
                continue;
            };
            if let Some(sample) = &target.sample
                && !self.samplers.entry((proxy, index)).or_default().admit(sample)
            {
                continue;
            }
            let sender = Sender {
                tag: tag.as_bytes(),
                pid: self.pid,
                hostname,
                structured: b"",
            };
            self.packet.clear();
            let now = WallTime { us: wall_us, zone };
            write_message(
                &mut self.packet,
                target,
                &sender,
                &mut self.stamper,
                now,
                sent_level,
                &line,
            );
            if !self.packet.is_empty() && !self.send_packet(target) {
                self.dropped += 1;
            }
        }
        self.line = line;
        self.hostname = own_name;
    }

    fn send_packet(&mut self, target: &LogTarget) -> bool {
        match &target.sink {
            LogSink::Udp(to) => self.send_udp(*to),
            sink @ (LogSink::UnixDatagram(_) | LogSink::AbstractDatagram(_)) => {
                if !self.unix_addresses.contains_key(sink) {
                    let made = match sink {
                        // The bytes stand as the address has them: `abns@` names are padded already.
                        LogSink::AbstractDatagram(name) => sys::abstract_address(name, true),
                        LogSink::UnixDatagram(path) => {
                            SockAddr::unix(Path::new(OsStr::from_bytes(path))).ok()
                        }
                        LogSink::Udp(_) | LogSink::Fd(_) => None,
                    };
                    let Some(address) = made else { return false };
                    self.unix_addresses.insert(sink.clone(), address);
                }
                let Some(address) = self.unix_addresses.get(sink) else {
                    return false;
                };
                if self.unix.is_none() {
                    self.unix = Socket::new(Domain::UNIX, Type::DGRAM.nonblocking(), None).ok();
                }
                let Some(socket) = &self.unix else { return false };
                socket.send_to(&self.packet, address).is_ok()
            }
            LogSink::Fd(fd) => sys::write_fd(fd.as_raw_fd(), &self.packet).is_ok(),
        }
    }

    /// Sends the packet as a datagram. False when it is lost.
    fn send_udp(&mut self, to: SocketAddr) -> bool {
        if let Some(at) = self.udp.iter().position(|(known, _)| *known == to) {
            let socket = &self.udp[at].1;
            match socket.send(&self.packet) {
                Ok(_) => return true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // What became of an earlier line; this one was not sent.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return socket.send(&self.packet).is_ok();
                }
                // The way may be another one now.
                Err(_) => drop(self.udp.swap_remove(at)),
            }
        }
        let connected = Socket::new(Domain::for_address(to), Type::DGRAM.nonblocking(), None)
            .and_then(|socket| socket.connect(&SockAddr::from(to)).map(|()| socket));
        let Ok(socket) = connected else { return false };
        let is_sent = socket.send(&self.packet).is_ok();
        self.udp.push((to, socket));
        is_sent
    }
}
