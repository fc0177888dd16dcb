//! What a head means once all its lines are read: target and `Host`, version, framing, refusals.
//!
//! The order of the checks is HAProxy's, since it decides which status a message with several faults gets.
//! Sources: RFC 9112 sections 2.3, 3.2, 6.1 and 6.3, RFC 9110 sections 4.2.3, 7.8 and 10.1.1.

use crate::base::ascii;
use crate::proto::h1::parse::{HeadError, Parsed, Parser};
use crate::proto::h1::scan::Section;
use crate::proto::h1::target::{self, Form, Mismatch, Parts};
use crate::proto::h1::{Body, Declared, Framing, fields};
use crate::proto::head::{Head, Known, Method, Span, StartLine, Version};

/// What the start line and the end of the fields weigh beside their text.
const START_WEIGHT: usize = 8 + 20 + 8 + 1;
/// What a field weighs beside its text.
const FIELD_WEIGHT: usize = 8;

/// Longest field name, bytes.
const NAME_MAX: u32 = 255;

impl Parser {
    /// All lines are read: what does the message mean?
    pub(super) fn finish(&mut self, store: &mut [u8], head: &mut Head, body_at: u32) -> Parsed {
        for slot in head.slots() {
            ascii::fold(slot.name.of_mut(store));
        }
        match self.conclude(store, head) {
            Ok(framing) => Parsed::Done { body_at, framing },
            Err(error) => Parsed::Error(error),
        }
    }

    fn conclude(&mut self, store: &mut [u8], head: &mut Head) -> Result<Framing, HeadError> {
        if self.section == Section::Request {
            self.check_target(store, head)?;
        }
        let mut close = self.said.options.close;
        if self.said.codings.present {
            // RFC 9112 section 6.1: whoever is in doubt about the length must not go on with the connection.
            if self.said.length.is_some() {
                close |= !self.rules.keep_on_insecure_te;
                self.said.length = None;
                head.remove_known(Known::ContentLength);
            } else if !self.said.v11 {
                close = true;
            }
            if !self.said.codings.chunked_last && self.section != Section::Response {
                return Err(HeadError::TransferEncoding);
            }
        }
        if self.section == Section::Trailers {
            return Ok(Framing {
                tolerated: self.scanner.tolerated(),
                ..Framing::default()
            });
        }
        // HAProxy holds the length of a name in 8 bits.
        if head.slots().iter().any(|slot| slot.name.len > NAME_MAX) {
            return Err(HeadError::Syntax);
        }
        let not_http = self.check_version(store, head)?;
        head.version = if self.said.v11 {
            Version::Http11
        } else {
            Version::Http10
        };
        if self.rules.max_weight > 0 && weight(head) > self.rules.max_weight as usize {
            return Err(HeadError::TooLarge);
        }
        let declared = match (self.said.codings.chunked_last, self.said.length) {
            (true, _) => Declared::Chunked,
            (false, Some(length)) => Declared::Length(length),
            (false, None) => Declared::Nothing,
        };
        let mut framing = Framing {
            body: Body::None,
            declared,
            length_known: true,
            transfer_encoding: self.said.codings.present,
            v11: self.said.v11,
            close,
            keep_alive: self.said.options.keep_alive,
            upgrade: self.said.options.upgrade,
            websocket: self.said.protocols.websocket,
            expect_continue: false,
            not_http,
            tolerated: None,
        };
        if self.section == Section::Request {
            self.conclude_request(store, head, &mut framing)?;
        } else {
            self.conclude_response(head, &mut framing)?;
        }
        if framing.upgrade && framing.websocket && !has_websocket_key(store, head, self.section) {
            let at = head.version_text.off;
            if !self.scanner.tolerate(at) {
                return Err(HeadError::WebsocketKey);
            }
        }
        framing.tolerated = self.scanner.tolerated();
        Ok(framing)
    }

