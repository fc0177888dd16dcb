//! Orders recorded from HAProxy 3.4.0, and properties that hold for any weights.

use super::*;
use proptest::prelude::*;

fn server(n: u32, weight: u32) -> LbServer {
    LbServer {
        id: ServerId(10 + n),
        puid: n + 1,
        weight,
        backup: false,
        usable: true,
    }
}

fn servers(weights: &[u32]) -> Vec<LbServer> {
    weights
        .iter()
        .zip(0..)
        .map(|(&weight, n)| server(n, weight))
        .collect()
}

fn balancer(balance: Balance, weights: &[u32]) -> Balancer {
    Balancer::new(balance, false, &servers(weights), 1)
}

fn idle(_: ServerId) -> Load {
    Load::default()
}

/// The number of the picked server, from 0.
fn number(pick: Pick) -> Option<u32> {
    match pick {
        Pick::Server(id) => Some(id.0 - 10),
        Pick::Full | Pick::NoServer => None,
    }
}

fn next(lb: &mut Balancer) -> Option<u32> {
    number(lb.pick(BackendLoad::default(), None, idle))
}

fn sequence(lb: &mut Balancer, n: usize) -> String {
    let picks: Vec<String> = (0..n).filter_map(|_| next(lb)).map(|n| n.to_string()).collect();
    picks.join(" ")
}

#[test]
fn orders_of_haproxy() {
    let recorded: [(&[u32], &str, &str); 6] = [
        (
            &[1, 2, 5],
            "2 2 1 2 2 0 2 1 2 2 1 2 2 0 2 1 2 2 1 2 2 0 2 1 2 2 1 2 2 0",
            "0 2 1 2 2 1 2 2 0 2 1 2 2 1 2 2 0 2 1 2 2 1 2 2 0 2 1 2 2 1",
        ),
        (
            &[5, 2, 1],
            "0 0 1 0 0 2 0 1 0 0 1 0 0 2 0 1 0 0 1 0 0 2 0 1 0 0 1 0 0 2",
            "0 0 1 0 0 1 0 2 0 0 1 0 0 1 0 2 0 0 1 0 0 1 0 2 0 0 1 0 0 1",
        ),
        (
            &[1, 1, 1, 1],
            "0 1 2 3 0 1 2 3 0 1 2 3",
            "0 1 2 3 0 1 2 3 0 1 2 3",
        ),
        (
            &[10, 3, 3, 7, 1],
            "0 3 0 1 3 0 2 0 3 0 4 3 1 0 0 2 3 0 3 0 1 0 3 2 0 3 0 1 3 0 2 0 3 0 4 3 1 0 0 2",
            "0 1 0 3 0 2 3 0 1 0 3 0 2 3 0 1 0 3 2 0 3 0 3 4 0 1 0 3 0 2 3 0 1 0 3 0 2 3 0 1",
        ),
        (
            &[256, 1, 100],
            "0 0 0 2 0 0 2 0 0 0 2 0 0 2 0 0 0 2 0 0 0 2 0 0 2 0 0 0 2 0 0 2 0 0 0 2 0 0 2 0",
            "0 0 0 2 0 0 0 2 0 0 2 0 0 0 2 0 0 2 0 0 0 2 0 0 2 0 0 0 2 0 0 1 2 0 0 2 0 0 0 2",
        ),
        (
            &[3, 3, 2],
            "0 1 0 1 2 0 1 0 2 1 0 1 2 0 1 0 2 1 0 1 2 0 1 0 2 1 0 1 2 0",
            "0 1 0 2 1 0 1 2 0 1 0 2 1 0 1 2 0 1 0 2 1 0 1 2 0 1 0 2 1 0",
        ),
    ];
    for (weights, round_robin, static_rr) in recorded {
        let picks = round_robin.split(' ').count();
        assert_eq!(
            sequence(&mut balancer(Balance::RoundRobin, weights), picks),
            round_robin,
            "{weights:?}"
        );
        let picks = static_rr.split(' ').count();
        assert_eq!(
            sequence(&mut balancer(Balance::StaticRr, weights), picks),
            static_rr,
            "{weights:?}"
        );
    }
}

