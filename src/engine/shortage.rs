//! The system refuses a descriptor or memory: what is short, and what the log says about it.
//!
//! The beginning of each line is HAProxy's, since alarms look for it.
//! Source: accept4(2), socket(2), management manual, "Limits"; lines seen of 3.4.0.

use std::io;

/// What the system has no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Descriptors of this process.
    Process,
    /// Descriptors of the whole system.
    System,
    /// Memory.
    Memory,
}

impl Shortage {
    /// The shortage that an error tells of.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.raw_os_error()? {
            libc::EMFILE => Some(Self::Process),
            libc::ENFILE => Some(Self::System),
            libc::ENOBUFS | libc::ENOMEM => Some(Self::Memory),
            _ => None,
        }
    }

    /// The log line when a frontend cannot accept. `maxsock`: descriptors that the process reckons with; `conns`:
    /// client connections it has.
    pub(crate) fn accept_line(self, proxy: &str, maxsock: u32, conns: u32) -> String {
        match self {
            Self::Process => self.connect_line(proxy, maxsock),
            Self::System | Self::Memory => self.line(proxy, &format!("actconn={conns}")),
        }
    }

    /// The log line when a backend cannot make a socket.
    pub(crate) fn connect_line(self, proxy: &str, maxsock: u32) -> String {
        self.line(proxy, &format!("maxsock={maxsock}"))
    }

    fn line(self, proxy: &str, number: &str) -> String {
        let (what, advice) = match self {
            Self::Process => ("process FD", "a higher 'ulimit-n', or a lower 'maxconn'"),
            Self::System => ("system FD", "more descriptors for the system"),
            Self::Memory => ("system memory", "more memory, or a lower 'maxconn'"),
        };
        format!("Proxy {proxy} reached {what} limit ({number}). It takes {advice}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_their_lines() {
        let of = |code| Shortage::of(&io::Error::from_raw_os_error(code));
        assert_eq!(of(libc::EMFILE), Some(Shortage::Process));
        assert_eq!(of(libc::ENFILE), Some(Shortage::System));
        assert_eq!(of(libc::ENOMEM), Some(Shortage::Memory));
        assert_eq!(of(libc::ENOBUFS), Some(Shortage::Memory));
        assert_eq!(of(libc::ECONNREFUSED), None);
        let begins = |line: String, with: &str| assert!(line.starts_with(with), "{line}");
        begins(
            Shortage::Process.accept_line("fe", 225, 9),
            "Proxy fe reached process FD limit (maxsock=225).",
        );
        begins(
            Shortage::System.accept_line("fe", 225, 9),
            "Proxy fe reached system FD limit (actconn=9).",
        );
        begins(
            Shortage::Memory.connect_line("be", 225),
            "Proxy be reached system memory limit (maxsock=225).",
        );
    }
}
