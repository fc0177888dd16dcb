//! One measurement: starts a contender, puts a load on it, brings the figures home.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::contender::{self, Contender, Place};
use crate::figures::Watch;
use crate::load::question;
use crate::process::{Cores, Launch, Running, on_path};
use crate::workload::{Kind, Workload};
use crate::{sink, sockets};

/// How long a contender may take until it listens.
const PATIENCE: Duration = Duration::from_secs(8);

/// Named numbers of one run; times in nanoseconds, sizes in bytes.
pub(crate) type Figures = BTreeMap<String, f64>;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm: f64,
    pub(crate) seconds: f64,
}

/// What all measurements have in common: the servers behind the proxies, and where everything runs.
pub(crate) struct Rig {
    pub(crate) directory: PathBuf,
    pub(crate) cores: Cores,
    program: String,
    origins: [SocketAddr; 2],
    mptcp: [SocketAddr; 2],
    stay: [SocketAddr; 2],
    log: SocketAddr,
    _processes: Vec<Running>,
}

/// What came of one run.
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    /// How the contender and the load were started.
    pub(crate) contender: String,
    pub(crate) load: String,
}

/// Why there are no figures.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This contender has no part in this workload.
    Skipped(String),
    /// It should have worked.
    Broken(String),
}

impl Rig {
    /// Starts the origins and the log sink.
    pub(crate) fn start(directory: &Path, cores: Cores) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let program = program.display().to_string();
        let addr = || -> Result<SocketAddr, String> {
            let port = sockets::free_port().map_err(|error| error.to_string())?;
            Ok(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let (origins, mptcp, stay) = ([addr()?, addr()?], [addr()?, addr()?], [addr()?, addr()?]);
        let log = addr()?;
        let words = |role: &str| vec![program.clone(), "role".into(), role.into(), "--parent".into()];
        let mut origin = words("origin");
        origin.extend(
            origins
                .iter()
                .flat_map(|addr| ["--listen".into(), addr.to_string()]),
        );
        if sockets::has_mptcp() {
            origin.extend(
                mptcp
                    .iter()
                    .flat_map(|addr| ["--listen-mptcp".into(), addr.to_string()]),
            );
        }
        let mut staying = words("origin");
        staying.push("--stay".into());
        staying.extend(stay.iter().flat_map(|addr| ["--listen".into(), addr.to_string()]));
        let mut drain = words("sink");
        drain.extend(["--listen".into(), log.to_string()]);
        let mut processes = Vec::new();
        for (name, words) in [("origin", origin), ("origin-stay", staying), ("sink", drain)] {
            let messages = directory.join(format!("{name}.log"));
            let started = Launch::new(words).start(name, cores.origin, &messages);
            let mut process = started.map_err(|error| format!("{name}: {error}"))?;
            process.first_line().map_err(|error| error.to_string())?;
            processes.push(process);
        }
        Ok(Self {
            directory: directory.into(),
            cores,
            program,
            origins,
            mptcp,
            stay,
            log,
            _processes: processes,
        })
    }

    /// Runs one contender under one load: closed loop, or open loop with a rate.
    pub(crate) fn measure(
        &self,
        work: &Workload,
        contender: &Contender,
        rate: Option<f64>,
        span: Span,
    ) -> Result<Outcome, Failure> {
        let broken = |error: String| Failure::Broken(format!("{}: {error}", contender.name));
        if work.mptcp[0] && !sockets::has_mptcp() {
            return Err(Failure::Skipped(
                "this kernel has no MPTCP, or it is switched off".into(),
            ));
        }
        let directory = self.directory.join(&contender.name);
        std::fs::create_dir_all(&directory).map_err(|error| broken(error.to_string()))?;
        let port = sockets::free_port().map_err(|error| broken(error.to_string()))?;
        let front = SocketAddr::from(([127, 0, 0, 1], port));
        let is_null = contender.kind == contender::Kind::Null;
        let place = Place {
            front,
            origins: match work {
                _ if work.mptcp[1] => self.mptcp,
                // The relay cannot keep a server connection that its server closes.
                _ if work.fresh && is_null => self.stay,
                _ => self.origins,
            },
            log: self.log,
            directory: &directory,
        };
        let launch = contender.launch(work, &place).map_err(Failure::Skipped)?;
        let messages = directory.join("messages.log");
        let mut running = launch
            .start(&contender.name, self.cores.proxy, &messages)
            .map_err(|error| broken(error.to_string()))?;
        wait_for_an_answer(front, &mut running).map_err(|error| {
            let text = std::fs::read_to_string(&messages).unwrap_or_default();
            broken(format!("{error}: {}", contender::refusal(&text)))
        })?;
        let lines = work.log.then(|| sink::count(self.log).ok()).flatten();
        let load = self
            .load(work, front, rate, span, running.pid())
            .map_err(Failure::Skipped)?;
        let mut figures = self.run_load(work, &load, running.pid()).map_err(broken)?;
        if let (Some(before), Ok(after)) = (lines, sink::count(self.log)) {
            figures.insert("log_lines".into(), after.saturating_sub(before) as f64);
        }
        Ok(Outcome {
            figures,
            contender: launch.text(),
            load: load.text(),
        })
    }

    /// The command that makes the load.
    fn load(
        &self,
        work: &Workload,
        front: SocketAddr,
        rate: Option<f64>,
        span: Span,
        pid: u32,
    ) -> Result<Launch, String> {
        let url = format!("http://{front}{}", work.path);
        let conns = work.conns.to_string();
        let seconds = span.seconds.max(1.0).ceil();
        let tool = |name: &str| on_path(name).map(|path| path.display().to_string());
        let words: Vec<String> = match work.kind {
            Kind::Wrk => {
                let wrk = tool("wrk").ok_or("there is no wrk")?;
                let duration = format!("{seconds}s");
                [&wrk, "-t1", "-c", &conns, "-d", &duration, "--latency", &url]
                    .map(String::from)
                    .into()
            }
            Kind::H2load => {
                let h2load = tool("h2load").ok_or("there is no h2load")?;
                let (depth, duration) = (work.pipeline.to_string(), seconds.to_string());
                [
                    &h2load, "--h1", "-t1", "-c", &conns, "-m", &depth, "-D", &duration, &url,
                ]
                .map(String::from)
                .into()
            }
            Kind::Rate | Kind::Idle | Kind::Slow => self.own_load(work, front, rate, span, pid),
        };
        Ok(Launch::new(words))
    }

    fn own_load(
        &self,
        work: &Workload,
        front: SocketAddr,
        rate: Option<f64>,
        span: Span,
        pid: u32,
    ) -> Vec<String> {
        let role = if work.kind == Kind::Rate { "load" } else { "crowd" };
        let mut words = vec![self.program.clone(), "role".into(), role.into()];
        let mut option = |name: &str, value: String| words.extend([name.into(), value]);
        option("--target", front.to_string());
        option("--path", work.path.into());
        option("--conns", work.conns.to_string());
        option("--seconds", span.seconds.to_string());
        option("--watch", pid.to_string());
        if work.kind == Kind::Rate {
            option("--warm", span.warm.to_string());
            option("--pipeline", work.pipeline.to_string());
            if work.upload > 0 {
                option("--upload", work.upload.to_string());
            }
            if let Some(rate) = rate {
                option("--rate", rate.to_string());
            }
        }
        let flags = [
            (work.fresh, "--fresh"),
            (work.mptcp[0], "--mptcp"),
            (work.kind == Kind::Slow, "--slow"),
        ];
        words.extend(
            flags
                .iter()
                .filter(|(is_on, _)| *is_on)
                .map(|(_, word)| (*word).into()),
        );
        words
    }

    fn run_load(&self, work: &Workload, load: &Launch, pid: u32) -> Result<Figures, String> {
        if matches!(work.kind, Kind::Rate | Kind::Idle | Kind::Slow) {
            let text = load.output(self.cores.load)?;
            if let Some(error) = text.lines().find_map(|line| line.strip_prefix("error ")) {
                eprintln!("  some requests failed: {error}");
            }
            return Ok(numbers(&text));
        }
        // Foreign generators: the figures are taken around the whole run, which has no warm-up.
        let watch = Watch::new(pid);
        let (before, start) = (watch.cpu(), Instant::now());
        let text = load.output(self.cores.load)?;
        let (cpu, elapsed) = (watch.cpu().since(before), start.elapsed());
        let mut figures = if work.kind == Kind::Wrk {
            wrk(&text)
        } else {
            h2load(&text)
        };
        let mut set = |name: &str, value: f64| figures.insert(name.into(), value);
        set("cpu_run_ns", cpu.run as f64);
        set("cpu_user_ns", cpu.user as f64);
        set("cpu_system_ns", cpu.system as f64);
        set("window_ns", elapsed.as_nanos() as f64);
        Ok(figures)
    }
}

/// Listening is not enough: a master listens before it has its worker.
fn wait_for_an_answer(front: SocketAddr, running: &mut Running) -> Result<(), String> {
    let start = Instant::now();
    while !is_answered(front).unwrap_or(false) {
        if !running.is_alive() {
            return Err("it ended at once".into());
        }
        if start.elapsed() > PATIENCE {
            return Err("it does not answer".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn is_answered(front: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(front)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&question("/tiny", 0, 1, false))?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}

/// Lines of `name value`.
fn numbers(text: &str) -> Figures {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_string(), value.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// What wrk prints.
fn wrk(text: &str) -> Figures {
    let mut figures = Figures::new();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [count, "requests", "in", ..] => {
                figures.insert("answers".into(), count.parse().unwrap_or(0.0));
            }
            ["50%", time] => {
                figures.insert("p50_ns".into(), time_of(time));
            }
            ["99%", time] => {
                figures.insert("p99_ns".into(), time_of(time));
            }
            ["Non-2xx", .., count] => {
                figures.insert("errors".into(), count.parse().unwrap_or(0.0));
            }
            _ => {}
        }
    }
    figures
}

/// What h2load prints.
fn h2load(text: &str) -> Figures {
    let mut figures = Figures::new();
    for line in text.lines() {
        let Some(counts) = line.strip_prefix("requests: ") else {
            continue;
        };
        for part in counts.split(", ") {
            match part.split_once(' ') {
                Some((count, "succeeded")) => figures.insert("answers".into(), count.parse().unwrap_or(0.0)),
                Some((count, "failed")) => figures.insert("errors".into(), count.parse().unwrap_or(0.0)),
                _ => None,
            };
        }
    }
    figures
}

/// `12.30us`, `4.56ms`, `1.00s` in nanoseconds.
fn time_of(text: &str) -> f64 {
    let units = [("us", 1e3), ("ms", 1e6), ("m", 6e10), ("s", 1e9)];
    let found = units.iter().find_map(|(unit, scale)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * scale)
    });
    found.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_foreign_generators_print() {
        let text = "  Latency Distribution\n     50%    1.50ms\n     99%  500.00us\n  1234 requests in 2.00s, 1.9MB read\n";
        let figures = wrk(text);
        assert_eq!(figures["p50_ns"], 1.5e6);
        assert_eq!(figures["p99_ns"], 5e5);
        assert_eq!(figures["answers"], 1234.0);
        let text =
            "requests: 800 total, 801 started, 800 done, 799 succeeded, 1 failed, 0 errored, 0 timeout";
        let figures = h2load(text);
        assert_eq!((figures["answers"], figures["errors"]), (799.0, 1.0));
    }
}