/// Active servers of weights 2, 5, 3, two backups of 3 and 2, one of weight 0, and what happens to them:
/// before the pick of that number, a server's weight and whether it is enabled.
const CHANGES: [(usize, u32, u32, bool); 13] = [
    (7, 1, 5, false),
    (15, 1, 5, true),
    (22, 2, 9, true),
    (30, 0, 0, true),
    (36, 0, 4, true),
    (45, 0, 4, false),
    (45, 1, 5, false),
    (46, 2, 9, false),
    (53, 3, 3, false),
    (57, 2, 9, true),
    (63, 5, 50, true),
    (66, 1, 5, true),
    (usize::MAX, 0, 0, true),
];

fn with_changes(balance: Balance, allbackups: bool, with_weights: bool) -> String {
    let mut roster = servers(&[2, 5, 3, 3, 2, 0]);
    roster[3].backup = true;
    roster[4].backup = true;
    let mut lb = Balancer::new(balance, allbackups, &roster, 1);
    let picks = (0..90).map(|at| {
        for (_, n, weight, usable) in CHANGES.iter().copied().filter(|change| change.0 == at) {
            let is_weight = matches!(at, 22 | 30 | 36 | 63);
            if with_weights || !is_weight {
                lb.set(ServerId(10 + n), weight, usable);
            }
        }
        next(&mut lb).map_or_else(|| "none".into(), |n| n.to_string())
    });
    picks.collect::<Vec<String>>().join(" ")
}

#[test]
fn orders_of_haproxy_while_servers_come_and_go() {
    assert_eq!(
        with_changes(Balance::RoundRobin, false, true),
        "1 2 1 0 1 2 1 2 0 2 0 2 2 0 2 0 1 2 1 2 1 0 1 2 2 1 0 2 2 1 2 1 2 2 1 2 2 1 2 0 2 1 2 0 2 2 3 3 3 3 3 3 3 \
         4 4 4 4 2 2 2 2 2 2 2 5 5 5 5 5 5 2 5 5 5 5 5 2 5 1 5 5 5 5 5 2 5 5 5 5 5"
    );
    assert_eq!(
        with_changes(Balance::RoundRobin, true, true),
        "1 2 1 0 1 2 1 2 0 2 0 2 2 0 2 0 1 2 1 2 1 0 1 2 2 1 0 2 2 1 2 1 2 2 1 2 2 1 2 0 2 1 2 0 2 2 3 3 4 3 4 3 3 \
         4 4 4 4 2 2 2 2 2 2 2 5 5 5 5 5 5 2 5 5 5 5 5 2 5 1 5 5 5 5 5 2 5 5 5 5 5"
    );
    assert_eq!(
        with_changes(Balance::First, false, true),
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 1 1 1 1 0 0 0 0 0 0 0 0 0 2 3 3 3 3 3 3 3 \
         4 4 4 4 2 2 2 2 2 2 2 2 2 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"
    );
    assert_eq!(
        with_changes(Balance::StaticRr, false, false),
        "0 1 1 2 0 1 2 0 2 0 2 2 0 2 0 2 0 1 2 1 1 2 0 1 1 2 0 1 2 1 1 2 0 1 1 2 0 1 2 1 1 2 0 1 1 2 3 4 3 3 4 3 3 \
         4 4 4 4 2 2 2 2 2 2 2 2 2 2 1 1 2 1 2 1 1 2 1 1 2 1 2 1 1 2 1 1 2 1 2 1 1"
    );
    assert_eq!(
        with_changes(Balance::StaticRr, true, false),
        "0 1 1 2 0 1 2 0 2 0 2 2 0 2 0 2 0 1 2 1 1 2 0 1 1 2 0 1 2 1 1 2 0 1 1 2 0 1 2 1 1 2 0 1 1 2 3 4 3 4 3 3 4 \
         4 4 4 4 2 2 2 2 2 2 2 2 2 2 1 1 2 1 2 1 1 2 1 1 2 1 2 1 1 2 1 1 2 1 2 1 1"
    );
}

