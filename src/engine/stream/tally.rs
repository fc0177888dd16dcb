//! What the HTTP/1 side of a proxy counts: connections, streams and bytes of both sides (`h1_*` columns of
//! `show stat`). Source: management manual, section 9.1; HAProxy 3.4.0, run.

use super::super::core::Core;
use super::stage::measure_ahead;
use super::{Flow, Stream};
use crate::base::slab::Key;
use crate::engine::conn::Side;
use crate::model::state::counters::H1Counters;

/// Bytes of a stream that are in the counters already, by direction: towards the server, towards the client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tallied {
    up: (u64, u64),
    down: (u64, u64),
}

/// What came since `before` in a counter that starts again with every message.
fn since(now: u64, before: &mut u64) -> u64 {
    let more = now.saturating_sub(*before);
    *before = now;
    more
}

impl Core {
    /// A connection speaks HTTP/1 from here on.
    pub(crate) fn count_h1_conn(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut conn.is_h1, true) {
            return;
        }
        let h1 = match &conn.side {
            Side::Front(front) => &mut self.state.proxy_mut(front.facts.frontend).counters.fe.h1,
            Side::Back(back) => &mut self.state.proxy_mut(back.backend).counters.be.h1,
        };
        h1.total_conns += 1;
        h1.open_conns += 1;
    }
}

/// One more stream.
fn open(h1: &mut H1Counters) {
    h1.total_streams += 1;
    h1.open_streams += 1;
}

/// One less.
fn close(h1: &mut H1Counters) {
    h1.open_streams = h1.open_streams.saturating_sub(1);
}

impl Stream {
    /// The stream is one of its frontend's, once.
    pub(super) fn open_h1_front(&mut self, core: &mut Core) {
        if self.http && !std::mem::replace(&mut self.in_h1_front, true) {
            open(&mut core.state.proxy_mut(self.session.frontend).counters.fe.h1);
        }
    }

    /// It ends there.
    pub(super) fn close_h1_front(&mut self, core: &mut Core) {
        if std::mem::take(&mut self.in_h1_front) {
            close(&mut core.state.proxy_mut(self.session.frontend).counters.fe.h1);
        }
    }

    /// The stream has a connection to a server.
    pub(super) fn open_h1_back(&self, core: &mut Core, back: Key) {
        if self.http {
            core.count_h1_conn(back);
            open(&mut core.state.proxy_mut(self.facts.backend).counters.be.h1);
        }
    }

    /// It gives that connection up.
    pub(super) fn close_h1_back(&mut self, core: &mut Core) {
        if self.http {
            self.tally_bytes(core);
            close(&mut core.state.proxy_mut(self.facts.backend).counters.be.h1);
        }
    }

    /// Adds the bytes that passed since the last time.
    pub(super) fn tally_bytes(&mut self, core: &mut Core) {
        if !self.http {
            return;
        }
        let tallied = &mut self.tallied;
        let (from_client, to_server) = (
            since(self.req.received, &mut tallied.up.0),
            since(self.req.sent, &mut tallied.up.1),
        );
        let (from_server, to_client) = (
            since(self.res.received, &mut tallied.down.0),
            since(self.res.sent, &mut tallied.down.1),
        );
        if from_client + to_client > 0 {
            let fe = &mut core.state.proxy_mut(self.session.frontend).counters.fe.h1;
            fe.in_bytes += from_client;
            fe.out_bytes += to_client;
        }
        if from_server + to_server > 0 {
            let be = &mut core.state.proxy_mut(self.facts.backend).counters.be.h1;
            be.in_bytes += from_server;
            be.out_bytes += to_server;
        }
    }

    /// The head of the request is the first that logs and statistics count of it: as it came, before any edit.
    pub(super) fn count_head(&mut self) {
        self.request.counted += self.request.head.as_ref().map_or(0, |head| head.counted_len());
        self.head_counted = true;
    }

    /// Bytes of the request that came, as logs and statistics count them: also those that were not passed on.
    pub(super) fn counted_request(&mut self, core: &mut Core) -> u64 {
        let skip = match self.request.flow {
            Flow::Head => self.request.head_len,
            Flow::Body => self.req.body,
            Flow::Done | Flow::Tunnel => return self.request.counted,
        };
        if !self.http || !self.head_counted || self.request.body.is_done() {
            return self.request.counted;
        }
        let rules = self.request_rules(core);
        let (_, ahead) = measure_ahead(&self.request, &mut self.req.input, skip, core, rules);
        self.request.counted + ahead
    }

    /// What the channels count begins anew.
    pub(super) fn restart_tally(&mut self) {
        self.tallied = Tallied {
            up: (self.req.received, self.req.sent),
            down: (self.res.received, self.res.sent),
        };
    }
}
