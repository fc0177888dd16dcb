//! Dates in log lines: civil dates from seconds, in the layouts of HAProxy.
//!
//! Nothing here reads a clock or a time zone: the caller passes the moment, and a [`Zone`] that tells how far
//! local time stood from UTC at that moment. Source: configuration manual, "Custom log format" (`%t`, `%T`, `%Tl`).

/// How far local time is ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of Greenwich, negative to the west.
    pub east_s: i32,
}

impl Zone {
    /// Greenwich.
    pub const UTC: Self = Self { east_s: 0 };

    /// The offset as `+hhmm`.
    pub fn hhmm(self) -> [u8; 5] {
        let minutes = self.east_s.unsigned_abs() % 86_400 / 60;
        let mut text = [b'+'; 5];
        if self.east_s < 0 {
            text[0] = b'-';
        }
        two(&mut text, 1, minutes / 60);
        two(&mut text, 3, minutes % 60);
        text
    }
}

/// English names of the months, as syslog wants them.
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A moment taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, for instance 2026.
    pub year: u32,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
    /// Hour, 0 to 23.
    pub hour: u32,
    /// Minute.
    pub minute: u32,
    /// Second, 0 to 59.
    pub second: u32,
}

impl Civil {
    /// The date and time of `epoch_s` (seconds since 1970 in UTC) in that zone. Moments before 1970 count as 1970,
    /// those past the year 9999 as its last.
    pub fn new(epoch_s: u64, zone: Zone) -> Self {
        const LAST: i64 = 253_402_300_799;
        let seconds = i64::try_from(epoch_s)
            .unwrap_or(LAST)
            .saturating_add(i64::from(zone.east_s))
            .clamp(0, LAST) as u64;
        let (days, rest) = (seconds / 86_400, (seconds % 86_400) as u32);
        // Days are counted from 1 March of year 0, so that the leap day ends a year; eras have 400 years.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self {
            year: year as u32,
            month: month as u32,
            day: day as u32,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    fn month_name(self) -> &'static [u8; 3] {
        MONTHS[(self.month.clamp(1, 12) - 1) as usize]
    }

    /// `26/Apr/2024:09:39:58`, the part that all dates of log lines share.
    fn common(self, text: &mut [u8]) {
        two(text, 0, self.day);
        text[2] = b'/';
        text[3..6].copy_from_slice(self.month_name());
        text[6] = b'/';
        two(text, 7, self.year / 100);
        two(text, 9, self.year % 100);
        text[11] = b':';
        self.clock(text, 12);
    }

    /// `09:39:58` from `at` on.
    fn clock(self, text: &mut [u8], at: usize) {
        two(text, at, self.hour);
        text[at + 2] = b':';
        two(text, at + 3, self.minute);
        text[at + 5] = b':';
        two(text, at + 6, self.second);
    }

    /// `26/Apr/2024:09:39:58.774` (`%t`, `%tr`).
    pub fn with_milliseconds(self, milliseconds: u32) -> [u8; 24] {
        let mut text = [b'.'; 24];
        self.common(&mut text);
        text[21] = b'0' + (milliseconds / 100 % 10) as u8;
        two(&mut text, 22, milliseconds % 100);
        text
    }

    /// `26/Apr/2024:09:39:58 +0200` (`%T`, `%Tl`, `%trg`, `%trl`).
    pub fn with_offset(self, zone: Zone) -> [u8; 26] {
        let mut text = [b' '; 26];
        self.common(&mut text);
        text[21..26].copy_from_slice(&zone.hhmm());
        text
    }

    /// `Apr  6 09:39:58 ` with the blank that follows (RFC 3164).
    pub fn legacy(self) -> [u8; 16] {
        let mut text = [b' '; 16];
        text[..3].copy_from_slice(self.month_name());
        two(&mut text, 4, self.day);
        if self.day < 10 {
            text[4] = b' ';
        }
        self.clock(&mut text, 7);
        text
    }

    /// `2024-04-26T09:39:58.000000+02:00 ` with the blank that follows (RFC 5424); see [`set_microseconds`].
    pub fn iso(self, zone: Zone) -> [u8; 33] {
        let mut text = *b"0000-00-00T00:00:00.000000+00:00 ";
        two(&mut text, 0, self.year / 100);
        two(&mut text, 2, self.year % 100);
        two(&mut text, 5, self.month);
        two(&mut text, 8, self.day);
        self.clock(&mut text, 11);
        let offset = zone.hhmm();
        text[26..29].copy_from_slice(&offset[..3]);
        text[30..32].copy_from_slice(&offset[3..]);
        text
    }
}

/// Puts microseconds (0 to 999,999) into a date laid out by [`Civil::iso`].
pub fn set_microseconds(iso: &mut [u8; 33], microseconds: u32) {
    two(iso, 20, microseconds / 10_000);
    two(iso, 22, microseconds / 100);
    two(iso, 24, microseconds);
}

/// The two last decimal digits of `value` at `at`.
fn two(text: &mut [u8], at: usize, value: u32) {
    text[at] = b'0' + (value / 10 % 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("ascii")
    }

    #[test]
    fn civil_dates() {
        // date -u -d @N
        for (epoch_s, text) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000"),
            (1_709_164_799, "28/Feb/2024:23:59:59 +0000"),
            (1_709_251_199, "29/Feb/2024:23:59:59 +0000"),
            (1_709_251_200, "01/Mar/2024:00:00:00 +0000"),
            (4_107_542_399, "28/Feb/2100:23:59:59 +0000"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000"),
            (u64::MAX, "31/Dec/9999:23:59:59 +0000"),
        ] {
            assert_eq!(
                shown(&Civil::new(epoch_s, Zone::UTC).with_offset(Zone::UTC)),
                text
            );
        }
    }

    #[test]
    fn names_of_months() {
        let names: Vec<String> = (0..12)
            .map(|month| {
                shown(&Civil::new(1_705_276_800 + month * 30 * 86_400, Zone::UTC).legacy()[..3]).to_string()
            })
            .collect();
        assert_eq!(names.join(" "), "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec");
    }

    #[test]
    fn layouts() {
        let west = Zone {
            east_s: -(3 * 3_600 + 1_800),
        };
        let civil = Civil::new(1_712_385_598, west);
        assert_eq!(shown(&civil.with_offset(west)), "06/Apr/2024:03:09:58 -0330");
        assert_eq!(shown(&civil.with_milliseconds(7)), "06/Apr/2024:03:09:58.007");
        assert_eq!(shown(&civil.legacy()), "Apr  6 03:09:58 ");
        let mut iso = civil.iso(west);
        assert_eq!(shown(&iso), "2024-04-06T03:09:58.000000-03:30 ");
        set_microseconds(&mut iso, 123_456);
        assert_eq!(shown(&iso), "2024-04-06T03:09:58.123456-03:30 ");
        set_microseconds(&mut iso, 7);
        assert_eq!(shown(&iso), "2024-04-06T03:09:58.000007-03:30 ");
        assert_eq!(
            shown(&Civil::new(1_713_000_000, Zone { east_s: 7_200 }).legacy()),
            "Apr 13 11:20:00 "
        );
    }
}
