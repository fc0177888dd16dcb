//! How many connections the process may have: HAProxy 3.4.0's computation from descriptors and memory.
//!
//! The computation is pure; [`apply`] then asks the system. Two descriptors per connection, two per pipe, one per
//! listener, three for the loop, ten in reserve. Source: configuration manual, `maxconn`, `ulimit-n`,
//! `fd-hard-limit`, `strict-limits`; numbers checked against runs of 3.4.0.

use std::io;

use super::messages::Voice;
use crate::engine::sys::{self, Limit};
use crate::model::config::Config;
use crate::model::listener::Owner;
use crate::model::state::State;
use crate::policy::queue::default_fullconn;

/// Descriptors kept for libraries, logs and the terminal.
const RESERVED: u64 = 10;
/// Pollers and wake-up pipes of the loop.
const PER_LOOP: u64 = 3;
/// The least `maxconn` that is computed, whatever the descriptors.
const MAXCONN_MIN: u64 = 100;
/// The descriptor limit that is assumed when nothing is configured and the system's is higher.
const FD_LIMIT_AUTO: u64 = 1_048_576;
/// Bytes of a stream besides its two buffers, as HAProxy estimates them.
const STREAM_BYTES: u64 = 2_816;

/// What the computation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections allowed.
    pub maxconn: u64,
    /// It was computed, not configured.
    pub computed_maxconn: bool,
    /// Pipes allowed.
    pub maxpipes: u64,
    /// Descriptors needed at most.
    pub maxsock: u64,
    /// Descriptors needed before any connection.
    pub base_usage: u64,
    /// Highest descriptor limit that may be used, if there is one.
    pub fd_hard_limit: Option<u64>,
}

/// `None` stands for a number that only `maxconn` bounds.
fn ideal_pipes(config: &Config, maxconn: Option<u64>) -> Option<u64> {
    let (mut frontends, mut backends) = (Some(0u64), Some(0u64));
    let splicing = |splice: crate::model::proxy::Splice| splice.auto || splice.request || splice.response;
    for proxy in config.proxies.iter().filter(|proxy| splicing(proxy.splice)) {
        if proxy.caps.frontend {
            let max = proxy.maxconn.filter(|max| *max > 0).map(u64::from);
            frontends = frontends.zip(max).map(|(sum, max)| sum + max);
        }
        if proxy.caps.backend {
            let max = proxy.fullconn.map(u64::from).or(maxconn);
            backends = backends.zip(max).map(|(sum, max)| sum + max);
        }
    }
    let wanted = frontends.zip(backends).map(|(fe, be)| fe.max(be));
    let pipes = match (wanted, maxconn) {
        (Some(pipes), Some(maxconn)) => pipes.min(maxconn),
        (None, Some(maxconn)) => maxconn,
        (Some(pipes), None) => pipes,
        (None, None) => return None,
    };
    Some(if pipes >= 4 { pipes / 4 } else { pipes })
}

/// Rounds down to two leading digits.
fn two_digits(n: u64) -> u64 {
    let mut scale = 1;
    while n / scale >= 100 {
        scale *= 10;
    }
    n / scale * scale
}

/// Computes the limits, given the descriptor limits at the start of the process.
pub fn compute(config: &Config, at_boot: Limit, under_master: bool) -> Limits {
    let global = &config.global;
    let is_cli = |owner: Owner| matches!(owner, Owner::Cli | Owner::MasterCli);
    let has_cli = under_master || config.listeners.iter().any(|listener| is_cli(listener.owner));
    let cli = if has_cli {
        u64::from(global.stats_maxconn)
    } else {
        0
    };
    let listeners = config.listeners.len() as u64 + u64::from(under_master);
    let loops = u64::from(global.nbthread.max(1));
    let sockets = RESERVED + cli + listeners;
    let base_usage = sockets + PER_LOOP * loops;

    let configured = global.maxconn.map(u64::from).filter(|max| *max > 0);
    let nothing_set = configured.is_none()
        && global.ulimit_n.is_none()
        && global.memory_max_mib == 0
        && global.fd_hard_limit.is_none();
    let fd_hard_limit = global
        .fd_hard_limit
        .map(u64::from)
        .or_else(|| nothing_set.then_some(FD_LIMIT_AUTO));
    let set_pipes = global.maxpipes.map(u64::from).filter(|pipes| *pipes > 0);
    let pipes_for = |maxconn| set_pipes.or_else(|| ideal_pipes(config, maxconn));
    let sockets_for = |maxconn: u64| {
        sockets + 2 * maxconn + 2 * pipes_for(Some(maxconn)).unwrap_or(maxconn) + PER_LOOP * loops
    };

    let ideal = {
        let available = at_boot.soft.max(at_boot.hard);
        let mut remain = fd_hard_limit
            .map_or(available, |limit| available.min(limit))
            .saturating_sub(base_usage);
        let pipes = pipes_for(None);
        if let Some(pipes) = pipes
            && pipes * 2 < remain
        {
            remain -= pipes * 2;
        }
        // Without a bound, half a descriptor per connection goes to pipes.
        let maxconn = if pipes.is_none() {
            2 * remain / 5
        } else {
            remain / 2
        };
        maxconn.max(MAXCONN_MIN)
    };
    let by_memory = || {
        let bytes = u64::from(global.memory_max_mib) * 1_048_576 * 97 / 100;
        let by_memory = two_digits(bytes / (STREAM_BYTES + 2 * u64::from(global.tune.bufsize)));
        let most = fd_hard_limit.unwrap_or(u64::MAX).min(at_boot.hard);
        let fits = sockets_for(by_memory) <= most || sys::effective_uid() == 0 && fd_hard_limit.is_none();
        if fits {
            by_memory
        } else {
            two_digits(by_memory.min(ideal))
        }
    };
    let maxconn = match configured {
        Some(maxconn) => maxconn,
        None if global.memory_max_mib == 0 => ideal,
        None => by_memory().max(1),
    };
    Limits {
        maxconn,
        computed_maxconn: configured.is_none() && global.memory_max_mib == 0,
        maxpipes: pipes_for(Some(maxconn)).unwrap_or(maxconn),
        maxsock: sockets_for(maxconn),
        base_usage,
        fd_hard_limit,
    }
}

