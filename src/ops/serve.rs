//! The second half of the start: limits, sockets, rights, and the loop; alone, in the background, or as master and
//! worker. See [`super::boot`] for the order.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::boot::{Ended, Found, Start, background, os_words};
use super::cli;
use super::daemon::{self, CAP_SYS_CHROOT, Launcher};
use super::limits::{self, Limits};
use super::master::link::MasterLink;
use super::master::notify::Notifier;
use super::master::{self, Plan, WorkerProcess};
use super::messages::Voice;
use super::signals::Signals;
use crate::base::addr::Target;
use crate::conf::diag::Sink;
use crate::conf::source::Sources;
use crate::engine::bind::{self, Bound};
use crate::engine::control::{Control, ControlSource};
use crate::engine::netns::Namespaces;
use crate::engine::service::Services;
use crate::engine::sys::{self, Forked};
use crate::engine::worker::{Setup, Worker};
use crate::load;
use crate::model::config::{Config, Declared};
use crate::model::listener::Owner;
use crate::model::state::State;
use crate::policy::host::Host;

const FAILED: ExitCode = ExitCode::FAILURE;

/// How often binding is tried while old processes release their ports, and the wait between.
const BIND_TRIES: u32 = 100;
const BIND_WAIT: Duration = Duration::from_millis(10);

/// Signals of a loop. SIGTERM and SIGINT keep the system's action: the process ends at once, by the signal.
const WORKER_SIGNALS: &[i32] = &[
    libc::SIGUSR1,
    libc::SIGTTOU,
    libc::SIGTTIN,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR2,
];

/// Signals as requests to the loop.
struct SignalSource(Signals);

impl ControlSource for SignalSource {
    fn fd(&self) -> RawFd {
        self.0.fd()
    }

    fn next(&mut self) -> Option<Control> {
        loop {
            match self.0.take()? {
                libc::SIGUSR1 => return Some(Control::SoftStop),
                libc::SIGTTOU => return Some(Control::Pause),
                libc::SIGTTIN => return Some(Control::Resume),
                libc::SIGHUP => return Some(Control::DumpState),
                libc::SIGQUIT => return Some(Control::FreePools),
                // SIGUSR2 means something to a master only.
                _ => {}
            }
        }
    }
}

/// Serves until the end. `Err` holds the code of a start that failed.
pub(super) fn run(mut found: Found) -> Result<ExitCode, Ended> {
    let launcher = background(&mut found)?;
    if found.modes.master_worker {
        return under_master(found, launcher);
    }
    work(found.load()?, launcher, None)
}

/// Starts the worker and becomes its master. The worker reads the configuration: one that is refused is a worker that
/// does not come up.
fn under_master(mut found: Found, launcher: Option<Launcher>) -> Result<ExitCode, Ended> {
    let master_config = master_sockets(&mut found)?;
    let failed = |voice: &mut Voice, what: &str, error: &io::Error| {
        let text = format!("[{}.main()] {what}: {}", voice.program(), os_words(error));
        voice.alert(&text);
        FAILED
    };
    let (link, workers_end) = Socket::pair(Domain::UNIX, Type::STREAM, None).map_err(|error| {
        let what = "Cannot create the socket pair of master and worker";
        failed(&mut found.voice, what, &error)
    })?;
    match sys::fork() {
        Ok(Forked::Child) => {
            drop(link);
            drop(launcher);
            let (link, gone) = MasterLink::new(workers_end).map_err(|error| {
                let what = "Cannot use the socket pair of master and worker";
                failed(&mut found.voice, what, &error)
            })?;
            work(found.load()?, None, Some((link, gone)))
        }
        Ok(Forked::Parent(pid)) => {
            drop(workers_end);
            found.voice.notice(&format!("Initializing new worker ({pid})"));
            let ended = watch(&mut found, pid, link, launcher, &master_config);
            ended.map_err(|error| failed(&mut found.voice, "The master cannot go on", &error))
        }
        Err(error) => Err(failed(&mut found.voice, "Cannot fork", &error)),
    }
}

