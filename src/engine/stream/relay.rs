//! Bytes without meaning both ways: TCP mode, and HTTP after an upgrade or CONNECT.
//!
//! Each direction ends on its own: the end of one producer is passed on to its consumer, and the other
//! direction goes on until its own end (half-close).
//! Source: configuration manual, `timeout tunnel`, `client-fin`, `server-fin`.

use super::super::channel::{Flushed, Places};
use super::super::conn::Io;
use super::super::core::Core;
use super::super::poll::Ready;
use super::burst::TURN_LEN;
use super::forward::{Moved, READS_MAX};
use super::{Next, Step, Stream};
use crate::base::slab::Key;
use crate::model::cause::{When, Who};

impl Stream {
    /// Relays a TCP connection; the PROXY header goes first.
    pub(super) fn relay(&mut self, core: &mut Core) -> Next {
        if self.greets {
            if !self.borrow(core, true, Places::Pre) {
                return Next::Wait;
            }
            self.greets = false;
            self.put_proxy_header(core);
        }
        let begun_len = self.received_len();
        for _ in 0..READS_MAX {
            if self.received_len() - begun_len >= TURN_LEN {
                break;
            }
            let up = self.pass(core, true);
            if up == Moved::Left {
                return Next::Go;
            }
            let down = self.pass(core, false);
            if down == Moved::Left {
                return Next::Go;
            }
            if self.req.write_closed && self.res.write_closed {
                self.step = Step::Finish;
                return Next::Go;
            }
            if (up, down) == (Moved::Nothing, Moved::Nothing) {
                return Next::Wait;
            }
        }
        Next::Yield
    }

    /// Moves what can be moved in one direction; `upward` is from the client to the server.
    pub(super) fn pass(&mut self, core: &mut Core, upward: bool) -> Moved {
        if self.http && self.req.write_closed && self.res.write_closed {
            self.step = Step::Finish;
            return Moved::Left;
        }
        let Some(back) = self.back else {
            return self.side_lost(core, upward);
        };
        let (from, to) = if upward {
            (self.front, back)
        } else {
            (back, self.front)
        };
        match self.drain_channel(core, to, upward) {
            Moved::Some => {}
            other => return other,
        }
        let channel = if upward { &mut self.req } else { &mut self.res };
        if channel.write_closed {
            return Moved::Nothing;
        }
        if channel.read_closed {
            if self.pipes[usize::from(upward)]
                .as_ref()
                .is_some_and(|pipe| pipe.filled > 0)
            {
                return self.splice(core, from, to, upward);
            }
            channel.write_closed = true;
            if let Some(conn) = core.conns.get_mut(to) {
                conn.shut_write();
            }
            return Moved::Some;
        }
        if self.splices(core, upward) {
            return self.splice(core, from, to, upward);
        }
        self.read_and_forward(core, from, to, upward)
    }

    /// Sends what the channel holds. `Some`: nothing is left in it.
    fn drain_channel(&mut self, core: &mut Core, to: Key, upward: bool) -> Moved {
        let channel = if upward { &mut self.req } else { &mut self.res };
        channel.body = channel.input.len();
        if !channel.pending() {
            return Moved::Some;
        }
        let Some(conn) = core.conns.get_mut(to) else {
            return self.side_lost(core, upward);
        };
        let before = channel.sent;
        let flushed = channel.flush(conn);
        if channel.sent != before {
            self.note_activity(core);
        }
        match flushed {
            Flushed::All => Moved::Some,
            Flushed::Blocked => Moved::Nothing,
            Flushed::Failed(_) => self.side_lost(core, upward),
        }
    }

    pub(super) fn read_and_forward(&mut self, core: &mut Core, from: Key, to: Key, upward: bool) -> Moved {
        match core.conns.get(from) {
            None => return self.side_lost(core, !upward),
            Some(conn) if !conn.ready.any(Ready::READ) => return Moved::Nothing,
            Some(_) => {}
        }
        let most = self.open_relay_burst(core, upward, to);
        if !self.borrow(core, upward, Places::Input) {
            return Moved::Nothing;
        }
        let Some(conn) = core.conns.get_mut(from) else {
            return Moved::Nothing;
        };
        let channel = if upward { &mut self.req } else { &mut self.res };
        match channel.receive_most(conn, 0, most).unwrap_or(Io::Blocked) {
            Io::Done(n) => {
                self.count_passed(n, upward);
                self.note_activity(core);
                self.hear(core.clock.now(), upward);
                match self.drain_channel(core, to, upward) {
                    Moved::Left => Moved::Left,
                    Moved::Some | Moved::Nothing => Moved::Some,
                }
            }
            Io::Blocked => Moved::Nothing,
            Io::Closed => Moved::Some,
            Io::Failed(_) => self.side_lost(core, !upward),
        }
    }

    pub(super) fn count_passed(&mut self, n: usize, upward: bool) {
        let message = if upward {
            &mut self.request
        } else {
            &mut self.response
        };
        message.counted += n as u64;
        if self.facts.connected_at.is_some() {
            message.passed += n as u64;
        }
    }

    pub(super) fn note_activity(&mut self, core: &Core) {
        // Traffic on one side shows that the other one is awaited with reason, too.
        let now = core.clock.now();
        self.front_active_at = now;
        self.back_active_at = now;
    }

    /// A socket failed: the server's when `upward` was being written or it was being read, else the client's.
    pub(super) fn side_lost(&mut self, core: &mut Core, server: bool) -> Moved {
        let is_first = self.facts.cause.who == Who::None;
        if server {
            self.count_failed_response(core);
            if is_first {
                self.count_server_abort(core);
            }
            self.facts.cause.set(Who::Server, When::Data);
        } else {
            if is_first {
                self.count_client_abort(core);
            }
            self.facts.cause.set(Who::Client, When::Data);
            self.resets_back = true;
        }
        self.front_dead = true;
        self.step = Step::Finish;
        Moved::Left
    }
}
