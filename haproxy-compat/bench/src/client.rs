//! One connection of a generator: sends a question that is the same for all, counts answers.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use crate::wire;

/// What a receive came to.
pub(crate) enum Progress {
    /// So many answers are complete; there may be more to read.
    Answers(usize),
    /// Nothing more for now.
    Wait,
    /// The end of the connection, between two answers.
    End,
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    /// Bytes of the question that are sent; `usize::MAX` without a question.
    sent: usize,
    /// The beginning of a head that is not whole.
    carry: Vec<u8>,
    /// Bytes of a body that are still to come.
    body: u64,
    /// Whether the last receive left the socket empty.
    is_empty: bool,
}

impl Client {
    /// Over a socket that may still be connecting.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            sent: usize::MAX,
            carry: Vec::new(),
            body: 0,
            is_empty: false,
        }
    }

    /// Makes the question due; [`Self::send`] sends it.
    pub(crate) fn ask(&mut self) {
        self.sent = 0;
    }

    /// Sends what the socket takes of the question.
    pub(crate) fn send(&mut self, question: &[u8]) -> io::Result<()> {
        while self.sent < question.len() {
            match self.stream.write(&question[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once, at most `buffer.len()` bytes. To be called again until it says [`Progress::Wait`]. `is_closed` is
    /// whether the poller saw the end: only then there can be more behind a receive that did not fill the buffer
    /// without the poller telling again.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], is_closed: bool) -> io::Result<Progress> {
        if std::mem::take(&mut self.is_empty) {
            return Ok(Progress::Wait);
        }
        let length = match self.stream.read(buffer) {
            Ok(0) if self.body > 0 || !self.carry.is_empty() => {
                return Err(io::Error::other("an answer was cut"));
            }
            Ok(0) => return Ok(Progress::End),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                return Ok(Progress::Wait);
            }
            Err(error) => return Err(error),
        };
        self.is_empty = length < buffer.len() && !is_closed;
        let answers = self.take(&buffer[..length])?;
        Ok(Progress::Answers(answers))
    }

    /// Goes through what came; how many answers are complete with it.
    fn take(&mut self, mut data: &[u8]) -> io::Result<usize> {
        let mut answers = 0;
        while !data.is_empty() {
            if self.body > 0 {
                let here = self.body.min(data.len() as u64);
                self.body -= here;
                data = &data[usize::try_from(here).unwrap_or(data.len())..];
                answers += usize::from(self.body == 0);
                continue;
            }
            let known = self.carry.len();
            let text = if known > 0 {
                self.carry.extend_from_slice(data);
                &self.carry[..]
            } else {
                data
            };
            let Some(head) = wire::head(text) else {
                if known == 0 {
                    self.carry.extend_from_slice(data);
                }
                if self.carry.len() > wire::HEAD_MAX {
                    return Err(io::Error::other("an answer without end of its head"));
                }
                return Ok(answers);
            };
            if text.get(8..13) != Some(b" 200 ") {
                let line = text.split(|b| *b == b'\r').next().unwrap_or_default();
                return Err(io::Error::other(format!(
                    "answered {}",
                    String::from_utf8_lossy(line)
                )));
            }
            let Some(length) = head.length else {
                return Err(io::Error::other("an answer without Content-Length"));
            };
            data = &data[head.size - known..];
            self.carry.clear();
            self.body = length;
            answers += usize::from(length == 0);
        }
        Ok(answers)
    }
}
