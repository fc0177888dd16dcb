//! What tells a server about the client: `X-Forwarded-For`, `X-Original-To`, `Forwarded`, the PROXY header.
//!
//! Sources: RFC 7239; configuration manual, `option forwardfor`, `originalto`, `forwarded`, `send-proxy`,
//! `send-proxy-v2`; the PROXY protocol specification.

use std::net::SocketAddr;

use super::super::conn::Conn;
use super::super::core::Core;
use super::super::netns::NetnsId;
use super::{Next, Stream};
use crate::base::iptext::IpText;
use crate::model::cause::{When, Who};
use crate::model::proxy::ForwardFor;
use crate::model::server::SendProxy;
use crate::model::txn::Endpoint;
use crate::proto::forwarded::{Forwarded, Node, NodeName, NodePort};
use crate::proto::head::Known;
use crate::proto::proxyhdr::{self, Tlv, tlv};

/// Room for a PROXY header, bytes.
pub(super) const PROXY_HEADER_MAX: usize = 640;

/// Room for a `Forwarded` value: a host name and two nodes.
const FORWARDED_MAX: usize = 512;

impl Stream {
    /// Adds the fields that options ask for. False when the buffer has no room for them.
    pub(super) fn add_forwarding_fields(&mut self, core: &mut Core) -> bool {
        let wants_dst = [self.session.frontend, self.backend()]
            .map(|id| core.config.proxy(id))
            .iter()
            .any(|proxy| proxy.originalto.is_some() || proxy.forwarded.is_some_and(|f| f.by || f.by_port));
        if wants_dst {
            self.learn_dst(core);
        }
        let config = &core.config;
        let (frontend, backend) = (config.proxy(self.session.frontend), config.proxy(self.backend()));
        // The backend's settings win over the frontend's, as each names a header of its own.
        let forwardfor = backend.forwardfor.as_ref().or(frontend.forwardfor.as_ref());
        let originalto = backend.originalto.as_ref().or(frontend.originalto.as_ref());
        let forwarded = backend.forwarded.or(frontend.forwarded);
        (forwarded.is_none_or(|wanted| self.add_forwarded(wanted)))
            && forwardfor.is_none_or(|wanted| self.add_address(wanted, self.session.src))
            && originalto.is_none_or(|wanted| self.add_address(wanted, self.session.dst))
    }

    /// A field found no room: the request goes no further.
    pub(super) fn no_room_for_fields(&mut self, core: &mut Core) -> Next {
        let fe = &mut core.state.proxy_mut(self.session.frontend).counters.fe;
        fe.failed_rewrites += 1;
        fe.internal_errors += 1;
        let listener = &mut core.state.listener_mut(self.session.listener).counters;
        listener.failed_rewrites += 1;
        listener.internal_errors += 1;
        let be = &mut core.state.proxy_mut(self.backend()).counters.be;
        be.failed_rewrites += 1;
        be.internal_errors += 1;
        // As HAProxy, for which the request is not complete before this.
        self.facts.request = None;
        self.reply_page(core, 500, Who::Proxy, When::Request)
    }

    /// Adds one address under the name that an option gives.
    fn add_address(&mut self, wanted: &ForwardFor, end: Endpoint) -> bool {
        let Some(addr) = end.inet() else { return true };
        if wanted.except.is_some_and(|net| net.contains(addr.ip())) {
            return true;
        }
        let Some(head) = &mut self.request.head else {
            return false;
        };
        let store = self.req.input.storage_mut();
        if wanted.if_none && head.find(store, wanted.header.as_bytes(), 0).is_some() {
            return true;
        }
        let text = IpText::new(addr.ip());
        head.append(store, wanted.header.as_bytes(), text.as_bytes())
            .is_ok()
    }

