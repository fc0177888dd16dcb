//! The counters behind `show info` and `show stat`, laid out once for all their readers
//! (csv, typed, JSON, HTML, Prometheus). Source: management manual, "Statistics and monitoring".
//!
//! All are event counts since the start, or bytes where the name ends in `bytes`.

/// Responses counted by class of status: 1xx to 5xx, then others.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusClasses(pub [u64; 6]);

impl StatusClasses {
    /// Counts one response of that status.
    pub fn count(&mut self, status: u16) {
        let class = match status / 100 {
            class @ 1..=5 => usize::from(class) - 1,
            _ => 5,
        };
        self.0[class] += 1;
    }
}

/// The last 1024 times, in milliseconds, as a sliding average and a maximum (`qtime`, `ctime`, ...).
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeStat {
    /// Sum of the window: the average times `WINDOW`.
    pub sum_ms: u64,
    /// Largest value seen.
    pub max_ms: u32,
}

impl TimeStat {
    /// Samples in the sliding window.
    pub const WINDOW: u64 = 1024;

    /// Adds a sample to the sliding average, as HAProxy weighs it.
    pub fn add(&mut self, time_ms: u32) {
        self.sum_ms = self.sum_ms - self.sum_ms.div_ceil(Self::WINDOW).min(self.sum_ms) + u64::from(time_ms);
        self.max_ms = self.max_ms.max(time_ms);
    }

    /// The average over the window, given how many samples there were in all.
    pub fn average_ms(&self, samples: u64) -> u32 {
        let samples = samples.clamp(1, Self::WINDOW);
        u32::try_from(self.sum_ms.div_ceil(samples)).unwrap_or(u32::MAX)
    }
}

/// Bytes of streams, as logs count them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByteCounters {
    /// `bin` and `reqbin`: of requests, received.
    pub req_in: u64,
    /// `reqbout`: of requests, passed on.
    pub req_out: u64,
    /// `bout` and `resbin`: of responses, received.
    pub res_in: u64,
    /// `resbout`: of responses, passed on; answers made here included.
    pub res_out: u64,
}

impl ByteCounters {
    /// Adds to all four, in their order.
    pub fn add(&mut self, [req_in, req_out, res_in, res_out]: [u64; 4]) {
        self.req_in += req_in;
        self.req_out += req_out;
        self.res_in += res_in;
        self.res_out += res_out;
    }
}

/// Counters that the HTTP/1 side of a proxy keeps (`h1_*` columns).
#[derive(Clone, Copy, Debug, Default)]
pub struct H1Counters {
    /// Connections open at present.
    pub open_conns: u64,
    /// Streams open at present.
    pub open_streams: u64,
    /// Connections in all; `h1sess`, and the other sessions are `sess_other`.
    pub total_conns: u64,
    /// Streams in all.
    pub total_streams: u64,
    /// Bytes received.
    pub in_bytes: u64,
    /// Bytes sent.
    pub out_bytes: u64,
    /// Bytes received by splicing.
    pub spliced_in_bytes: u64,
    /// Bytes sent by splicing.
    pub spliced_out_bytes: u64,
}

/// Counters of the frontend side of a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrontendCounters {
    /// `stot`: sessions in all.
    pub sessions: u64,
    /// `conn_tot`: connections in all.
    pub conns: u64,
    /// `smax`.
    pub conns_max: u32,
    /// `bin`, `bout`, `reqbin` and their like.
    pub bytes: ByteCounters,
    /// `dreq`.
    pub denied_requests: u64,
    /// `dresp`.
    pub denied_responses: u64,
    /// `dcon`.
    pub denied_conns: u64,
    /// `dses`.
    pub denied_sessions: u64,
    /// `ereq`.
    pub failed_requests: u64,
    /// `hrsp_*`.
    pub responses: StatusClasses,
    /// `req_other`, `h1req`, `h2req`, `h3req`: requests by the major version that they name; `req_tot` is their sum.
    pub requests: [u64; 4],
    /// `intercepted`: answered by the proxy.
    pub intercepted: u64,
    /// `rate_max`.
    pub session_rate_max: u32,
    /// `conn_rate_max`.
    pub conn_rate_max: u32,
    /// `req_rate_max`.
    pub request_rate_max: u32,
    /// `eint`.
    pub internal_errors: u64,
    /// `wrew`.
    pub failed_rewrites: u64,
    /// Of HTTP/1.
    pub h1: H1Counters,
}

