//! Event rates over a sliding period, as HAProxy counts them.
//!
//! A counter holds the events of the present period and of the one before. Its value is the present count plus
//! the part of the previous one that still lies within a period's distance, so it moves smoothly and costs
//! three words. Session rates, `rate-limit sessions`, `maxconnrate` and the rates of stick tables read it.
//! The period is an argument of each call, always the same for one counter: [`SECOND_MS`] for most.

use crate::base::ticks::Ticks;

/// The period of the rates per second.
pub const SECOND_MS: u32 = 1_000;

/// Counts the events of a period and of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freq {
    /// Start of the present period, in milliseconds of [`Ticks`]; [`NO_PERIOD`] before the first event.
    start_ms: u64,
    current: u32,
    previous: u32,
}

/// No event yet: the first one begins the first period, however young the process is.
const NO_PERIOD: u64 = u64::MAX;

impl Default for Freq {
    fn default() -> Self {
        Self::new()
    }
}

impl Freq {
    /// No events.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start_ms: NO_PERIOD,
            current: 0,
            previous: 0,
        }
    }

    /// Counts `events`. Returns how many the present period has now.
    pub fn add(&mut self, now: Ticks, period_ms: u32, events: u32) -> u32 {
        let now = now.as_ms();
        let period = u64::from(period_ms);
        let age = self.age_ms(now);
        if age < period {
            self.current = self.current.saturating_add(events);
            return self.current;
        }
        if age < 2 * period {
            self.previous = self.current;
            self.start_ms += period;
        } else {
            self.previous = 0;
            self.start_ms = now;
        }
        // HAProxy keeps a lock in the lowest bit: its periods start at even milliseconds.
        self.start_ms &= !1;
        self.current = events;
        events
    }

    /// Events per period at `now`. A rate that is about to fall from one event to none stays at one for the
    /// rest of the period, instead of flapping.
    #[must_use]
    pub fn rate(&self, now: Ticks, period_ms: u32) -> u32 {
        let (share_ms, past, current) = self.at(now, period_ms);
        if current == 0 && past <= 1 {
            return past;
        }
        let total = u64::from(past) * share_ms + u64::from(current) * u64::from(period_ms);
        saturate(total / u64::from(period_ms.max(1)))
    }

    /// How many events may still come at `now` within `limit` per period, `pending` of them already known.
    #[must_use]
    pub fn remaining(&self, now: Ticks, period_ms: u32, limit: u32, pending: u32) -> u32 {
        let used = self.total(now, period_ms, pending) / u64::from(period_ms.max(1));
        limit.saturating_sub(saturate(used))
    }

    /// Milliseconds to wait from `now` until the next event fits into `limit` per period, `pending` events
    /// being known already: 0 when it may come at once, at least 1 otherwise.
    #[must_use]
    pub fn next_event_delay_ms(&self, now: Ticks, period_ms: u32, limit: u32, pending: u32) -> u32 {
        let total = self.total(now, period_ms, pending);
        let allowed = u64::from(limit) * u64::from(period_ms);
        if total < allowed {
            return 0;
        }
        saturate((total - allowed) / u64::from(limit.max(1))).max(1)
    }

    /// Events times period length, `pending` included.
    fn total(&self, now: Ticks, period_ms: u32, pending: u32) -> u64 {
        let (share_ms, past, current) = self.at(now, period_ms);
        u64::from(past) * share_ms + (u64::from(current) + u64::from(pending)) * u64::from(period_ms)
    }

    /// Milliseconds since the present period began.
    fn age_ms(&self, now_ms: u64) -> u64 {
        if self.start_ms == NO_PERIOD {
            return u64::MAX;
        }
        now_ms.saturating_sub(self.start_ms)
    }

    /// As seen at `now`: milliseconds for which the past events still count, past events, present events.
    fn at(&self, now: Ticks, period_ms: u32) -> (u64, u32, u32) {
        let period = u64::from(period_ms);
        let age = self.age_ms(now.as_ms());
        if age <= period {
            (period - age, self.previous, self.current)
        } else if age <= 2 * period {
            (2 * period - age, self.current, 0)
        } else {
            (0, 0, 0)
        }
    }
}

