//! Orders of waiting, some recorded from HAProxy 3.4.0, and the queues against a model.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn key(index: u32) -> Key {
    Key { index, generation: 7 }
}

fn at(ms: u64) -> Ticks {
    Ticks::from_ms(ms)
}

const BACKEND: ProxyId = ProxyId(2);
const SERVER: ServerId = ServerId(5);

#[test]
fn the_dynamic_limit_follows_the_backend() {
    // The manual's example: minconn 100, maxconn 1000, fullconn 10000.
    let limit = |conns| dynamic_maxconn(1_000, 100, conns, 10_000);
    assert_eq!(
        [0, 500, 1_000, 1_010, 5_000, 9_999].map(limit),
        [100, 100, 100, 101, 500, 999]
    );
    assert_eq!([10_000, 20_000].map(limit), [1_000, 1_000]);
    assert_eq!(dynamic_maxconn(50, 0, 3, 10), 50);
    assert_eq!(dynamic_maxconn(0, 0, 3, 10), 0);
    assert_eq!(dynamic_maxconn(0, 20, 3, 10), 20);
    assert_eq!(dynamic_maxconn(10, 20, 3, 10), 20);
    assert_eq!(dynamic_maxconn(u32::MAX, 1, u32::MAX - 1, u32::MAX), u32::MAX - 1);
    assert_eq!([0, 9, 10, 11, 20_000].map(default_fullconn), [1, 1, 1, 2, 2_000]);
}

#[test]
fn admission() {
    let load = Load {
        served: 9,
        queued: 0,
        limit: 10,
        max_queue: 2,
        session_rate: 0,
    };
    assert_eq!(admit(load), Admission::Serve);
    assert_eq!(admit(Load { queued: 1, ..load }), Admission::Wait);
    assert_eq!(
        admit(Load {
            served: 10,
            queued: 1,
            ..load
        }),
        Admission::Wait
    );
    assert_eq!(
        admit(Load {
            served: 10,
            queued: 2,
            ..load
        }),
        Admission::QueueFull
    );
    assert_eq!(
        admit(Load {
            served: 10,
            queued: 99,
            max_queue: 0,
            ..load
        }),
        Admission::Wait
    );
    assert_eq!(
        admit(Load {
            served: 10_000,
            limit: 0,
            ..load
        }),
        Admission::Serve
    );
}

#[test]
fn the_older_head_goes_first() {
    let mut queues = Queues::new();
    queues.enqueue(key(1), Place::Backend(BACKEND), at(10));
    queues.enqueue(key(2), Place::Server(SERVER), at(11));
    queues.enqueue(key(3), Place::Server(SERVER), at(12));
    assert_eq!(queues.enqueue(key(4), Place::Backend(BACKEND), at(12)), 2);
    // A backup that is not needed leaves the backend's queue alone.
    assert_eq!(
        queues.take_next(SERVER, BACKEND, false).map(|d| d.key),
        Some(key(2))
    );
    assert_eq!(
        queues.take_next(SERVER, BACKEND, true).map(|d| d.key),
        Some(key(1))
    );
    let own = queues.take_next(SERVER, BACKEND, true).unwrap();
    assert_eq!((own.key, own.position, own.since), (key(3), 2, at(12)));
    assert_eq!(
        queues.take_next(SERVER, BACKEND, true).map(|d| d.key),
        Some(key(4))
    );
    assert_eq!(queues.take_next(SERVER, BACKEND, true), None);
}

#[test]
fn who_gives_up_was_not_served() {
    let mut queues = Queues::new();
    let place = Place::Server(SERVER);
    for index in 0..4 {
        queues.enqueue(key(index), place, at(5));
    }
    assert_eq!(
        queues.cancel(Key {
            index: 0,
            generation: 8
        }),
        None
    );
    assert_eq!(queues.cancel(key(0)).map(|d| d.position), Some(1));
    assert_eq!(queues.cancel(key(0)), None);
    assert_eq!(
        queues.take_next(SERVER, BACKEND, true).map(|d| d.position),
        Some(1)
    );
    assert_eq!(queues.cancel(key(3)).map(|d| d.position), Some(2));
    assert!(queues.iter(place).eq([key(2)]));
    assert_eq!(queues.place_of(key(2)), Some(place));
    assert_eq!(queues.cancel(key(2)).map(|d| d.position), Some(2));
    assert!(queues.is_empty(place) && queues.is_empty(Place::Backend(ProxyId(99))));
}

