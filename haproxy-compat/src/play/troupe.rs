//! The processes of a case: started in one directory, told apart by who is whose child, all ended with the case.
//!
//! A called process is `p1` to `p9`. One that left its session is its daemon; any other process of its family is a
//! worker. A family is found by its working directory, which is the case's own.

use socket2::Socket;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::Config;
use super::view::{Masks, View};
use crate::process::{Launch, Process, signal};
use crate::program::Program;
use crate::proxy::{add_inherited, inherited_names, inode_of, polled_inodes};
use crate::{PATIENCE, TempDir, wait_for};

/// How long the outputs of an ended process may still be held by others.
const HELD: Duration = Duration::from_millis(400);

/// How help begins.
const USAGE: &str = "Usage : ";

/// One process of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The one that was called.
    Called,
    Daemon,
    Worker,
}

impl Role {
    /// Reads a word of a case file; none at all is the called one.
    pub(super) fn read(word: &str) -> Option<Self> {
        match word {
            "" => Some(Self::Called),
            "daemon" => Some(Self::Daemon),
            "worker" => Some(Self::Worker),
            _ => None,
        }
    }

    /// What stands behind the name of the called process.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Called => "",
            Self::Daemon => ".daemon",
            Self::Worker => ".worker",
        }
    }
}

/// A called process, its family, and how much of what they said was shown.
struct Member {
    process: Process,
    family: BTreeMap<u32, Role>,
    shown: (usize, usize),
}

/// All processes of a case.
pub(super) struct Troupe<'a> {
    program: &'a Program,
    config: &'a Config,
    pub(super) dir: TempDir,
    pub(super) sockets: Vec<(String, Socket)>,
    /// What each file wants to inherit.
    wanted: Vec<(String, Vec<String>)>,
    members: BTreeMap<u8, Member>,
}