/// The master's life.
fn watch(
    found: &mut Found,
    pid: i32,
    link: Socket,
    launcher: Option<Launcher>,
    master_config: &Config,
) -> io::Result<ExitCode> {
    let signals = Signals::catch(master::SIGNALS)?;
    let namespaces = Namespaces::open(master_config).map_err(io::Error::other)?;
    let (bound, errors) = bind::bind_all(master_config, &namespaces);
    if report(&errors, master_config, &mut found.voice) {
        let program = found.voice.program().to_owned();
        found.voice.alert(&all_failed(&program));
        sys::kill(pid, libc::SIGTERM)?;
        return Ok(FAILED);
    }
    let mut env = found.discovered.environment();
    env.push((b"HAPROXY_MWORKER".to_vec(), b"1".to_vec()));
    set_last(&mut env, "HAPROXY_MASTER_CLI", addresses(master_config, &bound));
    let with_level = |bound: Bound| {
        let level = master_config.listener(bound.listener).level;
        (bound, level)
    };
    let global = found.discovered.global(&found.invocation.load);
    let plan = Plan {
        sockets: bound.into_iter().map(with_level).collect(),
        line_max: global.tune.bufsize as usize,
        notifier: if found.invocation.systemd {
            Notifier::from_environment()
        } else {
            None
        },
        pidfile: global.pidfile,
        old: found.invocation.old.clone(),
        no_exit_on_failure: global.no_exit_on_failure,
        null: if launcher.is_some() {
            Some(daemon::open_null()?)
        } else {
            None
        },
        launcher,
        env,
    };
    let worker = WorkerProcess {
        pid,
        link,
        started_s: found.clock.stamp().wall_us / 1_000_000,
        is_ready: false,
    };
    master::run(plan, worker, signals, &mut found.voice)
}

/// Sets a variable that comes after all others.
fn set_last(env: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &str, value: String) {
    env.retain(|(other, _)| other != name.as_bytes());
    env.push((name.as_bytes().to_vec(), value.into_bytes()));
}

/// The addresses of runtime sockets, for the variables that name them; those passed on by a descriptor pair have none.
fn addresses(config: &Config, bound: &[Bound]) -> String {
    let text = |bound: &Bound| {
        let listener = config.listener(bound.listener);
        if matches!(listener.owner, Owner::Proxy(_)) {
            return None;
        }
        match &listener.addr.target {
            Target::Unix(path) => Some(format!("unix@{}", String::from_utf8_lossy(path))),
            Target::Abstract { name, .. } => Some(format!("abns@{}", String::from_utf8_lossy(name))),
            Target::SockPair(_) => None,
            Target::Ip { .. } | Target::Name { .. } | Target::Fd(_) => {
                let addr = bound.socket.local_addr().ok()?;
                let ip = addr.as_socket().map(|addr| match addr {
                    SocketAddr::V4(addr) => format!("ipv4@{addr}"),
                    SocketAddr::V6(addr) => format!("ipv6@[{}]:{}", addr.ip(), addr.port()),
                });
                ip.or_else(|| Some(format!("unix@{}", addr.as_pathname()?.display())))
            }
        }
    };
    let all: Vec<String> = bound.iter().filter_map(text).collect();
    all.join(";")
}

/// The runtime sockets of `-S`, read as `stats socket` lines, by default with the rights of an admin.
fn master_sockets(found: &mut Found) -> Result<Config, Ended> {
    let mut text = "global\n".to_owned();
    for socket in &found.invocation.master_sockets {
        let socket = socket.to_string_lossy();
        let mut words = socket.split(',');
        let address = words.next().unwrap_or_default();
        let quoted = |word: &str| format!("'{word}' ");
        if socket.contains(['\'', '\n', '\r']) {
            found
                .voice
                .alert(&format!("-S: unusable characters in '{}'", socket.escape_debug()));
            return Err(FAILED);
        }
        text += &format!(
            "stats socket {}level admin {}\n",
            quoted(address),
            words.map(quoted).collect::<String>()
        );
    }
    let mut sources = Sources::new();
    let mut sink = Sink::new();
    let added = sources.add(b"-S", text.into_bytes());
    let loaded = added.ok().and_then(|_| {
        load::load(
            &sources,
            &found.invocation.load,
            Rc::<_>::clone(&found.host) as Rc<dyn Host>,
            &mut sink,
        )
    });
    found.voice.reports(&sink, &sources, false);
    let mut config = loaded.ok_or_else(|| {
        found.voice.alert("Can't create the master's CLI.");
        FAILED
    })?;
    for listener in &mut config.listeners {
        let listener = Arc::make_mut(listener);
        listener.owner = Owner::MasterCli;
        listener.declared = Declared {
            file: Arc::from("master-socket"),
            line: 0,
        };
    }
    Ok(config)
}

