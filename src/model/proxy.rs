//! One proxy (frontend, backend or listen), checked. Source: configuration manual, chapter 4 ("Proxies").

use std::net::IpAddr;
use std::sync::Arc;

use super::config::Declared;
use super::format::LogFormat;
use super::ids::{ListenerId, ProxyId, ServerId};
use super::logging::LogTarget;
use super::server::Source;
pub use crate::proto::h1::conn::HttpMode;

/// What a section may do: `listen` is both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// It accepts connections.
    pub frontend: bool,
    /// It has servers.
    pub backend: bool,
}

/// `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Bytes are relayed as they come.
    #[default]
    Tcp,
    /// Requests and responses are understood.
    Http,
}

/// `balance`. The hashing algorithms come with the sample engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Smooth weighted round robin, weights may change.
    #[default]
    RoundRobin,
    /// Weighted round robin over a fixed map.
    StaticRr,
    /// Fewest connections.
    LeastConn,
    /// First server with a free slot.
    First,
    /// The least loaded of so many random draws.
    Random(u32),
}

/// `http-reuse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpReuse {
    /// No sharing between client sessions.
    Never,
    /// Not for the first request of a session.
    #[default]
    Safe,
    /// Also for first requests, over connections that proved themselves once.
    Aggressive,
    /// Always.
    Always,
}

/// `retry-on`: which failures may be retried on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// `conn-failure`.
    pub conn_failure: bool,
    /// `empty-response`.
    pub empty_response: bool,
    /// `junk-response`.
    pub junk_response: bool,
    /// `response-timeout`.
    pub response_timeout: bool,
    /// `0rtt-rejected`; harmless without TLS.
    pub early_data_rejected: bool,
    /// Status codes, as bits in the order of `RetryOn::STATUSES`.
    pub statuses: u16,
}

impl RetryOn {
    /// The status codes that `retry-on` may name; bit N of `statuses` stands for entry N.
    pub const STATUSES: [u16; 14] = [401, 403, 404, 408, 421, 425, 429, 500, 501, 502, 503, 504, 0, 0];

    /// Whether a response of that status may be retried.
    pub fn status(self, status: u16) -> bool {
        status != 0
            && Self::STATUSES
                .iter()
                .position(|s| *s == status)
                .is_some_and(|bit| self.statuses & (1 << bit) != 0)
    }

    /// Whether the request must be kept until the response is there (anything past `conn-failure`).
    pub fn needs_copy(self) -> bool {
        self.empty_response
            || self.junk_response
            || self.response_timeout
            || self.early_data_rejected
            || self.statuses != 0
    }
}

impl Default for RetryOn {
    fn default() -> Self {
        Self {
            conn_failure: true,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            early_data_rejected: false,
            statuses: 0,
        }
    }
}

/// A network that `forwardfor` and `originalto` leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Base address.
    pub ip: IpAddr,
    /// Prefix length in bits.
    pub prefix_bits: u8,
}

impl Network {
    /// Whether the address belongs to the network; never for another family.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix_bits.min(32));
                shift == 32 || (u32::from(net) ^ u32::from(ip)) >> shift == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix_bits.min(128));
                shift == 128 || (u128::from(net) ^ u128::from(ip)) >> shift == 0
            }
            _ => false,
        }
    }
}

/// `option forwardfor` or `option originalto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFor {
    /// Header name (`X-Forwarded-For`, `X-Original-To` by default).
    pub header: Arc<str>,
    /// `except`.
    pub except: Option<Network>,
    /// `if-none`.
    pub if_none: bool,
}

/// One part of `option forwarded`'s header value: how a node or a host is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `proto`.
    pub proto: bool,
    /// `host`.
    pub host: bool,
    /// `by`.
    pub by: bool,
    /// `by_port`.
    pub by_port: bool,
    /// `for`.
    pub for_: bool,
    /// `for_port`.
    pub for_port: bool,
}

/// `option splice-*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Splice {
    /// `splice-auto`.
    pub auto: bool,
    /// `splice-request`.
    pub request: bool,
    /// `splice-response`.
    pub response: bool,
}

