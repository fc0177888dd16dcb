//! What stands around a log message: priority, date, host, tag, and the rules on levels, sampling and length.
//!
//! The engine keeps one [`Stamper`] for all, and one [`Sampler`] per proxy and target with `sample`; laying a
//! datagram out allocates nothing once the buffer has grown. Sources: configuration manual, `log` (formats, `len`, `sample`, levels), RFC 3164, RFC 5424.

use super::calendar::{Civil, Zone, set_microseconds};
use crate::base::ascii::{U64_DIGITS, format_u64};
use crate::model::logging::{LogHeader, LogSample, LogSink, LogTarget};

/// Severity of a message, from 0 (emerg) to 7 (debug).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 0
    Emerg,
    /// 1
    Alert,
    /// 2
    Crit,
    /// 3
    Err,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

/// Names of the levels by number.
pub const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// Names of the facilities by number.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp",
    "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Names of the header formats, as a `log` line has them.
pub const HEADERS: [(&str, LogHeader); 8] = [
    ("local", LogHeader::Local),
    ("rfc3164", LogHeader::Rfc3164),
    ("rfc5424", LogHeader::Rfc5424),
    ("priority", LogHeader::Priority),
    ("short", LogHeader::Short),
    ("timed", LogHeader::Timed),
    ("iso", LogHeader::Iso),
    ("raw", LogHeader::Raw),
];

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `log-tag` of the proxy, else of the process (by default the program's name).
    pub tag: &'a [u8],
    /// Number of the process.
    pub pid: u32,
    /// `log-send-hostname`.
    pub hostname: Option<&'a [u8]>,
    /// Structured data (`log-format-sd`), for `rfc5424`; empty for none.
    pub structured: &'a [u8],
}

/// A moment on the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct WallTime {
    /// Microseconds since 1970.
    pub us: u64,
    /// Local time at that moment.
    pub zone: Zone,
}

/// Dates of headers, laid out once per second.
#[derive(Clone, Debug)]
pub struct Stamper {
    at: Option<(u64, Zone)>,
    legacy: [u8; 16],
    iso: [u8; 33],
}

impl Default for Stamper {
    fn default() -> Self {
        let epoch = Civil::new(0, Zone::UTC);
        Self {
            at: None,
            legacy: epoch.legacy(),
            iso: epoch.iso(Zone::UTC),
        }
    }
}

impl Stamper {
    fn refresh(&mut self, now: WallTime) {
        let at = (now.us / 1_000_000, now.zone);
        if self.at != Some(at) {
            let civil = Civil::new(at.0, now.zone);
            self.legacy = civil.legacy();
            self.iso = civil.iso(now.zone);
            self.at = Some(at);
        }
        set_microseconds(&mut self.iso, (now.us % 1_000_000) as u32);
    }
}

/// Counts the lines of a target with `sample`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampler {
    range: usize,
    index: u32,
}

impl Sampler {
    /// Whether the next line is one of those to send.
    pub fn admit(&mut self, sample: &LogSample) -> bool {
        let Some(&(low, high)) = sample.ranges.get(self.range) else {
            return true;
        };
        let next = self.index + 1;
        let admitted = low <= next && next <= high;
        if next == high {
            self.range = (self.range + 1) % sample.ranges.len();
        }
        self.index = if next >= sample.size { 0 } else { next };
        admitted
    }
}

/// Whether a target takes messages of that level, and under which level it sends them.
pub fn level_sent(target: &LogTarget, level: Level) -> Option<u8> {
    let level = level as u8;
    (level <= target.level_max).then_some(level.max(target.level_min))
}

/// Appends one whole datagram or line to `out`: header, message, line feed, at most `len` bytes.
///
/// Appends nothing for an empty message. `level` is what [`level_sent`] gave.
pub fn write_message(
    out: &mut Vec<u8>,
    target: &LogTarget,
    sender: &Sender<'_>,
    stamper: &mut Stamper,
    now: WallTime,
    level: u8,
    message: &[u8],
) {
    if message.is_empty() {
        return;
    }
    stamper.refresh(now);
    let mut parts = Parts {
        out,
        left: (target.len_max as usize).saturating_sub(1),
        whole_parts: !matches!(target.sink, LogSink::Fd(_)),
    };
    write_header(&mut parts, target, sender, stamper, level);
    let end = message
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | 0))
        .map_or(0, |last| last + 1);
    parts.cut(&message[..end]);
    parts.out.push(b'\n');
}

/// Appends parts until the length limit is met.
struct Parts<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
    /// A part of the header that reaches the limit is dropped as a whole (datagrams) instead of cut.
    whole_parts: bool,
}