/// A run with limited servers: `+` opens a stream, `-n` ends the n-th one.
struct Run {
    /// Weight and `maxconn` of each server.
    servers: &'static [(u32, u32)],
    script: &'static str,
    round_robin: &'static str,
    static_rr: &'static str,
    first: &'static str,
}

const RUNS: [Run; 2] = [
    Run {
        servers: &[(1, 2), (3, 2), (2, 3)],
        script: "+ -0 + -1 + + + -2 -3 + -4 + -5 + -7 -6 + + -9 + + + + + -12 + -11 -10 + + -8 -17 + -15 -16 + + + \
                 -19 + -22 -18 + + -23 -13 + + -24 -20 -25 -26 + + + -28 + + -27 + -31 + -30 + -21 + -14 + -35 + \
                 -36 -37 -33 + -29 -38 + -39 -32 + -34 + -41 -40 + + + + + -43 + + -44 + -48 + -46 -42 -45 + + -50 \
                 -49 -47 -52 + -53 + -54 + -55 -51 + + -57 + +",
        round_robin: "121012121012202210121201210121201022202112101220212101212101",
        static_rr: "012112012112012012201202012112011102201211201212010121120121",
        first: "000010000001122101001100002001020201211100001120212010000001",
    },
    Run {
        servers: &[(5, 1), (1, 4), (1, 1), (2, 2)],
        script: "+ + + -0 -1 + + -4 -2 + -5 + + + + -8 + + + -7 + -9 + -11 + -13 -6 -3 -12 -15 -10 + -16 + + + + -19 \
                 -20 + + + + -21 + -25 + -24 + -22 -27 + + -23 + -18 + -31 -29 -28 -30 -14 + -32 + -26 + + -17 -35 \
                 -33 + + + -37 -34 + -39 + -38 -36 -40 + -41 + -42 + + -43 + -44 + -45 -46 + -47 + -48 + + + -50 + \
                 + + + -55 + + -49 -52 + +",
        round_robin: "031032313231112100331311133111133332031320003010003231311103",
        static_rr: "013023132312133103021211121212103023013230010302030103211103",
        first: "011011111112311200111112311313211111011110001010001111122301",
    },
];

fn replay(balance: Balance, run: &Run) -> String {
    let weights: Vec<u32> = run.servers.iter().map(|server| server.0).collect();
    let mut lb = balancer(balance, &weights);
    let mut served = vec![0; weights.len()];
    let mut streams = Vec::new();
    for step in run.script.split(' ') {
        if let Some(stream) = step.strip_prefix('-') {
            let server: usize = streams[stream.parse::<usize>().unwrap()];
            served[server] -= 1;
            continue;
        }
        let load = |id: ServerId| {
            let n = (id.0 - 10) as usize;
            Load {
                served: served[n],
                limit: run.servers[n].1,
                ..Load::default()
            }
        };
        let server = number(lb.pick(BackendLoad::default(), None, load)).unwrap() as usize;
        served[server] += 1;
        streams.push(server);
    }
    streams.iter().map(ToString::to_string).collect()
}

#[test]
fn orders_of_haproxy_with_full_servers() {
    for run in &RUNS {
        assert_eq!(replay(Balance::RoundRobin, run), run.round_robin);
        assert_eq!(replay(Balance::StaticRr, run), run.static_rr);
        assert_eq!(replay(Balance::First, run), run.first);
    }
}

