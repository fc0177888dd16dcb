//! The checked, immutable configuration, shared behind `Arc` and indexed by ids.
//!
//! Proxies, listeners and servers are `Arc`s so that a later edit at run time can build a new
//! `Config` that shares all but what changed.

use std::collections::HashMap;
use std::sync::Arc;

use super::global::Global;
use super::ids::{ListenerId, ProxyId, ServerId};
use super::listener::Listener;
use super::proxy::Proxy;
use super::server::Server;

/// Where an object was declared: what `show`, alerts and rules' log fields print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// File name as given on the command line.
    pub file: Arc<str>,
    /// Line number, from 1.
    pub line: u32,
}

/// Everything the configuration files and the command line decided.
#[derive(Debug, Default)]
pub struct Config {
    /// The `global` sections.
    pub global: Global,
    /// All proxies in order of declaration.
    pub proxies: Vec<Arc<Proxy>>,
    /// All listeners of all proxies, and those of the runtime socket, in order of declaration.
    pub listeners: Vec<Arc<Listener>>,
    /// All servers of all backends in order of declaration.
    pub servers: Vec<Arc<Server>>,
    /// Frontends (and listens) by name.
    pub frontend_by_name: HashMap<Arc<str>, ProxyId>,
    /// Backends (and listens) by name.
    pub backend_by_name: HashMap<Arc<str>, ProxyId>,
    /// The environment after the last line, names and values in the order in which they appeared.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Config {
    /// The proxy of that id.
    pub fn proxy(&self, id: ProxyId) -> &Arc<Proxy> {
        &self.proxies[id.index()]
    }

    /// The server of that id.
    pub fn server(&self, id: ServerId) -> &Arc<Server> {
        &self.servers[id.index()]
    }

    /// The listener of that id.
    pub fn listener(&self, id: ListenerId) -> &Arc<Listener> {
        &self.listeners[id.index()]
    }
}
