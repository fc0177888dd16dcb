//! The `global` section, checked. Source: configuration manual, chapter 3 ("Global parameters").

use std::path::PathBuf;
use std::sync::Arc;

use super::ids::ListenerId;
use super::logging::LogTarget;

/// Where `chroot` leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chroot {
    /// `chroot auto`: an anonymous empty directory that the process makes.
    Auto,
    /// `chroot <dir>`.
    Dir(PathBuf),
}

/// A user or a group to become: the number and, where the file named it, the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The numeric id.
    pub id: u32,
    /// The name given with `user` or `group`; `None` after `uid` or `gid`.
    pub name: Option<String>,
}

/// `unix-bind`: defaults of every UNIX listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixBind {
    /// Path put before every UNIX address.
    pub prefix: Option<String>,
    /// Permissions of the socket file.
    pub mode: Option<u32>,
    /// Owner of the socket file.
    pub uid: Option<u32>,
    /// Group of the socket file.
    pub gid: Option<u32>,
}

/// The `global` section, and what the command line added to it.
#[derive(Clone, Debug)]
pub struct Global {
    /// `maxconn`, or `-n`; `None` asks for HAProxy's computation from the descriptor limit.
    pub maxconn: Option<u32>,
    /// `maxconnrate`: accepted connections per second, 0 for no limit.
    pub maxconnrate: u32,
    /// `maxsessrate`: accepted sessions per second, 0 for no limit.
    pub maxsessrate: u32,
    /// `maxpipes`; `None` asks for HAProxy's computation.
    pub maxpipes: Option<u32>,
    /// `ulimit-n`.
    pub ulimit_n: Option<u32>,
    /// `fd-hard-limit`.
    pub fd_hard_limit: Option<u32>,
    /// `strict-limits`: refuse to start when limits cannot be reached (default on).
    pub strict_limits: bool,
    /// `-m`: memory ceiling in MiB, 0 for none.
    pub memory_max_mib: u32,
    /// `nbthread`; one loop serves whatever the number.
    pub nbthread: u32,
    /// `daemon` or `-D`.
    pub daemon: bool,
    /// `master-worker` or `-W`.
    pub master_worker: bool,
    /// `master-worker no-exit-on-failure`.
    pub no_exit_on_failure: bool,
    /// `mworker-max-reloads`.
    pub mworker_max_reloads: Option<u32>,
    /// `quiet` or `-q`.
    pub quiet: bool,
    /// `zero-warning` or `-dW`.
    pub zero_warning: bool,
    /// `pidfile` or `-p`.
    pub pidfile: Option<PathBuf>,
    /// `chroot`.
    pub chroot: Option<Chroot>,
    /// `user` or `uid`.
    pub user: Option<Identity>,
    /// `group` or `gid`.
    pub group: Option<Identity>,
    /// `setcap`: capability names kept after the change of user.
    pub setcap: Vec<String>,
    /// `set-dumpable`.
    pub set_dumpable: bool,
    /// `insecure-fork-wanted` or `-dI`.
    pub insecure_fork_wanted: bool,
    /// `insecure-setuid-wanted`.
    pub insecure_setuid_wanted: bool,
    /// `node`; the host's name otherwise.
    pub node: String,
    /// `description`.
    pub description: Option<String>,
    /// `localpeer` or `-L`.
    pub localpeer: String,
    /// `hard-stop-after`, milliseconds.
    pub hard_stop_after_ms: Option<u32>,
    /// `grace`, milliseconds.
    pub grace_ms: Option<u32>,
    /// `close-spread-time`: milliseconds, or `u32::MAX` for "infinite".
    pub close_spread_time_ms: Option<u32>,
    /// `log` lines.
    pub logs: Vec<LogTarget>,
    /// `log-tag`.
    pub log_tag: Option<Arc<str>>,
    /// `log-send-hostname`: the name to send; `Some(None)` sends the host's own.
    pub log_send_hostname: Option<Option<String>>,
    /// `unix-bind`.
    pub unix_bind: UnixBind,
    /// `stats socket` lines.
    pub stats_sockets: Vec<ListenerId>,
    /// `stats timeout`, milliseconds.
    pub stats_timeout_ms: u32,
    /// `stats maxconn`.
    pub stats_maxconn: u32,
    /// `noreuseport` or `-dR`.
    pub noreuseport: bool,
    /// `nosplice` or `-dS`.
    pub nosplice: bool,
    /// `pp2-never-send-local`.
    pub pp2_never_send_local: bool,
    /// `h1-case-adjust` and `h1-case-adjust-file`: lower-case name and the spelling to send.
    pub h1_case_adjust: Vec<(String, String)>,
    /// `h1-accept-payload-with-any-method`.
    pub h1_accept_payload_with_any_method: bool,
    /// `h1-do-not-close-on-insecure-transfer-encoding`.
    pub h1_keep_on_insecure_te: bool,
    /// `harden.reject-privileged-ports.tcp`.
    pub reject_privileged_ports_tcp: bool,
    /// The `tune.*` settings.
    pub tune: Tune,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            maxconn: None,
            maxconnrate: 0,
            maxsessrate: 0,
            maxpipes: None,
            ulimit_n: None,
            fd_hard_limit: None,
            strict_limits: true,
            memory_max_mib: 0,
            nbthread: 1,
            daemon: false,
            master_worker: false,
            no_exit_on_failure: false,
            mworker_max_reloads: None,
            quiet: false,
            zero_warning: false,
            pidfile: None,
            chroot: None,
            user: None,
            group: None,
            setcap: Vec::new(),
            set_dumpable: false,
            insecure_fork_wanted: false,
            insecure_setuid_wanted: false,
            node: String::new(),
            description: None,
            localpeer: String::new(),
            hard_stop_after_ms: None,
            grace_ms: None,
            close_spread_time_ms: None,
            logs: Vec::new(),
            log_tag: None,
            log_send_hostname: None,
            unix_bind: UnixBind::default(),
            stats_sockets: Vec::new(),
            stats_timeout_ms: 10_000,
            stats_maxconn: 10,
            noreuseport: false,
            nosplice: false,
            pp2_never_send_local: false,
            h1_case_adjust: Vec::new(),
            h1_accept_payload_with_any_method: false,
            h1_keep_on_insecure_te: false,
            reject_privileged_ports_tcp: false,
            tune: Tune::default(),
        }
    }
}

