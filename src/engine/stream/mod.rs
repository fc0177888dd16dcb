//! One request and its response, or one relayed TCP connection.
//!
//! ```text
//!  Request --head--> Gather (body wanted first) --> Assign --slot--> Connect --> Exchange --> Finish
//!     |                                               | ^  \--full--> Queued       |            |
//!     |                                               | +--again----- TurnAround <-+ (failed)   |
//!     +---- refused, failed, answered here ----------->Reply-----------------------------------> +
//!  Finish: the connection to the server is kept or closed; the client's gets another request, waits, or closes
//! ```
//! A stream resumes in the step where it stopped. Each step returns what is next; a turn is bounded, so that
//! one stream never holds up the others. Steps in their files: request, assign, forward, response, reply, end.

mod assign;
mod burst;
mod end;
mod fields;
mod forward;
mod relay;
mod reply;
mod request;
mod response;
mod splice;
mod stage;
mod tally;
mod timing;
mod waiting;

use super::channel::{Channel, Places};
use super::conn::{FrontSide, Owner};
use super::core::{Core, Wake};
use super::poll::{Kind, token};
use super::tunnel::Pipe;
use crate::base::buf::Buf;
use crate::base::pool::Urgency;
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::base::wheel::Timer;
use crate::model::cause::{When, Who};
use crate::model::ids::{ProxyId, ServerId};
use crate::model::proxy::Mode;
use crate::model::txn::{SessionFacts, StreamFacts};
use crate::proto::h1::body::Decoder;
use crate::proto::h1::conn::{ClientSide, ServerSide};
use crate::proto::h1::parse::{Parser, Rules};
use crate::proto::h1::write::Encoding;
use crate::proto::h1::{Body, Framing};
use crate::proto::head::Head;

/// Steps that one run may take before others get their turn.
const STEPS_MAX: u32 = 64;

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Waits for a complete request head.
    Request,
    /// Waits for the body (`option http-buffer-request`).
    Gather,
    /// Looks for a server.
    Assign,
    /// Waits for a slot.
    Queued,
    /// Rests before another attempt on the same server.
    TurnAround,
    /// Waits for the connection to the server.
    Connect,
    /// Relays both ways.
    Exchange,
    /// Sends an answer made here.
    Reply,
    /// Reads the rest of a request that was answered already, so that the next one can be told from it.
    Drain,
    /// Everything is said: settles both connections.
    Finish,
}

/// What follows a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The step that is set now, at once.
    Go,
    /// An event or the timer.
    Wait,
    /// More can be done, but others come first.
    Yield,
    /// The stream is over.
    Over,
}

/// What a run leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The stream goes on.
    Live,
    /// The stream is over and may be recycled.
    Over,
}

/// An answer made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// A message, after which the connection may go on.
    Message,
    /// Bytes, after which it ends.
    Raw,
}

/// How far one direction of an exchange is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The head is not out yet (request) or not in yet (response).
    #[default]
    Head,
    /// The body is on its way.
    Body,
    /// The message is complete and handed over.
    Done,
    /// Bytes without meaning pass until an end.
    Tunnel,
}

/// What is known of one direction of an HTTP exchange.
#[derive(Debug)]
pub(crate) struct Message {
    /// The head, while it is needed.
    pub(crate) head: Option<Box<Head>>,
    /// The parser of the head or of trailers, while one is at work.
    pub(crate) parser: Option<Parser>,
    /// What the head said of the body.
    pub(crate) framing: Framing,
    /// Follows the body as it comes in.
    pub(crate) body: Decoder,
    /// How the body goes out.
    pub(crate) encoding: Encoding,
    /// How far it is.
    pub(crate) flow: Flow,
    /// Bytes of the head at the front of the input, until it is sent on.
    pub(crate) head_len: usize,
    /// Bytes of framing since the last byte of the body.
    pub(crate) skipped: usize,
    /// Part of an announced chunk is out.
    pub(crate) in_chunk: bool,
    /// Names of trailers go out in another case (`h1-case-adjust`).
    pub(crate) adjusts_case: bool,
    /// Bytes as logs and statistics count them: heads without separators, bodies without framing.
    pub(crate) counted: u64,
    /// As many of them as were passed on, in the form in which they were.
    pub(crate) passed: u64,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            head: None,
            parser: None,
            framing: Framing::default(),
            body: Decoder::new(Body::None),
            encoding: Encoding::Nothing,
            flow: Flow::Head,
            head_len: 0,
            skipped: 0,
            in_chunk: false,
            adjusts_case: false,
            counted: 0,
            passed: 0,
        }
    }
}

