//! When a stream must be looked at again, and what it means when nothing happened until then.
//!
//! Extending a deadline only stores it (see `base/wheel`): this is computed after each run.
//! Source: configuration manual, the `timeout` keywords.

use super::super::core::Core;
use super::{Flow, Step, Stream};
use crate::base::ticks::Ticks;
use crate::model::cause::{When, Who};
use crate::model::ids::ProxyId;
use crate::model::proxy::Timeouts;

/// Which side let its time pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    Client,
    Server,
}

impl Stream {
    /// The earliest moment at which waiting is over.
    pub(super) fn deadline(&self, core: &Core) -> Ticks {
        match self.step {
            Step::Request | Step::Gather => self.phase_deadline.min(self.front_deadline(core)),
            Step::Queued | Step::TurnAround | Step::Connect => self.phase_deadline,
            Step::Exchange => self.front_deadline(core).min(self.back_deadline(core)),
            Step::Reply | Step::Drain => self.front_deadline(core),
            Step::Assign | Step::Finish => Ticks::NEVER,
        }
    }

    /// Bytes came from the client.
    pub(super) fn hear_front(&mut self, now: Ticks) {
        self.front_active_at = now;
        self.heard_at[0] = now;
    }

    /// Bytes came from the server.
    pub(super) fn hear_back(&mut self, now: Ticks) {
        self.back_active_at = now;
        self.heard_at[1] = now;
    }

    /// Bytes came from the producer of that direction.
    pub(super) fn hear(&mut self, now: Ticks, upward: bool) {
        if upward {
            self.hear_front(now);
        } else {
            self.hear_back(now);
        }
    }

