//! A message head that no longer knows which HTTP version carried it: start line and header fields.
//!
//! A [`Head`] holds no bytes. It holds spans into one storage (the pooled buffer into which the message was
//! read), and the storage is passed to each call. Edits write the new bytes into free room of the same storage
//! (`tune.maxrewrite` keeps some) and repoint a slot, so that nothing is moved and nothing is allocated.
//! The parsers of each protocol fill it, rules edit it, the writers flatten it.
//! Sources: RFC 9110 sections 3 and 5; configuration manual, `tune.maxrewrite`, `tune.http.maxhdr`.

use std::ops::Range;

pub use known::Known;

mod known;

/// A stretch of bytes in the storage of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Offset of the first byte, from the start of the storage.
    pub off: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// Makes a span of `len` bytes at `off`.
    pub const fn new(off: u32, len: u32) -> Self {
        Self { off, len }
    }

    /// Makes a span from two offsets; an inverted pair gives an empty span.
    pub const fn between(start: u32, end: u32) -> Self {
        Self {
            off: start,
            len: end.saturating_sub(start),
        }
    }

    /// Whether the span holds no byte.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Offset just past the last byte.
    pub const fn end(self) -> u32 {
        self.off.saturating_add(self.len)
    }

    /// The span as a range of indices.
    pub const fn range(self) -> Range<usize> {
        self.off as usize..self.end() as usize
    }

    /// The bytes of the span; nothing if the span does not lie within `store`.
    pub fn of(self, store: &[u8]) -> &[u8] {
        store.get(self.range()).unwrap_or_default()
    }

    /// The bytes of the span, to be changed in place; nothing if the span does not lie within `store`.
    pub fn of_mut(self, store: &mut [u8]) -> &mut [u8] {
        store.get_mut(self.range()).unwrap_or_default()
    }
}

/// The version of a request that names none.
const UNNAMED_VERSION: &[u8] = b"HTTP/1.0";

/// Request methods that the proxy tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Method {
    /// `OPTIONS`
    Options,
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `TRACE`
    Trace,
    /// `CONNECT`
    Connect,
    /// Any other token.
    #[default]
    Other,
}

impl Method {
    /// Recognises a method; names are case-sensitive (RFC 9110 section 9.1).
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"OPTIONS" => Self::Options,
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Protocol version of a message, as far as its handling differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0 and anything before: no persistence unless asked for, no chunks.
    #[default]
    Http10,
    /// HTTP/1.1 or any later 1.x.
    Http11,
    /// HTTP/2.
    Http2,
}

/// One header field: where its name and value stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// Field name, in lower case once parsed.
    pub name: Span,
    /// Field value without surrounding blanks.
    pub value: Span,
    /// What the name is to the proxy.
    pub id: Known,
}

impl Slot {
    /// The whole line, if it stands in the storage as it would be written: `name: value CR LF`.
    pub(in crate::proto) fn line(&self, store: &[u8]) -> Option<Span> {
        let (colon, end) = (self.name.end(), self.value.end());
        let is_plain = self.value.off == colon.saturating_add(2)
            && Span::new(colon, 2).of(store) == b": "
            && Span::new(end, 2).of(store) == b"\r\n";
        is_plain.then(|| Span::between(self.name.off, end + 2))
    }
}

/// There is no room left for an edit: neither slot nor free bytes (HAProxy counts a failed rewrite).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room left to rewrite the message head")]
pub struct NoRoom;

/// First line of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartLine {
    /// Nothing parsed yet.
    #[default]
    Empty,
    /// A request line.
    Request {
        /// The method, recognised.
        method: Method,
        /// The method as received.
        name: Span,
        /// The request target as received (any of the four forms of RFC 9112 section 3.2).
        target: Span,
    },
    /// A status line.
    Response {
        /// Status code.
        status: u16,
        /// Status code as received (HAProxy forwards the very digits).
        code: Span,
        /// Reason phrase, maybe empty.
        reason: Span,
    },
}

/// Slots kept for edits beyond what a parsed message may fill.
const EDIT_SLOTS: usize = 64;

