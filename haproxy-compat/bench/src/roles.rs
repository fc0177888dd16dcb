//! The processes that a measurement is made of, each a role of this same program. A person can start them by hand with
//! the words that a report shows.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use crate::options::Args;
use crate::{crowd, load, null, origin, sink};

/// What the roles take.
pub(crate) const USAGE: &str = "  role null --listen ADDR --origin ADDR... [--exchange] [--mptcp-front] [--mptcp-back]
  role origin [--listen ADDR]... [--listen-mptcp ADDR]... [--stay]
  role sink --listen ADDR
  role crowd --target ADDR --path PATH --conns N --watch PID [--slow] [--seconds 4]
  role load --target ADDR --path PATH [--conns 64] [--upload BYTES] [--pipeline 1] [--fresh] [--mptcp] [--rate N]
            [--count N] [--warm 0.5] [--seconds 4] [--watch PID]";

/// Plays a role until it is over.
pub(crate) fn play(role: &str, words: Vec<String>) -> Result<(), String> {
    let mut args = Args::new(words);
    if args.flag("--parent") {
        end_with_parent();
    }
    let done = match role {
        "null" => null::run(null_options(args)?),
        "origin" => origin::run(&origin_options(args)?),
        "sink" => sink::run(sink_address(args)?),
        "crowd" => crowd::run(&crowd_options(args)?),
        "load" => load::run(&load_options(args)?),
        _ => return Err(format!("there is no role '{role}'")),
    };
    done.map_err(|error| format!("{role}: {error}"))
}

/// Ends this process when its standard input ends, which is when whoever started it is gone.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
}

fn null_options(mut args: Args) -> Result<null::Options, String> {
    let options = null::Options {
        listen: args.need("--listen")?,
        origins: args.all("--origin")?,
        exchange: args.flag("--exchange"),
        mptcp: [args.flag("--mptcp-front"), args.flag("--mptcp-back")],
    };
    if options.origins.is_empty() {
        return Err("--origin is needed".into());
    }
    args.end()?;
    Ok(options)
}

fn origin_options(mut args: Args) -> Result<origin::Options, String> {
    let tcp = args
        .all::<SocketAddr>("--listen")?
        .into_iter()
        .map(|addr| (addr, false));
    let mptcp = args.all::<SocketAddr>("--listen-mptcp")?.into_iter();
    let options = origin::Options {
        listen: tcp.chain(mptcp.map(|addr| (addr, true))).collect(),
        stay: args.flag("--stay"),
    };
    args.end()?;
    Ok(options)
}

fn sink_address(mut args: Args) -> Result<SocketAddr, String> {
    let listen = args.need("--listen")?;
    args.end()?;
    Ok(listen)
}

fn crowd_options(mut args: Args) -> Result<crowd::Options, String> {
    let options = crowd::Options {
        target: args.need("--target")?,
        path: args.need("--path")?,
        conns: args.need("--conns")?,
        slow: args.flag("--slow"),
        length: seconds(args.one("--seconds")?.unwrap_or(4.0))?,
        watch: args.need("--watch")?,
    };
    args.end()?;
    Ok(options)
}

fn load_options(mut args: Args) -> Result<load::Options, String> {
    let options = load::Options {
        target: args.need("--target")?,
        mptcp: args.flag("--mptcp"),
        conns: args.one("--conns")?.unwrap_or(64),
        path: args.need("--path")?,
        upload: args.one("--upload")?.unwrap_or(0),
        pipeline: args.one("--pipeline")?.unwrap_or(1),
        fresh: args.flag("--fresh"),
        rate: args.one("--rate")?,
        count: args.one("--count")?,
        warm: seconds(args.one("--warm")?.unwrap_or(0.5))?,
        length: seconds(args.one("--seconds")?.unwrap_or(4.0))?,
        watch: args.one("--watch")?,
    };
    args.end()?;
    if options.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0)
        || options.conns == 0
        || options.pipeline == 0
    {
        return Err("numbers above 0 are needed".into());
    }
    Ok(options)
}

/// A time of a command line.
pub(crate) fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|error| format!("{number} seconds: {error}"))
}
