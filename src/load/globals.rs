//! What lines of `global` sections say together: buffer sizes, threads. Conditions follow HAProxy 3.4.0 as tried; it
//! prints neither file nor line for them.

use crate::conf::diag::{Code, Diag, Form, Sink};
use crate::policy::draft::Draft;
use crate::policy::kw::thread_set::Threads;

/// Largest buffer with HTTP, bytes.
const MAX_HTTP_BUFFER_BYTES: u32 = 256 << 20;

/// Smallest buffer in which HAProxy's answers of its own have room, bytes.
const MIN_BUFFER_BYTES: u32 = 352;

/// Small buffers when nothing is said, bytes.
const SMALL_BUFFER_BYTES: u32 = 1024;

/// Checks the global settings.
pub(super) fn run(draft: &Draft, sink: &mut Sink) {
    buffers(draft, sink);
    threads(draft, sink);
}

fn warning(sink: &mut Sink, text: String) {
    sink.push(Diag::warning(Code::Conflict, None, text).with_form(Form::Bare));
}

fn alert(sink: &mut Sink, text: String) {
    sink.push(Diag::alert(Code::OutOfRange, None, text).with_form(Form::Bare));
}

fn buffers(draft: &Draft, sink: &mut Sink) {
    let bufsize = draft.global.settings.tune.bufsize;
    let given = &draft.global.tune_given;
    // HAProxy's own proxies speak HTTP, so that this concerns every configuration.
    if bufsize >= MAX_HTTP_BUFFER_BYTES {
        alert(
            sink,
            format!(
                "global.tune.bufsize must be below 256 MB when HTTP is in use (current value = {bufsize})."
            ),
        );
    }
    if let Some(large) = given.large_buffers.filter(|large| *large < bufsize) {
        warning(
            sink,
            format!(
                "tune.bufsize.large ({large}) is lower than tune.bufsize ({bufsize}). large buffers support is disabled. Please fix either value to remove this warning."
            ),
        );
    }
    let small = given.small_buffers.unwrap_or(SMALL_BUFFER_BYTES);
    if small > bufsize {
        warning(
            sink,
            format!(
                "tune.bufsize.small ({small}) is higher than tune.bufsize ({bufsize}): there are no small buffers."
            ),
        );
    }
    if bufsize < MIN_BUFFER_BYTES {
        alert(
            sink,
            format!("global.tune.bufsize must be at least {MIN_BUFFER_BYTES} (current value = {bufsize})."),
        );
    }
}

/// Most threads of one group while nothing says how many groups there are.
const GROUP_MAX: u32 = 16;

/// The threads that the configuration asks for. `None` where the machine decides: its processors are not looked at, so
/// that a configuration is right or wrong on any of them.
pub(super) fn asked_threads(draft: &Draft) -> Option<Threads> {
    let threads = &draft.global.threads;
    let number = threads.number?;
    let number = threads.limit.map_or(number, |limit| number.min(limit));
    let groups = threads
        .groups
        .or(if number <= GROUP_MAX { Some(1) } else { None });
    Some(Threads {
        number: u64::from(number),
        // Groups that are described line by line may have any size.
        groups: groups
            .filter(|groups| *groups > 0 && !threads.described)
            .map(u64::from),
    })
}

fn threads(draft: &Draft, sink: &mut Sink) {
    let threads = &draft.global.threads;
    let Some(mut number) = threads.number else { return };
    if let Some(limit) = threads.limit.filter(|limit| *limit < number) {
        warning(
            sink,
            format!(
                "nbthread forced to a higher value ({number}) than the configured thread-hard-limit ({limit}), \
                 enforcing the limit."
            ),
        );
        number = limit;
    }
    // Groups that `thread-group` lines describe have their threads already.
    if let Some(groups) = threads
        .groups
        .filter(|groups| *groups > number && !threads.described)
    {
        alert(
            sink,
            format!(
                "More unassigned thread-groups ({groups}) than threads ({number}). Please reduce thread-groups"
            ),
        );
    }
}
