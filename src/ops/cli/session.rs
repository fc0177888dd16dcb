//! One conversation on a runtime socket, without its socket.
//!
//! ```text
//!   Reading --line complete--> Running --last command answered, prompt or interactive--> Reading
//!                                |  `--------------------------- otherwise --> Closing
//!                                `-- long answer --> Running (Dump), piece by piece as the peer takes it
//! ```
//! Output waits in a buffer of bounded size; nothing is read while commands run. Source: management manual, "Unix
//! Socket commands".

use super::answer::{Answer, Dump, PromptMode, Severity, Talk};
use super::help;
use super::table::{self, Call};
use super::words::{Batch, Gather, MAX_WORDS, TooLong, split_words};
use crate::engine::service::{Cx, Effects, Opening, Service};
use crate::model::config::Config;
use crate::model::listener::SeverityOutput;

/// A dump stops once so much output waits, bytes.
const OUTPUT_ENOUGH: usize = 8 * 1024;

/// Where the conversation is.
#[derive(Debug)]
enum State {
    /// Gathering a line.
    Reading,
    /// Commands of a line are left.
    Running(Batch),
    /// A command's answer is being made; the rest of its line comes after.
    Dumping(Dump, Batch),
    /// Nothing more comes once the output is sent.
    Closing,
}

/// One conversation.
#[derive(Debug)]
pub struct CliSession {
    state: State,
    gather: Gather,
    talk: Talk,
    out: Vec<u8>,
    /// How much of `out` was given to the peer.
    sent: usize,
    input_closed: bool,
    /// The peer waits for a sign that more of the payload may come (`+ `).
    payload_prompt_due: bool,
}

impl CliSession {
    /// A conversation with the rights of its socket.
    pub fn new(opening: Opening, config: &Config) -> Self {
        let severity = config
            .listeners
            .get(opening.listener.index())
            .map_or(SeverityOutput::None, |listener| listener.severity_output);
        Self {
            state: State::Reading,
            gather: Gather::new(config.global.tune.bufsize as usize),
            talk: Talk {
                level: opening.level,
                socket_level: opening.level,
                prompt: PromptMode::Single,
                timed: false,
                severity,
                expert: false,
                experimental: false,
                no_line_feed: false,
            },
            out: Vec::new(),
            sent: 0,
            input_closed: false,
            payload_prompt_due: false,
        }
    }

    /// Runs commands until the output suffices or input is needed.
    fn run(&mut self, cx: &mut Cx<'_>) {
        while self.out.len() - self.sent < OUTPUT_ENOUGH {
            match std::mem::replace(&mut self.state, State::Closing) {
                State::Reading => {
                    self.state = State::Reading;
                    if self.payload_prompt_due && self.talk.prompt == PromptMode::Prompt {
                        self.out.extend_from_slice(b"+ ");
                    }
                    self.payload_prompt_due = false;
                    return;
                }
                State::Closing => return,
                State::Dumping(mut dump, batch) => {
                    if dump.step(cx, &mut self.out) {
                        self.state = State::Dumping(dump, batch);
                    } else {
                        self.after_command(batch, cx);
                    }
                }
                State::Running(mut batch) => match batch.take() {
                    Some((command, payload)) => {
                        self.command(&command, payload, batch, cx);
                        // The next command finds what this one changed.
                        if *cx.effects != Effects::default() {
                            return;
                        }
                    }
                    None => self.state = State::Reading,
                },
            }
        }
    }

    fn command(&mut self, command: &[u8], payload: Option<Vec<u8>>, batch: Batch, cx: &mut Cx<'_>) {
        let answer = self.execute(command, payload.as_deref(), cx);
        match answer {
            Answer::Done => {}
            Answer::Output(bytes) => self.out.extend_from_slice(&bytes),
            Answer::Message(severity, text) => self.message(severity, &text),
            Answer::Quit => {
                self.state = State::Closing;
                return;
            }
            Answer::Dump(dump) => {
                self.state = State::Dumping(dump, batch);
                return;
            }
        }
        self.after_command(batch, cx);
    }