/// The `tune.*` settings that have a meaning here.
#[derive(Clone, Debug)]
pub struct Tune {
    /// `tune.bufsize`, bytes.
    pub bufsize: u32,
    /// `tune.maxrewrite`, bytes kept free for header rewriting.
    pub maxrewrite: u32,
    /// `tune.http.maxhdr`.
    pub http_maxhdr: u32,
    /// `tune.http.logurilen`, bytes of the request line kept for logs.
    pub http_logurilen: u32,
    /// `tune.maxaccept`: connections accepted in one turn; `None` for no bound.
    pub maxaccept: Option<u32>,
    /// `tune.maxpollevents`.
    pub maxpollevents: u32,
    /// `tune.pipesize`, bytes, 0 for the system's default.
    pub pipesize: u32,
    /// `tune.recv_enough`, bytes after which one read is called enough.
    pub recv_enough: u32,
    /// `tune.rcvbuf.client`, bytes, 0 for the system's choice.
    pub rcvbuf_client: u32,
    /// `tune.rcvbuf.server`.
    pub rcvbuf_server: u32,
    /// `tune.sndbuf.client`.
    pub sndbuf_client: u32,
    /// `tune.sndbuf.server`.
    pub sndbuf_server: u32,
    /// `tune.notsent-lowat.client`.
    pub notsent_lowat_client: u32,
    /// `tune.notsent-lowat.server`.
    pub notsent_lowat_server: u32,
    /// `tune.buffers.limit`, 0 for no limit.
    pub buffers_limit: u32,
    /// `tune.buffers.reserve`: buffers beyond that limit for what was begun.
    pub buffers_reserve: u32,
    /// `tune.pool-high-fd-ratio`, percent of the process's descriptors.
    pub pool_high_fd_ratio: u32,
    /// `tune.pool-low-fd-ratio`, percent.
    pub pool_low_fd_ratio: u32,
    /// `tune.idletimer`, milliseconds.
    pub idletimer_ms: u32,
    /// `tune.runqueue-depth`: streams run in one turn before the sockets are polled again.
    pub runqueue_depth: u32,
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            bufsize: 16_384,
            maxrewrite: 1_024,
            http_maxhdr: 101,
            http_logurilen: 1_024,
            maxaccept: Some(4),
            maxpollevents: 200,
            pipesize: 0,
            recv_enough: 10_136,
            rcvbuf_client: 0,
            rcvbuf_server: 0,
            sndbuf_client: 0,
            sndbuf_server: 0,
            notsent_lowat_client: 0,
            notsent_lowat_server: 0,
            buffers_limit: 0,
            buffers_reserve: 4,
            pool_high_fd_ratio: 25,
            pool_low_fd_ratio: 20,
            idletimer_ms: 1_000,
            runqueue_depth: 200,
        }
    }
}
