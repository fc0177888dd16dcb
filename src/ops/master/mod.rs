//! The master process of `-W`: it starts the worker, tells systemd, forwards signals, answers on its own runtime
//! socket (`-S`), and ends with the worker's code.
//!
//! ```text
//!   Starting --worker says it serves--> Serving --worker ends--> end with its code
//!       `------worker ends before---------------------------------^
//! ```
//! It owns no traffic and has read no more of the configuration than the modes of the process: only the sockets of `-S`
//! and one pair to the worker, over which it hands it ends of conversations (`@1 ...`). Source: management manual, "Master-worker mode", "Master CLI".

pub mod cli;
pub mod client;
pub mod link;
pub mod notify;

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::ExitCode;

use socket2::Socket;

use self::cli::MasterView;
use self::client::Client;
use self::notify::Notifier;
use super::args::OldProcesses;
use super::boot::{os_words, print};
use super::daemon::{self, Launcher};
use super::messages::Voice;
use super::signals::Signals;
use super::version;
use crate::base::slab::{Key, Slots};
use crate::engine::bind::Bound;
use crate::engine::clock::Clock;
use crate::engine::poll::{Kind, Poller, token, untoken};
use crate::engine::sys;
use crate::model::listener::Level;

/// Conversations at once on the master's runtime sockets.
const CLIENTS_MAX: usize = 100;

/// What a master works with.
#[derive(Debug)]
pub struct Plan {
    /// Its runtime sockets, with the rights that each gives.
    pub sockets: Vec<(Bound, Level)>,
    /// Longest line of commands, bytes.
    pub line_max: usize,
    /// Tell systemd (`-Ws`).
    pub notifier: Option<Notifier>,
    /// Where its process number goes.
    pub pidfile: Option<PathBuf>,
    /// Processes to tell once the worker serves.
    pub old: OldProcesses,
    /// A worker that dies does not end it with SIGTERM to the others (`no-exit-on-failure`).
    pub no_exit_on_failure: bool,
    /// Who waits until it serves (`-D`).
    pub launcher: Option<Launcher>,
    /// `/dev/null`, for a daemon to leave the terminal to.
    pub null: Option<std::fs::File>,
    /// What `show env` tells.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The worker, as the master knows it.
#[derive(Debug)]
pub struct WorkerProcess {
    /// Its number.
    pub pid: i32,
    /// The master's end of the pair.
    pub link: Socket,
    /// When it was started, seconds since the epoch.
    pub started_s: u64,
    /// It said that it serves.
    pub is_ready: bool,
}

/// Signals that a master catches.
pub const SIGNALS: &[i32] = &[
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGHUP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGQUIT,
];

/// A running master.
struct Master<'a> {
    plan: Plan,
    voice: &'a mut Voice,
    worker: Option<WorkerProcess>,
    signals: Signals,
    poller: Poller,
    clock: Clock,
    clients: Slots<Client>,
    started_s: u64,
    /// The code to leave with, once there is one.
    code: Option<i32>,
}

const SIGNAL_TOKEN: u64 = 0;
const LINK_TOKEN: u64 = 1;

/// Runs until the worker has ended. `signals` are caught after the fork, so that the worker does not inherit them.
///
/// # Errors
/// When the system has no poller.
pub fn run(plan: Plan, worker: WorkerProcess, signals: Signals, voice: &mut Voice) -> io::Result<ExitCode> {
    let clock = Clock::start();
    let poller = Poller::new(64)?;
    worker.link.set_nonblocking(true)?;
    poller.register_read(signals.fd(), token(Kind::Control, SIGNAL_TOKEN))?;
    poller.register_read(worker.link.as_raw_fd(), token(Kind::Control, LINK_TOKEN))?;
    for (index, (bound, _)) in plan.sockets.iter().enumerate() {
        bound.socket.set_nonblocking(true)?;
        poller.register_read(bound.socket.as_raw_fd(), token(Kind::Listener, index as u64))?;
    }
    let started_s = clock.stamp().wall_us / 1_000_000;
    let mut master = Master {
        plan,
        voice,
        worker: Some(worker),
        signals,
        poller,
        clock,
        clients: Slots::new(),
        started_s,
        code: None,
    };
    master.serve()
}

