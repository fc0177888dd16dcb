//! Answers made here: error pages, `errorfile`, the monitor's page.
//!
//! A fault in the head of a request is answered raw, before there is a message: nothing of the connection can
//! be trusted, so it closes. Every other answer is a message like one from a server, so that persistence,
//! HEAD and versions are treated alike. The texts are ours; statuses, reasons and header fields are HAProxy's.
//! Source: configuration manual, `errorfile`, `monitor-uri`.

use super::super::channel::Places;
use super::super::conn::Io;
use super::super::core::Core;
use super::forward::{Moved, READS_MAX};
use super::stage::{Staged, stage};
use super::{Flow, Next, Page, Step, Stream};
use crate::model::cause::{When, Who};
use crate::proto::h1::body::Decoder;
use crate::proto::h1::conn::After;
use crate::proto::h1::parse::{Parsed, Parser, Rules};
use crate::proto::h1::write::Encoding;

/// Status, reason and text of a built-in page.
type BuiltIn = (u16, &'static str, &'static str);

/// The page of an internal error.
const INTERNAL_ERROR: BuiltIn = (500, "Internal Server Error", "Something went wrong inside.");

/// The built-in pages of the other statuses that are answered here.
const PAGES: &[BuiltIn] = &[
    (200, "OK", "Ready to serve."),
    (
        400,
        "Bad request",
        "This request is not valid and was not processed.",
    ),
    (
        403,
        "Forbidden",
        "The rules of this site do not allow this request.",
    ),
    (405, "Method Not Allowed", "This method does not serve here."),
    (408, "Request Time-out", "The request was not complete in time."),
    (
        413,
        "Payload Too Large",
        "The body of the request is larger than allowed.",
    ),
    (
        414,
        "URI Too Long",
        "The address of the request is longer than allowed.",
    ),
    (
        422,
        "Unprocessable Content",
        "The coding of the request is not understood.",
    ),
    (
        431,
        "Request Header Fields Too Large",
        "The header fields of the request are larger than allowed.",
    ),
    (
        502,
        "Bad Gateway",
        "The server's answer was missing or not valid.",
    ),
    (503, "Service Unavailable", "No server can take this request now."),
    (504, "Gateway Time-out", "The server did not answer in time."),
];

/// Finds a built-in page.
fn page_of(status: u16) -> BuiltIn {
    let found = PAGES.iter().find(|(known, ..)| *known == status);
    found.copied().unwrap_or(INTERNAL_ERROR)
}

/// Writes a built-in page with the header fields of a raw answer, or of a message.
fn write_page(out: &mut Vec<u8>, status: u16, raw: bool) {
    use std::io::Write;
    let (status, reason, text) = page_of(status);
    let mut body = Vec::with_capacity(256);
    // Writing to a vector cannot fail.
    let _ = writeln!(
        body,
        "<!doctype html><title>{status} {reason}</title><h1>{status} {reason}</h1><p>{text}"
    );
    let _ = if raw {
        write!(
            out,
            "HTTP/1.1 {status} {reason}\r\nContent-length: {}\r\nCache-Control: no-cache\r\n{}Content-Type: text/html\r\n\r\n",
            body.len(),
            // As HAProxy: only these two announce the close that follows all of them.
            if matches!(status, 400 | 408) {
                "Connection: close\r\n"
            } else {
                ""
            }
        )
    } else {
        write!(
            out,
            "HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n",
            body.len()
        )
    };
    out.extend_from_slice(&body);
}

impl Stream {
    /// Answers without a message, and closes.
    pub(super) fn reply_raw(&mut self, core: &mut Core, status: u16) -> Next {
        self.facts.status = status;
        self.client.input_closed();
        self.step = Step::Reply;
        if self.front_dead {
            self.step = Step::Finish;
            return Next::Go;
        }
        self.log_reply(core);
        self.page_due = Some(Page::Raw);
        Next::Go
    }

    /// Answers with the page of that status as a message. The server's connection was given up before.
    pub(super) fn reply_page(&mut self, core: &mut Core, status: u16, who: Who, when: When) -> Next {
        self.facts.cause.set(who, when);
        if self.response.flow != Flow::Head || self.front_dead {
            // Something was sent already: only the end of the connection can tell.
            self.front_dead = true;
            self.step = Step::Finish;
            return Next::Go;
        }
        self.facts.status = status;
        self.log_reply(core);
        if self.req.read_closed {
            self.client.input_closed();
        }
        self.discard_request(core);
        self.page_due = Some(Page::Message);
        self.step = Step::Reply;
        Next::Go
    }

    /// Lays an answer out, once there are buffers. False when it cannot be sent.
    fn lay_out(&mut self, core: &mut Core, page: Page) -> bool {
        let status = self.facts.status;
        match (page, self.error_file(core, status)) {
            (_, Some(bytes)) => self.lay_out_page(core, status, Some(&bytes)),
            (Page::Message, None) => self.lay_out_page(core, status, None),
            (Page::Raw, None) => {
                let mut page = Vec::new();
                write_page(&mut page, status, true);
                self.response.flow = Flow::Done;
                self.res.pre.push(&page)
            }
        }
    }

    /// An answer made here is logged before it leaves: with no bytes, and the time until now.
    fn log_reply(&mut self, core: &mut Core) {
        self.facts.closed_at = Some(core.now());
        self.facts.sent_bytes = self.counted_request(core);
        self.facts.received_bytes = self.response.counted;
        self.log_now(core, self.origin_of_end());
        self.logged = true;
    }

