//! Telling systemd how far the service is: datagrams to the socket that `NOTIFY_SOCKET` names.
//!
//! Source: sd_notify(3). The first datagram is READY=1, since some listeners read only one.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::engine::sys;

/// A way to systemd.
#[derive(Debug)]
pub struct Notifier {
    socket: Socket,
    address: SockAddr,
}

impl Notifier {
    /// The one that the environment names; `None` when nobody listens.
    pub fn from_environment() -> Option<Self> {
        Self::new(&env::var_os("NOTIFY_SOCKET")?).ok()
    }

    fn new(name: &OsString) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => sys::abstract_address(name, true).ok_or(ErrorKind::InvalidInput)?,
            [b'/', ..] => SockAddr::unix(name)?,
            _ => return Err(ErrorKind::InvalidInput.into()),
        };
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        Ok(Self { socket, address })
    }

    /// Sends one state. Nobody listening is no failure.
    pub fn send(&self, state: &str) {
        let _ = self.socket.send_to(state.as_bytes(), &self.address);
    }
}

use io::ErrorKind;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn datagrams_arrive_one_by_one() {
        let name = format!("@rproxy-notify-test-{}", std::process::id());
        let mut listener = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        listener
            .bind(&sys::abstract_address(&name.as_bytes()[1..], true).unwrap())
            .unwrap();
        let notifier = Notifier::new(&OsString::from(name)).unwrap();
        notifier.send("READY=1\n");
        notifier.send("STOPPING=1");
        let mut buffer = [0; 64];
        let count = listener.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"READY=1\n");
        let count = listener.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"STOPPING=1");
        assert!(Notifier::new(&OsString::from("relative")).is_err());
    }
}
