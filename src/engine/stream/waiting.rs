//! A request that waits for a slot, for another attempt or for its response, and a client that does not.
//!
//! Source: configuration manual, `option abortonclose`, "Session state at disconnection".

use super::super::channel::Places;
use super::super::conn::Io;
use super::super::core::Core;
use super::super::poll::Ready;
use super::stage::{Came, look_ahead};
use super::{Flow, Next, Step, Stream};
use crate::base::pool::Urgency;
use crate::model::cause::{When, Who};
use crate::model::txn::StreamFacts;

impl Stream {
    /// Waits for a slot; a client that gives up is let go.
    pub(super) fn wait_queued(&mut self, core: &mut Core) -> Next {
        if let Some(when) = self.gone_while_waiting(core, When::Queue) {
            core.queues_cancel(self.key, &mut self.facts);
            return self.give_up(core, when);
        }
        Next::Wait
    }

    pub(super) fn wait_turn_around(&mut self, core: &mut Core) -> Next {
        match self.gone_while_waiting(core, When::Connect) {
            Some(when) => self.give_up(core, when),
            None => Next::Wait,
        }
    }

    /// The client closed while nothing was sent to a server.
    pub(super) fn give_up(&mut self, core: &mut Core, when: When) -> Next {
        self.facts.cause.set(Who::Client, when);
        self.facts.status = StreamFacts::ABORTED;
        if self.facts.queued_at.is_none() {
            self.facts.queued_at = Some(core.now());
        }
        if self.counts_as_abort(core) {
            self.count_client_abort(core);
        }
        self.drop_back(core, true);
        self.front_dead = true;
        self.step = Step::Finish;
        Next::Go
    }

    /// Whether a client that is gone while its request waits is counted. As HAProxy: errors of its connection are,
    /// half a request is one in HTTP, a plain end is none; while a server is being connected to, only a relay
    /// counts it.
    fn counts_as_abort(&mut self, core: &mut Core) -> bool {
        let was_reset = core
            .conns
            .get(self.front)
            .is_none_or(|conn| conn.ready.any(Ready::ERROR));
        if !self.http {
            return was_reset;
        }
        self.step != Step::Connect && (was_reset || self.is_cut_off(core))
    }

    /// Whether the client is gone while its request waits, so that it need not wait any more, and the phase
    /// that logs tell. In TCP, bytes that came are on their way once a server is being connected to, whatever
    /// becomes of their sender.
    pub(super) fn gone_while_waiting(&mut self, core: &mut Core, phase: When) -> Option<When> {
        let Some(conn) = core.conns.get(self.front) else {
            return Some(phase);
        };
        let was_reset = conn.ready.any(Ready::ERROR);
        if !was_reset && !conn.ready.any(Ready::READ_CLOSED) {
            return None;
        }
        if self.http {
            let matters =
                |this: &mut Self, core: &mut Core| this.aborts_on_close(core) || this.is_cut_off(core);
            // What comes behind a whole request is left alone unless its end matters.
            let gone = was_reset || (matters(self, core) && self.reads_to_end(core) && matters(self, core));
            return gone.then_some(phase);
        }
        let has_ended = self.reads_to_end(core);
        let has_bytes = !self.req.input.is_empty();
        if has_bytes && phase != When::Queue {
            return None;
        }
        if was_reset {
            // A reset is an error of the connection, whatever the phase.
            return Some(When::Data);
        }
        (has_ended && (!has_bytes || self.aborts_on_close(core))).then_some(phase)
    }

    /// Whether the client ended before the end of its request.
    fn is_cut_off(&mut self, core: &mut Core) -> bool {
        let rules = self.request_rules(core);
        let head_len = self.request.head_len;
        look_ahead(&self.request, &mut self.req.input, head_len, core, rules) == Came::Part
    }

    /// Whether the client closed while it waits for its response, and wants it no more.
    pub(super) fn client_gave_up(&mut self, core: &mut Core) -> bool {
        let Some(conn) = core.conns.get(self.front) else {
            return true;
        };
        if !conn.ready.any(Ready::READ_CLOSED | Ready::ERROR) {
            return false;
        }
        if conn.ready.any(Ready::ERROR) {
            return true;
        }
        self.aborts_on_close(core) && self.request.flow != Flow::Tunnel && self.reads_to_end(core)
    }

    /// Reads what the client sent until its end, as far as the buffer goes.
    pub(super) fn reads_to_end(&mut self, core: &mut Core) -> bool {
        if self.req.read_closed {
            return true;
        }
        let readable = core
            .conns
            .get(self.front)
            .is_none_or(|conn| conn.ready.any(Ready::READ));
        if !readable || !self.borrow_as(core, true, Places::Input, Urgency::Begin) {
            return false;
        }
        let reserve = core.reserve();
        loop {
            let Some(conn) = core.conns.get_mut(self.front) else {
                return true;
            };
            match self.req.receive(conn, reserve) {
                Some(Io::Done(n)) if !self.http => self.count_passed(n, true),
                Some(Io::Done(_)) => {}
                Some(Io::Closed | Io::Failed(_)) => return true,
                Some(Io::Blocked) | None => return false,
            }
        }
    }
}