    fn add_forwarded(&mut self, wanted: crate::model::proxy::Forwarded) -> bool {
        let Some(head) = &mut self.request.head else {
            return false;
        };
        let store = self.req.input.storage_mut();
        let node = |end: Endpoint, ip: bool, port: bool| {
            (ip || port).then(|| Node {
                name: match (end.inet(), ip) {
                    (Some(addr), true) => NodeName::Ip(addr.ip()),
                    _ => NodeName::Unknown,
                },
                port: port.then(|| {
                    end.inet()
                        .map_or(NodePort::Unknown, |addr| NodePort::Number(addr.port()))
                }),
            })
        };
        let mut value = [0_u8; FORWARDED_MAX];
        let host = if wanted.host {
            head.known(store, Known::Host)
        } else {
            None
        };
        let forwarded = Forwarded {
            proto_tls: wanted.proto.then_some(false),
            host,
            by: node(self.session.dst, wanted.by, wanted.by_port),
            for_: node(self.session.src, wanted.for_, wanted.for_port),
        };
        let Ok(length) = forwarded.write(&mut value) else {
            return false;
        };
        let value = value.get(..length).unwrap_or_default();
        // One field only: a further element goes behind those of the proxies before.
        let mut last = None;
        while let Some(next) = head.find_known(Known::Forwarded, last.map_or(0, |at: usize| at + 1)) {
            last = Some(next);
        }
        match last {
            None => head.append(store, b"forwarded", value).is_ok(),
            Some(index) => {
                let mut joined = [0_u8; 2 * FORWARDED_MAX];
                let former = head.value(store, index);
                let length = former.len() + 1 + value.len();
                let Some(room) = joined.get_mut(..length) else {
                    return false;
                };
                let (before, after) = room.split_at_mut(former.len());
                before.copy_from_slice(former);
                after[0] = b',';
                after[1..].copy_from_slice(value);
                head.set_value(store, index, room).is_ok()
            }
        }
    }

    /// What the server's PROXY header tells of the host name that the client asked for: what the client's own
    /// header told.
    pub(super) fn authority<'c>(&self, core: &'c Core) -> Option<&'c [u8]> {
        let server = core.config.server(self.slot?);
        let wanted = server.proxy_v2_options.authority && server.send_proxy == Some(SendProxy::V2);
        let front = core.conns.get(self.front).and_then(Conn::front)?;
        front.authority.as_deref().filter(|_| wanted)
    }

    /// The network namespace that the client's connection belongs to.
    pub(super) fn netns(&self, core: &Core) -> Option<NetnsId> {
        core.conns.get(self.front).and_then(Conn::front)?.netns
    }

    /// Puts the PROXY header of the server's line before everything else that goes to it. There is a buffer for it.
    pub(super) fn put_proxy_header(&mut self, core: &mut Core) {
        self.proxy_header_len = 0;
        let Some(server) = self.slot.map(|id| core.config.server(id).clone()) else {
            return;
        };
        let Some(version) = server.send_proxy else { return };
        self.learn_dst(core);
        let addresses: Option<(SocketAddr, SocketAddr)> =
            self.session.src.inet().zip(self.session.dst.inet());
        let mut header = [0_u8; PROXY_HEADER_MAX];
        let length = match version {
            SendProxy::V1 => proxyhdr::encode_v1(addresses, &mut header),
            SendProxy::V2 => {
                let options = server.proxy_v2_options;
                let authority = self.authority(core);
                let netns = self.netns(core).map(|id| core.namespaces.name(id).as_bytes());
                // Without `unique-id-format` the identity is empty.
                let tlvs = [
                    options.crc32c.then_some(Tlv::Crc32c),
                    authority.map(|name| Tlv::Value(tlv::AUTHORITY, name)),
                    options.unique_id.then_some(Tlv::Value(tlv::UNIQUE_ID, b"")),
                    netns.map(|name| Tlv::Value(tlv::NETNS, name)),
                ];
                let mut given = [Tlv::Crc32c; 4];
                let mut count = 0;
                for (place, tlv) in given.iter_mut().zip(tlvs.into_iter().flatten()) {
                    *place = tlv;
                    count += 1;
                }
                proxyhdr::encode_v2(addresses, given.get(..count).unwrap_or_default(), &mut header)
            }
        };
        let header = header.get(..length.unwrap_or(0)).unwrap_or_default();
        if self.req.put_first(header) {
            self.proxy_header_len = header.len();
        }
    }
}
