//! Time as the program counts it: monotonic milliseconds since the process started.
//!
//! Everything below the engine takes `now: Ticks` as an argument and reads no clock, so that tests and the
//! simulation own time. A deadline is a `Ticks`; [`Ticks::NEVER`] stands for "none". Times of the wall clock
//! (log dates) are another matter and live with the log formats.

use std::fmt;

/// A point of time: milliseconds since the process started. Never decreases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(u64);

impl Ticks {
    /// The start of the process.
    pub const ZERO: Self = Self(0);
    /// A deadline that never comes; later than every other point of time.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `ms` milliseconds after the start of the process.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the start of the process.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// The point `ms` milliseconds later. `NEVER` stays `NEVER`.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point, 0 when `earlier` is the later one.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether this deadline is reached at `now`. `NEVER` is never reached.
    #[must_use]
    pub const fn is_past(self, now: Self) -> bool {
        self.0 <= now.0 && self.0 != u64::MAX
    }

    /// Whether this is [`Ticks::NEVER`].
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.0 == u64::MAX
    }

    /// Whether a deadline is set at all.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.0 != u64::MAX
    }

    /// The earlier of two points. `NEVER` yields to any other.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.0 <= other.0 { self } else { other }
    }

    /// The later of two points.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.0 >= other.0 { self } else { other }
    }

    /// The deadline of a timeout started at `now`, in milliseconds. As in a configuration, an unset timeout
    /// and one of 0 mean that there is none.
    #[must_use]
    pub const fn after(now: Self, timeout_ms: Option<u32>) -> Self {
        match timeout_ms {
            None | Some(0) => Self::NEVER,
            Some(ms) => now.plus_ms(ms as u64),
        }
    }

    /// Milliseconds left from `now` until this deadline, 0 when it is past, `None` when there is none.
    #[must_use]
    pub const fn ms_left(self, now: Self) -> Option<u64> {
        if self.is_never() {
            None
        } else {
            Some(self.0.saturating_sub(now.0))
        }
    }
}

/// No deadline.
impl Default for Ticks {
    fn default() -> Self {
        Self::NEVER
    }
}

impl fmt::Debug for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            f.write_str("never")
        } else {
            write!(f, "{}ms", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let t = Ticks::from_ms(100);
        assert_eq!(t.plus_ms(50).as_ms(), 150);
        assert_eq!(Ticks::NEVER.plus_ms(1), Ticks::NEVER);
        assert_eq!(t.ms_since(Ticks::from_ms(40)), 60);
        assert_eq!(t.ms_since(Ticks::from_ms(140)), 0);
    }

    #[test]
    fn never_is_no_deadline() {
        assert!(!Ticks::NEVER.is_past(Ticks::NEVER));
        assert!(Ticks::ZERO.is_past(Ticks::ZERO));
        assert!(!Ticks::from_ms(5).is_past(Ticks::from_ms(4)));
        assert!(Ticks::from_ms(5).is_past(Ticks::from_ms(5)));
        assert_eq!(Ticks::NEVER.min(Ticks::from_ms(9)), Ticks::from_ms(9));
        assert_eq!(Ticks::NEVER.max(Ticks::from_ms(9)), Ticks::NEVER);
        assert_eq!(Ticks::NEVER.ms_left(Ticks::ZERO), None);
        assert_eq!(Ticks::from_ms(9).ms_left(Ticks::from_ms(10)), Some(0));
        assert_eq!(Ticks::default(), Ticks::NEVER);
    }

    #[test]
    fn unset_and_zero_timeouts_mean_none() {
        let now = Ticks::from_ms(1_000);
        assert_eq!(Ticks::after(now, None), Ticks::NEVER);
        assert_eq!(Ticks::after(now, Some(0)), Ticks::NEVER);
        assert_eq!(Ticks::after(now, Some(25)), Ticks::from_ms(1_025));
    }
}
