//! What is measured: the table of workloads.

/// How a workload is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// As fast as it goes, then at a fixed rate, with the generator of this program.
    Rate,
    /// Memory of connections that are kept and silent.
    Idle,
    /// Memory of downloads that are hardly read.
    Slow,
    /// As fast as it goes, with wrk.
    Wrk,
    /// As fast as it goes, with h2load over HTTP/1.1.
    H2load,
}

/// One workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    /// Path that is asked for.
    pub(crate) path: &'static str,
    pub(crate) conns: usize,
    /// Bytes of each request's body.
    pub(crate) upload: usize,
    /// Requests at once on a connection.
    pub(crate) pipeline: usize,
    /// A connection per request.
    pub(crate) fresh: bool,
    /// MPTCP towards clients, towards servers.
    pub(crate) mptcp: [bool; 2],
    /// `mode tcp`.
    pub(crate) tcp: bool,
    /// An access log over UDP.
    pub(crate) log: bool,
    /// A second row with `option splice-auto`.
    pub(crate) splice: bool,
}

const BASE: Workload = Workload {
    name: "",
    about: "",
    kind: Kind::Rate,
    path: "/tiny",
    conns: 64,
    upload: 0,
    pipeline: 1,
    fresh: false,
    mptcp: [false, false],
    tcp: false,
    log: false,
    splice: false,
};

/// All of them, in the order of the report.
pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "small",
        about: "GET, 3 bytes, 64 keep-alive connections",
        ..BASE
    },
    Workload {
        name: "page",
        about: "GET, 16 KiB, 64 keep-alive connections",
        path: "/16k",
        ..BASE
    },
    Workload {
        name: "connect",
        about: "GET, 3 bytes, a connection per request, 64 at a time",
        fresh: true,
        ..BASE
    },
    Workload {
        name: "download",
        about: "GET, 1 MiB, 16 keep-alive connections",
        path: "/1m",
        conns: 16,
        splice: true,
        ..BASE
    },
    Workload {
        name: "upload",
        about: "POST of 64 KiB, answer of 3 bytes, 64 keep-alive connections",
        path: "/up",
        upload: 64 * 1024,
        ..BASE
    },
    Workload {
        name: "tcp",
        about: "mode tcp, 1 MiB per exchange, 16 connections that stay",
        path: "/1m",
        conns: 16,
        tcp: true,
        splice: true,
        ..BASE
    },
    Workload {
        name: "log",
        about: "GET, 3 bytes, 64 keep-alive connections, an access log line over UDP for each",
        log: true,
        ..BASE
    },
    Workload {
        name: "pipeline",
        about: "GET, 3 bytes, 64 keep-alive connections, 16 requests at once",
        pipeline: 16,
        ..BASE
    },
    Workload {
        name: "mptcp-front",
        about: "GET, 3 bytes, 64 keep-alive connections over MPTCP, TCP to the servers",
        mptcp: [true, false],
        ..BASE
    },
    Workload {
        name: "mptcp-both",
        about: "GET, 1 MiB, 16 keep-alive connections, MPTCP on both legs",
        path: "/1m",
        conns: 16,
        mptcp: [true, true],
        ..BASE
    },
    Workload {
        name: "wrk-small",
        about: "GET, 3 bytes, 64 keep-alive connections: wrk as a second opinion on the generator",
        kind: Kind::Wrk,
        ..BASE
    },
    Workload {
        name: "h2load-pipeline",
        about: "GET, 3 bytes, 64 keep-alive connections, 16 requests at once: h2load as a second opinion",
        kind: Kind::H2load,
        pipeline: 16,
        ..BASE
    },
    Workload {
        name: "idle",
        about: "memory of 4,000 keep-alive connections that had one answer and are silent",
        kind: Kind::Idle,
        conns: 4000,
        ..BASE
    },
    Workload {
        name: "slow",
        about: "memory of 1,000 downloads of 1 MiB whose clients read 40 kB/s",
        kind: Kind::Slow,
        path: "/1m",
        conns: 1000,
        ..BASE
    },
];
