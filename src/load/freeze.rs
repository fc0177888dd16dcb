//! From checked drafts to the frozen configuration: positions become ids, what has no number gets one, the command
//! line has the last word.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::config::Config;
use crate::model::global::Global;
use crate::model::ids::{ListenerId, ProxyId, ServerId};
use crate::model::listener::{Listener, Owner};
use crate::policy::draft::{BindDraft, Draft, ProxyDraft};

use super::CommandLine;
use super::verify::Names;

/// The configuration.
pub(super) fn run(draft: Draft, proxies: Vec<ProxyDraft>, names: Names, cmdline: &CommandLine) -> Config {
    let mut config = Config {
        global: global(&draft, cmdline),
        frontend_by_name: names.frontends,
        backend_by_name: names.backends,
        env: draft.env.in_order(),
        ..Config::default()
    };
    // Counts of objects are far below 32 bits: each takes a part of a line of at most 1 GiB of text.
    for (index, proxy) in (0..).zip(proxies) {
        let id = ProxyId(index);
        let ProxyDraft {
            mut settings,
            binds,
            servers,
            ..
        } = proxy;
        settings.id = id;
        if settings.maxconn.is_none() {
            settings.maxconn = cmdline.proxy_maxconn.filter(|_| settings.caps.frontend);
        }
        if settings.log_tag.is_none() {
            settings.log_tag = config.global.log_tag.clone();
        }
        let named = settings.options.socket_stats;
        settings.listeners = listeners(binds, Owner::Proxy(id), named, &mut config.listeners);
        let taken: Vec<u32> = servers
            .iter()
            .map(|server| server.server.puid)
            .filter(|puid| *puid != 0)
            .collect();
        let mut next = 1;
        for draft in servers {
            let mut server = draft.server;
            server.id = ServerId(config.servers.len() as u32);
            server.proxy = id;
            if server.puid == 0 {
                while taken.contains(&next) {
                    next += 1;
                }
                server.puid = next;
            }
            next += 1;
            if server.source.is_none() {
                server.source = settings.source.clone();
            }
            settings.servers.push(server.id);
            config.servers.push(Arc::new(server));
        }
        config.proxies.push(Arc::new(settings));
    }
    config.global.stats_sockets = listeners(
        draft.global.stats_sockets,
        Owner::Cli,
        false,
        &mut config.listeners,
    );
    config
}

/// Files listeners and numbers those that have no `id`; `named` names those without a name after their number.
fn listeners(
    binds: Vec<BindDraft>,
    owner: Owner,
    named: bool,
    all: &mut Vec<Arc<Listener>>,
) -> Vec<ListenerId> {
    let listeners: Vec<Listener> = binds.into_iter().flat_map(|bind| bind.listeners).collect();
    let mut taken: Vec<u32> = listeners
        .iter()
        .map(|listener| listener.luid)
        .filter(|luid| *luid != 0)
        .collect();
    let mut ids = Vec::with_capacity(listeners.len());
    let (mut next, mut before) = (1, 0);
    for mut listener in listeners {
        if listener.luid == 0 {
            if before != 0 {
                next = before + 1;
            }
            while taken.contains(&next) {
                next += 1;
            }
            listener.luid = next;
            taken.push(next);
        }
        before = listener.luid;
        next += 1;
        if named && listener.name.is_none() {
            listener.name = Some(format!("sock-{}", listener.luid).into());
        }
        let id = ListenerId(all.len() as u32);
        (listener.id, listener.owner) = (id, owner);
        ids.push(id);
        all.push(Arc::new(listener));
    }
    ids
}

/// The global settings with what the command line says instead.
pub(super) fn global(draft: &Draft, cmdline: &CommandLine) -> Global {
    let mut global = draft.global.settings.clone();
    global.maxconn = cmdline.maxconn.or(global.maxconn);
    global.memory_max_mib = cmdline.memory_max_mib;
    if let Some(limit) = draft.global.threads.limit {
        global.nbthread = global.nbthread.min(limit);
    }
    global.daemon |= cmdline.daemon;
    global.master_worker |= cmdline.master_worker;
    global.quiet |= cmdline.quiet;
    global.zero_warning |= cmdline.zero_warning;
    global.nosplice |= cmdline.nosplice;
    global.noreuseport |= cmdline.noreuseport;
    global.insecure_fork_wanted |= cmdline.insecure_fork;
    if let Some(pidfile) = &cmdline.pidfile {
        global.pidfile = Some(path_buf(pidfile));
    }
    if let Some(localpeer) = &cmdline.localpeer {
        global.localpeer.clone_from(localpeer);
    }
    let hostname = draft.host.hostname();
    if global.localpeer.is_empty() {
        global.localpeer.clone_from(&hostname);
    }
    if global.node.is_empty() {
        global.node = hostname;
    }
    let tune = &mut global.tune;
    tune.maxrewrite = tune.maxrewrite.min(tune.bufsize / 2);
    global
}
/// The path of these bytes.
pub(super) fn path_buf(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}