/// Who answers when some servers refuse every connection: four tries, each away from the last failure.
#[test]
fn orders_of_haproxy_with_redispatch() {
    let recorded: [(&[u32], &[u32], [&str; 3]); 3] = [
        (
            &[5, 1, 1],
            &[0],
            ["1212121212121212", "1212121212121212", "1111111111111111"],
        ),
        (
            &[2, 3, 1, 4],
            &[1, 3],
            ["0200200200200200", "0X020X020X020X02", "0000000000000000"],
        ),
        (
            &[1, 6, 1],
            &[1],
            ["0202020202020202", "0202020202020202", "0000000000000000"],
        ),
    ];
    for (weights, dead, answers) in recorded {
        for (balance, expected) in [Balance::RoundRobin, Balance::StaticRr, Balance::First]
            .into_iter()
            .zip(answers)
        {
            let mut lb = balancer(balance, weights);
            let got: String = (0..16)
                .map(|_| {
                    let mut avoid = None;
                    for _ in 0..4 {
                        let pick = lb.pick(BackendLoad::default(), avoid, idle);
                        match number(pick) {
                            Some(n) if !dead.contains(&n) => return n.to_string(),
                            Some(n) => avoid = Some(ServerId(10 + n)),
                            None => {}
                        }
                    }
                    "X".into()
                })
                .collect();
            assert_eq!(got, expected, "{balance:?} {weights:?}");
        }
    }
}

/// How often, of 1,000, HAProxy returns to an idle server after 1, 2, 3 streams when there are five.
#[test]
fn ties_of_leastconn_alternate_as_often_as_in_haproxy() {
    let mut lb = balancer(Balance::LeastConn, &[1; 5]);
    let picks: Vec<Option<u32>> = (0..60_000)
        .map(|_| {
            let pick = next(&mut lb);
            let id = ServerId(10 + pick.unwrap_or_default());
            lb.on_load(id, 1);
            lb.on_load(id, 0);
            pick
        })
        .collect();
    for (lag, recorded) in [(1, 158), (2, 167), (3, 177)] {
        let same = picks.iter().zip(&picks[lag..]).filter(|(a, b)| a == b).count() / 60;
        assert!(same.abs_diff(recorded) <= 15, "{lag}: {same}");
    }
}

/// Shares, of 1,000, that HAProxy's ring gives to servers by number and weight.
#[test]
fn shares_of_random_are_those_of_haproxy() {
    let recorded = [
        (&[(1, 1), (2, 1), (3, 3)][..], &[239, 204, 557][..]),
        (&[(100, 1), (7, 2), (55, 1), (9, 1)], &[130, 442, 183, 245]),
    ];
    for (numbers, shares) in recorded {
        let servers: Vec<LbServer> = numbers
            .iter()
            .zip(0..)
            .map(|(&(puid, weight), n)| LbServer {
                puid,
                ..server(n, weight)
            })
            .collect();
        let mut lb = Balancer::new(Balance::Random(1), false, &servers, 3);
        let mut counts = vec![0u32; servers.len()];
        for _ in 0..100_000 {
            if let Some(n) = next(&mut lb) {
                counts[n as usize] += 1;
            }
        }
        for (count, share) in counts.iter().zip(shares) {
            assert!((count / 100).abs_diff(*share) <= 20u32, "{counts:?} {shares:?}");
        }
    }
}

#[test]
fn many_servers_share_alike() {
    for balance in [Balance::RoundRobin, Balance::StaticRr] {
        let mut lb = balancer(balance, &vec![7; 1_000]);
        let picks: Vec<u32> = (0..3_000).filter_map(|_| next(&mut lb)).collect();
        let expected: Vec<u32> = (0..3_000).map(|n| n % 1_000).collect();
        assert!(picks == expected, "{balance:?}");
    }
}

#[test]
fn nobody_and_full_are_told_apart() {
    let all = [
        Balance::RoundRobin,
        Balance::StaticRr,
        Balance::LeastConn,
        Balance::First,
        Balance::Random(2),
    ];
    let full = |_| Load {
        served: 3,
        limit: 3,
        ..Load::default()
    };
    for balance in all {
        let backend = BackendLoad::default();
        let mut lb = balancer(balance, &[1, 0, 3]);
        assert_eq!(lb.pick(backend, None, full), Pick::Full, "{balance:?}");
        // Once there was room again, the order goes on.
        assert!(next(&mut lb).is_some(), "{balance:?}");
        assert_eq!((lb.active(), lb.backups()), (2, 0));
        lb.set(ServerId(10), 1, false);
        lb.set(ServerId(12), 0, true);
        assert_eq!(lb.pick(backend, None, idle), Pick::NoServer, "{balance:?}");
        assert_eq!((lb.active(), lb.backups()), (0, 0));
        lb.set(ServerId(12), 3, true);
        lb.set(ServerId(99), 3, true);
        assert_eq!(
            lb.pick(backend, None, idle),
            Pick::Server(ServerId(12)),
            "{balance:?}"
        );
        assert_eq!(
            Balancer::new(balance, false, &[], 1).pick(backend, None, idle),
            Pick::NoServer
        );
    }
}

