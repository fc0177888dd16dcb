//! Who this is: `-v`, `-vv`, `-vq`, and what configuration conditions may ask about the program.
//!
//! Tools read the version line, `TARGET`, the feature list and the services from `-vv`; those lines have HAProxy
//! 3.4.0's shape. All else says what rproxy is. The feature list is what is really there, so a test or a
//! configuration that asks for more takes its other branch. Source: management manual, "Starting HAProxy".

use std::fs;

use crate::conf::cond::Facts;
use crate::model::global::Tune;

/// Product name in `show info`, as tools expect it.
pub const PRODUCT: &str = "HAProxy";

/// Version of HAProxy that this program stands for, as conditions compare it.
pub const COMPATIBLE: &str = "3.4.0";

/// Branch of that version.
pub const BRANCH: &str = "3.4";

/// The version as printed: HAProxy's, and who says so.
pub const VERSION: &str = "3.4.0-rproxy";

/// Date of the version of HAProxy.
pub const RELEASE_DATE: &str = "2026/06/03";

/// The version of rproxy itself.
pub const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What was built, for `show info`.
pub const BUILD_INFO: &str = concat!("rproxy-", env!("CARGO_PKG_VERSION"));

/// HAProxy's build features and whether their like is here, sorted by name; RPROXY is our own, so that words
/// which only rproxy knows can stand behind `feature(RPROXY)`.
const FEATURES: &[(&str, bool)] = &[
    ("51DEGREES", false),
    ("ACCEPT4", true),
    ("ACME", false),
    ("BACKTRACE", false),
    ("CLOSEFROM", false),
    ("CPU_AFFINITY", false),
    ("CRYPT_H", false),
    ("DEVICEATLAS", false),
    ("DL", false),
    ("ECH", false),
    ("ENGINE", false),
    ("EPOLL", true),
    ("EVPORTS", false),
    ("GETADDRINFO", true),
    ("HAVE_TCP_MD5SIG", false),
    ("KQUEUE", false),
    ("KTLS", false),
    ("LIBATOMIC", false),
    ("LIBCRYPT", false),
    ("LINUX_CAP", true),
    ("LINUX_SPLICE", true),
    ("LINUX_TPROXY", true),
    ("LUA", false),
    ("MATH", false),
    ("MEMORY_PROFILING", false),
    ("NETFILTER", false),
    ("NS", true),
    ("OBSOLETE_LINKER", false),
    ("OPENSSL", false),
    ("OPENSSL_AWSLC", false),
    ("OPENSSL_WOLFSSL", false),
    ("OT", false),
    ("PCRE", false),
    ("PCRE2", false),
    ("PCRE2_JIT", false),
    ("PCRE_JIT", false),
    ("POLL", false),
    ("PRCTL", true),
    ("PROCCTL", false),
    ("PROMEX", false),
    ("PTHREAD_EMULATION", false),
    ("QUIC", false),
    ("QUIC_OPENSSL_COMPAT", false),
    ("RPROXY", true),
    ("RT", false),
    ("SHM_OPEN", false),
    ("SLZ", false),
    ("SSL", false),
    ("STATIC_PCRE", false),
    ("STATIC_PCRE2", false),
    ("TFO", true),
    ("THREAD", false),
    ("THREAD_DUMP", false),
    ("TPROXY", true),
    ("TRACE", false),
    ("WURFL", false),
    ("ZLIB", false),
];

/// Which run-time switches the command line turned off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// `-dS`.
    pub no_splice: bool,
    /// `-dG`.
    pub no_getaddrinfo: bool,
    /// `-dR`.
    pub no_reuseport: bool,
    /// `-dV`.
    pub no_server_verify: bool,
}

