//! The grammar of thread sets (`thread` on bind lines): `all`, `odd`, `even`, `3`, `1-4`, `2/1-4`, comma lists.
//!
//! One loop serves whatever the set says; that it names a thread that exists is checked, as HAProxy 3.4.0 does, with
//! its messages. Source: configuration manual, "thread".

const MAX_THREADS: u64 = 1024;
const MAX_THREADS_PER_GROUP: u64 = 64;
const MAX_GROUPS: u64 = 32;

/// Threads of one number, word or range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// From the first to the last.
    Range(u64, u64),
    All,
    Odd,
    Even,
}

impl Part {
    /// Whether it holds one of the first `count` threads.
    fn is_within(self, count: u64) -> bool {
        match self {
            Self::Range(first, _) => first <= count,
            Self::All | Self::Odd => count >= 1,
            Self::Even => count >= 2,
        }
    }
}

/// The threads that the `thread` options of a line name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadSet {
    /// The group, 0 for threads of all groups, and which of its threads.
    parts: Vec<(u64, Part)>,
}

/// The threads that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// How many.
    pub number: u64,
    /// In how many groups of their own making, if that is known.
    pub groups: Option<u64>,
}

impl Threads {
    /// How many threads a group has, from 1 on: first groups get what does not divide.
    fn in_group(self, group: u64) -> Option<u64> {
        let groups = self.groups?;
        (group <= groups).then(|| self.number / groups + u64::from(group <= self.number % groups))
    }
}

impl ThreadSet {
    /// What HAProxy says against a set that names no thread there is. Groups, if it names any, are all that counts.
    pub fn refusal(&self, threads: Threads) -> Option<String> {
        let mut groups: Vec<u64> = self.parts.iter().map(|(group, _)| *group).collect();
        groups.retain(|group| *group > 0);
        groups.sort_unstable();
        groups.dedup();
        let within = |group: u64, count: u64| {
            let mut parts = self.parts.iter();
            parts.any(|(of, part)| *of == group && part.is_within(count))
        };
        if groups.is_empty() {
            let none = !self.parts.is_empty() && !within(0, threads.number);
            return none.then(|| "'thread' directive only references non-existing threads".to_owned());
        }
        threads.groups?;
        groups
            .into_iter()
            .find_map(|group| match threads.in_group(group) {
                None => Some(format!(
                    "'thread' directive references non-existing thread group {group}"
                )),
                Some(count) => (!within(group, count)).then(|| {
                    format!("'thread' directive only references threads not belonging to group {group}")
                }),
            })
    }
}

/// Reads a thread set and adds it to `into`; the text of the refusal is HAProxy's.
pub(super) fn read_thread_set(text: &[u8], into: &mut ThreadSet) -> Result<(), String> {
    let relative = text.get(digits(text)) == Some(&b'/');
    let max = if relative {
        MAX_THREADS_PER_GROUP
    } else {
        MAX_THREADS
    };
    let mut rest = text;
    while !rest.is_empty() {
        let (mut group, mut set) = (0, rest);
        if relative {
            (group, set) = after_group(set)?;
        } else if set.get(digits(set)) == Some(&b'/') {
            return Err(format!(
                "group-relative thread specification '{}' is not permitted after a absolute thread range.",
                shown(set)
            ));
        }
        let (part, left) = range(set, max, group)?;
        into.parts.extend(part.map(|part| (group, part)));
        rest = left.strip_prefix(b",").unwrap_or(left);
    }
    Ok(())
}

/// Takes `group/` off.
fn after_group(set: &[u8]) -> Result<(u64, &[u8]), String> {
    let (number, rest) = split_number(set);
    check_delimiter(set, number, rest)?;
    match rest.strip_prefix(b"/") {
        None => Err(format!(
            "absolute thread specification '{}' is not permitted after a group-relative thread range.",
            shown(set)
        )),
        Some(_) if number.is_none() => Err(format!("thread group number expected before '{}'.", shown(set))),
        Some(after) => match number {
            Some(group) if (1..=MAX_GROUPS).contains(&group) => Ok((group, after)),
            group => Err(format!(
                "invalid thread group number '{}', permitted range is 1..{MAX_GROUPS} in '{}'.",
                group.unwrap_or(0),
                shown(set)
            )),
        },
    }
}

/// Only delimiters may follow digits.
fn check_delimiter(set: &[u8], number: Option<u64>, rest: &[u8]) -> Result<(), String> {
    match rest.first() {
        Some(&byte) if number.is_some() && !matches!(byte, b'/' | b'-' | b',') => Err(format!(
            "invalid character '{}' in thread set specification: '{}'.",
            char::from(byte),
            shown(set)
        )),
        _ => Ok(()),
    }
}