    fn conclude_request(
        &self,
        store: &mut [u8],
        head: &mut Head,
        framing: &mut Framing,
    ) -> Result<(), HeadError> {
        let method = head.method();
        if method == Method::Connect {
            framing.declared = Declared::Nothing;
        }
        framing.body = match framing.declared {
            Declared::Chunked => Body::Chunked,
            Declared::Length(length) if length > 0 => Body::Length(length),
            _ => Body::None,
        };
        self.match_upgrade(store, head, framing);
        normalize_target(store, head)?;
        if !framing.v11
            && framing.body != Body::None
            && !self.rules.payload_with_any_method
            && matches!(method, Method::Get | Method::Head | Method::Delete)
        {
            return Err(HeadError::Payload);
        }
        if self.said.codings.other {
            return Err(HeadError::UnknownCoding);
        }
        if head.method_text(store).eq_ignore_ascii_case(b"PRI") {
            return Err(HeadError::ReservedMethod);
        }
        framing.expect_continue =
            framing.v11 && framing.declared != Declared::Nothing && expects_continue(store, head);
        Ok(())
    }

    /// `Connection: upgrade` and `Upgrade` only mean something together; a lone one goes no further.
    fn match_upgrade(&self, store: &mut [u8], head: &mut Head, framing: &mut Framing) {
        match (framing.upgrade, self.said.protocols.any) {
            (false, true) => {
                head.remove_known(Known::Upgrade);
            }
            (true, false) => {
                framing.upgrade = false;
                for at in (0..head.len()).rev() {
                    let Some(&slot) = head.slots().get(at).filter(|slot| slot.id == Known::Connection) else {
                        continue;
                    };
                    let len = fields::strip(slot.value.of_mut(store), |word| {
                        word.eq_ignore_ascii_case(b"upgrade")
                    });
                    if len == 0 {
                        head.remove(at);
                    } else {
                        head.set_value_span(at, Span::new(slot.value.off, len as u32));
                    }
                }
            }
            _ => {}
        }
    }

    fn conclude_response(&self, head: &mut Head, framing: &mut Framing) -> Result<(), HeadError> {
        let status = head.status();
        if status != 101 {
            framing.upgrade = false;
            framing.websocket = false;
        }
        let tunnel = status == 101 || (self.asked == Method::Connect && (200..300).contains(&status));
        let never = (100..200).contains(&status) || status == 204;
        if tunnel || never {
            framing.declared = Declared::Nothing;
            head.remove_known(Known::TransferEncoding);
            head.remove_known(Known::ContentLength);
        }
        framing.body = match framing.declared {
            _ if tunnel => Body::Tunnel,
            _ if never || status == 304 || self.asked == Method::Head => Body::None,
            Declared::Chunked => Body::Chunked,
            Declared::Length(0) => Body::None,
            Declared::Length(length) => Body::Length(length),
            Declared::Nothing => Body::UntilClose,
        };
        framing.length_known = framing.body != Body::UntilClose;
        if self.said.codings.other {
            return Err(HeadError::UnknownCoding);
        }
        Ok(())
    }

    /// `HTTP/` digit `.` digit. Says whether something else was let through. HTTP/0.9 becomes HTTP/1.0 then.
    fn check_version(&self, store: &[u8], head: &Head) -> Result<bool, HeadError> {
        let text = head.version_text.of(store);
        let good = matches!(text, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit());
        match good {
            true => Ok(false),
            false if !self.rules.lenient => Err(HeadError::Version),
            false if text.is_empty() && head.method() != Method::Get => Err(HeadError::Version),
            false => Ok(!text.is_empty()),
        }
    }

    /// Whether the target has a form that fits the method, and agrees with `Host`.
    fn check_target(&mut self, store: &[u8], head: &mut Head) -> Result<(), HeadError> {
        let StartLine::Request {
            method, target: span, ..
        } = head.start
        else {
            return Err(HeadError::Target);
        };
        let text = span.of(store);
        let host_at = self.said.host;
        match Form::of(text) {
            Form::Empty => Err(HeadError::Target),
            Form::Asterisk if text.len() == 1 && matches!(method, Method::Options | Method::Other) => Ok(()),
            Form::Asterisk => Err(HeadError::Target),
            Form::Origin if method == Method::Connect => Err(HeadError::Target),
            Form::Origin => Ok(()),
            Form::AbsoluteOrAuthority => {
                let parts = Parts::of(text);
                if target::has_forbidden_byte(parts.authority) && !self.scanner.tolerate(span.off) {
                    return Err(HeadError::Target);
                }
                let host = host_at.map(|index| head.value(store, index));
                let fault = match (parts.scheme, method == Method::Connect) {
                    (None, true) => match target::check_connect(parts.authority, host) {
                        Ok(cut) => {
                            if let (Some(index), Some(len)) = (host_at, cut) {
                                let old = head
                                    .slots()
                                    .get(index)
                                    .map_or_else(Span::default, |slot| slot.value);
                                head.set_value_span(index, Span::new(old.off, len as u32));
                            }
                            None
                        }
                        Err(mismatch) => Some(mismatch),
                    },
                    (Some(scheme), false) => host
                        .filter(|host| !target::same_authority(scheme, parts.authority, host))
                        .map(|_| Mismatch::Host),
                    _ => return Err(HeadError::Target),
                };
                match fault {
                    None => Ok(()),
                    Some(_) if self.scanner.tolerate(span.off) => Ok(()),
                    Some(Mismatch::Target) => Err(HeadError::Target),
                    Some(Mismatch::Host) => Err(HeadError::Host),
                }
            }
        }
    }
}