impl<'a> Troupe<'a> {
    /// Nobody yet. `files` are written into the directory; `fd@${name}` in them are sockets to inherit.
    pub(super) fn new(
        program: &'a Program,
        config: &'a Config,
        dir: TempDir,
        files: &[(String, Vec<u8>)],
    ) -> Self {
        let (mut sockets, mut wanted) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap_or_else(|| dir.path())).expect("a directory");
            std::fs::write(path, bytes).expect("the temporary directory is writable");
            let text = String::from_utf8_lossy(bytes);
            add_inherited(&mut sockets, &text);
            wanted.push((name.clone(), inherited_names(&text)));
        }
        Self {
            program,
            config,
            dir,
            sockets,
            wanted,
            members: BTreeMap::new(),
        }
    }

    fn launch(&self, words: &[String]) -> Process {
        let args: Vec<String> = words.iter().map(|word| self.with_pids(word)).collect();
        Launch {
            program: &self.program.path,
            args: &args,
            directory: self.dir.path(),
            env: &self.config.env,
            bare: true,
            sockets: &self.sockets,
            shell: self.config.shell.as_deref(),
        }
        .start()
    }

    /// A word with process numbers in the place of their names: `{p1}`, `{p1.worker}`, `{p1.daemon}`.
    fn with_pids(&self, word: &str) -> String {
        let mut word = word.to_string();
        for (number, name) in self.names() {
            word = word.replace(&name, &number);
        }
        word
    }

    /// Runs the program to its end and notes everything.
    pub(super) fn run(&self, words: &[String], view: &View, masks: &Masks) -> Vec<String> {
        let mut process = self.launch(words);
        let status = process.wait(PATIENCE);
        process.kill();
        process.drained(HELD);
        let mut member = Member {
            family: [(process.pid(), Role::Called)].into(),
            process,
            shown: (0, 0),
        };
        let mut lines = vec![masks.line(&format!("= run {}", words.join(" ")))];
        lines.push(status.map_or_else(|| ". does not end".into(), ended));
        lines.extend(member.said("pid", view, masks));
        lines
    }

    /// Starts a process and waits until it, or one of its family, polls all sockets that it inherited, or until it ends.
    pub(super) fn start(&mut self, who: u8, words: &[String], wait: bool) {
        let process = self.launch(words);
        let member = Member {
            family: [(process.pid(), Role::Called)].into(),
            process,
            shown: (0, 0),
        };
        self.members.insert(who, member);
        if !wait {
            return;
        }
        let wanted = self.wanted_by(words);
        let ready = wait_for(PATIENCE, || {
            self.look(who);
            let member = self.members.get_mut(&who)?;
            let polls = |pid: &u32| {
                let polled = polled_inodes(&pid.to_string());
                wanted.iter().all(|inode| polled.contains(inode))
            };
            let family = &member.family;
            let ready = !wanted.is_empty() && family.keys().any(polls);
            (ready || member.process.exited().is_some()).then_some(())
        });
        assert!(ready.is_some(), "p{who} did not start: {}", self.stderr(who));
        self.look(who);
    }

    /// The sockets that the files named by these words want to inherit.
    fn wanted_by(&self, words: &[String]) -> Vec<String> {
        let names = |file: &str| {
            let is = |word: &String| {
                let word = word.trim_end_matches('/');
                file == word || file.ends_with(&format!("/{word}")) || file.starts_with(&format!("{word}/"))
            };
            words.iter().any(is)
        };
        let wanted = self.wanted.iter().filter(|(file, _)| names(file));
        let wanted: Vec<&String> = wanted.flat_map(|(_, sockets)| sockets).collect();
        let sockets = self.sockets.iter().filter(|(name, _)| wanted.contains(&name));
        sockets.filter_map(inode_of).collect()
    }

    /// Finds out who belongs to whom: what is new since the last look belongs to the process whose child it is, or to
    /// the one that is looked at.
    fn look(&mut self, who: u8) {
        let known = |members: &BTreeMap<u8, Member>, pid: u32| {
            let of = members.iter().find(|(_, m)| m.family.contains_key(&pid));
            of.map(|(who, _)| *who)
        };
        for pid in living(self.dir.path()) {
            let family = match known(&self.members, pid) {
                Some(family) => family,
                None => parent(pid)
                    .and_then(|parent| known(&self.members, parent))
                    .unwrap_or(who),
            };
            if let Some(member) = self.members.get_mut(&family)
                && pid != member.process.pid()
            {
                let role = if leads_session(pid) {
                    Role::Daemon
                } else {
                    Role::Worker
                };
                member.family.insert(pid, role);
            }
        }
    }

    fn member(&mut self, who: u8) -> &mut Member {
        self.look(who);
        let member = self.members.get_mut(&who);
        member.unwrap_or_else(|| panic!("p{who} was not started"))
    }

    /// The number of a process, the last one of its kind that was seen.
    fn pid(&mut self, who: u8, role: Role) -> u32 {
        let found = wait_for(PATIENCE, || {
            let family = &self.member(who).family;
            family
                .iter()
                .rev()
                .find(|(_, r)| **r == role)
                .map(|(pid, _)| *pid)
        });
        found.unwrap_or_else(|| panic!("there is no p{who}{}: {}", role.shown(), self.stderr(who)))
    }

    fn stderr(&self, who: u8) -> String {
        self.members
            .get(&who)
            .map(|m| m.process.stderr())
            .unwrap_or_default()
    }

    /// Signals a process.
    pub(super) fn signal(&mut self, who: u8, role: Role, name: &str) {
        signal(self.pid(who, role), name);
    }

    /// Waits for the end of a called process and notes how it ended and what its family said meanwhile.
    pub(super) fn exit(&mut self, who: u8, view: &View, masks: &Masks) -> Vec<String> {
        let member = self.member(who);
        let status = member.process.wait(PATIENCE);
        if status.is_some() {
            member.process.drained(HELD);
        }
        let mut lines = vec![format!("= p{who}")];
        lines.push(status.map_or_else(|| ". does not end".into(), ended));
        lines.extend(self.said(who, view, masks));
        lines
    }

    /// Notes what the family of a process said since the last time.
    pub(super) fn output(&mut self, who: u8, view: &View, masks: &Masks) -> Vec<String> {
        let mut lines = vec![format!("= p{who}")];
        lines.extend(self.said(who, view, masks));
        lines
    }

    fn said(&mut self, who: u8, view: &View, masks: &Masks) -> Vec<String> {
        self.member(who).said(&format!("p{who}"), view, masks)
    }

    /// Waits until the family of a process has said something; notes when it does not.
    pub(super) fn until(&self, who: u8, text: &str) -> Vec<String> {
        let came = wait_for(PATIENCE, || self.stderr(who).contains(text).then_some(()));
        match came {
            Some(()) => Vec::new(),
            None => vec![format!("= p{who}"), format!(". never said {text}")],
        }
    }

    /// Waits for the end of a process that is no child of the player's.
    pub(super) fn gone(&mut self, who: u8, role: Role) -> Vec<String> {
        let pid = self.pid(who, role);
        let gone = wait_for(PATIENCE, || (!lives(pid)).then_some(()));
        let what = if gone.is_some() {
            "has ended"
        } else {
            "does not end"
        };
        vec![format!("= p{who}{}", role.shown()), format!(". {what}")]
    }

    /// Notes whether a process lives.
    pub(super) fn alive(&mut self, who: u8, role: Role) -> Vec<String> {
        let pid = self.pid(who, role);
        let what = if lives(pid) { "lives" } else { "has ended" };
        vec![format!("= p{who}{}", role.shown()), format!(". {what}")]
    }

    /// Process numbers and their names.
    pub(super) fn names(&self) -> Vec<(String, String)> {
        let of = |(who, member): (&u8, &Member)| {
            let name = |(pid, role): (&u32, &Role)| (pid.to_string(), format!("{{p{who}{}}}", role.shown()));
            member.family.iter().map(name).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(of).collect()
    }
}

