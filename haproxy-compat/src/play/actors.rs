//! The clients of a case: they connect where they are told to, send, read, leave, and ask the runtime socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::places::{Places, connect, listeners};
use super::view::{Masks, View};
use super::{Step, show};
use crate::client::{Client, End};
use crate::text::escape;
use crate::{PATIENCE, cli, wait_for};

const QUIET: Duration = Duration::from_millis(150);
/// How long the answer to a probe may take.
const PROBED: Duration = Duration::from_millis(1_500);
/// An end that takes longer than this came from a time-out and not from what happened before.
const LATE: Duration = Duration::from_millis(450);

/// Where clients connect to.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    /// Ports by name: those that the program binds itself, and those that it inherits.
    pub(super) ports: BTreeMap<String, SocketAddr>,
    /// Where any other name is a UNIX socket, unless it is an address.
    pub(super) dir: PathBuf,
    /// The program whose listeners are looked at.
    pub(super) pid: u32,
}

impl Doors {
    /// Connects; also gives a note where the kind of connection is not plain to see.
    fn open(&self, name: &str, places: &Places) -> std::io::Result<(Client, Option<String>)> {
        if let Some(addr) = self.ports.get(name) {
            return Ok((Client::try_connect(*addr)?, None));
        }
        let dir = self.dir.display().to_string();
        let address = places.resolve(name).replace("{tmp}", &dir);
        if address.contains([':', '@', '/']) {
            return connect(&address);
        }
        connect(&format!("{dir}/{address}"))
    }
}

/// What was asked of the program.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Which runtime socket was asked, and its answer.
    Cli(String, String),
    /// What it listens on.
    Listeners(Vec<String>),
}

impl Answer {
    /// As lines of a result.
    pub(super) fn lines(&self, view: &View, masks: &Masks) -> Vec<String> {
        match self {
            Self::Cli(name, text) => {
                let mut lines = vec![format!("= {name}")];
                lines.extend(view.answer(text.as_bytes(), masks));
                lines
            }
            Self::Listeners(list) => {
                let mut lines: Vec<String> = list
                    .iter()
                    .map(|line| format!(". {}", masks.line(line)))
                    .collect();
                lines.sort();
                lines.insert(0, "= listeners".into());
                lines
            }
        }
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
    /// It talks to a runtime socket.
    asks: bool,
}

/// The clients of a case while it plays.
pub(super) struct Actors<'a> {
    doors: Doors,
    places: &'a Places,
    list: BTreeMap<char, Actor>,
    target: BTreeMap<char, (String, bool)>,
    answers: Vec<Answer>,
}

/// What a client saw.
pub(super) struct Seen {
    pub(super) who: char,
    pub(super) got: Vec<u8>,
    pub(super) notes: Vec<String>,
    /// It talked to a runtime socket.
    pub(super) asks: bool,
}

/// What is left of the clients.
pub(super) struct Done {
    pub(super) clients: Vec<Seen>,
    pub(super) names: Vec<(String, String)>,
    pub(super) answers: Vec<Answer>,
}

impl<'a> Actors<'a> {
    pub(super) fn new(doors: Doors, places: &'a Places) -> Self {
        Self {
            doors,
            places,
            list: BTreeMap::new(),
            target: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    /// Lets everybody see what still comes; those of a file that probes ask whether their connection lives.
    pub(super) fn finish(mut self, probe: bool) -> Done {
        let names: Vec<char> = self.list.keys().copied().collect();
        for who in names {
            if probe {
                self.probe(who);
            } else {
                self.with(who, |c| c.read_quiet(QUIET));
            }
        }
        let mut done = Done {
            clients: Vec::new(),
            names: Vec::new(),
            answers: self.answers,
        };
        for (who, mut actor) in self.list {
            if let Some(client) = actor.client {
                actor.notes.push(show::end(client.end).into());
                actor.got = client.got;
            }
            actor.notes.dedup();
            if actor.port > 0 {
                done.names.push((actor.port.to_string(), format!("{{{who}}}")));
            }
            done.clients.push(Seen {
                who,
                got: actor.got,
                notes: actor.notes,
                asks: actor.asks,
            });
        }
        done
    }

    /// What was answered since the last look.
    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Does something with a client, which connects the first time that it is named.
    fn with<T>(&mut self, who: char, act: impl FnOnce(&mut Client) -> T) -> Option<T> {
        let (target, asks) = match self.target.get(&who) {
            Some((name, asks)) => (name.as_str(), *asks),
            None => ("fe", false),
        };
        let (doors, places) = (&self.doors, self.places);
        let actor = self
            .list
            .entry(who)
            .or_insert_with(|| match doors.open(target, places) {
                Ok((client, note)) => Actor {
                    port: client.port,
                    client: Some(client),
                    notes: note.into_iter().collect(),
                    asks,
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

    /// Does a step of the case; those of processes are none of the clients'.
    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::To(who, name, asks) => {
                self.target.insert(*who, (name.clone(), *asks));
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
            Step::Cli(name, commands) => {
                let answer = match self.doors.open(name, self.places) {
                    Ok((client, _)) => cli::ask_as(client, commands),
                    Err(e) => format!("cannot connect: {:?}\n", e.kind()),
                };
                self.answers.push(Answer::Cli(name.clone(), answer));
            }
            Step::Listeners => self.answers.push(Answer::Listeners(listeners(self.doors.pid))),
            Step::Process(_) => {}
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
