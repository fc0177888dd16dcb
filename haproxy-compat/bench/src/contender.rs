//! Who is measured: rproxy, every HAProxy that is named, nginx, the relay that parses nothing, and whatever a person
//! names with a command. Each knows how to be started for a workload, or why it cannot be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Launch, on_path};
use crate::workload::Workload;

const HTTP: &str = include_str!("../configs/http.cfg");
const TCP: &str = include_str!("../configs/tcp.cfg");
const NGINX_HTTP: &str = include_str!("../configs/nginx-http.conf");
const NGINX_TCP: &str = include_str!("../configs/nginx-tcp.conf");
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// What a contender is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Rproxy,
    Haproxy,
    Nginx,
    /// A command with places for addresses.
    Other,
}

/// One contender.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// What it says of itself.
    pub(crate) version: String,
    /// Where it is; the command of [`Kind::Other`].
    pub(crate) path: PathBuf,
    /// With `option splice-auto`.
    pub(crate) splice: bool,
}

/// Where a contender finds things.
pub(crate) struct Place<'a> {
    pub(crate) front: SocketAddr,
    pub(crate) origins: [SocketAddr; 2],
    pub(crate) log: SocketAddr,
    /// A directory of its own.
    pub(crate) directory: &'a Path,
}

impl Contender {
    /// The relay of this program.
    pub(crate) fn null() -> Result<Self, String> {
        let path = std::env::current_exe().map_err(|error| error.to_string())?;
        Ok(Self::new(
            Kind::Null,
            "null".into(),
            "relays bytes, parses nothing".into(),
            path,
        ))
    }

    /// rproxy or a HAProxy, told apart by its version.
    pub(crate) fn haproxy(path: &Path) -> Result<Self, String> {
        let version =
            first_line(path, "-v").ok_or_else(|| format!("{} -v tells no version", path.display()))?;
        let number = version.split_whitespace().nth(2).unwrap_or("?");
        let (kind, name) = if version.contains("rproxy") {
            (Kind::Rproxy, "rproxy".to_string())
        } else {
            let short = number.split('-').next().unwrap_or(number);
            (Kind::Haproxy, format!("haproxy-{short}"))
        };
        Ok(Self::new(kind, name, version, path.into()))
    }

    /// The nginx on PATH.
    pub(crate) fn nginx() -> Option<Self> {
        let path = on_path("nginx")?;
        let version = first_line(&path, "-v")?;
        Some(Self::new(Kind::Nginx, "nginx".into(), version, path))
    }

    /// `NAME=COMMAND`, with `{port}`, `{origin1}` and `{origin2}` in the command.
    pub(crate) fn other(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("a contender is NAME=COMMAND")?;
        Ok(Self::new(
            Kind::Other,
            name.into(),
            command.into(),
            command.into(),
        ))
    }

    fn new(kind: Kind, name: String, version: String, path: PathBuf) -> Self {
        Self {
            kind,
            name,
            version,
            path,
            splice: false,
        }
    }

    /// The same with splicing, if it has that.
    pub(crate) fn spliced(&self) -> Option<Self> {
        let name = format!("{}+splice", self.name);
        matches!(self.kind, Kind::Rproxy | Kind::Haproxy).then(|| Self {
            name,
            splice: true,
            ..self.clone()
        })
    }

    /// How to start it for a workload; the error is why it has no part in it.
    pub(crate) fn launch(&self, work: &Workload, place: &Place<'_>) -> Result<Launch, String> {
        match self.kind {
            Kind::Null => Ok(self.launch_null(work, place)),
            Kind::Rproxy | Kind::Haproxy => self.launch_haproxy(work, place),
            Kind::Nginx => self.launch_nginx(work, place),
            Kind::Other => self.launch_other(work, place),
        }
    }

    fn launch_null(&self, work: &Workload, place: &Place<'_>) -> Launch {
        let program = self.path.display().to_string();
        let mut words = vec![program, "role".into(), "null".into(), "--parent".into()];
        words.extend(["--listen".into(), place.front.to_string()]);
        for origin in place.origins {
            words.extend(["--origin".into(), origin.to_string()]);
        }
        let flags = [
            (work.fresh, "--exchange"),
            (work.mptcp[0], "--mptcp-front"),
            (work.mptcp[1], "--mptcp-back"),
        ];
        words.extend(
            flags
                .iter()
                .filter(|(is_on, _)| *is_on)
                .map(|(_, word)| (*word).into()),
        );
        Launch::new(words)
    }

