//! What the driver asked for, and in which circumstances: the entries of the private log. The state machine makes and
//! takes them; [`crate::habits::store`] keeps them on disk, encrypted.

use crate::{habits::wall_clock::WallClock, reply::verbosity::STANDING_MPS};
use auriga_msgs::v1::{self, vss_signal::Value};
use auriga_runtime::Nanos;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How fast it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeedClass {
    Standing,
    Town,
    Road,
    Motorway,
}

impl SpeedClass {
    pub fn of(mps: f64) -> Option<Self> {
        // Up to 60 and 100 km/h.
        match mps.abs() {
            v if v < STANDING_MPS => Some(Self::Standing),
            v if v < 60.0 / 3.6 => Some(Self::Town),
            v if v < 100.0 / 3.6 => Some(Self::Road),
            v if v.is_finite() => Some(Self::Motorway),
            _ => None,
        }
    }
}

/// When and where, as coarsely as habits need it. What is not known is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circumstances {
    /// Minutes of local time since the beginning of 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minute: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<SpeedClass>,
    /// Latitude and longitude in hundredths of a degree: about a kilometre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<[i16; 2]>,
}

/// Of four hours each, the first from two in the morning; working days and the week's end are apart.
const BANDS_PER_DAY: i64 = 6;

impl Circumstances {
    pub fn of(scene: Option<&v1::Scene>, speed_mps: Option<f64>, wall: Option<WallClock>, now: Nanos) -> Self {
        let signals = scene.and_then(|s| s.vehicle.as_ref()).map_or(&[][..], |v| &v.signals);
        let hundredths = |path: &str, most: f64| {
            let signal = signals.iter().find(|s| s.path == path)?;
            let Some(Value::Number(degrees)) = signal.value else { return None };
            (degrees.abs() <= most).then(|| (degrees * 100.0).round() as i16)
        };
        let latitude = hundredths("Vehicle.CurrentLocation.Latitude", 90.0);
        let longitude = hundredths("Vehicle.CurrentLocation.Longitude", 180.0);
        Self {
            minute: wall.map(|w| w.local_minutes(now)),
            speed: speed_mps.and_then(SpeedClass::of),
            place: latitude.zip(longitude).map(|(a, b)| [a, b]),
        }
    }

    /// Which part of which kind of day: below [`BANDS_PER_DAY`] on working days, from there on at the week's end.
    pub fn time_band(&self) -> Option<u8> {
        let minute = self.minute?;
        let band = (minute - 120).rem_euclid(1440) / (1440 / BANDS_PER_DAY);
        // 1970 began on a Thursday: days 2 and 3 were the first week's end.
        let weekday = (minute - 120).div_euclid(1440).rem_euclid(7);
        let free = matches!(weekday, 2 | 3);
        u8::try_from(band + if free { BANDS_PER_DAY } else { 0 }).ok()
    }
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageEntry {
    pub intent: String,
    /// Seconds since the operation before; `None` for the first of a drive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_s: Option<u32>,
    #[serde(default, rename = "in")]
    pub circumstances: Circumstances,
}

/// What somebody asked for and when is private: it is not formatted.
impl fmt::Debug for UsageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsageEntry(private)")
    }
}

/// Where somebody was and when is private: it is not formatted.
impl fmt::Debug for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Circumstances(private)")
    }
}

/// The log cannot be read: which line is none, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not an entry")]
pub struct HistoryError {
    pub line: usize,
}

/// Entries as text, one to a line.
pub fn encode(entries: impl IntoIterator<Item = UsageEntry>) -> Vec<u8> {
    let mut text = Vec::new();
    for entry in entries {
        // An entry is a flat object of numbers and texts, which always has a JSON form.
        if let Ok(line) = serde_json::to_vec(&entry) {
            text.extend(line);
            text.push(b'\n');
        }
    }
    text
}

/// Reads what [`encode`] writes.
pub fn decode(text: &[u8]) -> Result<Vec<UsageEntry>, HistoryError> {
    let lines = text.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(i, line)| serde_json::from_slice(line).map_err(|_| HistoryError { line: i + 1 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_comes_in_bands_of_four_hours_and_the_weeks_end_is_apart() {
        let at = |day: i64, hour: i64, minute: i64| {
            let minute = Some((day * 24 + hour) * 60 + minute);
            Circumstances { minute, ..Default::default() }.time_band()
        };
        // Thursday to Monday.
        assert_eq!([at(0, 2, 0), at(0, 5, 59), at(0, 6, 0), at(0, 21, 59), at(0, 22, 0)], [0, 0, 1, 4, 5].map(Some));
        assert_eq!([at(1, 1, 59), at(1, 8, 0), at(2, 1, 59), at(2, 2, 0), at(3, 8, 0)], [5, 1, 5, 6, 7].map(Some));
        assert_eq!([at(4, 1, 59), at(4, 2, 0)], [11, 0].map(Some));
        assert_eq!(Circumstances::default().time_band(), None);
    }

    #[test]
    fn a_place_is_known_to_a_hundredth_of_a_degree() {
        let signal = |name: &str, degrees: f64| v1::VssSignal {
            path: format!("Vehicle.CurrentLocation.{name}"),
            value: Some(Value::Number(degrees)),
            ..Default::default()
        };
        let place = |latitude, longitude| {
            let signals = vec![signal("Latitude", latitude), signal("Longitude", longitude)];
            let vehicle = v1::VehicleState { signals, ..Default::default() };
            let scene = v1::Scene { vehicle: Some(vehicle), ..Default::default() };
            Circumstances::of(Some(&scene), Some(14.0), None, Nanos(0)).place
        };
        assert_eq!(place(52.5163, 13.3777), Some([5252, 1338]));
        assert_eq!(place(-33.86, 180.0), Some([-3386, 18000]));
        assert_eq!([place(91.0, 0.0), place(f64::NAN, 0.0), place(0.0, -180.1)], [None; 3]);
    }

    #[test]
    fn an_entry_is_never_formatted() {
        let place = Some([5252, 1338]);
        let circumstances = Circumstances { place, ..Default::default() };
        let entry = UsageEntry { intent: "call".into(), gap_s: None, circumstances };
        for shown in [format!("{entry:?}"), format!("{circumstances:?}")] {
            assert!(!shown.contains("call") && !shown.contains("5252"), "{shown}");
        }
    }

    #[test]
    fn a_broken_line_is_told_by_its_number() {
        let good = encode([UsageEntry { intent: "call".into(), gap_s: Some(3), circumstances: Default::default() }]);
        let bad = [&good[..], b"\n{\"intent\":3}\n"].concat();
        assert_eq!(decode(&bad), Err(HistoryError { line: 3 }));
        assert_eq!(decode(b""), Ok(vec![]));
    }

    fn any_entry() -> impl Strategy<Value = UsageEntry> {
        let speed = prop::option::of(any::<f64>()).prop_map(|v| v.and_then(SpeedClass::of));
        let circumstances = (any::<Option<i64>>(), speed, any::<Option<[i16; 2]>>())
            .prop_map(|(minute, speed, place)| Circumstances { minute, speed, place });
        ("\\PC{0,20}", any::<Option<u32>>(), circumstances).prop_map(|(intent, gap_s, circumstances)| UsageEntry {
            intent,
            gap_s,
            circumstances,
        })
    }

    proptest! {
        #[test]
        fn a_log_reads_back_as_written(entries in prop::collection::vec(any_entry(), 0..20)) {
            prop_assert_eq!(decode(&encode(entries.clone())), Ok(entries));
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