/// One request and its response, or one relayed TCP connection.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Its own key.
    pub(crate) key: Key,
    /// The client's connection.
    pub(crate) front: Key,
    /// The server's connection.
    pub(crate) back: Option<Key>,
    /// When it must be looked at again.
    pub(crate) timer: Timer,
    /// Where it stands.
    pub(crate) step: Step,
    /// Facts of the client's session.
    pub(crate) session: SessionFacts,
    /// Facts for logs and statistics.
    pub(crate) facts: StreamFacts,
    /// Client to server.
    pub(crate) req: Channel,
    /// Server to client.
    pub(crate) res: Channel,
    /// The request, in HTTP.
    pub(crate) request: Message,
    /// The response, in HTTP.
    pub(crate) response: Message,
    /// The client's half-machine.
    pub(crate) client: ClientSide,
    /// The server's half-machine.
    pub(crate) server: ServerSide,
    /// The stream speaks HTTP (at present: a TCP frontend may lead to an HTTP backend).
    pub(crate) http: bool,
    /// The request was counted and the stream with it.
    pub(crate) counted: bool,
    /// What came is a request, or may become one.
    pub(crate) is_request: bool,
    /// The server's side is settled, the stream counted and logged.
    pub(crate) accounts_closed: bool,
    /// Counted among the HTTP/1 streams of its frontend.
    pub(crate) in_h1_front: bool,
    /// Logs and statistics have the head of the request.
    head_counted: bool,
    /// Bytes that the counters have.
    tallied: tally::Tallied,
    /// The server takes no more of the request.
    pub(crate) undeliverable: bool,
    /// The end of the present phase (request head, queue, connect, turn-around).
    pub(crate) phase_deadline: Ticks,
    /// Last activity on the client's side.
    pub(crate) front_active_at: Ticks,
    /// Last activity on the server's side.
    pub(crate) back_active_at: Ticks,
    /// When bytes last came from the client, and from the server (`option independent-streams`).
    pub(crate) heard_at: [Ticks; 2],
    /// The server whose slot is held.
    pub(crate) slot: Option<ServerId>,
    /// The server of the slot counts this stream among its sessions.
    pub(crate) in_session: bool,
    /// The backend that counts this stream.
    pub(crate) counted_in: Option<ProxyId>,
    /// The server at which the last attempt failed.
    pub(crate) failed_at: Option<ServerId>,
    /// The turn of the loop in which a connection to a server was begun.
    pub(crate) dialed_in: u64,
    /// The connection to the server served others before.
    pub(crate) reused: bool,
    /// One of the attempts at this request was on a connection that served others before.
    pub(crate) ever_reused: bool,
    /// The server was found by balancing, and may be changed.
    pub(crate) assigned: bool,
    /// A copy of what was sent, for `retry-on`.
    pub(crate) resend: Option<Buf>,
    /// The request can no longer be sent again from the copy.
    pub(crate) resend_broken: bool,
    /// The request is being sent again from its copy.
    pub(crate) again: bool,
    /// The server has not got its PROXY header yet (relays).
    pub(crate) greets: bool,
    /// An answer made here waits for buffers.
    pub(crate) page_due: Option<Page>,
    /// Bytes of a PROXY header at the front of what goes to the server.
    pub(crate) proxy_header_len: usize,
    /// The server's half-machine as it was when the copy was made.
    pub(crate) resend_side: ServerSide,
    /// The connection to the server must serve no other client.
    pub(crate) private: bool,
    /// The server asked for the end of its connection in an interim response.
    pub(crate) no_reuse: bool,
    /// An end of the connection to the server by a reset: its client was reset.
    pub(crate) resets_back: bool,
    /// The kernel cannot splice between these sockets.
    pub(crate) splice_refused: bool,
    /// The log line is out (`option logasap`).
    pub(crate) logged: bool,
    /// This stream leaves no line.
    pub(crate) silent: bool,
    /// Bytes that statistics have already: of the request received and passed on, of the response likewise.
    pub(crate) counted_bytes: [u64; 4],
    /// Pipes of a spliced relay: request and response.
    pub(crate) pipes: [Option<Pipe>; 2],
    /// The client gets nothing more: its connection is to be closed.
    pub(crate) front_dead: bool,
}