/// Says what binding met with. Returns whether anything is fatal.
fn report(errors: &[bind::BindError], config: &Config, voice: &mut Voice) -> bool {
    for error in errors {
        let text = error.message(config);
        if error.fault.is_warning() {
            voice.warning(&text);
        } else {
            voice.alert(&text);
        }
    }
    errors.iter().any(|error| !error.fault.is_warning())
}

fn all_failed(program: &str) -> String {
    format!("[{program}.main()] Some protocols failed to start their listeners! Exiting.")
}

fn tell_old(start: &Start, signal: i32) -> usize {
    start
        .invocation
        .old
        .pids
        .iter()
        .filter(|pid| sys::kill(**pid, signal).is_ok())
        .count()
}

/// Binds all listeners; old processes that are in the way are asked to release their ports.
fn bind_all(start: &mut Start) -> Result<(Vec<Bound>, Namespaces), Ended> {
    let config = Arc::clone(&start.config);
    let namespaces = Namespaces::open(&config).map_err(|error| {
        start.voice.alert(&error.to_string());
        FAILED
    })?;
    let mut asked = false;
    for attempt in 0..=BIND_TRIES {
        let (bound, errors) = bind::bind_all(&config, &namespaces);
        let fatal = errors.iter().any(|error| !error.fault.is_warning());
        let last = attempt == BIND_TRIES || start.invocation.old.pids.is_empty();
        if !fatal || last || (tell_old(start, libc::SIGTTOU) == 0 && asked) {
            if !report(&errors, &config, &mut start.voice) {
                return Ok((bound, namespaces));
            }
            break;
        }
        asked = true;
        drop(bound);
        wait(BIND_WAIT);
    }
    let text = all_failed(start.voice.program());
    start.voice.alert(&text);
    if asked {
        tell_old(start, libc::SIGTTIN);
    }
    Err(FAILED)
}

