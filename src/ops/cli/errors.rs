//! `show errors`: the last request and the last response that each proxy refused, with the place where reading
//! stopped. Source: management manual, `show errors`.

use super::answer::{Answer, Dump};
use super::show::leading_int;
use super::table::Call;
use crate::engine::service::{Cx, ErrorSight};
use crate::model::ids::ProxyId;
use crate::model::txn::Endpoint;
use crate::policy::log::calendar::Civil;

/// Columns of a dumped line.
const WIDTH: usize = 80;

/// Lines dumped in one step.
const LINES_PER_STEP: usize = 32;

/// `show errors` under way.
#[derive(Debug)]
pub struct ErrorsDump {
    only: Option<u32>,
    requests: bool,
    responses: bool,
    place: Place,
}

/// Where the dump goes on.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// The message of that proxy: its request first, then its response.
    Event(usize, bool),
    /// The bytes of that message from there on; the number guards against a newer event.
    Bytes(usize, bool, u32, usize),
    End,
}

/// `show errors [<proxy>] [request|response]`
pub(super) fn show(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let mut dump = ErrorsDump {
        only: None,
        requests: true,
        responses: true,
        place: Place::Head,
    };
    let name = call.arg(0);
    if !name.is_empty() {
        let named = cx.config.proxies.iter().find(|proxy| *proxy.name == *name);
        let number = named.map_or_else(|| leading_int(name), |proxy| i64::from(proxy.uuid));
        match u32::try_from(number) {
            Ok(number) if number > 0 => dump.only = Some(number),
            // A negative number stands for all proxies.
            Err(_) if number < 0 => {}
            _ => return Answer::error("No such proxy."),
        }
    }
    match call.arg(1) {
        "request" => dump.responses = false,
        "response" => dump.requests = false,
        _ => {}
    }
    Answer::Dump(Dump::Errors(dump))
}

impl ErrorsDump {
    /// Writes the next piece; false at the end.
    pub(super) fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        match self.place {
            Place::Head => {
                let head = format!(
                    "Total events captured on [{}] : {}\n",
                    date(cx.wall_us, cx),
                    cx.sights.errors_total()
                );
                out.extend_from_slice(head.as_bytes());
                self.place = Place::Event(0, false);
            }
            Place::Event(proxy, response) => self.event(proxy, response, cx, out),
            Place::Bytes(proxy, response, number, from) => {
                let event = cx
                    .config
                    .proxies
                    .get(proxy)
                    .and_then(|proxy| cx.sights.error(proxy.id, response));
                match event.filter(|event| event.number == number) {
                    Some(event) => match dump_lines(event.bytes, from, out) {
                        Some(from) => self.place = Place::Bytes(proxy, response, number, from),
                        None => self.next_event(proxy, response, cx),
                    },
                    None => {
                        out.extend_from_slice(b"  (a newer event took its place, the rest is lost)\n");
                        self.next_event(proxy, response, cx);
                    }
                }
            }
            Place::End => return false,
        }
        true
    }

    fn next_event(&mut self, proxy: usize, response: bool, cx: &Cx<'_>) {
        self.place = match (response, proxy + 1 < cx.config.proxies.len()) {
            (false, _) => Place::Event(proxy, true),
            (true, true) => Place::Event(proxy + 1, false),
            (true, false) => Place::End,
        };
    }

    fn event(&mut self, proxy: usize, response: bool, cx: &Cx<'_>, out: &mut Vec<u8>) {
        let wanted = if response { self.responses } else { self.requests };
        let event = cx
            .config
            .proxies
            .get(proxy)
            .and_then(|proxy| cx.sights.error(proxy.id, response));
        let Some(event) = event.filter(|event| wanted && self.concerns(event, cx)) else {
            self.next_event(proxy, response, cx);
            return;
        };
        out.extend_from_slice(header(&event, cx).as_bytes());
        self.place = Place::Bytes(proxy, response, event.number, 0);
    }

    fn concerns(&self, event: &ErrorSight<'_>, cx: &Cx<'_>) -> bool {
        let is = |id: ProxyId| self.only == Some(cx.config.proxy(id).uuid);
        self.only.is_none() || is(event.proxy) || event.other.is_some_and(is)
    }
}

