//! A child process: started with inherited sockets, its two outputs collected, signalled, waited for.

use socket2::Socket;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait_for;

/// Held while sockets without close-on-exec exist, so that no other child inherits them.
static SPAWN: Mutex<()> = Mutex::new(());

/// What a child is started with.
pub struct Launch<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Where it runs.
    pub directory: &'a Path,
    /// Environment variables to add.
    pub env: &'a [(String, String)],
    /// It gets no other variables than those.
    pub bare: bool,
    /// Sockets that it inherits: the variable of that name tells the descriptor's number.
    pub sockets: &'a [(String, Socket)],
    /// A shell command that sets the stage; the program then takes the shell's place.
    pub shell: Option<&'a str>,
}

impl Launch<'_> {
    /// Starts the child; panics when there is no such program.
    pub fn start(&self) -> Process {
        let mut command = match self.shell {
            None => Command::new(self.program),
            Some(prelude) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{prelude}; exec \"$0\" \"$@\"")]);
                shell.arg(self.program);
                shell
            }
        };
        command.args(self.args).current_dir(self.directory);
        if self.bare {
            command.env_clear();
        }
        for (name, socket) in self.sockets {
            command.env(name, socket.as_raw_fd().to_string());
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let process = Process::spawn(&mut command, self.sockets);
        process.unwrap_or_else(|e| panic!("cannot run {}: {e}", self.program.display()))
    }
}

/// A child and what it wrote. It is killed when this is dropped.
pub struct Process {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a child that inherits `sockets`, and nothing else.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn spawn(command: &mut Command, sockets: &[(String, Socket)]) -> std::io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let inherit = |on: bool| {
            sockets
                .iter()
                .for_each(|(_, s)| s.set_cloexec(!on).expect("FD_CLOEXEC"))
        };
        let guard = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
        inherit(true);
        let child = command.spawn();
        inherit(false);
        drop(guard);
        let mut child = child?;
        let (out, err) = (Arc::default(), Arc::default());
        let readers = vec![
            drain(child.stdout.take().expect("stdout is piped"), &out),
            drain(child.stderr.take().expect("stderr is piped"), &err),
        ];
        Ok(Self {
            child,
            out,
            err,
            readers,
            status: None,
        })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on its standard output so far.
    pub fn stdout(&self) -> String {
        text(&self.out)
    }

    /// What it wrote on its standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.err)
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Sends a signal by name (`INT`, `USR1`).
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait_for(limit, || self.exited())
    }

    /// Waits for the end of its output, which comes when no process holds it; false when one still does.
    pub fn drained(&self, limit: Duration) -> bool {
        let ended = || self.readers.iter().all(JoinHandle::is_finished).then_some(());
        wait_for(limit, ended).is_some()
    }

    /// Ends it the hard way.
    pub fn kill(&mut self) {
        if self.exited().is_none() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process by the `kill` program (no unsafe code in tests).
pub fn signal(pid: u32, name: &str) {
    let done = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .stderr(Stdio::null())
        .status();
    assert!(done.is_ok(), "the kill program is needed");
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// Collects what a pipe gives until its end.
fn drain(mut pipe: impl Read + Send + 'static, into: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut buf = [0u8; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut buf) {
            into.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&buf[..n]);
        }
    })
}
