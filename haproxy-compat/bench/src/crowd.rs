//! The generator of waiting connections: how much memory of a process they hold.
//!
//! The memory is that of the process alone (`smaps_rollup`): what the kernel holds for sockets is not in it, and is the
//! same for all proxies with as many sockets and as much data in them.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::client::{Client, Progress};
use crate::figures::{Memory, Watch};
use crate::load::question;
use crate::sockets;

/// Connections that are made at once.
const BATCH: usize = 64;
/// How long a batch of answers may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Receive buffer of a slow reader, bytes.
const ROOM: usize = 16 * 1024;
/// Segments of a slow reader, bytes: those of an Ethernet.
const SEGMENT: u32 = 1448;
/// What a slow reader takes each time, bytes, and how often.
const SIP: usize = 4096;
const SIP_EVERY: Duration = Duration::from_millis(100);

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) target: SocketAddr,
    pub(crate) path: String,
    pub(crate) conns: usize,
    /// Whether answers are read slowly; otherwise they are read at once, and the connections stay.
    pub(crate) slow: bool,
    pub(crate) length: Duration,
    pub(crate) watch: u32,
}

/// Makes the connections and prints the memory before, with them, and what they came to.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let watch = Watch::new(options.watch);
    // Whatever is made at the first request is no cost of connections.
    fetch(options, 1)?;
    thread::sleep(Duration::from_millis(500));
    let before = watch.memory();
    let with = if options.slow {
        read_slowly(options, &watch)?
    } else {
        let kept = fetch(options, options.conns)?;
        thread::sleep(options.length);
        let with = watch.memory();
        drop(kept);
        with
    };
    for (name, value) in [
        ("conns", options.conns as u64),
        ("pss_before", before.pss),
        ("private_before", before.private),
        ("pss_with", with.pss),
        ("private_with", with.private),
    ] {
        println!("{name} {value}");
    }
    Ok(())
}

/// Opens `count` connections and gets one answer on each.
fn fetch(options: &Options, count: usize) -> io::Result<Vec<Client>> {
    let question = question(&options.path, 0, 1, false);
    let mut buffer = vec![0; 256 * 1024];
    let mut kept = Vec::new();
    while kept.len() < count {
        let mut batch = Vec::new();
        for _ in 0..BATCH.min(count - kept.len()) {
            let mut client = Client::new(sockets::connect(options.target, false)?);
            client.ask();
            batch.push(client);
        }
        let start = Instant::now();
        while let Some(client) = batch.last_mut() {
            client.send(&question)?;
            match client.receive(&mut buffer, true)? {
                Progress::Answers(0) => {}
                Progress::Answers(_) => kept.extend(batch.pop()),
                Progress::End => return Err(io::Error::other("closed by the proxy")),
                Progress::Wait if start.elapsed() > PATIENCE => return Err(io::Error::other("no answer")),
                Progress::Wait => {
                    thread::sleep(Duration::from_micros(200));
                    // All of them go on, not only the one that is waited for.
                    for client in &mut batch {
                        client.send(&question)?;
                    }
                }
            }
        }
    }
    Ok(kept)
}

/// Reads a little of every answer again and again; the most memory that was seen.
fn read_slowly(options: &Options, watch: &Watch) -> io::Result<Memory> {
    let question = question(&options.path, 0, 1, false);
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut unsent = Vec::new();
    for _ in 0..options.conns {
        unsent.push(sockets::connect_narrow(options.target, ROOM, SEGMENT)?);
        if unsent.len() == BATCH || streams.len() + unsent.len() == options.conns {
            thread::sleep(Duration::from_millis(5));
            for mut stream in unsent.drain(..) {
                io::Write::write_all(&mut stream, &question)?;
                streams.push(stream);
            }
        }
    }
    let mut sip = vec![0; SIP];
    let mut most = Memory::default();
    let end = Instant::now() + options.length;
    while Instant::now() < end {
        for stream in &mut streams {
            match stream.read(&mut sip) {
                Ok(0) => return Err(io::Error::other("closed by the proxy")),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let now = watch.memory();
        most.pss = most.pss.max(now.pss);
        most.private = most.private.max(now.private);
        thread::sleep(SIP_EVERY);
    }
    Ok(most)
}
