//! What a command answers: a message, a long dump made piece by piece, or a change of the conversation.

use std::borrow::Cow;

use super::errors::ErrorsDump;
use super::sess::SessDump;
use super::show::{EnvDump, PoolsDump, SocketsDump};
use crate::engine::service::Cx;
use crate::model::listener::{Level, SeverityOutput};
use crate::ops::stats::dump::StatDump;

/// Severity of a message, as syslog counts (`severity-output`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// 3: the command was refused.
    Error,
    /// 6: information.
    Info,
}

impl Severity {
    /// Number and name.
    pub fn number_and_name(self) -> (u8, &'static str) {
        match self {
            Self::Error => (3, "err"),
            Self::Info => (6, "info"),
        }
    }
}

/// What a command answers.
#[derive(Debug)]
pub enum Answer {
    /// Nothing to say.
    Done,
    /// Text, ended by exactly one line feed whatever it ends with.
    Message(Severity, Cow<'static, str>),
    /// Output as it is, already complete.
    Output(Vec<u8>),
    /// Output that is made as the peer takes it.
    Dump(Dump),
    /// The conversation ends.
    Quit,
}

impl Answer {
    /// A refusal.
    pub fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Message(Severity::Error, text.into())
    }

    /// Information.
    pub fn info(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Message(Severity::Info, text.into())
    }

    /// The session's rights do not suffice.
    pub fn denied() -> Self {
        Self::error("Permission denied")
    }
}

/// A long answer under way.
#[derive(Debug)]
pub enum Dump {
    /// `show stat`
    Stat(StatDump),
    /// `show sess`
    Sess(SessDump),
    /// `show errors`
    Errors(ErrorsDump),
    /// `show env`
    Env(EnvDump),
    /// `show pools`
    Pools(PoolsDump),
    /// `show cli sockets`
    Sockets(SocketsDump),
}

impl Dump {
    /// Writes the next piece, of bounded size; false when there is none left.
    pub fn step(&mut self, cx: &Cx<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Stat(dump) => dump.step(cx, out),
            Self::Sess(dump) => dump.step(cx, out),
            Self::Errors(dump) => dump.step(cx, out),
            Self::Env(dump) => dump.step(cx, out),
            Self::Pools(dump) => dump.step(cx, out),
            Self::Sockets(dump) => dump.step(cx, out),
        }
    }
}

/// How a conversation prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptMode {
    /// One line of commands, then the end (`prompt n`).
    #[default]
    Single,
    /// Many lines, no prompt (`prompt i`).
    Interactive,
    /// Many lines, with a prompt (`prompt p`).
    Prompt,
}

/// What commands may read and change of their conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Rights left.
    pub level: Level,
    /// Rights of the socket: legends of the statistics depend on them.
    pub socket_level: Level,
    /// How it prompts.
    pub prompt: PromptMode,
    /// The prompt tells the uptime (`prompt timed`).
    pub timed: bool,
    /// How messages tell their severity.
    pub severity: SeverityOutput,
    /// `expert-mode on`.
    pub expert: bool,
    /// `experimental-mode on`.
    pub experimental: bool,
    /// The command under way ends without an empty line (a master's preamble).
    pub no_line_feed: bool,
}
