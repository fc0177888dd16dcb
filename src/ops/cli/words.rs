//! From bytes to commands: lines, `;`, escapes, payloads, words.
//!
//! A line ends at a line feed that no backslash precedes and holds commands between `;`. When its last word begins
//! with `<<`, what follows is a payload that ends with the rest of that word alone on a line. Source: management
//! manual, "Unix Socket commands".

/// Most words in a command.
pub const MAX_WORDS: usize = 64;

/// Longest end mark of a payload, bytes.
const MAX_MARK: usize = 64;

/// A complete line of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The commands still to run, the next one first.
    commands: std::collections::VecDeque<Vec<u8>>,
    /// What follows `<<`, for the last command.
    payload: Option<Vec<u8>>,
}

impl Batch {
    /// The next command, with the payload if it is the one that has it.
    pub fn take(&mut self) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let command = self.commands.pop_front()?;
        let payload = if self.commands.is_empty() {
            self.payload.take()
        } else {
            None
        };
        Some((command, payload))
    }

    /// No command is left.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// A line was longer than the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// The commands themselves.
    Line,
    /// The payload.
    Payload,
}

/// Gathers bytes until a batch is complete.
#[derive(Debug)]
pub struct Gather {
    max: usize,
    line: Vec<u8>,
    escaped: bool,
    /// End mark and bytes of the payload being gathered.
    payload: Option<(Vec<u8>, Vec<u8>)>,
    /// Where the last line of the payload begins.
    payload_line: usize,
}

impl Gather {
    /// Lines and payloads of at most `max` bytes together (`tune.bufsize`).
    pub fn new(max: usize) -> Self {
        Self {
            max,
            line: Vec::new(),
            escaped: false,
            payload: None,
            payload_line: 0,
        }
    }

    /// A payload is being gathered.
    pub fn in_payload(&self) -> bool {
        self.payload.is_some()
    }

    /// Takes bytes until a batch is complete. Returns how many were taken, and the batch.
    ///
    /// # Errors
    /// When there is no room left for the line or the payload.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Batch>), TooLong> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.line.len() + self.payload.as_ref().map_or(0, |(_, bytes)| bytes.len()) >= self.max {
                return Err(if self.payload.is_some() {
                    TooLong::Payload
                } else {
                    TooLong::Line
                });
            }
            let complete = if self.payload.is_some() {
                self.payload_byte(byte)
            } else {
                self.line_byte(byte)
            };
            if let Some(batch) = complete {
                return Ok((at + 1, Some(batch)));
            }
        }
        Ok((bytes.len(), None))
    }

    fn line_byte(&mut self, byte: u8) -> Option<Batch> {
        if byte != b'\n' || self.escaped {
            self.escaped = byte == b'\\' && !self.escaped;
            self.line.push(byte);
            return None;
        }
        // As HAProxy, which takes the CR for the end of a command with an empty one behind it.
        let ends_with_cr = self.line.last() == Some(&b'\r');
        if ends_with_cr {
            self.line.pop();
        }
        let last_word = self
            .line
            .iter()
            .rposition(|b| matches!(b, b' ' | b'\t' | b';'))
            .map_or(0, |at| at + 1);
        let mark = self
            .line
            .get(last_word..)
            .and_then(|word| word.strip_prefix(b"<<"));
        match mark {
            Some(mark) if mark.len() <= MAX_MARK => {
                self.payload = Some((mark.to_vec(), Vec::new()));
                self.payload_line = 0;
                self.line.truncate(last_word);
                None
            }
            _ => {
                let mut batch = self.finish(None);
                if ends_with_cr {
                    batch.commands.push_back(Vec::new());
                }
                Some(batch)
            }
        }
    }

    fn payload_byte(&mut self, byte: u8) -> Option<Batch> {
        let (mark, bytes) = self.payload.as_mut()?;
        if byte != b'\n' {
            bytes.push(byte);
            return None;
        }
        if bytes.get(self.payload_line..) == Some(mark.as_slice()) {
            // The line feed before the mark is not part of the payload.
            bytes.truncate(self.payload_line.saturating_sub(1));
            let payload = std::mem::take(bytes);
            return Some(self.finish(Some(payload)));
        }
        bytes.push(byte);
        self.payload_line = bytes.len();
        None
    }

    fn finish(&mut self, payload: Option<Vec<u8>>) -> Batch {
        let line = std::mem::take(&mut self.line);
        self.payload = None;
        self.escaped = false;
        Batch {
            commands: split_commands(&line).collect(),
            payload,
        }
    }
}

