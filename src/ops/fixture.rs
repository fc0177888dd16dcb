//! For tests of this floor: a small configuration with every kind of object, and an engine that shows little.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::base::addr::{Addr, Ports, Target as AddrTarget, Transport};
use crate::base::ticks::Ticks;
use crate::engine::service::{Cx, Effects, ErrorSight, Gauges, PoolSight, SideSight, Sights, StreamSight};
use crate::model::config::{Config, Declared};
use crate::model::global::Global;
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::listener::{Level, Listener, Owner, SeverityOutput};
use crate::model::proxy::{Balance, Caps, Mode, Proxy};
use crate::model::server::{PortChoice, Server, Target};
use crate::model::state::State;
use crate::model::txn::{Endpoint, Stamp};
use crate::policy::log::calendar::Zone;

fn local(port: u16) -> Addr {
    Addr {
        transport: Transport::Stream,
        target: AddrTarget::Ip {
            ip: IpAddr::from([127, 0, 0, 1]),
            ports: Ports::One(port),
        },
    }
}

fn listener(id: u32, owner: Owner, addr: Addr, luid: u32, name: Option<&str>, level: Level) -> Arc<Listener> {
    Arc::new(Listener {
        id: ListenerId(id),
        owner,
        name: name.map(Into::into),
        luid,
        level,
        severity_output: SeverityOutput::None,
        ..Listener::new(addr, Declared::default())
    })
}

fn server(id: u32, proxy: u32, name: &str, puid: u32) -> Server {
    let target = Target::Inet {
        ip: Some(IpAddr::from([127, 0, 0, 1])),
        port: PortChoice::Fixed(18309),
        mptcp: false,
    };
    Server {
        id: ServerId(id),
        proxy: ProxyId(proxy),
        puid,
        ..Server::new(name, local(18309), target, Declared::default())
    }
}

fn proxy(id: u32, name: &str, frontend: bool, backend: bool, mode: Mode) -> Proxy {
    let mut proxy = Proxy::new(name, Caps { frontend, backend }, Declared::default());
    proxy.id = ProxyId(id);
    proxy.uuid = id + 2;
    proxy.mode = mode;
    proxy.options.socket_stats = true;
    proxy.balance = Balance::Random(2);
    proxy
}

/// A frontend `fe`, a backend `be` with `s1` and the disabled backup `s2`, an empty backend `empty`, a TCP listen
/// `tcpl`, and runtime sockets of each level.
pub(crate) fn config() -> Config {
    let mut fe = proxy(0, "fe", true, false, Mode::Http);
    fe.listeners = vec![ListenerId(0)];
    fe.default_backend = Some(ProxyId(1));
    let mut be = proxy(1, "be", false, true, Mode::Http);
    be.servers = vec![ServerId(0), ServerId(1)];
    let empty = proxy(2, "empty", false, true, Mode::Http);
    let mut tcpl = proxy(3, "tcpl", true, true, Mode::Tcp);
    tcpl.listeners = vec![ListenerId(1)];
    tcpl.servers = vec![ServerId(2)];
    let mut s2 = server(1, 1, "s2", 2);
    (s2.backup, s2.disabled, s2.weight) = (true, true, 3);
    (s2.maxconn, s2.minconn, s2.maxqueue) = (10, 5, 8);
    let unix = |path: &str| Addr {
        transport: Transport::Stream,
        target: AddrTarget::Unix(path.as_bytes().into()),
    };
    let frontend_by_name = HashMap::from([("fe".into(), ProxyId(0)), ("tcpl".into(), ProxyId(3))]);
    let backend_by_name = HashMap::from([
        ("be".into(), ProxyId(1)),
        ("empty".into(), ProxyId(2)),
        ("tcpl".into(), ProxyId(3)),
    ]);
    Config {
        global: Global {
            node: "vm".to_owned(),
            stats_sockets: vec![ListenerId(2), ListenerId(3), ListenerId(4)],
            ..Global::default()
        },
        proxies: vec![Arc::new(fe), Arc::new(be), Arc::new(empty), Arc::new(tcpl)],
        listeners: vec![
            listener(
                0,
                Owner::Proxy(ProxyId(0)),
                local(18301),
                1,
                None,
                Level::Operator,
            ),
            listener(
                1,
                Owner::Proxy(ProxyId(3)),
                local(18302),
                1,
                Some("lname"),
                Level::Operator,
            ),
            listener(2, Owner::Cli, unix("/run/a.sock"), 1, None, Level::Admin),
            listener(3, Owner::Cli, unix("/run/u.sock"), 2, None, Level::User),
            listener(4, Owner::Cli, unix("/run/o.sock"), 3, None, Level::Operator),
        ],
        servers: vec![
            Arc::new(server(0, 1, "s1", 1)),
            Arc::new(s2),
            Arc::new(server(2, 3, "t1", 1)),
        ],
        frontend_by_name,
        backend_by_name,
        env: Vec::new(),
    }
}

