//! Playing of cases: one proxy per group, fresh clients and cleared origins per case.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::actors::{Actors, Done, Doors, Seen};
use super::counters::{Counters, View as Columns};
use super::places::Places;
use super::view::{Masks, View};
use super::{Case, Config, File, Flags, process, show};
use crate::origin::Origin;
use crate::program::Program;
use crate::proxy::{Proxy, Setup};
use crate::text::{join_chunks, mask_pages};
use crate::{PATIENCE, caught, gauges, wait_for};

/// How long what a case used may take to be given back: the longest time-out that a case leaves behind.
const UNTIL_LEVEL: Duration = Duration::from_secs(6);

/// Where the runtime socket is asked.
const SOCKET: &str = "stats socket fd@${cli} level admin";

/// What gives listeners rows in `show stat`.
const LISTENERS: &str = "option socket-stats";

/// What stands around the proxy of a group.
struct Stage<'a> {
    program: &'a Program,
    proxy: Option<Proxy>,
    places: Places,
    config: String,
    /// When the first case began.
    start: SystemTime,
}

/// Plays the cases of a group one after the other, in one process as long as it lives, until `done` wants no more.
pub(super) fn group(
    program: &Program,
    group: &[usize],
    file: &File,
    record: bool,
    mut done: impl FnMut(usize, Vec<String>) -> bool,
) {
    let (cases, flags) = (&file.cases, &file.flags);
    if flags.process {
        for index in group {
            if !done(*index, process::play(program, &cases[*index], flags, record)) {
                return;
            }
        }
        return;
    }
    let mut stage = Stage::new(program, &cases[group[0]].config, flags);
    for index in group {
        let case = &cases[*index];
        // A case that cannot be played (the proxy does not start) is a difference like any other.
        let played = caught(|| stage.play(case, flags, record));
        let mut lines = played.unwrap_or_else(|text| why("played", &text));
        let dead = stage.proxy.as_mut().and_then(Proxy::exited);
        if let Some(status) = dead {
            let output = stage.proxy.as_ref().map(Proxy::output).unwrap_or_default();
            lines.push(format!("= the proxy died: {status}"));
            lines.extend(output.lines().map(String::from));
            stage.proxy = None;
        }
        if !done(*index, lines) {
            return;
        }
    }
    if let Some(proxy) = stage.proxy.take()
        && let Err(text) = caught(|| proxy.stop())
        && let Some(last) = group.last()
    {
        done(*last, why("stopped", &text));
    }
}

/// How the result of a case begins that could not be played, which is a difference like any other, and nothing to record.
pub(super) const UNPLAYED: &str = "= not ";

/// What a panic said, as lines of a case.
pub(super) fn why(what: &str, text: &str) -> Vec<String> {
    text.lines().map(|l| format!("{UNPLAYED}{what}: {l}")).collect()
}

impl<'a> Stage<'a> {
    fn new(program: &'a Program, config: &Config, flags: &Flags) -> Self {
        let text = whole(config, flags);
        let places = Places::new(&text, &config.at);
        Self {
            program,
            proxy: None,
            config: places.resolve(&text),
            places,
            start: SystemTime::now(),
        }
    }

    fn play(&mut self, case: &Case, flags: &Flags, record: bool) -> Vec<String> {
        let config = self.config.clone();
        let proxy = self.proxy.get_or_insert_with(|| {
            let mut setup = Setup::new(config).program(&self.program.path);
            setup.files = case.config.beside(str::to_string);
            setup.env.clone_from(&case.config.env);
            let proxy = setup.start();
            let ready = wait_for(PATIENCE, || self.places.are_open().then_some(()));
            assert!(ready.is_some(), "nobody listens: {}", proxy.output());
            proxy
        });
        self.places.begin(case, !flags.shared);
        let before = flags.counters.then(|| Counters::read(proxy));
        let mut ports = proxy.addrs().clone();
        ports.extend(self.places.free.clone());
        let doors = Doors {
            ports,
            dir: proxy.dir.path().to_path_buf(),
            pid: proxy.pid(),
        };
        let mut actors = Actors::new(doors, &self.places);
        for step in &case.steps {
            actors.step(step);
        }
        let done = actors.finish(flags.probe);
        self.result(case, flags, record, done, before.as_ref())
    }

