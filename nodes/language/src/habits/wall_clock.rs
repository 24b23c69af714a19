//! The local time: from the drive's message ([`v1::DriveInfo`]), advanced by the time of the node. No clock is read here.

use auriga_msgs::v1;
use auriga_runtime::Nanos;

/// Largest plausible offset from UTC, in seconds; time zones reach from -12 to +14 hours.
const MAX_UTC_OFFSET_S: i32 = 15 * 3600;
const MINUTES_OF_DAY: i64 = 24 * 60;

/// The wall clock time at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    at: Nanos,
    unix_ns: i64,
    utc_offset_s: i32,
}

impl WallClock {
    /// `None` if the message has no time or an implausible one.
    pub fn from_drive(info: &v1::DriveInfo) -> Option<Self> {
        let utc_offset_s = info.utc_offset_s;
        let is_plausible = info.wall_ns > 0 && (-MAX_UTC_OFFSET_S..=MAX_UTC_OFFSET_S).contains(&utc_offset_s);
        is_plausible.then_some(Self { at: Nanos(info.start_ns), unix_ns: info.wall_ns, utc_offset_s })
    }

    /// Minutes of local time since the beginning of 1970.
    pub fn local_minutes(&self, now: Nanos) -> i64 {
        let passed_ns = i128::from(now.0) - i128::from(self.at.0);
        let local_ns = i128::from(self.unix_ns) + i128::from(self.utc_offset_s) * 1_000_000_000 + passed_ns;
        // The quotient is far within the range of i64.
        local_ns.div_euclid(60_000_000_000) as i64
    }

    /// Minutes since midnight, local time.
    pub fn minute_of_day(&self, now: Nanos) -> u32 {
        self.local_minutes(now).rem_euclid(MINUTES_OF_DAY) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drive_info(wall_ns: i64, utc_offset_s: i32) -> v1::DriveInfo {
        v1::DriveInfo { wall_ns, utc_offset_s, start_ns: 1_000_000_000, ..Default::default() }
    }

    #[test]
    fn the_time_advances_from_the_message() {
        // 2026-05-04T08:30:30 at +02:00.
        let wall = WallClock::from_drive(&drive_info(1_777_876_230_000_000_000, 7200)).unwrap();
        let at = |s: u64| wall.minute_of_day(Nanos(s * 1_000_000_000));
        assert_eq!([at(1), at(30), at(31), at(0)], [8 * 60 + 30, 8 * 60 + 30, 8 * 60 + 31, 8 * 60 + 30]);
        assert_eq!(at(1 + 15 * 3600 + 29 * 60 + 30), 0, "midnight");
    }

    #[test]
    fn a_missing_or_implausible_time_is_unknown() {
        assert_eq!(WallClock::from_drive(&drive_info(0, 0)), None);
        assert_eq!(WallClock::from_drive(&drive_info(-5, 0)), None);
        assert_eq!(WallClock::from_drive(&drive_info(1, 86_400)), None);
    }

    proptest! {
        #[test]
        fn the_minute_of_day_is_in_range_for_any_time(wall_ns in any::<i64>(), offset in any::<i32>(), start_ns in any::<u64>(), now in any::<u64>()) {
            if let Some(wall) = WallClock::from_drive(&v1::DriveInfo { start_ns, ..drive_info(wall_ns, offset) }) {
                prop_assert!(wall.minute_of_day(Nanos(now)) < 1440);
            }
        }
    }
}