/// An engine with two streams, one pool and a little environment.
pub(crate) struct FakeSights;

impl FakeSights {
    fn stream(place: usize) -> StreamSight<'static> {
        let side = SideSight {
            fd: 7,
            phase: "EST",
            pending_bytes: 0,
            read_deadline: Ticks::from_ms(12_000),
            write_deadline: Ticks::NEVER,
        };
        StreamSight {
            id: 0x1_0000 + place as u64,
            counter: 1 + place as u64,
            listener: ListenerId(0),
            frontend: Some(ProxyId(0)),
            backend: Some(ProxyId(1)),
            server: Some(ServerId(0)),
            src: Endpoint::Inet(SocketAddr::from(([10, 0, 0, 9], 4000))),
            begun: Stamp {
                wall_us: 1_700_000_000_000_000,
                at: Ticks::from_ms(1_000),
            },
            deadline: Ticks::from_ms(12_000),
            retries: 0,
            front: side,
            back: SideSight {
                fd: -1,
                phase: "INI",
                ..side
            },
            request_line: b"GET /x HTTP/1.1",
        }
    }
}

impl Sights for FakeSights {
    fn stream_from(&self, place: usize) -> Option<(usize, StreamSight<'_>)> {
        match place {
            0 => Some((0, Self::stream(0))),
            1..=5 => Some((5, Self::stream(5))),
            _ => None,
        }
    }

    fn pool(&self, number: usize) -> Option<PoolSight> {
        (number == 0).then_some(PoolSight {
            name: "buffer",
            object_bytes: 16_384,
            allocated: 4,
            in_use: 2,
            peak: 3,
            refused: 1,
        })
    }

    fn gauges(&self) -> Gauges {
        Gauges {
            idle_pct: 99,
            jobs: 7,
            listeners: 5,
            ..Gauges::default()
        }
    }

    fn errors_total(&self) -> u32 {
        1
    }

    fn error(&self, proxy: ProxyId, response: bool) -> Option<ErrorSight<'_>> {
        (proxy == ProxyId(0) && !response).then_some(ErrorSight {
            number: 0,
            wall_us: 1_700_000_000_123_000,
            proxy,
            other: None,
            server: None,
            is_response: false,
            src: Endpoint::Inet(SocketAddr::from(([10, 0, 0, 9], 4000))),
            bytes: b"GET /\x01 HTTP/1.1\r\n\r\n",
            position: 5,
            buffer_bytes: 16_384,
        })
    }

    fn env(&self, number: usize) -> Option<(&[u8], &[u8])> {
        [(&b"HOME"[..], &b"/root"[..]), (b"A", b"b=c")]
            .get(number)
            .copied()
    }
}

/// Everything that a call needs, five seconds after the start.
pub(crate) struct Stage {
    /// The configuration.
    pub(crate) config: Arc<Config>,
    /// What lives.
    pub(crate) state: State,
    /// What was asked of the engine.
    pub(crate) effects: Effects,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let config = Arc::new(config());
        let mut state = State::new(&config, Ticks::from_ms(1));
        state.process.maxconn = 9984;
        state.process.hard_maxconn = 9984;
        state.process.pid = 4242;
        for (proxy, state) in config.proxies.iter().zip(&mut state.proxies) {
            state.maxconn = if proxy.caps.frontend { 9984 } else { 0 };
            state.fullconn = if proxy.caps.backend { 999 } else { 0 };
        }
        Self {
            config,
            state,
            effects: Effects::default(),
        }
    }

    pub(crate) fn cx(&mut self) -> Cx<'_> {
        Cx {
            config: &self.config,
            state: &mut self.state,
            now: Ticks::from_ms(5_000),
            wall_us: 1_700_000_004_000_000,
            zone: Zone::UTC,
            sights: &FakeSights,
            effects: &mut self.effects,
        }
    }
}
