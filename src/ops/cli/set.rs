//! The commands that change something: counters, limits, and the conversation itself.

use super::answer::{Answer, PromptMode};
use super::sess::server_id;
use super::show::leading_int;
use super::table::Call;
use crate::conf::units::{TimeUnit, parse_time};
use crate::engine::service::Cx;
use crate::model::listener::{Level, SeverityOutput};
use crate::model::proxy::Balance;
use crate::model::state::State;
use crate::model::state::counters::{
    BackendCounters, FrontendCounters, H1Counters, ServerCounters, TimeStat,
};

/// `clear counters [all]`
pub(super) fn clear_counters(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let all = call.arg(0) == "all";
    if all && call.talk.level < Level::Admin {
        return Answer::denied();
    }
    cx.state.process.counters.conn_rate_max = 0;
    cx.state.process.counters.sess_rate_max = 0;
    if all {
        clear_all(cx.state);
    } else {
        clear_maxima(cx.state);
    }
    Answer::Done
}

/// Connections and streams that are open are no counters: they stay.
fn kept(h1: &H1Counters) -> H1Counters {
    H1Counters {
        open_conns: h1.open_conns,
        open_streams: h1.open_streams,
        ..H1Counters::default()
    }
}

fn clear_all(state: &mut State) {
    for proxy in &mut state.proxies {
        let (fe, be) = (&mut proxy.counters.fe, &mut proxy.counters.be);
        *fe = FrontendCounters {
            h1: kept(&fe.h1),
            ..FrontendCounters::default()
        };
        *be = BackendCounters {
            h1: kept(&be.h1),
            ..BackendCounters::default()
        };
    }
    for server in &mut state.servers {
        server.counters = ServerCounters::default();
    }
    for listener in &mut state.listeners {
        listener.counters = Default::default();
    }
}

fn clear_maxima(state: &mut State) {
    let clear_times = |times: [&mut TimeStat; 4]| times.into_iter().for_each(|time| time.max_ms = 0);
    for proxy in &mut state.proxies {
        let fe = &mut proxy.counters.fe;
        fe.conns_max = 0;
        fe.session_rate_max = 0;
        fe.conn_rate_max = 0;
        fe.request_rate_max = 0;
        let be = &mut proxy.counters.be;
        be.conns_max = 0;
        be.queue_max = 0;
        be.session_rate_max = 0;
        clear_times([
            &mut be.queue_time,
            &mut be.connect_time,
            &mut be.response_time,
            &mut be.total_time,
        ]);
    }
    for server in &mut state.servers {
        let counters = &mut server.counters;
        counters.sessions_max = 0;
        counters.queue_max = 0;
        counters.session_rate_max = 0;
        clear_times([
            &mut counters.queue_time,
            &mut counters.connect_time,
            &mut counters.response_time,
            &mut counters.total_time,
        ]);
    }
    for listener in &mut state.listeners {
        listener.counters.conns_max = 0;
    }
}

/// `set maxconn frontend <frontend> <value>`
pub(super) fn maxconn_frontend(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let name = call.arg(0);
    if name.is_empty() {
        return Answer::error("A frontend name is expected.");
    }
    let Some(id) = cx.config.frontend_by_name.get(name).copied() else {
        return Answer::error("No such frontend.");
    };
    if call.arg(1).is_empty() {
        return Answer::error("Integer value expected.");
    }
    let Ok(value) = u32::try_from(leading_int(call.arg(1))) else {
        return Answer::error("Value out of range.");
    };
    cx.state.proxy_mut(id).maxconn = value;
    cx.effects.wake_listeners = true;
    Answer::Done
}

/// `set maxconn global <value>`
pub(super) fn maxconn_global(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    if call.arg(0).is_empty() {
        return Answer::error("Expects an integer value.");
    }
    let hard = cx.state.process.hard_maxconn;
    let value = leading_int(call.arg(0));
    if value > i64::from(hard) {
        return Answer::error("Value out of range.");
    }
    cx.state.process.maxconn = u32::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .unwrap_or(hard);
    cx.effects.wake_listeners = true;
    Answer::Done
}

/// `set maxconn server <backend>/<server> <value>`
pub(super) fn maxconn_server(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let id = match server_id(call.arg(0), cx) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let word = call.arg(1);
    if word.is_empty() {
        return Answer::error("Require <maxconn>.");
    }
    let Some(number) = Number::of(word) else {
        return Answer::error("maxconn string empty or preceded by garbage");
    };
    if !number.rest.is_empty() {
        return Answer::error("Trailing garbage in maxconn string");
    }
    // As HAProxy: what is below zero or beyond the range is as good as no limit.
    cx.state.server_mut(id).maxconn = Some(number.value.unwrap_or(u32::MAX));
    cx.effects.serve_queue = Some(id);
    Answer::Done
}

/// `set weight <backend>/<server> <weight>[%]`
pub(super) fn weight(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    let id = match server_id(call.arg(0), cx) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let server = cx.config.server(id);
    let weight = match weight_of(call.arg(1), server.weight) {
        Ok(weight) => weight,
        Err(why) => return Answer::error(why),
    };
    let is_static = matches!(cx.config.proxy(server.proxy).balance, Balance::StaticRr);
    if is_static && weight != 0 && weight != server.weight {
        return Answer::error(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
        );
    }
    cx.state.server_mut(id).weight = weight;
    cx.effects.weigh = Some(id);
    Answer::Done
}

/// The highest weight that can be set.
const WEIGHT_MAX: u32 = 256;

