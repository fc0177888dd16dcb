//! The proxy under test as a child process: started with a configuration, listening sockets handed
//! over as inherited descriptors (`fd@${name}`, the way vtest does it), watched, stopped, judged.

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::client::Client;
pub use crate::process::signal;
use crate::process::{Launch, Process};
use crate::{PATIENCE, TempDir, wait_for};

/// How to start the proxy.
pub struct Setup {
    /// The configuration; every `fd@${name}` in it gets a listening socket on 127.0.0.1.
    pub config: String,
    /// Arguments before `-f FILE`; the default is `-db`.
    pub args: Vec<String>,
    /// Environment variables to add.
    pub env: Vec<(String, String)>,
    /// Listening sockets made by the test itself, by name.
    pub sockets: Vec<(String, Socket)>,
    /// Files to write beside the configuration.
    pub files: Vec<(String, Vec<u8>)>,
    /// The program to start, where it is not the one under test.
    pub program: Option<PathBuf>,
    /// A shell command that sets the stage; the proxy then takes the shell's place.
    pub shell: Option<&'static str>,
    /// Wait until the inherited sockets are polled.
    pub wait_ready: bool,
}

impl Setup {
    /// The usual way: foreground, quiet, ready when `start` returns.
    pub fn new(config: impl Into<String>) -> Self {
        Self {
            config: config.into(),
            args: vec!["-db".into()],
            env: Vec::new(),
            sockets: Vec::new(),
            files: Vec::new(),
            program: None,
            shell: None,
            wait_ready: true,
        }
    }

    /// Other arguments than `-db`.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(ToString::to_string).collect();
        self
    }

    /// One more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Another program than the one under test.
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_path_buf());
        self
    }

    /// A shell command to run first, in the process that becomes the proxy.
    pub fn shell(mut self, command: &'static str) -> Self {
        self.shell = Some(command);
        self
    }

    /// Does not wait for the start.
    pub fn no_wait(mut self) -> Self {
        self.wait_ready = false;
        self
    }

    /// Starts the proxy.
    pub fn start(self) -> Proxy {
        Proxy::start(self)
    }
}

/// A running proxy.
pub struct Proxy {
    process: Process,
    addrs: BTreeMap<String, SocketAddr>,
    /// The directory of the configuration, for sockets and files of the test.
    pub dir: TempDir,
}

impl Proxy {
    fn start(setup: Setup) -> Self {
        let dir = TempDir::new();
        let tmp = dir.path().display().to_string();
        let config = setup.config.replace("{tmp}", &tmp);
        let path = dir.write("cfg", &config);
        for (name, bytes) in &setup.files {
            std::fs::write(dir.file(name), bytes).expect("the temporary directory is writable");
        }
        let mut sockets = setup.sockets;
        add_inherited(&mut sockets, &config);
        let mut args: Vec<String> = setup.args.iter().map(|a| a.replace("{tmp}", &tmp)).collect();
        args.extend(["-f".into(), path]);
        let process = Launch {
            program: &setup.program.unwrap_or_else(crate::binary),
            args: &args,
            directory: dir.path(),
            env: &setup.env,
            bare: false,
            sockets: &sockets,
            shell: setup.shell,
        }
        .start();
        let mut proxy = Self {
            process,
            addrs: addresses(&sockets),
            dir,
        };
        if setup.wait_ready {
            proxy.await_polling(&sockets.iter().filter_map(inode_of).collect::<Vec<_>>());
        }
        proxy
    }