/// Counters of the backend side of a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackendCounters {
    /// `stot`.
    pub sessions: u64,
    /// `smax`.
    pub conns_max: u32,
    /// `qmax`.
    pub queue_max: u32,
    /// `bin`, `bout`, `reqbin` and their like.
    pub bytes: ByteCounters,
    /// `dreq`.
    pub denied_requests: u64,
    /// `dresp`.
    pub denied_responses: u64,
    /// `econ`.
    pub failed_conns: u64,
    /// `eresp`.
    pub failed_responses: u64,
    /// `wretr`.
    pub retries: u64,
    /// `wredis`.
    pub redispatches: u64,
    /// `lbtot`: streams balanced.
    pub balanced: u64,
    /// `rate_max`.
    pub session_rate_max: u32,
    /// `hrsp_*`.
    pub responses: StatusClasses,
    /// `req_tot`.
    pub requests: u64,
    /// `cli_abrt`.
    pub client_aborts: u64,
    /// `srv_abrt`.
    pub server_aborts: u64,
    /// `eint`.
    pub internal_errors: u64,
    /// `wrew`.
    pub failed_rewrites: u64,
    /// `connect`: connections to servers.
    pub connects: u64,
    /// `reuse`: requests over an idle connection.
    pub reuses: u64,
    /// `chkdown`: times that the backend went down.
    pub down_transitions: u64,
    /// `downtime` in seconds until the last change.
    pub down_s: u64,
    /// `qtime`.
    pub queue_time: TimeStat,
    /// `ctime`.
    pub connect_time: TimeStat,
    /// `rtime`.
    pub response_time: TimeStat,
    /// `ttime`.
    pub total_time: TimeStat,
    /// Of HTTP/1.
    pub h1: H1Counters,
}

/// Counters of both sides of a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProxyCounters {
    /// As a frontend.
    pub fe: FrontendCounters,
    /// As a backend.
    pub be: BackendCounters,
}

/// Counters of a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerCounters {
    /// `stot`: sessions in all.
    pub sessions: u64,
    /// `smax`.
    pub sessions_max: u32,
    /// `qmax`.
    pub queue_max: u32,
    /// `bin`, `bout`, `reqbin` and their like.
    pub bytes: ByteCounters,
    /// `dresp`.
    pub denied_responses: u64,
    /// `econ`.
    pub failed_conns: u64,
    /// `eresp`.
    pub failed_responses: u64,
    /// `wretr`.
    pub retries: u64,
    /// `wredis`.
    pub redispatches: u64,
    /// `lbtot`.
    pub balanced: u64,
    /// `rate_max`.
    pub session_rate_max: u32,
    /// `hrsp_*`.
    pub responses: StatusClasses,
    /// `req_tot`.
    pub requests: u64,
    /// `cli_abrt`.
    pub client_aborts: u64,
    /// `srv_abrt`.
    pub server_aborts: u64,
    /// `eint`.
    pub internal_errors: u64,
    /// `wrew`.
    pub failed_rewrites: u64,
    /// `connect`.
    pub connects: u64,
    /// `reuse`.
    pub reuses: u64,
    /// `chkdown`.
    pub down_transitions: u64,
    /// `downtime` in seconds until the last change.
    pub down_s: u64,
    /// `qtime`.
    pub queue_time: TimeStat,
    /// `ctime`.
    pub connect_time: TimeStat,
    /// `rtime`.
    pub response_time: TimeStat,
    /// `ttime`.
    pub total_time: TimeStat,
}

/// Counters of a listener (`option socket-stats`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ListenerCounters {
    /// `stot`.
    pub sessions: u64,
    /// `conn_tot`.
    pub conns: u64,
    /// `smax`.
    pub conns_max: u32,
    /// `bin`, `bout`, `reqbin` and their like.
    pub bytes: ByteCounters,
    /// `dreq`.
    pub denied_requests: u64,
    /// `dresp`.
    pub denied_responses: u64,
    /// `dcon`.
    pub denied_conns: u64,
    /// `dses`.
    pub denied_sessions: u64,
    /// `ereq`.
    pub failed_requests: u64,
    /// `wrew`.
    pub failed_rewrites: u64,
    /// `eint`.
    pub internal_errors: u64,
}

/// Counters of the process (`show info`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessCounters {
    /// `CumConns`.
    pub conns: u64,
    /// `CumStreams`: streams in all.
    pub streams: u64,
    /// `CumReq`: numbers given out (`%rt`), to streams and to lines of requests that never became one.
    pub requests: u64,
    /// `MaxConnRate`.
    pub conn_rate_max: u32,
    /// `MaxSessRate`.
    pub sess_rate_max: u32,
    /// `TotalBytesOut`.
    pub out_bytes: u64,
    /// `TotalSplicedBytesOut`.
    pub spliced_out_bytes: u64,
    /// `DroppedLogs`.
    pub dropped_logs: u64,
    /// `MaxconnReached`.
    pub maxconn_reached: u64,
    /// `TotalWarnings`.
    pub warnings: u64,
}
