//! One server of a backend, checked. Source: configuration manual, "Server and default-server options".

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::config::Declared;
use super::ids::{ProxyId, ServerId};
use crate::base::addr::Addr;

/// Which PROXY protocol header is sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendProxy {
    /// `send-proxy`: version 1.
    V1,
    /// `send-proxy-v2`.
    V2,
}

/// `proxy-v2-options`: optional TLVs of a version 2 header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyV2Options {
    /// `crc32c`.
    pub crc32c: bool,
    /// `unique-id`.
    pub unique_id: bool,
    /// `authority`.
    pub authority: bool,
}

/// How the address or the port of `source` is chosen when it follows the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseSrc {
    /// `usesrc client`: the client's address and port.
    Client,
    /// `usesrc clientip`: the client's address, any port.
    ClientIp,
    /// `usesrc <addr>`: a fixed foreign address.
    Fixed(SocketAddr),
}

/// `source`: the local address of connections to servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Local address; port 0 lets the system choose.
    pub addr: Option<SocketAddr>,
    /// Inclusive local port range shared by the server's connections.
    pub ports: Option<(u16, u16)>,
    /// `usesrc`.
    pub usesrc: Option<UseSrc>,
    /// `interface`.
    pub interface: Option<Arc<str>>,
}

/// Where connections to a server go, once names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An IP address and a port.
    Inet {
        /// The server's address; `None` while its name has none (`init-addr none`).
        ip: Option<IpAddr>,
        /// How the port is chosen.
        port: PortChoice,
        /// Multipath TCP asked for (`mptcp@`).
        mptcp: bool,
    },
    /// A UNIX stream socket by path.
    Unix(Vec<u8>),
    /// An abstract UNIX stream socket; `zero_padded` as `abns@` (false for `abnsz@`).
    Abstract {
        /// The name, without the leading NUL.
        name: Vec<u8>,
        /// The name fills the whole field with NULs.
        zero_padded: bool,
    },
}

impl Target {
    /// Whether the address or the port depends on where the client connected to.
    pub fn follows_client(&self) -> bool {
        match self {
            Self::Inet { ip, port, .. } => {
                matches!(port, PortChoice::Client(_)) || ip.is_some_and(|ip| ip.is_unspecified())
            }
            Self::Unix(_) | Self::Abstract { .. } => false,
        }
    }
}

/// How the port of a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// Always this one.
    Fixed(u16),
    /// The port the client connected to, plus this offset (`server s 10.0.0.1:+100`, or no port: 0).
    Client(i32),
}

/// In which network namespace connections to a server are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerNamespace {
    /// The one of that name.
    Named(Arc<str>),
    /// `*`: the one that the client's connection belongs to.
    OfClient,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its position.
    pub id: ServerId,
    /// Its backend.
    pub proxy: ProxyId,
    /// Where it was declared.
    pub declared: Declared,
    /// Its name.
    pub name: Arc<str>,
    /// `id`, or the number given automatically: unique within its backend.
    pub puid: u32,
    /// `guid`.
    pub guid: Option<Arc<str>>,
    /// The address as written, for messages.
    pub addr: Addr,
    /// Where connections go.
    pub target: Target,
    /// The host name of the address, if it was one.
    pub hostname: Option<Arc<str>>,
    /// `weight`, 0 to 256.
    pub weight: u32,
    /// `backup`.
    pub backup: bool,
    /// `disabled`.
    pub disabled: bool,
    /// `maxconn`, 0 for none.
    pub maxconn: u32,
    /// `minconn`, 0 for none.
    pub minconn: u32,
    /// `maxqueue`, 0 for none.
    pub maxqueue: u32,
    /// `source` of the line, else of the backend.
    pub source: Option<Source>,
    /// `namespace`.
    pub namespace: Option<ServerNamespace>,
    /// `send-proxy`, `send-proxy-v2`.
    pub send_proxy: Option<SendProxy>,
    /// `proxy-v2-options`.
    pub proxy_v2_options: ProxyV2Options,
    /// `tfo`.
    pub tfo: bool,
    /// `tcp-ut`, milliseconds.
    pub tcp_ut_ms: Option<u32>,
    /// `cc`.
    pub cc: Option<Arc<str>>,
    /// `pool-max-conn`: idle connections kept; `None` for no limit, 0 keeps none.
    pub pool_max_conn: Option<u32>,
    /// `pool-low-conn`.
    pub pool_low_conn: u32,
    /// `pool-purge-delay`, milliseconds; 0 keeps no idle connection.
    pub pool_purge_delay_ms: u32,
    /// `max-reuse`: requests after the first on one connection; `None` for no limit.
    pub max_reuse: Option<u32>,
    /// `strict-maxconn`: idle connections count in `maxconn`.
    pub strict_maxconn: bool,
}

impl Server {
    /// Whether the server has a name and no address (`init-addr none`): it takes no traffic until it gets one.
    pub fn is_unresolved(&self) -> bool {
        matches!(self.target, Target::Inet { ip: None, .. })
    }

    /// A server with every option at its default; id, proxy and an automatic number are set when the
    /// configuration is frozen.
    pub fn new(name: &str, addr: Addr, target: Target, declared: Declared) -> Self {
        Self {
            id: ServerId(0),
            proxy: ProxyId(0),
            declared,
            name: name.into(),
            puid: 0,
            guid: None,
            addr,
            target,
            hostname: None,
            weight: 1,
            backup: false,
            disabled: false,
            maxconn: 0,
            minconn: 0,
            maxqueue: 0,
            source: None,
            namespace: None,
            send_proxy: None,
            proxy_v2_options: ProxyV2Options::default(),
            tfo: false,
            tcp_ut_ms: None,
            cc: None,
            pool_max_conn: None,
            pool_low_conn: 0,
            pool_purge_delay_ms: 5_000,
            max_reuse: None,
            strict_maxconn: false,
        }
    }
}
