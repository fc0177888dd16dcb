//! The getters of `show stat` that are more than one look at a number.

use std::net::{IpAddr, SocketAddr};

use super::field::Value;
use super::views::{BackendView, FrontendView, ListenerView, ServerView};
use crate::base::addr::Target as BindTarget;
use crate::base::freq::{Freq, SECOND_MS};
use crate::base::ticks::Ticks;
use crate::model::proxy::{Balance, Mode, Proxy};
use crate::model::server::{PortChoice, Target};
use crate::model::state::{Health, ListenerStatus};

/// `balance`, as the column spells it, for operators and admins.
pub(super) fn algorithm<'a>(view: &BackendView<'a>) -> Value<'a> {
    if !view.scene.legends {
        return Value::Empty;
    }
    Value::Str(match view.proxy.balance {
        Balance::RoundRobin => "roundrobin",
        Balance::StaticRr => "static-rr",
        Balance::LeastConn => "leastconn",
        Balance::First => "first",
        // HAProxy 3.4.0 has no word for it here.
        Balance::Random(_) => "unknown",
    })
}

/// Seconds that the backend was down, the present time included; empty without servers.
pub(super) fn backend_downtime<'a>(view: &BackendView<'a>) -> Value<'a> {
    if view.proxy.servers.is_empty() {
        return Value::Empty;
    }
    let mut down_s = view.counters.down_s;
    if view.weight == 0 {
        down_s = down_s.saturating_add(u64::from(seconds_since(
            view.scene.now,
            view.state.last_change_at,
        )));
    }
    Value::U32(u32::try_from(down_s).unwrap_or(u32::MAX))
}

/// UP or DOWN, and how many servers are up where some are left out.
pub(super) fn backend_status<'a>(view: &BackendView<'a>) -> Value<'a> {
    let word = if view.weight > 0 || view.proxy.servers.is_empty() {
        "UP"
    } else {
        "DOWN"
    };
    if view.scene.filtered {
        return Value::Text(format!(
            "{word} ({}/{})",
            view.servers_up,
            view.proxy.servers.len()
        ));
    }
    Value::Str(word)
}

/// State of a frontend.
pub(super) fn frontend_status(view: &FrontendView<'_>) -> &'static str {
    if view.state.stopped {
        "STOP"
    } else if view.state.paused {
        "PAUSED"
    } else {
        "OPEN"
    }
}

/// A count that has a meaning in HTTP mode only.
pub(super) fn http_only<'a>(proxy: &Proxy, count: u64) -> Value<'a> {
    match proxy.mode {
        Mode::Http => Value::U64(count),
        Mode::Tcp => Value::Empty,
    }
}

/// Seconds since a stream was last given to it, -1 for never.
pub(super) fn last_session<'a>(now: Ticks, last: Option<Ticks>) -> Value<'a> {
    let seconds = last.map_or(-1, |at| {
        i32::try_from(now.ms_since(at) / 1000).unwrap_or(i32::MAX)
    });
    Value::S32(seconds)
}

/// A limit, empty when there is none.
pub(super) fn limit<'a>(limit: u32) -> Value<'a> {
    if limit == 0 {
        Value::Empty
    } else {
        Value::U32(limit)
    }
}

fn socket_addr<'a>(ip: IpAddr, port: u16) -> Value<'a> {
    Value::Text(SocketAddr::new(ip, port).to_string())
}

/// Where a listener is bound, for operators and admins.
pub(super) fn listener_addr<'a>(view: &ListenerView<'a>) -> Value<'a> {
    if !view.scene.legends {
        return Value::Empty;
    }
    match (&view.listener.addr.target, view.state.bound) {
        (_, Some(bound)) => socket_addr(bound.ip(), bound.port()),
        (BindTarget::Ip { ip, ports }, None) => socket_addr(*ip, ports.low()),
        (BindTarget::Unix(_) | BindTarget::Abstract { .. }, None) => Value::Str("unix"),
        (BindTarget::Name { .. } | BindTarget::Fd(_) | BindTarget::SockPair(_), None) => Value::Empty,
    }
}

/// Name of a listener, made from its number when it has none.
pub(super) fn listener_name<'a>(view: &ListenerView<'a>) -> Value<'a> {
    match &view.listener.name {
        Some(name) => Value::Str(name),
        None => Value::Text(format!("sock-{}", view.listener.luid)),
    }
}

/// Protocol of a listener, as HAProxy names it.
pub(super) fn listener_protocol(view: &ListenerView<'_>) -> &'static str {
    view.listener.addr.protocol_name(view.state.bound)
}

/// State of a listener.
pub(super) fn listener_status(view: &ListenerView<'_>) -> &'static str {
    if view.listener.maxconn != 0 && view.state.conns >= view.listener.maxconn {
        "FULL"
    } else if view.state.status == ListenerStatus::Waiting {
        "WAITING"
    } else {
        "OPEN"
    }
}

/// `mode`.
pub(super) fn mode(proxy: &Proxy) -> &'static str {
    match proxy.mode {
        Mode::Http => "http",
        Mode::Tcp => "tcp",
    }
}

/// Events during the last second.
pub(super) fn rate<'a>(now: Ticks, freq: &Freq) -> Value<'a> {
    Value::U32(freq.rate(now, SECOND_MS))
}

/// Whole seconds from then to now.
pub(super) fn seconds_since(now: Ticks, then: Ticks) -> u32 {
    u32::try_from(now.ms_since(then) / 1000).unwrap_or(u32::MAX)
}

/// Where a server is, for operators and admins.
pub(super) fn server_addr<'a>(view: &ServerView<'a>) -> Value<'a> {
    if !view.scene.legends {
        return Value::Empty;
    }
    match &view.server.target {
        Target::Inet {
            ip: Some(IpAddr::V4(ip)),
            port,
            ..
        } => Value::Text(format!("{ip}:{}", port_text(*port))),
        Target::Inet {
            ip: Some(IpAddr::V6(ip)),
            port,
            ..
        } => Value::Text(format!("[{ip}]:{}", port_text(*port))),
        Target::Inet { ip: None, .. } => Value::Empty,
        Target::Unix(_) | Target::Abstract { .. } => Value::Str("unix"),
    }
}

fn port_text(port: PortChoice) -> i32 {
    match port {
        PortChoice::Fixed(port) => i32::from(port),
        PortChoice::Client(offset) => offset,
    }
}

/// State of a server. There are no health checks yet, so a server that is not in maintenance is always up.
pub(super) fn server_status(view: &ServerView<'_>) -> &'static str {
    match view.state.health {
        Health::Up => "no check",
        Health::Maint => "MAINT",
    }
}