/// What a word like `7` or `50%` sets, where the percents are of `initial`.
fn weight_of(word: &str, initial: u32) -> Result<u32, &'static str> {
    if word.is_empty() {
        return Err("Require <weight> or <weight%>.");
    }
    let number = Number::of(word).ok_or("Empty weight string empty or preceded by garbage")?;
    if number.rest == "%" {
        let percent = number.value.ok_or("Relative weight must be positive.")?;
        // Ten thousand percent of 256 still fits.
        let weight = initial.saturating_mul(percent.min(100 * WEIGHT_MAX)) / 100;
        return Ok(weight.min(WEIGHT_MAX));
    }
    let weight = number.value.filter(|weight| *weight <= WEIGHT_MAX);
    let weight = weight.ok_or("Absolute weight can only be between 0 and 256 inclusive.")?;
    if number.rest.is_empty() {
        Ok(weight)
    } else {
        Err("Trailing garbage in weight string")
    }
}

/// The number that a word begins with.
struct Number<'w> {
    /// `None` below zero; what is beyond the range is the highest.
    value: Option<u32>,
    /// What stands behind it.
    rest: &'w str,
}

impl<'w> Number<'w> {
    fn of(word: &'w str) -> Option<Self> {
        let number = word.trim_ascii_start();
        let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
        let len = digits.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = digits.split_at(len);
        let value = digits.parse().unwrap_or(u32::MAX);
        (len > 0).then_some(Self {
            value: (value == 0 || !number.starts_with('-')).then_some(value),
            rest,
        })
    }
}

/// `set timeout cli <delay>`
pub(super) fn timeout(call: &mut Call<'_>, cx: &mut Cx<'_>) -> Answer {
    if call.arg(0) != "cli" {
        return Answer::error("'set timeout' only supports 'cli'.");
    }
    if call.arg(1).is_empty() {
        return Answer::error("Expects an integer value.");
    }
    let seconds = parse_time(call.arg(1).as_bytes(), TimeUnit::S)
        .ok()
        .filter(|time| time.trailing.is_none());
    match seconds {
        Some(time) if time.value > 0 => {
            cx.effects.idle_timeout_ms = Some(time.value.saturating_mul(1000));
            Answer::Done
        }
        _ => Answer::error("Invalid timeout value."),
    }
}

/// `set severity-output [none|number|string]`
pub(super) fn severity_output(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    call.talk.severity = match call.arg(0) {
        "none" => SeverityOutput::None,
        "number" => SeverityOutput::Number,
        "string" => SeverityOutput::String,
        _ => return Answer::error("one of 'none', 'number', 'string' is a required argument"),
    };
    Answer::Done
}

/// A `-` as last word: the master sets the stage and wants no empty line.
fn quiet(call: &mut Call<'_>, place: usize) {
    call.talk.no_line_feed = call.arg(place) == "-";
}

/// `operator`
pub(super) fn operator(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    quiet(call, 0);
    call.talk.level = call.talk.level.min(Level::Operator);
    Answer::Done
}

/// `user`
pub(super) fn user(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    quiet(call, 0);
    call.talk.level = Level::User;
    Answer::Done
}

/// `expert-mode [on|off]`
pub(super) fn expert_mode(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    quiet(call, 1);
    let (answer, mode) = switch("expert-mode", call.arg(0), call.talk.expert);
    call.talk.expert = mode;
    answer
}

/// `experimental-mode [on|off]`
pub(super) fn experimental_mode(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    quiet(call, 1);
    let (answer, mode) = switch("experimental-mode", call.arg(0), call.talk.experimental);
    call.talk.experimental = mode;
    answer
}

fn switch(name: &str, word: &str, present: bool) -> (Answer, bool) {
    if word.is_empty() {
        return (
            Answer::info(format!("{name} is {}", if present { "ON" } else { "OFF" })),
            present,
        );
    }
    (Answer::Done, word == "on")
}

/// How `prompt` is used.
pub(in crate::ops) const PROMPT_USAGE: &str = "Usage: prompt [help | n | i | p | timed]*\n\
    Chooses how this session prompts and whether it goes on after a line:\n\
    \x20 help    this text\n\
    \x20 n       one line of commands, no prompt\n\
    \x20 i       any number of lines, no prompt\n\
    \x20 p       any number of lines, with a prompt\n\
    \x20 timed   switch the uptime in the prompt on or off\n\
    Alone it goes from n or i to p, and from p to n.";

/// `prompt [help | n | i | p | timed]*`
pub(super) fn prompt(call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    let mut mode = None;
    let mut timed = false;
    for word in call.args {
        match word.as_str() {
            "n" => mode = Some(PromptMode::Single),
            "i" => mode = Some(PromptMode::Interactive),
            "p" => mode = Some(PromptMode::Prompt),
            "timed" => timed = true,
            "help" => return Answer::info(PROMPT_USAGE),
            _ => return Answer::error(PROMPT_USAGE),
        }
    }
    if timed {
        call.talk.timed = !call.talk.timed;
    }
    call.talk.prompt = match (mode, call.talk.prompt) {
        (Some(mode), _) => mode,
        (None, PromptMode::Prompt) if !timed => PromptMode::Single,
        (None, _) => PromptMode::Prompt,
    };
    Answer::Done
}

/// `quit`
pub(super) fn quit(_call: &mut Call<'_>, _cx: &mut Cx<'_>) -> Answer {
    Answer::Quit
}
