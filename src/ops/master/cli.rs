//! The commands of the master: its own, and the prefixes `@1`, `@!<pid>`, `@master` that send one to a process.
//!
//! Sans-IO, as the worker's: bytes in, steps out. A conversation goes on until the peer closes; an error of addressing
//! ends it. Source: management manual, "Master CLI", and runs of 3.4.0.

use crate::model::listener::Level;
use crate::ops::cli::table::BUILT_IN;
use crate::ops::cli::words::{Batch, Gather, MAX_WORDS, TooLong, split_words};
use crate::ops::version;

/// What the commands see of the processes.
#[derive(Clone, Copy, Debug)]
pub struct MasterView<'a> {
    /// The master's number.
    pub pid: u32,
    /// When it started, seconds since the epoch.
    pub started_s: u64,
    /// The time, seconds since the epoch.
    pub now_s: u64,
    /// Number and start of the worker that serves.
    pub worker: Option<(i32, u64)>,
    /// The environment of the master.
    pub env: &'a [(Vec<u8>, Vec<u8>)],
}

/// What comes next in a conversation.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It needs input.
    Input,
    /// Bytes for the peer.
    Output(Vec<u8>),
    /// A line of commands for the worker; `relay_ended` or `relay_failed` follows.
    Relay(Vec<u8>),
    /// The end.
    Close,
}

/// To whom commands go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Master,
    Worker(i32),
}

/// One conversation.
#[derive(Debug)]
pub struct MasterCli {
    gather: Gather,
    batch: Option<Batch>,
    level: Level,
    prompt: bool,
    timed: bool,
    expert: bool,
    experimental: bool,
    target: Target,
    /// Bytes that are due before anything else.
    due: Vec<u8>,
    closing: bool,
    /// The worker has answered: the prompt comes next.
    prompt_due: bool,
}

/// One command of the master.
struct Command {
    words: &'static [&'static str],
    usage: &'static str,
    doc: &'static str,
    level: Level,
    run: fn(&MasterCli, &[String], &MasterView<'_>) -> String,
}

const RELOAD_REFUSED: &str = "Success=0\n--\nReloading is not supported yet: the running worker goes on.\n";

static COMMANDS: &[Command] = &[
    Command {
        words: &["@!<pid>"],
        usage: "@!<pid>",
        doc: "send a command to the process of that number",
        level: Level::User,
        run: |_, _, _| String::new(),
    },
    Command {
        words: &["@<relative pid>"],
        usage: "@<relative pid>",
        doc: "send a command to the worker (1) or the master (0)",
        level: Level::User,
        run: |_, _, _| String::new(),
    },
    Command {
        words: &["@master"],
        usage: "@master",
        doc: "send a command to the master",
        level: Level::User,
        run: |_, _, _| String::new(),
    },
    Command {
        words: &["echo"],
        usage: "echo <text>",
        doc: "print the text",
        level: Level::User,
        run: |_, args, _| args.join(" ") + "\n",
    },
    Command {
        words: &["hard-reload"],
        usage: "hard-reload",
        doc: "start a new worker and end the old one (not supported yet)",
        level: Level::Operator,
        run: |_, _, _| RELOAD_REFUSED.to_owned(),
    },
    Command {
        words: &["operator"],
        usage: "operator",
        doc: "lower this session's rights to operator",
        level: Level::Operator,
        run: |_, _, _| String::new(),
    },
    Command {
        words: &["reload"],
        usage: "reload",
        doc: "start a new worker and let the old one finish (not supported yet)",
        level: Level::Operator,
        run: |_, _, _| RELOAD_REFUSED.to_owned(),
    },
    Command {
        words: &["show", "cli", "level"],
        usage: "show cli level",
        doc: "tell this session's rights",
        level: Level::User,
        run: |cli, _, _| {
            let name = match cli.level {
                Level::User => "user",
                Level::Operator => "operator",
                Level::Admin => "admin",
            };
            format!("{name}\n")
        },
    },
    Command {
        words: &["show", "cli", "sockets"],
        usage: "show cli sockets",
        doc: "list the runtime sockets; those of the master are not among them",
        level: Level::User,
        run: |_, _, _| String::new(),
    },
    Command {
        words: &["show", "env"],
        usage: "show env [var]",
        doc: "print the environment of the master",
        level: Level::Operator,
        run: |_, args, view| show_env(args, view.env),
    },
    Command {
        words: &["show", "proc"],
        usage: "show proc",
        doc: "list the processes",
        level: Level::Operator,
        run: |_, args, view| show_proc(args, view),
    },
    Command {
        words: &["show", "version"],
        usage: "show version",
        doc: "print the version",
        level: Level::User,
        run: |_, _, _| format!("{}\n", version::VERSION),
    },
    Command {
        words: &["user"],
        usage: "user",
        doc: "lower this session's rights to user",
        level: Level::User,
        run: |_, _, _| String::new(),
    },
];