#[expect(
    clippy::disallowed_methods,
    reason = "before the loop runs, there is nothing else to do"
)]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// The life of the process that serves.
fn work(
    mut start: Start,
    launcher: Option<Launcher>,
    link: Option<(MasterLink, Rc<std::cell::Cell<bool>>)>,
) -> Result<ExitCode, Ended> {
    let config = Arc::clone(&start.config);
    let under_master = link.is_some();
    let old_socket = start.invocation.old_socket.as_ref();
    if old_socket.is_some_and(|socket| socket != "/dev/null") {
        start
            .voice
            .notice("-x: listening sockets are opened anew, taking them over is not supported yet.");
    }
    let limits = limits::compute(&config, start.at_boot, under_master);
    if limits.computed_maxconn {
        start.voice.notice(&format!(
            "Automatically setting global.maxconn to {}.",
            limits.maxconn
        ));
    }
    if config.global.nbthread > 1 {
        let text = format!(
            "nbthread {}: one loop serves for now, on one processor.",
            config.global.nbthread
        );
        start.voice.notice(&text);
    }
    let signals = Signals::catch(WORKER_SIGNALS).map_err(|error| {
        start
            .voice
            .alert(&format!("Cannot catch signals: {}", os_words(&error)));
        FAILED
    })?;
    let ulimit_n = limits::apply(&limits, &config, start.at_boot, &mut start.voice).map_err(|_| FAILED)?;
    let (bound, namespaces) = bind_all(&mut start)?;
    if bound.is_empty() && !under_master {
        let text = format!(
            "[{}.main()] No enabled listener found (check for 'bind' directives) ! Exiting.",
            start.voice.called()
        );
        start.voice.alert(&text);
        return Err(FAILED);
    }
    let null = leave_rights(&mut start, &limits, launcher.is_some(), under_master)?;
    if let Some(null) = &null {
        // A daemon says nothing from here on.
        let _ = daemon::leave_terminal(null);
        start.voice.set_quiet(true);
    }
    drop(null);
    let state = state(&mut start, &limits, ulimit_n);
    let mut control: Vec<Box<dyn ControlSource>> = vec![Box::new(SignalSource(signals))];
    let (mut master_gone, mut master_link) = (None, None);
    if let Some((mut link, gone)) = link {
        link.ready().map_err(|error| {
            start.voice.alert(&format!(
                "Failed to send READY status to master: {}",
                os_words(&error)
            ));
            FAILED
        })?;
        master_link = Some(link.fd());
        control.push(Box::new(link));
        master_gone = Some(gone);
    }
    let mut env = config.env.clone();
    if under_master || !config.global.stats_sockets.is_empty() {
        set_last(&mut env, "HAPROXY_CLI", addresses(&config, &bound));
    }
    let setup = Setup {
        config,
        state,
        bound,
        namespaces,
        services: Services { cli: cli::open },
        control,
        pid: std::process::id(),
        hostname: start.host.hostname(),
        master_link,
        runtime_conns: Vec::new(),
        env,
    };
    if let Some(launcher) = launcher {
        launcher.ready();
    }
    let result = Worker::new(setup).and_then(|mut worker| worker.run());
    if let Err(error) = result {
        start
            .voice
            .alert(&format!("The loop cannot go on: {}", os_words(&error)));
        return Err(FAILED);
    }
    // A worker does not outlive its master.
    let orphaned = master_gone.is_some_and(|gone| gone.get());
    Ok(if orphaned { FAILED } else { ExitCode::SUCCESS })
}

fn state(start: &mut Start, limits: &Limits, ulimit_n: u64) -> State {
    start.clock.tick();
    let stamp = start.clock.stamp();
    let mut state = State::new(&start.config, stamp.at);
    limits::fill(limits, &start.config, &mut state);
    let process = &mut state.process;
    process.ulimit_n = u32::try_from(ulimit_n).unwrap_or(u32::MAX);
    process.pid = std::process::id();
    process.boot_ms = u32::try_from(stamp.at.as_ms().saturating_sub(1)).unwrap_or(u32::MAX);
    process.started_wall_us = stamp.wall_us.saturating_sub(u64::from(process.boot_ms) * 1000);
    process.counters.warnings = start.voice.warnings();
    state
}

/// From bound sockets to a process without rights. Returns what the terminal is to be replaced with, for a daemon.
fn leave_rights(
    start: &mut Start,
    limits: &Limits,
    daemonised: bool,
    under_master: bool,
) -> Result<Option<std::fs::File>, Ended> {
    let config = Arc::clone(&start.config);
    let global = &config.global;
    let program = start.voice.called().to_owned();
    let null = daemon::open_null().map_err(|_| {
        start.voice.alert("Cannot open /dev/null");
        FAILED
    })?;
    if start.modes.is_silent() {
        let _ = daemon::leave_terminal(&null);
    }
    limits::check(limits, &config, &mut start.voice).map_err(|_| FAILED)?;
    if daemonised
        && !under_master
        && let Some(pidfile) = &global.pidfile
    {
        write_pidfile(start, pidfile)?;
    }
    if global.chroot.is_none() && sys::effective_uid() == 0 && sys::can_have_capability(CAP_SYS_CHROOT) {
        start.voice.warning(&format!(
            "[{program}.main()] This process was started as root without any 'chroot': an intruder would see the \
             whole file system. 'chroot auto' in the global section confines it to an empty directory; 'chroot /' \
             says that this is on purpose."
        ));
    }
    if let Err((dir, error)) = daemon::chroot(global) {
        let text = format!(
            "[{program}.main()] Cannot chroot({}): {}.",
            dir.display(),
            os_words(&error)
        );
        start.voice.alert(&text);
        tell_old(start, libc::SIGTTIN);
        return Err(FAILED);
    }
    if !under_master {
        tell_old(
            start,
            if start.invocation.old.terminate {
                libc::SIGTERM
            } else {
                libc::SIGUSR1
            },
        );
    }
    match daemon::take_identity(global) {
        Ok(false) => {}
        Ok(true) => start.voice.warning(&format!(
            "[{program}.main()] Failed to drop supplementary groups: 'gid' or 'group' without 'uid' or 'user' is of \
             little use."
        )),
        Err(error) => {
            start.voice.alert(&format!("[{program}.main()] {error}"));
            return Err(FAILED);
        }
    }
    check_rights(start, &program)?;
    if global.user.is_none() && sys::effective_uid() == 0 {
        start.voice.warning(&format!(
            "[{program}.main()] This process keeps running as root: set 'user' or 'uid' in the global section, with \
             'setcap' for the rights that it needs. 'user root' or 'uid 0' says that this is on purpose."
        ));
    }
    if global.set_dumpable {
        allow_core_dumps(start, &program)?;
    }
    confine(start);
    Ok(daemonised.then_some(null))
}