#[test]
fn newcomers_do_not_overtake_the_backends_queue() {
    let waiting = BackendLoad {
        served: 4,
        queued: 2,
        conns: 6,
    };
    for (balance, expected) in [
        (Balance::RoundRobin, None),
        (Balance::StaticRr, None),
        (Balance::First, None),
        (Balance::LeastConn, Some(0)),
        (Balance::Random(1), Some(0)),
    ] {
        let mut lb = balancer(balance, &[1]);
        assert_eq!(number(lb.pick(waiting, None, idle)), expected, "{balance:?}");
        assert_eq!(
            number(lb.pick(BackendLoad { served: 0, ..waiting }, None, idle)),
            Some(0)
        );
    }
}

#[test]
fn only_the_backup_whose_turn_it_is_serves_the_backend() {
    let mut roster = servers(&[1, 1, 1]);
    roster[1].backup = true;
    roster[2].backup = true;
    let mut lb = Balancer::new(Balance::RoundRobin, false, &roster, 1);
    let serving = |lb: &Balancer| [10, 11, 12].map(|id| lb.serves_backend(ServerId(id)));
    assert_eq!(serving(&lb), [true, false, false]);
    lb.set(ServerId(10), 1, false);
    assert_eq!(serving(&lb), [false, true, false]);
    lb.set(ServerId(11), 1, false);
    assert_eq!(serving(&lb), [false, false, true]);
    lb.set(ServerId(11), 1, true);
    assert_eq!(serving(&lb), [false, true, false]);
    let mut lb = Balancer::new(Balance::RoundRobin, true, &roster, 1);
    lb.set(ServerId(10), 1, false);
    assert_eq!(serving(&lb), [false, true, true]);
}

#[test]
fn least_connections_weigh_the_streams_in_flight() {
    let mut lb = balancer(Balance::LeastConn, &[10, 20, 40]);
    let mut counts = [0u32; 3];
    for _ in 0..700 {
        let Some(n) = next(&mut lb) else { break };
        counts[n as usize] += 1;
        lb.on_load(ServerId(10 + n), counts[n as usize]);
    }
    assert_eq!(counts, [100, 200, 400]);
    // Servers that are done come first again, whatever their weight.
    lb.on_load(ServerId(10), 0);
    assert_eq!(next(&mut lb), Some(0));
}

#[test]
fn random_draws_prefer_the_idle() {
    let mut lb = balancer(Balance::Random(2), &[1; 8]);
    let busy = |id: ServerId| Load {
        served: if id.0 == 13 { 0 } else { 5 },
        ..Load::default()
    };
    let picks = (0..4_000)
        .filter(|_| number(lb.pick(BackendLoad::default(), None, busy)) == Some(3))
        .count();
    // Its own share s of the ring becomes 1 - (1 - s)^2.
    assert!((400..1_600).contains(&picks), "{picks}");
    let by_rate = |id: ServerId| Load {
        session_rate: id.0,
        ..Load::default()
    };
    let mut lb = balancer(Balance::Random(100), &[1; 8]);
    let picks: Vec<_> = (0..20)
        .map(|_| number(lb.pick(BackendLoad::default(), None, by_rate)))
        .collect();
    assert_eq!(picks, vec![Some(0); 20]);
}

fn any_balance() -> impl Strategy<Value = Balance> {
    prop_oneof![
        Just(Balance::RoundRobin),
        Just(Balance::StaticRr),
        Just(Balance::LeastConn),
        Just(Balance::First),
        (1..4u32).prop_map(Balance::Random),
    ]
}

