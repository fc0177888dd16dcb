//! From the command line to the loop: the order in which a process starts.
//!
//! ```text
//!  arguments -> -cc -> -C -> read files -> -dC -> discover the modes -> -c -> background (-D) -> master's fork (-W)
//!     -> load -> -dK, -dL, -dA -> limits -> descriptor limit -> bind -> process file -> chroot -> old processes -> user -> leave terminal -> loop
//! ```
//! Everything that needs rights happens before they are given up, everything that may fail before anything irreversible
//! is done to other processes. Source: management manual, "Starting HAProxy"; order and codes as HAProxy 3.4.0.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use super::args::{self, Invocation, Stop};
use super::daemon::{self, Launcher, Side};
use super::host::RealHost;
use super::master::exit_words;
use super::messages::Voice;
use super::version;
use super::{dump, serve, tar, tool};
use crate::conf::cond;
use crate::conf::diag::Sink;
use crate::conf::env::Env;
use crate::conf::source::Sources;
use crate::engine::clock::Clock;
use crate::engine::sys::{self, Limit};
use crate::load::{self, Discovered};
use crate::model::config::Config;
use crate::model::global::Global;
use crate::policy::host::Host;

/// What is known before the configuration is: enough for a launcher and a master.
pub(super) struct Found {
    /// The command line.
    pub(super) invocation: Invocation,
    /// The text of the files.
    pub(super) sources: Sources,
    /// Their first reading.
    pub(super) discovered: Discovered,
    /// The machine.
    pub(super) host: Rc<RealHost>,
    /// The voice.
    pub(super) voice: Voice,
    /// Descriptor limits at the start of the process.
    pub(super) at_boot: Limit,
    /// The clocks, from the start of the process on.
    pub(super) clock: Clock,
    /// Modes, once command line and files are known.
    pub(super) modes: Modes,
}

/// What is known once the configuration is loaded.
pub(super) struct Start {
    /// The command line.
    pub(super) invocation: Invocation,
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// The machine.
    pub(super) host: Rc<RealHost>,
    /// The voice.
    pub(super) voice: Voice,
    /// Descriptor limits at the start of the process.
    pub(super) at_boot: Limit,
    /// The clocks, from the start of the process on.
    pub(super) clock: Clock,
    /// Modes, once command line and files are known.
    pub(super) modes: Modes,
}

/// How the process runs. The command line wins over the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Modes {
    /// In the background.
    pub(super) daemon: bool,
    /// Under a master.
    pub(super) master_worker: bool,
    /// Saying nothing.
    pub(super) quiet: bool,
    /// Saying more.
    pub(super) verbose: bool,
}

impl Modes {
    fn of(invocation: &Invocation, global: &Global) -> Self {
        let told_daemon = invocation.load.daemon && !invocation.systemd;
        let stays = (invocation.debug || invocation.foreground) && !told_daemon;
        Self {
            daemon: told_daemon || global.daemon && !stays,
            master_worker: global.master_worker,
            quiet: (invocation.load.quiet || global.quiet && !stays) && !invocation.debug,
            verbose: invocation.verbose,
        }
    }

    /// Nothing is to be printed.
    pub(super) fn is_silent(self) -> bool {
        self.quiet && !self.verbose
    }
}

/// An end before anything was started: the code to leave with.
pub(super) type Ended = ExitCode;

const FAILED: ExitCode = ExitCode::FAILURE;

/// An error of the system in its own words, without Rust's number.
pub(super) fn os_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.rfind(" (os error")
        .map_or(text.as_str(), |end| &text[..end])
        .to_owned()
}

/// Prints on the standard output. Nothing can be done about a closed one.
pub(super) fn print(text: impl AsRef<[u8]>) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_ref()).and_then(|()| out.flush());
}

/// The program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let clock = Clock::start();
    // Where the system refuses that, the process has to live with what it was given.
    let _ = sys::reset_signals();
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(code) = tool::named(&args) {
        return code;
    }
    let program = args.first().cloned().unwrap_or_default();
    let mut voice = Voice::new(&program);
    let invocation = match args::parse(args) {
        Ok(invocation) => invocation,
        Err(stop) => return stopped(stop, &mut voice),
    };
    for warning in &invocation.warnings {
        voice.warning(warning);
    }
    match prepare(invocation, voice, clock) {
        Ok(found) => serve::run(found).unwrap_or_else(|code| code),
        Err(code) => code,
    }
}

fn stopped(stop: Stop, voice: &mut Voice) -> ExitCode {
    match stop {
        Stop::Print(text) => {
            print(text);
            ExitCode::SUCCESS
        }
        Stop::Refuse(text) => {
            voice.alert(&text);
            FAILED
        }
        Stop::Usage(reason) => {
            if let Some(reason) = reason {
                voice.alert(&reason);
            }
            usage(voice)
        }
    }
}

fn usage(voice: &Voice) -> ExitCode {
    print(version::short());
    let _ = io::stderr().write_all(args::usage(voice.program()).as_bytes());
    FAILED
}