fn date(wall_us: u64, cx: &Cx<'_>) -> String {
    let civil = Civil::new(wall_us / 1_000_000, cx.zone);
    let text = civil.with_milliseconds(u32::try_from(wall_us / 1000 % 1000).unwrap_or(0));
    String::from_utf8_lossy(&text).into_owned()
}

fn header(event: &ErrorSight<'_>, cx: &Cx<'_>) -> String {
    let proxy = cx.config.proxy(event.proxy);
    let other = event.other.map(|id| cx.config.proxy(id));
    let (other_name, other_number) =
        other.map_or(("<NONE>", -1), |proxy| (&*proxy.name, i64::from(proxy.uuid)));
    let server = event.server.map(|id| cx.config.server(id));
    let (own_kind, what, other_kind) = if event.is_response {
        ("backend", "response", "frontend")
    } else {
        ("frontend", "request", "backend")
    };
    let src = match event.src {
        Endpoint::Inet(addr) => format!("{}:{}", addr.ip(), addr.port()),
        Endpoint::Unix | Endpoint::Unknown => "unix:0".to_owned(),
    };
    format!(
        " \n[{}] {own_kind} {} (#{}): invalid {what}\n\
         \x20 {other_kind} {other_name} (#{other_number}), server {} (#{}), event #{}, src {src}\n\
         \x20 buffer starts at 0 (including 0 out), {} free,\n\
         \x20 len {}, wraps at {}, error at position {}\n\
         \x20 \n",
        date(event.wall_us, cx),
        proxy.name,
        proxy.uuid,
        server.map_or("<NONE>", |server| &server.name),
        server.map_or(-1, |server| i64::from(server.puid)),
        event.number,
        event.buffer_bytes.saturating_sub(event.bytes.len()),
        event.bytes.len(),
        event.buffer_bytes,
        event.position,
    )
}

/// Writes some lines of a message: offset, `+` for the rest of a long line, bytes with escapes. Returns where to
/// go on, `None` at the end.
fn dump_lines(bytes: &[u8], mut from: usize, out: &mut Vec<u8>) -> Option<usize> {
    for _ in 0..LINES_PER_STEP {
        if from >= bytes.len() {
            return None;
        }
        let begins = from == 0 || bytes.get(from - 1) == Some(&b'\n');
        let start = out.len();
        out.extend_from_slice(format!("  {from:05}{} ", if begins { ' ' } else { '+' }).as_bytes());
        for &byte in bytes.get(from..).unwrap_or_default() {
            let (escaped, length) = escape(byte);
            if out.len() - start + length + 1 > WIDTH {
                break;
            }
            out.extend_from_slice(escaped.get(..length).unwrap_or_default());
            from += 1;
            if byte == b'\n' {
                break;
            }
        }
        out.push(b'\n');
    }
    Some(from)
}

/// A byte as it is shown, and how many characters that takes.
fn escape(byte: u8) -> ([u8; 4], usize) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let short = |letter| ([b'\\', letter, 0, 0], 2);
    match byte {
        b'\t' => short(b't'),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        0x1b => short(b'e'),
        b'\\' => short(b'\\'),
        0x20..=0x7e => ([byte, 0, 0, 0], 1),
        _ => (
            [
                b'\\',
                b'x',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ],
            4,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_escaped() {
        let mut out = Vec::new();
        assert_eq!(dump_lines(b"GET /\x01\\ HTTP/1.1\r\n\r\n", 0, &mut out), None);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "  00000  GET /\\x01\\\\ HTTP/1.1\\r\\n\n  00018  \\r\\n\n"
        );
        let mut out = Vec::new();
        assert_eq!(dump_lines(&[b'a'; 100], 0, &mut out), None);
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.len() < WIDTH));
        assert!(text.lines().nth(1).unwrap().contains('+'));
    }

    #[test]
    fn long_messages_come_in_pieces() {
        let bytes = b"x\n".repeat(100);
        let mut out = Vec::new();
        let mut from = Some(0);
        let mut pieces = 0;
        while let Some(at) = from {
            from = dump_lines(&bytes, at, &mut out);
            pieces += 1;
        }
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 100);
        assert_eq!(pieces, 4);
    }
}
