//! The real machine, as loading a configuration asks for it.
//!
//! Everything may block: it is asked at start only. Source of the order of addresses: getaddrinfo(3).

use std::ffi::CString;
use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::{env, ffi, fs};

use crate::base::addr::Family;
use crate::engine::sys;
use crate::policy::host::{Host, HostError, PathKind};

/// The machine that the program runs on, with the variables that HAProxy makes for its configuration.
#[derive(Clone, Debug, Default)]
pub struct RealHost {
    /// Variables set over those of the process.
    pub extra: Vec<(Vec<u8>, Vec<u8>)>,
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(ffi::OsStr::from_bytes(bytes))
}

fn host_error(error: &io::Error) -> HostError {
    match error.kind() {
        io::ErrorKind::NotFound => HostError::Missing,
        io::ErrorKind::PermissionDenied => HostError::Denied,
        _ => HostError::Other(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

fn named(name: &str, look: fn(&ffi::CStr) -> io::Result<Option<u32>>) -> Result<u32, HostError> {
    let name = CString::new(name).map_err(|_| HostError::Missing)?;
    look(&name)
        .map_err(|error| host_error(&error))?
        .ok_or(HostError::Missing)
}

impl RealHost {
    /// The machine, with the version that was started first in the environment: that of a process that started this
    /// one stays.
    pub fn named_version(version: &str) -> Self {
        const NAME: &str = "HAPROXY_STARTUP_VERSION";
        let extra = if env::var_os(NAME).is_none() {
            vec![(NAME.into(), version.into())]
        } else {
            Vec::new()
        };
        Self { extra }
    }
}

impl Host for RealHost {
    fn read_file(&self, name: &[u8], max: usize) -> Result<Vec<u8>, HostError> {
        let file = fs::File::open(path(name)).map_err(|error| host_error(&error))?;
        let mut bytes = Vec::new();
        let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
        file.take(bound)
            .read_to_end(&mut bytes)
            .map_err(|error| host_error(&error))?;
        if bytes.len() > max {
            Err(HostError::Other(libc::EFBIG))
        } else {
            Ok(bytes)
        }
    }

    fn path_kind(&self, name: &[u8]) -> Result<PathKind, HostError> {
        let meta = fs::metadata(path(name)).map_err(|error| host_error(&error))?;
        Ok(if meta.is_file() {
            PathKind::File
        } else if meta.is_dir() {
            PathKind::Directory
        } else {
            PathKind::Other
        })
    }

    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let own = env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
        let mut all: Vec<_> = own
            .filter(|(name, _)| self.extra.iter().all(|(extra, _)| extra != name))
            .collect();
        all.extend(self.extra.iter().cloned());
        all
    }

    fn user_id(&self, name: &str) -> Result<u32, HostError> {
        named(name, sys::user_id)
    }

    fn group_id(&self, name: &str) -> Result<u32, HostError> {
        named(name, sys::group_id)
    }

    fn resolve(&self, name: &str, family: Family, plain: bool) -> Vec<IpAddr> {
        let Ok(found) = (name, 0).to_socket_addrs() else {
            return Vec::new();
        };
        let mut ips: Vec<IpAddr> = Vec::new();
        for ip in found.map(|addr| addr.ip()) {
            let wanted = match family {
                // The old resolver call knows IPv4 only.
                Family::Any => !plain || ip.is_ipv4(),
                Family::V4 => ip.is_ipv4(),
                Family::V6 => ip.is_ipv6(),
            };
            if wanted && !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        ips
    }

    fn interface_index(&self, name: &str) -> Option<u32> {
        sys::interface_index(&CString::new(name).ok()?)
    }

    fn is_stream_socket(&self, fd: i32) -> Result<bool, HostError> {
        match sys::sockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE) {
            Ok(kind) => Ok(kind == libc::SOCK_STREAM),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => Err(HostError::NotOpen),
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Err(HostError::NotSocket),
            Err(error) => Err(host_error(&error)),
        }
    }

    fn hostname(&self) -> String {
        sys::hostname().unwrap_or_default()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn processors(&self) -> u32 {
        std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_kinds() {
        let host = RealHost::default();
        assert_eq!(host.path_kind(b"/"), Ok(PathKind::Directory));
        assert_eq!(host.path_kind(b"/dev/null"), Ok(PathKind::Other));
        assert_eq!(host.path_kind(b"/no/such/path"), Err(HostError::Missing));
        assert_eq!(host.read_file(b"/no/such/path", 10), Err(HostError::Missing));
        assert_eq!(
            host.read_file(b"/proc/self/status", 3),
            Err(HostError::Other(libc::EFBIG))
        );
        assert!(!host.read_file(b"/proc/self/status", 1 << 20).unwrap().is_empty());
    }

    #[test]
    fn inherited_sockets() {
        use std::os::fd::AsRawFd;
        let host = RealHost::default();
        let pair = |kind| socket2::Socket::pair(socket2::Domain::UNIX, kind, None).unwrap();
        let (stream, _peer) = pair(socket2::Type::STREAM);
        let (datagram, _peer) = pair(socket2::Type::DGRAM);
        let file = fs::File::open("/dev/null").unwrap();
        assert_eq!(host.is_stream_socket(stream.as_raw_fd()), Ok(true));
        assert_eq!(host.is_stream_socket(datagram.as_raw_fd()), Ok(false));
        assert_eq!(host.is_stream_socket(file.as_raw_fd()), Err(HostError::NotSocket));
        assert_eq!(host.is_stream_socket(99_999), Err(HostError::NotOpen));
    }

    #[test]
    fn users_and_interfaces() {
        let host = RealHost::default();
        assert_eq!(host.user_id("root"), Ok(0));
        assert_eq!(host.group_id("root"), Ok(0));
        assert_eq!(host.user_id("no such user here"), Err(HostError::Missing));
        assert_eq!(host.user_id("a\0b"), Err(HostError::Missing));
        assert_eq!(host.interface_index("lo"), Some(1));
        assert_eq!(host.interface_index("no-such-if"), None);
        assert_eq!(host.pid(), std::process::id());
        assert!(host.processors() >= 1);
    }

    #[test]
    fn names_and_environment() {
        let extra = vec![
            (b"HAPROXY_TEST_NAME".to_vec(), b"1".to_vec()),
            (b"PATH".to_vec(), b"/x".to_vec()),
        ];
        let host = RealHost { extra };
        let found: Vec<_> = host
            .environment()
            .into_iter()
            .filter(|(name, _)| name == b"PATH")
            .collect();
        assert_eq!(found, [(b"PATH".to_vec(), b"/x".to_vec())]);
        assert_eq!(
            host.resolve("127.0.0.1", Family::Any, false),
            [IpAddr::from([127, 0, 0, 1])]
        );
        assert!(host.resolve("127.0.0.1", Family::V6, false).is_empty());
        assert!(
            host.resolve("localhost", Family::V4, true)
                .iter()
                .all(IpAddr::is_ipv4)
        );
    }
}