/// Plain on/off options of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `abortonclose`.
    pub abortonclose: bool,
    /// `no option abortonclose`: off for HTTP too, where it is on unless said otherwise.
    pub no_abortonclose: bool,
    /// `accept-unsafe-violations-in-http-request`.
    pub unsafe_request: bool,
    /// `accept-unsafe-violations-in-http-response`.
    pub unsafe_response: bool,
    /// `allbackups`.
    pub allbackups: bool,
    /// `clitcpka`.
    pub clitcpka: bool,
    /// `srvtcpka`.
    pub srvtcpka: bool,
    /// `contstats`.
    pub contstats: bool,
    /// `disable-h2-upgrade`.
    pub disable_h2_upgrade: bool,
    /// `dontlog-normal`.
    pub dontlog_normal: bool,
    /// `dontlognull`.
    pub dontlognull: bool,
    /// `h1-case-adjust-bogus-client`.
    pub case_adjust_client: bool,
    /// `h1-case-adjust-bogus-server`.
    pub case_adjust_server: bool,
    /// `http-buffer-request`.
    pub http_buffer_request: bool,
    /// `http-drop-request-trailers`.
    pub drop_request_trailers: bool,
    /// `http-drop-response-trailers`.
    pub drop_response_trailers: bool,
    /// `http-ignore-probes`.
    pub http_ignore_probes: bool,
    /// `http-no-delay`.
    pub http_no_delay: bool,
    /// `http-pretend-keepalive`.
    pub pretend_keepalive: bool,
    /// `http-use-proxy-header`.
    pub use_proxy_header: bool,
    /// `idle-close-on-response`.
    pub idle_close_on_response: bool,
    /// `independent-streams`.
    pub independent_streams: bool,
    /// `log-health-checks`.
    pub log_health_checks: bool,
    /// `log-separate-errors`.
    pub log_separate_errors: bool,
    /// `logasap`.
    pub logasap: bool,
    /// `nolinger`.
    pub nolinger: bool,
    /// `persist`.
    pub persist: bool,
    /// `prefer-last-server`.
    pub prefer_last_server: bool,
    /// `socket-stats`.
    pub socket_stats: bool,
    /// `tcp-smart-accept`.
    pub tcp_smart_accept: bool,
    /// `tcp-smart-connect`.
    pub tcp_smart_connect: bool,
}

/// `option http-restrict-req-hdr-names`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestrictNames {
    /// `preserve`: names are left alone.
    #[default]
    Preserve,
    /// `delete`: headers with other characters than letters, digits and `-` are removed.
    Delete,
    /// `reject`: such a request is refused with 403.
    Reject,
}

/// Timeouts in milliseconds; `None` is infinite (or falls back, as the manual says for each).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout client`.
    pub client_ms: Option<u32>,
    /// `timeout client-fin`.
    pub client_fin_ms: Option<u32>,
    /// `timeout client-hs`.
    pub client_hs_ms: Option<u32>,
    /// `timeout connect`.
    pub connect_ms: Option<u32>,
    /// `timeout http-keep-alive`.
    pub http_keep_alive_ms: Option<u32>,
    /// `timeout http-request`.
    pub http_request_ms: Option<u32>,
    /// `timeout queue`.
    pub queue_ms: Option<u32>,
    /// `timeout server`.
    pub server_ms: Option<u32>,
    /// `timeout server-fin`.
    pub server_fin_ms: Option<u32>,
    /// `timeout tarpit`.
    pub tarpit_ms: Option<u32>,
    /// `timeout tunnel`.
    pub tunnel_ms: Option<u32>,
    /// `timeout check`.
    pub check_ms: Option<u32>,
}

/// Keep-alive probes of one side (`clitcpka-*`, `srvtcpka-*`); `None` leaves the system's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpKeepAlive {
    /// Probes before the connection is called dead.
    pub count: Option<u32>,
    /// Seconds of idleness before the first probe.
    pub idle_s: Option<u32>,
    /// Seconds between probes.
    pub interval_s: Option<u32>,
}

/// The whole reply sent instead of a built-in one (`errorfile`).
#[derive(Clone, Debug)]
pub struct ErrorFile {
    /// Status code it replaces.
    pub status: u16,
    /// Head and body as sent.
    pub bytes: Arc<[u8]>,
}