#[test]
fn waiting_elsewhere_ends_waiting_here() {
    let mut queues = Queues::new();
    queues.enqueue(key(1), Place::Server(SERVER), at(1));
    queues.enqueue(key(1), Place::Backend(BACKEND), at(2));
    assert_eq!(
        (
            queues.len(Place::Server(SERVER)),
            queues.len(Place::Backend(BACKEND))
        ),
        (0, 1)
    );
    // The stream of a reused slot takes the place of one that left without a word.
    queues.enqueue(
        Key {
            index: 1,
            generation: 8,
        },
        Place::Server(SERVER),
        at(3),
    );
    assert_eq!(queues.cancel(key(1)), None);
    assert_eq!(queues.len(Place::Backend(BACKEND)), 0);
}

/// One server of `minconn 2 maxconn 10`, `fullconn 20`. Seven streams come, then end one after the other. What
/// HAProxy serves after each end, and the positions that it logs. A stream that ends still counts in the backend
/// while its slot is given away.
#[test]
fn the_dynamic_limit_as_in_haproxy() {
    let served_after_end: [&[u32]; 7] = [&[2, 3], &[4], &[], &[5], &[6], &[], &[]];
    let mut queues = Queues::new();
    let (mut served, mut conns) = (0, 0);
    let limit = |conns| dynamic_maxconn(10, 2, conns, 20);
    for stream in 0..7 {
        conns += 1;
        if served < limit(conns) && queues.is_empty(Place::Backend(BACKEND)) {
            served += 1;
        } else {
            queues.enqueue(key(stream), Place::Backend(BACKEND), at(u64::from(stream)));
        }
    }
    let mut position = 0;
    for expected in served_after_end {
        served -= 1;
        let mut taken = Vec::new();
        while served < limit(conns)
            && let Some(departure) = queues.take_next(SERVER, BACKEND, true)
        {
            position += 1;
            assert_eq!(departure.position, position);
            taken.push(departure.key.index);
            served += 1;
        }
        assert_eq!(taken, expected);
        conns -= 1;
    }
}

/// Two servers of one slot each; streams 0 and 1 are served, others come with or without a cookie. The order in
/// which HAProxy serves them, and the positions that it logs (`%sq`, `%bq`).
#[test]
fn persistent_and_other_streams_as_in_haproxy() {
    let (a, b) = (ServerId(0), ServerId(1));
    let backend = Place::Backend(BACKEND);
    let mut queues = Queues::new();
    let arrivals = [
        Place::Server(a),
        backend,
        Place::Server(a),
        Place::Server(b),
        backend,
    ];
    for (place, stream) in arrivals.into_iter().zip(2..) {
        queues.enqueue(key(stream), place, at(50 * u64::from(stream)));
    }
    let recorded = [(a, 2, 1), (b, 3, 1), (a, 4, 2), (b, 5, 1), (a, 6, 2)];
    for (server, stream, position) in recorded {
        let departure = queues.take_next(server, BACKEND, true);
        assert_eq!(
            departure.map(|d| (d.key.index, d.position)),
            Some((stream, position))
        );
    }
    assert_eq!(queues.take_next(a, BACKEND, true), None);
}

proptest! {
    /// Two queues hold what two deques would, and every stream leaves once.
    #[test]
    fn order_is_kept(ops in prop::collection::vec((0..5u8, 0..16u32, 0..3u64), 0..200)) {
        let mut queues = Queues::new();
        let places = [Place::Server(SERVER), Place::Backend(BACKEND)];
        let mut model: [VecDeque<(u32, u64)>; 2] = Default::default();
        let mut now = 0;
        for (op, index, pass) in ops {
            now += pass;
            match op {
                0 | 1 => {
                    queues.enqueue(key(index), places[op as usize], at(now));
                    model.iter_mut().for_each(|queue| queue.retain(|&(i, _)| i != index));
                    model[op as usize].push_back((index, now));
                }
                2 => {
                    let waits = model.iter().any(|queue| queue.iter().any(|&(i, _)| i == index));
                    prop_assert_eq!(queues.cancel(key(index)).is_some(), waits);
                    model.iter_mut().for_each(|queue| queue.retain(|&(i, _)| i != index));
                }
                _ => {
                    let serves_backend = op == 3;
                    let own = model[0].front().copied();
                    let shared = model[1].front().copied().filter(|_| serves_backend);
                    let from = match (own, shared) {
                        (Some(own), Some(shared)) => usize::from(shared.1 < own.1),
                        (None, Some(_)) => 1,
                        _ => 0,
                    };
                    let expected = model[from].pop_front().map(|(index, _)| key(index));
                    let taken = queues.take_next(SERVER, BACKEND, serves_backend);
                    prop_assert_eq!(taken.map(|d| d.key), expected);
                }
            }
            for (place, queue) in places.iter().zip(&model) {
                prop_assert!(queues.iter(*place).eq(queue.iter().map(|&(index, _)| key(index))));
            }
        }
    }
}
