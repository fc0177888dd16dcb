//! What the kernel says a process used: run time of all its threads, user and system time, memory.
//!
//! Source: proc(5). `schedstat` of a task is nanoseconds on a CPU, as the scheduler counted them; `utime` and `stime` of
//! `stat` are ticks, which serve for the share of each alone. What kernel threads do on behalf of a process (a part of
//! MPTCP's work) belongs to nobody and is not in here.

use std::fs;

/// Ticks per second of `utime` and `stime`: USER_HZ, which is 100 in Linux's interface to programs.
const TICKS: u64 = 100;

/// A process with all its descendants: the worker of a master counts.
#[derive(Clone)]
pub(crate) struct Watch {
    pids: Vec<u32>,
}

/// Time on CPUs, nanoseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// By the scheduler.
    pub(crate) run: u64,
    /// In the program, by ticks.
    pub(crate) user: u64,
    /// In the kernel, by ticks.
    pub(crate) system: u64,
}

impl Cpu {
    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            run: self.run.saturating_sub(before.run),
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Memory of a process, bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Its own pages and its share of those it has in common with others.
    pub(crate) pss: u64,
    /// Pages that nobody else has.
    pub(crate) private: u64,
}

impl Watch {
    /// `pid` and whoever descends from it now.
    pub(crate) fn new(pid: u32) -> Self {
        let mut pids = vec![pid];
        let parents = parents();
        let mut next = 0;
        while let Some(&parent) = pids.get(next) {
            pids.extend(
                parents
                    .iter()
                    .filter(|(_, p)| *p == parent)
                    .map(|(child, _)| child),
            );
            next += 1;
        }
        Self { pids }
    }

    /// Time used until now.
    pub(crate) fn cpu(&self) -> Cpu {
        let mut sum = Cpu::default();
        for pid in &self.pids {
            for task in names(&format!("/proc/{pid}/task")) {
                let text = fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat"));
                sum.run += text.ok().and_then(|t| number(&t, 0)).unwrap_or(0);
            }
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = after_name(&stat);
            sum.user += number(fields, 11).unwrap_or(0) * (1_000_000_000 / TICKS);
            sum.system += number(fields, 12).unwrap_or(0) * (1_000_000_000 / TICKS);
        }
        // A kernel without the scheduler's account has ticks alone.
        if sum.run == 0 {
            sum.run = sum.user + sum.system;
        }
        sum
    }

    /// Memory in use now.
    pub(crate) fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for pid in &self.pids {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            for line in text.lines() {
                let kilobytes = || number(line, 1).unwrap_or(0) * 1024;
                match line.split(':').next() {
                    Some("Pss") => sum.pss += kilobytes(),
                    Some("Private_Clean" | "Private_Dirty") => sum.private += kilobytes(),
                    _ => {}
                }
            }
        }
        sum
    }
}

/// The fields of `stat` after the name, which may hold spaces and parentheses.
fn after_name(stat: &str) -> &str {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest)
}

fn number(text: &str, field: usize) -> Option<u64> {
    text.split_whitespace().nth(field)?.parse().ok()
}

fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let pids = names("/proc").into_iter().filter_map(|name| name.parse().ok());
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = number(after_name(&stat), 1)?;
        Some((pid, u32::try_from(parent).ok()?))
    };
    pids.filter_map(parent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_used_something() {
        let watch = Watch::new(std::process::id());
        let before = watch.cpu();
        let mut sum = 0u64;
        while watch.cpu().since(before).run < 1_000_000 {
            sum = (0..10_000).fold(sum, |sum, n| sum.wrapping_mul(31) ^ n);
        }
        let memory = watch.memory();
        assert!(memory.pss > 0 && memory.private > 0, "{sum}");
    }

    #[test]
    fn a_name_may_look_like_fields() {
        assert_eq!(number(after_name("7 (a) b (c)) S 3 7"), 1), Some(3));
    }
}