    /// Waits until an epoll set of the process holds every one of the sockets: from then on a
    /// connection is accepted at once.
    fn await_polling(&mut self, inodes: &[String]) {
        let pid = self.pid().to_string();
        let ready = wait_for(PATIENCE, || {
            let ended = self.exited().is_some();
            let polled = polled_inodes(&pid);
            (ended || inodes.iter().all(|i| polled.contains(i))).then_some(ended)
        });
        assert_eq!(ready, Some(false), "the proxy did not start: {}", self.output());
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The address behind `fd@${name}`.
    pub fn addr(&self, name: &str) -> SocketAddr {
        *self
            .addrs
            .get(name)
            .unwrap_or_else(|| panic!("the configuration has no fd@${{{name}}}"))
    }

    /// All addresses behind inherited sockets, by name.
    pub fn addrs(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addrs
    }

    /// A new connection to `fd@${name}`.
    pub fn client(&self, name: &str) -> Client {
        Client::connect(self.addr(name))
    }

    /// What it wrote on stdout and stderr so far.
    pub fn output(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Sends a signal by name (`INT`, `USR1`).
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for its end and for the end of its output, which comes when no process holds it.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let status = self.process.wait(limit)?;
        self.process.drained(PATIENCE);
        Some(status)
    }

    /// Stops it by SIGINT, which must end it at once, and checks that the end is a clean one.
    pub fn stop(mut self) -> String {
        let before = self.exited();
        assert!(
            before.is_none(),
            "the proxy died before its stop ({before:?}): {}",
            self.output()
        );
        self.signal("INT");
        let status = self.wait(Duration::from_secs(3));
        let output = self.output();
        let Some(status) = status else {
            panic!("SIGINT did not end the proxy: {output}")
        };
        let clean = status.code() == Some(0) || status.code() == Some(130) || status.signal() == Some(2);
        assert!(clean, "unclean end {status:?}: {output}");
        assert!(!output.contains("panicked at"), "{output}");
        output
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() && !crate::is_caught() {
            eprintln!("the proxy ({:?}) wrote: {}", self.exited(), self.output());
        }
    }
}

/// What a run that ends by itself gave.
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs the program with `args` in `dir` to its end; panics when it does not end in time.
pub fn run(dir: &TempDir, args: &[&str]) -> Finished {
    let mut command = Command::new(crate::binary());
    command.args(args).current_dir(dir.path());
    finish(&mut command, PATIENCE).unwrap_or_else(|text| panic!("{args:?} gave no end: {text}"))
}

/// Runs a program to its end, or kills it after `limit`.
///
/// # Errors
/// That it cannot be run, or what it had written when it was killed.
pub fn finish(command: &mut Command, limit: Duration) -> Result<Finished, String> {
    let mut process = Process::spawn(command, &[]).map_err(|e| format!("cannot run: {e}"))?;
    let status = process.wait(limit);
    process.kill();
    process.drained(PATIENCE);
    let (stdout, stderr) = (process.stdout(), process.stderr());
    match status {
        None => Err(stdout + &stderr),
        Some(status) => Ok(Finished {
            code: status.code(),
            stdout,
            stderr,
        }),
    }
}

/// A TCP listener on a free port of 127.0.0.1.
pub fn listener(backlog: i32) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a TCP socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.bind(&any.into()).expect("a free port");
    socket.listen(backlog).expect("listen");
    socket
}

/// Makes a listening socket for every `fd@${name}` of a configuration that has none yet.
pub(crate) fn add_inherited(sockets: &mut Vec<(String, Socket)>, config: &str) {
    for name in inherited_names(config) {
        if !sockets.iter().any(|(n, _)| *n == name) {
            sockets.push((name, listener(100)));
        }
    }
}

/// Where the sockets listen, by name; those that are no IP sockets are left out.
pub(crate) fn addresses(sockets: &[(String, Socket)]) -> BTreeMap<String, SocketAddr> {
    let address = |socket: &Socket| socket.local_addr().ok().and_then(|a| a.as_socket());
    sockets
        .iter()
        .filter_map(|(name, socket)| Some((name.clone(), address(socket)?)))
        .collect()
}

/// What the kernel calls a socket.
pub(crate) fn inode_of(socket: &(String, Socket)) -> Option<String> {
    inode("self", socket.1.as_raw_fd())
}

/// The names in `fd@${name}` of a configuration, each once.
pub(crate) fn inherited_names(config: &str) -> Vec<String> {
    let mut names: Vec<String> = config
        .split("fd@${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(String::from)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// `socket:[N]` of a descriptor of a process.
fn inode(pid: &str, fd: i32) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    Some(link.display().to_string())
}

/// The sockets that the epoll sets of a process watch.
pub(crate) fn polled_inodes(pid: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path()) else {
            continue;
        };
        for line in text.lines().filter_map(|l| l.strip_prefix("tfd:")) {
            let fd = line.split_whitespace().next().and_then(|n| n.parse().ok());
            found.extend(fd.and_then(|fd| inode(pid, fd)));
        }
    }
    found
}