/// What conditions may ask.
pub fn facts(switches: Switches) -> Facts {
    let enabled = [
        ("EPOLL", true),
        ("SPLICE", !switches.no_splice),
        ("GETADDRINFO", !switches.no_getaddrinfo),
        ("REUSEPORT", !switches.no_reuseport),
        // Bodies always go from one side's buffer to the other's.
        ("FAST-FORWARD", true),
        ("SERVER-SSL-VERIFY-NONE", switches.no_server_verify),
    ];
    let present = |list: &[(&str, bool)]| {
        list.iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    Facts {
        version: COMPATIBLE.to_owned(),
        features: present(FEATURES),
        enabled: present(&enabled),
        tls_library: None,
    }
}

/// `-v`.
pub fn short() -> String {
    let kernel = |file| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{file}")).unwrap_or_default();
        text.trim_end().to_owned()
    };
    format!(
        "HAProxy version {VERSION} {RELEASE_DATE} - rproxy {OWN_VERSION}, a drop-in replacement for HAProxy\n\
         Status: this is rproxy {OWN_VERSION}, not HAProxy; report its bugs to its own project.\n\
         Running on: {} {} {} {}\n",
        kernel("ostype"),
        kernel("osrelease"),
        kernel("version"),
        std::env::consts::ARCH,
    )
}

/// What `-vv` adds to `-v`.
pub fn build() -> String {
    let tune = Tune::default();
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let target = if cfg!(target_env = "musl") {
        "linux-musl"
    } else {
        "linux-glibc"
    };
    let features: Vec<String> = FEATURES
        .iter()
        .map(|(name, is)| format!("{}{name}", if *is { '+' } else { '-' }))
        .collect();
    format!(
        "Build options : \n\
         \x20 TARGET  = {target}\n\
         \x20 CC      = rustc\n\
         \x20 CFLAGS  = {profile} profile\n\
         \x20 OPTIONS = \n\
         \x20 DEBUG   = \n\
         \n\
         Feature list : {}\n\
         Detected feature list : -HAVE_WORKING_TCP_MD5SIG\n\
         \n\
         Default settings :\n\
         \x20 bufsize = {}, maxrewrite = {}, maxpollevents = {}\n\
         \n\
         Built without multi-threading support: one event loop, whatever nbthread says.\n\
         Built without TLS, Lua and compression support for now.\n\
         Built with Multipath TCP support on both sides (mptcp@ addresses).\n\
         Built with network namespace support.\n\
         Built with transparent proxy support using: IP_TRANSPARENT IPV6_TRANSPARENT IP_FREEBIND\n\
         \n\
         Available polling systems :\n\
         \x20     epoll : pref=300,  test result OK\n\
         Total: 1 (1 usable), will use epoll.\n\
         \n\
         Available multiplexer protocols :\n\
         (protocols marked as <default> cannot be specified using 'proto' keyword)\n\
         \x20 <default> : mode=HTTP  side=FE|BE  mux=H1    flags=HTX\n\
         \x20        h1 : mode=HTTP  side=FE|BE  mux=H1    flags=HTX|NO_UPG\n\
         \x20 <default> : mode=TCP   side=FE|BE  mux=PASS  flags=\n\
         \x20      none : mode=TCP   side=FE|BE  mux=PASS  flags=NO_UPG\n\
         \n\
         Available services : none\n\
         \n\
         Available filters : none\n\
         \n",
        features.join(" "),
        tune.bufsize,
        tune.maxrewrite,
        tune.maxpollevents,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that HAProxy's test runner keeps, in their order.
    #[test]
    fn the_lines_that_tools_keep() {
        let text = short() + &build();
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| {
                line.contains("HAProxy version")
                    || line.contains("HA-Proxy version")
                    || line.find("TARGET").is_some_and(|at| line[at..].contains('='))
                    || line.starts_with("Feature")
                    || line.starts_with("Available services")
            })
            .collect();
        assert_eq!(kept.len(), 4, "{kept:?}");
        assert_eq!(kept[0].split(' ').nth(2), Some(VERSION));
        assert!(!kept[0].contains(" : ") && !kept[0].contains(" = "));
        assert!(kept[1].trim_start().starts_with("TARGET  = linux-"));
        assert!(kept[2].starts_with("Feature list : -51DEGREES +ACCEPT4 "));
        assert_eq!(kept[3], "Available services : none");
    }

    #[test]
    fn features_are_sorted_and_unique() {
        assert!(FEATURES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn switches_turn_facts_off() {
        let facts = |switches| facts(switches).enabled;
        assert!(facts(Switches::default()).iter().any(|name| name == "SPLICE"));
        let off = Switches {
            no_splice: true,
            ..Switches::default()
        };
        assert!(!facts(off).iter().any(|name| name == "SPLICE"));
    }
}
