//! Reading and writing of case files. The written form keeps every line that a person wrote.

use std::process::Command;

use super::process::Deed;
use super::{Case, Config, File, Flags, Step};
use crate::origin::{Act, Block, Trigger};
use crate::program::home;
use crate::text::unescape;

const RECORDED: &str = "# recorded from ";

/// Reads a case file; panics with file and line on what it does not understand.
pub(super) fn read(name: &str) -> File {
    let path = home().join("cases").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut file = File {
        name: name.to_string(),
        path,
        head: Vec::new(),
        flags: Flags::default(),
        cases: Vec::new(),
    };
    let mut common = Config::default();
    let mut results = false;
    // The files that a case writes in its own words.
    let mut own: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let known = if let Some(name) = line.strip_prefix("case ") {
            results = false;
            own.clear();
            let twice = file.cases.iter().any(|c| c.name == name);
            file.cases.push(Case {
                name: name.to_string(),
                source: vec![line.to_string()],
                config: common.clone(),
                view: file.flags.view.clone(),
                steps: Vec::new(),
                origins: Vec::new(),
                expected: Vec::new(),
            });
            !twice
        } else if let Some(case) = file.cases.last_mut() {
            if results {
                case.expected.push(line.to_string());
                true
            } else if line == "---" {
                results = true;
                true
            } else {
                case.source.push(line.to_string());
                case_line(case, line, &mut own)
            }
        } else {
            if !line.starts_with(RECORDED) {
                file.head.push(line.to_string());
            }
            blank(line) || flag(&mut file.flags, line) || config_line(&mut common, line)
        };
        assert!(
            known,
            "{}:{}: not understood: {line}",
            file.path.display(),
            number + 1
        );
    }
    for case in &mut file.cases {
        while case.expected.last().is_some_and(|l| l.trim().is_empty()) {
            case.expected.pop();
        }
    }
    file
}

/// What stands above a recording: from which program it is, by its version line, and of which day. Without a version
/// the beginning of such a line.
pub fn recorded_line(version: Option<&str>) -> String {
    let Some(version) = version else {
        return RECORDED.to_string();
    };
    let first = version.split(" - ").next().unwrap_or_default();
    let date = Command::new("date").arg("+%F").output().expect("date runs");
    let date = String::from_utf8_lossy(&date.stdout).trim().to_string();
    format!("{RECORDED}{first} on {date}")
}

/// Writes a file back with the results in it and with the version line of the program they are from.
pub(super) fn write(file: &File, version: &str) {
    let mut text = recorded_line(Some(version)) + "\n";
    let mut put = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    file.head.iter().for_each(|l| put(l));
    for case in &file.cases {
        let end = case
            .source
            .iter()
            .rposition(|l| !l.trim().is_empty())
            .map_or(0, |n| n + 1);
        case.source[..end].iter().for_each(|l| put(l));
        put("---");
        case.expected.iter().for_each(|l| put(l));
        put("");
    }
    let text = format!("{}\n", text.trim_end());
    std::fs::write(&file.path, text).expect("the case file is writable");
}

fn blank(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn flag(flags: &mut Flags, line: &str) -> bool {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("probe", "") => flags.probe = true,
        ("shared", "") => flags.shared = true,
        ("counters", "") => flags.counters = true,
        ("rawlog", "") => flags.rawlog = true,
        ("routes", "") => flags.routes = true,
        ("needs", words) => flags.needs = words.split(' ').map(str::to_string).collect(),
        ("process", "") => flags.process = true,
        ("slots", n) => flags.slots = n.parse().unwrap_or(0),
        _ => return flags.view.read(line),
    }
    true
}

fn config_line(config: &mut Config, line: &str) -> bool {
    if let Some((name, text)) = line.strip_prefix("file ").and_then(|l| l.split_once(' ')) {
        config.files.push((name.to_string(), unescape(text)));
        return true;
    }
    match line.split_once(' ').unwrap_or((line, "")) {
        ("env", text) => {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            config.env.push((name.to_string(), value.to_string()));
            return true;
        }
        ("shell", text) => {
            config.shell = Some(text.to_string());
            return true;
        }
        ("notify", "") => {
            config.notify = true;
            return true;
        }
        _ => {}
    }
    let Some((section, text)) = line.split_once('|') else {
        return false;
    };
    let part = match section {
        "global" => &mut config.global,
        "defaults" => &mut config.defaults,
        "frontend" => &mut config.frontend,
        "backend" => &mut config.backend,
        "server" => &mut config.server,
        "config" => &mut config.whole,
        name if name.contains([' ', '>', '<']) => return false,
        name => {
            let known = config.texts.iter().position(|(n, _)| n == name);
            let place = known.unwrap_or_else(|| {
                config.texts.push((name.to_string(), Vec::new()));
                config.texts.len() - 1
            });
            &mut config.texts[place].1
        }
    };
    part.push(text.strip_prefix(' ').unwrap_or(text).to_string());
    true
}