impl Stream {
    /// A stream for that connection, in the memory of a former one.
    pub(crate) fn begin(
        key: Key,
        front: Key,
        side: &mut FrontSide,
        http: bool,
        now: Ticks,
        spare: Option<Box<Self>>,
    ) -> Box<Self> {
        side.streams = side.streams.saturating_add(1);
        let mut line = Vec::new();
        let mut place = spare;
        if let Some(former) = &mut place {
            line = std::mem::take(&mut former.facts.request_line);
        }
        let mut facts = StreamFacts::begin(0, side.begun, side.facts.frontend, http, line);
        facts.handshake_ms = if side.streams == 1 {
            side.facts.handshake_ms
        } else {
            0
        };
        let fresh = Self {
            key,
            front,
            back: None,
            timer: Timer::new(),
            step: if http { Step::Request } else { Step::Assign },
            session: side.facts,
            facts,
            req: Channel::default(),
            res: Channel::default(),
            request: Message::default(),
            response: Message::default(),
            client: side.h1,
            server: ServerSide::new(),
            http,
            counted: false,
            is_request: true,
            accounts_closed: false,
            in_h1_front: false,
            head_counted: false,
            tallied: tally::Tallied::default(),
            undeliverable: false,
            phase_deadline: Ticks::NEVER,
            front_active_at: now,
            back_active_at: now,
            heard_at: [now; 2],
            slot: None,
            in_session: false,
            counted_in: None,
            failed_at: None,
            dialed_in: 0,
            reused: false,
            ever_reused: false,
            assigned: false,
            resend: None,
            resend_broken: false,
            again: false,
            greets: false,
            page_due: None,
            proxy_header_len: 0,
            resend_side: ServerSide::new(),
            private: false,
            no_reuse: false,
            resets_back: false,
            splice_refused: false,
            logged: false,
            silent: false,
            counted_bytes: [0; 4],
            pipes: [None, None],
            front_dead: false,
        };
        match place {
            Some(mut place) => {
                *place = fresh;
                place
            }
            None => Box::new(fresh),
        }
    }

    /// Runs until nothing more can be done now.
    pub(crate) fn run(&mut self, core: &mut Core, why: Wake) -> Outcome {
        match why {
            Wake::Io => {}
            Wake::Timer => self.on_timer(core),
            Wake::Granted(granted) => self.on_granted(core, granted),
            Wake::Kill => self.kill(core),
        }
        for _ in 0..STEPS_MAX {
            let next = match self.step {
                Step::Request => self.wait_request(core),
                Step::Gather => self.gather(core),
                Step::Assign => self.assign(core),
                Step::Queued => self.wait_queued(core),
                Step::TurnAround => self.wait_turn_around(core),
                Step::Connect => self.wait_connect(core),
                Step::Exchange if self.http => self.exchange(core),
                Step::Exchange => self.relay(core),
                Step::Reply => self.send_reply(core),
                Step::Drain => self.drain(core),
                Step::Finish => self.finish(core),
            };
            match next {
                Next::Go => {}
                Next::Wait => {
                    self.give_back_buffers(core);
                    self.arm(core);
                    return Outcome::Live;
                }
                Next::Yield => {
                    self.req.close_burst(&mut core.bufs);
                    self.res.close_burst(&mut core.bufs);
                    break;
                }
                Next::Over => return Outcome::Over,
            }
        }
        core.wake(self.key, Wake::Io);
        self.arm(core);
        Outcome::Live
    }

