//! The variables that exist without anybody setting them: `HAPROXY_BRANCH` and its kin, before, between and after the
//! two readings of the files.
//!
//! The first reading finds the modes of the process and knows neither peer nor files. A worker begins the second one
//! with the environment of the process, a process without a master with what the first reading left.
//! Source: manual chapter 2.3, and runs of 3.4.0 for the moments.

use super::CommandLine;
use crate::conf::env::Env;
use crate::conf::source::Sources;
use crate::policy::draft::Draft;
use crate::policy::log::format;

/// The branch that this program stands for: `HAPROXY_BRANCH`.
const BRANCH: &str = "3.4";

/// Variables that exist while files are read, and only then.
const FORMATS: &[(&str, &str)] = &[
    ("HAPROXY_HTTP_LOG_FMT", format::HTTP),
    ("HAPROXY_HTTP_CLF_LOG_FMT", format::HTTP_CLF),
    ("HAPROXY_HTTPS_LOG_FMT", format::HTTPS),
    ("HAPROXY_TCP_LOG_FMT", format::TCP),
    ("HAPROXY_TCP_CLF_LOG_FMT", format::TCP_CLF),
];

/// Labels of a TLS key log (NSS key log format) with the sample that holds the secret.
const KEYS: &[(&str, &str)] = &[
    ("CLIENT_EARLY_TRAFFIC_SECRET", "client_early_traffic_secret"),
    (
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "client_handshake_traffic_secret",
    ),
    (
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "server_handshake_traffic_secret",
    ),
    ("CLIENT_TRAFFIC_SECRET_0", "client_traffic_secret_0"),
    ("SERVER_TRAFFIC_SECRET_0", "server_traffic_secret_0"),
    ("EXPORTER_SECRET", "exporter_secret"),
    ("EARLY_EXPORTER_SECRET", "early_exporter_secret"),
];

/// The format of a key log, one line per key; `side` is `fc` towards clients and `bc` towards servers.
fn key_log(side: &str) -> String {
    // The format for servers has two blanks in its first line, whoever compares texts finds them.
    let gap = if side == "bc" { "  " } else { " " };
    let random = format!("%[ssl_{side}_client_random,hex]");
    let first = format!("CLIENT_RANDOM {random}{gap}%[ssl_{side}_session_key,hex]");
    let others = KEYS
        .iter()
        .map(|(label, sample)| format!("\n{label} {random} %[ssl_{side}_{sample}]"));
    first + &others.collect::<String>()
}

fn set(env: &mut Env, name: &str, value: &[u8]) {
    // A full environment lacks the last ones: the lines that use them say so.
    let _ = env.set(name.as_bytes(), value);
}

/// Before either reading.
pub(super) fn begin(env: &mut Env) {
    for (name, value) in FORMATS {
        set(env, name, value.as_bytes());
    }
    set(env, "HAPROXY_KEYLOG_FC_LOG_FMT", key_log("fc").as_bytes());
    set(env, "HAPROXY_KEYLOG_BC_LOG_FMT", key_log("bc").as_bytes());
    set(env, "HAPROXY_BRANCH", BRANCH.as_bytes());
}

/// Between the readings, once the modes are known. `at_start` is the environment of the process.
pub(super) fn between(draft: &mut Draft, at_start: Env, is_worker: bool, cmdline: &CommandLine) {
    if is_worker {
        draft.env = at_start;
        set(&mut draft.env, "HAPROXY_MWORKER", b"1");
    }
    let written = &draft.global.settings.localpeer;
    let peer = match &cmdline.localpeer {
        Some(peer) => peer.clone(),
        None if written.is_empty() => draft.host.hostname(),
        None => written.clone(),
    };
    set(&mut draft.env, "HAPROXY_LOCALPEER", peer.as_bytes());
}

/// After either reading.
pub(super) fn end(env: &mut Env, sources: &Sources) {
    for (name, _) in FORMATS {
        env.unset(name.as_bytes());
    }
    let names: Vec<&[u8]> = sources.iter().map(|(_, file)| file.name()).collect();
    set(env, "HAPROXY_CFGFILES", &names.join(&b';'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_logs() {
        let text = key_log("bc");
        assert!(text.starts_with(
            "CLIENT_RANDOM %[ssl_bc_client_random,hex]  %[ssl_bc_session_key,hex]\nCLIENT_EARLY"
        ));
        assert_eq!(key_log("fc").lines().count(), 8);
        assert!(key_log("fc").ends_with(
            "\nEARLY_EXPORTER_SECRET %[ssl_fc_client_random,hex] %[ssl_fc_early_exporter_secret]"
        ));
    }
}
