//! `show sess`: the streams, one line each, or in detail.
//!
//! The line has the fields of HAProxy 3.4.0 in their order. What has no counterpart here (flags, analysers, calls,
//! scheduling) is printed as 0; `scf` is the client's side, `scb` the server's. Source: management manual,
//! `show sess`.

use super::answer::{Answer, Dump};
use super::table::Call;
use crate::base::ticks::Ticks;
use crate::conf::units::{TimeUnit, parse_time};
use crate::engine::service::{Cx, SideSight, StreamSight};
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::txn::Endpoint;
use crate::policy::log::calendar::Civil;

const USAGE: &str = "Usage: show sess [<id> | all | help] [<options>*]\n\
    Lists the streams, one line each; with an id only that one, in detail.\n\
    \x20  <id>         the stream of that id (0x...)\n\
    \x20  all          every stream, in detail\n\
    \x20  help         this text\n\
    Options:\n\
    \x20  susp         only streams whose timer is missing or past\n\
    \x20  show-uri     with the request line\n\
    \x20  older <age>  only streams of at least that age, seconds\n\
    \x20  server <b/s> only streams on that server\n\
    \x20  backend <b>  only streams of that backend\n\
    \x20  frontend <f> only streams of that frontend";

/// Which streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    None,
    Server(ServerId),
    Backend(ProxyId),
    Frontend(ProxyId),
}

/// `show sess` under way.
#[derive(Debug)]
pub struct SessDump {
    place: usize,
    id: Option<u64>,
    detailed: bool,
    suspicious: bool,
    show_uri: bool,
    age_min_s: u32,
    filter: Filter,
    ended: bool,
}

/// `show sess [<id>|all|help] [opts...]`
pub(super) fn show(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let mut dump = SessDump {
        place: 0,
        id: None,
        detailed: false,
        suspicious: false,
        show_uri: false,
        age_min_s: 0,
        filter: Filter::None,
        ended: false,
    };
    let mut words = call.args.iter().map(String::as_str).peekable();
    match words.peek().copied() {
        Some("help") => return Answer::error(USAGE),
        Some("all") => {
            dump.detailed = true;
            words.next();
        }
        Some(word) => {
            if let Some(id) = stream_id(word) {
                dump.id = Some(id);
                dump.detailed = true;
                words.next();
            }
        }
        None => {}
    }
    while let Some(word) = words.next() {
        let applied = match word {
            "susp" => {
                dump.suspicious = true;
                Ok(())
            }
            "show-uri" => {
                dump.show_uri = true;
                Ok(())
            }
            "older" => dump.older(words.next()),
            "server" | "backend" | "frontend" => dump.only(word, words.next(), cx),
            _ => Err(Answer::error(format!(
                "Unsupported option '{word}', try 'help' for more info."
            ))),
        };
        if let Err(answer) = applied {
            return answer;
        }
    }
    Answer::Dump(Dump::Sess(dump))
}

/// A stream's id as it is printed, or a plain number; `None` for a word.
fn stream_id(word: &str) -> Option<u64> {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.ok().filter(|id| *id != 0)
}

impl SessDump {
    fn older(&mut self, age: Option<&str>) -> Result<(), Answer> {
        let Some(age) = age else {
            return Err(Answer::error("Expects a minimum age (in seconds by default)."));
        };
        match parse_time(age.as_bytes(), TimeUnit::S) {
            Ok(time) if time.trailing.is_none() => {
                self.age_min_s = time.value;
                Ok(())
            }
            _ => Err(Answer::error("Invalid age.")),
        }
    }

    fn only(&mut self, kind: &str, name: Option<&str>, cx: &Cx<'_>) -> Result<(), Answer> {
        if self.filter != Filter::None {
            return Err(Answer::error(
                "Only one of backend, frontend or server may be set.",
            ));
        }
        let Some(name) = name else {
            return Err(Answer::error(match kind {
                "server" => "Missing server name (<backend>/<server>).",
                "backend" => "Missing backend name.",
                _ => "Missing frontend name.",
            }));
        };
        self.filter = match kind {
            "server" => Filter::Server(server_id(name, cx)?),
            "backend" => Filter::Backend(backend_id(name, cx)?),
            _ => {
                let found = cx.config.frontend_by_name.get(name).copied();
                Filter::Frontend(found.ok_or_else(|| Answer::error("No such frontend."))?)
            }
        };
        Ok(())
    }