impl Drop for Troupe<'_> {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            member.process.kill();
        }
        // Daemons and workers are nobody's children any more.
        for _ in 0..3 {
            living(self.dir.path())
                .iter()
                .for_each(|pid| signal(*pid, "KILL"));
        }
    }
}

impl Member {
    /// What the family said since the last time: the standard output, then the standard error by process.
    fn said(&mut self, name: &str, view: &View, masks: &Masks) -> Vec<String> {
        let (out, err) = (self.process.stdout(), self.process.stderr());
        let (out_new, err_new) = (&out[self.shown.0..], &err[self.shown.1..]);
        self.meet(err_new);
        let named = |(pid, role): (&u32, &Role)| (pid.to_string(), format!("{{{name}{}}}", role.shown()));
        let own = masks.with(self.family.iter().map(named));
        let mut lines: Vec<String> = view
            .lines(out_new, &own)
            .iter()
            .map(|l| format!("| {l}"))
            .collect();
        lines.extend(
            view.lines(&self.by_process(err_new), &own)
                .iter()
                .map(|l| format!("! {l}")),
        );
        self.shown = (out.len(), err.len());
        lines
    }

    /// Gets to know processes that have ended already by what was said: who speaks, and whom a master calls its worker.
    fn meet(&mut self, text: &str) {
        for line in text.lines() {
            let after = |word: &str| {
                let (_, rest) = line.split_once(word)?;
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                rest[..digits].parse().ok()
            };
            if let Some(worker) = after("worker (") {
                self.family.entry(worker).or_insert(Role::Worker);
            }
            if let Some(daemon) = after("Process ") {
                self.family.entry(daemon).or_insert(Role::Daemon);
            }
        }
        for line in text.lines() {
            if let Some(pid) = speaker(line) {
                self.family.entry(pid).or_insert(Role::Daemon);
            }
        }
    }

    /// The first lines of reports and of help, each process's own together: which one writes first is chance. What
    /// explains them is indented, or an empty line; each product has its own words for that.
    fn by_process(&self, text: &str) -> String {
        let mut lines: Vec<(Role, &str)> = Vec::new();
        let mut role = Role::Called;
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with(' ')) {
            if let Some(pid) = speaker(line) {
                role = self.family.get(&pid).copied().unwrap_or(role);
            }
            let line = if line.starts_with(USAGE) { USAGE } else { line };
            lines.push((role, line));
        }
        lines.sort_by_key(|(role, _)| *role);
        lines.iter().map(|(_, line)| format!("{line}\n")).collect()
    }
}

/// Who wrote a report: `[ALERT]    (1234) : ...`.
fn speaker(line: &str) -> Option<u32> {
    let rest = line.strip_prefix('[')?.split_once(']')?.1.trim_start();
    rest.strip_prefix('(')?.split_once(") : ")?.0.parse().ok()
}

/// An end in words.
fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!(". exit {code}"),
        (None, Some(number)) => format!(". signal {number}"),
        (None, None) => ". neither exit nor signal".into(),
    }
}

/// The processes that run in a directory or below it.
fn living(dir: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok());
    let runs_here = |pid: &u32| {
        let place = std::fs::read_link(format!("/proc/{pid}/cwd"));
        place.is_ok_and(|place| place.starts_with(dir)) && lives(*pid)
    };
    pids.filter(runs_here).collect()
}

/// The fields of /proc/PID/stat behind the name: state, parent, group, session.
fn stat(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').map(String::from).collect()
}

fn lives(pid: u32) -> bool {
    stat(pid)
        .first()
        .is_some_and(|state| !state.is_empty() && state != "Z" && state != "X")
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid).get(1)?.parse().ok()
}

fn leads_session(pid: u32) -> bool {
    stat(pid)
        .get(3)
        .is_some_and(|session| *session == pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks() {
        assert_eq!(speaker("[ALERT]    (12) : config : x"), Some(12));
        assert_eq!(speaker("[NOTICE]   (7) : x"), Some(7));
        assert_eq!(speaker("Usage : x (7) : y"), None);
        assert_eq!(speaker("  [x] (7) : y"), None);
    }

    #[test]
    fn this_process_lives() {
        let here = std::env::current_dir().expect("a directory");
        assert!(living(&here).contains(&std::process::id()));
        assert!(lives(std::process::id()) && parent(std::process::id()).is_some());
        assert!(!lives(0));
    }
}