    /// Takes buffers for one direction. False: there are too few, and the stream is run again when there are more.
    fn borrow(&mut self, core: &mut Core, upward: bool, places: Places) -> bool {
        let urgency = if upward {
            Urgency::Request
        } else {
            Urgency::Response
        };
        self.borrow_as(core, upward, places, urgency)
    }

    fn borrow_as(&mut self, core: &mut Core, upward: bool, places: Places, urgency: Urgency) -> bool {
        for gives_back in [true, false] {
            let channel = if upward { &mut self.req } else { &mut self.res };
            if channel.lend(&mut core.bufs, places, urgency) {
                return true;
            }
            if gives_back {
                self.give_back_buffers(core);
            }
        }
        let channel = if upward { &self.req } else { &self.res };
        core.buffer_waiters.add(self.key, urgency, channel.lacks(places));
        false
    }

    /// Buffers that hold nothing are of use to others while this stream waits.
    fn give_back_buffers(&mut self, core: &mut Core) {
        self.req.give_back_empty(&mut core.bufs);
        self.res.give_back_empty(&mut core.bufs);
    }

    /// Files the earliest of the stream's deadlines, and what passed: to the proxies with `option contstats` alone.
    fn arm(&mut self, core: &mut Core) {
        let continuous = core.config.proxy(self.session.frontend).options.contstats;
        if continuous && self.facts.backend_chosen && !self.silent {
            self.settle_bytes(core);
        }
        self.tally_bytes(core);
        let deadline = self.deadline(core);
        core.wheel
            .schedule(token(Kind::Stream, self.key.to_u64()), &mut self.timer, deadline);
    }

    /// The backend, or the frontend while none is chosen.
    fn backend(&self) -> ProxyId {
        self.facts.backend
    }

    /// Ends the stream from outside, whatever it does. One that has its answer already, or no request yet, is
    /// left to its end.
    fn kill(&mut self, core: &mut Core) {
        if matches!(
            self.step,
            Step::Request | Step::Reply | Step::Drain | Step::Finish
        ) {
            return;
        }
        // As HAProxy: the phase of a killed stream is always that of connecting, the status that of an error
        // of ours, though the client is told nothing.
        self.facts.cause.set(Who::Killed, When::Connect);
        if self.http {
            self.facts.status = 500;
        }
        core.queues_cancel(self.key, &mut self.facts);
        self.drop_back(core, true);
        self.front_dead = true;
        self.step = Step::Finish;
    }

    /// Parser settings of requests.
    fn request_rules(&self, core: &Core) -> Rules {
        let lenient = core.config.proxy(self.session.frontend).options.unsafe_request;
        core.parser_rules(lenient)
    }

    /// Parser settings of responses.
    fn response_rules(&self, core: &Core) -> Rules {
        let lenient = core.config.proxy(self.backend()).options.unsafe_response;
        core.parser_rules(lenient)
    }

    /// Whether a client that closes while it waits is taken as an abort.
    fn aborts_on_close(&self, core: &Core) -> bool {
        let proxy = core.config.proxy(self.backend());
        proxy.options.abortonclose || (!proxy.options.no_abortonclose && proxy.mode == Mode::Http)
    }

    /// Gives the server's connection up: it is closed, by a reset or with a FIN before, and its slot is free.
    fn drop_back(&mut self, core: &mut Core, reset: bool) {
        if let Some(back) = self.back.take() {
            self.close_h1_back(core);
            if !reset && let Some(conn) = core.conns.get_mut(back) {
                conn.shut_write();
            }
            core.release_back(back);
            core.close_conn(back);
        }
        self.release_slot(core);
    }
}

/// Takes over a connection whose owner this stream becomes.
pub(crate) fn own(core: &mut Core, conn: Key, stream: Key) {
    if let Some(found) = core.conns.get_mut(conn) {
        found.owner = Owner::Stream(stream);
        core.wheel.cancel(&mut found.timer);
    }
}