    fn wants(&self, stream: &StreamSight<'_>, now: Ticks) -> bool {
        let filtered = match self.filter {
            Filter::None => true,
            Filter::Server(id) => stream.server == Some(id),
            Filter::Backend(id) => stream.backend == Some(id),
            Filter::Frontend(id) => stream.frontend == Some(id),
        };
        let old = now.ms_since(stream.begun.at) / 1000 >= u64::from(self.age_min_s);
        let suspicious = !self.suspicious || stream.deadline.is_never() || stream.deadline.is_past(now);
        filtered && old && suspicious && self.id.is_none_or(|id| stream.id == id)
    }

    /// Writes one stream; false at the end.
    pub(super) fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        if self.ended {
            return false;
        }
        let Some((place, stream)) = cx.sights.stream_from(self.place) else {
            if self.id.is_some() {
                out.extend_from_slice(b"Session not found.\n");
            }
            self.ended = true;
            return true;
        };
        self.place = place + 1;
        if !self.wants(&stream, cx.now) {
            return true;
        }
        let text = if self.detailed {
            detail(&stream, cx)
        } else {
            line(&stream, self.show_uri, cx)
        };
        out.extend_from_slice(text.as_bytes());
        self.ended = self.id.is_some();
        true
    }
}

/// The server of a name `backend/server`.
pub(super) fn server_id(name: &str, cx: &Cx<'_>) -> Result<ServerId, Answer> {
    let (backend, server) = name
        .split_once('/')
        .filter(|(_, server)| !server.is_empty())
        .ok_or_else(|| Answer::error("Require 'backend/server'."))?;
    let backend = backend_id(backend, cx)?;
    let mut servers = cx.config.proxy(backend).servers.iter().copied();
    let found = servers.find(|id| *cx.config.server(*id).name == *server);
    found.ok_or_else(|| Answer::error("No such server."))
}

fn backend_id(name: &str, cx: &Cx<'_>) -> Result<ProxyId, Answer> {
    let found = cx.config.backend_by_name.get(name).copied();
    found.ok_or_else(|| Answer::error("No such backend."))
}

/// A time in its two largest units, as `7s`, `1m5s`, `2h3m`.
fn human(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let text: String = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .take(2)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Time left until a deadline: nothing when there is none, `?` when it is past.
fn left(deadline: Ticks, now: Ticks) -> String {
    match deadline.ms_left(now) {
        None => String::new(),
        Some(0) => "?".to_owned(),
        Some(ms) => human(ms / 1000),
    }
}

/// The states of a side by number, as HAProxy counts them.
fn phase_number(phase: &str) -> u8 {
    const PHASES: [&str; 11] = [
        "INI", "REQ", "QUE", "TAR", "ASS", "CON", "CER", "RDY", "EST", "DIS", "CLO",
    ];
    let place = PHASES.iter().position(|name| *name == phase).unwrap_or(0);
    u8::try_from(place).unwrap_or(0)
}

fn side(side: &SideSight, now: Ticks) -> String {
    format!(
        "[{},0h,fd={},rex={},wex={}]",
        phase_number(side.phase),
        side.fd,
        left(side.read_deadline, now),
        left(side.write_deadline, now)
    )
}

fn protocol(id: ListenerId, cx: &Cx<'_>) -> &'static str {
    let addr = &cx.config.listener(id).addr;
    addr.protocol_name(cx.state.listener(id).bound)
}

fn source(stream: &StreamSight<'_>, cx: &Cx<'_>) -> String {
    match stream.src {
        Endpoint::Inet(addr) => format!("{}:{}", addr.ip(), addr.port()),
        Endpoint::Unix | Endpoint::Unknown => format!("unix:{}", cx.config.listener(stream.listener).luid),
    }
}

fn name<'a>(id: Option<ProxyId>, none: &'a str, cx: &'a Cx<'_>) -> &'a str {
    id.map_or(none, |id| &cx.config.proxy(id).name)
}

