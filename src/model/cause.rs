//! Who ended a stream and when: the two first letters of the termination state in the logs.
//!
//! Source: HAProxy configuration manual, "Session state at disconnection".

/// Who or what ended the stream (first letter of the termination state).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Who {
    /// `-`: both sides ended normally.
    #[default]
    None,
    /// `C`: the client aborted.
    Client,
    /// `c`: the client-side timeout struck.
    ClientTimeout,
    /// `S`: the server aborted or refused.
    Server,
    /// `s`: the server-side timeout struck.
    ServerTimeout,
    /// `P`: the proxy ended it (a rule, a limit, a protocol violation).
    Proxy,
    /// `I`: an internal error.
    Internal,
    /// `K`: killed by an operator.
    Killed,
    /// `L`: handled locally, not forwarded.
    Local,
}

impl Who {
    /// The letter as HAProxy prints it.
    pub fn letter(self) -> u8 {
        match self {
            Self::None => b'-',
            Self::Client => b'C',
            Self::ClientTimeout => b'c',
            Self::Server => b'S',
            Self::ServerTimeout => b's',
            Self::Proxy => b'P',
            Self::Internal => b'I',
            Self::Killed => b'K',
            Self::Local => b'L',
        }
    }
}

/// In which phase the stream was when it ended (second letter of the termination state).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum When {
    /// `-`: normal end after the data was transferred.
    #[default]
    None,
    /// `R`: waiting for a complete, valid request.
    Request,
    /// `Q`: waiting in the queue for a connection slot.
    Queue,
    /// `C`: connecting to the server.
    Connect,
    /// `H`: waiting for the response headers.
    Headers,
    /// `D`: transferring data.
    Data,
    /// `L`: sending the last data to the client while the server had finished.
    Last,
}

impl When {
    /// The letter as HAProxy prints it.
    pub fn letter(self) -> u8 {
        match self {
            Self::None => b'-',
            Self::Request => b'R',
            Self::Queue => b'Q',
            Self::Connect => b'C',
            Self::Headers => b'H',
            Self::Data => b'D',
            Self::Last => b'L',
        }
    }
}

/// Who ended the stream and in which phase. The first cause set is kept: later ones are consequences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cause {
    /// Who ended it.
    pub who: Who,
    /// In which phase.
    pub when: When,
}

impl Cause {
    /// A cause from both halves.
    pub fn new(who: Who, when: When) -> Self {
        Self { who, when }
    }

    /// Records `who` unless an earlier cause is there.
    pub fn set_who(&mut self, who: Who) {
        if self.who == Who::None {
            self.who = who;
        }
    }

    /// Records `when` unless an earlier phase is there.
    pub fn set_when(&mut self, when: When) {
        if self.when == When::None {
            self.when = when;
        }
    }

    /// Records both halves, each unless already set.
    pub fn set(&mut self, who: Who, when: When) {
        self.set_who(who);
        self.set_when(when);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_cause_is_kept() {
        let mut cause = Cause::default();
        cause.set(Who::Client, When::Data);
        cause.set(Who::Server, When::Headers);
        assert_eq!(cause, Cause::new(Who::Client, When::Data));
    }
}
