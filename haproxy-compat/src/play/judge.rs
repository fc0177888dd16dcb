//! What a program does with the cases of a file, held against the recording.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::{File, counters, parse, places, run, show};
use crate::parallel;
use crate::program::{Program, home};

/// How many cases one process serves at most: enough to save starts, few enough to run side by side.
const SHARE: usize = 16;
/// How many processes play side by side: cases wait more than they compute.
const SIDE_BY_SIDE: usize = 8;
/// How often a case that differs is played again, alone. Cases tell time apart by fractions of a second; on a busy
/// machine one may come out differently without any fault of the program.
const REPLAYS: usize = 2;

/// How often a case is played to be recorded, beyond twice, until it came out the same twice in a row.
const RECORDINGS: usize = 6;

/// How many cases that came out wrong are enough to look at them more closely.
const SUSPECTS: usize = 3;

/// What a program did with a case, by the case's place in its file.
type Observations = BTreeMap<usize, Vec<String>>;

/// A case that came out other than it should.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The case.
    pub case: String,
    /// Both results side by side, or why it is wrong otherwise.
    pub text: String,
}

/// What came of a file.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// How many cases there are to play.
    pub total: usize,
    /// Why none was played.
    pub skipped: Option<String>,
    /// Those that differ and should not, or do not differ although they are listed.
    pub wrong: Vec<Wrong>,
    /// Those that differ as it is listed, with the reason.
    pub known: Vec<(String, String)>,
    /// Those that agreed only when they were played again, with what they did at first.
    pub uneven: Vec<Wrong>,
}

impl File {
    /// Reads a file of `cases/`; panics with file and line on what it does not understand.
    pub fn read(name: &str) -> Self {
        parse::read(name)
    }

    /// The names of all files, sorted.
    pub fn all() -> Vec<String> {
        let mut names = Vec::new();
        let root = home().join("cases");
        for subject in entries(&root) {
            let files = entries(&subject)
                .into_iter()
                .filter(|f| f.extension().is_some_and(|e| e == "case"));
            let below = files.filter_map(|f| Some(f.strip_prefix(&root).ok()?.display().to_string()));
            names.extend(below);
        }
        names.sort();
        names
    }

