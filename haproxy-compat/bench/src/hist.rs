//! A histogram of times: buckets that grow with the value, so that microseconds and seconds fit in one small table
//! with an error below 1 %.

/// Buckets per power of two.
const FINE: u64 = 128;
/// Powers of two above the first `FINE` values: up to 2^40 ns, eighteen minutes.
const OCTAVES: u64 = 33;

/// Counts of values in nanoseconds.
pub(crate) struct Hist {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Hist {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let size = usize::try_from(FINE * (OCTAVES + 1)).unwrap_or(0);
        Self {
            counts: vec![0; size],
            total: 0,
            max: 0,
        }
    }

    /// Counts one value, in nanoseconds.
    pub(crate) fn add(&mut self, nanos: u64) {
        let place = bucket(nanos).min(self.counts.len() - 1);
        self.counts[place] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// How many values there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The largest value, in nanoseconds.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value below which `share` (0 to 1) of all are, in nanoseconds; `None` without values.
    pub(crate) fn at(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(middle(place as u64).min(self.max));
            }
        }
        Some(self.max)
    }
}

fn bucket(value: u64) -> usize {
    let octave = (value / FINE).checked_ilog2().map_or(0, |log| u64::from(log) + 1);
    let place = if octave == 0 {
        value
    } else {
        octave * FINE + (value >> (octave - 1)) - FINE
    };
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The value in the middle of a bucket.
fn middle(place: u64) -> u64 {
    if place < FINE {
        return place;
    }
    let shift = place / FINE - 1;
    ((place % FINE + FINE) << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_near_the_middle_of_its_bucket() {
        for value in (0..40).flat_map(|power| [1u64 << power, (1 << power) + (1 << power) / 3]) {
            let found = middle(bucket(value) as u64);
            assert!(value.abs_diff(found) * 100 <= value, "{value} became {found}");
        }
    }

    #[test]
    fn shares() {
        let mut hist = Hist::new();
        assert_eq!(hist.at(0.5), None);
        for value in 1..=100 {
            hist.add(value * 1000);
        }
        let near = |share, value: u64| hist.at(share).is_some_and(|v| v.abs_diff(value) * 100 <= value);
        assert!(near(0.5, 50_000) && near(0.99, 99_000) && near(1.0, 100_000));
        assert_eq!((hist.total(), hist.max()), (100, 100_000));
    }
}