const PROMPT_USAGE: &str = "Usage: prompt [help | i | p | timed]*\n\
    Chooses how this session prompts:\n\
    \x20 help    this text\n\
    \x20 i       no prompt\n\
    \x20 p       a prompt\n\
    \x20 timed   switch the uptime in the prompt on or off\n\
    Alone it switches between i and p.\n";

fn show_env(args: &[String], env: &[(Vec<u8>, Vec<u8>)]) -> String {
    let wanted = args.first().map(String::as_bytes);
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let text: String = env
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| name == wanted))
        .map(|(name, value)| format!("{}={}\n", shown(name), shown(value)))
        .collect();
    if wanted.is_some() && text.is_empty() {
        return "Variable not found\n".to_owned();
    }
    text
}

fn uptime(seconds: u64) -> String {
    format!(
        "{}d{:02}h{:02}m{:02}s",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn show_proc(args: &[String], view: &MasterView<'_>) -> String {
    if args.first().is_some_and(|word| word != "debug") {
        return "'show proc' only supports 'debug' as argument\n".to_owned();
    }
    let row = |pid: &str, kind: &str, reloads: &str, up: &str, version: &str| {
        format!("{pid:<15} {kind:<15} {reloads:<15} {up:<15} {version:<15}\n")
    };
    let mut text = row("#<PID>", "<type>", "<reloads>", "<uptime>", "<version>");
    let up = |started: u64| uptime(view.now_s.saturating_sub(started));
    text += &row(
        &view.pid.to_string(),
        "master",
        "0 [failed: 0]",
        &up(view.started_s),
        version::VERSION,
    );
    text += "# workers\n";
    if let Some((pid, started_s)) = view.worker {
        text += &row(&pid.to_string(), "worker", "0", &up(started_s), version::VERSION);
    }
    text
}

impl MasterCli {
    /// A conversation with the rights of its socket and lines of at most `line_max` bytes.
    pub fn new(level: Level, line_max: usize) -> Self {
        Self {
            gather: Gather::new(line_max),
            batch: None,
            level,
            prompt: false,
            timed: false,
            expert: false,
            experimental: false,
            target: Target::Master,
            due: Vec::new(),
            closing: false,
            prompt_due: false,
        }
    }

    /// Takes bytes from the peer; returns how many. Only called when [`Next::Input`] was the last step.
    pub fn input(&mut self, bytes: &[u8]) -> usize {
        match self.gather.take(bytes) {
            Ok((taken, batch)) => {
                self.batch = batch;
                taken
            }
            Err(too_long) => {
                let what = match too_long {
                    TooLong::Line => "command line",
                    TooLong::Payload => "payload",
                };
                self.fail(format!(
                    "The {what} is too big for the buffer size (tune.bufsize).\n"
                ));
                bytes.len()
            }
        }
    }

    /// The next step.
    pub fn next(&mut self, view: &MasterView<'_>) -> Next {
        if std::mem::take(&mut self.prompt_due) {
            self.write_prompt(view);
        }
        loop {
            if !self.due.is_empty() {
                return Next::Output(std::mem::take(&mut self.due));
            }
            if self.closing {
                return Next::Close;
            }
            let Some((command, payload)) = self.batch.as_mut().and_then(Batch::take) else {
                self.batch = None;
                return Next::Input;
            };
            if let Some(request) = self.execute(&command, payload.as_deref(), view) {
                return Next::Relay(request);
            }
            self.write_prompt(view);
        }
    }

    /// The worker has answered.
    pub fn relay_ended(&mut self) {
        self.prompt_due = true;
    }

    /// The worker could not be reached.
    pub fn relay_failed(&mut self) {
        self.fail("Can't connect to the target process.\n".to_owned());
    }

    fn fail(&mut self, text: String) {
        self.due.extend_from_slice(text.as_bytes());
        self.batch = None;
        self.closing = true;
    }

    /// Runs a command here, or returns the line that the worker is to get.
    fn execute(&mut self, command: &[u8], payload: Option<&[u8]>, view: &MasterView<'_>) -> Option<Vec<u8>> {
        let Some(words) = split_words(command) else {
            self.fail(format!(
                "Too many arguments. Commands must have at most {MAX_WORDS} arguments.\n"
            ));
            return None;
        };
        let Some(first) = words.first() else {
            self.answer(String::new());
            return None;
        };
        let mut target = self.target;
        let mut rest = command;
        let mut words = words.as_slice();
        if first.starts_with('@') {
            let Some(found) = find_target(first, view) else {
                self.fail(format!(
                    "Can't find the target PID matching the prefix '{first}'\n"
                ));
                return None;
            };
            if words.len() == 1 {
                self.target = found;
                return None;
            }
            target = found;
            rest = after_first_word(command);
            words = words.get(1..).unwrap_or_default();
        }
        // What follows a prefix is for the process that it names.
        if !first.starts_with('@') && self.own_setting(words) {
            return None;
        }
        match target {
            Target::Worker(_) => Some(self.request(rest, payload)),
            Target::Master => {
                let text = self.answer_of_master(words, view);
                self.answer(text);
                None
            }
        }
    }

    fn answer(&mut self, text: String) {
        self.due.extend_from_slice(text.as_bytes());
        self.due.push(b'\n');
    }

    /// The settings of the conversation, whoever the commands go to. They print nothing.
    fn own_setting(&mut self, words: &[String]) -> bool {
        let word = |place: usize| words.get(place).map_or("", String::as_str);
        match word(0) {
            "prompt" => self.set_prompt(words.get(1..).unwrap_or_default()),
            "quit" => {
                self.batch = None;
                self.closing = true;
            }
            "operator" if self.level >= Level::Operator => self.level = Level::Operator,
            "user" => self.level = Level::User,
            "expert-mode" if self.level == Level::Admin => self.expert = word(1) == "on",
            "experimental-mode" if self.level == Level::Admin => self.experimental = word(1) == "on",
            "operator" | "expert-mode" | "experimental-mode" => self.fail("Permission denied!\n".to_owned()),
            _ => return false,
        }
        true
    }

    fn set_prompt(&mut self, words: &[String]) {
        let mut mode = None;
        let mut timed = false;
        for word in words {
            match word.as_str() {
                "i" => mode = Some(false),
                "p" => mode = Some(true),
                "timed" => timed = true,
                _ => return self.fail(PROMPT_USAGE.to_owned()),
            }
        }
        if timed {
            self.timed = !self.timed;
        }
        self.prompt = mode.unwrap_or(timed || !self.prompt);
    }

    fn answer_of_master(&self, words: &[String], view: &MasterView<'_>) -> String {
        let named = |command: &&Command| {
            command.words.len() <= words.len()
                && command.words.iter().zip(words).all(|(name, word)| *name == word)
        };
        if words.first().is_some_and(|word| word == "help") {
            return listing(
                "The following commands are valid at this level:\n".to_owned(),
                words.get(1..).unwrap_or_default(),
            );
        }
        match COMMANDS.iter().find(named) {
            Some(command) if self.level < command.level => "Permission denied\n".to_owned(),
            Some(command) => (command.run)(self, words.get(command.words.len()..).unwrap_or_default(), view),
            None => {
                let first = words.first().map_or("", String::as_str);
                let head = format!(
                    "Unknown command: '{first}', but maybe one of the following ones is a better match:\n"
                );
                listing(head, words)
            }
        }
    }

    /// The line for the worker: this session's rights and modes, the command, and its payload.
    fn request(&self, command: &[u8], payload: Option<&[u8]>) -> Vec<u8> {
        let mut line = Vec::new();
        if self.expert {
            line.extend_from_slice(b"expert-mode on -;");
        }
        if self.experimental {
            line.extend_from_slice(b"experimental-mode on -;");
        }
        match self.level {
            Level::Admin => {}
            Level::Operator => line.extend_from_slice(b"operator -;"),
            Level::User => line.extend_from_slice(b"user -;"),
        }
        line.extend_from_slice(command);
        if let Some(payload) = payload {
            // An end mark that no line of the payload is.
            let is_line = |mark: &str| {
                payload
                    .split(|byte| *byte == b'\n')
                    .any(|line| line == mark.as_bytes())
            };
            let mark = (0u32..)
                .map(|n| format!("%{n}"))
                .find(|mark| !is_line(mark))
                .unwrap_or_default();
            line.extend_from_slice(format!("<<{mark}\n").as_bytes());
            line.extend_from_slice(payload);
            if !payload.is_empty() {
                line.push(b'\n');
            }
            line.extend_from_slice(mark.as_bytes());
        }
        line.push(b'\n');
        line
    }

    fn write_prompt(&mut self, view: &MasterView<'_>) {
        if !self.prompt || self.closing {
            return;
        }
        let (name, started_s) = match self.target {
            Target::Master => ("master".to_owned(), view.started_s),
            Target::Worker(pid) => (
                pid.to_string(),
                view.worker.map_or(view.now_s, |(_, started)| started),
            ),
        };
        if self.timed {
            let s = view.now_s.saturating_sub(started_s);
            let up = format!(
                "[{}:{:02}:{:02}:{:02}] ",
                s / 86_400,
                s / 3600 % 24,
                s / 60 % 60,
                s % 60
            );
            self.due.extend_from_slice(up.as_bytes());
        }
        let modes = match (self.experimental, self.expert) {
            (false, false) => "",
            (true, false) => "(x)",
            (false, true) => "(e)",
            (true, true) => "(xe)",
        };
        self.due.extend_from_slice(format!("{name}{modes}> ").as_bytes());
    }
}

/// The commands that begin with those words, or all.
fn listing(mut text: String, words: &[String]) -> String {
    let matches = |command: &&Command| command.words.iter().zip(words).all(|(name, word)| name == word);
    let some = COMMANDS.iter().any(|command| matches(&command));
    for command in COMMANDS.iter().filter(|command| !some || matches(command)) {
        text += &format!("  {:<40}: {}\n", command.usage, command.doc);
    }
    for command in BUILT_IN {
        text += &format!("  {:<40}: {}\n", command.usage, command.doc);
    }
    text
}

/// The process that a prefix names.
fn find_target(prefix: &str, view: &MasterView<'_>) -> Option<Target> {
    let worker = view.worker.map(|(pid, _)| Target::Worker(pid));
    let name = prefix.strip_prefix('@')?;
    if let Some(pid) = name.strip_prefix('!') {
        let pid: i32 = pid.parse().ok()?;
        return worker.filter(|target| *target == Target::Worker(pid));
    }
    if matches!(name, "" | "master") {
        return Some(Target::Master);
    }
    // Numbers may have a sign and zeros in front.
    match name.parse::<i32>() {
        Ok(0) => Some(Target::Master),
        Ok(1) => worker,
        _ => None,
    }
}

/// What follows the first word of a command, as it was written.
fn after_first_word(command: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let command = command.trim_ascii_start();
    let end = command.iter().position(is_blank).unwrap_or(command.len());
    command.get(end..).unwrap_or_default().trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: MasterView<'_> = MasterView {
        pid: 100,
        started_s: 1_000,
        now_s: 1_061,
        worker: Some((101, 1_001)),
        env: &[],
    };

    /// Output and requests in order, a request between braces; the worker answers "W".
    fn talk_as(level: Level, input: &str) -> String {
        let mut cli = MasterCli::new(level, 1000);
        let mut rest = input.as_bytes();
        let mut out = String::new();
        loop {
            match cli.next(&VIEW) {
                Next::Output(bytes) => out += &String::from_utf8(bytes).unwrap(),
                Next::Relay(line) => {
                    out += &format!("{{{}}}", String::from_utf8(line).unwrap().escape_debug());
                    cli.relay_ended();
                }
                Next::Close => return out + "<close>",
                Next::Input if rest.is_empty() => return out,
                Next::Input => {
                    let taken = cli.input(rest);
                    rest = &rest[taken..];
                }
            }
        }
    }

    fn talk(input: &str) -> String {
        talk_as(Level::Admin, input)
    }

    #[test]
    fn commands_of_the_master() {
        assert_eq!(
            talk("show version\nshow version\n"),
            "3.4.0-rproxy\n\n3.4.0-rproxy\n\n"
        );
        assert_eq!(talk("\n"), "\n");
        assert_eq!(talk("show cli level;@master echo a  b\n"), "admin\n\na b\n\n");
        assert_eq!(
            talk("show proc\n"),
            "#<PID>          <type>          <reloads>       <uptime>        <version>      \n\
             100             master          0 [failed: 0]   0d00h01m01s     3.4.0-rproxy   \n\
             # workers\n\
             101             worker          0               0d00h01m00s     3.4.0-rproxy   \n\n"
        );
        assert_eq!(
            talk("show proc x\n"),
            "'show proc' only supports 'debug' as argument\n\n"
        );
        assert!(talk("reload\n").starts_with("Success=0\n--\n"));
        assert!(talk("foo\n").starts_with("Unknown command: 'foo', but maybe"));
        assert!(talk("help\n").contains("  show proc                               : "));
        assert_eq!(
            talk("show version;quit;show version\n"),
            "3.4.0-rproxy\n\n<close>"
        );
    }

    #[test]
    fn commands_of_the_worker() {
        assert_eq!(talk("@1 show info\n"), "{show info\\n}");
        assert_eq!(
            talk("@!101 show info;show cli level\n"),
            "{show info\\n}admin\n\n"
        );
        assert_eq!(
            talk("@1;show info;@master show cli level\n"),
            "{show info\\n}admin\n\n"
        );
        assert_eq!(talk("@1 echo a\\;b\n"), "{echo a\\\\;b\\n}");
        assert_eq!(talk("operator;@1 show info\n"), "{operator -;show info\\n}");
        assert_eq!(
            talk("expert-mode on; @1 expert-mode\n"),
            "{expert-mode on -;expert-mode\\n}"
        );
        assert_eq!(talk("@1 set x <<\nl1\n%0\n\n"), "{set x <<%1\\nl1\\n%0\\n%1\\n}");
        for prefix in ["@1", "@+1", "@01", "@!+101", "@!0101"] {
            assert_eq!(
                talk(&format!("{prefix} show info\n")),
                "{show info\\n}",
                "{prefix}"
            );
        }
        for prefix in ["@", "@0", "@+0", "@-0", "@00", "@master"] {
            let text = talk(&format!("{prefix} show cli level\n"));
            assert_eq!(text, "admin\n\n", "{prefix}");
        }
        for prefix in [
            "@2", "@!99", "@foo", "@+", "@-1", "@1x", "@0x1", "@!", "@!foo", "@!-101", "@+master",
        ] {
            let text = format!("Can't find the target PID matching the prefix '{prefix}'\n<close>");
            assert_eq!(talk(&format!("{prefix} show info\n")), text);
        }
    }

    #[test]
    fn prompts() {
        assert_eq!(
            talk("prompt\nshow version\n@1\nshow version\n"),
            "master> 3.4.0-rproxy\n\nmaster> 101> {show version\\n}101> "
        );
        assert_eq!(talk("prompt timed\n"), "[0:00:01:01] master> ");
        assert!(talk("prompt x\n").ends_with("<close>"));
    }

    #[test]
    fn rights() {
        assert_eq!(talk_as(Level::User, "show proc\n"), "Permission denied\n\n");
        assert_eq!(talk_as(Level::User, "operator\n"), "Permission denied!\n<close>");
        assert_eq!(talk_as(Level::User, "@1 show info\n"), "{user -;show info\\n}");
    }

    #[test]
    fn commands_are_sorted() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].words < pair[1].words));
    }
}
