//! The only clock: read once per turn of the loop, handed down as `now`.
//!
//! Deadlines use the monotonic clock; log dates use the wall clock, derived from the monotonic one between
//! two readings so that a turn costs a single one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::base::ticks::Ticks;
use crate::model::txn::Stamp;

/// How long the wall clock is derived before it is read again: a clock that was set shows within that time.
const WALL_TRUST: Duration = Duration::from_millis(250);

/// Both clocks of one loop.
#[derive(Debug)]
pub struct Clock {
    origin: Instant,
    now: Ticks,
    wall_us: u64,
    wall_read_at: Instant,
    wall_read_us: u64,
}

impl Clock {
    /// A clock that begins at tick 1 now, so that tick 0 is always in the past.
    pub fn start() -> Self {
        let origin = read_monotonic();
        let wall = read_wall_us();
        Self {
            origin,
            now: Ticks::from_ms(1),
            wall_us: wall,
            wall_read_at: origin,
            wall_read_us: wall,
        }
    }

    /// Reads the time: once per turn of the loop.
    pub fn tick(&mut self) {
        let instant = read_monotonic();
        let elapsed = instant.duration_since(self.origin);
        self.now = Ticks::from_ms(
            u64::try_from(elapsed.as_millis())
                .unwrap_or(u64::MAX)
                .saturating_add(1),
        );
        let since_read = instant.duration_since(self.wall_read_at);
        if since_read >= WALL_TRUST {
            self.wall_read_at = instant;
            self.wall_read_us = read_wall_us();
            self.wall_us = self.wall_read_us;
        } else {
            self.wall_us = self.wall_read_us + u64::try_from(since_read.as_micros()).unwrap_or(0);
        }
    }

    /// The monotonic time of this turn.
    pub fn now(&self) -> Ticks {
        self.now
    }

    /// Both times of this turn.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            wall_us: self.wall_us,
            at: self.now,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
fn read_monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
fn read_wall_us() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back() {
        let mut clock = Clock::start();
        let first = clock.stamp();
        clock.tick();
        let second = clock.stamp();
        assert!(second.at >= first.at);
        assert!(first.at > Ticks::ZERO);
    }
}
