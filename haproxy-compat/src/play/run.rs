//! Playing of cases: one proxy per group, fresh clients and cleared origins per case.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::counters::{Counters, View};
use super::places::{Places, connect, listeners, route};
use super::show::Masks;
use super::{Case, Config, File, Flags, Step, show};
use crate::client::{Client, End};
use crate::dates::Span;
use crate::origin::Origin;
use crate::program::Program;
use crate::proxy::{Proxy, Setup};
use crate::text::{escape, join_chunks, mask_numbers, mask_pages, proxy_v2_as_text};
use crate::{PATIENCE, caught, cli, gauges, wait_for};

const QUIET: Duration = Duration::from_millis(150);
/// An end that takes longer than this came from a time-out and not from what happened before.
const LATE: Duration = Duration::from_millis(450);

/// How long the answer to a probe may take.
const PROBED: Duration = Duration::from_millis(1_500);

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
    let mut stage = Stage::new(program, &cases[group[0]].config, flags);
    for index in group {
        let case = &cases[*index];
        // A case that cannot be played (the proxy does not start) is a difference like any other.
        let played = caught(|| stage.play(case, flags, record));
        let mut lines =
            played.unwrap_or_else(|text| text.lines().map(|l| format!("= not played: {l}")).collect());
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
        done(
            *last,
            text.lines().map(|l| format!("= not stopped: {l}")).collect(),
        );
    }
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
            setup.files = case.config.files.clone();
            let proxy = setup.start();
            let ready = wait_for(PATIENCE, || self.places.are_open().then_some(()));
            assert!(ready.is_some(), "nobody listens: {}", proxy.output());
            proxy
        });
        let script = |name: &str| {
            case.origins
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, s)| s.clone())
        };
        for (name, origin) in &self.places.origins {
            origin.reset(script(name).unwrap_or_default());
        }
        if let Some(sink) = self.places.sinks.get("log") {
            // The start messages, and what is left of the case before.
            sink.collect(
                usize::from(!flags.shared),
                Duration::from_millis(5),
                Duration::ZERO,
                |_| true,
            );
        }
        let before = flags.counters.then(|| Counters::read(proxy));
        let mut actors = Actors {
            proxy,
            places: &self.places,
            list: BTreeMap::new(),
            answers: Vec::new(),
            target: BTreeMap::new(),
        };
        for step in &case.steps {
            actors.step(step);
        }
        let names: Vec<char> = actors.list.keys().copied().collect();
        for who in names {
            if flags.probe {
                actors.probe(who);
            } else {
                actors.with(who, |c| c.read_quiet(QUIET));
            }
        }
        let done = actors_done(actors);
        self.result(case, flags, record, done, before.as_ref())
    }

    fn result(
        &self,
        case: &Case,
        flags: &Flags,
        record: bool,
        done: Done,
        counters: Option<&Counters>,
    ) -> Vec<String> {
        let mut names = done.names;
        let mut lines = Vec::new();
        let mut pages = Vec::new();
        if let Some(proxy) = &self.proxy {
            names.extend(known(&self.places, proxy));
        }
        for (who, got, notes) in done.clients {
            lines.push(format!("= {who}"));
            let (masked, sizes) = mask_pages(&got);
            pages.extend(sizes);
            lines.extend(show::bytes('<', &join_chunks(&masked), &names));
            lines.extend(notes);
        }
        lines.extend(done.answers.iter().map(|line| mask_numbers(line, &names)));
        let logs = self.logs(case, flags, record);
        self.settle();
        for (name, origin) in &self.places.origins {
            for (index, conn) in origin.records().iter().enumerate() {
                lines.push(format!("= {name} connection {}", index + 1));
                if flags.routes {
                    lines.push(route(conn, &names));
                }
                lines.extend(show::bytes(
                    '>',
                    &join_chunks(&proxy_v2_as_text(&conn.bytes)),
                    &names,
                ));
                lines.push(
                    if conn.ended_here {
                        ". ended by the origin"
                    } else {
                        show::end(conn.end)
                    }
                    .into(),
                );
            }
        }
        if let (Some(before), Some(proxy)) = (counters, &self.proxy) {
            lines.push("= counters".into());
            let view = View {
                has_pages: !pages.is_empty(),
                is_short: self.config.contains("tune.bufsize 1024\n"),
                is_alone: !flags.shared,
                slots: flags.slots,
            };
            lines.extend(Counters::read(proxy).since(before, view));
        }
        let masks = Masks {
            names,
            pages,
            dates: Span::since(self.start),
        };
        for (name, log) in logs {
            if !log.is_empty() {
                lines.push(format!("= {name}"));
                lines.extend(log.iter().map(|l| format!(". {}", show::log(l, flags, &masks))));
            }
        }
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

    /// The log lines of the case: as many as are recorded, and any more that come within a moment.
    fn logs(&self, case: &Case, flags: &Flags, record: bool) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        for (name, sink) in &self.places.sinks {
            let mark = format!("= {name}");
            let expected = case
                .expected
                .iter()
                .skip_while(|l| **l != mark)
                .skip(1)
                .take_while(|l| l.starts_with(". "));
            let wanted = if record { usize::MAX } else { expected.count() };
            let limit = Duration::from_millis(if record { 600 } else { 3000 });
            let keep = |line: &str| {
                flags.rawlog || !(line.contains(" started.") || line.contains("GET /probe HTTP/1.1"))
            };
            all.push((
                name.clone(),
                sink.collect(wanted, limit, Duration::from_millis(30), keep),
            ));
        }
        all
    }

    /// Gives the proxy a moment to close its connections to the origins.
    fn settle(&self) {
        let open = |o: &Origin| o.records().iter().any(|r| r.end == End::Open && !r.ended_here);
        wait_for(Duration::from_millis(250), || {
            (!self.places.origins.values().any(open)).then_some(())
        });
    }
}

