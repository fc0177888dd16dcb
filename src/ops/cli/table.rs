//! The commands: words, usage, rights, what they do. `help` and the answer to unknown commands read the same rows.

use super::answer::{Answer, Talk};
use super::{errors, sess, set, show};
use crate::engine::service::Cx;
use crate::model::listener::Level;

/// What a command works with.
pub struct Call<'a> {
    /// The words after those of the row.
    pub args: &'a [String],
    /// What came after `<<`.
    pub payload: Option<&'a [u8]>,
    /// The conversation.
    pub talk: &'a mut Talk,
}

impl Call<'_> {
    /// The argument of that place, from 0; empty when there is none.
    pub fn arg(&self, place: usize) -> &str {
        self.args.get(place).map_or("", String::as_str)
    }
}

/// One command.
pub struct Command {
    /// The words that name it.
    pub words: &'static [&'static str],
    /// Words and arguments, as help shows them; empty for a command that help leaves out.
    pub usage: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Rights that it needs.
    pub level: Level,
    /// What it does, once the rights were looked at.
    pub run: fn(&mut Call<'_>, &mut Cx<'_>) -> Answer,
}

const fn row(
    words: &'static [&'static str],
    usage: &'static str,
    doc: &'static str,
    level: Level,
    run: fn(&mut Call<'_>, &mut Cx<'_>) -> Answer,
) -> Command {
    Command {
        words,
        usage,
        doc,
        level,
        run,
    }
}

use Level::{Admin, Operator, User};

/// All commands, in the order of help: by their words. The built-in ones (`help`, `prompt`, `quit`) are in
/// [`BUILT_IN`].
pub static COMMANDS: &[Command] = &[
    row(
        &["clear", "counters"],
        "clear counters [all]",
        "reset the maxima of the statistics, or all counters",
        Operator,
        set::clear_counters,
    ),
    row(&["echo"], "echo <text>", "print the text", User, show::echo),
    row(
        &["experimental-mode"],
        "",
        "allow experimental commands",
        Admin,
        set::experimental_mode,
    ),
    row(
        &["expert-mode"],
        "",
        "allow commands for experts",
        Admin,
        set::expert_mode,
    ),
    row(
        &["get", "weight"],
        "get weight <bk>/<srv>",
        "report the weight of a server",
        User,
        show::weight,
    ),
    row(
        &["operator"],
        "operator",
        "lower this session's rights to operator",
        Operator,
        set::operator,
    ),
    row(
        &["set", "maxconn", "frontend"],
        "set maxconn frontend <frontend> <value>",
        "change the maxconn of a frontend",
        Admin,
        set::maxconn_frontend,
    ),
    row(
        &["set", "maxconn", "global"],
        "set maxconn global <value>",
        "change the maxconn of the process",
        Admin,
        set::maxconn_global,
    ),
    row(
        &["set", "maxconn", "server"],
        "set maxconn server <bk>/<srv>",
        "change the maxconn of a server",
        Admin,
        set::maxconn_server,
    ),
    row(
        &["set", "severity-output"],
        "set severity-output [none|number|string]",
        "mark messages with their severity",
        User,
        set::severity_output,
    ),
    row(
        &["set", "timeout"],
        "set timeout [cli] <delay>",
        "change how long this session may stay idle",
        User,
        set::timeout,
    ),
    row(
        &["set", "weight"],
        "set weight <bk>/<srv> <weight>[%]",
        "change the weight of a server",
        Admin,
        set::weight,
    ),
    row(
        &["show", "backend"],
        "show backend",
        "list the backends",
        User,
        show::backend,
    ),
    row(
        &["show", "cli", "level"],
        "show cli level",
        "tell this session's rights",
        User,
        show::cli_level,
    ),
    row(
        &["show", "cli", "sockets"],
        "show cli sockets",
        "list the runtime sockets",
        User,
        show::cli_sockets,
    ),
    row(
        &["show", "env"],
        "show env [var]",
        "print the environment of the process",
        Operator,
        show::env,
    ),
    row(
        &["show", "errors"],
        "show errors [<px>] [request|response]",
        "print the last refused messages of each proxy",
        Operator,
        errors::show,
    ),
    row(
        &["show", "info"],
        "show info [desc|json|typed|float]*",
        "tell about the process",
        User,
        show::info,
    ),
    row(
        &["show", "pools"],
        "show pools",
        "tell the use of the memory pools",
        User,
        show::pools,
    ),
    row(
        &["show", "sess"],
        "show sess [help|<id>|all] [opts...]",
        "list the streams, or one in detail",
        Operator,
        sess::show,
    ),
    row(
        &["show", "stat"],
        "show stat [desc|json|no-maint|typed|up]*",
        "print the counters of proxies and servers",
        User,
        show::stat,
    ),
    row(
        &["show", "version"],
        "show version",
        "print the version",
        User,
        show::version,
    ),
    row(
        &["user"],
        "user",
        "lower this session's rights to user",
        User,
        set::user,
    ),
];

/// What every conversation understands, listed after all others.
pub static BUILT_IN: &[Command] = &[
    row(
        &["help"],
        "help [<command>]",
        "list all commands, or those that match",
        User,
        super::help::help,
    ),
    row(
        &["prompt"],
        "prompt [help | n | i | p | timed ]*",
        "change the prompt and the interactive mode",
        User,
        set::prompt,
    ),
    row(&["quit"], "quit", "end the session", User, set::quit),
];

/// The command that those words name, and how many of them it takes. The longest name wins.
pub fn find(words: &[String]) -> Option<&'static Command> {
    let named = |command: &&Command| {
        command.words.len() <= words.len()
            && command.words.iter().zip(words).all(|(name, word)| *name == word)
    };
    COMMANDS
        .iter()
        .chain(BUILT_IN)
        .filter(named)
        .max_by_key(|command| command.words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_unique_and_documented() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].words < pair[1].words));
        for command in COMMANDS.iter().chain(BUILT_IN) {
            assert!(!command.doc.is_empty());
            let name = command.words.join(" ");
            let usage: String = command.usage.replace(['[', ']'], "");
            assert!(usage.is_empty() || usage.starts_with(&name), "{name}");
        }
    }

    #[test]
    fn the_longest_name_wins() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(find(&words("show cli level -")).map(|c| c.words.len()), Some(3));
        assert!(find(&words("show cli")).is_none());
        assert!(find(&words("show")).is_none());
        assert!(find(&[]).is_none());
    }
}
