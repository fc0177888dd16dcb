//! A client connection from its accept to its first request, and between requests.
//!
//! ```text
//!  accept --(accept-proxy)--> Handshake --header--+
//!     +-------------------------------------------+--> TCP: a stream at once
//!                                                 +--> HTTP: Idle --first byte--> a stream --kept alive--> Idle
//! ```
//! Source: configuration manual, `accept-proxy`, `timeout client`, `timeout http-request`,
//! `timeout http-keep-alive`, `option clitcpka`.

use std::time::Duration;

use socket2::{SockAddr, Socket};

use super::conn::{Conn, FrontSide, Io, Owner, Side};
use super::connect::set_keep_alive;
use super::core::Wake;
use super::listener::endpoint_of;
use super::poll::{Kind, Ready, token};
use super::stream::own;
use super::sys;
use super::worker::Worker;
use crate::base::addr::Transport;
use crate::base::slab::Key;
use crate::base::ticks::Ticks;
use crate::model::conn_error::ConnError;
use crate::model::ids::{ListenerId, ProxyId};
use crate::model::proxy::Mode;
use crate::model::txn::{Endpoint, SessionFacts};
use crate::proto::h1::conn::ClientSide;
use crate::proto::proxyhdr::{self, ProxyError, Tlvs, tlv};

/// The fixed beginning of a PROXY header of version 2, bytes.
const PROXY_HEADER_MIN: usize = 16;

/// Largest PROXY header that is waited for, bytes.
const PROXY_HEADER_MAX: usize = 16_384;

/// The error of a connection whose PROXY header is refused.
fn handshake_error(error: ProxyError) -> ConnError {
    match error {
        ProxyError::NotHeader => ConnError::ProxyNotHeader,
        ProxyError::BadHeader => ConnError::ProxyBadHeader,
        ProxyError::BadProtocol => ConnError::ProxyBadProtocol,
        ProxyError::TooLong => ConnError::ProxyTruncated,
    }
}

impl Worker {
    /// Takes an accepted connection into service.
    pub(super) fn on_accepted(
        &mut self,
        frontend: ProxyId,
        id: ListenerId,
        socket: Socket,
        address: &SockAddr,
    ) {
        let config = self.core.config.clone();
        let (proxy, listener) = (config.proxy(frontend), config.listener(id));
        let src = endpoint_of(address);
        if config.global.reject_privileged_ports_tcp
            && src.inet().is_some_and(|addr| (1..1_024).contains(&addr.port()))
        {
            // It is closed as if nobody had accepted it.
            return;
        }
        if src != Endpoint::Unix {
            if listener.addr.transport == Transport::Mptcp {
                // Plain TCP sockets inherit it from their listener, MPTCP ones do not on every kernel.
                let _ = socket.set_tcp_nodelay(true);
            }
            if proxy.options.clitcpka {
                set_keep_alive(&socket, proxy.client_keep_alive);
            }
            if proxy.options.nolinger {
                let _ = socket.set_linger(Some(Duration::ZERO));
            }
            if config.global.tune.notsent_lowat_client > 0 {
                let _ = socket.set_tcp_notsent_lowat(config.global.tune.notsent_lowat_client);
            }
        }
        let facts = SessionFacts {
            frontend,
            listener: id,
            accepted: self.core.clock.stamp(),
            src,
            dst: Endpoint::Unknown,
            handshake_ms: 0,
        };
        let side = FrontSide {
            facts,
            streams: 0,
            private: Vec::new(),
            prefers_private: false,
            h1: ClientSide::new(),
            begun: facts.accepted,
            authority: None,
            netns: listener
                .namespace
                .as_ref()
                .and_then(|name| self.core.namespaces.find(name.as_bytes())),
        };
        let owner = if listener.accept_proxy {
            Owner::Handshake
        } else {
            Owner::Idle
        };
        let conn = Conn::new(socket, Ready::WRITE, owner, Side::Front(side));
        let Some(key) = self.core.add_conn(conn) else {
            return;
        };
        self.core.count_front_accepted(frontend, id);
        if listener.accept_proxy {
            let timeout_ms = proxy.timeouts.client_hs_ms.or(proxy.timeouts.client_ms);
            self.schedule_conn(key, Ticks::after(self.core.now(), timeout_ms));
        } else {
            self.begin_session(key, frontend, id);
        }
    }

    fn schedule_conn(&mut self, key: Key, deadline: Ticks) {
        if let Some(conn) = self.core.conns.get_mut(key) {
            self.core
                .wheel
                .schedule(token(Kind::Conn, key.to_u64()), &mut conn.timer, deadline);
        }
    }

    /// The handshakes are done: a TCP stream begins, an HTTP connection waits for its first byte.
    fn begin_session(&mut self, key: Key, frontend: ProxyId, id: ListenerId) {
        let config = self.core.config.clone();
        let proxy = config.proxy(frontend);
        let is_http = proxy.mode == Mode::Http;
        self.core.count_session(frontend, id);
        if is_http {
            self.core.count_h1_conn(key);
            let timeouts = &proxy.timeouts;
            let now = self.core.now();
            let deadline =
                Ticks::after(now, timeouts.client_ms).min(Ticks::after(now, timeouts.http_request_ms));
            self.core.park(key, deadline);
        } else {
            self.begin_stream(key);
        }
    }

    /// Gives the connection a stream, to be run in this turn.
    pub(super) fn begin_stream(&mut self, conn: Key) {
        if let Some(stream) = self.add_stream(conn) {
            own(&mut self.core, conn, stream);
            self.core.wake(stream, Wake::Io);
        }
    }

