//! `show stat` and `show info`, one piece at a time: each step writes one line, so that an answer of any length
//! needs little memory and can wait for the peer between two lines.

use super::info::{FIELDS, InfoView, PoolSums};
use super::views::{Line, Scene};
use super::{csv, json, rows, typed};
use crate::engine::service::Cx;
use crate::model::ids::ProxyId;
use crate::model::listener::Level;
use crate::model::state::Health;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// CSV, or `Name: value` for `show info`.
    #[default]
    Plain,
    /// `typed`.
    Typed,
    /// `json`.
    Json,
}

/// Which objects `show stat` prints: `<iid> <type> <sid>`, where -1 stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Number of the proxy.
    pub proxy: i64,
    /// Kinds, as a sum of 1 frontend, 2 backend, 4 server, 8 listener.
    pub kinds: i64,
    /// Number of the server or listener.
    pub object: i64,
}

const FRONTEND: i64 = 1;
const BACKEND: i64 = 2;
const SERVER: i64 = 4;
const LISTENER: i64 = 8;

impl Bound {
    /// Everything.
    pub const ALL: Self = Self {
        proxy: -1,
        kinds: -1,
        object: -1,
    };

    fn has_proxy(self, uuid: u32) -> bool {
        self.proxy == -1 || self.proxy == i64::from(uuid)
    }

    fn has_kind(self, kind: i64) -> bool {
        self.kinds & kind != 0
    }

    fn has_object(self, number: u32) -> bool {
        self.object == -1 || self.object == i64::from(number)
    }
}

/// What `show stat` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatOptions {
    /// How to print.
    pub format: Format,
    /// With the meaning of each field (`desc`, typed output only).
    pub docs: bool,
    /// Without servers in maintenance (`no-maint`).
    pub hide_maint: bool,
    /// Without servers that are down (`up`).
    pub hide_down: bool,
    /// Which objects.
    pub bound: Bound,
    /// Rights of the socket: users do not see addresses.
    pub level: Level,
}

impl Default for StatOptions {
    fn default() -> Self {
        Self {
            format: Format::Plain,
            docs: false,
            hide_maint: false,
            hide_down: false,
            bound: Bound::ALL,
            level: Level::User,
        }
    }
}

/// Where `show stat` goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Frontend,
    Listener(usize),
    Server(usize),
    Backend,
    Tail,
    End,
}

/// `show stat` under way.
#[derive(Debug)]
pub struct StatDump {
    options: StatOptions,
    proxy: usize,
    stage: Stage,
    started: bool,
}

impl StatDump {
    /// The first step comes.
    pub fn new(options: StatOptions) -> Self {
        Self {
            options,
            proxy: 0,
            stage: Stage::Head,
            started: false,
        }
    }