impl Parts<'_> {
    fn cut(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.left);
        self.out.extend_from_slice(&bytes[..fits]);
        self.left -= fits;
    }

    fn part(&mut self, bytes: &[u8]) {
        if self.whole_parts && bytes.len() >= self.left {
            self.left = 0;
        } else {
            self.cut(bytes);
        }
    }

    /// `value` and a blank, or `- `.
    fn value_or_dash(&mut self, value: &[u8]) {
        if value.is_empty() {
            self.part(b"- ");
        } else {
            self.part(value);
            self.part(b" ");
        }
    }

    /// `<N>`
    fn priority(&mut self, value: u32) {
        let digits = [
            b'<',
            b'0' + (value / 100 % 10) as u8,
            b'0' + (value / 10 % 10) as u8,
            b'0' + (value % 10) as u8,
            b'>',
        ];
        match value {
            0..=9 => self.part(&[b'<', digits[3], b'>']),
            10..=99 => self.part(&[b'<', digits[2], digits[3], b'>']),
            _ => self.part(&digits),
        }
    }
}

/// The format where the line names none.
fn header_of(target: &LogTarget, sender: &Sender<'_>) -> LogHeader {
    match target.header {
        LogHeader::Unspecified if sender.hostname.is_some_and(|name| !name.is_empty()) => LogHeader::Rfc3164,
        LogHeader::Unspecified if !sender.tag.is_empty() => LogHeader::Local,
        LogHeader::Unspecified => LogHeader::Raw,
        given => given,
    }
}

fn write_header(
    parts: &mut Parts<'_>,
    target: &LogTarget,
    sender: &Sender<'_>,
    stamper: &Stamper,
    level: u8,
) {
    let header = header_of(target, sender);
    match header {
        LogHeader::Local | LogHeader::Rfc3164 | LogHeader::Rfc5424 | LogHeader::Priority => {
            parts.priority(u32::from(target.facility) * 8 + u32::from(level));
        }
        LogHeader::Timed | LogHeader::Short => parts.priority(level.into()),
        LogHeader::Iso | LogHeader::Raw | LogHeader::Unspecified => {}
    }
    match header {
        LogHeader::Local | LogHeader::Rfc3164 => parts.part(&stamper.legacy),
        LogHeader::Rfc5424 => {
            parts.part(b"1 ");
            parts.part(&stamper.iso);
        }
        LogHeader::Timed | LogHeader::Iso => parts.part(&stamper.iso),
        LogHeader::Priority | LogHeader::Short | LogHeader::Raw | LogHeader::Unspecified => {}
    }
    let host = sender.hostname.unwrap_or_default();
    match header {
        LogHeader::Rfc3164 | LogHeader::Local => {
            if header == LogHeader::Rfc3164 {
                parts.part(if host.is_empty() { b"localhost" } else { host });
                parts.part(b" ");
            }
            if !sender.tag.is_empty() {
                parts.part(sender.tag);
                parts.part(b"[");
                pid(parts, sender.pid);
                parts.part(b"]");
                parts.part(b": ");
            }
        }
        LogHeader::Rfc5424 => {
            parts.value_or_dash(host);
            parts.value_or_dash(sender.tag);
            pid(parts, sender.pid);
            parts.part(b" ");
            // No message id.
            parts.part(b"- ");
            parts.value_or_dash(sender.structured.trim_ascii_end());
        }
        _ => {}
    }
}

