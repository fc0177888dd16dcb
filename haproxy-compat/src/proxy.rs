//! The proxy under test as a child process: started with a configuration, listening sockets handed
//! over as inherited descriptors (`fd@${name}`, the way vtest does it), watched, stopped, judged.

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::client::Client;
use crate::{PATIENCE, TempDir, wait_for};

/// Held while sockets without close-on-exec exist, so that no other child inherits them.
static SPAWN: Mutex<()> = Mutex::new(());

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
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    addrs: BTreeMap<String, SocketAddr>,
    status: Option<ExitStatus>,
    /// The directory of the configuration, for sockets and files of the test.
    pub dir: TempDir,
}

impl Proxy {
    fn start(setup: Setup) -> Self {
        let dir = TempDir::new();
        let config = setup.config.replace("{tmp}", &dir.path().display().to_string());
        let path = dir.write("cfg", &config);
        for (name, bytes) in &setup.files {
            std::fs::write(dir.file(name), bytes).expect("the temporary directory is writable");
        }
        let mut sockets = setup.sockets;
        for name in inherited_names(&config) {
            if !sockets.iter().any(|(n, _)| *n == name) {
                sockets.push((name, listener(100)));
            }
        }
        let program = setup.program.unwrap_or_else(crate::binary);
        let mut command = match setup.shell {
            None => Command::new(&program),
            Some(prelude) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{prelude}; exec \"$0\" \"$@\"")]);
                shell.arg(&program);
                shell
            }
        };
        let tmp = dir.path().display().to_string();
        command
            .args(setup.args.iter().map(|a| a.replace("{tmp}", &tmp)))
            .arg("-f")
            .arg(&path)
            .current_dir(dir.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut addrs = BTreeMap::new();
        for (name, socket) in &sockets {
            command.env(name, socket.as_raw_fd().to_string());
            if let Some(addr) = socket.local_addr().ok().and_then(|a| a.as_socket()) {
                addrs.insert(name.clone(), addr);
            }
        }
        command.envs(setup.env);
        let child = spawn(&mut command, &sockets);
        let mut child = child.unwrap_or_else(|e| panic!("cannot run {}: {e}", program.display()));
        let output = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            drain(child.stdout.take().expect("stdout is piped"), &output),
            drain(child.stderr.take().expect("stderr is piped"), &output),
        ];
        let mut proxy = Self {
            child,
            output,
            readers,
            addrs,
            status: None,
            dir,
        };
        if setup.wait_ready {
            let inodes: Vec<String> = sockets
                .iter()
                .filter_map(|(_, s)| inode("self", s.as_raw_fd()))
                .collect();
            proxy.await_polling(&inodes);
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
        self.child.id()
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
        String::from_utf8_lossy(&self.output.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
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

    /// Waits for its end and for the end of its output, which comes when no process holds it.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let status = wait_for(limit, || self.exited())?;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
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
        if self.exited().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
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
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(command, &[]).map_err(|e| format!("cannot run: {e}"))?;
    let (out, err) = (Arc::default(), Arc::default());
    let readers = [
        drain(child.stdout.take().expect("stdout is piped"), &out),
        drain(child.stderr.take().expect("piped"), &err),
    ];
    let status = wait_for(limit, || child.try_wait().ok().flatten());
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    for reader in readers {
        let _ = reader.join();
    }
    let text =
        |b: Arc<Mutex<Vec<u8>>>| String::from_utf8_lossy(&b.lock().expect("no reader panicked")).into_owned();
    let (stdout, stderr) = (text(out), text(err));
    match status {
        None => Err(stdout + &stderr),
        Some(status) => Ok(Finished {
            code: status.code(),
            stdout,
            stderr,
        }),
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

/// A TCP listener on a free port of 127.0.0.1.
pub fn listener(backlog: i32) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a TCP socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.bind(&any.into()).expect("a free port");
    socket.listen(backlog).expect("listen");
    socket
}

/// Starts a child that inherits `sockets`, and nothing else.
fn spawn(command: &mut Command, sockets: &[(String, Socket)]) -> std::io::Result<Child> {
    let guard = SPAWN.lock().unwrap_or_else(PoisonError::into_inner);
    let inherit = |on: bool| {
        sockets
            .iter()
            .for_each(|(_, s)| s.set_cloexec(!on).expect("FD_CLOEXEC"))
    };
    inherit(true);
    let child = command.spawn();
    inherit(false);
    drop(guard);
    child
}

/// Collects what a pipe gives until its end.
fn drain(mut pipe: impl Read + Send + 'static, into: &Arc<Mutex<Vec<u8>>>) -> std::thread::JoinHandle<()> {
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

/// The names in `fd@${name}` of a configuration, each once.
fn inherited_names(config: &str) -> Vec<String> {
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
fn polled_inodes(pid: &str) -> Vec<String> {
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