    /// The names of the cases.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|c| c.name.as_str())
    }

    /// Plays the cases (those with `only` in their names) and holds them against the recording.
    pub fn judge(&self, program: &Program, only: Option<&str>) -> Verdict {
        let chosen: Vec<usize> = self.chosen(only);
        let known = if program.is_rproxy() {
            known_differences(&self.name)
        } else {
            BTreeMap::new()
        };
        let mut verdict = Verdict {
            total: chosen.len(),
            skipped: places::lacks(&self.flags.needs),
            ..Verdict::default()
        };
        if verdict.skipped.is_some() {
            return verdict;
        }
        let mut got = self.observe(program, &self.groups(&chosen), false);
        for index in chosen {
            let case = &self.cases[index];
            let expected = |got: &[String]| counters::fitting(&case.expected, got);
            let agrees = |got: &Observations| got.get(&index).is_some_and(|got| expected(got) == *got);
            let reason = known.get(&case.name);
            let listed = reason.is_some();
            let mut plays = 0;
            let first = got.get(&index).cloned().unwrap_or_default();
            // Another version does otherwise in earnest.
            let replays = if program.is_rproxy() || program.is_reference() {
                REPLAYS
            } else {
                0
            };
            // A listed one that agrees by chance is played again as well.
            while agrees(&got) == listed && plays < replays {
                plays += 1;
                got.extend(self.observe(program, &[vec![index]], false));
            }
            match (agrees(&got), listed) {
                (true, false) if plays > 0 => verdict.uneven.push(Wrong {
                    case: case.name.clone(),
                    text: show::difference(&case.name, &expected(&first), &first),
                }),
                (true, false) => {}
                (false, true) => {
                    let reason = reason.cloned().unwrap_or_default();
                    verdict.known.push((case.name.clone(), reason));
                }
                (false, false) => verdict.wrong.push(Wrong {
                    case: case.name.clone(),
                    text: show::difference(&case.name, &expected(&got[&index]), &got[&index]),
                }),
                (true, true) => verdict.wrong.push(Wrong {
                    case: case.name.clone(),
                    text: format!("\ncase {}: a known difference that is none any more\n", case.name),
                }),
            }
        }
        verdict
    }

    /// The first case found that comes out other than recorded with a broken program: twice, and not with the whole one,
    /// since a busy machine makes a case come out otherwise now and then. Known differences are left out.
    pub fn first_wrong(&self, broken: &Program, whole: &Program) -> Option<String> {
        let known = known_differences(&self.name);
        let mut chosen = self.chosen(None);
        chosen.retain(|index| !known.contains_key(&self.cases[*index].name));
        if places::lacks(&self.flags.needs).is_some() {
            return None;
        }
        while !chosen.is_empty() {
            let seen = self.until_suspects(broken, &self.groups(&chosen));
            let differs = |program: &Program, index: usize| {
                let seen = self.until_suspects(program, &[vec![index]]);
                seen.values().any(|right| !right)
            };
            let is_wrong = |(index, right): (&usize, &bool)| {
                (!right && differs(broken, *index) && !differs(whole, *index)).then_some(*index)
            };
            if let Some(index) = seen.iter().find_map(is_wrong) {
                return Some(self.cases[index].name.clone());
            }
            chosen.retain(|index| !seen.contains_key(index));
        }
        None
    }

    /// Plays groups side by side until a few cases came out wrong: a broken program may let every case wait for long.
    /// Gives the cases that were played, and whether they came out right.
    fn until_suspects(&self, program: &Program, groups: &[Vec<usize>]) -> BTreeMap<usize, bool> {
        let seen: Mutex<BTreeMap<usize, bool>> = Mutex::default();
        self.side_by_side(program, groups, false, |index, lines| {
            let mut seen = seen.lock().expect("no player panicked");
            let is_right = self.cases[index].expected == lines;
            seen.entry(index)
                .and_modify(|right| *right &= is_right)
                .or_insert(is_right);
            seen.values().filter(|right| !**right).count() < SUSPECTS
        });
        seen.into_inner().expect("no player panicked")
    }

    /// Plays the cases with the reference and writes what it does into the file.
    pub fn record(&mut self, program: &Program, only: Option<&str>) {
        assert!(
            program.is_reference(),
            "results are recorded from HAProxy 3.4.0 only, not from {:?}",
            program.version
        );
        if let Some(reason) = places::lacks(&self.flags.needs) {
            eprintln!("{} is not recorded: {reason}", self.name);
            return;
        }
        let chosen = self.chosen(only);
        let groups = self.groups(&chosen);
        let mut first = self.observe(program, &groups, true);
        let mut second = self.observe(program, &groups, true);
        for index in chosen {
            // What chance decides is no recording.
            for _ in 0..RECORDINGS {
                if first.get(&index) != second.get(&index) {
                    first.extend(self.observe(program, &[vec![index]], true));
                    std::mem::swap(&mut first, &mut second);
                }
            }
            let lines = second.remove(&index).unwrap_or_default();
            if first.get(&index) != Some(&lines) {
                eprintln!("{} {}: never twice the same", self.name, self.cases[index].name);
            }
            let unplayed = lines.iter().find(|line| line.starts_with(run::UNPLAYED));
            assert_eq!(unplayed, None, "{}: {}", self.name, self.cases[index].name);
            self.cases[index].expected = lines;
        }
        parse::write(self, &program.version);
    }

    /// The cases with `only` in their names.
    fn chosen(&self, only: Option<&str>) -> Vec<usize> {
        let fits = |index: &usize| only.is_none_or(|o| self.cases[*index].name.contains(o));
        (0..self.cases.len()).filter(fits).collect()
    }

    /// The cases that run in one process each.
    fn groups(&self, chosen: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for &index in chosen {
            let same = |g: &&mut Vec<usize>| self.cases[g[0]].config == self.cases[index].config;
            match groups.iter_mut().rfind(same) {
                Some(group) if self.flags.shared && group.len() < SHARE => group.push(index),
                _ => groups.push(vec![index]),
            }
        }
        groups
    }

    /// Plays groups side by side.
    fn observe(&self, program: &Program, groups: &[Vec<usize>], record: bool) -> Observations {
        let results: Mutex<Observations> = Mutex::default();
        self.side_by_side(program, groups, record, |index, lines| {
            let mut results = results.lock().expect("no player panicked");
            results.entry(index).or_default().extend(lines);
            true
        });
        results.into_inner().expect("no player panicked")
    }

    /// Plays groups side by side until `done` wants no more.
    fn side_by_side(
        &self,
        program: &Program,
        groups: &[Vec<usize>],
        record: bool,
        done: impl Fn(usize, Vec<String>) -> bool + Sync,
    ) {
        let none = |_| ();
        parallel::each(groups, SIDE_BY_SIDE, none, |(), _, group| {
            let mut go_on = true;
            run::group(program, group, self, record, |index, lines| {
                go_on = done(index, lines);
                go_on
            });
            go_on
        });
    }
}

/// What a directory holds, sorted.
fn entries(directory: &std::path::Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .flatten()
        .map(|e| e.path())
        .collect();
    paths.sort();
    paths
}

/// The cases of that file in which rproxy differs on purpose, with the reasons.
fn known_differences(file: &str) -> BTreeMap<String, String> {
    let listed = all_known_differences().into_iter().filter(|(of, ..)| of == file);
    listed.map(|(_, case, reason)| (case, reason)).collect()
}

/// File, case and reason of each line of the list.
fn all_known_differences() -> Vec<(String, String, String)> {
    let list = home().join("known-differences/cases.txt");
    let text = std::fs::read_to_string(&list).expect("the list of known differences");
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let parts = line.split_once(' ').and_then(|(file, rest)| {
                let (case, reason) = rest.split_once(": ")?;
                Some((file, case, reason))
            });
            let Some((file, case, reason)) = parts.filter(|(.., reason)| !reason.trim().is_empty()) else {
                panic!("{}: no file, case and reason: {line}", list.display())
            };
            (file.to_string(), case.to_string(), reason.to_string())
        })
        .collect()
}

/// Lines of the list of known differences that name no case.
pub fn stale_known_differences() -> Vec<String> {
    let files = File::all();
    let names = |file: &String, case: &String| {
        files.contains(file) && File::read(file).cases.iter().any(|c| c.name == *case)
    };
    let listed = all_known_differences().into_iter();
    listed
        .filter(|(file, case, _)| !names(file, case))
        .map(|(file, case, _)| format!("{file} {case}"))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_differences_name_cases() {
        assert_eq!(super::stale_known_differences(), [""; 0]);
    }
}