    fn execute(&mut self, command: &[u8], payload: Option<&[u8]>, cx: &mut Cx<'_>) -> Answer {
        let Some(words) = split_words(command) else {
            return Answer::error(format!(
                "Too many arguments. Commands must have at most {MAX_WORDS} arguments."
            ));
        };
        if words.is_empty() {
            return Answer::Done;
        }
        let Some(row) = table::find(&words) else {
            return help::unknown(&words);
        };
        let args = words.get(row.words.len()..).unwrap_or_default();
        if self.talk.level < row.level {
            self.talk.no_line_feed = args.last().is_some_and(|word| word == "-");
            return Answer::denied();
        }
        let mut call = Call {
            args,
            payload,
            talk: &mut self.talk,
        };
        (row.run)(&mut call, cx)
    }

    /// Text ended by one line feed, after its severity if that is wanted.
    fn message(&mut self, severity: Severity, text: &str) {
        let (number, name) = severity.number_and_name();
        match self.talk.severity {
            SeverityOutput::None => {}
            SeverityOutput::Number => self.out.extend_from_slice(format!("[{number}]: ").as_bytes()),
            SeverityOutput::String => self.out.extend_from_slice(format!("[{name}]: ").as_bytes()),
        }
        self.out.extend_from_slice(text.trim_end_matches('\n').as_bytes());
        self.out.push(b'\n');
    }

    /// The empty line or prompt after a command, and what comes next.
    fn after_command(&mut self, batch: Batch, cx: &Cx<'_>) {
        let no_line_feed = std::mem::take(&mut self.talk.no_line_feed);
        let last = batch.is_empty();
        match self.talk.prompt {
            PromptMode::Prompt if last && self.talk.timed => {
                let s = cx.now.as_ms() / 1000;
                let prompt = format!(
                    "\n[{}:{:02}:{:02}:{:02}]> ",
                    s / 86_400,
                    s / 3600 % 24,
                    s / 60 % 60,
                    s % 60
                );
                self.out.extend_from_slice(prompt.as_bytes());
            }
            PromptMode::Prompt if last => self.out.extend_from_slice(b"\n> "),
            PromptMode::Single | PromptMode::Interactive if no_line_feed => {}
            _ => self.out.push(b'\n'),
        }
        self.state = match (last, self.talk.prompt) {
            (false, _) => State::Running(batch),
            (true, PromptMode::Single) => State::Closing,
            (true, _) => State::Reading,
        };
    }

    fn refuse(&mut self, too_long: TooLong) {
        let text = match too_long {
            TooLong::Line => "The command line is too big for the buffer size (tune.bufsize).",
            TooLong::Payload => "The payload is too big for the buffer size (tune.bufsize).",
        };
        self.message(Severity::Error, text);
        self.state = State::Closing;
    }
}

impl Service for CliSession {
    fn input(&mut self, bytes: &[u8], _cx: &mut Cx<'_>) -> usize {
        match self.state {
            State::Reading => {}
            // What a peer sends after its last command is of no interest.
            State::Closing => return bytes.len(),
            State::Running(_) | State::Dumping(..) => return 0,
        }
        match self.gather.take(bytes) {
            Ok((taken, Some(batch))) => {
                self.state = State::Running(batch);
                taken
            }
            Ok((taken, None)) => {
                self.payload_prompt_due = self.gather.in_payload();
                taken
            }
            Err(too_long) => {
                self.refuse(too_long);
                bytes.len()
            }
        }
    }

    fn input_closed(&mut self) {
        self.input_closed = true;
    }

    fn output(&mut self, room: &mut [u8], cx: &mut Cx<'_>) -> usize {
        self.run(cx);
        let waiting = self.out.get(self.sent..).unwrap_or_default();
        let count = waiting.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), waiting.get(..count)) {
            to.copy_from_slice(from);
        }
        self.sent += count;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        count
    }

    fn is_finished(&self) -> bool {
        let ended = match self.state {
            State::Closing => true,
            State::Reading => self.input_closed,
            State::Running(_) | State::Dumping(..) => false,
        };
        ended && self.sent == self.out.len()
    }

    fn is_busy(&self) -> bool {
        matches!(self.state, State::Running(_) | State::Dumping(..)) || self.sent < self.out.len()
    }
}
