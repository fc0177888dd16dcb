//! The shape of a column of `show stat`: name, nature, meaning, and one getter per kind of object that has it.

use super::field::{Tag, Value};
use super::views::{BackendView, FrontendView, Line, ListenerView, ServerView};

type FrontendFn = for<'a> fn(&FrontendView<'a>) -> Value<'a>;
type ListenerFn = for<'a> fn(&ListenerView<'a>) -> Value<'a>;
type ServerFn = for<'a> fn(&ServerView<'a>) -> Value<'a>;
type BackendFn = for<'a> fn(&BackendView<'a>) -> Value<'a>;

/// One column. A kind of object without getter has an empty field there.
pub struct Column {
    /// Name in headers.
    pub name: &'static str,
    /// What it is for frontends, listeners and servers, and for backends unless said otherwise.
    pub tag: Tag,
    /// What it tells, with units (`desc`).
    pub doc: &'static str,
    backend_tag: Option<Tag>,
    listener: Option<ListenerFn>,
    frontend: Option<FrontendFn>,
    server: Option<ServerFn>,
    backend: Option<BackendFn>,
}

impl Column {
    /// A column that no object has yet.
    pub(super) const fn new(name: &'static str, tag: Tag, doc: &'static str) -> Self {
        Self {
            name,
            tag,
            doc,
            backend_tag: None,
            listener: None,
            frontend: None,
            server: None,
            backend: None,
        }
    }

    /// Listeners have it.
    pub(super) const fn li(self, get: ListenerFn) -> Self {
        Self {
            listener: Some(get),
            ..self
        }
    }

    /// Frontends have it.
    pub(super) const fn fe(self, get: FrontendFn) -> Self {
        Self {
            frontend: Some(get),
            ..self
        }
    }

    /// Servers have it.
    pub(super) const fn sv(self, get: ServerFn) -> Self {
        Self {
            server: Some(get),
            ..self
        }
    }

    /// Backends have it.
    pub(super) const fn be(self, get: BackendFn) -> Self {
        Self {
            backend: Some(get),
            ..self
        }
    }

    /// Backends have it, as another kind of thing.
    pub(super) const fn be_as(self, tag: Tag, get: BackendFn) -> Self {
        Self {
            backend_tag: Some(tag),
            backend: Some(get),
            ..self
        }
    }

    /// What the column is on that line.
    pub fn tag_on(&self, line: &Line<'_>) -> Tag {
        match line {
            Line::Backend(_) => self.backend_tag.unwrap_or(self.tag),
            _ => self.tag,
        }
    }

    /// The field of that line.
    pub fn value<'a>(&self, line: &Line<'a>) -> Value<'a> {
        match line {
            Line::Frontend(view) => self.frontend.map_or(Value::Empty, |get| get(view)),
            Line::Listener(view) => self.listener.map_or(Value::Empty, |get| get(view)),
            Line::Server(view) => self.server.map_or(Value::Empty, |get| get(view)),
            Line::Backend(view) => self.backend.map_or(Value::Empty, |get| get(view)),
        }
    }
}