    fn launch_haproxy(&self, work: &Workload, place: &Place<'_>) -> Result<Launch, String> {
        let (name, text) = if work.tcp {
            ("tcp.cfg", TCP)
        } else {
            ("http.cfg", HTTP)
        };
        let file = write(place.directory, name, text)?;
        let prefix = |mptcp: bool| if mptcp { "mptcp@" } else { "" };
        let set = |name: &str, value: String| (name.to_string(), value);
        let mut env = vec![
            set("BENCH_FRONT", format!("{}{}", prefix(work.mptcp[0]), place.front)),
            set(
                "BENCH_ORIGIN1",
                format!("{}{}", prefix(work.mptcp[1]), place.origins[0]),
            ),
            set(
                "BENCH_ORIGIN2",
                format!("{}{}", prefix(work.mptcp[1]), place.origins[1]),
            ),
        ];
        if work.log {
            env.push(set("BENCH_LOG", place.log.to_string()));
        }
        if self.splice {
            env.push(set("BENCH_SPLICE", "1".into()));
        }
        let words = |check: &str| {
            vec![
                self.path.display().to_string(),
                check.into(),
                "-f".into(),
                file.clone(),
            ]
        };
        let check = Launch {
            words: words("-c"),
            env: env.clone(),
        };
        check
            .output(None)
            .map_err(|text| format!("it refuses its configuration: {}", refusal(&text)))?;
        Ok(Launch {
            words: words("-db"),
            env,
        })
    }

    fn launch_nginx(&self, work: &Workload, place: &Place<'_>) -> Result<Launch, String> {
        if work.mptcp[1] {
            return Err("nginx does not connect to servers over MPTCP".into());
        }
        let text = if work.tcp { NGINX_TCP } else { NGINX_HTTP };
        let module = if Path::new(NGINX_STREAM).exists() {
            format!("load_module {NGINX_STREAM};")
        } else {
            String::new()
        };
        let log = if work.log {
            format!("syslog:server={} combined", place.log)
        } else {
            "off".into()
        };
        let directory = place.directory.display().to_string();
        let text = text
            .replace("@MODULE@", &module)
            .replace("@LOG@", &log)
            .replace("@LISTEN@", if work.mptcp[0] { " multipath" } else { "" })
            .replace("@FRONT@", &place.front.to_string())
            .replace("@ORIGIN1@", &place.origins[0].to_string())
            .replace("@ORIGIN2@", &place.origins[1].to_string())
            .replace("@DIR@", &directory);
        let file = write(place.directory, "nginx.conf", &text)?;
        let mut words = vec![self.path.display().to_string(), "-p".into(), directory];
        words.extend(["-c".into(), file]);
        let mut check = words.clone();
        check.push("-t".into());
        Launch::new(check)
            .output(None)
            .map_err(|text| format!("it refuses its configuration: {}", refusal(&text)))?;
        Ok(Launch::new(words))
    }

    fn launch_other(&self, work: &Workload, place: &Place<'_>) -> Result<Launch, String> {
        if work.mptcp != [false, false] || work.log || work.fresh {
            return Err("a command of one's own is measured over kept TCP connections only".into());
        }
        let fill = |word: &str| {
            word.replace("{port}", &place.front.port().to_string())
                .replace("{origin1}", &place.origins[0].port().to_string())
                .replace("{origin2}", &place.origins[1].port().to_string())
        };
        let command = self.path.display().to_string();
        Ok(Launch::new(command.split_whitespace().map(fill).collect()))
    }
}

/// Every file that contenders read, as it is.
pub(crate) fn configurations() -> [(&'static str, &'static str); 4] {
    [
        ("http.cfg", HTTP),
        ("tcp.cfg", TCP),
        ("nginx-http.conf", NGINX_HTTP),
        ("nginx-tcp.conf", NGINX_TCP),
    ]
}

fn write(directory: &Path, name: &str, text: &str) -> Result<String, String> {
    let path = directory.join(name);
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.display().to_string())
}

/// The line that says why a program does not start.
pub(crate) fn refusal(text: &str) -> String {
    let marks = ["[ALERT]", "[emerg]"];
    let line = text
        .lines()
        .find(|line| marks.iter().any(|mark| line.contains(mark)));
    line.or_else(|| text.lines().next())
        .unwrap_or("it does not start")
        .trim()
        .into()
}

/// The first line that a program says when asked for its version.
pub(crate) fn first_line(program: &Path, word: &str) -> Option<String> {
    let output = Command::new(program).arg(word).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next()?.trim().to_string();
    (!line.is_empty()).then_some(line)
}
