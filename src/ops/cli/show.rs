//! The plain `show` commands. Each answers from the model and what the engine lets be seen.

use super::answer::{Answer, Dump};
use super::sess::server_id;
use super::table::Call;
use crate::base::addr::{Addr, Target, Transport};
use crate::engine::service::Cx;
use crate::model::listener::Level;
use crate::ops::stats::dump::{Bound, Format, InfoOptions, StatDump, StatOptions, info as dump_info};
use crate::ops::version;

/// `show backend`
pub(super) fn backend(_call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let backends = cx.config.proxies.iter().filter(|proxy| proxy.caps.backend);
    let names: String = backends.map(|proxy| format!("{}\n", proxy.name)).collect();
    Answer::Output(format!("# name\n{names}").into_bytes())
}

/// `show cli level`
pub(super) fn cli_level(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    Answer::info(level_name(call.talk.level))
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::User => "user",
        Level::Operator => "operator",
        Level::Admin => "admin",
    }
}

/// `show cli sockets`
pub(super) fn cli_sockets(_call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    Answer::Dump(Dump::Sockets(SocketsDump { next: None }))
}

/// `echo <text>`
pub(super) fn echo(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    Answer::info(call.args.join(" "))
}

/// `get weight <backend>/<server>`
pub(super) fn weight(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    match server_id(call.arg(0), cx) {
        Ok(id) => Answer::info(format!(
            "{} (initial {})",
            cx.state.server(id).weight,
            cx.config.server(id).weight
        )),
        Err(answer) => answer,
    }
}

/// `show env [var]`
pub(super) fn env(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let wanted = call.arg(0);
    if wanted.is_empty() {
        return Answer::Dump(Dump::Env(EnvDump { next: 0 }));
    }
    let mut variables = (0..).map_while(|number| cx.sights.env(number));
    match variables.find(|(name, _)| *name == wanted.as_bytes()) {
        Some((name, value)) => Answer::Output([name, b"=", value, b"\n"].concat()),
        None => Answer::error("Variable not found"),
    }
}

/// `show info [desc|json|typed|float]*`
pub(super) fn info(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let mut options = InfoOptions::default();
    for word in call.args {
        match word.as_str() {
            "typed" => options.format = Format::Typed,
            "json" => options.format = Format::Json,
            "desc" => options.docs = true,
            "float" => options.float = true,
            _ => {}
        }
    }
    let mut out = Vec::new();
    dump_info(options, cx, &mut out);
    Answer::Output(out)
}

/// `show pools`
pub(super) fn pools(_call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    Answer::Dump(Dump::Pools(PoolsDump::default()))
}

/// `show stat [domain proxy] [<proxy> <kinds> <object>] [desc|json|no-maint|typed|up]*`
pub(super) fn stat(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let mut options = StatOptions {
        level: call.talk.socket_level,
        ..StatOptions::default()
    };
    let mut args = call.args;
    if let [domain, name, rest @ ..] = args
        && domain == "domain"
    {
        // Name servers have no statistics yet: the domain is there and holds nothing.
        if name == "resolvers" {
            return Answer::Done;
        }
        if name != "proxy" {
            return Answer::error("Invalid statistics domain.");
        }
        args = rest;
    } else if args.first().is_some_and(|word| word == "domain") {
        return Answer::error("Invalid statistics domain.");
    }
    if let [proxy, kinds, object, rest @ ..] = args {
        let named = cx
            .config
            .proxies
            .iter()
            .find(|candidate| *candidate.name == **proxy);
        let number = named.map_or_else(|| leading_int(proxy), |found| i64::from(found.uuid));
        if number == 0 {
            return Answer::error("No such proxy.");
        }
        options.bound = Bound {
            proxy: number,
            kinds: leading_int(kinds),
            object: leading_int(object),
        };
        args = rest;
    }
    for word in args {
        match word.as_str() {
            "typed" => options.format = Format::Typed,
            "json" => options.format = Format::Json,
            "desc" => options.docs = true,
            "no-maint" => options.hide_maint = true,
            "up" => options.hide_down = true,
            _ => {}
        }
    }
    Answer::Dump(Dump::Stat(StatDump::new(options)))
}

/// `show version`
pub(super) fn version(_call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    Answer::info(version::VERSION)
}