    /// The page as a response head and body in the response's buffers.
    fn lay_out_page(&mut self, core: &mut Core, status: u16, file: Option<&[u8]>) -> bool {
        self.res.input.clear();
        let mut page = Vec::new();
        let bytes = match file {
            Some(bytes) => bytes,
            None => {
                write_page(&mut page, status, false);
                &page
            }
        };
        if !self.res.input.push(bytes) {
            return false;
        }
        if self.response.head.is_none() {
            self.response.head = core.take_head();
        }
        let Some(head) = &mut self.response.head else {
            return false;
        };
        head.clear();
        let mut parser = Parser::response(
            Rules {
                lenient: true,
                ..Rules::default()
            },
            self.client.asked(),
        );
        let input = &mut self.res.input;
        let unread = u32::try_from(input.start()).unwrap_or(0)..u32::try_from(input.end()).unwrap_or(0);
        let Parsed::Done { body_at, framing } = parser.parse(input.storage_mut(), unread.clone(), true, head)
        else {
            return false;
        };
        self.response.framing = framing;
        self.response.body = Decoder::new(framing.body);
        self.response.parser = None;
        if !self.write_head(core, &framing) {
            return false;
        }
        let head_len = body_at.saturating_sub(unread.start) as usize;
        self.res.input.consume(head_len.min(self.res.input.len()));
        if let Some(head) = self.response.head.take() {
            core.heads.put(head);
        }
        self.response.flow = Flow::Body;
        // The page is all there is: its end is the end of the buffer.
        self.res.read_closed = true;
        true
    }

    /// Drops what the buffer holds of the request. What is still to come is read and dropped after the answer,
    /// unless nothing more can come.
    fn discard_request(&mut self, core: &mut Core) {
        if let Some(head) = self.request.head.take() {
            core.heads.put(head);
        }
        self.request.parser = None;
        self.request.encoding = Encoding::Nothing;
        self.req.drop_pending();
        self.drop_pipe(core, true);
        self.req
            .input
            .consume(self.request.head_len.min(self.req.input.len()));
        self.request.head_len = 0;
        self.request.flow = Flow::Body;
        if !self.skip_request(core) && self.req.read_closed {
            self.client.input_closed();
        }
    }

    /// Skips what came of the request. True when it is over, well or badly.
    fn skip_request(&mut self, core: &mut Core) -> bool {
        let rules = self.request_rules(core);
        let skipped = stage(
            &mut self.req,
            &mut self.request,
            core,
            || Parser::trailers(rules),
            true,
        );
        match skipped {
            Staged::Complete => self.client.request_end(),
            Staged::Broken(_) => self.client.input_closed(),
            Staged::Full | Staged::Starved | Staged::NeedMore => return false,
        }
        self.request.flow = Flow::Done;
        true
    }

    /// Reads the rest of a request that was answered already.
    pub(super) fn drain(&mut self, core: &mut Core) -> Next {
        self.close_accounts(core);
        for _ in 0..READS_MAX {
            if self.skip_request(core) {
                self.step = Step::Finish;
                return Next::Go;
            }
            if self.req.read_closed {
                self.client.input_closed();
                self.step = Step::Finish;
                return Next::Go;
            }
            match self.read_request(core) {
                Io::Done(_) | Io::Closed => {}
                Io::Blocked => return Next::Wait,
                Io::Failed(_) => self.req.read_closed = true,
            }
        }
        Next::Yield
    }

    /// Sends the answer.
    pub(super) fn send_reply(&mut self, core: &mut Core) -> Next {
        if let Some(page) = self.page_due {
            if !self.borrow(core, false, Places::Both) {
                return Next::Wait;
            }
            self.page_due = None;
            if !self.lay_out(core, page) {
                self.front_dead = true;
                self.step = Step::Finish;
                return Next::Go;
            }
        }
        loop {
            let complete = match self.response.flow {
                Flow::Body => {
                    let parser = || Parser::trailers(Rules::default());
                    // What is made here is no traffic of a server: statistics do not count it.
                    let counted = self.response.counted;
                    let staged = stage(&mut self.res, &mut self.response, core, parser, false);
                    self.response.counted = counted;
                    match staged {
                        Staged::Full => false,
                        Staged::Starved if self.borrow(core, false, Places::Pre) => false,
                        Staged::Starved => return Next::Wait,
                        Staged::Complete | Staged::NeedMore | Staged::Broken(_) => true,
                    }
                }
                _ => true,
            };
            match self.flush_response(core) {
                Moved::Left => return Next::Go,
                Moved::Nothing if self.res.pending() => return Next::Wait,
                Moved::Some | Moved::Nothing => {}
            }
            if complete {
                self.client.response_end();
                self.response.flow = Flow::Done;
                self.step = if self.client.after() == After::Drain {
                    Step::Drain
                } else {
                    Step::Finish
                };
                return Next::Go;
            }
        }
    }

    /// The file that stands for that status: the backend's, else the frontend's.
    fn error_file(&self, core: &Core, status: u16) -> Option<std::sync::Arc<[u8]>> {
        [self.facts.backend, self.session.frontend]
            .into_iter()
            .find_map(|id| {
                let files = &core.config.proxy(id).error_files;
                files
                    .iter()
                    .rev()
                    .find(|file| file.status == status)
                    .map(|file| file.bytes.clone())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_tell_their_length() {
        for (status, ..) in PAGES {
            for raw in [false, true] {
                let mut page = Vec::new();
                write_page(&mut page, *status, raw);
                let text = String::from_utf8(page).expect("pages are text");
                let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
                let length = head.to_lowercase();
                let length = length
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next());
                assert_eq!(length, Some(body.len().to_string().as_str()));
                assert!(head.starts_with(&format!("HTTP/1.1 {status} ")));
            }
        }
    }
}
