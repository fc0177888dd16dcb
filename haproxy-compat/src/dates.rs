//! Dates of log lines: replaced by words of the same shape where they are right, so that lines can be compared from run
//! to run, and left as they are where they are wrong. Source: configuration manual, "Custom log format" (`%t`, `%T`,
//! `%Tl`) and `log ... format`.

use std::ops::RangeInclusive;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds by which a date may be older than what is known of its moment, or younger.
const SLACK_S: i64 = 2;

/// The forms of dates: 9 a digit, _ a digit or a blank, A and a letters, + a sign; and the words for them.
const SHAPES: &[(&str, &str)] = &[
    ("9999-99-99T99:99:99.999999+99:99", "{iso-us}"),
    ("9999-99-99T99:99:99+99:99", "{iso}"),
    ("99/Aaa/9999:99:99:99.999", "{date-ms}"),
    ("99/Aaa/9999:99:99:99", "{date}"),
    ("Aaa _9 99:99:99", "{syslog-date}"),
    ("9999-99-99 99:99:99.999", "{local-ms}"),
];

/// The forms of an up-time: that of a table, that of a prompt.
const AGES: &[(&str, &str)] = &[("9d99h99m99s", "{age}"), ("[9:99:99:99]", "[{age}]")];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The moments that dates may tell, in seconds since 1970, and how far local time is ahead of UTC.
#[derive(Clone, Debug)]
pub struct Span {
    moments: RangeInclusive<i64>,
    zone_s: i64,
}

impl Span {
    /// From a moment until now, with some slack; in a zone as `TZ` names it, or in this machine's.
    pub fn since(start: SystemTime, zone: Option<&str>) -> Self {
        let seconds =
            |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |d: Duration| d.as_secs()) as i64;
        Self {
            moments: seconds(start) - SLACK_S..=seconds(SystemTime::now()) + SLACK_S,
            zone_s: local_offset_s(zone),
        }
    }

    /// Whether so many seconds since 1970 are one of the moments.
    pub fn holds_seconds(&self, seconds: i64) -> bool {
        self.moments.contains(&seconds)
    }

    /// Replaces every date that tells a moment of this span by a word of its form.
    pub fn mask(&self, text: &str) -> String {
        replaced(text, SHAPES, |rest, shape| self.holds(rest, shape))
    }

    /// Whether the date at the beginning of `text` tells a moment of the span, in the zone that it names or in ours.
    fn holds(&self, text: &str, shape: &str) -> bool {
        let date = &text[..shape.len()];
        let numbers: Vec<i64> = date
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .collect();
        let named = MONTHS
            .iter()
            .position(|month| date.contains(month))
            .map(|at| at as i64 + 1);
        let behind = &text[shape.len()..];
        let zone_s = match &numbers[..] {
            [_, _, _, _, _, _, .., hours, minutes] if shape.contains('+') => {
                let east = hours * 3_600 + minutes * 60;
                if date[shape.len() - 6..].starts_with('-') {
                    -east
                } else {
                    east
                }
            }
            _ => offset_s(behind.trim_start()).unwrap_or(self.zone_s),
        };
        let told = |year, month, day, clock: &[i64]| {
            let [hour, minute, second, ..] = clock else {
                return None;
            };
            let days = days_of(year, month, day)?;
            Some(days * 86_400 + hour * 3_600 + minute * 60 + second - zone_s)
        };
        let told = match (&numbers[..], named) {
            ([day, clock @ ..], Some(month)) if shape.starts_with('A') => {
                // It names no year.
                let years = [self.moments.start(), self.moments.end()].map(|at| 1_970 + at / 31_556_952);
                return years
                    .iter()
                    .filter_map(|year| told(*year, month, *day, clock))
                    .any(|at| self.moments.contains(&at));
            }
            ([day, year, clock @ ..], Some(month)) => told(*year, month, *day, clock),
            ([year, month, day, clock @ ..], None) => told(*year, *month, *day, clock),
            _ => None,
        };
        told.is_some_and(|at| self.moments.contains(&at))
    }
}

/// Replaces every up-time by a word of its form.
pub fn mask_ages(text: &str) -> String {
    replaced(text, AGES, |_, _| true)
}