/// Everything up to the modes of the process.
fn prepare(invocation: Invocation, mut voice: Voice, clock: Clock) -> Result<Found, Ended> {
    let boot_limit = sys::limit(libc::RLIMIT_NOFILE).unwrap_or(Limit {
        soft: 1024,
        hard: 1024,
    });
    let at_boot = match boot_limit.hard {
        libc::RLIM_INFINITY => Limit {
            hard: boot_limit.soft,
            ..boot_limit
        },
        _ => boot_limit,
    };
    voice.set_quiet(invocation.load.quiet && !invocation.verbose);
    if let Some(condition) = &invocation.condition {
        return Err(evaluate(condition, &invocation, &mut voice));
    }
    enter_directory(&invocation, &mut voice)?;
    if !invocation.master_sockets.is_empty() && !invocation.load.master_worker {
        voice.alert("a master CLI socket was defined, but master-worker mode (-W) is not enabled.");
        return Err(FAILED);
    }
    let sources = read_files(&invocation, &mut voice)?;
    let host = Rc::new(RealHost::named_version(version::VERSION));
    if let Some(options) = &invocation.dump_config {
        let env = load::first_environment(&*host);
        let (text, sink) = dump::configuration(&sources, &env, *options);
        print(text);
        if sink.has_errors() {
            voice.reports(&sink, &sources, false);
            return Err(FAILED);
        }
        if !invocation.load.check {
            return Err(ExitCode::SUCCESS);
        }
    }
    let mut sink = Sink::new();
    let discovered = load::discover(
        &sources,
        &invocation.load,
        Rc::<RealHost>::clone(&host),
        &mut sink,
    );
    if let Some(discovered) = &discovered {
        // The files may ask for silence too.
        let modes = Modes::of(&invocation, &discovered.global(&invocation.load));
        voice.set_quiet(modes.is_silent());
    }
    voice.reports(&sink, &sources, invocation.diagnose);
    let Some(discovered) = discovered else {
        return Err(FAILED);
    };
    let modes = Modes::of(&invocation, &discovered.global(&invocation.load));
    let check = invocation.load.check;
    let found = Found {
        invocation,
        sources,
        discovered,
        host,
        voice,
        at_boot,
        clock,
        modes,
    };
    if check {
        let start = found.load()?;
        return Err(checked(&start.config, modes, start.voice.warnings() > 0));
    }
    Ok(found)
}

impl Found {
    /// Reads the rest of the configuration.
    pub(super) fn load(self) -> Result<Start, Ended> {
        let Self {
            invocation,
            sources,
            discovered,
            host,
            mut voice,
            at_boot,
            clock,
            modes,
        } = self;
        let mut sink = Sink::new();
        let loaded = discovered.complete(&sources, &invocation.load, &mut sink);
        voice.reports(&sink, &sources, invocation.diagnose);
        let Some(config) = loaded else { return Err(FAILED) };
        if voice.warnings() > 0 && (config.global.zero_warning || invocation.load.zero_warning) {
            voice.alert("Some warnings were found and 'zero-warning' is set. Aborting.");
            return Err(FAILED);
        }
        print_dumps(&invocation, &mut voice)?;
        Ok(Start {
            invocation,
            config: Arc::new(config),
            host,
            voice,
            at_boot,
            clock,
            modes,
        })
    }
}

/// `-cc`: 0 true, 1 false, 2 no condition.
fn evaluate(condition: &OsString, invocation: &Invocation, voice: &mut Voice) -> ExitCode {
    let env = Env::of(RealHost::default().environment());
    match cond::evaluate_argument(condition.as_bytes(), &env, &invocation.load.facts) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(diag) => {
            voice.alert(&diag.text);
            ExitCode::from(2)
        }
    }
}

/// The outcome of `-c`: 0 good, 2 nothing to listen to.
fn checked(config: &Config, modes: Modes, warned: bool) -> ExitCode {
    let say = |text: &str| {
        if !modes.is_silent() {
            print(text);
        }
    };
    if warned {
        say("Warnings were found.\n");
    }
    if load::has_listener(config) {
        if modes.verbose {
            say("Configuration file is valid\n");
        }
        return ExitCode::SUCCESS;
    }
    say("Configuration file has no error but will not start (no listener) => exit(2).\n");
    ExitCode::from(2)
}

fn print_dumps(invocation: &Invocation, voice: &mut Voice) -> Result<(), Ended> {
    if let Some(archive) = &invocation.pack_libs {
        let directory = format!("core-{}", std::process::id());
        tar::pack(archive, &directory, &tar::loaded_objects()).map_err(|error| {
            let text = format!(
                "Cannot create output file to dump dependencies: {}.",
                os_words(&error)
            );
            voice.alert(&text);
            FAILED
        })?;
    }
    if invocation.dump_libs {
        print(dump::loaded_objects());
    }
    if let Some(classes) = &invocation.dump_keywords {
        print(dump::keywords(classes));
    }
    Ok(())
}

