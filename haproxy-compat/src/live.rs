//! Two programs side by side: every case file, the vtc scripts and the configurations, with a real haproxy and with
//! rproxy, and every difference shown.
//!
//! The recordings are 3.4.0's. A live 3.4.0 must agree with them; where an older haproxy does otherwise, the case is
//! none for that version and is listed as skipped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::play::{File, Verdict};
use crate::program::Program;
use crate::{scripts, verdicts};

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The real haproxy.
    pub real: Program,
    /// The program that stands in for it.
    pub own: Program,
    /// Parts of names (`http/`, `timers.case`, `chunked`); everything when there are none.
    pub only: Vec<String>,
    /// Whether reports are shown that differ in their words alone.
    pub wording: bool,
}

/// What came of a part, in numbers of behaviours.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    same: usize,
    known: usize,
    skipped: usize,
    different: usize,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.same += other.same;
        self.known += other.known;
        self.skipped += other.skipped;
        self.different += other.different;
    }
}

/// What was said while comparing: kept for the end, where a person looks.
#[derive(Debug, Default)]
struct Report {
    scores: BTreeMap<String, Score>,
    notes: Vec<String>,
    wordings: Vec<String>,
    differences: Vec<String>,
}

impl Plan {
    /// Compares everything that was asked for and prints it; gives whether all is as it should be.
    pub fn run(&self) -> bool {
        let start = Instant::now();
        println!(
            "haproxy  {}\n         {}",
            self.real.path.display(),
            self.real.version
        );
        println!(
            "rproxy   {}\n         {}\n",
            self.own.path.display(),
            self.own.version
        );
        let mut report = Report::default();
        for name in File::all() {
            self.file(&name, &mut report);
        }
        self.verdicts(&mut report);
        self.scripts(&mut report);
        report.print(start.elapsed().as_secs(), self.wording)
    }

    /// Whether a name was asked for, and which part of it chooses among the cases of a file.
    fn wants(&self, file: &str) -> Option<Vec<Option<&str>>> {
        if self.only.is_empty() {
            return Some(vec![None]);
        }
        let whole = self.only.iter().any(|part| file.contains(part.as_str()));
        if whole {
            return Some(vec![None]);
        }
        Some(self.only.iter().map(|part| Some(part.as_str())).collect())
    }

    fn file(&self, name: &str, report: &mut Report) {
        let file = File::read(name);
        let subject = name.split('/').next().unwrap_or(name).to_string();
        for only in self.wants(name).unwrap_or_default() {
            if only.is_some_and(|part| !file.cases().any(|case| case.contains(part))) {
                continue;
            }
            let real = file.judge(&self.real, only);
            let own = file.judge(&self.own, only);
            let score = self.compare(name, &real, &own, report);
            println!(
                "{name}: {} same, {} known, {} skipped, {} different",
                score.same, score.known, score.skipped, score.different
            );
            report.scores.entry(subject.clone()).or_default().add(score);
        }
    }

    fn compare(&self, name: &str, real: &Verdict, own: &Verdict, report: &mut Report) -> Score {
        let mut score = Score::default();
        let otherwise: Vec<&str> = real.wrong.iter().map(|w| w.case.as_str()).collect();
        for wrong in &real.wrong {
            if self.real.is_reference() {
                score.different += 1;
                report.differences.push(format!(
                    "{name}: the recording is contradicted by the program that it is from (- recorded, + now)\n{}",
                    wrong.text
                ));
            } else {
                score.skipped += 1;
                report.notes.push(format!(
                    "skipped: {name} {}: this haproxy does otherwise than 3.4.0",
                    wrong.case
                ));
            }
        }
        for wrong in &own.wrong {
            // Where the real one is older and does otherwise, the recording still holds for rproxy.
            score.different += 1;
            report
                .differences
                .push(format!("{name} (- HAProxy 3.4.0, + rproxy)\n{}", wrong.text));
        }
        for case in &own.known {
            score.known += 1;
            report.notes.push(format!("known: {name} {case}"));
        }
        for (who, verdict) in [("haproxy", real), ("rproxy", own)] {
            for uneven in &verdict.uneven {
                report.notes.push(format!(
                    "uneven: {name}: {who} did this right only when it was played again{}",
                    uneven.text
                ));
            }
        }
        let apart =
            |case: &&str| own.wrong.iter().any(|w| w.case == **case) || own.known.iter().any(|k| k == *case);
        let counted =
            own.wrong.len() + own.known.len() + otherwise.iter().filter(|case| !apart(case)).count();
        score.same = own.total.saturating_sub(counted);
        score
    }

