//! What the traffic leaves in the logs: a line per stream, per connection without a format, per failed handshake.
//!
//! The lines themselves are laid out by `policy/log`; here is what they tell and when. Source: configuration
//! manual, chapter 8 ("Logging"), `option dontlognull`, `dontlog-normal`, `logasap`, `log-separate-errors`.

use super::core::Core;
use crate::model::conn_error::ConnError;
use crate::model::ids::{ProxyId, ServerId};
use crate::model::txn::{ConnCounts, SessionFacts, StreamFacts};
use crate::policy::log::syslog::Level;
use crate::policy::log::write::{
    Cookies, EarlyEnd, LogCx, Origin, ProcessFacts, Subject, write_connect, write_handshake_error, write_line,
};
use crate::policy::log::{session_level, stream_level};

/// Longest line laid out when a proxy's targets do not say, bytes.
const LINE_MAX: u32 = 1_024;

/// What a line is about, with what is known at that moment.
#[derive(Clone, Copy)]
struct About<'a> {
    origin: Origin,
    session: &'a SessionFacts,
    subject: Subject<'a>,
    backend: ProxyId,
    server: Option<ServerId>,
    counts: ConnCounts,
    conn_error: ConnError,
}

impl Core {
    /// Logs a stream with the format of its frontend. What is over counts no longer among the connections.
    pub(crate) fn log_stream(&mut self, session: &SessionFacts, facts: &StreamFacts, origin: Origin) {
        let Some(level) = stream_level(self.config.proxy(session.frontend), facts) else {
            return;
        };
        let backend = self.state.proxy(facts.backend).be_conns;
        let counts = ConnCounts {
            process: self.state.process.conns,
            frontend: self.state.proxy(session.frontend).fe_conns,
            backend: backend.saturating_sub(u32::from(facts.closed_at.is_some())),
            server: facts.server.map_or(0, |id| self.state.server(id).sessions),
        };
        let about = About {
            origin,
            session,
            subject: Subject::Stream(facts),
            backend: facts.backend,
            server: facts.server,
            counts,
            conn_error: ConnError::None,
        };
        self.log_about(about, level, |out, limit, cx| {
            if let Some(format) = &cx.frontend.log_format {
                write_line(out, limit, format, cx);
            }
        });
    }

    /// Logs a connection to a frontend that has no log format.
    pub(crate) fn log_connect(&mut self, session: &SessionFacts) {
        let early = self.early_end(session);
        let about = self.about_session(session, &early, ConnError::None);
        self.log_about(about, Level::Info, write_connect);
    }

    /// Logs a connection that failed before it became a session.
    pub(crate) fn log_handshake_error(&mut self, session: &SessionFacts, error: ConnError) {
        let config = self.config.clone();
        let frontend = config.proxy(session.frontend);
        if frontend.log_format.is_none() && frontend.error_log_format.is_none() {
            // As HAProxy: who wants no lines of streams gets none of what never became one.
            return;
        }
        let level = session_level(frontend);
        let early = self.early_end(session);
        let about = self.about_session(session, &early, error);
        match &frontend.error_log_format {
            Some(format) => {
                self.log_about(about, level, |out, limit, cx| write_line(out, limit, format, cx));
                self.next_number();
            }
            None => self.log_about(about, level, write_handshake_error),
        }
    }

    fn early_end(&self, session: &SessionFacts) -> EarlyEnd {
        EarlyEnd {
            counter: self.state.process.counters.requests,
            begun: session.accepted,
            ended_at: self.now(),
        }
    }

    fn about_session<'a>(
        &self,
        session: &'a SessionFacts,
        early: &'a EarlyEnd,
        conn_error: ConnError,
    ) -> About<'a> {
        About {
            origin: Origin::SessKilled,
            session,
            subject: Subject::Session(early),
            backend: session.frontend,
            server: None,
            counts: ConnCounts {
                process: self.state.process.conns,
                frontend: self.state.proxy(session.frontend).fe_conns,
                backend: 0,
                server: 0,
            },
            conn_error,
        }
    }

    fn log_about(
        &mut self,
        about: About<'_>,
        level: Level,
        lay_out: impl FnOnce(&mut Vec<u8>, usize, &LogCx<'_>),
    ) {
        let Self {
            config,
            clock,
            logger,
            state,
            ..
        } = self;
        let id = about.session.frontend;
        let frontend = config.proxy(id);
        if frontend.logs.is_empty() {
            return;
        }
        let wall_us = clock.stamp().wall_us;
        let zone = logger.zone(wall_us);
        let log_count = state.proxy(id).log_count;
        state.proxy_mut(id).log_count = log_count.wrapping_add(1);
        let cx = LogCx {
            origin: about.origin,
            process: ProcessFacts {
                pid: logger.pid(),
                hostname: &config.global.node,
            },
            zone,
            session: about.session,
            subject: about.subject,
            listener: config.listener(about.session.listener),
            frontend,
            backend: config.proxy(about.backend),
            server: about.server.map(|id| &*config.server(id).name),
            counts: about.counts,
            log_count,
            request_captures: &[],
            response_captures: &[],
            cookies: Cookies::default(),
            unique_id: None,
            is_tls: false,
            conn_error: about.conn_error,
        };
        let limit = frontend
            .logs
            .iter()
            .map(|target| target.len_max)
            .max()
            .unwrap_or(LINE_MAX) as usize;
        logger.line.clear();
        lay_out(&mut logger.line, limit, &cx);
        logger.send_line(config, Some(id), level, wall_us);
    }
}