/// The number at the front of a word, 0 when there is none: as C's atoi reads.
pub(super) fn leading_int(word: &str) -> i64 {
    let word = word.trim_start();
    let digits_from = usize::from(word.starts_with(['-', '+']));
    let end = word
        .bytes()
        .skip(digits_from)
        .take_while(u8::is_ascii_digit)
        .count()
        + digits_from;
    let number = word.get(..end).unwrap_or_default();
    let limit = if number.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    match number.parse() {
        Ok(value) => value,
        Err(_) if end > digits_from => limit,
        Err(_) => 0,
    }
}

/// `show cli sockets` under way.
#[derive(Debug)]
pub struct SocketsDump {
    next: Option<usize>,
}

impl SocketsDump {
    /// Writes one line; false at the end.
    pub(super) fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        let Some(place) = self.next else {
            out.extend_from_slice(b"# socket lvl processes\n");
            if let Some(link) = cx.sights.gauges().master_link {
                let level = level_name(Level::Admin);
                out.extend_from_slice(format!("sockpair@{link} {level} all\n").as_bytes());
            }
            self.next = Some(0);
            return true;
        };
        let Some(id) = cx.config.global.stats_sockets.get(place) else {
            return false;
        };
        let listener = cx.config.listener(*id);
        let addr = socket_text(&listener.addr, cx.state.listener(*id).bound);
        out.extend_from_slice(format!("{addr} {} all\n", level_name(listener.level)).as_bytes());
        self.next = Some(place + 1);
        true
    }
}

fn socket_text(addr: &Addr, bound: Option<std::net::SocketAddr>) -> String {
    match (bound, &addr.target) {
        (Some(bound), _) if bound.is_ipv4() => format!("ipv4@{bound}"),
        (Some(bound), _) => format!("ipv6@{bound}"),
        (None, Target::Unix(path)) => format!("unix@{}", String::from_utf8_lossy(path)),
        (None, Target::Abstract { name, .. }) => format!("abns@{}", String::from_utf8_lossy(name)),
        (None, Target::SockPair(fd)) => format!("sockpair@{fd}"),
        (None, Target::Ip { ip, ports }) => {
            let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
            let plain = Addr {
                transport: Transport::Stream,
                target: Target::Ip {
                    ip: *ip,
                    ports: *ports,
                },
            };
            format!("{family}@{plain}")
        }
        (None, Target::Fd(_) | Target::Name { .. }) => "unknown".to_owned(),
    }
}

/// `show env` under way.
#[derive(Debug)]
pub struct EnvDump {
    next: usize,
}

impl EnvDump {
    /// Writes one variable; false at the end.
    pub(super) fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        let Some((name, value)) = cx.sights.env(self.next) else {
            return false;
        };
        for part in [name, b"=", value, b"\n"] {
            out.extend_from_slice(part);
        }
        self.next += 1;
        true
    }
}

/// `show pools` under way.
#[derive(Debug, Default)]
pub struct PoolsDump {
    next: usize,
    allocated_bytes: usize,
    used_bytes: usize,
    ended: bool,
}

impl PoolsDump {
    /// Writes one pool; false after the totals.
    pub(super) fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        if self.ended {
            return false;
        }
        if self.next == 0 {
            out.extend_from_slice(b"Dumping pools usage. Use SIGQUIT to flush them.\n");
        }
        let Some(pool) = cx.sights.pool(self.next) else {
            let totals = format!(
                "Total: {} pools, {} bytes allocated, {} used.\n",
                self.next, self.allocated_bytes, self.used_bytes
            );
            out.extend_from_slice(totals.as_bytes());
            self.ended = true;
            return true;
        };
        let allocated_bytes = pool.allocated.saturating_mul(pool.object_bytes);
        let line = format!(
            "  - Pool {} ({} bytes) : {} allocated ({allocated_bytes} bytes), {} used, needed_avg {}, {} failures\n",
            pool.name, pool.object_bytes, pool.allocated, pool.in_use, pool.peak, pool.refused
        );
        out.extend_from_slice(line.as_bytes());
        self.allocated_bytes = self.allocated_bytes.saturating_add(allocated_bytes);
        self.used_bytes = self
            .used_bytes
            .saturating_add(pool.in_use.saturating_mul(pool.object_bytes));
        self.next += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_does() {
        assert_eq!(leading_int("12abc"), 12);
        assert_eq!(leading_int("-1"), -1);
        assert_eq!(leading_int(" 7"), 7);
        assert_eq!(leading_int("abc"), 0);
        assert_eq!(leading_int("-"), 0);
        assert_eq!(leading_int("99999999999999999999"), i64::MAX);
    }
}