/// The head of one message. Pooled: [`Head::clear`] keeps the slots' memory.
#[derive(Debug, Clone)]
pub struct Head {
    /// First line.
    pub start: StartLine,
    /// Version as far as handling differs.
    pub version: Version,
    /// Version as received (`HTTP/1.1`), empty for versions that do not spell it.
    pub version_text: Span,
    /// Free bytes of the storage into which edits may write; set by the owner of the storage.
    pub reserve: Range<u32>,
    slots: Vec<Slot>,
    max_fields: usize,
}

impl Head {
    /// Makes a head for messages of at most `maxhdr` lines (`tune.http.maxhdr`; the start line counts as one).
    /// This is the only allocation of its life.
    pub fn with_capacity(maxhdr: usize) -> Self {
        let max_fields = maxhdr.saturating_sub(1);
        Self {
            start: StartLine::Empty,
            version: Version::Http10,
            version_text: Span::default(),
            reserve: 0..0,
            slots: Vec::with_capacity(max_fields.saturating_add(EDIT_SLOTS)),
            max_fields,
        }
    }

    /// Memory of one such head, in bytes.
    #[must_use]
    pub const fn size(maxhdr: usize) -> usize {
        size_of::<Self>() + (maxhdr + EDIT_SLOTS) * size_of::<Slot>()
    }

    /// Forgets the message, keeps the memory.
    pub fn clear(&mut self) {
        self.start = StartLine::Empty;
        self.version = Version::Http10;
        self.version_text = Span::default();
        self.reserve = 0..0;
        self.slots.clear();
    }

    /// How many header fields a parser may store.
    pub const fn max_fields(&self) -> usize {
        self.max_fields
    }

    /// Number of header fields.
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no header field.
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes that HAProxy's logs and statistics count for this head (`%B`, `%U`, `bin`, `bout`): 20 for the
    /// start line beside its parts, names and values of the fields without separators, 1 for the end.
    pub fn counted_len(&self) -> u64 {
        let fields: u64 = self
            .slots
            .iter()
            .map(|slot| u64::from(slot.name.len) + u64::from(slot.value.len))
            .sum();
        self.counted_line_len() + fields + 1
    }

