//! A compiled log format: the items between which a log line is laid out.
//!
//! The default formats are compiled through the same form as `log-format` will be.
//! Source: configuration manual, "Custom log format".

/// What stands in one place of a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Bytes sent as they are.
    Text(Box<[u8]>),
    /// One run of blanks: printed once, and not at all where the line begins.
    Separator,
    /// A value.
    Field {
        /// Which value.
        field: Field,
        /// `%{...}` flags.
        flags: Flags,
    },
}

/// Flags of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `M`: an empty text is printed as `-`; on by default in log formats.
    pub mandatory: bool,
    /// `Q`: between quotes.
    pub quote: bool,
    /// `X`: numbers and addresses in hexadecimal.
    pub hex: bool,
    /// `E`: `"`, `\` and `]` are escaped (RFC 5424 structured data).
    pub escape: bool,
}

/// The values that a log line may hold, named by HAProxy's alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `%o`: no value, carries flags for those that follow.
    Options,
    /// `%ci`
    ClientIp,
    /// `%cp`
    ClientPort,
    /// `%fi`
    FrontendIp,
    /// `%fp`
    FrontendPort,
    /// `%bi`
    BackendSourceIp,
    /// `%bp`
    BackendSourcePort,
    /// `%si`
    ServerIp,
    /// `%sp`
    ServerPort,
    /// `%f`
    FrontendName,
    /// `%ft`: with `~` after the name on TLS.
    FrontendNameTransport,
    /// `%b`
    BackendName,
    /// `%s`
    ServerName,
    /// `%B`
    BytesRead,
    /// `%U`
    BytesUploaded,
    /// `%ST`
    StatusCode,
    /// `%ts`
    TerminationState,
    /// `%tsc`
    TerminationStateCookie,
    /// `%CC`
    RequestCookie,
    /// `%CS`
    ResponseCookie,
    /// `%ac`
    ActiveConns,
    /// `%fc`
    FrontendConns,
    /// `%bc`
    BackendConns,
    /// `%sc`
    ServerConns,
    /// `%rc`
    Retries,
    /// `%sq`
    ServerQueue,
    /// `%bq`
    BackendQueue,
    /// `%rt`
    RequestCounter,
    /// `%lc`
    LogCounter,
    /// `%pid`
    Pid,
    /// `%H`
    Hostname,
    /// `%ID`
    UniqueId,
    /// `%hr`
    RequestCaptures,
    /// `%hrl`
    RequestCapturesList,
    /// `%hs`
    ResponseCaptures,
    /// `%hsl`
    ResponseCapturesList,
    /// `%HM`
    HttpMethod,
    /// `%HP`
    HttpPath,
    /// `%HPO`
    HttpPathOnly,
    /// `%HQ`
    HttpQuery,
    /// `%HU`
    HttpUri,
    /// `%HV`
    HttpVersion,
    /// `%r`
    HttpRequest,
    /// `%Th`
    HandshakeTime,
    /// `%Ti`
    IdleTime,
    /// `%TR`
    RequestTime,
    /// `%Tq`
    QueryTime,
    /// `%Tw`
    QueueTime,
    /// `%Tc`
    ConnectTime,
    /// `%Tr`
    ResponseTime,
    /// `%Td`
    DataTime,
    /// `%Ta`
    ActiveTime,
    /// `%Tt`
    TotalTime,
    /// `%Tu`
    UserTime,
    /// `%t`: accept date with milliseconds.
    AcceptDate,
    /// `%T`: accept date, GMT.
    AcceptDateGmt,
    /// `%Tl`: accept date, local with offset.
    AcceptDateLocal,
    /// `%Ts`: accept date, seconds.
    AcceptSeconds,
    /// `%ms`: accept date, milliseconds part.
    AcceptMilliseconds,
    /// `%tr`: request date with milliseconds.
    RequestDate,
    /// `%trg`: request date, GMT.
    RequestDateGmt,
    /// `%trl`: request date, local with offset.
    RequestDateLocal,
    /// `%[fc_err]`: number of the error of the client connection.
    ConnError,
    /// `%[ssl_fc_err,hex]`: last error of the TLS library on the client connection.
    TlsError,
    /// `%[ssl_c_err]`: error met while checking the client's certificate.
    TlsClientError,
    /// `%[ssl_c_ca_err]`: error met while checking the chain above it.
    TlsClientCaError,
    /// `%[ssl_fc_is_resumed]`
    TlsResumed,
    /// `%[ssl_fc_sni]`
    TlsSni,
    /// `%sslc`
    TlsCipher,
    /// `%sslv`
    TlsVersion,
    /// `%OG`
    Origin,
}

/// A compiled log format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFormat {
    /// The places in order.
    pub items: Vec<Item>,
    /// It names HTTP fields, which have no value in TCP mode.
    pub is_http: bool,
    /// What must be known before a line can be written.
    pub needs: Needs,
    /// It tells the address that the client connected to, which has to be asked for.
    pub names_destination: bool,
    /// It tells the address that the server sees, likewise.
    pub names_source: bool,
}

impl LogFormat {
    /// Adds a value, and what is to be known for it.
    pub fn push_field(&mut self, field: Field, flags: Flags, needs: Needs) {
        self.needs = self.needs.and(needs);
        self.names_destination |= matches!(field, Field::FrontendIp | Field::FrontendPort);
        self.names_source |= matches!(field, Field::BackendSourceIp | Field::BackendSourcePort);
        self.items.push(Item::Field { field, flags });
    }
}

/// What the fields of a format wait for; tells when a line can leave at the earliest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The request line.
    pub request: bool,
    /// Byte counts and times that are final at the end only.
    pub end: bool,
    /// Anything else that comes after the request line (addresses, names, headers, the status).
    pub other: bool,
}

impl Needs {
    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            request: self.request || more.request,
            end: self.end || more.end,
            other: self.other || more.other,
        }
    }

    /// Whether the line leaves as soon as the request line is there; `asap` is `option logasap`.
    pub fn met_by_request(self, asap: bool) -> bool {
        self.request && !self.other && (asap || !self.end)
    }

    /// Whether the line leaves as soon as the server is connected (TCP) or its response head is there (HTTP),
    /// instead of at the end; `asap` is `option logasap`.
    pub fn met_by_response(self, asap: bool) -> bool {
        asap || !self.end
    }
}