/// Whether the first expectation is `100-continue`.
fn expects_continue(store: &[u8], head: &Head) -> bool {
    let value = head.known(store, Known::Expect).unwrap_or_default();
    let first = fields::Elements::new(value).next();
    first
        .and_then(|element| value.get(element.start..element.end))
        .is_some_and(|word| word.eq_ignore_ascii_case(b"100-continue"))
}

/// A WebSocket handshake needs a key of 24 characters in the request, an answer to it in the response.
fn has_websocket_key(store: &[u8], head: &Head, section: Section) -> bool {
    if section == Section::Request {
        let mut keys = head.iter(store).filter(|field| field.0 == Known::SecWebsocketKey);
        keys.any(|(_, _, value)| value.len() == 24)
    } else {
        head.find_known(Known::SecWebsocketAccept, 0).is_some()
    }
}

/// What the head takes in a buffer; see [`max_weight`](super::max_weight).
fn weight(head: &Head) -> usize {
    let line = match head.start {
        StartLine::Empty => 0,
        StartLine::Request { name, target, .. } => name.len + target.len,
        StartLine::Response { code, reason, .. } => code.len + reason.len,
    };
    let fields: usize = head
        .slots()
        .iter()
        .map(|slot| FIELD_WEIGHT + slot.name.len as usize + slot.value.len as usize)
        .sum();
    START_WEIGHT + (line + head.version_text.len) as usize + fields
}

/// Gives an absolute target a path, and takes the default port out of it and out of `Host`
/// (RFC 9110 section 4.2.3), so that all that follows sees one spelling.
fn normalize_target(store: &mut [u8], head: &mut Head) -> Result<(), HeadError> {
    let StartLine::Request {
        method, target: span, ..
    } = head.start
    else {
        return Ok(());
    };
    let text = span.of(store);
    if method == Method::Connect || Form::of(text) != Form::AbsoluteOrAuthority {
        return Ok(());
    }
    let parts = Parts::of(text);
    let Some(scheme) = parts.scheme else { return Ok(()) };
    let (host, port) = target::split_port(parts.authority);
    let drop_port = port.filter(|port| target::is_default_port(Some(scheme), port));
    let add_path = parts.path.is_empty() && method != Method::Options;
    if drop_port.is_none() && !add_path {
        return Ok(());
    }
    let host_len = if drop_port.is_some() {
        host.len()
    } else {
        parts.authority.len()
    } as u32;
    let authority_len = parts.authority.len() as u32;
    let path_len = parts.path.len() as u32;
    let authority = Span::new(span.end() - path_len - authority_len, authority_len);
    let host = Span::new(authority.off, host_len);
    store.copy_within(authority.end() as usize..span.end() as usize, host.end() as usize);
    let mut end = host.end() + path_len;
    if add_path {
        // The blank after the target is free once the line is cut in parts.
        if let Some(byte) = store.get_mut(end as usize) {
            *byte = b'/';
        }
        end += 1;
    }
    head.set_target_span(Span::between(span.off, end));
    for at in 0..head.len() {
        let Some(&slot) = head.slots().get(at).filter(|slot| slot.id == Known::Host) else {
            continue;
        };
        if slot.value.len >= host.len {
            store.copy_within(host.range(), slot.value.off as usize);
            head.set_value_span(at, Span::new(slot.value.off, host.len));
        } else {
            // Only where a disagreeing Host was let through.
            let room = Span::new(head.reserve.start, host.len);
            if room.end() > head.reserve.end || room.end() as usize > store.len() {
                return Err(HeadError::TooLarge);
            }
            store.copy_within(host.range(), room.off as usize);
            head.reserve.start = room.end();
            head.set_value_span(at, room);
        }
    }
    Ok(())
}
