//! Log lines: which values they may hold, how they are laid out, and what stands around them.
//!
//! [`mod@format`] compiles a format, [`mod@write`] lays a line out, [`syslog`] puts the header before it and applies the rules
//! of a target; [`stream_level`] says whether a stream is logged at all. Sending is the engine's.
//! Source: configuration manual, chapter 8 ("Logging") and `log`.

pub mod calendar;
pub mod fields;
pub mod format;
pub mod line;
pub mod syslog;
pub mod write;

use crate::model::cause::Who;
use crate::model::proxy::{Mode, Proxy};
use crate::model::txn::StreamFacts;
use syslog::Level;

/// Whether something went wrong with the stream, in the sense of `dontlog-normal` and `log-separate-errors`.
pub fn is_error(frontend: &Proxy, facts: &StreamFacts) -> bool {
    facts.redispatched
        || !matches!(facts.cause.who, Who::None | Who::Local)
        || (facts.cause.who == Who::None && facts.retries > 0)
        || (frontend.mode == Mode::Http && facts.is_http && facts.status >= 500)
}

/// The level under which a stream is logged; `None` when `dontlog-normal` keeps it out.
pub fn stream_level(frontend: &Proxy, facts: &StreamFacts) -> Option<Level> {
    let error = is_error(frontend, facts);
    match (error, frontend.options) {
        (false, options) if options.dontlog_normal => None,
        (true, options) if options.log_separate_errors => Some(Level::Err),
        _ => Some(Level::Info),
    }
}

/// The level under which a session that ended without a stream is logged.
pub fn session_level(frontend: &Proxy) -> Level {
    if frontend.options.log_separate_errors {
        Level::Err
    } else {
        Level::Info
    }
}
