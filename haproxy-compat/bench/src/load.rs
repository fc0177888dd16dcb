//! The generator of requests: many connections, one loop.
//!
//! In a **closed loop** each connection asks again as soon as it is answered: the rate is what the proxy can do, and a
//! stall stops the questions too, so that its latencies are those of a polite crowd. In an **open loop** questions have
//! their times beforehand, whatever comes back; latency counts from the intended time, so that a stall is paid by every
//! request that would have come meanwhile (no coordinated omission). A question for which no connection is free waits
//! its turn, and that wait counts.
//!
//! The figures of the watched process are taken by this loop itself, at the very moments when counting begins and ends.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use crate::client::{Client, Progress};
use crate::figures::{Cpu, Watch};
use crate::hist::Hist;
use crate::sockets;

/// How long answers are waited for after the end.
const GRACE: Duration = Duration::from_secs(2);
/// Requests without a good answer after which the run is given up.
const FAILURES_MAX: u64 = 1_000;
const WAKER: Token = Token(usize::MAX);

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) target: SocketAddr,
    pub(crate) mptcp: bool,
    pub(crate) conns: usize,
    /// Path that is asked for.
    pub(crate) path: String,
    /// Bytes of the body sent with each request; 0 is GET.
    pub(crate) upload: usize,
    /// Requests that are sent at once on a connection.
    pub(crate) pipeline: usize,
    /// A connection for each request.
    pub(crate) fresh: bool,
    /// Requests per second of an open loop.
    pub(crate) rate: Option<f64>,
    /// Requests after which a closed loop ends, whatever time that takes.
    pub(crate) count: Option<u64>,
    pub(crate) warm: Duration,
    pub(crate) length: Duration,
    /// The process whose CPU time is told.
    pub(crate) watch: Option<u32>,
}

/// The bytes of one question: `pipeline` requests in a row.
pub(crate) fn question(path: &str, upload: usize, pipeline: usize, fresh: bool) -> Vec<u8> {
    let close = if fresh { "Connection: close\r\n" } else { "" };
    let mut one = if upload == 0 {
        format!(
            "GET {path} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n{close}\r\n"
        )
    } else {
        format!(
            "POST {path} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\
             Content-Length: {upload}\r\n{close}\r\n"
        )
    }
    .into_bytes();
    one.resize(one.len() + upload, b'u');
    one.repeat(pipeline.max(1))
}

/// One place for a connection.
struct Slot {
    client: Option<Client>,
    /// When its question was to be sent.
    intended: Instant,
    /// Answers that are still to come for it.
    awaited: usize,
}

/// What is counted.
struct Count {
    hist: Hist,
    /// Answers that came while the watched process was looked at.
    answers: u64,
    /// Answers in all.
    total: u64,
    errors: u64,
    first_error: Option<String>,
    /// How late questions left although a connection was free: the generator's own fault.
    late: Hist,
    connects: u64,
    /// Questions asked.
    asked: u64,
}

struct Load<'a> {
    options: &'a Options,
    poll: Poll,
    question: Vec<u8>,
    slots: Vec<Slot>,
    buffer: Vec<u8>,
    free: Vec<usize>,
    /// Intended times of questions that no connection was free for.
    backlog: VecDeque<Instant>,
    begin: Instant,
    end: Instant,
    count: Count,
}

/// Runs the load and prints what came of it, one `name value` per line.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let poll = Poll::new()?;
    let start = Instant::now();
    let begin = start + options.warm;
    let mut load = Load {
        options,
        poll,
        question: question(&options.path, options.upload, options.pipeline, options.fresh),
        slots: Vec::new(),
        buffer: vec![0; 256 * 1024],
        free: Vec::new(),
        backlog: VecDeque::new(),
        begin,
        end: begin + options.length,
        count: Count {
            hist: Hist::new(),
            answers: 0,
            total: 0,
            errors: 0,
            first_error: None,
            late: Hist::new(),
            connects: 0,
            asked: 0,
        },
    };
    for place in 0..options.conns {
        load.slots.push(Slot {
            client: None,
            intended: start,
            awaited: 0,
        });
        match options.rate {
            Some(_) => load.free.push(place),
            None => load.next(place)?,
        }
    }
    let cpu = load.turn(start)?;
    load.report(cpu);
    Ok(())
}

