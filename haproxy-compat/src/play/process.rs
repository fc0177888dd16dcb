//! Playing of the cases of a file with the flag `process`: the program is run, started, signalled and asked as the case
//! says, every case in a directory of its own.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::actors::{Actors, Doors};
use super::places::Places;
use super::run::{clients, log_lines, why};
use super::troupe::{Role, Troupe};
use super::view::Masks;
use super::{Case, Flags, Step};
use crate::program::Program;
use crate::proxy::addresses;
use crate::text::unescape;
use crate::{TempDir, caught};

/// What a case does with processes.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// `run WORDS`: to its end.
    Run(Vec<String>),
    /// `p1 start WORDS`, `p1 begin WORDS` without waiting until it serves.
    Start(u8, Vec<String>, bool),
    /// `p1 signal NAME [daemon|worker]`
    Signal(u8, Role, String),
    /// `p1 exit`
    Exit(u8),
    /// `p1 gone [daemon|worker]`
    Gone(u8, Role),
    /// `p1 alive [daemon|worker]`
    Alive(u8, Role),
    /// `p1 until TEXT`
    Until(u8, String),
    /// `p1 output`
    Output(u8),
    /// `show FILE`: what is in it.
    Show(String),
    /// `kind FILE`: what it is, and who may do what with it.
    Kind(String),
}

impl Deed {
    /// Reads a line of a case.
    pub(super) fn read(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let who = match word.as_bytes() {
            [b'p', digit @ b'1'..=b'9'] => digit - b'0',
            _ => {
                return match word {
                    "run" => Some(Self::Run(words(rest))),
                    "show" => Some(Self::Show(rest.to_string())),
                    "kind" => Some(Self::Kind(rest.to_string())),
                    _ => None,
                };
            }
        };
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(match (word, rest) {
            ("start", _) => Self::Start(who, words(rest), true),
            ("begin", _) => Self::Start(who, words(rest), false),
            ("signal", _) => {
                let (name, role) = rest.split_once(' ').unwrap_or((rest, ""));
                Self::Signal(who, Role::read(role)?, name.to_string())
            }
            ("exit", "") => Self::Exit(who),
            ("gone", _) => Self::Gone(who, Role::read(rest)?),
            ("alive", _) => Self::Alive(who, Role::read(rest)?),
            ("until", _) => Self::Until(who, rest.to_string()),
            ("output", "") => Self::Output(who),
            _ => return None,
        })
    }

    /// The words of a command line.
    pub(super) fn words(&self) -> &[String] {
        match self {
            Self::Run(words) | Self::Start(_, words, _) => words,
            _ => &[],
        }
    }

    fn words_mut(&mut self) -> &mut [String] {
        match self {
            Self::Run(words) | Self::Start(_, words, _) => words,
            _ => &mut [],
        }
    }
}

/// The words of a command line; those with blanks stand between `'`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let text = |word: String| String::from_utf8_lossy(&unescape(&word)).into_owned();
    words.into_iter().map(text).collect()
}

/// Plays a case; what cannot be played is a difference like any other.
pub(super) fn play(program: &Program, case: &Case, flags: &Flags, record: bool) -> Vec<String> {
    caught(|| act(program, case, flags, record)).unwrap_or_else(|text| why("played", &text))
}