/// One proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its position.
    pub id: ProxyId,
    /// Where it was declared.
    pub declared: Declared,
    /// Its name.
    pub name: Arc<str>,
    /// What it may do.
    pub caps: Caps,
    /// `mode`.
    pub mode: Mode,
    /// `id`, or the number given automatically.
    pub uuid: u32,
    /// `guid`.
    pub guid: Option<Arc<str>>,
    /// `description`.
    pub description: Option<Arc<str>>,
    /// `disabled`.
    pub disabled: bool,
    /// Plain options.
    pub options: Options,
    /// `timeout` lines.
    pub timeouts: Timeouts,
    /// `log` lines, `log global` already replaced.
    pub logs: Vec<LogTarget>,
    /// `log-tag`; the global one otherwise.
    pub log_tag: Option<Arc<str>>,
    /// The compiled format of the frontend's log lines; `None` for `no log-format`.
    pub log_format: Option<Arc<LogFormat>>,
    /// The compiled format of errors before a stream exists.
    pub error_log_format: Option<Arc<LogFormat>>,
    /// `errorfile` lines.
    pub error_files: Vec<ErrorFile>,

    /// The frontend's listeners.
    pub listeners: Vec<ListenerId>,
    /// `maxconn` of the frontend; `None` for the process's.
    pub maxconn: Option<u32>,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// `rate-limit sessions`, per second, 0 for none.
    pub rate_limit_sessions: u32,
    /// `default_backend`; for a `listen` itself.
    pub default_backend: Option<ProxyId>,
    /// The first unconditional `use_backend`, which stands before `default_backend`.
    pub use_backend: Option<ProxyId>,
    /// `monitor-uri`.
    pub monitor_uri: Option<Arc<[u8]>>,
    /// `option http-restrict-req-hdr-names`.
    pub restrict_names: RestrictNames,
    /// `clitcpka-*`.
    pub client_keep_alive: TcpKeepAlive,

    /// The backend's servers.
    pub servers: Vec<ServerId>,
    /// `balance`.
    pub balance: Balance,
    /// `dispatch`: where connections go when there is no server.
    pub dispatch: Option<super::server::Target>,
    /// `option transparent`: connect to the address that the client aimed at.
    pub transparent: bool,
    /// `fullconn`; `None` asks for HAProxy's computation.
    pub fullconn: Option<u32>,
    /// `retries`.
    pub retries: u32,
    /// `option redispatch [interval]`: `None` off; a negative value counts from the last retry.
    pub redispatch_interval: Option<i32>,
    /// `retry-on`.
    pub retry_on: RetryOn,
    /// `http-reuse`.
    pub http_reuse: HttpReuse,
    /// `max-session-srv-conns`.
    pub max_session_srv_conns: u32,
    /// `max-keep-alive-queue`, `None` for no limit.
    pub max_keep_alive_queue: Option<u32>,
    /// `source` of the backend.
    pub source: Option<Source>,
    /// `srvtcpka-*`.
    pub server_keep_alive: TcpKeepAlive,

    /// `option http-keep-alive`, `http-server-close`, `httpclose`.
    pub http_mode: HttpMode,
    /// `option forwardfor`.
    pub forwardfor: Option<ForwardFor>,
    /// `option originalto`.
    pub originalto: Option<ForwardFor>,
    /// `option forwarded`.
    pub forwarded: Option<Forwarded>,
    /// `option splice-*`.
    pub splice: Splice,
}

impl Proxy {
    /// A proxy with every setting at its built-in default (manual, chapter 4), enabled, with no listener and
    /// no server; ids are set when the configuration is frozen.
    pub fn new(name: &str, caps: Caps, declared: Declared) -> Self {
        Self {
            id: ProxyId(0),
            declared,
            name: name.into(),
            caps,
            mode: Mode::default(),
            uuid: 0,
            guid: None,
            description: None,
            disabled: false,
            options: Options::default(),
            timeouts: Timeouts::default(),
            logs: Vec::new(),
            log_tag: None,
            log_format: None,
            error_log_format: None,
            error_files: Vec::new(),
            listeners: Vec::new(),
            maxconn: None,
            backlog: None,
            rate_limit_sessions: 0,
            default_backend: None,
            use_backend: None,
            monitor_uri: None,
            restrict_names: RestrictNames::default(),
            client_keep_alive: TcpKeepAlive::default(),
            servers: Vec::new(),
            balance: Balance::default(),
            dispatch: None,
            transparent: false,
            fullconn: None,
            retries: 3,
            redispatch_interval: None,
            retry_on: RetryOn::default(),
            http_reuse: HttpReuse::default(),
            max_session_srv_conns: 5,
            max_keep_alive_queue: None,
            source: None,
            server_keep_alive: TcpKeepAlive::default(),
            http_mode: HttpMode::default(),
            forwardfor: None,
            originalto: None,
            forwarded: None,
            splice: Splice::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        let net = Network {
            ip: IpAddr::from([10, 1, 0, 0]),
            prefix_bits: 16,
        };
        assert!(net.contains(IpAddr::from([10, 1, 2, 3])));
        assert!(!net.contains(IpAddr::from([10, 2, 2, 3])));
        let all = Network {
            ip: IpAddr::from([0u16; 8]),
            prefix_bits: 0,
        };
        assert!(all.contains(IpAddr::from([1u16; 8])));
        assert!(!all.contains(IpAddr::from([10, 1, 2, 3])));
    }
}
