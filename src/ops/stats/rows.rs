//! The counter registry: one row per column of `show stat`, in the order of HAProxy 3.4.0.
//!
//! Tools address columns by name, by position in CSV, and by number in typed output: the order never changes.
//! Columns of TLS and HTTP/2 stand in their places and stay empty until these are there; columns of features that
//! count nothing yet but belong to the core (compression, cache) hold a true 0, as HAProxy's do when unused.
//! Source: management manual, "CSV format".

use super::column::Column;
use super::field::Tag;
use super::field::Value::{Empty, Str, U32, U64};
use super::getters::{
    algorithm, backend_downtime, backend_status, frontend_status, http_only, last_session, limit,
    listener_addr, listener_name, listener_protocol, listener_status, mode, rate, seconds_since, server_addr,
    server_status,
};

/// The columns of proxies. In CSV a lone `-` follows them.
pub static PROXY_COLUMNS: &[Column] = &[
    Column::new("pxname", Tag::KEY_NAME, "Name of the proxy")
        .li(|v| Str(&v.proxy.name))
        .fe(|v| Str(&v.proxy.name))
        .sv(|v| Str(&v.proxy.name))
        .be(|v| Str(&v.proxy.name)),
    Column::new(
        "svname",
        Tag::KEY_NAME,
        "Name of the server or listener, or FRONTEND or BACKEND",
    )
    .li(listener_name)
    .fe(|_| Str("FRONTEND"))
    .sv(|v| Str(&v.server.name))
    .be(|_| Str("BACKEND")),
    Column::new("qcur", Tag::GAUGE, "Streams waiting in the queue now")
        .sv(|v| U32(v.state.queued))
        .be(|v| U32(v.state.queued)),
    Column::new("qmax", Tag::MAX, "Most streams that ever waited in the queue")
        .sv(|v| U32(v.counters.queue_max))
        .be(|v| U32(v.counters.queue_max)),
    Column::new("scur", Tag::GAUGE, "Sessions now")
        .li(|v| U32(v.state.conns))
        .fe(|v| U32(v.state.fe_conns))
        .sv(|v| U32(v.state.sessions))
        .be(|v| U32(v.state.be_conns)),
    Column::new("smax", Tag::MAX, "Most sessions at the same time")
        .li(|v| U32(v.counters.conns_max))
        .fe(|v| U32(v.counters.conns_max))
        .sv(|v| U32(v.counters.sessions_max))
        .be(|v| U32(v.counters.conns_max)),
    Column::new(
        "slim",
        Tag::LIMIT,
        "maxconn of a frontend, listener or server, fullconn of a backend",
    )
    .li(|v| U32(v.listener.maxconn))
    .fe(|v| U32(v.state.maxconn))
    .sv(|v| limit(v.state.maxconn.unwrap_or(v.server.maxconn)))
    .be(|v| U32(v.state.fullconn)),
    Column::new("stot", Tag::KEPT_COUNTER, "Sessions since the start")
        .li(|v| U64(v.counters.sessions))
        .fe(|v| U64(v.counters.sessions))
        .sv(|v| U64(v.counters.sessions))
        .be(|v| U64(v.counters.sessions)),
    Column::new(
        "bin",
        Tag::KEPT_COUNTER,
        "Bytes of requests received since the start",
    )
    .li(|v| U64(v.counters.bytes.req_in))
    .fe(|v| U64(v.counters.bytes.req_in))
    .sv(|v| U64(v.counters.bytes.req_in))
    .be(|v| U64(v.counters.bytes.req_in)),
    Column::new(
        "bout",
        Tag::KEPT_COUNTER,
        "Bytes of responses received or made since the start",
    )
    .li(|v| U64(v.counters.bytes.res_in))
    .fe(|v| U64(v.counters.bytes.res_in))
    .sv(|v| U64(v.counters.bytes.res_in))
    .be(|v| U64(v.counters.bytes.res_in)),
    Column::new("dreq", Tag::KEPT_COUNTER, "Requests denied by a rule")
        .li(|v| U64(v.counters.denied_requests))
        .fe(|v| U64(v.counters.denied_requests))
        .be(|v| U64(v.counters.denied_requests)),
    Column::new("dresp", Tag::KEPT_COUNTER, "Responses denied by a rule")
        .li(|v| U64(v.counters.denied_responses))
        .fe(|v| U64(v.counters.denied_responses))
        .sv(|v| U64(v.counters.denied_responses))
        .be(|v| U64(v.counters.denied_responses)),
    Column::new(
        "ereq",
        Tag::KEPT_COUNTER,
        "Requests that were refused as wrong or never completed",
    )
    .li(|v| U64(v.counters.failed_requests))
    .fe(|v| U64(v.counters.failed_requests)),
    Column::new("econ", Tag::KEPT_COUNTER, "Connections to servers that failed")
        .sv(|v| U64(v.counters.failed_conns))
        .be(|v| U64(v.counters.failed_conns)),
    Column::new(
        "eresp",
        Tag::KEPT_COUNTER,
        "Responses that were refused as wrong or broken off",
    )
    .sv(|v| U64(v.counters.failed_responses))
    .be(|v| U64(v.counters.failed_responses)),
    Column::new(
        "wretr",
        Tag::KEPT_COUNTER,
        "Times that a connection was tried again",
    )
    .sv(|v| U64(v.counters.retries))
    .be(|v| U64(v.counters.retries)),
    Column::new(
        "wredis",
        Tag::KEPT_COUNTER,
        "Times that a stream was sent to another server",
    )
    .sv(|v| U64(v.counters.redispatches))
    .be(|v| U64(v.counters.redispatches)),
    Column::new(
        "status",
        Tag::STATUS,
        "State: OPEN, WAITING, FULL, STOP, PAUSED, UP, DOWN, MAINT, no check",
    )
    .li(|v| Str(listener_status(v)))
    .fe(|v| Str(frontend_status(v)))
    .sv(|v| Str(server_status(v)))
    .be(backend_status),
    Column::new(
        "weight",
        Tag::AVG,
        "Weight in use of a server, or of all usable servers of a backend",
    )
    .sv(|v| U32(v.state.weight))
    .be(|v| U32(v.weight)),
    Column::new(
        "act",
        Tag::STATUS,
        "Active servers that are usable; 1 or 0 for a server",
    )
    .sv(|v| U32(u32::from(!v.server.backup)))
    .be_as(Tag::GAUGE, |v| U32(v.active)),
    Column::new(
        "bck",
        Tag::STATUS,
        "Backup servers that are usable; 1 or 0 for a server",
    )
    .sv(|v| U32(u32::from(v.server.backup)))
    .be_as(Tag::GAUGE, |v| U32(v.backup)),
    Column::new(
        "chkfail",
        Tag::KEPT_COUNTER,
        "Health checks that failed; empty without checks",
    ),
    Column::new(
        "chkdown",
        Tag::KEPT_COUNTER,
        "Times that it went down; empty for a server without checks",
    )
    .be(|v| U64(v.counters.down_transitions)),
    Column::new("lastchg", Tag::KEPT_AGE, "Seconds since the state last changed")
        .sv(|v| U32(seconds_since(v.scene.now, v.state.last_change_at)))
        .be(|v| U32(seconds_since(v.scene.now, v.state.last_change_at))),
    Column::new(
        "downtime",
        Tag::COUNTER,
        "Seconds spent down; empty for a server without checks",
    )
    .be(backend_downtime),
    Column::new("qlimit", Tag::SETTING, "maxqueue of a server").sv(|v| limit(v.server.maxqueue)),
    Column::new("pid", Tag::KEY_PROCESS, "Number of the worker process, always 1")
        .li(|_| U32(1))
        .fe(|_| U32(1))
        .sv(|_| U32(1))
        .be(|_| U32(1)),
    Column::new("iid", Tag::KEY_NUMBER, "Number of the proxy (id)")
        .li(|v| U32(v.proxy.uuid))
        .fe(|v| U32(v.proxy.uuid))
        .sv(|v| U32(v.proxy.uuid))
        .be(|v| U32(v.proxy.uuid)),
    Column::new(
        "sid",
        Tag::KEY_NUMBER,
        "Number of the server or listener within its proxy (id)",
    )
    .li(|v| U32(v.listener.luid))
    .fe(|_| U32(0))
    .sv(|v| U32(v.server.puid))
    .be(|_| U32(0)),
    Column::new(
        "throttle",
        Tag::AVG,
        "Percentage of its weight that a server in slow start may use",
    ),
    Column::new(
        "lbtot",
        Tag::KEPT_COUNTER,
        "Streams given to it by load balancing",
    )
    .sv(|v| U64(v.counters.balanced))
    .be(|v| U64(v.counters.balanced)),
    Column::new("tracked", Tag::SET_NAME, "The server whose state it follows"),
    Column::new(
        "type",
        Tag::SETTING,
        "Kind of object: 0 frontend, 1 backend, 2 server, 3 listener",
    )
    .li(|_| U32(3))
    .fe(|_| U32(0))
    .sv(|_| U32(2))
    .be(|_| U32(1)),
    Column::new("rate", Tag::KEPT_RATE, "Sessions during the last second")
        .fe(|v| rate(v.scene.now, &v.state.fe_sess_rate))
        .sv(|v| rate(v.scene.now, &v.state.sess_rate))
        .be(|v| rate(v.scene.now, &v.state.be_sess_rate)),
    Column::new("rate_lim", Tag::LIMIT, "rate-limit sessions of a frontend")
        .fe(|v| U32(v.proxy.rate_limit_sessions)),
    Column::new("rate_max", Tag::MAX, "Most sessions in one second")
        .fe(|v| U32(v.counters.session_rate_max))
        .sv(|v| U32(v.counters.session_rate_max))
        .be_as(Tag::GAUGE, |v| U32(v.counters.session_rate_max)),
    Column::new("check_status", Tag::OUTPUT, "Outcome of the last health check"),
    Column::new("check_code", Tag::OUTPUT, "Status code of the last health check"),
    Column::new(
        "check_duration",
        Tag::DURATION,
        "How long the last health check took, milliseconds",
    ),
    Column::new(
        "hrsp_1xx",
        Tag::KEPT_COUNTER,
        "HTTP responses with a status of 1xx",
    )
    .fe(|v| http_only(v.proxy, v.counters.responses.0[0]))
    .sv(|v| http_only(v.proxy, v.counters.responses.0[0]))
    .be(|v| http_only(v.proxy, v.counters.responses.0[0])),
    Column::new(
        "hrsp_2xx",
        Tag::KEPT_COUNTER,
        "HTTP responses with a status of 2xx",
    )
    .fe(|v| http_only(v.proxy, v.counters.responses.0[1]))
    .sv(|v| http_only(v.proxy, v.counters.responses.0[1]))
    .be(|v| http_only(v.proxy, v.counters.responses.0[1])),
    Column::new(
        "hrsp_3xx",
        Tag::KEPT_COUNTER,
        "HTTP responses with a status of 3xx",
    )
    .fe(|v| http_only(v.proxy, v.counters.responses.0[2]))
    .sv(|v| http_only(v.proxy, v.counters.responses.0[2]))
    .be(|v| http_only(v.proxy, v.counters.responses.0[2])),
    Column::new(
        "hrsp_4xx",
        Tag::KEPT_COUNTER,
        "HTTP responses with a status of 4xx",
    )
    .fe(|v| http_only(v.proxy, v.counters.responses.0[3]))
    .sv(|v| http_only(v.proxy, v.counters.responses.0[3]))
    .be(|v| http_only(v.proxy, v.counters.responses.0[3])),
    Column::new(
        "hrsp_5xx",
        Tag::KEPT_COUNTER,
        "HTTP responses with a status of 5xx",
    )
    .fe(|v| http_only(v.proxy, v.counters.responses.0[4]))
    .sv(|v| http_only(v.proxy, v.counters.responses.0[4]))
    .be(|v| http_only(v.proxy, v.counters.responses.0[4])),
    Column::new(
        "hrsp_other",
        Tag::KEPT_COUNTER,
        "HTTP responses with another status",
    )
    .fe(|v| http_only(v.proxy, v.counters.responses.0[5]))
    .sv(|v| http_only(v.proxy, v.counters.responses.0[5]))
    .be(|v| http_only(v.proxy, v.counters.responses.0[5])),
    Column::new(
        "hanafail",
        Tag::KEPT_COUNTER,
        "Errors seen in traffic that counted as failed checks",
    ),
    Column::new("req_rate", Tag::KEPT_RATE, "HTTP requests during the last second")
        .fe(|v| rate(v.scene.now, &v.state.fe_req_rate)),
    Column::new("req_rate_max", Tag::MAX, "Most HTTP requests in one second")
        .fe(|v| U32(v.counters.request_rate_max)),
    Column::new("req_tot", Tag::KEPT_COUNTER, "HTTP requests")
        .fe(|v| U64(v.counters.requests.iter().sum()))
        .sv(|v| http_only(v.proxy, v.counters.requests))
        .be(|v| http_only(v.proxy, v.counters.requests)),
    Column::new("cli_abrt", Tag::KEPT_COUNTER, "Transfers that the client gave up")
        .sv(|v| U64(v.counters.client_aborts))
        .be(|v| U64(v.counters.client_aborts)),
    Column::new("srv_abrt", Tag::KEPT_COUNTER, "Transfers that the server gave up")
        .sv(|v| U64(v.counters.server_aborts))
        .be(|v| U64(v.counters.server_aborts)),
    Column::new(
        "comp_in",
        Tag::KEPT_COUNTER,
        "Bytes given to the compressor, which is not there yet",
    )
    .fe(|_| U64(0))
    .be(|_| U64(0)),
    Column::new(
        "comp_out",
        Tag::KEPT_COUNTER,
        "Bytes that the compressor gave back",
    )
    .fe(|_| U64(0))
    .be(|_| U64(0)),
    Column::new(
        "comp_byp",
        Tag::KEPT_COUNTER,
        "Bytes that went around the compressor",
    )
    .fe(|_| U64(0))
    .be(|_| U64(0)),
    Column::new("comp_rsp", Tag::KEPT_COUNTER, "Responses compressed")
        .fe(|_| U64(0))
        .be(|_| U64(0)),
    Column::new(
        "lastsess",
        Tag::KEPT_AGE,
        "Seconds since a stream was last given to it, -1 for never",
    )
    .sv(|v| last_session(v.scene.now, v.state.last_session_at))
    .be(|v| last_session(v.scene.now, v.state.last_session_at)),
    Column::new("last_chk", Tag::OUTPUT, "Text of the last health check"),
    Column::new("last_agt", Tag::OUTPUT, "Text of the last agent check"),
    Column::new(
        "qtime",
        Tag::AVG,
        "Average time in the queue over the last 1024 requests, milliseconds",
    )
    .sv(|v| U32(v.counters.queue_time.average_ms(v.samples())))
    .be(|v| U32(v.counters.queue_time.average_ms(v.samples()))),
    Column::new(
        "ctime",
        Tag::AVG,
        "Average time to connect over the last 1024 requests, milliseconds",
    )
    .sv(|v| U32(v.counters.connect_time.average_ms(v.samples())))
    .be(|v| U32(v.counters.connect_time.average_ms(v.samples()))),
    Column::new(
        "rtime",
        Tag::AVG,
        "Average time to the response over the last 1024 requests, milliseconds (0 for TCP)",
    )
    .sv(|v| U32(v.counters.response_time.average_ms(v.samples())))
    .be(|v| U32(v.counters.response_time.average_ms(v.samples()))),
    Column::new(
        "ttime",
        Tag::AVG,
        "Average time of the whole stream over the last 1024 requests, milliseconds",
    )
    .sv(|v| U32(v.counters.total_time.average_ms(v.samples())))
    .be(|v| U32(v.counters.total_time.average_ms(v.samples()))),
    Column::new("agent_status", Tag::OUTPUT, "Outcome of the last agent check"),
    Column::new(
        "agent_code",
        Tag::OUTPUT,
        "Number reported by the last agent check",
    ),
    Column::new(
        "agent_duration",
        Tag::DURATION,
        "How long the last agent check took, milliseconds",
    ),
    Column::new("check_desc", Tag::OUTPUT, "Meaning of check_status"),
    Column::new("agent_desc", Tag::OUTPUT, "Meaning of agent_status"),
    Column::new("check_rise", Tag::SETTING, "rise of the health checks"),
    Column::new("check_fall", Tag::SETTING, "fall of the health checks"),
    Column::new(
        "check_health",
        Tag::SETTING,
        "Level of the health checks, 0 to rise + fall - 1",
    ),
    Column::new("agent_rise", Tag::SETTING, "rise of the agent checks"),
    Column::new("agent_fall", Tag::SETTING, "fall of the agent checks"),
    Column::new(
        "agent_health",
        Tag::SETTING,
        "Level of the agent checks, 0 to rise + fall - 1",
    ),
    Column::new(
        "addr",
        Tag::SETTING,
        "Address and port, shown to operators and admins",
    )
    .li(listener_addr)
    .sv(server_addr),
    Column::new(
        "cookie",
        Tag::SET_NAME,
        "Name of the cookie of a backend, value for a server, shown to operators and admins",
    ),
    Column::new("mode", Tag::SETTING, "mode: tcp or http")
        .li(|v| Str(mode(v.proxy)))
        .fe(|v| Str(mode(v.proxy)))
        .sv(|v| Str(mode(v.proxy)))
        .be(|v| Str(mode(v.proxy))),
    Column::new(
        "algo",
        Tag::SETTING,
        "balance of a backend, shown to operators and admins",
    )
    .be(algorithm),
    Column::new(
        "conn_rate",
        Tag::KEPT_RATE,
        "Connections accepted during the last second",
    )
    .fe(|v| rate(v.scene.now, &v.state.fe_conn_rate)),
    Column::new(
        "conn_rate_max",
        Tag::MAX,
        "Most connections accepted in one second",
    )
    .fe(|v| U32(v.counters.conn_rate_max)),
    Column::new("conn_tot", Tag::KEPT_COUNTER, "Connections accepted")
        .li(|v| U64(v.counters.conns))
        .fe(|v| U64(v.counters.conns)),
    Column::new(
        "intercepted",
        Tag::KEPT_COUNTER,
        "Requests answered by the proxy itself",
    )
    .fe(|v| http_only(v.proxy, v.counters.intercepted)),
    Column::new(
        "dcon",
        Tag::KEPT_COUNTER,
        "Connections refused by a tcp-request connection rule",
    )
    .li(|v| U64(v.counters.denied_conns))
    .fe(|v| U64(v.counters.denied_conns)),
    Column::new(
        "dses",
        Tag::KEPT_COUNTER,
        "Sessions refused by a tcp-request session rule",
    )
    .li(|v| U64(v.counters.denied_sessions))
    .fe(|v| U64(v.counters.denied_sessions)),
    Column::new(
        "wrew",
        Tag::KEPT_COUNTER,
        "Header rewrites that failed for lack of room",
    )
    .li(|v| U64(v.counters.failed_rewrites))
    .fe(|v| U64(v.counters.failed_rewrites))
    .sv(|v| U64(v.counters.failed_rewrites))
    .be(|v| U64(v.counters.failed_rewrites)),
    Column::new("connect", Tag::KEPT_COUNTER, "Connections tried to servers")
        .sv(|v| U64(v.counters.connects))
        .be(|v| U64(v.counters.connects)),
    Column::new(
        "reuse",
        Tag::KEPT_COUNTER,
        "Requests sent over an idle connection",
    )
    .sv(|v| U64(v.counters.reuses))
    .be(|v| U64(v.counters.reuses)),
    Column::new(
        "cache_lookups",
        Tag::KEPT_COUNTER,
        "Requests looked up in the cache, which is not there yet",
    )
    .fe(|v| http_only(v.proxy, 0))
    .be(|v| http_only(v.proxy, 0)),
    Column::new("cache_hits", Tag::KEPT_COUNTER, "Requests found in the cache")
        .fe(|v| http_only(v.proxy, 0))
        .be(|v| http_only(v.proxy, 0)),
    Column::new("srv_icur", Tag::GAUGE, "Idle connections kept for reuse now")
        .sv(|v| U32(v.state.idle_conns)),
    Column::new("src_ilim", Tag::LIMIT, "pool-max-conn of a server")
        .sv(|v| v.server.pool_max_conn.map_or(Empty, U32)),
    Column::new("qtime_max", Tag::MAX, "Longest time in the queue, milliseconds")
        .sv(|v| U32(v.counters.queue_time.max_ms))
        .be(|v| U32(v.counters.queue_time.max_ms)),
    Column::new("ctime_max", Tag::MAX, "Longest time to connect, milliseconds")
        .sv(|v| U32(v.counters.connect_time.max_ms))
        .be(|v| U32(v.counters.connect_time.max_ms)),
    Column::new(
        "rtime_max",
        Tag::MAX,
        "Longest time to the response, milliseconds (0 for TCP)",
    )
    .sv(|v| U32(v.counters.response_time.max_ms))
    .be(|v| U32(v.counters.response_time.max_ms)),
    Column::new(
        "ttime_max",
        Tag::MAX,
        "Longest time of a whole stream, milliseconds",
    )
    .sv(|v| U32(v.counters.total_time.max_ms))
    .be(|v| U32(v.counters.total_time.max_ms)),
    Column::new("eint", Tag::KEPT_COUNTER, "Internal errors")
        .li(|v| U64(v.counters.internal_errors))
        .fe(|v| U64(v.counters.internal_errors))
        .sv(|v| U64(v.counters.internal_errors))
        .be(|v| U64(v.counters.internal_errors)),
    Column::new(
        "idle_conn_cur",
        Tag::GAUGE,
        "Idle connections that have not proved to be safe for first requests",
    )
    .sv(|v| U32(v.state.idle_conns.saturating_sub(v.state.safe_conns))),
    Column::new(
        "safe_conn_cur",
        Tag::GAUGE,
        "Idle connections that have proved to be safe",
    )
    .sv(|v| U32(v.state.safe_conns)),
    Column::new(
        "used_conn_cur",
        Tag::GAUGE,
        "Connections to the server in use now",
    )
    .sv(|v| U32(v.state.used_conns)),
    Column::new(
        "need_conn_est",
        Tag::GAUGE,
        "Connections that are estimated to be needed",
    )
    .sv(|v| U32(v.state.used_conns_max)),
    Column::new(
        "uweight",
        Tag::AVG,
        "Weight set by the user for a server, or sum over the usable servers of a backend",
    )
    .sv(|v| U32(v.state.weight))
    .be(|v| U32(v.weight)),
    Column::new(
        "agg_server_status",
        Tag::GAUGE,
        "Meant for Prometheus, always 0 here",
    )
    .be(|_| U32(0)),
    Column::new(
        "agg_server_check_status",
        Tag::GAUGE,
        "Meant for Prometheus, always 0 here",
    )
    .be(|_| U32(0)),
    Column::new(
        "agg_check_status",
        Tag::GAUGE,
        "Meant for Prometheus, always 0 here",
    )
    .be(|_| U32(0)),
    Column::new(
        "srid",
        Tag::COUNTER,
        "Revision of the server's number, raised when a number is used again",
    )
    .sv(|_| U32(0)),
    Column::new("sess_other", Tag::COUNTER, "Sessions that spoke no HTTP")
        .fe(|v| U64(v.counters.sessions.saturating_sub(v.counters.h1.total_conns))),
    Column::new("h1sess", Tag::KEPT_COUNTER, "Sessions that spoke HTTP/1")
        .fe(|v| U64(v.counters.h1.total_conns)),
    Column::new(
        "h2sess",
        Tag::KEPT_COUNTER,
        "Sessions that spoke HTTP/2, which is not there yet",
    )
    .fe(|_| U64(0)),
    Column::new(
        "h3sess",
        Tag::KEPT_COUNTER,
        "Sessions that spoke HTTP/3, which is not there yet",
    )
    .fe(|_| U64(0)),
    Column::new(
        "req_other",
        Tag::KEPT_COUNTER,
        "Requests of another protocol than HTTP/1, 2 or 3",
    )
    .fe(|v| U64(v.counters.requests[0])),
    Column::new("h1req", Tag::KEPT_COUNTER, "HTTP/1 requests").fe(|v| U64(v.counters.requests[1])),
    Column::new(
        "h2req",
        Tag::KEPT_COUNTER,
        "Requests that name HTTP/2, which is not there yet",
    )
    .fe(|v| U64(v.counters.requests[2])),
    Column::new(
        "h3req",
        Tag::KEPT_COUNTER,
        "Requests that name HTTP/3, which is not there yet",
    )
    .fe(|v| U64(v.counters.requests[3])),
    Column::new("proto", Tag::STATUS, "Protocol of a listener").li(|v| Str(listener_protocol(v))),
    Column::new(
        "priv_idle_cur",
        Tag::GAUGE,
        "Idle connections that belong to one session each",
    )
    .sv(|v| U32(v.state.private_idle_conns)),
    Column::new("reqbin", Tag::KEPT_COUNTER, "Bytes of requests received")
        .li(|v| U64(v.counters.bytes.req_in))
        .fe(|v| U64(v.counters.bytes.req_in))
        .sv(|v| U64(v.counters.bytes.req_in))
        .be(|v| U64(v.counters.bytes.req_in)),
    Column::new("reqbout", Tag::KEPT_COUNTER, "Bytes of requests sent on")
        .li(|v| U64(v.counters.bytes.req_out))
        .fe(|v| U64(v.counters.bytes.req_out))
        .sv(|v| U64(v.counters.bytes.req_out))
        .be(|v| U64(v.counters.bytes.req_out)),
    Column::new("resbin", Tag::KEPT_COUNTER, "Bytes of responses received")
        .li(|v| U64(v.counters.bytes.res_in))
        .fe(|v| U64(v.counters.bytes.res_in))
        .sv(|v| U64(v.counters.bytes.res_in))
        .be(|v| U64(v.counters.bytes.res_in)),
    Column::new("resbout", Tag::KEPT_COUNTER, "Bytes of responses sent on")
        .li(|v| U64(v.counters.bytes.res_out))
        .fe(|v| U64(v.counters.bytes.res_out))
        .sv(|v| U64(v.counters.bytes.res_out))
        .be(|v| U64(v.counters.bytes.res_out)),
];

