//! The time of day, told by the drive ([`v1::DriveInfo`]) and carried on by the node's own clock. Nothing here reads one.

use auriga_msgs::v1;
use auriga_runtime::Nanos;

/// No place on Earth is further from UTC.
const MAX_UTC_OFFSET_S: i32 = 15 * 3600;
const MINUTES_OF_DAY: i64 = 24 * 60;

/// What the wall clock showed at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    at: Nanos,
    unix_ns: i64,
    offset_s: i32,
}

impl WallClock {
    /// `None` when the drive does not tell it, or tells what cannot be.
    pub fn of(info: &v1::DriveInfo) -> Option<Self> {
        let offset_s = info.utc_offset_s;
        let can_be = info.wall_ns > 0 && (-MAX_UTC_OFFSET_S..=MAX_UTC_OFFSET_S).contains(&offset_s);
        can_be.then_some(Self { at: Nanos(info.start_ns), unix_ns: info.wall_ns, offset_s })
    }

    /// Minutes of local time since the beginning of 1970.
    pub fn local_minutes(&self, now: Nanos) -> i64 {
        let passed_ns = i128::from(now.0) - i128::from(self.at.0);
        let local_ns = i128::from(self.unix_ns) + i128::from(self.offset_s) * 1_000_000_000 + passed_ns;
        // Within the range of i64 by far: its terms are.
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

    fn told(wall_ns: i64, utc_offset_s: i32) -> v1::DriveInfo {
        v1::DriveInfo { wall_ns, utc_offset_s, start_ns: 1_000_000_000, ..Default::default() }
    }

    #[test]
    fn the_time_goes_on_from_what_was_told() {
        // 2026-05-04T08:30:30 at +02:00.
        let wall = WallClock::of(&told(1_777_876_230_000_000_000, 7200)).unwrap();
        let at = |s: u64| wall.minute_of_day(Nanos(s * 1_000_000_000));
        assert_eq!([at(1), at(30), at(31), at(0)], [8 * 60 + 30, 8 * 60 + 30, 8 * 60 + 31, 8 * 60 + 30]);
        assert_eq!(at(1 + 15 * 3600 + 29 * 60 + 30), 0, "midnight");
    }

    #[test]
    fn what_was_not_told_or_cannot_be_is_not_known() {
        assert_eq!(WallClock::of(&told(0, 0)), None);
        assert_eq!(WallClock::of(&told(-5, 0)), None);
        assert_eq!(WallClock::of(&told(1, 86_400)), None);
    }

    proptest! {
        #[test]
        fn any_time_is_of_a_day(wall_ns in any::<i64>(), offset in any::<i32>(), start_ns in any::<u64>(), now in any::<u64>()) {
            if let Some(wall) = WallClock::of(&v1::DriveInfo { start_ns, ..told(wall_ns, offset) }) {
                prop_assert!(wall.minute_of_day(Nanos(now)) < 1440);
            }
        }
    }
}
