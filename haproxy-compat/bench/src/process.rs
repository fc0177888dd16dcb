//! Child processes: pinned to a core, with room for many descriptors, and ended with what started them.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Descriptors that a process may open: 4,000 connections have two ends in a proxy.
const FILES: u32 = 20_000;
/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// A program on PATH, or in one of the directories for servers that a user's PATH may leave out.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|place| place.join(name))
        .find(|program| program.is_file())
}

/// Which core does what.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    /// The proxy's, the generator's, the origin's; `None`: wherever the scheduler puts it.
    pub(crate) proxy: Option<usize>,
    pub(crate) load: Option<usize>,
    pub(crate) origin: Option<usize>,
}

impl Cores {
    /// The proxy gets a core of its own where there are two or more that this process may use.
    pub(crate) fn found() -> Self {
        let usable = usable();
        let (proxy, load, origin) = match usable[..] {
            _ if on_path("taskset").is_none() => (None, None, None),
            [first, second] => (Some(second), Some(first), Some(first)),
            [first, second, third, ..] => (Some(second), Some(first), Some(third)),
            _ => (None, None, None),
        };
        Self { proxy, load, origin }
    }

    /// What a reader should know of it.
    pub(crate) fn text(&self) -> String {
        match (self.proxy, self.load, self.origin) {
            (Some(proxy), Some(load), Some(origin)) => format!(
                "the proxy alone on core {proxy} (taskset), so that nobody takes its time or its cache; \
                 generator on core {load}, origin and log sink on core {origin}"
            ),
            _ => "not pinned: one core only, or no taskset".into(),
        }
    }
}

/// Cores that this process may use.
fn usable() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let mut cores = Vec::new();
    for range in list.unwrap_or_default().trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse::<usize>()) {
            cores.extend(first..=last);
        }
    }
    cores
}

/// A running process; ended when dropped.
pub(crate) struct Running {
    child: Child,
    name: String,
}

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) words: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

impl Launch {
    /// Words without environment.
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self {
            words,
            env: Vec::new(),
        }
    }

    /// As a person would type it.
    pub(crate) fn text(&self) -> String {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        env.chain(self.words.iter().cloned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn command(&self, core: Option<usize>) -> Command {
        let mut words: Vec<String> = Vec::new();
        // What is started ends with this process even when this one is killed.
        if on_path("setpriv").is_some() {
            words.extend(["setpriv", "--pdeathsig", "TERM", "--"].map(String::from));
        }
        if let Some(core) = core {
            words.extend(["taskset".into(), "-c".into(), core.to_string()]);
        }
        let files = format!("ulimit -n {FILES} 2>/dev/null; exec \"$@\"");
        words.extend(["sh", "-c", &files, "sh"].map(String::from));
        words.extend(self.words.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it with its messages in `log`.
    pub(crate) fn start(&self, name: &str, core: Option<usize>, log: &Path) -> io::Result<Running> {
        let messages = std::fs::File::create(log)?;
        let child = self
            .command(core)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(messages)
            .spawn()?;
        Ok(Running {
            child,
            name: name.into(),
        })
    }

    /// Runs it to its end, at most `limit`; standard output, and standard error when it failed.
    pub(crate) fn output(&self, core: Option<usize>) -> Result<String, String> {
        let mut command = self.command(core);
        let output = command.stdin(Stdio::piped()).output();
        let output = output.map_err(|error| format!("{}: {error}", self.words[0]))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_string());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Running {
    /// Its number; the wrappers replace themselves, so that it is the program's own.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first line on its standard output.
    pub(crate) fn first_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(output) = self.child.stdout.take() {
            let mut output = BufReader::new(output);
            output.read_line(&mut line)?;
            self.child.stdout = Some(output.into_inner());
        }
        if line.is_empty() {
            return Err(io::Error::other(format!("{} ended at once", self.name)));
        }
        Ok(line.trim().to_string())
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A master hands TERM on to its workers, KILL would leave them behind.
        let pid = self.child.id().to_string();
        let _ = Command::new("sh")
            .args(["-c", "kill -TERM $0 2>/dev/null", &pid])
            .status();
        let start = Instant::now();
        while self.is_alive() {
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