/// Writes the limits into the numbers of the process and of each proxy: a frontend without `maxconn` takes the
/// process's, a backend without `fullconn` a tenth of what its frontends may send.
pub fn fill(limits: &Limits, config: &Config, state: &mut State) {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    state.process.maxconn = narrow(limits.maxconn);
    state.process.hard_maxconn = narrow(limits.maxconn);
    state.process.maxsock = narrow(limits.maxsock);
    state.process.maxpipes = narrow(limits.maxpipes);
    let mut sent_to = vec![0u64; config.proxies.len()];
    for proxy in config
        .proxies
        .iter()
        .filter(|proxy| proxy.caps.frontend && !proxy.disabled)
    {
        let maxconn = proxy
            .maxconn
            .filter(|max| *max > 0)
            .map_or(limits.maxconn, u64::from);
        state.proxy_mut(proxy.id).maxconn = narrow(maxconn);
        let default = proxy
            .default_backend
            .or_else(|| proxy.caps.backend.then_some(proxy.id));
        let chosen = proxy.use_backend.filter(|id| Some(*id) != default);
        for backend in [default, chosen].into_iter().flatten() {
            if let Some(sum) = sent_to.get_mut(backend.index()) {
                *sum += maxconn;
            }
        }
    }
    for (proxy, sum) in config
        .proxies
        .iter()
        .zip(sent_to)
        .filter(|(proxy, _)| proxy.caps.backend)
    {
        let fullconn = proxy
            .fullconn
            .filter(|full| *full > 0)
            .unwrap_or_else(|| default_fullconn(sum));
        state.proxy_mut(proxy.id).fullconn = fullconn;
    }
}

/// The start is refused: a limit cannot be had and `strict-limits` is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// Raises the descriptor limit, and sets the memory limit. Returns the descriptor limit in force.
///
/// # Errors
/// When a limit cannot be had and `strict-limits` is on; the reason was told.
pub fn apply(limits: &Limits, config: &Config, at_boot: Limit, voice: &mut Voice) -> Result<u64, Refused> {
    let global = &config.global;
    let wanted = global.ulimit_n.map_or(limits.maxsock, u64::from);
    let mut in_force = wanted;
    let over_hard = limits.fd_hard_limit.is_some_and(|hard| wanted > hard);
    if over_hard || raise(wanted, at_boot.hard.max(wanted)).is_err() {
        let present = sys::limit(libc::RLIMIT_NOFILE).unwrap_or(at_boot);
        let room = (present.hard.saturating_sub(limits.base_usage)).max(3);
        let head = format!("[{}.main()] Cannot raise FD limit to {wanted}", voice.program());
        let long = |soft: u64| {
            format!(
                "{head}, current limit is {soft} and hard limit is {}. Leave 'maxconn' and 'ulimit-n' out to have \
                 them computed, perhaps with an 'fd-hard-limit' below the hard limit, or set 'maxconn' to about {}.",
                present.hard,
                two_digits(room * 49 / 100),
            )
        };
        if global.strict_limits {
            voice.alert(&long(present.soft));
            return Err(Refused);
        }
        let most = limits
            .fd_hard_limit
            .map_or(present.hard, |hard| present.hard.min(hard));
        in_force = match raise(most, present.hard) {
            Ok(()) => most,
            Err(_) => present.soft,
        };
        voice.warning(&format!("{head}, limit is {in_force}."));
        voice.warning(&long(in_force));
    }
    if global.memory_max_mib > 0 {
        let bytes = u64::from(global.memory_max_mib) * 1_048_576;
        if sys::set_limit(
            libc::RLIMIT_DATA,
            Limit {
                soft: bytes,
                hard: bytes,
            },
        )
        .is_err()
        {
            let text = format!(
                "[{}.main()] Cannot fix MEM limit to {} megs.",
                voice.program(),
                global.memory_max_mib
            );
            if global.strict_limits {
                voice.alert(&text);
                return Err(Refused);
            }
            voice.warning(&text);
        }
    }
    Ok(in_force)
}