    /// The version as the start line names it. A request of HTTP/0.9, where it is let through, names none and counts as
    /// one of 1.0.
    pub fn version_name<'s>(&self, store: &'s [u8]) -> &'s [u8] {
        match self.version_text.of(store) {
            b"" => UNNAMED_VERSION,
            text => text,
        }
    }

    /// The part of the start line in [`Self::counted_len`].
    pub fn counted_line_len(&self) -> u64 {
        let line = match self.start {
            StartLine::Empty => 0,
            StartLine::Request { name, target, .. } if self.version_text.len == 0 => {
                name.len + target.len + UNNAMED_VERSION.len() as u32
            }
            StartLine::Request { name, target, .. } => name.len + target.len,
            StartLine::Response { code, reason, .. } => code.len + reason.len,
        };
        20 + u64::from(line) + u64::from(self.version_text.len)
    }

    /// The slots in message order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slots in message order, for a parser that changes values in place.
    pub(in crate::proto) fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    /// Method of a request, [`Method::Other`] for anything else.
    pub const fn method(&self) -> Method {
        match self.start {
            StartLine::Request { method, .. } => method,
            _ => Method::Other,
        }
    }

    /// Method of a request as received.
    pub fn method_text<'s>(&self, store: &'s [u8]) -> &'s [u8] {
        match self.start {
            StartLine::Request { name, .. } => name.of(store),
            _ => &[],
        }
    }

    /// Target of a request.
    pub fn target<'s>(&self, store: &'s [u8]) -> &'s [u8] {
        match self.start {
            StartLine::Request { target, .. } => target.of(store),
            _ => &[],
        }
    }

    /// Status of a response, 0 for anything else.
    pub const fn status(&self) -> u16 {
        match self.start {
            StartLine::Response { status, .. } => status,
            _ => 0,
        }
    }

    /// Status code of a response as received.
    pub fn status_text<'s>(&self, store: &'s [u8]) -> &'s [u8] {
        match self.start {
            StartLine::Response { code, .. } => code.of(store),
            _ => &[],
        }
    }

    /// Reason phrase of a response.
    pub fn reason<'s>(&self, store: &'s [u8]) -> &'s [u8] {
        match self.start {
            StartLine::Response { reason, .. } => reason.of(store),
            _ => &[],
        }
    }

    /// Name of field `index`.
    pub fn name<'s>(&self, store: &'s [u8], index: usize) -> &'s [u8] {
        self.slots.get(index).map_or(&[], |slot| slot.name.of(store))
    }

    /// Value of field `index`.
    pub fn value<'s>(&self, store: &'s [u8], index: usize) -> &'s [u8] {
        self.slots.get(index).map_or(&[], |slot| slot.value.of(store))
    }

    /// Walks the fields in message order: (what, name, value).
    pub fn iter<'h, 's>(
        &'h self,
        store: &'s [u8],
    ) -> impl DoubleEndedIterator<Item = (Known, &'s [u8], &'s [u8])> + use<'h, 's> {
        self.slots
            .iter()
            .map(|slot| (slot.id, slot.name.of(store), slot.value.of(store)))
    }

    /// Index of the first field with this identity at or after `from`. `Known::Other` finds any unknown name.
    pub fn find_known(&self, id: Known, from: usize) -> Option<usize> {
        self.slots
            .iter()
            .enumerate()
            .skip(from)
            .find(|(_, slot)| slot.id == id)
            .map(|(index, _)| index)
    }

    /// Index of the first field called `name` (case ignored) at or after `from`.
    pub fn find(&self, store: &[u8], name: &[u8], from: usize) -> Option<usize> {
        match Known::from_name(name) {
            Known::Other => self
                .slots
                .iter()
                .enumerate()
                .skip(from)
                .find(|(_, slot)| slot.id == Known::Other && slot.name.of(store).eq_ignore_ascii_case(name))
                .map(|(index, _)| index),
            id => self.find_known(id, from),
        }
    }

    /// Value of the first field with this identity.
    pub fn known<'s>(&self, store: &'s [u8], id: Known) -> Option<&'s [u8]> {
        self.find_known(id, 0).map(|index| self.value(store, index))
    }

    /// Stores a field found by a parser that counts the fields itself. Refused when there is no slot.
    pub(in crate::proto) fn push_unbounded(&mut self, slot: Slot) -> Result<(), NoRoom> {
        if self.slots.len() == self.slots.capacity() {
            return Err(NoRoom);
        }
        self.slots.push(slot);
        Ok(())
    }

    /// Drops all fields, keeps the start line.
    pub(in crate::proto) fn clear_fields(&mut self) {
        self.slots.clear();
    }

    /// Drops the fields at and after `len`.
    pub(in crate::proto) fn truncate(&mut self, len: usize) {
        self.slots.truncate(len);
    }

    /// Stores a field found by a parser at these spans. Refused when `tune.http.maxhdr` is reached.
    pub fn push(&mut self, slot: Slot) -> Result<(), NoRoom> {
        if self.slots.len() >= self.max_fields {
            return Err(NoRoom);
        }
        self.slots.push(slot);
        Ok(())
    }

    /// Writes `bytes` into the reserve and returns where they stand. Nothing changes when there is no room.
    pub fn store(&mut self, store: &mut [u8], bytes: &[u8]) -> Result<Span, NoRoom> {
        let len = u32::try_from(bytes.len()).map_err(|_| NoRoom)?;
        if len > self.reserve.end.saturating_sub(self.reserve.start) {
            return Err(NoRoom);
        }
        let span = Span::new(self.reserve.start, len);
        store.get_mut(span.range()).ok_or(NoRoom)?.copy_from_slice(bytes);
        self.reserve.start = span.end();
        Ok(span)
    }

    /// Writes several pieces one after the other into the reserve, as one span.
    pub fn store_all(&mut self, store: &mut [u8], pieces: &[&[u8]]) -> Result<Span, NoRoom> {
        let before = self.reserve.clone();
        let mut whole = Span::new(before.start, 0);
        for piece in pieces {
            match self.store(store, piece) {
                Ok(span) => whole.len += span.len,
                Err(NoRoom) => {
                    self.reserve = before;
                    return Err(NoRoom);
                }
            }
        }
        Ok(whole)
    }

    /// Adds a field after the others.
    pub fn append(&mut self, store: &mut [u8], name: &[u8], value: &[u8]) -> Result<(), NoRoom> {
        self.insert(store, self.slots.len(), name, value)
    }

    /// Adds a field before the field `index` (after all of them if there are fewer).
    pub fn insert(
        &mut self,
        store: &mut [u8],
        index: usize,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), NoRoom> {
        if self.slots.len() == self.slots.capacity() {
            return Err(NoRoom);
        }
        let both = self.store_all(store, &[name, value])?;
        // The length of `name` fits: it is a part of `both`.
        let name_len = name.len() as u32;
        let name_span = Span::new(both.off, name_len);
        name_span.of_mut(store).make_ascii_lowercase();
        let slot = Slot {
            name: name_span,
            value: Span::new(name_span.end(), both.len - name_len),
            id: Known::from_name(name),
        };
        self.slots.insert(index.min(self.slots.len()), slot);
        Ok(())
    }

    /// Removes field `index`; the others keep their order.
    pub fn remove(&mut self, index: usize) {
        if index < self.slots.len() {
            self.slots.remove(index);
        }
    }

    /// Removes every field with this identity; says how many there were.
    pub fn remove_known(&mut self, id: Known) -> usize {
        let before = self.slots.len();
        self.slots.retain(|slot| slot.id != id);
        before - self.slots.len()
    }

    /// Removes the fields for which `keep` says no.
    pub fn retain(&mut self, keep: impl FnMut(&Slot) -> bool) {
        self.slots.retain(keep);
    }

    /// Replaces the value of field `index`. A value that is not longer overwrites the old one in place.
    pub fn set_value(&mut self, store: &mut [u8], index: usize, value: &[u8]) -> Result<(), NoRoom> {
        let old = self.slots.get(index).ok_or(NoRoom)?.value;
        let span = self.replace(store, old, value)?;
        self.set_value_span(index, span);
        Ok(())
    }

    /// Makes field `index` take its value from bytes that already stand in the storage.
    pub fn set_value_span(&mut self, index: usize, value: Span) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.value = value;
        }
    }

    /// Makes a request take its target from bytes that already stand in the storage (a part of the old one).
    pub fn set_target_span(&mut self, span: Span) {
        if let StartLine::Request { target, .. } = &mut self.start {
            *target = span;
        }
    }

    /// Overwrites `old` if `bytes` fit there, else takes new room.
    fn replace(&mut self, store: &mut [u8], old: Span, bytes: &[u8]) -> Result<Span, NoRoom> {
        match u32::try_from(bytes.len()) {
            Ok(len) if len <= old.len => {
                let span = Span::new(old.off, len);
                store.get_mut(span.range()).ok_or(NoRoom)?.copy_from_slice(bytes);
                Ok(span)
            }
            _ => self.store(store, bytes),
        }
    }

    /// Adds `delta` to every offset: the owner moved the whole message within its storage (or into another).
    pub fn rebase(&mut self, delta: i64) {
        let shift =
            |span: &mut Span| span.off = (i64::from(span.off) + delta).clamp(0, i64::from(u32::MAX)) as u32;
        shift(&mut self.version_text);
        match &mut self.start {
            StartLine::Empty => {}
            StartLine::Request { name, target, .. } => {
                shift(name);
                shift(target);
            }
            StartLine::Response { code, reason, .. } => {
                shift(code);
                shift(reason);
            }
        }
        for slot in &mut self.slots {
            shift(&mut slot.name);
            shift(&mut slot.value);
        }
    }
}

#[cfg(test)]
mod tests;