fn line(stream: &StreamSight<'_>, show_uri: bool, cx: &Cx<'_>) -> String {
    let mut text = format!(
        "{:#x}: proto={} src={} fe={} be={} srv={} ts=00 epoch=0 age={} calls=1 rate=0 cpu=0 lat=0 \
         rq[f=000000h,i={},an=00h,ax=] rp[f=000000h,i={},an=00h,ax=] scf={} scb={} exp={} rc={} c_exp=",
        stream.id,
        protocol(stream.listener, cx),
        source(stream, cx),
        name(stream.frontend, "GLOBAL", cx),
        name(stream.backend, "<NONE>", cx),
        stream.server.map_or("<none>", |id| &cx.config.server(id).name),
        human(cx.now.ms_since(stream.begun.at) / 1000),
        stream.front.pending_bytes,
        stream.back.pending_bytes,
        side(&stream.front, cx.now),
        side(&stream.back, cx.now),
        left(stream.deadline, cx.now),
        stream.retries,
    );
    if show_uri && !stream.request_line.is_empty() {
        text.push_str(&format!(" uri=\"{}\"", stream.request_line.escape_ascii()));
    }
    text.push('\n');
    text
}

fn detail(stream: &StreamSight<'_>, cx: &Cx<'_>) -> String {
    let at = Civil::new(stream.begun.wall_us / 1_000_000, cx.zone);
    let date = at.with_milliseconds(u32::try_from(stream.begun.wall_us / 1000 % 1000).unwrap_or(0));
    let listener = cx.config.listener(stream.listener);
    let id_of = |id: Option<ProxyId>| id.map_or(-1, |id| i64::from(cx.config.proxy(id).uuid));
    let server = stream.server.map(|id| cx.config.server(id));
    let mut text = format!(
        "{:#x}: [{}] id={} proto={} source={}\n\
         \x20 conn_retries={} exp={} age={}\n\
         \x20 frontend={} (id={}), listener={} (id={})\n\
         \x20 backend={} (id={})\n\
         \x20 server={} (id={})\n",
        stream.id,
        String::from_utf8_lossy(&date),
        stream.counter,
        protocol(stream.listener, cx),
        source(stream, cx),
        stream.retries,
        left(stream.deadline, cx.now),
        human(cx.now.ms_since(stream.begun.at) / 1000),
        name(stream.frontend, "GLOBAL", cx),
        id_of(stream.frontend),
        listener.name.as_deref().unwrap_or("?"),
        listener.luid,
        name(stream.backend, "<NONE>", cx),
        id_of(stream.backend),
        server.map_or("<NONE>", |server| &server.name),
        server.map_or(-1, |server| i64::from(server.puid)),
    );
    for (label, side) in [("scf", &stream.front), ("scb", &stream.back)] {
        text.push_str(&format!(
            "  {label}: state={} fd={} pending={} rex={} wex={}\n",
            side.phase,
            side.fd,
            side.pending_bytes,
            left(side.read_deadline, cx.now),
            left(side.write_deadline, cx.now)
        ));
    }
    if !stream.request_line.is_empty() {
        text.push_str(&format!("  uri=\"{}\"\n", stream.request_line.escape_ascii()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_show_two_units() {
        assert_eq!(human(0), "0s");
        assert_eq!(human(65), "1m5s");
        assert_eq!(human(3600), "1h");
        assert_eq!(human(90_061), "1d1h");
        assert_eq!(left(Ticks::NEVER, Ticks::ZERO), "");
        assert_eq!(left(Ticks::from_ms(9_500), Ticks::from_ms(500)), "9s");
    }

    #[test]
    fn ids_are_numbers() {
        assert_eq!(stream_id("0x1f"), Some(31));
        assert_eq!(stream_id("12"), Some(12));
        assert_eq!(stream_id("susp"), None);
        assert_eq!(stream_id("0"), None);
    }
}