/// The columns of modules, numbered on from [`PROXY_COLUMNS`].
pub static MODULE_COLUMNS: &[Column] = &[
    Column::new("ssl_sess", Tag::COUNTER, "TLS sessions made"),
    Column::new("ssl_reused_sess", Tag::COUNTER, "TLS sessions taken up again"),
    Column::new("ssl_failed_handshake", Tag::COUNTER, "TLS handshakes that failed"),
    Column::new("ssl_ocsp_staple", Tag::COUNTER, "OCSP answers stapled"),
    Column::new(
        "ssl_failed_ocsp_staple",
        Tag::COUNTER,
        "OCSP answers that could not be stapled",
    ),
    Column::new("h2_headers_rcvd", Tag::COUNTER, "HEADERS frames received"),
    Column::new("h2_data_rcvd", Tag::COUNTER, "DATA frames received"),
    Column::new("h2_settings_rcvd", Tag::COUNTER, "SETTINGS frames received"),
    Column::new("h2_rst_stream_rcvd", Tag::COUNTER, "RST_STREAM frames received"),
    Column::new("h2_goaway_rcvd", Tag::COUNTER, "GOAWAY frames received"),
    Column::new(
        "h2_detected_conn_protocol_errors",
        Tag::COUNTER,
        "HTTP/2 protocol errors of connections",
    ),
    Column::new(
        "h2_detected_strm_protocol_errors",
        Tag::COUNTER,
        "HTTP/2 protocol errors of streams",
    ),
    Column::new("h2_rst_stream_resp", Tag::COUNTER, "RST_STREAM frames sent"),
    Column::new("h2_goaway_resp", Tag::COUNTER, "GOAWAY frames sent"),
    Column::new("h2_open_connections", Tag::GAUGE, "HTTP/2 connections now"),
    Column::new("h2_backend_open_streams", Tag::GAUGE, "HTTP/2 streams now"),
    Column::new("h2_total_connections", Tag::COUNTER, "HTTP/2 connections"),
    Column::new("h2_backend_total_streams", Tag::COUNTER, "HTTP/2 streams"),
    Column::new("h1_open_connections", Tag::GAUGE, "HTTP/1 connections now")
        .fe(|v| U64(v.counters.h1.open_conns))
        .be(|v| U64(v.counters.h1.open_conns)),
    Column::new("h1_open_streams", Tag::GAUGE, "HTTP/1 streams now")
        .fe(|v| U64(v.counters.h1.open_streams))
        .be(|v| U64(v.counters.h1.open_streams)),
    Column::new("h1_total_connections", Tag::COUNTER, "HTTP/1 connections")
        .fe(|v| U64(v.counters.h1.total_conns))
        .be(|v| U64(v.counters.h1.total_conns)),
    Column::new("h1_total_streams", Tag::COUNTER, "HTTP/1 streams")
        .fe(|v| U64(v.counters.h1.total_streams))
        .be(|v| U64(v.counters.h1.total_streams)),
    Column::new("h1_bytes_in", Tag::COUNTER, "Bytes received over HTTP/1")
        .fe(|v| U64(v.counters.h1.in_bytes))
        .be(|v| U64(v.counters.h1.in_bytes)),
    Column::new("h1_bytes_out", Tag::COUNTER, "Bytes sent over HTTP/1")
        .fe(|v| U64(v.counters.h1.out_bytes))
        .be(|v| U64(v.counters.h1.out_bytes)),
    Column::new(
        "h1_spliced_bytes_in",
        Tag::COUNTER,
        "Bytes received over HTTP/1 by splicing",
    )
    .fe(|v| U64(v.counters.h1.spliced_in_bytes))
    .be(|v| U64(v.counters.h1.spliced_in_bytes)),
    Column::new(
        "h1_spliced_bytes_out",
        Tag::COUNTER,
        "Bytes sent over HTTP/1 by splicing",
    )
    .fe(|v| U64(v.counters.h1.spliced_out_bytes))
    .be(|v| U64(v.counters.h1.spliced_out_bytes)),
];

/// How many columns there are.
pub fn count() -> usize {
    PROXY_COLUMNS.len() + MODULE_COLUMNS.len()
}

/// The column of that number.
pub fn column(number: usize) -> Option<&'static Column> {
    PROXY_COLUMNS
        .get(number)
        .or_else(|| MODULE_COLUMNS.get(number.checked_sub(PROXY_COLUMNS.len())?))
}