    fn result(
        &self,
        case: &Case,
        flags: &Flags,
        record: bool,
        mut done: Done,
        counters: Option<&Counters>,
    ) -> Vec<String> {
        let mut masks = Masks::new(self.program, self.start);
        masks.names.append(&mut done.names);
        masks.names.extend(self.places.masks());
        if let Some(proxy) = &self.proxy {
            let named = |(n, a): (&String, &SocketAddr)| (a.port().to_string(), format!("{{{n}}}"));
            masks.names.extend(proxy.addrs().iter().map(named));
            masks.names.push((proxy.pid().to_string(), "{pid}".into()));
            masks.tmp = proxy.dir.path().display().to_string();
        }
        let zone = case.config.env.iter().find(|(name, _)| name == "TZ");
        masks.zone = zone.map(|(_, value)| value.clone());
        let records = self.places.origins.values().flat_map(Origin::records);
        masks
            .peers
            .extend(records.filter_map(|record| Some(record.from?.port())));
        let mut lines = clients(&done.clients, &case.view, &mut masks);
        lines.extend(
            done.answers
                .iter()
                .flat_map(|answer| answer.lines(&case.view, &masks)),
        );
        let logs = self.places.logs(case, flags, record);
        lines.extend(self.places.origin_lines(flags, &masks.names));
        if let (Some(before), Some(proxy)) = (counters, &self.proxy) {
            lines.push("= counters".into());
            let view = Columns {
                has_pages: !masks.pages.is_empty(),
                is_short: self.config.contains("tune.bufsize 1024\n"),
                is_alone: !flags.shared,
                slots: flags.slots,
            };
            lines.extend(Counters::read(proxy).since(before, view));
        }
        lines.extend(log_lines(&logs, flags, &masks));
        lines.extend(self.left(flags));
        lines
    }

    /// What is still in use when all clients and origins of the case are gone.
    fn left(&self, flags: &Flags) -> Vec<String> {
        let Some(proxy) = self.proxy.as_ref().filter(|_| flags.counters) else {
            return Vec::new();
        };
        self.places.origins.values().for_each(Origin::hang_up);
        let left = || gauges::in_use(proxy, self.program.is_rproxy());
        let mut last = Vec::new();
        wait_for(UNTIL_LEVEL, || {
            last = left();
            last.is_empty().then_some(())
        });
        if !last.is_empty() {
            last.insert(0, "= left".into());
        }
        last
    }
}

/// What the clients saw. The sizes of the pages among it that the proxy made go to the masks.
pub(super) fn clients(clients: &[Seen], view: &View, masks: &mut Masks) -> Vec<String> {
    let mut lines = Vec::new();
    for seen in clients {
        lines.push(format!("= {}", seen.who));
        if seen.asks {
            lines.extend(view.answer(&seen.got, masks));
        } else {
            let (masked, sizes) = mask_pages(&seen.got);
            masks.pages.extend(sizes);
            lines.extend(show::bytes(show::TO_CLIENT, &join_chunks(&masked), &masks.names));
        }
        lines.extend(seen.notes.iter().cloned());
    }
    lines
}

/// Log lines, by target.
pub(super) fn log_lines(logs: &[(String, Vec<String>)], flags: &Flags, masks: &Masks) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, log) in logs.iter().filter(|(_, log)| !log.is_empty()) {
        lines.push(format!("= {name}"));
        lines.extend(log.iter().map(|l| format!(". {}", show::log(l, flags, masks))));
    }
    lines
}

/// The configuration of a case as one text, placeholders still in it.
fn whole(config: &Config, flags: &Flags) -> String {
    let text = if config.whole.is_empty() {
        usual(config)
    } else {
        config.whole.join("\n") + "\n"
    };
    if !flags.counters {
        return text;
    }
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(line);
        match line.split(' ').next() {
            Some("global") if !text.contains("stats socket ") => lines.push(SOCKET),
            // Listeners have rows of their own then.
            Some("frontend" | "listen") => lines.push(LISTENERS),
            _ => {}
        }
    }
    lines.join("\n") + "\n"
}

/// The usual configuration with what a case adds to it.
fn usual(config: &Config) -> String {
    let mut text = String::new();
    let mut section = |head: &str, first: &[&str], lines: &[String], last: &[String]| {
        text.push_str(head);
        let first = first.iter().map(ToString::to_string);
        for line in first.chain(lines.iter().cloned()).chain(last.iter().cloned()) {
            text.push_str(&format!("\n    {line}"));
        }
        text.push('\n');
    };
    let own = |lines: &[String], word: &str| lines.iter().any(|l| l.starts_with(word));
    let log = if own(&config.global, "log ") {
        ""
    } else {
        "log {log} local0"
    };
    let kind: &[&str] = match () {
        () if own(&config.defaults, "mode tcp") => &[],
        () if own(&config.defaults, "# no httplog") => &["mode http"],
        () => &["mode http", "option httplog"],
    };
    let times = [
        "log global",
        "timeout connect 1s",
        "timeout client 700ms",
        "timeout server 700ms",
    ];
    let usual = [kind, &times[..]].concat();
    section("global", &["nbthread 1", log], &config.global, &[]);
    section("defaults", &usual, &config.defaults, &[]);
    section(
        "frontend fe",
        &["bind \"fd@${fe}\""],
        &config.frontend,
        &["default_backend be".into()],
    );
    let server = format!("server s1 {{s1}} {}", config.server.join(" "));
    section("backend be", &[], &config.backend, &[server]);
    text
}