fn saturate(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Ticks {
        Ticks::from_ms(ms)
    }

    #[test]
    fn the_previous_period_fades() {
        let mut f = Freq::new();
        for ms in 0..100 {
            f.add(at(2_000 + ms), SECOND_MS, 1);
        }
        assert_eq!(f.rate(at(2_999), SECOND_MS), 100);
        assert_eq!(f.rate(at(3_250), SECOND_MS), 75);
        assert_eq!(f.rate(at(3_900), SECOND_MS), 10);
        assert_eq!(f.rate(at(4_000), SECOND_MS), 0);
        assert_eq!(f.rate(at(9_000), SECOND_MS), 0);
        f.add(at(3_500), SECOND_MS, 10);
        assert_eq!(f.rate(at(3_500), SECOND_MS), 60);
    }

    #[test]
    fn one_event_does_not_flap() {
        let mut f = Freq::new();
        f.add(at(5_000), SECOND_MS, 1);
        assert_eq!(f.rate(at(5_000), SECOND_MS), 1);
        assert_eq!(f.rate(at(6_999), SECOND_MS), 1);
        assert_eq!(f.rate(at(7_001), SECOND_MS), 0);
        f.add(at(6_500), SECOND_MS, 1);
        assert_eq!(f.rate(at(6_500), SECOND_MS), 1);
    }

    #[test]
    fn limits_and_delays() {
        let mut f = Freq::new();
        assert_eq!(f.next_event_delay_ms(at(10_000), SECOND_MS, 10, 0), 0);
        for _ in 0..10 {
            f.add(at(10_000), SECOND_MS, 1);
        }
        assert_eq!(f.remaining(at(10_000), SECOND_MS, 10, 0), 0);
        assert_eq!(f.remaining(at(10_000), SECOND_MS, 15, 2), 3);
        // The limit is just reached: wait the shortest time and look again.
        assert_eq!(f.next_event_delay_ms(at(10_000), SECOND_MS, 10, 0), 1);
        // Five events too many, at 100 ms each.
        assert_eq!(f.next_event_delay_ms(at(10_000), SECOND_MS, 10, 5), 500);
        assert_eq!(f.next_event_delay_ms(at(11_100), SECOND_MS, 10, 0), 0);
        assert_eq!(f.next_event_delay_ms(at(11_100), SECOND_MS, 0, 0), 9_000);
    }

    #[test]
    fn periods_start_at_even_milliseconds() {
        let mut f = Freq::new();
        f.add(at(5_001), SECOND_MS, 4);
        assert_eq!(f.start_ms, 5_000);
        f.add(at(6_000), SECOND_MS, 1);
        assert_eq!((f.start_ms, f.previous, f.current), (6_000, 4, 1));
    }

    #[test]
    fn a_young_process_counts_from_its_first_event() {
        let mut f = Freq::new();
        assert_eq!(f.rate(at(0), SECOND_MS), 0);
        assert_eq!(f.remaining(at(900), SECOND_MS, 10, 0), 10);
        f.add(at(900), SECOND_MS, 10);
        // Nothing more for a whole second, then a tenth of it at a time.
        assert_eq!(f.remaining(at(1_899), SECOND_MS, 10, 0), 0);
        assert_eq!(f.remaining(at(1_950), SECOND_MS, 10, 0), 1);
    }

    proptest! {
        /// Whoever waits as told never passes the limit in any aligned period by more than what is rounded.
        #[test]
        fn obeying_the_delay_holds_the_limit(limit in 1..2_000u32, seconds in 3..8u64) {
            let mut f = Freq::new();
            let mut now = 10_000;
            let end = now + seconds * 1_000;
            let mut events = 0u64;
            while now < end {
                let wait = f.next_event_delay_ms(at(now), SECOND_MS, limit, 0);
                if wait == 0 {
                    f.add(at(now), SECOND_MS, 1);
                    events += 1;
                } else {
                    now += u64::from(wait);
                }
            }
            let allowed = u64::from(limit) * (seconds + 1);
            prop_assert!(events <= allowed, "{events} of {allowed}");
            prop_assert!(events >= u64::from(limit) * (seconds - 1));
        }
    }
}
