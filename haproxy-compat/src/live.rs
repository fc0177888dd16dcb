//! Two programs side by side: every case file, the configurations, the vtc scripts and upstream's examples, with a real
//! haproxy and with rproxy, and every difference shown.
//!
//! The recordings are 3.4.0's. A live 3.4.0 must agree with them; where an older haproxy does otherwise, the case is
//! none for that version and is listed as skipped, with what it does otherwise.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::examples::{self, Example};
use crate::play::{File, Verdict, Wrong, stale_known_differences};
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
    /// The arguments with which the running program takes a role of [`examples::role`].
    pub launch: &'static [&'static str],
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

    fn in_words(&self) -> String {
        let Self {
            same,
            known,
            skipped,
            different,
        } = self;
        format!("{same} same, {known} known, {different} different, {skipped} skipped")
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

/// Two things at the same time: a program waits more than it computes.
fn both<T: Send>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> T + Send) -> (T, T) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().expect("no player panicked"), other)
    })
}

impl Plan {
    /// Compares everything that was asked for and prints it; gives whether all is as it should be.
    pub fn run(&self) -> bool {
        let start = Instant::now();
        for (name, program) in [("haproxy", &self.real), ("rproxy", &self.own)] {
            println!(
                "{name:<9}{}\n         {}",
                program.path.display(),
                program.version
            );
        }
        println!();
        let mut report = Report::default();
        for name in File::all() {
            self.file(&name, &mut report);
        }
        self.verdicts(&mut report);
        self.scripts(&mut report);
        self.examples(&mut report);
        for line in stale_known_differences() {
            report.score("known-differences", |score| score.different += 1);
            let text = format!("known-differences: there is no such case: {line}");
            report.differences.push(text);
        }
        report.print(start.elapsed().as_secs(), self.wording)
    }

    /// Whether something of that name was asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    fn file(&self, name: &str, report: &mut Report) {
        let file = File::read(name);
        let subject = name.split('/').next().unwrap_or(name);
        let parts: Vec<Option<&str>> = if self.wants(name) {
            vec![None]
        } else {
            self.only.iter().map(|part| Some(part.as_str())).collect()
        };
        for only in parts {
            if only.is_some_and(|part| !file.cases().any(|case| case.contains(part))) {
                continue;
            }
            let (real, own) = both(|| file.judge(&self.real, only), || file.judge(&self.own, only));
            let score = self.compare(name, &real, &own, report);
            println!("{name}: {}", score.in_words());
            report.score(subject, |sum| sum.add(score));
        }
    }

    fn compare(&self, name: &str, real: &Verdict, own: &Verdict, report: &mut Report) -> Score {
        let mut score = Score::default();
        if let Some(reason) = &own.skipped {
            report.note(&format!("skipped: {name}"), reason);
            score.skipped = own.total;
            return score;
        }
        for wrong in &real.wrong {
            if self.real.is_reference() {
                score.different += 1;
                report.differences.push(format!(
                    "{name}: the recording is contradicted by the program that it is from (- recorded, + now)\n{}",
                    wrong.text
                ));
                continue;
            }
            score.skipped += 1;
            let reason = otherwise(wrong);
            report.note(&format!("skipped: {name} {}", wrong.case), &reason);
        }
        for wrong in &own.wrong {
            // Where the real one is older and does otherwise, the recording still holds for rproxy.
            score.different += 1;
            report
                .differences
                .push(format!("{name} (- HAProxy 3.4.0, + rproxy)\n{}", wrong.text));
        }
        for (case, reason) in &own.known {
            score.known += 1;
            report.note(&format!("known: {name} {case}"), reason);
        }
        for (who, verdict) in [("haproxy", real), ("rproxy", own)] {
            for uneven in &verdict.uneven {
                report.notes.push(format!(
                    "uneven: {name}: {who} did this right only when it was played again{}",
                    uneven.text
                ));
            }
        }
        let apart = |case: &str| {
            own.wrong.iter().any(|w| w.case == case) || own.known.iter().any(|(known, _)| known == case)
        };
        let real_alone = real.wrong.iter().filter(|w| !apart(&w.case)).count();
        let counted = own.wrong.len() + own.known.len() + real_alone;
        score.same = own.total.saturating_sub(counted);
        score
    }

    fn verdicts(&self, report: &mut Report) {
        let mut cases = verdicts::all();
        cases.retain(|case| self.wants(&case.name));
        for (case, outcome) in verdicts::compare(&self.real, &self.own, &cases) {
            let score = report.scores.entry("configurations".into()).or_default();
            match outcome {
                verdicts::Outcome::Same => score.same += 1,
                verdicts::Outcome::Worded(text) => {
                    score.same += 1;
                    report.wordings.push(text);
                }
                verdicts::Outcome::Skipped(reason) => {
                    score.skipped += 1;
                    report.note(&format!("skipped: {}", case.name), &reason);
                }
                verdicts::Outcome::Known(reason) => {
                    score.known += 1;
                    report.note(&format!("known: {}", case.name), &reason);
                }
                verdicts::Outcome::Different(text) => {
                    score.different += 1;
                    report
                        .differences
                        .push(format!("{} (- HAProxy, + rproxy)\n{text}", case.name));
                }
            }
        }
        report.told("configurations");
    }

    fn scripts(&self, report: &mut Report) {
        let mut all = scripts::all();
        let name = |script: &PathBuf| format!("vtc/{}", script.file_name().unwrap_or_default().display());
        all.retain(|script| self.wants(&name(script)));
        if all.is_empty() {
            return;
        }
        let Some(runner) = scripts::runner() else {
            let reason = "neither VTEST nor a vtest or varnishtest program on PATH";
            report.note("skipped: the vtc scripts", reason);
            report.score("vtc", |score| score.skipped += all.len());
            return;
        };
        let (fitting, newer): (Vec<PathBuf>, Vec<PathBuf>) = all
            .iter()
            .cloned()
            .partition(|script| scripts::fits(script, &self.real));
        for script in &newer {
            report.note(&format!("skipped: {}", name(script)), "it is for a later haproxy");
        }
        let mut failures = scripts::failures(&runner, &self.real.path, &fitting);
        failures.extend(scripts::failures(&runner, &self.own.path, &all));
        report.score("vtc", |score| {
            score.different = failures.len();
            score.skipped = newer.len();
            score.same = all.len().saturating_sub(failures.len() + newer.len());
        });
        report.differences.extend(failures);
        report.told("vtc");
    }

    fn examples(&self, report: &mut Report) {
        let places = examples::usual_places();
        let found = examples::found(&places);
        if found.is_empty() && self.wants("examples/") {
            let reason = format!("none in {places:?}");
            report.note("skipped: upstream's examples", &reason);
            report.score("examples", |score| score.skipped += 1);
        }
        for example in found {
            if self.wants(&format!("examples/{}", example.name)) {
                self.example(&example, report);
            }
        }
        report.told("examples");
    }

    fn example(&self, example: &Example, report: &mut Report) {
        use examples::Outcome;
        let name = format!("examples/{}", example.name);
        let (real, own) = both(
            || example.judge(&self.real, self.launch),
            || example.judge(&self.own, self.launch),
        );
        let number = example.behaviours();
        let mut skip = |reason: &str| {
            report.note(&format!("skipped: {name}"), reason);
            report.score("examples", |score| score.skipped += number);
        };
        let wrong = match (real, own) {
            (Outcome::Refused(too), Outcome::Refused(why)) if why.starts_with("not yet: ") => {
                return skip(&format!("{why} (and this haproxy refuses it: {too})"));
            }
            (_, Outcome::Refused(why)) if why.starts_with("not yet: ") => return skip(&why),
            (Outcome::Refused(why), Outcome::Refused(_)) => {
                return skip(&format!("haproxy refuses it: {why}"));
            }
            (_, Outcome::Refused(why)) => format!("rproxy refuses it: {why}"),
            (Outcome::Different(text), _) if self.real.is_reference() => {
                format!(
                    "the recording is contradicted by the program that it is from (- recorded, + now)\n{text}"
                )
            }
            (_, Outcome::Different(text)) => format!("(- HAProxy 3.4.0, + rproxy)\n{text}"),
            (_, Outcome::Skipped(why)) | (Outcome::Skipped(why), _) => return skip(&why),
            (Outcome::Refused(why), Outcome::Same) => return skip(&format!("haproxy refuses it: {why}")),
            (Outcome::Different(_), Outcome::Same) => return skip("this haproxy does otherwise than 3.4.0"),
            (Outcome::Same, Outcome::Same) => {
                return report.score("examples", |score| score.same += number);
            }
        };
        report.score("examples", |score| score.different += number);
        report.differences.push(format!("{name}: {wrong}"));
    }
}

