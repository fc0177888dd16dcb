//! The rounds: every contender once per round, so that what else happens on the machine happens to all of them.

use std::io::Write;

use crate::contender::Contender;
use crate::measure::{Failure, Figures, Outcome, Rig, Span};
use crate::workload::{Kind, Workload};

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) contenders: Vec<Contender>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) rounds: usize,
    pub(crate) span: Span,
    /// Requests per second of the open loop; otherwise half of what the slowest proxy did in the first round.
    pub(crate) rate: Option<f64>,
}

/// The figures of one contender in one workload, one entry per round.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) is_null: bool,
    pub(crate) is_haproxy: bool,
    pub(crate) closed: Vec<Figures>,
    pub(crate) open: Vec<Figures>,
    /// Why there are none.
    pub(crate) skipped: Option<String>,
    pub(crate) command: String,
}

/// What came of one workload.
pub(crate) struct Table {
    pub(crate) work: Workload,
    pub(crate) rows: Vec<Row>,
    pub(crate) rate: Option<f64>,
    pub(crate) load: String,
    /// Things that went wrong, one line each.
    pub(crate) broken: Vec<String>,
}

/// Runs one workload with all of its contenders.
pub(crate) fn run(plan: &Plan, rig: &Rig, work: &Workload) -> Table {
    let mut contenders = Vec::new();
    for contender in &plan.contenders {
        contenders.push(contender.clone());
        contenders.extend(contender.spliced().filter(|_| work.splice));
    }
    let row = |contender: &Contender| Row {
        name: contender.name.clone(),
        is_null: contender.kind == crate::contender::Kind::Null,
        is_haproxy: contender.kind == crate::contender::Kind::Haproxy,
        ..Row::default()
    };
    let mut table = Table {
        work: *work,
        rows: contenders.iter().map(row).collect(),
        rate: None,
        load: String::new(),
        broken: Vec::new(),
    };
    for round in 0..plan.rounds {
        eprint!("{}: round {} of {}:", work.name, round + 1, plan.rounds);
        let _ = std::io::stderr().flush();
        table.round(plan, rig, &contenders, round, false);
        if work.kind == Kind::Rate {
            if table.rate.is_none() {
                table.rate = plan.rate.or_else(|| table.half_of_the_slowest());
            }
            table.round(plan, rig, &contenders, round, true);
        }
        eprintln!();
    }
    table
}

impl Table {
    /// Every contender once, beginning with another one in each round.
    fn round(&mut self, plan: &Plan, rig: &Rig, contenders: &[Contender], round: usize, is_open: bool) {
        if is_open && self.rate.is_none() {
            return;
        }
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let (contender, row) = (&contenders[place], &mut self.rows[place]);
            if row.skipped.is_some() {
                continue;
            }
            let rate = self.rate.filter(|_| is_open);
            match rig.measure(&self.work, contender, rate, plan.span) {
                Ok(Outcome {
                    figures,
                    contender,
                    load,
                }) => {
                    let place = if is_open { &mut row.open } else { &mut row.closed };
                    place.push(figures);
                    row.command = contender;
                    self.load = load;
                }
                Err(Failure::Skipped(reason)) => row.skipped = Some(reason),
                Err(Failure::Broken(reason)) => {
                    eprint!(" [{reason}]");
                    self.broken.push(reason);
                }
            }
            eprint!(" {}{}", contender.name, if is_open { "@" } else { "" });
            let _ = std::io::stderr().flush();
        }
    }

    /// The rate of the open loop: no contender is near its end with it, and all have the same. Two digits are enough.
    fn half_of_the_slowest(&self) -> Option<f64> {
        let rates = self
            .rows
            .iter()
            .filter(|row| !row.is_null)
            .flat_map(|row| &row.closed);
        let slowest = rates.filter_map(rate_of).min_by(f64::total_cmp)?;
        let half = (slowest / 2.0).max(1.0).floor();
        let digit = 10f64.powf((half.log10().floor() - 1.0).max(0.0));
        Some((half / digit).floor() * digit)
    }
}

/// Answers per second.
pub(crate) fn rate_of(figures: &Figures) -> Option<f64> {
    let (answers, window) = (figures.get("answers")?, figures.get("window_ns")?);
    (*answers > 0.0 && *window > 0.0).then(|| answers / window * 1e9)
}

/// A figure per answer.
pub(crate) fn per_answer(figures: &Figures, name: &str) -> Option<f64> {
    let answers = figures.get("answers").filter(|answers| **answers > 0.0)?;
    Some(figures.get(name)? / answers)
}