/// One client of a case.
#[derive(Default)]
struct Actor {
    /// Its connection, until it leaves.
    client: Option<Client>,
    /// What is to be said beside its bytes.
    notes: Vec<String>,
    /// What it got before it left.
    got: Vec<u8>,
    port: u16,
}

/// The clients of a case while it plays.
struct Actors<'a> {
    proxy: &'a Proxy,
    places: &'a Places,
    list: BTreeMap<char, Actor>,
    target: BTreeMap<char, String>,
    answers: Vec<String>,
}

/// What is left of them.
struct Done {
    clients: Vec<(char, Vec<u8>, Vec<String>)>,
    names: Vec<(String, String)>,
    answers: Vec<String>,
}

fn actors_done(actors: Actors<'_>) -> Done {
    let mut done = Done {
        clients: Vec::new(),
        names: Vec::new(),
        answers: actors.answers,
    };
    for (who, mut actor) in actors.list {
        if let Some(client) = actor.client {
            actor.notes.push(show::end(client.end).into());
            actor.got = client.got;
        }
        actor.notes.dedup();
        if actor.port > 0 {
            done.names.push((actor.port.to_string(), format!("{{{who}}}")));
        }
        done.clients.push((who, actor.got, actor.notes));
    }
    done
}

impl Actors<'_> {
    /// Does something with a client, which connects the first time that it is named.
    fn with<T>(&mut self, who: char, act: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let target = self.target.get(&who).map_or("fe", String::as_str);
        let free = self.places.free.get(target).copied();
        let known = free.or_else(|| self.proxy.addrs().get(target).copied());
        let connect = || match known {
            Some(addr) => Client::try_connect(addr).map(|client| (client, None)),
            None => {
                let text = self.places.resolve(target);
                connect(&text.replace("{tmp}", &self.proxy.dir.path().display().to_string()))
            }
        };
        let actor = self.list.entry(who).or_insert_with(|| match connect() {
            Ok((client, note)) => Actor {
                port: client.port,
                client: Some(client),
                notes: note.into_iter().collect(),
                ..Actor::default()
            },
            Err(e) => Actor {
                notes: vec![format!(". cannot connect: {:?}", e.kind())],
                ..Actor::default()
            },
        });
        actor.client.as_mut().map(act)
    }

    /// Takes a client away and keeps what it got.
    fn leave(&mut self, who: char, note: &str) -> Option<Client> {
        let entry = self.list.get_mut(&who)?;
        let client = entry.client.take()?;
        entry.got.clone_from(&client.got);
        entry.notes.push(note.into());
        Some(client)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::To(who, name) => {
                self.target.insert(*who, name.clone());
                self.with(*who, |_| ());
            }
            Step::Send(who, bytes) => {
                self.with(*who, |c| c.send(bytes));
            }
            Step::Slow(who, bytes) => {
                self.with(*who, |c| c.dribble(bytes, Duration::from_millis(1)));
            }
            Step::Shut(who) => {
                self.with(*who, Client::shut);
            }
            Step::Small(who) => {
                self.with(*who, |c| c.small_window());
            }
            Step::Reset(who) => {
                if let Some(client) = self.leave(*who, ". reset by the client") {
                    client.reset();
                }
            }
            Step::Close(who) => drop(self.leave(*who, ". closed by the client")),
            Step::Read(who, head) => {
                let whole = self.with(*who, |c| c.read_response(*head, PATIENCE).is_some());
                if whole == Some(false) {
                    self.note(*who, ". no whole response");
                }
            }
            Step::End(who) => {
                let start = Instant::now();
                let ended = self.with(*who, |c| c.read_to_end(PATIENCE));
                if ended == Some(true) && start.elapsed() > LATE {
                    self.note(*who, ". after a long wait");
                }
            }
            Step::Quiet(who, ms) => {
                self.with(*who, |c| c.read_quiet(Duration::from_millis(*ms)));
            }
            Step::Until(who, text) => {
                let came = self.with(*who, |c| {
                    c.read_until(PATIENCE, |g| crate::client::find(g, text).is_some())
                });
                if came == Some(false) {
                    self.note(*who, &format!(". {} never came", escape(text)));
                }
            }
            Step::Silent(who, ms) => {
                let before = self.with(*who, |c| c.got.len());
                self.with(*who, |c| c.read_once(Duration::from_millis(*ms)));
                let silent = self.with(*who, |c| c.got.len()) == before;
                self.note(*who, if silent { ". silence" } else { ". no silence" });
            }
            Step::Probe(who) => self.probe(*who),
            Step::Wait(ms) => std::thread::sleep(Duration::from_millis(*ms)),
            Step::Sync(name, text) => {
                let origin = self
                    .places
                    .origins
                    .get(name)
                    .unwrap_or_else(|| panic!("no origin {name}"));
                let came = |b: &[u8]| crate::client::find(b, text).is_some();
                wait_for(PATIENCE, || {
                    origin.records().iter().any(|r| came(&r.bytes)).then_some(())
                });
            }
            Step::Cli(commands) => {
                let answer = cli::ask(self.proxy, commands);
                self.answers.push("= cli".into());
                self.answers.extend(show::bytes('<', answer.as_bytes(), &[]));
            }
            Step::Listeners => {
                self.answers.push("= listeners".into());
                let names = known(self.places, self.proxy);
                let mut lines = listeners(self.proxy);
                lines
                    .iter_mut()
                    .for_each(|line| *line = mask_numbers(line, &names));
                lines.sort();
                self.answers.extend(lines.iter().map(|line| format!(". {line}")));
            }
        }
    }

    fn note(&mut self, who: char, text: &str) {
        if let Some(entry) = self.list.get_mut(&who) {
            entry.notes.push(text.into());
        }
    }

    /// Finds out whether the connection still serves: a request of the usual kind must be answered.
    fn probe(&mut self, who: char) {
        self.with(who, |c| c.read_quiet(QUIET));
        let Some(Actor {
            client: Some(client),
            notes,
            ..
        }) = self.list.get_mut(&who)
        else {
            return;
        };
        if client.end != End::Open {
            return;
        }
        let before = client.got.len();
        client.send(b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n");
        let found = |got: &[u8]| crate::client::find(&got[before..], b"\r\n\r\n").is_some();
        client.read_until(PROBED, found);
        let probed = client.got[before..].to_ascii_lowercase();
        if crate::client::find(&probed, b"x-probe: yes").is_some() {
            client.got.truncate(before);
            notes.push(". alive".into());
        } else {
            notes.push(". probe not answered".into());
            client.read_to_end(Duration::from_secs(3));
        }
    }
}

/// Numbers and paths that differ from run to run, with what is shown instead.
fn known(places: &Places, proxy: &Proxy) -> Vec<(String, String)> {
    let mut names = places.masks();
    let inherited = proxy.addrs().iter();
    names.extend(inherited.map(|(name, addr)| (addr.port().to_string(), format!("{{{name}}}"))));
    names.push((proxy.pid().to_string(), "{pid}".into()));
    names.push((proxy.dir.path().display().to_string(), "{tmp}".into()));
    names
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