/// The commands of a line: what stands between `;` that no backslash precedes.
fn split_commands(line: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut escaped = false;
    let pieces = line.split(move |&byte| {
        let ends = byte == b';' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    pieces.map(<[u8]>::to_vec)
}

/// The words of a command, their backslashes resolved. `None` when there are too many.
pub fn split_words(command: &[u8]) -> Option<Vec<String>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut inside = false;
    let mut bytes = command.iter();
    while let Some(&byte) = bytes.next() {
        if matches!(byte, b' ' | b'\t') {
            inside = false;
            continue;
        }
        if !inside {
            if words.len() == MAX_WORDS {
                return None;
            }
            words.push(Vec::new());
            inside = true;
        }
        let byte = if byte == b'\\' {
            bytes.next().copied()
        } else {
            Some(byte)
        };
        if let (Some(word), Some(byte)) = (words.last_mut(), byte) {
            word.push(byte);
        }
    }
    Some(
        words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batches(bytes: &[u8], piece: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut gather = Gather::new(1000);
        let mut out = Vec::new();
        for piece in bytes.chunks(piece.max(1)) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, batch) = gather.take(rest).unwrap();
                rest = &rest[taken..];
                let mut batch = batch;
                while let Some(command) = batch.as_mut().and_then(Batch::take) {
                    out.push(command);
                }
            }
        }
        out
    }

    fn plain(command: &str) -> (Vec<u8>, Option<Vec<u8>>) {
        (command.as_bytes().to_vec(), None)
    }

    #[test]
    fn lines_and_commands() {
        assert_eq!(batches(b"show info\r\n", 100), [plain("show info"), plain("")]);
        assert_eq!(batches(b"a;b ;c\n", 100), [plain("a"), plain("b "), plain("c")]);
        assert_eq!(batches(b"a\\;b\n", 100), [plain("a\\;b")]);
        assert_eq!(batches(b"a\\\\;b\n", 100), [plain("a\\\\"), plain("b")]);
        assert_eq!(batches(b"\n", 100), [plain("")]);
        assert_eq!(batches(b"unfinished", 100), []);
    }

    #[test]
    fn payloads() {
        let with =
            |command: &str, payload: &str| (command.as_bytes().to_vec(), Some(payload.as_bytes().to_vec()));
        assert_eq!(batches(b"set x <<\nl1\nl2\n\n", 100), [with("set x ", "l1\nl2")]);
        assert_eq!(
            batches(b"set x <<END\n\nl;2\nEND\nb\n", 100),
            [with("set x ", "\nl;2"), plain("b")]
        );
        assert_eq!(batches(b"a;set x <<\n\n", 100), [plain("a"), with("set x ", "")]);
        assert_eq!(batches(b"echo <<a b\n", 100), [plain("echo <<a b")]);
    }

    #[test]
    fn bounds() {
        let mut gather = Gather::new(8);
        assert_eq!(gather.take(b"0123456789\n"), Err(TooLong::Line));
        let mut gather = Gather::new(8);
        assert_eq!(gather.take(b"a <<\n0123456789\n"), Err(TooLong::Payload));
        let many = "a ".repeat(MAX_WORDS);
        assert_eq!(
            split_words(many.as_bytes()).map(|words| words.len()),
            Some(MAX_WORDS)
        );
        assert_eq!(split_words((many + "b").as_bytes()), None);
    }

    #[test]
    fn words_and_escapes() {
        assert_eq!(
            split_words(b"echo a\\ b c\\;d \\\\e \"q\"").unwrap(),
            ["echo", "a b", "c;d", "\\e", "\"q\""]
        );
        assert_eq!(split_words(b" \t ").unwrap(), Vec::<String>::new());
        assert_eq!(split_words(b"a\\").unwrap(), ["a"]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(bytes in "[a<;\\\\ \r\n]{0,60}", piece in 1usize..9) {
            prop_assert_eq!(batches(bytes.as_bytes(), 1000), batches(bytes.as_bytes(), piece));
        }
    }
}