/// Looks whether settings that need rights while serving have them. Who gave the rights up himself is refused.
fn check_rights(start: &mut Start, program: &str) -> Result<(), Ended> {
    let lacking = daemon::lacking_rights(&start.config);
    if lacking.is_empty() {
        return Ok(());
    }
    let lacking = lacking.join(", ");
    if start.config.global.user.as_ref().is_some_and(|user| user.id > 0) {
        start.voice.alert(&format!(
            "[{program}.main()] Some configuration options require full privileges, so global.uid cannot be changed: \
             {lacking} in the 'global' section keeps what they need."
        ));
        return Err(FAILED);
    }
    start.voice.warning(&format!(
        "[{program}.main()] Some options which require full privileges might not work well: this process lacks what \
         {lacking} would keep."
    ));
    Ok(())
}

fn write_pidfile(start: &mut Start, pidfile: &Path) -> Result<(), Ended> {
    daemon::write_pidfile(pidfile).map_err(|error| {
        let program = start.voice.program();
        let text = format!(
            "[{program}.main()] Cannot create pidfile {}\n  {}",
            pidfile.display(),
            os_words(&error)
        );
        start.voice.alert(&text);
        tell_old(start, libc::SIGTTIN);
        FAILED
    })
}

/// `set-dumpable`: no limit of file and core sizes, and core dumps in spite of the change of user.
fn allow_core_dumps(start: &mut Start, program: &str) -> Result<(), Ended> {
    let unlimited = sys::Limit {
        soft: libc::RLIM_INFINITY,
        hard: libc::RLIM_INFINITY,
    };
    for (resource, what) in [
        (libc::RLIMIT_FSIZE, "maximum file size"),
        (libc::RLIMIT_CORE, "core dump size"),
    ] {
        if sys::set_limit(resource, unlimited).is_err() {
            let text = format!("[{program}.main()] Failed to raise the {what}.");
            if start.config.global.strict_limits {
                start.voice.alert(&text);
                return Err(FAILED);
            }
            start.voice.warning(&text);
        }
    }
    if sys::set_dumpable().is_err() {
        let text = format!("[{program}.main()] Failed to set the dumpable flag, no core will be dumped.");
        start.voice.warning(&text);
    }
    Ok(())
}

/// Neither new rights nor new processes from here on, unless the configuration wants them.
fn confine(start: &mut Start) {
    let global = &start.config.global;
    let setuid = global.insecure_setuid_wanted || sys::forbid_new_privileges().is_ok();
    let none = sys::Limit { soft: 0, hard: 0 };
    let forks = global.insecure_fork_wanted || sys::set_limit(libc::RLIMIT_NPROC, none).is_ok();
    if !setuid {
        start
            .voice
            .warning("Failed to forbid setuid programs; 'insecure-setuid-wanted' silences this warning.");
    }
    if !forks {
        start
            .voice
            .warning("Failed to forbid new processes; 'insecure-fork-wanted' silences this warning.");
    }
}