fn pid(parts: &mut Parts<'_>, pid: u32) {
    parts.part(format_u64(u64::from(pid), &mut [0; U64_DIGITS]));
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn target(header: LogHeader) -> LogTarget {
        LogTarget {
            sink: LogSink::Udp(SocketAddr::from(([127, 0, 0, 1], 514))),
            header,
            len_max: 1024,
            sample: None,
            facility: 16,
            level_max: 7,
            level_min: 0,
            global_line: None,
        }
    }

    const SENDER: Sender<'static> = Sender {
        tag: b"haproxy",
        pid: 4242,
        hostname: None,
        structured: b"",
    };

    fn message(target: &LogTarget, sender: &Sender<'_>, text: &[u8]) -> String {
        let mut out = Vec::new();
        // 2024-04-06 06:39:58.000123 UTC
        let now = WallTime {
            us: 1_712_385_598_000_123,
            zone: Zone { east_s: 7_200 },
        };
        write_message(&mut out, target, sender, &mut Stamper::default(), now, 6, text);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn headers() {
        let host = Sender {
            hostname: Some(b"web1"),
            ..SENDER
        };
        let structured = Sender {
            structured: b"[a b=\"c\"] ",
            ..host
        };
        let mute = Sender { tag: b"", ..SENDER };
        use LogHeader::*;
        for (header, sender, text) in [
            (Unspecified, &SENDER, "<134>Apr  6 08:39:58 haproxy[4242]: hi\n"),
            (
                Unspecified,
                &host,
                "<134>Apr  6 08:39:58 web1 haproxy[4242]: hi\n",
            ),
            (Unspecified, &mute, "hi\n"),
            (Local, &host, "<134>Apr  6 08:39:58 haproxy[4242]: hi\n"),
            (Local, &mute, "<134>Apr  6 08:39:58 hi\n"),
            (
                Rfc3164,
                &SENDER,
                "<134>Apr  6 08:39:58 localhost haproxy[4242]: hi\n",
            ),
            (
                Rfc5424,
                &SENDER,
                "<134>1 2024-04-06T08:39:58.000123+02:00 - haproxy 4242 - - hi\n",
            ),
            (
                Rfc5424,
                &structured,
                "<134>1 2024-04-06T08:39:58.000123+02:00 web1 haproxy 4242 - [a b=\"c\"] hi\n",
            ),
            (Priority, &SENDER, "<134>hi\n"),
            (Short, &SENDER, "<6>hi\n"),
            (Timed, &SENDER, "<6>2024-04-06T08:39:58.000123+02:00 hi\n"),
            (Iso, &SENDER, "2024-04-06T08:39:58.000123+02:00 hi\n"),
            (Raw, &SENDER, "hi\n"),
        ] {
            assert_eq!(message(&target(header), sender, b"hi\n\0\n"), text, "{header:?}");
        }
        assert_eq!(
            message(
                &LogTarget {
                    facility: 0,
                    ..target(Priority)
                },
                &SENDER,
                b"x"
            ),
            "<6>x\n"
        );
        assert_eq!(
            message(
                &LogTarget {
                    facility: 2,
                    ..target(Priority)
                },
                &SENDER,
                b"x"
            ),
            "<22>x\n"
        );
        assert_eq!(message(&target(Raw), &SENDER, b""), "");
        assert_eq!(message(&target(Raw), &SENDER, b"\n"), "\n");
    }

    #[test]
    fn length_limits() {
        let short = LogTarget {
            len_max: 80,
            ..target(LogHeader::Local)
        };
        let long = [b'x'; 200];
        assert_eq!(message(&short, &SENDER, &long).len(), 80);
        assert!(message(&short, &SENDER, &long).ends_with("x\n"));
        // A part of the header that reaches the limit vanishes from datagrams and is cut on descriptors.
        let tag = [b't'; 100];
        let big_tag = Sender { tag: &tag, ..SENDER };
        assert_eq!(message(&short, &big_tag, b"hi"), "<134>Apr  6 08:39:58 \n");
        let on_fd = LogTarget {
            sink: LogSink::Fd(1),
            ..short
        };
        assert_eq!(
            message(&on_fd, &big_tag, b"hi"),
            format!("<134>Apr  6 08:39:58 {}\n", "t".repeat(58))
        );
    }

    #[test]
    fn stamps_follow_the_clock() {
        let mut stamper = Stamper::default();
        let mut out = Vec::new();
        for (us, zone) in [
            (1_999_999, Zone::UTC),
            (2_000_000, Zone::UTC),
            (2_000_001, Zone { east_s: 3_600 }),
        ] {
            let now = WallTime { us, zone };
            write_message(
                &mut out,
                &target(LogHeader::Iso),
                &SENDER,
                &mut stamper,
                now,
                6,
                b"-",
            );
        }
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "1970-01-01T00:00:01.999999+00:00 -\n1970-01-01T00:00:02.000000+00:00 -\n1970-01-01T01:00:02.000001+01:00 -\n"
        );
    }

    #[test]
    fn levels() {
        let target = LogTarget {
            level_max: 5,
            level_min: 4,
            ..target(LogHeader::Raw)
        };
        assert_eq!(level_sent(&target, Level::Info), None);
        assert_eq!(level_sent(&target, Level::Notice), Some(5));
        assert_eq!(level_sent(&target, Level::Emerg), Some(4));
    }

    #[test]
    fn sampling() {
        let sent = |ranges: &[(u32, u32)], size, lines: u32| {
            let sample = LogSample {
                ranges: ranges.to_vec(),
                size,
            };
            let mut sampler = Sampler::default();
            (1..=lines).filter(|_| sampler.admit(&sample)).count()
        };
        let sample = LogSample {
            ranges: vec![(1, 1), (3, 4)],
            size: 5,
        };
        let mut sampler = Sampler::default();
        let picked: Vec<u32> = (1..=12).filter(|_| sampler.admit(&sample)).collect();
        assert_eq!(picked, [1, 3, 4, 6, 8, 9, 11]);
        assert_eq!(sent(&[(1, 1)], 1, 7), 7);
        assert_eq!(sent(&[(2, 3)], 10, 100), 20);
    }
}