impl Load<'_> {
    /// The loop; the CPU time of the watched process between begin and end.
    fn turn(&mut self, start: Instant) -> io::Result<Cpu> {
        // Looked for each time: workers may come late.
        let look = || {
            self.options
                .watch
                .map(|pid| Watch::new(pid).cpu())
                .unwrap_or_default()
        };
        let pipeline = self.options.pipeline as f64;
        let step = self
            .options
            .rate
            .map(|rate| Duration::from_secs_f64(pipeline / rate));
        if let Some(step) = step {
            self.tick(start, step)?;
        }
        let mut due = start;
        let (mut before, mut used) = (None, None);
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            if before.is_none() && now >= self.begin {
                before = Some(look());
                self.begin = now.max(self.begin);
            }
            if used.is_none() && now >= self.end {
                used = Some(look().since(before.unwrap_or_default()));
            }
            if self.is_all_asked() && self.is_quiet() {
                self.end = now;
                return Ok(look().since(before.unwrap_or_default()));
            }
            if now >= self.end && (step.is_none() || self.is_quiet() || now >= self.end + GRACE) {
                return Ok(used.unwrap_or_default());
            }
            if let Some(step) = step {
                while due <= now && due < self.end {
                    self.due(due)?;
                    due += step;
                }
            }
            let wait = Duration::from_millis(20).min(self.end.saturating_duration_since(now));
            match self
                .poll
                .poll(&mut events, Some(wait.max(Duration::from_millis(1))))
            {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => done?,
            }
            let is_counted = before.is_some() && used.is_none();
            for event in &events {
                if event.token() != WAKER {
                    self.act(event.token().0, is_counted, event.is_read_closed())?;
                }
            }
        }
    }

    /// Whether a given number of questions is reached.
    fn is_all_asked(&self) -> bool {
        let pipeline = self.options.pipeline as u64;
        self.options
            .count
            .is_some_and(|count| self.count.asked * pipeline >= count)
    }

    fn is_quiet(&self) -> bool {
        self.backlog.is_empty() && self.slots.iter().all(|slot| slot.awaited == 0)
    }

    /// Wakes the loop at each intended time: the poller itself waits whole milliseconds only.
    fn tick(&self, start: Instant, step: Duration) -> io::Result<()> {
        let waker = Arc::new(Waker::new(self.poll.registry(), WAKER)?);
        let end = self.end;
        // Sleeps are 50 us longer than asked for unless this is said; threads inherit it.
        let _ = std::fs::write("/proc/self/timerslack_ns", "1000");
        thread::spawn(move || {
            let mut next = start;
            loop {
                let now = Instant::now();
                if now >= end {
                    return;
                }
                while next <= now {
                    next += step;
                }
                thread::sleep(next - now);
                if waker.wake().is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// An intended time has come.
    fn due(&mut self, intended: Instant) -> io::Result<()> {
        let Some(place) = self.free.pop() else {
            self.backlog.push_back(intended);
            return Ok(());
        };
        let late = Instant::now().saturating_duration_since(intended);
        self.count.late.add(nanos(late));
        self.ask(place, intended)
    }

    /// Sends the question on a connection, made now if there is none.
    fn ask(&mut self, place: usize, intended: Instant) -> io::Result<()> {
        let slot = &mut self.slots[place];
        slot.intended = intended;
        slot.awaited = self.options.pipeline;
        if slot.client.is_none() {
            let mut stream = sockets::connect(self.options.target, self.options.mptcp)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(place), both)?;
            slot.client = Some(Client::new(stream));
            self.count.connects += 1;
        }
        if let Some(client) = &mut slot.client {
            client.ask();
            if let Err(error) = client.send(&self.question) {
                return self.failed(place, &error);
            }
        }
        Ok(())
    }

    /// Something happened on a connection.
    fn act(&mut self, place: usize, is_counted: bool, is_closed: bool) -> io::Result<()> {
        let slot = &mut self.slots[place];
        let Some(client) = &mut slot.client else {
            return Ok(());
        };
        if let Err(error) = client.send(&self.question) {
            return self.failed(place, &error);
        }
        loop {
            let slot = &mut self.slots[place];
            let Some(client) = &mut slot.client else {
                return Ok(());
            };
            let answers = match client.receive(&mut self.buffer, is_closed) {
                Ok(Progress::Answers(answers)) => answers,
                Ok(Progress::Wait) => return Ok(()),
                Ok(Progress::End) => {
                    slot.client = None;
                    if slot.awaited == 0 && self.options.fresh {
                        return self.next(place);
                    }
                    return self.failed(place, &io::Error::other("closed by the proxy"));
                }
                Err(error) => return self.failed(place, &error),
            };
            if answers == 0 {
                continue;
            }
            if answers > slot.awaited {
                return self.failed(place, &io::Error::other("more answers than questions"));
            }
            slot.awaited -= answers;
            let now = Instant::now();
            let (awaited, intended) = (slot.awaited, slot.intended);
            let is_within = match self.options.rate {
                Some(_) => intended >= self.begin && intended < self.end,
                None => is_counted,
            };
            if is_within {
                let time = nanos(now.saturating_duration_since(intended));
                (0..answers).for_each(|_| self.count.hist.add(time));
            }
            self.count.total += answers as u64;
            if is_counted {
                self.count.answers += answers as u64;
            }
            // With a connection per request its end is waited for as well.
            if awaited == 0 && !self.options.fresh {
                self.next(place)?;
            }
        }
    }

    /// A connection is free for the next question.
    fn next(&mut self, place: usize) -> io::Result<()> {
        let now = Instant::now();
        if self.options.rate.is_none() {
            if now < self.end && !self.is_all_asked() {
                self.count.asked += 1;
                self.ask(place, now)?;
            }
            return Ok(());
        }
        match self.backlog.pop_front() {
            Some(intended) => self.ask(place, intended),
            None => {
                self.free.push(place);
                Ok(())
            }
        }
    }

    /// A question had no good answer.
    fn failed(&mut self, place: usize, error: &io::Error) -> io::Result<()> {
        let slot = &mut self.slots[place];
        let was_asked = slot.awaited > 0;
        slot.client = None;
        slot.awaited = 0;
        self.count.errors += u64::from(was_asked);
        if was_asked && self.count.first_error.is_none() {
            self.count.first_error = Some(error.to_string());
        }
        if self.count.errors > FAILURES_MAX {
            return Err(io::Error::other(format!(
                "too many errors, the last one: {error}"
            )));
        }
        if was_asked {
            self.next(place)?;
        }
        Ok(())
    }

    fn report(&mut self, cpu: Cpu) {
        let now = Instant::now();
        let mut unanswered = 0;
        if self.options.rate.is_some() {
            // Whoever still waits has waited that long at least.
            let asked = self.slots.iter().filter(|s| s.awaited > 0).map(|s| s.intended);
            for intended in asked.chain(self.backlog.iter().copied()) {
                if intended >= self.begin && intended < self.end {
                    unanswered += 1;
                    self.count
                        .hist
                        .add(nanos(now.saturating_duration_since(intended)));
                }
            }
        }
        let count = &self.count;
        let show = |name: &str, value: u64| println!("{name} {value}");
        show("answers", count.answers);
        show("total", count.total);
        show("window_ns", nanos(self.end.saturating_duration_since(self.begin)));
        show("errors", count.errors);
        show("unanswered", unanswered);
        show("connects", count.connects);
        for (name, share) in [
            ("p50_ns", 0.5),
            ("p90_ns", 0.9),
            ("p99_ns", 0.99),
            ("p999_ns", 0.999),
        ] {
            show(name, count.hist.at(share).unwrap_or(0));
        }
        show("max_ns", count.hist.max());
        show("timed", count.hist.total());
        show("late_p99_ns", count.late.at(0.99).unwrap_or(0));
        show("cpu_run_ns", cpu.run);
        show("cpu_user_ns", cpu.user);
        show("cpu_system_ns", cpu.system);
        if let Some(error) = &count.first_error {
            println!("error {error}");
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
