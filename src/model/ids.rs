//! Newtype indices into the vectors of `Config` and `State`.
//!
//! An id is a position, never a user-visible number: what the user calls `id` is kept beside it
//! (`Proxy::uuid`, `Server::puid`, `Listener::luid`).

/// Position of a proxy (frontend, backend, listen) in `Config::proxies` and `State::proxies`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProxyId(pub u32);

/// Position of a server in `Config::servers` and `State::servers`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ServerId(pub u32);

/// Position of a listener in `Config::listeners` and `State::listeners`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ListenerId(pub u32);

impl ProxyId {
    /// The position as a vector index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ServerId {
    /// The position as a vector index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ListenerId {
    /// The position as a vector index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