/// Reads a line of a case. A configuration, or a file, of its own takes the place of that of the file of cases.
fn case_line(case: &mut Case, line: &str, own: &mut Vec<String>) -> bool {
    if blank(line) {
        return true;
    }
    if let Some((name, _)) = line.split_once('|')
        && !own.iter().any(|n| n == name)
    {
        if name == "config" {
            case.config.whole.clear();
        }
        case.config.texts.retain(|(n, _)| n != name);
        own.push(name.to_string());
    }
    if config_line(&mut case.config, line) || case.view.read(line) {
        return true;
    }
    if let Some(deed) = Deed::read(line) {
        case.steps.push(Step::Process(deed));
        return true;
    }
    if let Some(text) = line.strip_prefix("wait ") {
        return text.parse().map(|ms| case.steps.push(Step::Wait(ms))).is_ok();
    }
    if line == "listeners" {
        case.steps.push(Step::Listeners);
        return true;
    }
    if let Some(text) = line.strip_prefix("cli> ") {
        case.steps.push(Step::Cli("cli".into(), text.to_string()));
        return true;
    }
    if let Some((name, text)) = line.strip_prefix("cli ").and_then(|l| l.split_once("> ")) {
        case.steps.push(Step::Cli(name.to_string(), text.to_string()));
        return true;
    }
    if let Some((name, text)) = line.strip_prefix("sync ").and_then(|l| l.split_once(' ')) {
        case.steps.push(Step::Sync(name.to_string(), unescape(text)));
        return true;
    }
    match line.as_bytes() {
        [b's', b'0'..=b'9', ..] => origin_line(case, line),
        [who @ b'a'..=b'z', b'>', b' ', ..] => {
            let (who, bytes) = (char::from(*who), unescape(&line[3..]));
            match case.steps.last_mut() {
                Some(Step::Send(last, sent)) if *last == who => sent.extend(bytes),
                _ => case.steps.push(Step::Send(who, bytes)),
            }
            true
        }
        [who @ b'a'..=b'z', b' ', ..] => client_line(case, char::from(*who), &line[2..]),
        _ => false,
    }
}

fn client_line(case: &mut Case, who: char, text: &str) -> bool {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let number = rest.parse().ok();
    let step = match (word, rest) {
        ("to", name) => Step::To(who, name.to_string(), false),
        ("asks", name) => Step::To(who, name.to_string(), true),
        ("slow>", bytes) => Step::Slow(who, unescape(bytes)),
        ("shut", "") => Step::Shut(who),
        ("reset", "") => Step::Reset(who),
        ("close", "") => Step::Close(who),
        ("read", "") => Step::Read(who, false),
        ("read", "head") => Step::Read(who, true),
        ("end", "") => Step::End(who),
        ("probe", "") => Step::Probe(who),
        ("small", "") => Step::Small(who),
        ("until", bytes) => Step::Until(who, unescape(bytes)),
        ("quiet", _) => Step::Quiet(who, number.unwrap_or(150)),
        ("silent", _) => Step::Silent(who, number.unwrap_or(400)),
        ("wait", _) => match number {
            Some(ms) => Step::Wait(ms),
            None => return false,
        },
        _ => return false,
    };
    case.steps.push(step);
    true
}

fn origin_line(case: &mut Case, line: &str) -> bool {
    let Some(split) = line.find([' ', '<']) else {
        return false;
    };
    let (name, rest) = line.split_at(split);
    if let Some(addr) = rest.strip_prefix(" at ") {
        case.config.at.push((name.to_string(), addr.to_string()));
        return true;
    }
    let index = case
        .origins
        .iter()
        .position(|(n, _)| n == name)
        .unwrap_or_else(|| {
            case.origins.push((name.to_string(), Vec::new()));
            case.origins.len() - 1
        });
    let blocks = &mut case.origins[index].1;
    let (word, value) = rest[1..].split_once(' ').unwrap_or_else(|| (&rest[1..], ""));
    if let Some(bytes) = rest.strip_prefix("< ") {
        let Some(block) = blocks.last_mut() else {
            return false;
        };
        match block.acts.last_mut() {
            Some(Act::Send(sent)) => sent.extend(unescape(bytes)),
            _ => block.acts.push(Act::Send(unescape(bytes))),
        }
        return true;
    }
    let number = value.parse::<u64>().ok();
    let trigger = match (word, number) {
        ("request", _) => Some(Trigger::Request),
        ("head", _) => Some(Trigger::Head),
        ("accept", _) => Some(Trigger::Accept),
        ("eof", _) => Some(Trigger::Eof),
        ("bytes", Some(n)) => usize::try_from(n).ok().map(Trigger::Bytes),
        _ => None,
    };
    if let Some(trigger) = trigger {
        blocks.push(Block {
            trigger,
            acts: Vec::new(),
        });
        return true;
    }
    let act = match (word, number) {
        ("wait", Some(ms)) => Act::Wait(ms),
        ("shut", _) => Act::Shut,
        ("close", _) => Act::Close,
        ("reset", _) => Act::Reset,
        ("raw", _) => Act::Raw,
        _ => return false,
    };
    let Some(block) = blocks.last_mut() else {
        return false;
    };
    block.acts.push(act);
    true
}