    fn client_timeouts<'c>(&self, core: &'c Core) -> &'c Timeouts {
        &core.config.proxy(self.session.frontend).timeouts
    }

    fn server_timeouts<'c>(&self, core: &'c Core) -> &'c Timeouts {
        &core.config.proxy(self.facts.backend).timeouts
    }

    /// Whether bytes pass without meaning: TCP mode, upgrades, CONNECT.
    fn is_tunnel(&self) -> bool {
        !self.http || (self.request.flow == Flow::Tunnel && self.response.flow == Flow::Tunnel)
    }

    /// Whether what is sent to a side does not count as life of it (`option independent-streams`).
    fn is_independent(&self, core: &Core, proxy: ProxyId) -> bool {
        core.config.proxy(proxy).options.independent_streams
    }

    /// When waiting for the client is over.
    fn front_deadline(&self, core: &Core) -> Ticks {
        let timeouts = self.client_timeouts(core);
        let timeout_ms = timeouts.client_ms;
        if self.step == Step::Exchange && self.is_tunnel() {
            return self.tunnel_deadline(core, true, timeout_ms, timeouts.client_fin_ms);
        }
        let reads = self.request.flow != Flow::Done;
        let awaited = self.owes_client()
            || reads
            || matches!(
                self.step,
                Step::Request | Step::Gather | Step::Reply | Step::Drain
            );
        if self.step == Step::Exchange && reads && self.is_independent(core, self.session.frontend) {
            return Ticks::after(self.heard_at[0], timeout_ms);
        }
        // A side that waits for the other one is not late itself.
        let held_back = !self.owes_client() && self.owes_server();
        if awaited && !held_back {
            Ticks::after(self.front_active_at, timeout_ms)
        } else {
            Ticks::NEVER
        }
    }

    /// When waiting for one side of a tunnel is over: for bytes of it, while there is room for them, or for it to take
    /// bytes. A side that was sent the end has a time-out of its own for its last bytes.
    fn tunnel_deadline(&self, core: &Core, front: bool, own_ms: Option<u32>, fin_ms: Option<u32>) -> Ticks {
        let (from, to, owed, waits, active_at, proxy) = if front {
            let proxy = self.session.frontend;
            let (owed, waits) = (self.owes_client(), self.owes_server());
            (&self.req, &self.res, owed, waits, self.front_active_at, proxy)
        } else {
            let (owed, waits) = (self.owes_server(), self.owes_client());
            (
                &self.res,
                &self.req,
                owed,
                waits,
                self.back_active_at,
                self.facts.backend,
            )
        };
        let mut timeout_ms = self.server_timeouts(core).tunnel_ms.or(own_ms);
        if to.write_closed {
            timeout_ms = fin_ms.or(timeout_ms);
        }
        let mut deadline = Ticks::NEVER;
        if owed {
            deadline = Ticks::after(active_at, timeout_ms);
        }
        if !from.read_closed && !waits {
            let heard_at = if self.is_independent(core, proxy) {
                self.heard_at[usize::from(!front)]
            } else {
                active_at
            };
            deadline = deadline.min(Ticks::after(heard_at, timeout_ms));
        }
        deadline
    }

    /// One side of a tunnel is late. As in HAProxy, a side that sends nothing has ended, and the other direction goes
    /// on; one that takes nothing is gone.
    fn tunnel_too_late(&mut self, core: &mut Core, front: bool) {
        if self.facts.cause.who == Who::None {
            if front {
                self.count_client_abort(core);
            } else {
                self.count_server_abort(core);
            }
        }
        let who = if front {
            Who::ClientTimeout
        } else {
            Who::ServerTimeout
        };
        self.facts.cause.set(who, When::Data);
        let (owed, from) = if front {
            (self.owes_client(), &mut self.req)
        } else {
            (self.owes_server(), &mut self.res)
        };
        if owed || from.read_closed {
            self.front_dead = true;
            self.step = Step::Finish;
        } else {
            from.read_closed = true;
        }
    }

    /// When waiting for the server is over.
    fn back_deadline(&self, core: &Core) -> Ticks {
        let timeouts = self.server_timeouts(core);
        let timeout_ms = timeouts.server_ms;
        if self.is_tunnel() {
            return self.tunnel_deadline(core, false, timeout_ms, timeouts.server_fin_ms);
        }
        let reads = match self.response.flow {
            Flow::Head => self.request.flow == Flow::Done,
            Flow::Body => !self.response.body_complete(),
            Flow::Done | Flow::Tunnel => false,
        };
        let awaited = self.owes_server() || reads;
        if reads && self.is_independent(core, self.facts.backend) {
            return Ticks::after(self.heard_at[1], timeout_ms);
        }
        let held_back = !self.owes_server() && self.owes_client();
        if awaited && !held_back {
            Ticks::after(self.back_active_at, timeout_ms)
        } else {
            Ticks::NEVER
        }
    }

    /// The deadline is reached.
    pub(super) fn on_timer(&mut self, core: &mut Core) {
        let now = core.now();
        if !self.deadline(core).is_past(now) {
            // An event of the same turn moved the stream on.
            return;
        }
        match self.step {
            Step::Request => self.request_too_late(core),
            Step::Gather => self.body_too_late(core),
            Step::Queued => self.queue_too_late(core),
            Step::TurnAround => self.step = Step::Assign,
            Step::Connect => self.connect_failed(core, true),
            Step::Exchange => {
                let front = self.front_deadline(core);
                let back = self.back_deadline(core);
                let late = match (front.is_past(now), back.is_past(now)) {
                    (true, true) if back < front => Late::Server,
                    (true, _) => Late::Client,
                    (false, true) => Late::Server,
                    (false, false) => return,
                };
                match late {
                    Late::Client => self.client_too_late(core),
                    Late::Server => self.server_too_late(core),
                }
            }
            Step::Reply | Step::Drain => {
                self.facts.cause.set_who(Who::ClientTimeout);
                self.front_dead = true;
                self.step = Step::Finish;
            }
            Step::Assign | Step::Finish => {}
        }
    }

    fn client_too_late(&mut self, core: &mut Core) {
        if !self.http || self.is_tunnel() {
            self.tunnel_too_late(core, true);
            return;
        }
        let request_open = matches!(self.request.flow, Flow::Head | Flow::Body);
        if request_open && !self.owes_client() {
            self.client_aborted(core, Who::ClientTimeout);
        } else {
            self.count_client_abort(core);
            self.facts.cause.set_who(Who::ClientTimeout);
            self.set_term_phase();
            self.front_dead = true;
            self.step = Step::Finish;
        }
    }

    fn server_too_late(&mut self, core: &mut Core) {
        if !self.http || self.is_tunnel() {
            self.tunnel_too_late(core, false);
            return;
        }
        if self.response.flow == Flow::Head {
            self.response_too_late(core);
        } else {
            self.count_server_abort(core);
            self.facts.cause.set_who(Who::ServerTimeout);
            self.set_term_phase();
            self.front_dead = true;
            self.step = Step::Finish;
        }
    }

    /// Sets the phase of the termination state from where the stream stands, unless it is known.
    pub(super) fn set_term_phase(&mut self) {
        let when = match self.step {
            Step::Request | Step::Gather => When::Request,
            _ => match self.response.flow {
                Flow::Head => When::Headers,
                Flow::Done
                    if matches!(
                        self.facts.cause.who,
                        Who::Client | Who::ClientTimeout | Who::Proxy
                    ) =>
                {
                    When::Last
                }
                _ => When::Data,
            },
        };
        self.facts.cause.set_when(when);
    }
}