proptest! {
    /// In any run, a server has its share of the picks but for rounding.
    #[test]
    fn shares_follow_weights(weights in prop::collection::vec(1..60u32, 1..12), rounds in 1..5u32) {
        let total: u32 = weights.iter().sum();
        for balance in [Balance::RoundRobin, Balance::StaticRr] {
            let mut lb = balancer(balance, &weights);
            let mut counts = vec![0u32; weights.len()];
            for _ in 0..total * rounds {
                if let Some(n) = next(&mut lb) {
                    counts[n as usize] += 1;
                }
            }
            for (count, weight) in counts.iter().zip(&weights) {
                prop_assert!(count.abs_diff(weight * rounds) <= 2, "{balance:?} {weights:?} {counts:?}");
            }
        }
    }

    /// Whatever happens, only a usable server with room is picked, a backup only when no active server is
    /// usable, the one to avoid only when there is no other, and nobody only when all are full or out.
    #[test]
    fn picks_are_always_valid(
        balance in any_balance(),
        allbackups in any::<bool>(),
        weights in prop::collection::vec((0..5u32, any::<bool>(), any::<bool>()), 1..8),
        ops in prop::collection::vec((0..4u8, 0..8u32, 0..5u32, any::<bool>()), 1..120),
    ) {
        let mut roster: Vec<LbServer> = weights
            .iter()
            .zip(0..)
            .map(|(&(weight, backup, usable), n)| LbServer { backup, usable, ..server(n, weight) })
            .collect();
        let count = roster.len() as u32;
        let mut lb = Balancer::new(balance, allbackups, &roster, 5);
        let mut served = vec![0u32; roster.len()];
        let configured: Vec<u32> = roster.iter().map(|server| server.weight).collect();
        for (op, n, weight, usable) in ops {
            let n = (n % count) as usize;
            match op {
                0 => {
                    // A static map knows only the configured weight and none.
                    let is_static = balance == Balance::StaticRr;
                    let weight = if is_static { configured[n] } else { weight };
                    (roster[n].weight, roster[n].usable) = (weight, usable);
                    lb.set(roster[n].id, weight, usable);
                }
                1 => {
                    served[n] = weight;
                    lb.on_load(roster[n].id, weight);
                }
                _ => {
                    let avoid = usable.then(|| roster[n].id);
                    let limit = 3;
                    let load = |id: ServerId| Load { served: served[(id.0 - 10) as usize], limit, ..Load::default() };
                    let up = |s: &&LbServer| s.usable && s.weight > 0;
                    let active: Vec<&LbServer> = roster.iter().filter(up).filter(|s| !s.backup).collect();
                    let backups: Vec<&LbServer> = roster.iter().filter(up).filter(|s| s.backup).collect();
                    let first_only = active.is_empty() && !allbackups && balance != Balance::StaticRr;
                    let side = if active.is_empty() { backups } else { active };
                    let side: Vec<&LbServer> = side.into_iter().take(if first_only { 1 } else { 99 }).collect();
                    let free = |s: &LbServer| load(s.id).has_free_slot();
                    match lb.pick(BackendLoad::default(), avoid, load) {
                        Pick::NoServer => prop_assert!(side.is_empty()),
                        Pick::Full if matches!(balance, Balance::Random(_)) => prop_assert!(!side.iter().all(|s| free(s))),
                        // A static map of one backup's weight may lack the others.
                        Pick::Full if balance == Balance::StaticRr && side.iter().any(|s| s.backup) => {
                            prop_assert!(side.iter().any(|s| !free(s)));
                        }
                        Pick::Full => prop_assert!(!side.iter().any(|s| free(s)), "{balance:?}"),
                        Pick::Server(id) => {
                            let server = side.iter().find(|s| s.id == id);
                            prop_assert!(server.is_some(), "{balance:?} {id:?} {side:?}");
                            prop_assert!(first_only || server.is_some_and(|s| free(s)));
                            let alone = !side.iter().any(|s| Some(s.id) != avoid && free(s));
                            let drawn = matches!(balance, Balance::Random(_)) || balance == Balance::StaticRr;
                            prop_assert!(Some(id) != avoid || alone || drawn, "{balance:?} {avoid:?} {side:?}");
                        }
                    }
                }
            }
        }
    }
}