fn raise(soft: u64, hard: u64) -> io::Result<()> {
    let present = sys::limit(libc::RLIMIT_NOFILE)?;
    if present.soft >= soft && present.hard >= hard {
        return Ok(());
    }
    sys::set_limit(libc::RLIMIT_NOFILE, Limit { soft, hard })
}

/// Looks whether the descriptors suffice, once all is bound.
///
/// # Errors
/// When they do not and `strict-limits` is on; the reason was told either way.
pub fn check(limits: &Limits, config: &Config, voice: &mut Voice) -> Result<(), Refused> {
    let present = sys::limit(libc::RLIMIT_NOFILE).map_or(0, |limit| limit.soft);
    if present >= limits.maxsock {
        return Ok(());
    }
    let text = format!(
        "[{}.main()] FD limit ({present}) too low for maxconn={}/maxsock={}. Please raise 'ulimit-n' to {} or more \
         to avoid any trouble.",
        voice.program(),
        limits.maxconn,
        limits.maxsock,
        limits.maxsock
    );
    voice.alert(&text);
    if config.global.strict_limits {
        Err(Refused)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ticks::Ticks;
    use crate::model::proxy::Splice;
    use crate::ops::fixture;
    use std::sync::Arc;

    const BOOT: Limit = Limit {
        soft: 20_000,
        hard: 20_000,
    };

    /// One runtime socket and one listen, as in the runs of 3.4.0 that the numbers come from.
    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = fixture::config();
        config.listeners.truncate(2);
        let mut socket = (*config.listeners[0]).clone();
        socket.owner = Owner::Cli;
        config.listeners[0] = Arc::new(socket);
        config.proxies.drain(..3);
        change(&mut config);
        config
    }

    fn splice(config: &mut Config) {
        let mut proxy = (*config.proxies[0]).clone();
        proxy.splice = Splice {
            auto: true,
            ..Splice::default()
        };
        config.proxies[0] = Arc::new(proxy);
    }

    fn numbers(config: &Config) -> (u64, u64, u64) {
        let limits = compute(config, BOOT, false);
        (limits.maxconn, limits.maxsock, limits.maxpipes)
    }

    #[test]
    fn numbers_of_the_reference() {
        assert_eq!(numbers(&config(|_| {})), (9_987, 19_999, 0));
        assert_eq!(numbers(&config(|c| c.global.maxconn = Some(100))), (100, 225, 0));
        assert_eq!(
            numbers(&config(|c| c.global.fd_hard_limit = Some(1_000))),
            (487, 999, 0)
        );
        assert_eq!(
            numbers(&config(|c| c.global.ulimit_n = Some(500))),
            (9_987, 19_999, 0)
        );
        assert_eq!(
            numbers(&config(|c| c.global.maxpipes = Some(7))),
            (9_980, 19_999, 7)
        );
        assert_eq!(numbers(&config(splice)), (7_990, 19_999, 1_997));
        assert_eq!(
            numbers(&config(|c| c.global.maxconn = Some(50_000))),
            (50_000, 100_025, 0)
        );
        assert_eq!(
            numbers(&config(|c| c.global.memory_max_mib = 100)),
            (2_800, 5_625, 0)
        );
    }

    #[test]
    fn small_machines_get_a_hundred() {
        let limits = compute(&config(|_| {}), Limit { soft: 64, hard: 64 }, false);
        assert_eq!(limits.maxconn, 100);
        assert!(limits.computed_maxconn);
    }

    #[test]
    fn two_leading_digits() {
        assert_eq!(two_digits(9_876), 9_800);
        assert_eq!(two_digits(99), 99);
        assert_eq!(two_digits(0), 0);
    }

    #[test]
    fn proxies_get_their_share() {
        let config = fixture::config();
        let mut state = State::new(&config, Ticks::ZERO);
        fill(&compute(&config, BOOT, false), &config, &mut state);
        let maxconn = state.process.maxconn;
        assert_eq!(state.proxies[0].maxconn, maxconn);
        assert_eq!(state.proxies[1].fullconn, maxconn.div_ceil(10));
        assert_eq!(state.proxies[2].fullconn, 1);
        assert_eq!(
            (state.proxies[3].maxconn, state.proxies[3].fullconn),
            (maxconn, maxconn.div_ceil(10))
        );
    }
}
