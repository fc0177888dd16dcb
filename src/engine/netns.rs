//! Named network namespaces: opened before the process changes its root and gives its rights up, entered for one
//! socket(2) at a time.
//!
//! A client connection belongs to the namespace of its listener, or to the one that its PROXY header names, if the
//! configuration names it too. Source: configuration manual, `namespace`; setns(2), ip-netns(8).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use super::sys;
use crate::model::config::Config;
use crate::model::server::ServerNamespace;

/// Where `ip netns` keeps them.
const DIRECTORY: &str = "/var/run/netns";

/// A namespace of the configuration, by its position in [`Namespaces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NetnsId(u16);

impl NetnsId {
    /// A number of its own, not 0.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.0) + 1
    }
}

/// Every namespace that the configuration names.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// Where this process is at home; none while no other is named.
    own: Option<File>,
    named: Vec<(Arc<str>, File)>,
}

/// A namespace cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("Cannot open namespace '{name}': {source}.")]
pub struct NetnsError {
    /// Its name.
    pub name: Arc<str>,
    /// Why.
    pub source: io::Error,
}

impl Namespaces {
    /// Opens all that listeners and servers name.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn open(config: &Config) -> Result<Self, NetnsError> {
        let of_listeners = config.listeners.iter().filter_map(|l| l.namespace.as_ref());
        let of_servers = config
            .servers
            .iter()
            .filter_map(|server| match &server.namespace {
                Some(ServerNamespace::Named(name)) => Some(name),
                Some(ServerNamespace::OfClient) | None => None,
            });
        let mut all = Self::default();
        for name in of_listeners.chain(of_servers) {
            if all.find(name.as_bytes()).is_none() {
                let failed = |source| NetnsError {
                    name: Arc::clone(name),
                    source,
                };
                let file = File::open(Path::new(DIRECTORY).join(&**name)).map_err(failed)?;
                all.named.push((Arc::clone(name), file));
            }
        }
        if let Some((name, _)) = all.named.first() {
            let own = File::open("/proc/self/ns/net").map_err(|source| NetnsError {
                name: Arc::clone(name),
                source,
            })?;
            all.own = Some(own);
        }
        Ok(all)
    }

    /// Names alone, of namespaces that are not there.
    #[cfg(test)]
    pub(crate) fn of_names(names: &[&str]) -> Self {
        let null = || File::open("/dev/null").expect("a null device");
        Self {
            own: None,
            named: names.iter().map(|name| ((*name).into(), null())).collect(),
        }
    }

    /// The namespace of that name, if the configuration names it.
    pub(crate) fn find(&self, name: &[u8]) -> Option<NetnsId> {
        let index = self.named.iter().position(|(n, _)| n.as_bytes() == name)?;
        u16::try_from(index).ok().map(NetnsId)
    }

    /// Its name.
    pub(crate) fn name(&self, id: NetnsId) -> &str {
        self.named.get(usize::from(id.0)).map_or("", |(name, _)| name)
    }

    /// Makes a socket in a namespace; with `None`, where the process is at home.
    pub(crate) fn inside<T>(
        &self,
        id: Option<NetnsId>,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let entered = id.and_then(|id| self.named.get(usize::from(id.0)));
        match (&self.own, entered) {
            (Some(own), Some((_, other))) => {
                sys::in_network_namespace(own.as_raw_fd(), other.as_raw_fd(), make)
            }
            _ => make(),
        }
    }
}