    fn verdicts(&self, report: &mut Report) {
        let cases: Vec<verdicts::Case> = verdicts::all()
            .into_iter()
            .filter(|case| {
                self.only.is_empty() || self.only.iter().any(|part| case.name.contains(part.as_str()))
            })
            .collect();
        if cases.is_empty() {
            return;
        }
        let mut score = Score::default();
        for (case, outcome) in verdicts::compare(&self.real, &self.own, &cases) {
            match outcome {
                verdicts::Outcome::Same => score.same += 1,
                verdicts::Outcome::Worded(text) => {
                    score.same += 1;
                    report.wordings.push(text);
                }
                verdicts::Outcome::Skipped(reason) => {
                    score.skipped += 1;
                    report.notes.push(format!("skipped: {}: {reason}", case.name));
                }
                verdicts::Outcome::Known(reason) => {
                    score.known += 1;
                    report.notes.push(format!("known: {}: {reason}", case.name));
                }
                verdicts::Outcome::Different(text) => {
                    score.different += 1;
                    report
                        .differences
                        .push(format!("{} (- HAProxy, + rproxy)\n{text}", case.name));
                }
            }
        }
        println!(
            "configurations: {} same, {} known, {} skipped, {} different",
            score.same, score.known, score.skipped, score.different
        );
        report.scores.insert("configurations".into(), score);
    }

    fn scripts(&self, report: &mut Report) {
        if !self.only.is_empty() && !self.only.iter().any(|part| "vtc".contains(part.as_str())) {
            return;
        }
        let Some(runner) = scripts::runner() else {
            report.notes.push(
                "skipped: the vtc scripts: neither VTEST nor a vtest or varnishtest program on PATH".into(),
            );
            return;
        };
        let all = scripts::all();
        let (fitting, newer): (Vec<PathBuf>, Vec<PathBuf>) = all
            .iter()
            .cloned()
            .partition(|script| scripts::fits(script, &self.real));
        let mut score = Score::default();
        for script in &newer {
            report
                .notes
                .push(format!("skipped: {} with an older haproxy", script.display()));
        }
        let mut failures = scripts::failures(&runner, &self.real.path, &fitting);
        failures.extend(scripts::failures(&runner, &self.own.path, &all));
        score.different = failures.len();
        score.skipped = newer.len();
        score.same = all.len().saturating_sub(failures.len() + newer.len());
        report.differences.extend(failures);
        println!(
            "vtc: {} same, {} skipped, {} fail",
            score.same, score.skipped, score.different
        );
        report.scores.insert("vtc".into(), score);
    }
}

impl Report {
    fn print(self, seconds: u64, wording: bool) -> bool {
        println!();
        for note in &self.notes {
            println!("{note}");
        }
        if !self.wordings.is_empty() {
            println!(
                "{} configurations get the same verdict in other words (--wording shows them)",
                self.wordings.len()
            );
        }
        if wording {
            self.wordings.iter().for_each(|text| println!("{text}"));
        }
        for difference in &self.differences {
            println!("\n{difference}");
        }
        let mut total = Score::default();
        println!(
            "\n{:<16}{:>8}{:>8}{:>10}{:>12}",
            "subject", "same", "known", "skipped", "different"
        );
        for (subject, score) in &self.scores {
            println!(
                "{subject:<16}{:>8}{:>8}{:>10}{:>12}",
                score.same, score.known, score.skipped, score.different
            );
            total.add(*score);
        }
        println!(
            "{:<16}{:>8}{:>8}{:>10}{:>12}",
            "all", total.same, total.known, total.skipped, total.different
        );
        println!("{} min {} s", seconds / 60, seconds % 60);
        total.different == 0
    }
}
