//! Broken rproxies: are the cases able to notice?
//!
//! A copy of the sources is broken in one place at a time (a byte of framing, a header, a timeout, a counter, a
//! termination flag, a status, a condition, a forgotten call), built, and given to the cases, until one of them comes out
//! other than 3.4.0's recording: twice, and not with the unbroken copy. The places are drawn by a seed, so that a run can be
//! repeated.

mod copy;
mod site;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use copy::Copy;
use site::{Kind, Site};

use crate::parallel;
use crate::play::File;
use crate::program::Program;
use crate::verdicts;

/// How many places are broken, which ones, and how many at a time.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many broken programs are to be judged.
    pub count: usize,
    /// What draws the places.
    pub seed: u64,
    /// How many are built and played side by side.
    pub jobs: usize,
    /// Where the copies and their builds go.
    pub target: PathBuf,
    /// Parts of file names to break, or lines as `file.rs:7`; all when there are none.
    pub only: Vec<String>,
}

/// The part of the broken programs that must be noticed, in percent.
const ENOUGH_PERCENT: usize = 90;

/// What came of one broken program.
enum Fate {
    /// By which case.
    Noticed(String),
    Missed,
    /// It does not build: no program, no score.
    NotBuilt,
}

/// What is known at any moment.
#[derive(Default)]
struct Tally {
    noticed: BTreeMap<Kind, usize>,
    missed: Vec<(Site, Kind)>,
}

impl Tally {
    fn judged(&self) -> usize {
        self.noticed.values().sum::<usize>() + self.missed.len()
    }
}

impl Plan {
    /// Breaks, builds and plays; prints every program's fate; gives whether enough of them were noticed.
    pub fn run(&self) -> bool {
        let start = Instant::now();
        let sites = site::drawn(self.seed, &self.only);
        println!("{} places to break, seed {}", sites.len(), self.seed);
        let tally: Mutex<Tally> = Mutex::default();
        let new = |job| Copy::new(&self.target.join(format!("mutants-{job}")));
        let first = new(0);
        first.whole().expect("the unbroken copy builds");
        let copy = |job| {
            let copy = new(job);
            copy.take_over(&first);
            let whole = copy.whole().expect("the unbroken copy builds");
            (copy, Program::new(whole))
        };
        parallel::each(&sites, self.jobs, copy, |(copy, whole), _, site| {
            let fate = fate(copy, whole, site);
            let mut tally = tally.lock().expect("no player panicked");
            if tally.judged() < self.count {
                tally.note(site, fate);
            }
            tally.judged() < self.count
        });
        let tally = tally.into_inner().expect("no player panicked");
        tally.print(start.elapsed().as_secs())
    }
}

impl Tally {
    fn note(&mut self, site: &Site, fate: Fate) {
        let number = self.judged() + 1;
        match fate {
            Fate::NotBuilt => {}
            Fate::Noticed(case) => {
                println!("{number}: noticed by {case}\n    {site}");
                *self.noticed.entry(site.kind).or_default() += 1;
            }
            Fate::Missed => {
                println!("{number}: NOT NOTICED\n    {site}");
                self.missed.push((site.clone(), site.kind));
            }
        }
    }

    fn print(&self, seconds: u64) -> bool {
        let (judged, noticed) = (self.judged(), self.noticed.values().sum::<usize>());
        println!("\nnot noticed:");
        for (site, _) in &self.missed {
            println!("    {site}");
        }
        println!("\n{:<12}{:>9}{:>9}", "kind", "noticed", "missed");
        for kind in Kind::ALL {
            let missed = self.missed.iter().filter(|(_, k)| *k == kind).count();
            let noticed = self.noticed.get(&kind).copied().unwrap_or(0);
            println!("{:<12}{noticed:>9}{missed:>9}", kind.name());
        }
        let percent = (noticed * 100).checked_div(judged).unwrap_or(0);
        println!(
            "{noticed} of {judged} noticed, {percent} %; {} min {} s",
            seconds / 60,
            seconds % 60
        );
        judged > 0 && percent >= ENOUGH_PERCENT
    }
}

fn fate(copy: &Copy, whole: &Program, site: &Site) -> Fate {
    copy.break_at(site);
    let program = copy.build();
    copy.mend(site);
    match program {
        Ok(program) => noticed_by(&program, whole, &site.file).map_or(Fate::Missed, Fate::Noticed),
        Err(()) => Fate::NotBuilt,
    }
}

/// Parts of the names of sources, and of the files with the cases that are near to them.
const NEAR: &[(&str, &[&str])] = &[
    ("proxyhdr", &["tcp/proxy"]),
    ("session", &["tcp/proxy", "timers/", "http/keep-alive"]),
    ("relay", &["tcp/"]),
    ("tunnel", &["http/splicing", "tcp/"]),
    ("splice", &["http/splicing", "tcp/"]),
    ("ops/", &["runtime/"]),
    ("/log", &["logs/"]),
    ("traffic_log", &["logs/"]),
    ("cause", &["http/exchanges", "timers/"]),
    ("timing", &["timers/", "http/buffering"]),
    ("waiting", &["http/early-close", "tcp/early-close"]),
    ("policy/lb", &["limits/"]),
    ("queue", &["limits/"]),
    ("slots", &["limits/"]),
    ("listener", &["limits/"]),
    ("assign", &["http/retries", "limits/", "http/exchanges"]),
    ("idle", &["http/reuse"]),
    ("response", &["hostile/res-", "http/exchanges"]),
    ("proto/", &["hostile/"]),
    ("", &["http/"]),
];

/// The first case that comes out wrong.
fn noticed_by(program: &Path, whole: &Program, broken: &str) -> Option<String> {
    // It must still be able to say who it is.
    let Some(program) = Program::try_new(program.to_path_buf()) else {
        return Some("its start".into());
    };
    let mut files = File::all();
    // What is near to the broken place comes first: it is likely to notice, and the rest need not be played.
    let near: &[&str] = NEAR
        .iter()
        .find(|(part, _)| broken.contains(part))
        .map_or(&[], |(_, near)| near);
    files.sort_by_key(|name| {
        near.iter()
            .position(|part| name.contains(part))
            .unwrap_or(near.len())
    });
    files
        .iter()
        .find_map(|name| {
            let wrong = File::read(name).first_wrong(&program, whole);
            wrong.map(|case| format!("{name} {case}"))
        })
        .or_else(|| verdicts::first_wrong(&program))
}