    /// Reads the PROXY header, exactly it and nothing of what follows.
    pub(super) fn on_handshake(&mut self, key: Key) {
        match self.read_proxy_header(key) {
            Ok(None) => {}
            Ok(Some((frontend, listener))) => {
                self.begin_session(key, frontend, listener);
                // What follows the header may be there already, without another event.
                self.on_conn_event_again(key);
            }
            Err(error) => self.fail_handshake(key, error),
        }
    }

    /// `None`: more must come first.
    fn read_proxy_header(&mut self, key: Key) -> Result<Option<(ProxyId, ListenerId)>, ConnError> {
        let core = &mut self.core;
        let Some(conn) = core.conns.get_mut(key).filter(|conn| conn.ready.any(Ready::READ)) else {
            return Ok(None);
        };
        let peeked = match sys::peek(conn.fd(), &mut core.scratch) {
            Ok(peeked) => peeked,
            Err(error) => match conn.blocked(&error, Ready::READ) {
                Some(Io::Failed(_)) => return Err(ConnError::ProxyAbort),
                _ => return Ok(None),
            },
        };
        let is_last = conn.ready.any(Ready::READ_CLOSED);
        let seen = core.scratch.get(..peeked).unwrap_or_default();
        let (used, addresses, authority, netns) = match proxyhdr::decode(seen, PROXY_HEADER_MAX) {
            Ok(Some(header)) if !header.sound => {
                // As HAProxy, which has taken the addresses by then: its log tells them.
                if let (Some((src, _)), Some(front)) = (header.addresses, conn.front_mut()) {
                    front.facts.src = Endpoint::Inet(src);
                }
                return Err(ConnError::ProxyBadHeader);
            }
            Ok(Some(header)) => {
                let (mut authority, mut netns) = (None, None);
                for (kind, value) in Tlvs::new(seen.get(header.tlvs).unwrap_or_default()).flatten() {
                    match kind {
                        tlv::AUTHORITY if authority.is_none() => authority = Some(value.into()),
                        // The last one that the configuration names, too.
                        tlv::NETNS => netns = core.namespaces.find(value).or(netns),
                        _ => {}
                    }
                }
                (header.len, header.addresses, authority, netns)
            }
            Ok(None) if peeked == 0 => return Err(ConnError::ProxyEmpty),
            Ok(None) if is_last || peeked == core.scratch.len() => return Err(ConnError::ProxyTruncated),
            Ok(None) => {
                // What was peeked stays in the socket: only more bytes make another event.
                conn.ready.remove(Ready::READ);
                return Ok(None);
            }
            // As HAProxy, which looks at what can be no header as soon as it has as much as a header begins with.
            Err(ProxyError::NotHeader) if peeked < PROXY_HEADER_MIN => return Err(ConnError::ProxyTruncated),
            Err(error) => return Err(handshake_error(error)),
        };
        let taken = core
            .scratch
            .get_mut(..used)
            .map_or(Io::Blocked, |room| conn.receive(room));
        if taken != Io::Done(used) {
            return Err(ConnError::ProxyAbort);
        }
        // A read that filled its room says nothing of what is left.
        conn.ready.insert(Ready::READ);
        let now = core.clock.now();
        conn.owner = Owner::Idle;
        let Some(front) = conn.front_mut() else {
            return Ok(None);
        };
        front.authority = authority;
        front.netns = netns.or(front.netns);
        if let Some((src, dst)) = addresses {
            front.facts.src = Endpoint::Inet(src);
            front.facts.dst = Endpoint::Inet(dst);
        }
        let waited_ms = now.ms_since(front.facts.accepted.at);
        front.facts.handshake_ms = u32::try_from(waited_ms).unwrap_or(u32::MAX);
        Ok(Some((front.facts.frontend, front.facts.listener)))
    }

    /// The connection never becomes a session: it is logged and closed.
    fn fail_handshake(&mut self, key: Key, error: ConnError) {
        let Some(conn) = self.core.conns.get(key) else {
            return;
        };
        let Some(mut facts) = conn.front().map(|front| front.facts) else {
            return;
        };
        if let Ok(addr) = conn.socket().local_addr() {
            facts.dst = endpoint_of(&addr);
        }
        let options = self.core.config.proxy(facts.frontend).options;
        let is_null = matches!(
            error,
            ConnError::ProxyEmpty | ConnError::ProxyAbort | ConnError::ProxyTimeout
        );
        if !(is_null && options.dontlognull) {
            self.core.log_handshake_error(&facts, error);
        }
        self.core.close_conn(key);
    }

    fn on_conn_event_again(&mut self, key: Key) {
        let Some(conn) = self.core.conns.get(key) else {
            return;
        };
        if conn.owner == Owner::Idle && conn.ready.any(Ready::READ) {
            self.begin_stream(key);
        }
    }

    /// The time of an idle or unready connection is over.
    pub(super) fn on_conn_timeout(&mut self, key: Key) {
        let Some(conn) = self.core.conns.get(key) else {
            return;
        };
        match (conn.owner, &conn.side) {
            // Nothing came since the accept: the client is told, and the attempt is logged.
            (Owner::Idle, Side::Front(front)) if front.streams == 0 => {
                let now = self.core.now();
                if let Some(stream) = self.add_stream(key) {
                    if let Some(stream) = self.streams.get_mut(stream) {
                        stream.phase_deadline = now;
                    }
                    own(&mut self.core, key, stream);
                    self.core.wake(stream, Wake::Timer);
                }
            }
            (Owner::Stream(_), _) => {}
            (Owner::Handshake, _) => self.fail_handshake(key, ConnError::ProxyTimeout),
            _ => self.core.close_conn(key),
        }
    }
}
