//! The usage history: what the driver asked for, when and where. The state machine creates the entries and learns from
//! them; [`store`](super::store) keeps them on disk, encrypted.

use super::wall_clock::WallClock;
use crate::understand::facts::STANDSTILL_MPS;
use auriga_msgs::v1::{self, vss_signal::Value};
use auriga_runtime::Nanos;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The class of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeedClass {
    /// Below 0.3 m/s.
    Standing,
    /// Below 60 km/h.
    Town,
    /// Below 100 km/h.
    Road,
    /// 100 km/h and more.
    Motorway,
}

impl SpeedClass {
    /// The class of a speed in metres per second; `None` if it is not finite.
    pub fn of(mps: f64) -> Option<Self> {
        match mps.abs() {
            v if v < STANDSTILL_MPS => Some(Self::Standing),
            v if v < 60.0 / 3.6 => Some(Self::Town),
            v if v < 100.0 / 3.6 => Some(Self::Road),
            v if v.is_finite() => Some(Self::Motorway),
            _ => None,
        }
    }
}

/// When and where, as coarse as habits need it; `None` is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circumstances {
    /// Minutes of local time since the beginning of 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minute: Option<i64>,
    /// The class of speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<SpeedClass>,
    /// Latitude and longitude in hundredths of a degree: about a kilometre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<[i16; 2]>,
}

/// Time bands of four hours; the first begins at two in the morning.
const BANDS_PER_DAY: i64 = 6;

impl Circumstances {
    /// From the newest scene, the checked speed and the wall clock.
    pub(crate) fn of(
        scene: Option<&v1::Scene>,
        speed_mps: Option<f64>,
        wall_clock: Option<WallClock>,
        now: Nanos,
    ) -> Self {
        let signals = scene.and_then(|s| s.vehicle.as_ref()).map_or(&[][..], |v| &v.signals);
        let hundredths = |path: &str, most: f64| {
            let signal = signals.iter().find(|s| s.path == path)?;
            let Some(Value::Number(degrees)) = signal.value else { return None };
            (degrees.abs() <= most).then(|| (degrees * 100.0).round() as i16)
        };
        let latitude = hundredths("Vehicle.CurrentLocation.Latitude", 90.0);
        let longitude = hundredths("Vehicle.CurrentLocation.Longitude", 180.0);
        Self {
            minute: wall_clock.map(|clock| clock.local_minutes(now)),
            speed: speed_mps.and_then(SpeedClass::of),
            place: latitude.zip(longitude).map(|(a, b)| [a, b]),
        }
    }

    /// The time band of the day: 0 to 5 on working days, 6 to 11 at the weekend. A day begins at two in the morning.
    pub fn time_band(&self) -> Option<u8> {
        let minute = self.minute?;
        let band = (minute - 120).rem_euclid(1440) / (1440 / BANDS_PER_DAY);
        // 1970 began on a Thursday: days 2 and 3 were a weekend.
        let weekday = (minute - 120).div_euclid(1440).rem_euclid(7);
        let is_weekend = matches!(weekday, 2 | 3);
        u8::try_from(band + if is_weekend { BANDS_PER_DAY } else { 0 }).ok()
    }
}

/// One request of the driver.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageEntry {
    /// The name of its intent.
    pub intent: String,
    /// Seconds since the request before; `None` for the first of a drive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_s: Option<u32>,
    /// When and where.
    #[serde(default, rename = "in")]
    pub circumstances: Circumstances,
}

/// Requests are private: an entry is never formatted.
impl fmt::Debug for UsageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsageEntry(private)")
    }
}

/// Times and places are private: they are never formatted.
impl fmt::Debug for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Circumstances(private)")
    }
}

/// A line of the usage history that is not an entry; its content is private and not part of the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not an entry")]
pub struct HistoryError {
    /// Number of the line, from 1.
    pub line: usize,
}

/// Entries as text, one JSON object per line.
pub fn encode(entries: impl IntoIterator<Item = UsageEntry>) -> Vec<u8> {
    let mut text = Vec::new();
    for entry in entries {
        // Serialisation cannot fail: an entry has only numbers and strings.
        if let Ok(line) = serde_json::to_vec(&entry) {
            text.extend(line);
            text.push(b'\n');
        }
    }
    text
}

/// Parses the output of [`encode`].
///
/// # Errors
/// The first line that is not an entry.
pub fn decode(text: &[u8]) -> Result<Vec<UsageEntry>, HistoryError> {
    let lines = text.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(i, line)| serde_json::from_slice(line).map_err(|_| HistoryError { line: i + 1 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_bands_have_four_hours_and_weekends_have_their_own() {
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
    fn places_are_rounded_to_a_hundredth_of_a_degree() {
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
    fn an_invalid_line_is_reported_by_its_number() {
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
        fn encoded_entries_decode_to_the_same(entries in prop::collection::vec(any_entry(), 0..20)) {
            prop_assert_eq!(decode(&encode(entries.clone())), Ok(entries));
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
