//! Why a connection failed: numbers and texts of logs, of `fc_err` and `bc_err`.
//!
//! Source: configuration manual, `fc_err`; the numbers are those of HAProxy 3.4.0. Errors of protocols that are not
//! there yet (TLS, SOCKS, NetScaler) keep their numbers free.

/// The error of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnError {
    /// None.
    #[default]
    None,
    /// `maxconn` of the process was reached.
    ConfiguredLimit,
    /// The process has no descriptor left (EMFILE).
    ProcessLimit,
    /// The system has no descriptor left (ENFILE).
    SystemLimit,
    /// The system has no socket memory left.
    SystemMemory,
    /// The protocol or family is not there.
    NoProtocol,
    /// Another error of a socket.
    Socket,
    /// All ports of the `source` range are in use.
    PortRange,
    /// The `source` address cannot be bound.
    CannotBind,
    /// The system has no free local port.
    FreePorts,
    /// The local address is in use.
    AddressInUse,
    /// Closed before a PROXY header came.
    ProxyEmpty,
    /// Broken before a PROXY header came.
    ProxyAbort,
    /// No PROXY header came in time.
    ProxyTimeout,
    /// The PROXY header is incomplete.
    ProxyTruncated,
    /// What came is no PROXY header.
    ProxyNotHeader,
    /// The PROXY header is malformed.
    ProxyBadHeader,
    /// The PROXY header names a protocol that is not handled.
    ProxyBadProtocol,
}

impl ConnError {
    const ROWS: [(Self, u8, &'static str); 18] = [
        (Self::None, 0, "Success"),
        (Self::ConfiguredLimit, 1, "Reached configured maxconn value"),
        (Self::ProcessLimit, 2, "Too many sockets on the process"),
        (Self::SystemLimit, 3, "Too many sockets on the system"),
        (Self::SystemMemory, 4, "Out of system buffers"),
        (Self::NoProtocol, 5, "Protocol or address family not supported"),
        (Self::Socket, 6, "General socket error"),
        (Self::PortRange, 7, "Source port range exhausted"),
        (Self::CannotBind, 8, "Can't bind to source address"),
        (Self::FreePorts, 9, "Out of local source ports on the system"),
        (Self::AddressInUse, 10, "Local source address already in use"),
        (
            Self::ProxyEmpty,
            11,
            "Connection closed while waiting for PROXY protocol header",
        ),
        (
            Self::ProxyAbort,
            12,
            "Connection error while waiting for PROXY protocol header",
        ),
        (
            Self::ProxyTimeout,
            13,
            "Timeout while waiting for PROXY protocol header",
        ),
        (
            Self::ProxyTruncated,
            14,
            "Truncated PROXY protocol header received",
        ),
        (
            Self::ProxyNotHeader,
            15,
            "Received something which does not look like a PROXY protocol header",
        ),
        (
            Self::ProxyBadHeader,
            16,
            "Received an invalid PROXY protocol header",
        ),
        (
            Self::ProxyBadProtocol,
            17,
            "Received an unhandled protocol in the PROXY protocol header",
        ),
    ];

    fn row(self) -> (Self, u8, &'static str) {
        Self::ROWS[self as usize]
    }

    /// The number that `fc_err` gives.
    pub fn code(self) -> u8 {
        self.row().1
    }

    /// The text of logs and of `fc_err_str`.
    pub fn message(self) -> &'static str {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_errors() {
        for (at, (error, code, _)) in ConnError::ROWS.into_iter().enumerate() {
            assert_eq!((error as usize, usize::from(code)), (at, at));
        }
        assert_eq!(ConnError::ProxyNotHeader.code(), 15);
    }
}