    /// Writes the next piece; false when there is none left.
    pub fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        let bound = self.options.bound;
        match self.stage {
            Stage::Head => {
                match self.options.format {
                    Format::Plain => csv::header(out),
                    Format::Typed => {}
                    Format::Json => out.push(b'['),
                }
                self.enter_proxy(cx, 0);
            }
            Stage::Frontend => {
                self.stage = Stage::Listener(0);
                if cx.config.proxies[self.proxy].caps.frontend && bound.has_kind(FRONTEND) {
                    self.print(&Line::frontend(self.scene(cx), self.proxy_id(cx)), out);
                }
            }
            Stage::Listener(nth) => self.listener(nth, cx, out),
            Stage::Server(nth) => self.server(nth, cx, out),
            Stage::Backend => {
                if cx.config.proxies[self.proxy].caps.backend && bound.has_kind(BACKEND) {
                    self.print(&Line::backend(self.scene(cx), self.proxy_id(cx)), out);
                }
                self.enter_proxy(cx, self.proxy + 1);
            }
            Stage::Tail => {
                if self.options.format == Format::Json {
                    out.extend_from_slice(b"]\n");
                }
                self.stage = Stage::End;
            }
            Stage::End => return false,
        }
        true
    }

    /// Goes to the first proxy from that place on that is to be shown.
    fn enter_proxy(&mut self, cx: &Cx<'_>, from: usize) {
        let rest = cx.config.proxies.iter().enumerate().skip(from);
        let next = rest
            .filter(|(_, proxy)| !proxy.disabled && self.options.bound.has_proxy(proxy.uuid))
            .map(|(place, _)| place)
            .next();
        match next {
            Some(place) => {
                self.proxy = place;
                self.stage = Stage::Frontend;
            }
            None => self.stage = Stage::Tail,
        }
    }

    fn listener(&mut self, nth: usize, cx: &Cx<'_>, out: &mut Vec<u8>) {
        let proxy = &cx.config.proxies[self.proxy];
        let shown = proxy.options.socket_stats && self.options.bound.has_kind(LISTENER);
        let Some(id) = proxy.listeners.get(nth).filter(|_| shown) else {
            self.stage = Stage::Server(0);
            return;
        };
        self.stage = Stage::Listener(nth + 1);
        if self.options.bound.has_object(cx.config.listener(*id).luid) {
            self.print(&Line::listener(self.scene(cx), self.proxy_id(cx), *id), out);
        }
    }

    fn server(&mut self, nth: usize, cx: &Cx<'_>, out: &mut Vec<u8>) {
        let proxy = &cx.config.proxies[self.proxy];
        let shown = self.options.bound.has_kind(SERVER);
        let Some(id) = proxy.servers.get(nth).filter(|_| shown) else {
            self.stage = Stage::Backend;
            return;
        };
        self.stage = Stage::Server(nth + 1);
        // Without health checks a server is down by maintenance only.
        let hidden = (self.options.hide_maint || self.options.hide_down)
            && cx.state.server(*id).health == Health::Maint;
        if !hidden && self.options.bound.has_object(cx.config.server(*id).puid) {
            self.print(&Line::server(self.scene(cx), self.proxy_id(cx), *id), out);
        }
    }

    fn proxy_id(&self, cx: &Cx<'_>) -> ProxyId {
        cx.config.proxies[self.proxy].id
    }

    fn scene<'a>(&self, cx: &'a Cx<'_>) -> Scene<'a> {
        Scene {
            config: cx.config,
            state: cx.state,
            now: cx.now,
            legends: self.options.level >= Level::Operator,
            filtered: self.options.hide_maint || self.options.hide_down,
        }
    }

    fn print(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        match self.options.format {
            Format::Plain => csv::line(line, out),
            Format::Typed => {
                for number in 0..rows::count() {
                    typed::field(line, number, self.options.docs, out);
                }
            }
            Format::Json => {
                if self.started {
                    out.push(b',');
                }
                out.push(b'[');
                let mut first = true;
                for number in 0..rows::count() {
                    first &= !json::field(line, number, first, out);
                }
                out.push(b']');
            }
        }
        self.started = true;
    }
}

/// What `show info` was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InfoOptions {
    /// How to print.
    pub format: Format,
    /// With the meaning of each field (`desc`).
    pub docs: bool,
    /// Times and rates with fractions (`float`).
    pub float: bool,
}

/// Writes the whole of `show info`: at most some kilobytes.
pub fn info(options: InfoOptions, cx: &Cx<'_>, out: &mut Vec<u8>) {
    let view = InfoView {
        config: cx.config,
        state: cx.state,
        now: cx.now,
        gauges: cx.sights.gauges(),
        pools: PoolSums::of(cx.sights),
        float: options.float,
    };
    let mut first = true;
    if options.format == Format::Json {
        out.push(b'[');
    }
    for (number, field) in FIELDS.iter().enumerate() {
        let value = field.value(&view);
        if value.type_name().is_none() {
            continue;
        }
        let doc = options.docs.then_some(field.doc);
        match options.format {
            Format::Plain => csv::info(field.name, &value, doc, out),
            Format::Typed => typed::info(number, field.name, field.tag, &value, doc, out),
            Format::Json => first &= !json::info(number, field.name, field.tag, &value, first, out),
        }
    }
    if options.format == Format::Json {
        out.extend_from_slice(b"]\n");
    }
}
