//! `help`, and the answer to a command that does not exist.

use super::answer::Answer;
use super::table::{BUILT_IN, COMMANDS, Call, Command};
use crate::engine::service::Cx;

/// Most suggestions for a mistyped word.
const MAX_SUGGESTIONS: usize = 5;

/// `help [<command>]`.
pub(super) fn help(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    let shown = candidates(call.args);
    Answer::info(listing(
        "The following commands are valid at this level:\n".to_owned(),
        &shown,
    ))
}

/// The answer to words that name no command.
pub(super) fn unknown(words: &[String]) -> Answer {
    let first = words.first().map_or("", String::as_str);
    let head =
        format!("Unknown command: '{first}', but maybe one of the following ones is a better match:\n");
    Answer::info(listing(head, &candidates(words)))
}

fn listing(mut text: String, shown: &[&Command]) -> String {
    for command in shown.iter().copied().chain(BUILT_IN) {
        text.push_str(&format!("  {:<40}: {}\n", command.usage, command.doc));
    }
    text
}

/// The commands nearest to those words: those that begin with the longest run of them, and of these the ones that
/// resemble the rest, if any does.
fn candidates(words: &[String]) -> Vec<&'static Command> {
    let same = |command: &Command| {
        command
            .words
            .iter()
            .zip(words)
            .take_while(|(name, word)| name == word)
            .count()
    };
    let listed = || COMMANDS.iter().filter(|command| !command.usage.is_empty());
    let length = listed().map(same).max().unwrap_or(0);
    let near: Vec<&Command> = listed().filter(|command| same(command) >= length).collect();
    let rest = words.get(length..).unwrap_or_default().concat();
    if rest.is_empty() {
        return near;
    }
    let mut scored: Vec<(usize, &Command)> = near
        .iter()
        .map(|command| {
            (
                likeness(&rest, &command.words.get(length..).unwrap_or_default().concat()),
                *command,
            )
        })
        .filter(|(score, _)| *score >= 35)
        .collect();
    if scored.is_empty() {
        return near;
    }
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.truncate(MAX_SUGGESTIONS);
    let mut best: Vec<&Command> = scored.into_iter().map(|(_, command)| command).collect();
    best.sort_by_key(|command| command.words);
    best
}

/// How alike two words are, percent: the share of neighbouring letters that they have in common.
fn likeness(left: &str, right: &str) -> usize {
    let pairs = |text: &str| -> Vec<[u8; 2]> {
        let framed: Vec<u8> = [b"^", text.as_bytes(), b"$"].concat();
        framed.windows(2).map(|pair| [pair[0], pair[1]]).collect()
    };
    let left = pairs(left);
    let mut right = pairs(right);
    let total = left.len() + right.len();
    let common = left
        .iter()
        .filter(|pair| match right.iter().position(|other| other == *pair) {
            Some(at) => {
                right.swap_remove(at);
                true
            }
            None => false,
        })
        .count();
    200 * common / total.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &str) -> Vec<String> {
        let words: Vec<String> = words
            .split(' ')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect();
        candidates(&words)
            .iter()
            .map(|command| command.words.join(" "))
            .collect()
    }

    #[test]
    fn mistyped_words_find_their_command() {
        assert!(names("showstat").contains(&"show stat".to_owned()));
        assert_eq!(names("clear counter"), ["clear counters"]);
        assert_eq!(names("show cli foo"), ["show cli level", "show cli sockets"]);
        assert!(names("show verison").contains(&"show version".to_owned()));
    }

    #[test]
    fn nothing_alike_lists_all() {
        assert!(names("qqq").len() > 10);
        assert!(names("").iter().all(|name| name != "expert-mode"));
        assert!(names("show").iter().all(|name| name.starts_with("show ")));
    }
}
