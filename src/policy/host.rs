//! What loading a configuration needs to know of the machine it runs on.
//!
//! For keyword rows and load passes, which touch neither files, environment, user database nor resolver
//! themselves: they ask a [`Host`]. The real one stands in the engine; [`MemHost`] serves tests and tools that
//! check a configuration for another machine.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use crate::base::addr::Family;

/// Why the machine could not answer, with the system's error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// No such file, user, group, name or interface.
    #[error("No such file or directory")]
    Missing,
    /// The answer is there and may not be seen.
    #[error("Permission denied")]
    Denied,
    /// No open descriptor of that number.
    #[error("Bad file descriptor")]
    NotOpen,
    /// Open, and no socket.
    #[error("Socket operation on non-socket")]
    NotSocket,
    /// Anything else, by error number.
    #[error("error {0}")]
    Other(i32),
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Something else.
    Other,
}

/// The machine as configuration sees it. Paths are bytes, as the system has them; relative ones follow the
/// directory that `default-path` set, which the caller has put in front already.
pub trait Host {
    /// The whole text of a file of at most `max` bytes; a larger one is an error.
    fn read_file(&self, path: &[u8], max: usize) -> Result<Vec<u8>, HostError>;

    /// What stands at a path, symbolic links followed.
    fn path_kind(&self, path: &[u8]) -> Result<PathKind, HostError>;

    /// The environment of the process at its start: name and value.
    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)>;

    /// The numeric id of a user, by name.
    fn user_id(&self, name: &str) -> Result<u32, HostError>;

    /// The numeric id of a group, by name.
    fn group_id(&self, name: &str) -> Result<u32, HostError>;

    /// Addresses of a host name of the wanted family in the order of the system's resolver, which may block;
    /// empty when there is none. `plain` asks for the old resolver call (`nogetaddrinfo`).
    fn resolve(&self, name: &str, family: Family, plain: bool) -> Vec<IpAddr>;

    /// The index of a network interface, by name.
    fn interface_index(&self, name: &str) -> Option<u32>;

    /// Whether the socket of that number, inherited from whoever started the process, is one of streams.
    fn is_stream_socket(&self, fd: i32) -> Result<bool, HostError>;

    /// The machine's own name.
    fn hostname(&self) -> String;

    /// Number of the process.
    fn pid(&self) -> u32;

    /// Number of processors the process may run on, at least 1.
    fn processors(&self) -> u32;
}

/// A machine that exists in memory only.
#[derive(Clone, Debug)]
pub struct MemHost {
    /// Files by path.
    pub files: HashMap<Vec<u8>, Vec<u8>>,
    /// Directories.
    pub directories: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Users by name.
    pub users: HashMap<String, u32>,
    /// Groups by name.
    pub groups: HashMap<String, u32>,
    /// Host names.
    pub names: HashMap<String, Vec<IpAddr>>,
    /// Interfaces by name.
    pub interfaces: HashMap<String, u32>,
    /// Inherited sockets by number: whether each is one of streams.
    pub sockets: HashMap<i32, bool>,
    /// The machine's name.
    pub hostname: String,
    /// Number of processors.
    pub processors: u32,
}

impl Default for MemHost {
    /// A machine with `root`, `localhost` and `lo`, and nothing else.
    fn default() -> Self {
        let localhost = vec![IpAddr::from([127, 0, 0, 1])];
        Self {
            files: HashMap::new(),
            directories: vec![b"/".to_vec()],
            environment: Vec::new(),
            users: HashMap::from([("root".to_owned(), 0)]),
            groups: HashMap::from([("root".to_owned(), 0)]),
            names: HashMap::from([("localhost".to_owned(), localhost)]),
            interfaces: HashMap::from([("lo".to_owned(), 1)]),
            sockets: HashMap::new(),
            hostname: "localhost".to_owned(),
            processors: 1,
        }
    }
}

impl Host for MemHost {
    fn read_file(&self, path: &[u8], max: usize) -> Result<Vec<u8>, HostError> {
        match self.files.get(path) {
            Some(text) if text.len() <= max => Ok(text.clone()),
            Some(_) => Err(HostError::Other(27)),
            None => Err(HostError::Missing),
        }
    }

    fn path_kind(&self, path: &[u8]) -> Result<PathKind, HostError> {
        if self.files.contains_key(path) {
            Ok(PathKind::File)
        } else if self.directories.iter().any(|directory| directory == path) {
            Ok(PathKind::Directory)
        } else {
            Err(HostError::Missing)
        }
    }

    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.environment.clone()
    }

    fn user_id(&self, name: &str) -> Result<u32, HostError> {
        self.users.get(name).copied().ok_or(HostError::Missing)
    }

    fn group_id(&self, name: &str) -> Result<u32, HostError> {
        self.groups.get(name).copied().ok_or(HostError::Missing)
    }

    fn resolve(&self, name: &str, family: Family, _plain: bool) -> Vec<IpAddr> {
        let wanted = |ip: &&IpAddr| match family {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        };
        self.names
            .get(name)
            .into_iter()
            .flatten()
            .filter(wanted)
            .copied()
            .collect()
    }

    fn interface_index(&self, name: &str) -> Option<u32> {
        self.interfaces.get(name).copied()
    }

    fn is_stream_socket(&self, fd: i32) -> Result<bool, HostError> {
        self.sockets.get(&fd).copied().ok_or(HostError::NotOpen)
    }

    fn hostname(&self) -> String {
        self.hostname.clone()
    }

    fn pid(&self) -> u32 {
        1
    }

    fn processors(&self) -> u32 {
        self.processors.max(1)
    }
}

impl fmt::Debug for dyn Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_from_memory_only() {
        let mut host = MemHost::default();
        host.files.insert(b"/e".to_vec(), b"text".to_vec());
        assert_eq!(host.read_file(b"/e", 4), Ok(b"text".to_vec()));
        assert_eq!(host.read_file(b"/e", 3), Err(HostError::Other(27)));
        assert_eq!(host.read_file(b"/f", 3), Err(HostError::Missing));
        assert_eq!(host.path_kind(b"/"), Ok(PathKind::Directory));
        assert_eq!(host.user_id("root"), Ok(0));
        assert_eq!(host.group_id("nobody"), Err(HostError::Missing));
        assert_eq!(host.resolve("localhost", Family::V6, false), Vec::<IpAddr>::new());
        assert_eq!(host.resolve("localhost", Family::V4, false).len(), 1);
        assert_eq!(host.interface_index("lo"), Some(1));
        host.sockets.insert(5, true);
        assert_eq!(host.is_stream_socket(5), Ok(true));
        assert_eq!(host.is_stream_socket(6), Err(HostError::NotOpen));
    }
}