/// One number, word or range, of that group if it is not 0; gives it and what follows.
fn range(set: &[u8], max: u64, group: u64) -> Result<(Option<Part>, &[u8]), String> {
    if set.is_empty() {
        return Ok((None, set));
    }
    let (number, mut rest) = split_number(set);
    check_delimiter(set, number, rest)?;
    if group > 0 && number.is_some() && rest.first() == Some(&b'/') {
        return Err(format!(
            "redundant thread group specification '{}' for group {group}",
            shown(set)
        ));
    }
    let word_end = rest
        .iter()
        .position(|byte| matches!(byte, b'-' | b','))
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(word_end);
    rest = after;
    let is_word = matches!(word, b"all" | b"odd" | b"even") && number.is_none();
    let first = match number {
        Some(first) => first,
        None if is_word || word.is_empty() => 1,
        None => 0,
    };
    if first < 1 || first > max {
        return Err(format!(
            "invalid first thread number '{}', permitted range is 1..{max}, or 'all', 'odd', 'even'.",
            shown(set)
        ));
    }
    let Some(after) = rest.strip_prefix(b"-") else {
        let part = match word {
            b"all" if is_word => Part::All,
            b"odd" if is_word => Part::Odd,
            b"even" if is_word => Part::Even,
            _ => Part::Range(first, first),
        };
        return Ok((Some(part), rest));
    };
    if is_word {
        return Err(format!(
            "extraneous range after 'all', 'odd' or 'even': '{}'.",
            shown(set)
        ));
    }
    let (last, rest) = split_number(after);
    let bad_end = last.is_none() && rest.first().is_some_and(|byte| *byte != b',');
    if bad_end || last.is_some_and(|last| last < 1 || last > max) {
        return Err(format!(
            "invalid last thread number '{}', permitted range is 1..{max}.",
            shown(after)
        ));
    }
    match rest.first() {
        Some(&byte) if byte != b',' => Err(format!(
            "invalid character '{}' after thread set specification: '{}'.",
            char::from(byte),
            shown(after)
        )),
        _ => {
            let last = last.unwrap_or(max);
            // One that runs backwards is taken for the even threads.
            let part = if last < first {
                Part::Even
            } else {
                Part::Range(first, last)
            };
            Ok((Some(part), rest))
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The number at the beginning, and what follows.
fn split_number(text: &[u8]) -> (Option<u64>, &[u8]) {
    let (number, rest) = text.split_at(digits(text));
    let value = number.iter().fold(0u64, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    ((!number.is_empty()).then_some(value), rest)
}

fn shown(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<ThreadSet, String> {
        let mut set = ThreadSet::default();
        read_thread_set(text.as_bytes(), &mut set).map(|()| set)
    }

    #[test]
    fn sets_must_name_a_thread_that_exists() {
        let none = "'thread' directive only references non-existing threads";
        let not_in =
            |group| format!("'thread' directive only references threads not belonging to group {group}");
        let no_group = |group| format!("'thread' directive references non-existing thread group {group}");
        let threads = |number, groups| Threads { number, groups };
        let one = threads(1, Some(1));
        for (text, threads, refusal) in [
            ("5", one, Some(none.to_owned())),
            ("2-5", one, Some(none.to_owned())),
            ("even", one, Some(none.to_owned())),
            ("4-1", one, Some(none.to_owned())),
            ("1-5", one, None),
            ("odd", one, None),
            ("all", one, None),
            ("5,1", one, None),
            (",", one, None),
            ("", one, None),
            ("1/", one, None),
            ("1/5", one, Some(not_in(1))),
            ("1/even", one, Some(not_in(1))),
            ("2/1", one, Some(no_group(2))),
            ("1/1,2/1", one, Some(no_group(2))),
            ("2/1,1/2", one, Some(not_in(1))),
            ("4", threads(4, Some(1)), None),
            ("5", threads(4, None), Some(none.to_owned())),
            ("9/9", threads(4, None), None),
            ("2/2", threads(4, Some(2)), None),
            ("2/3", threads(4, Some(2)), Some(not_in(2))),
            ("1/2", threads(3, Some(2)), None),
            ("2/2", threads(3, Some(2)), Some(not_in(2))),
        ] {
            let set = read(text).expect("a set");
            assert_eq!(set.refusal(threads), refusal, "{text} of {threads:?}");
        }
        // Several options of a line add up, and groups win.
        let mut set = read("5").expect("a set");
        assert!(set.refusal(one).is_some());
        read_thread_set(b"1/1", &mut set).expect("a set");
        assert_eq!(set.refusal(one), None);
    }

    #[test]
    fn verdicts_of_3_4_0() {
        for good in [
            "",
            "1",
            "all",
            "odd",
            "even",
            "1-4",
            "2-",
            "1,3-5,all",
            "1/",
            "1/1-64",
            "1/all,2/odd",
            "-",
            "-4",
            "1,",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for (bad, message) in [
            (
                "a",
                "invalid first thread number 'a', permitted range is 1..1024, or 'all', 'odd', 'even'.",
            ),
            (
                "0",
                "invalid first thread number '0', permitted range is 1..1024, or 'all', 'odd', 'even'.",
            ),
            (
                "1025",
                "invalid first thread number '1025', permitted range is 1..1024, or 'all', 'odd', 'even'.",
            ),
            (
                "1/65",
                "invalid first thread number '65', permitted range is 1..64, or 'all', 'odd', 'even'.",
            ),
            (
                "1-1025",
                "invalid last thread number '1025', permitted range is 1..1024.",
            ),
            (
                "1-x",
                "invalid last thread number 'x', permitted range is 1..1024.",
            ),
            ("all-3", "extraneous range after 'all', 'odd' or 'even': 'all-3'."),
            ("1x", "invalid character 'x' in thread set specification: '1x'."),
            (
                "1-3x",
                "invalid character 'x' after thread set specification: '3x'.",
            ),
            (
                "33/1",
                "invalid thread group number '33', permitted range is 1..32 in '33/1'.",
            ),
            ("/1", "thread group number expected before '/1'."),
            (
                "1/1,2",
                "absolute thread specification '2' is not permitted after a group-relative thread range.",
            ),
            ("1/2/3", "redundant thread group specification '2/3' for group 1"),
            (
                "1--2",
                "invalid last thread number '-2', permitted range is 1..1024.",
            ),
            (
                "1,1/2",
                "group-relative thread specification '1/2' is not permitted after a absolute thread range.",
            ),
        ] {
            assert_eq!(read(bad), Err(message.to_owned()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9a-z/,-]{0,20}") {
            let _ = read(&text).map(|set| set.refusal(Threads { number: 3, groups: Some(2) }));
        }
    }
}