/// A text with words in the place of what has one of the shapes and is right.
fn replaced(text: &str, shapes: &[(&str, &str)], is_right: impl Fn(&str, &str) -> bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let fitting =
            |(shape, _): &&(&str, &str)| fits(rest.as_bytes(), shape.as_bytes()) && is_right(rest, shape);
        match shapes.iter().find(fitting) {
            Some((shape, word)) => {
                out.push_str(word);
                rest = &rest[shape.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Days from 1970 to a date; none where the month has no such day.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let leap_days = leaps(year) - leaps(year - 1);
    let lengths = [31, 28 + leap_days, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month - 1).ok()?;
    if !(1..=*lengths.get(index)?).contains(&day) {
        return None;
    }
    let before: i64 = lengths[..index].iter().sum();
    Some((year - 1_970) * 365 + leaps(year - 1) - leaps(1_969) + before + day - 1)
}

/// `+0200` at the beginning of a text, in seconds.
fn offset_s(text: &str) -> Option<i64> {
    let digits = text.get(1..5).filter(|_| fits(text.as_bytes(), b"+9999"))?;
    let number: i64 = digits.parse().ok()?;
    let east = number / 100 * 3_600 + number % 100 * 60;
    Some(if text.starts_with('-') { -east } else { east })
}

/// How far local time is ahead of UTC in a zone as `TZ` names it, or in this machine's.
fn local_offset_s(zone: Option<&str>) -> i64 {
    static HERE: OnceLock<i64> = OnceLock::new();
    let ask = || {
        let mut date = Command::new("date");
        date.arg("+%z");
        if let Some(zone) = zone {
            date.env("TZ", zone);
        }
        let output = date.output().expect("date runs");
        offset_s(&String::from_utf8_lossy(&output.stdout)).unwrap_or(0)
    };
    if zone.is_some() {
        ask()
    } else {
        *HERE.get_or_init(ask)
    }
}

/// Whether `bytes` begins as `shape` says.
fn fits(bytes: &[u8], shape: &[u8]) -> bool {
    bytes.len() >= shape.len()
        && bytes.iter().zip(shape).all(|(b, s)| match s {
            b'9' => b.is_ascii_digit(),
            b'_' => b.is_ascii_digit() || *b == b' ',
            b'A' => b.is_ascii_uppercase(),
            b'a' => b.is_ascii_lowercase(),
            b'+' => matches!(b, b'+' | b'-'),
            _ => b == s,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_masked_where_they_are_right() {
        // 2024-04-26 09:39:58 in UTC.
        let span = Span {
            moments: 1_714_124_398..=1_714_124_400,
            zone_s: 0,
        };
        for (text, masked) in [
            ("<1>1 2024-04-26T09:39:58.000007+00:00 x", "<1>1 {iso-us} x"),
            ("2024-04-26T11:39:59+02:00", "{iso}"),
            ("2024-04-26T06:09:59-03:30", "{iso}"),
            ("[26/Apr/2024:09:39:59 +0000]", "[{date} +0000]"),
            ("[26/Apr/2024:02:39:59 -0700]", "[{date} -0700]"),
            ("[26/Apr/2024:09:40:59 +0000]", "[26/Apr/2024:09:40:59 +0000]"),
            ("[26/Apr/2024:09:39:59 +0100]", "[26/Apr/2024:09:39:59 +0100]"),
            ("[27/Apr/2024:09:39:59 +0000]", "[27/Apr/2024:09:39:59 +0000]"),
            ("[26/May/2024:09:39:59 +0000]", "[26/May/2024:09:39:59 +0000]"),
            ("[31/Apr/2024:09:39:59 +0000]", "[31/Apr/2024:09:39:59 +0000]"),
        ] {
            assert_eq!(span.mask(text), masked);
        }
        let east = Span {
            zone_s: local_offset_s(Some("HERE-3:30")),
            ..span
        };
        assert_eq!(east.zone_s, 12_600);
        assert_eq!(east.mask("26/Apr/2024:13:09:59.123]"), "{date-ms}]");
        assert_eq!(east.mask("Apr 26 13:09:59 h"), "{syslog-date} h");
        assert_eq!(east.mask("Apr  6 13:09:59 h"), "Apr  6 13:09:59 h");
        assert_eq!(east.mask("2024-04-26 13:09:59.001"), "{local-ms}");
    }

    #[test]
    fn days_are_counted() {
        // date -u -d DATE +%s
        for (date, seconds) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 951_782_400),
            ((2024, 3, 1), 1_709_251_200),
            ((2100, 3, 1), 4_107_542_400),
        ] {
            assert_eq!(days_of(date.0, date.1, date.2), Some(seconds / 86_400));
        }
        assert_eq!(days_of(2023, 2, 29), None);
        assert_eq!(days_of(2023, 13, 1), None);
    }
}
