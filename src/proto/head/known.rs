//! The field names that the proxy acts on, as small numbers.
//!
//! A parser names each field once; look-ups then compare one byte.

/// Header field names on which the proxy itself acts, so that a look-up compares one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Known {
    /// None of the names below.
    #[default]
    Other,
    /// `authorization`
    Authorization,
    /// `cache-control`
    CacheControl,
    /// `connection`
    Connection,
    /// `content-encoding`
    ContentEncoding,
    /// `content-length`
    ContentLength,
    /// `content-type`
    ContentType,
    /// `cookie`
    Cookie,
    /// `date`
    Date,
    /// `expect`
    Expect,
    /// `forwarded`
    Forwarded,
    /// `host`
    Host,
    /// `keep-alive`
    KeepAlive,
    /// `location`
    Location,
    /// `proxy-authenticate`
    ProxyAuthenticate,
    /// `proxy-authorization`
    ProxyAuthorization,
    /// `proxy-connection`
    ProxyConnection,
    /// `sec-websocket-accept`
    SecWebsocketAccept,
    /// `sec-websocket-key`
    SecWebsocketKey,
    /// `set-cookie`
    SetCookie,
    /// `te`
    Te,
    /// `trailer`
    Trailer,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `user-agent`
    UserAgent,
    /// `www-authenticate`
    WwwAuthenticate,
    /// `x-forwarded-for`
    XForwardedFor,
    /// `x-original-to`
    XOriginalTo,
}

impl Known {
    /// The names of this length: seldom more than three.
    pub(super) const fn of_len(len: usize) -> &'static [(&'static [u8], Self)] {
        match len {
            2 => &[(b"te", Self::Te)],
            4 => &[(b"date", Self::Date), (b"host", Self::Host)],
            6 => &[(b"cookie", Self::Cookie), (b"expect", Self::Expect)],
            7 => &[(b"trailer", Self::Trailer), (b"upgrade", Self::Upgrade)],
            8 => &[(b"location", Self::Location)],
            9 => &[(b"forwarded", Self::Forwarded)],
            10 => &[
                (b"connection", Self::Connection),
                (b"keep-alive", Self::KeepAlive),
                (b"set-cookie", Self::SetCookie),
                (b"user-agent", Self::UserAgent),
            ],
            12 => &[(b"content-type", Self::ContentType)],
            13 => &[
                (b"authorization", Self::Authorization),
                (b"cache-control", Self::CacheControl),
                (b"x-original-to", Self::XOriginalTo),
            ],
            14 => &[(b"content-length", Self::ContentLength)],
            15 => &[(b"x-forwarded-for", Self::XForwardedFor)],
            16 => &[
                (b"content-encoding", Self::ContentEncoding),
                (b"proxy-connection", Self::ProxyConnection),
                (b"www-authenticate", Self::WwwAuthenticate),
            ],
            17 => &[
                (b"sec-websocket-key", Self::SecWebsocketKey),
                (b"transfer-encoding", Self::TransferEncoding),
            ],
            18 => &[(b"proxy-authenticate", Self::ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", Self::ProxyAuthorization)],
            20 => &[(b"sec-websocket-accept", Self::SecWebsocketAccept)],
            _ => &[],
        }
    }

    /// Recognises a field name, ignoring case.
    pub fn from_name(name: &[u8]) -> Self {
        Self::of_len(name.len())
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |&(_, id)| id)
    }
}