impl Master<'_> {
    fn serve(&mut self) -> io::Result<ExitCode> {
        let mut events = Vec::new();
        // A worker that ended before signals were caught sent none.
        self.on_children();
        loop {
            if let Some(code) = self.code {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            events.clear();
            self.poller.wait(None, &mut events)?;
            self.clock.tick();
            for &(event, _) in &events {
                match untoken(event) {
                    (Kind::Control, SIGNAL_TOKEN) => self.on_signals(),
                    (Kind::Control, _) => self.on_link(),
                    (Kind::Listener, index) => self.accept(usize::try_from(index).unwrap_or(usize::MAX)),
                    (Kind::Service | Kind::Stream, key) => self.on_client(Key::from_u64(key)),
                    (Kind::Conn | Kind::Duty, _) => {}
                }
            }
        }
    }

    fn on_signals(&mut self) {
        while let Some(signal) = self.signals.take() {
            match signal {
                libc::SIGCHLD => self.on_children(),
                libc::SIGTERM | libc::SIGINT | libc::SIGUSR1 => {
                    if let Some(notifier) = &self.plan.notifier {
                        notifier.send("STOPPING=1");
                    }
                    self.voice.warning("Exiting Master process...");
                    self.tell_worker(signal);
                }
                libc::SIGTTIN | libc::SIGTTOU => self.tell_worker(signal),
                libc::SIGUSR2 | libc::SIGHUP => self.refuse_reload(),
                _ => {}
            }
        }
    }

    /// Reloading is not there yet. Systemd waits for an end of what it asked for, so it gets one.
    fn refuse_reload(&mut self) {
        if let Some(notifier) = &self.plan.notifier {
            let now_us = sys::monotonic_us().unwrap_or(0);
            notifier.send(&format!(
                "RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Asked to reload.\n"
            ));
            notifier.send("READY=1\nSTATUS=Reloading is not supported yet, the worker goes on.\n");
        }
        self.voice
            .warning("Reloading is not supported yet: the running worker goes on with its configuration.");
    }

    fn tell_worker(&self, signal: i32) {
        if let Some(worker) = &self.worker {
            // A worker that is gone will be noticed by its SIGCHLD.
            let _ = sys::kill(worker.pid, signal);
        }
    }

    /// The worker says that it serves, or its end of the pair is closed, which SIGCHLD explains.
    fn on_link(&mut self) {
        let Some(worker) = &mut self.worker else { return };
        let mut byte = [0; 16];
        match worker.link.read(&mut byte) {
            Ok(count) if count > 0 && !worker.is_ready => {
                worker.is_ready = true;
                self.on_ready();
            }
            _ => {}
        }
    }

    fn on_ready(&mut self) {
        if let Some(pidfile) = self.plan.pidfile.take()
            && let Err(error) = daemon::write_pidfile(&pidfile)
        {
            let text = format!(
                "[{}.main()] Cannot create pidfile {}\n  {}",
                self.voice.program(),
                pidfile.display(),
                os_words(&error)
            );
            self.voice.alert(&text);
            self.voice.alert("Fatal error(s) found, exiting.");
            self.tell_worker(libc::SIGTERM);
            self.code = Some(1);
            return;
        }
        let signal = if self.plan.old.terminate {
            libc::SIGTERM
        } else {
            libc::SIGUSR1
        };
        for pid in &self.plan.old.pids {
            // One that is gone needs no signal.
            let _ = sys::kill(*pid, signal);
        }
        self.voice.notice("Loading success.");
        if let Some(notifier) = &self.plan.notifier {
            notifier.send(&format!(
                "READY=1\nMAINPID={}\nSTATUS=Ready.\n",
                std::process::id()
            ));
        }
        if let Some(launcher) = self.plan.launcher.take() {
            launcher.ready();
            if let Some(null) = self.plan.null.take()
                && daemon::leave_terminal(&null).is_ok()
            {
                self.voice.set_quiet(true);
            }
        }
    }

    fn on_children(&mut self) {
        loop {
            match sys::take_ended_child() {
                Ok(Some(ended)) => {
                    if self.on_ended(ended) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    // No child is left.
                    let code = self.code.unwrap_or(0);
                    self.voice
                        .warning(&format!("All workers exited. Exiting... ({code})"));
                    self.code = Some(code);
                    return;
                }
            }
        }
    }

    /// A child has ended. True when that is the end of the master too, at once.
    fn on_ended(&mut self, ended: sys::Ended) -> bool {
        let how = exit_words(ended.code);
        let Some(worker) = self.worker.take_if(|worker| worker.pid == ended.pid) else {
            self.voice.warning(&format!(
                "Process {} exited with code {} ({how})",
                ended.pid, ended.code
            ));
            return false;
        };
        if !worker.is_ready {
            let text = format!(
                "Failed to load worker ({}) exited with code {} ({how})",
                ended.pid, ended.code
            );
            self.voice.warning(&text);
            self.code = Some(ended.code);
            return true;
        }
        let text = format!(
            "Current worker ({}) exited with code {} ({how})",
            ended.pid, ended.code
        );
        if ended.code < 128 {
            self.voice.warning(&text);
        } else {
            self.voice.alert(&text);
        }
        if !matches!(ended.code, 0 | 130 | 143) {
            self.voice
                .warning("A worker process died unexpectedly. Please report this with the circumstances.");
            print(version::short());
            if !self.plan.no_exit_on_failure {
                self.voice
                    .alert("exit-on-failure: killing every processes with SIGTERM");
            }
        }
        if !matches!(ended.code, 0 | 143) {
            self.code = Some(ended.code);
        }
        // With one worker there is no other to wait for: `on_children` finds that out and keeps the code.
        false
    }

    fn accept(&mut self, index: usize) {
        loop {
            let Some((bound, level)) = self.plan.sockets.get(index) else {
                return;
            };
            let socket = match bound.socket.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            if self.clients.len() >= CLIENTS_MAX || socket.set_nonblocking(true).is_err() {
                continue;
            }
            let fd = socket.as_raw_fd();
            let key = self
                .clients
                .insert(Client::new(socket, *level, self.plan.line_max));
            if self
                .poller
                .register(fd, token(Kind::Service, key.to_u64()))
                .is_err()
            {
                self.clients.remove(key);
            }
        }
    }

    fn on_client(&mut self, key: Key) {
        let view = MasterView {
            pid: std::process::id(),
            started_s: self.started_s,
            now_s: self.clock.stamp().wall_us / 1_000_000,
            worker: self
                .worker
                .as_ref()
                .filter(|worker| worker.is_ready)
                .map(|worker| (worker.pid, worker.started_s)),
            env: &self.plan.env,
        };
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let link = self.worker.as_ref().map(|worker| &worker.link);
        if client
            .work(&view, link, &self.poller, token(Kind::Stream, key.to_u64()))
            .is_break()
        {
            self.clients.remove(key);
        }
    }
}

/// How a process ended, in words.
pub(super) fn exit_words(code: i32) -> &'static str {
    match code - 128 {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        signal if signal > 0 => "Signal",
        _ => "Exit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_in_words() {
        assert_eq!(exit_words(0), "Exit");
        assert_eq!(exit_words(1), "Exit");
        assert_eq!(exit_words(137), "Killed");
        assert_eq!(exit_words(143), "Terminated");
        assert_eq!(exit_words(128 + 60), "Signal");
    }
}