fn act(program: &Program, case: &Case, flags: &Flags, record: bool) -> Vec<String> {
    let start = SystemTime::now();
    let dir = TempDir::new();
    let tmp = dir.path().display().to_string();
    let places = Places::new(&case.everything(), &case.config.at);
    let set = |text: &str| places.resolve(&text.replace("{tmp}", &tmp));
    let files: Vec<(String, Vec<u8>)> = case.config.beside(set);
    let mut steps = case.steps.clone();
    for step in &mut steps {
        if let Step::Process(deed) = step {
            deed.words_mut().iter_mut().for_each(|word| *word = set(word));
        }
    }
    let mut config = case.config.clone();
    for (_, value) in &mut config.env {
        *value = set(value);
    }
    places.begin(case, false);
    let notify = config.notify.then(|| {
        let path = dir.file("notify");
        config.env.push(("NOTIFY_SOCKET".into(), path.clone()));
        UnixDatagram::bind(path).expect("a notify socket")
    });
    let mut masks = Masks::new(program, start);
    masks.tmp.clone_from(&tmp);
    masks.names = places.masks();
    let mut troupe = Troupe::new(program, &config, dir, &files);
    let mut ports = addresses(&troupe.sockets);
    let named = ports
        .iter()
        .map(|(n, a)| (a.port().to_string(), format!("{{{n}}}")));
    masks.names.extend(named);
    ports.extend(places.free.clone());
    let doors = Doors {
        ports,
        dir: troupe.dir.path().to_path_buf(),
        pid: 0,
    };
    let mut actors = Actors::new(doors, &places);
    let mut lines = Vec::new();
    for step in &steps {
        let own = |troupe: &Troupe<'_>| masks.with(troupe.names());
        match step {
            Step::Process(deed) => {
                let masks = own(&troupe);
                lines.extend(deed_lines(deed, &mut troupe, case, &masks));
            }
            step => {
                actors.step(step);
                let answers = actors.take_answers();
                lines.extend(answers.iter().flat_map(|a| a.lines(&case.view, &own(&troupe))));
            }
        }
    }
    masks.names.splice(0..0, troupe.names());
    let mut done = actors.finish(flags.probe);
    masks.names.append(&mut done.names);
    lines.extend(clients(&done.clients, &case.view, &mut masks));
    if let Some(socket) = &notify {
        lines.push("= notify".into());
        lines.extend(datagrams(socket).flat_map(|text| {
            let lines = case.view.lines(&text, &masks).into_iter();
            lines.map(|line| format!(". {line}")).collect::<Vec<_>>()
        }));
    }
    let logs = places.logs(case, flags, record);
    lines.extend(places.origin_lines(flags, &masks.names));
    lines.extend(log_lines(&logs, flags, &masks));
    lines
}

fn deed_lines(deed: &Deed, troupe: &mut Troupe<'_>, case: &Case, masks: &Masks) -> Vec<String> {
    let view = &case.view;
    match deed {
        Deed::Run(words) => troupe.run(words, view, masks),
        Deed::Start(who, words, wait) => {
            troupe.start(*who, words, *wait);
            Vec::new()
        }
        Deed::Signal(who, role, name) => {
            troupe.signal(*who, *role, name);
            Vec::new()
        }
        Deed::Exit(who) => troupe.exit(*who, view, masks),
        Deed::Gone(who, role) => troupe.gone(*who, *role),
        Deed::Alive(who, role) => troupe.alive(*who, *role),
        Deed::Until(who, text) => troupe.until(*who, text),
        Deed::Output(who) => troupe.output(*who, view, masks),
        Deed::Show(name) => {
            let mut lines = vec![format!("= {name}")];
            match std::fs::read(troupe.dir.path().join(name)) {
                Ok(bytes) => lines.extend(view.answer(&bytes, masks)),
                Err(e) => lines.push(format!(". {:?}", e.kind())),
            }
            lines
        }
        Deed::Kind(name) => vec![format!("= {name}"), kind(&troupe.dir.path().join(name))],
    }
}

/// What a file is, and its permissions.
fn kind(path: &Path) -> String {
    match std::fs::symlink_metadata(path) {
        Ok(about) => {
            let what = match about.file_type() {
                t if t.is_socket() => "socket",
                t if t.is_dir() => "directory",
                _ => "file",
            };
            format!(". {what} {:o}", about.permissions().mode() & 0o7777)
        }
        Err(e) => format!(". {:?}", e.kind()),
    }
}

/// What a service manager was told.
fn datagrams(socket: &UnixDatagram) -> impl Iterator<Item = String> {
    let limit = Some(Duration::from_millis(100));
    socket.set_read_timeout(limit).expect("SO_RCVTIMEO");
    std::iter::from_fn(|| {
        let mut buf = [0u8; 4096];
        let n = socket.recv(&mut buf).ok()?;
        Some(String::from_utf8_lossy(&buf[..n]).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_line() {
        assert_eq!(words("-f a.cfg  -cc 'a b' ''"), ["-f", "a.cfg", "-cc", "a b", ""]);
        assert!(words("").is_empty());
        assert_eq!(words("x\\x41"), ["xA"]);
    }
}
