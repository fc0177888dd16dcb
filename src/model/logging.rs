//! Where log lines go: `log` lines, checked. Source: configuration manual, `log`, `log-tag`.

use std::net::SocketAddr;

/// Where lines are sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogSink {
    /// `udp@`, `ipv4@`, `ipv6@`, or a bare address: one datagram per line.
    Udp(SocketAddr),
    /// A UNIX datagram socket by path.
    UnixDatagram(Vec<u8>),
    /// An abstract UNIX datagram socket: the bytes of its address after the leading NUL, `abns@` names
    /// padded with NULs, `abnsz@` names as they are.
    AbstractDatagram(Vec<u8>),
    /// `stdout`, `stderr` or `fd@N`: written, one line each.
    Fd(i32),
}

/// `format` of a `log` line: the header put before the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogHeader {
    /// None given: `rfc3164` where `log-send-hostname` names a host, `local` otherwise.
    #[default]
    Unspecified,
    /// `local`: RFC 3164 without the host name.
    Local,
    /// `rfc3164`.
    Rfc3164,
    /// `rfc5424`.
    Rfc5424,
    /// `priority`: `<N>` only.
    Priority,
    /// `short`: `<N>` and the message, for systemd.
    Short,
    /// `timed`: `<N>`, a precise date and the message.
    Timed,
    /// `iso`: an ISO date and the message.
    Iso,
    /// `raw`: the message alone.
    Raw,
}

/// `sample <ranges>:<size>`: which lines of each window are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSample {
    /// Inclusive ranges, from 1, increasing and disjoint.
    pub ranges: Vec<(u32, u32)>,
    /// Lines in a window.
    pub size: u32,
}

/// One `log` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// Where lines go.
    pub sink: LogSink,
    /// `format`.
    pub header: LogHeader,
    /// `len`: longest line, bytes, the final line feed not counted.
    pub len_max: u32,
    /// `sample`.
    pub sample: Option<LogSample>,
    /// Facility number, 0 to 23.
    pub facility: u8,
    /// Least important level sent (0 emerg to 7 debug).
    pub level_max: u8,
    /// Levels more important than this one are sent as this one.
    pub level_min: u8,
    /// Which `log` line of `global` it is or was copied from.
    pub global_line: Option<u32>,
}