/// What another version does otherwise with a case, in short: that it does not start or dies, or where the first
/// difference is.
fn otherwise(wrong: &Wrong) -> String {
    // A line of a difference: `  + text`.
    let lines = wrong
        .text
        .lines()
        .filter(|l| l.starts_with("  "))
        .filter_map(|l| Some((l.get(2..3)?, l.get(4..)?)));
    let own: Vec<&str> = lines
        .clone()
        .filter(|(sign, _)| *sign == "+")
        .map(|(_, text)| text)
        .collect();
    if let Some(alert) = own.iter().find_map(|text| Some(text.split_once("[ALERT]")?.1)) {
        let alert = alert.split_once(" : ").map_or(alert, |(_, words)| words);
        return format!("this haproxy refuses its configuration: {alert}");
    }
    if let Some(text) = own
        .iter()
        .find_map(|text| text.strip_prefix("= the proxy died: "))
    {
        return format!("this haproxy dies of it: {text}");
    }
    let mut place = "not played";
    for (sign, text) in lines {
        place = text.strip_prefix("= ").unwrap_or(place);
        if sign != " " {
            break;
        }
    }
    format!("this haproxy does otherwise than 3.4.0 ({place})")
}

impl Report {
    fn note(&mut self, what: &str, reason: &str) {
        self.notes.push(format!("{what}: {reason}"));
    }

    fn score(&mut self, subject: &str, change: impl FnOnce(&mut Score)) {
        change(self.scores.entry(subject.to_string()).or_default());
    }

    /// Shows at once what came of a subject.
    fn told(&self, subject: &str) {
        if let Some(score) = self.scores.get(subject) {
            println!("{subject}: {}", score.in_words());
        }
    }

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
        let row = |subject: &str, cells: [String; 4]| {
            let [same, known, different, skipped] = cells;
            println!("{subject:<18}{same:>8}{known:>8}{different:>11}{skipped:>9}");
        };
        let numbers = |s: &Score| [s.same, s.known, s.different, s.skipped].map(|n| n.to_string());
        let mut total = Score::default();
        println!();
        row(
            "behaviours of",
            ["same", "known", "different", "skipped"].map(Into::into),
        );
        for (subject, score) in &self.scores {
            row(subject, numbers(score));
            total.add(*score);
        }
        println!(
            "all: {} ({} min {} s)",
            total.in_words(),
            seconds / 60,
            seconds % 60
        );
        total.different == 0 && total.same + total.known + total.skipped > 0
    }
}
