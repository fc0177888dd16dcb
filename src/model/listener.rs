//! One listening address of a `bind` or `stats socket` line, checked.
//! Source: configuration manual, "Bind options".

use std::sync::Arc;

use super::config::Declared;
use super::ids::{ListenerId, ProxyId};
use crate::base::addr::Addr;

/// Rights of a runtime socket (`level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Sees statistics only.
    User,
    /// Sees all, changes counters only.
    #[default]
    Operator,
    /// May change everything.
    Admin,
}

/// Who accepts the connections of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A frontend or listen.
    Proxy(ProxyId),
    /// The runtime socket.
    Cli,
    /// The master's runtime socket (`-S`).
    MasterCli,
}

/// Whether `[::]` also takes IPv4 clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum V6Only {
    /// As the system decides.
    #[default]
    System,
    /// `v4v6`.
    Both,
    /// `v6only`.
    Only,
}

/// One listening address: a port range or several addresses on one line make several listeners.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its position.
    pub id: ListenerId,
    /// Who accepts.
    pub owner: Owner,
    /// Where it was declared.
    pub declared: Declared,
    /// The address: one port, one path, one name or one descriptor.
    pub addr: Addr,
    /// `name`.
    pub name: Option<Arc<str>>,
    /// `id`, or the number given automatically: unique within its proxy.
    pub luid: u32,
    /// `guid-prefix` followed by the listener's number.
    pub guid: Option<Arc<str>>,
    /// `backlog` of the line; the frontend's otherwise.
    pub backlog: Option<u32>,
    /// `maxconn` of the line, 0 for none.
    pub maxconn: u32,
    /// `nice`, -1024 to 1024.
    pub nice: i32,
    /// `v4v6`, `v6only`.
    pub v6only: V6Only,
    /// `interface`.
    pub interface: Option<Arc<str>>,
    /// `namespace`.
    pub namespace: Option<Arc<str>>,
    /// `transparent`.
    pub transparent: bool,
    /// `mss`, bytes; a negative value counts from the path's own.
    pub mss: Option<i32>,
    /// `cc`: congestion control algorithm.
    pub cc: Option<Arc<str>>,
    /// `tfo`.
    pub tfo: bool,
    /// `defer-accept`.
    pub defer_accept: bool,
    /// `tcp-ut`, milliseconds.
    pub tcp_ut_ms: Option<u32>,
    /// `accept-proxy`.
    pub accept_proxy: bool,
    /// `mode`: permissions of the socket file.
    pub mode: Option<u32>,
    /// `user` or `uid`.
    pub uid: Option<u32>,
    /// `group` or `gid`.
    pub gid: Option<u32>,
    /// `level` of a runtime socket.
    pub level: Level,
    /// `expose-fd listeners` on a runtime socket.
    pub expose_fd_listeners: bool,
    /// `severity-output` of a runtime socket: none, number or string.
    pub severity_output: SeverityOutput,
}

impl Listener {
    /// A listener with every option at its default, owned by the runtime socket until somebody claims it.
    pub fn new(addr: Addr, declared: Declared) -> Self {
        Self {
            id: ListenerId(0),
            owner: Owner::Cli,
            declared,
            addr,
            name: None,
            luid: 0,
            guid: None,
            backlog: None,
            maxconn: 0,
            nice: 0,
            v6only: V6Only::System,
            interface: None,
            namespace: None,
            transparent: false,
            mss: None,
            cc: None,
            tfo: false,
            defer_accept: false,
            tcp_ut_ms: None,
            accept_proxy: false,
            mode: None,
            uid: None,
            gid: None,
            level: Level::default(),
            expose_fd_listeners: false,
            severity_output: SeverityOutput::default(),
        }
    }
}

/// How a runtime socket marks the severity of its answers (`severity-output`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeverityOutput {
    /// Nothing before the message.
    #[default]
    None,
    /// `[N]:` before the message.
    Number,
    /// `[name]:` before the message.
    String,
}