/// `-C`: goes there before anything is read.
pub(super) fn enter_directory(invocation: &Invocation, voice: &mut Voice) -> Result<(), Ended> {
    let Some(directory) = &invocation.directory else {
        return Ok(());
    };
    std::env::set_current_dir(directory).map_err(|error| {
        let text = format!(
            "Could not change to directory {} : {}",
            directory.display(),
            os_words(&error)
        );
        voice.alert(&text);
        FAILED
    })
}

/// Reads the files, directories replaced by what they hold.
pub(super) fn read_files(invocation: &Invocation, voice: &mut Voice) -> Result<Sources, Ended> {
    let mut names = Vec::new();
    for name in &invocation.files {
        match expand(name) {
            Ok(found) => names.extend(found),
            Err(error) => {
                let text = format!(
                    "config : Cannot open configuration file/directory {} : {}",
                    name.display(),
                    os_words(&error)
                );
                voice.alert(&text);
                return Err(FAILED);
            }
        }
    }
    if names.is_empty() {
        return Err(usage(voice));
    }
    let mut sources = Sources::new();
    for name in &names {
        let refused = match fs::read(name) {
            Ok(text) => sources
                .add(name.as_bytes(), text)
                .map(drop)
                .map_err(|error| error.to_string()),
            Err(error) => Err(os_words(&error)),
        };
        if let Err(why) = refused {
            voice.alert(&format!(
                "config : Could not open configuration file {} : {why}",
                name.display()
            ));
            return Err(FAILED);
        }
    }
    Ok(sources)
}

/// The file itself, or the visible `*.cfg` files of a directory, sorted by their bytes.
fn expand(name: &OsString) -> io::Result<Vec<OsString>> {
    if !fs::metadata(name)?.is_dir() {
        return Ok(vec![name.clone()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(name)? {
        let entry = entry?.file_name();
        let bytes = entry.as_bytes();
        if bytes.starts_with(b".") || !bytes.ends_with(b".cfg") {
            continue;
        }
        let path = OsString::from_vec([name.as_bytes(), b"/", bytes].concat());
        if fs::metadata(&path)?.is_file() {
            found.push(path);
        }
    }
    found.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
    Ok(found)
}

/// Goes to the background, if that is wanted: the process that was called ends here.
pub(super) fn background(found: &mut Found) -> Result<Option<Launcher>, Ended> {
    if !found.modes.daemon {
        return Ok(None);
    }
    match daemon::background() {
        Ok(Side::Daemon(launcher)) => Ok(Some(launcher)),
        Ok(Side::Called(end)) => {
            if let daemon::CalledEnd::Died(pid, code) = end {
                found.voice.alert(&format!(
                    "Process {pid} exited with code {code} ({})",
                    exit_words(code)
                ));
            }
            Err(end.exit_code())
        }
        Err(error) => {
            let text = format!(
                "[{}.main()] Cannot fork: {}",
                found.voice.program(),
                os_words(&error)
            );
            found.voice.alert(&text);
            Err(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(line: &str, change: impl FnOnce(&mut Global)) -> Modes {
        let words = std::iter::once("rproxy").chain(line.split(' '));
        let invocation = args::parse(words.map(OsString::from)).unwrap();
        let mut global = Global {
            master_worker: invocation.load.master_worker,
            ..Global::default()
        };
        change(&mut global);
        Modes::of(&invocation, &global)
    }

    #[test]
    fn the_command_line_wins_over_the_files() {
        let daemon = |global: &mut Global| (global.daemon, global.quiet) = (true, true);
        assert!(modes("-f a", daemon).daemon);
        assert!(modes("-f a", daemon).is_silent());
        for line in ["-d -f a", "-db -f a"] {
            assert_eq!(
                (modes(line, daemon).daemon, modes(line, daemon).quiet),
                (false, false),
                "{line}"
            );
        }
        assert!(modes("-db -D -f a", |_| {}).daemon);
        assert!(!modes("-Ws -f a", daemon).daemon);
        assert!(modes("-Ws -f a", |_| {}).master_worker);
        assert!(!modes("-q -V -f a", |_| {}).is_silent());
    }

    #[test]
    fn directories_are_expanded_in_byte_order() {
        let dir = std::env::temp_dir().join(format!("rproxy-expand-test.{}", std::process::id()));
        fs::create_dir_all(dir.join("sub.cfg")).unwrap();
        for name in ["b.cfg", "a.cfg", "B.cfg", ".hidden.cfg", "c.txt", "d.cfg.bak"] {
            fs::write(dir.join(name), "").unwrap();
        }
        let found = expand(&dir.clone().into_os_string()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.to_str().unwrap().rsplit('/').next().unwrap())
            .collect();
        assert_eq!(names, ["B.cfg", "a.cfg", "b.cfg"]);
        fs::remove_dir_all(&dir).unwrap();
        assert!(expand(&OsString::from("/no/such/file")).is_err());
    }

    #[test]
    fn system_errors_in_words() {
        assert_eq!(
            os_words(&io::Error::from_raw_os_error(libc::ENOENT)),
            "No such file or directory"
        );
    }
}
