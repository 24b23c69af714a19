//! The script of a drive. `sil-tests/drive.yaml` is the shipped one and documents every field.

use auriga_runtime::config::{RenamedKey, refuse_renamed};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A drive script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Folder in `calibration/`.
    pub vehicle: String,
    /// Date and time of the drive, for display only.
    pub start: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Length of the drive.
    pub duration_s: f64,
    /// The road.
    pub road: RoadScript,
    /// The ego vehicle and its driver.
    pub ego: EgoScript,
    /// The other cars.
    #[serde(default)]
    pub traffic: Vec<TrafficCar>,
    /// Pedestrians at the right kerb.
    #[serde(default)]
    pub pedestrians: Vec<PedestrianScript>,
    /// Light over time.
    pub light: Vec<LightPoint>,
    /// What is said in the cabin.
    pub speech: SpeechScript,
}

/// The road.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoadScript {
    /// 2.5 to 4.5.
    pub lane_width_m: f64,
    /// Length over which the curvature changes from one segment to the next.
    pub transition_m: f64,
    /// In their order.
    pub segments: Vec<Segment>,
    /// Positions along the road of roads that cross above it.
    #[serde(default)]
    pub bridges_m: Vec<f64>,
}

/// A part of the road.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its length.
    pub length_m: f64,
    /// Positive curves left.
    pub curvature_per_m: f64,
    /// What stands beside it.
    pub side: Surroundings,
}

/// What stands beside the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surroundings {
    /// Verge, guard posts, trees.
    Rural,
    /// Kerb, pavement, houses.
    Town,
}

/// The ego vehicle and its driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgoScript {
    /// Lane at the start, 0 or 1 from the right.
    pub lane: u8,
    /// Desired speed over time, linear between the points.
    pub speed: Vec<SpeedPoint>,
    /// In the order of their time.
    #[serde(default)]
    pub lane_changes: Vec<LaneChange>,
    /// Departures from the lane without indicator.
    #[serde(default)]
    pub drifts: Vec<Drift>,
    /// When the driver does not react to the car ahead.
    #[serde(default)]
    pub inattentive: Vec<Interval>,
}

/// A speed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedPoint {
    /// Time.
    pub t_s: f64,
    /// Speed, m/s.
    pub mps: f64,
}

/// A change to the other lane.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneChange {
    /// When it begins.
    pub t_s: f64,
    /// How long it takes.
    pub duration_s: f64,
    /// 0 or 1 from the right.
    pub to_lane: u8,
    /// How long before it the indicator is switched on.
    pub indicator_s: f64,
}

/// A departure from the lane, and the return.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// When it begins.
    pub t_s: f64,
    /// How long it takes.
    pub duration_s: f64,
    /// To which side.
    pub side: Side,
    /// How far the side of the car gets beyond the marking.
    pub beyond_m: f64,
}

/// A side of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Left.
    Left,
    /// Right.
    Right,
}

/// An interval of the drive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Start.
    pub from_s: f64,
    /// End.
    pub to_s: f64,
}

/// Another car.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficCar {
    /// Letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// 0 and 1 go in the direction of the ego vehicle, 2 and 3 come towards it.
    pub lane: u8,
    /// Distance along the road from the centre of the ego vehicle to its centre at the start.
    pub ahead_m: f64,
    /// Of its paint.
    pub colour: Colour,
    /// Speed over time, linear between the points.
    pub speed: Vec<SpeedPoint>,
}

/// Colour of a car.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// White.
    White,
    /// Silver.
    Silver,
    /// Grey.
    Grey,
    /// Black.
    Black,
    /// Red.
    Red,
    /// Blue.
    Blue,
    /// Green.
    Green,
}

/// A pedestrian who waits at the right kerb and steps towards the road.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PedestrianScript {
    /// Position along the road.
    pub s_m: f64,
    /// When.
    pub steps_at_s: f64,
}

/// Light at a time, linear between the points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightPoint {
    /// Time.
    pub t_s: f64,
    /// Direct sunlight, 0 to 1.
    pub sun: f64,
    /// Of the image, 0.1 to 1.5.
    pub brightness: f64,
}

/// Speech and noise in the cabin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeechScript {
    /// A voice of espeak-ng.
    pub voice: String,
    /// 80 to 450.
    pub words_per_minute: u32,
    /// RMS of the cabin noise relative to full scale, -90 to -20 dB.
    pub noise_db: f64,
    /// In the order of their time.
    #[serde(default)]
    pub utterances: Vec<UtteranceScript>,
}

/// An utterance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtteranceScript {
    /// Time of its first sound.
    pub t_s: f64,
    /// The words.
    pub text: String,
    /// Whether the talk button is held meanwhile.
    #[serde(default)]
    pub button: bool,
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ScriptError {
    #[error("drive script {path}: {source}; give the path of a script such as sil-tests/drive.yaml")]
    Read { path: PathBuf, source: std::io::Error },
    /// The parser's message names the field and the line.
    #[error("drive script {path}: {source}")]
    Parse { path: PathBuf, source: serde_yaml_ng::Error },
    #[error(transparent)]
    Renamed(#[from] RenamedKey),
    #[error("drive script: {field} = {found}: expected {expected}")]
    Value { field: String, found: String, expected: String },
}

/// The longest drive, seconds.
pub const MAX_DURATION_S: f64 = 3600.0;

impl Script {
    /// Reads and checks a script.
    ///
    /// # Errors
    /// Names the file, and the field or line that is wrong.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScriptError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// As [`Script::load`], from text; `path` is for messages.
    ///
    /// # Errors
    /// As [`Script::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScriptError> {
        if let Ok(file) = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text) {
            refuse_renamed("drive", &path.display().to_string(), &file)?;
        }
        let script: Self =
            serde_yaml_ng::from_str(text).map_err(|source| ScriptError::Parse { path: path.to_owned(), source })?;
        script.check()?;
        Ok(script)
    }

    /// Checks all values.
    ///
    /// # Errors
    /// Names the first field with a wrong value.
    pub fn check(&self) -> Result<(), ScriptError> {
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        ensure(plain(&self.name), "name", &self.name, "letters, digits, '-', '_', '.'")?;
        let folder = plain(&self.vehicle) && !self.vehicle.starts_with('.');
        ensure(folder, "vehicle", &self.vehicle, "the name of a folder in calibration/")?;
        within("duration_s", self.duration_s, 0.2, MAX_DURATION_S)?;
        self.road.check()?;
        self.check_ego()?;
        for (i, car) in self.traffic.iter().enumerate() {
            let field = |name: &str| format!("traffic[{i}].{name}");
            ensure(plain(&car.name), &field("name"), &car.name, "letters, digits, '-', '_', '.'")?;
            ensure(car.lane <= 3, &field("lane"), car.lane, "0 to 3")?;
            within(&field("ahead_m"), car.ahead_m, -1000.0, 200_000.0)?;
            check_speed(&field("speed"), &car.speed)?;
        }
        for (i, pedestrian) in self.pedestrians.iter().enumerate() {
            within(&format!("pedestrians[{i}].s_m"), pedestrian.s_m, 0.0, self.road.length_m())?;
            within(&format!("pedestrians[{i}].steps_at_s"), pedestrian.steps_at_s, 0.0, self.duration_s)?;
        }
        check_times("light", self.light.iter().map(|p| p.t_s))?;
        for (i, point) in self.light.iter().enumerate() {
            within(&format!("light[{i}].sun"), point.sun, 0.0, 1.0)?;
            within(&format!("light[{i}].brightness"), point.brightness, 0.1, 1.5)?;
        }
        self.check_speech()
    }

    fn check_ego(&self) -> Result<(), ScriptError> {
        ensure(self.ego.lane <= 1, "ego.lane", self.ego.lane, "0 or 1")?;
        check_speed("ego.speed", &self.ego.speed)?;
        for (i, change) in self.ego.lane_changes.iter().enumerate() {
            let field = |name: &str| format!("ego.lane_changes[{i}].{name}");
            within(&field("duration_s"), change.duration_s, 1.0, 30.0)?;
            within(&field("t_s"), change.t_s, 0.0, self.duration_s - change.duration_s)?;
            within(&field("indicator_s"), change.indicator_s, 0.0, 30.0)?;
            ensure(change.to_lane <= 1, &field("to_lane"), change.to_lane, "0 or 1")?;
        }
        check_times("ego.lane_changes", self.ego.lane_changes.iter().map(|c| c.t_s))
            .or_else(|e| if self.ego.lane_changes.is_empty() { Ok(()) } else { Err(e) })?;
        for (i, drift) in self.ego.drifts.iter().enumerate() {
            let field = |name: &str| format!("ego.drifts[{i}].{name}");
            within(&field("duration_s"), drift.duration_s, 1.0, 30.0)?;
            within(&field("t_s"), drift.t_s, 0.0, self.duration_s - drift.duration_s)?;
            within(&field("beyond_m"), drift.beyond_m, -1.0, 1.0)?;
        }
        for (i, span) in self.ego.inattentive.iter().enumerate() {
            within(&format!("ego.inattentive[{i}].from_s"), span.from_s, 0.0, self.duration_s)?;
            within(&format!("ego.inattentive[{i}].to_s"), span.to_s, span.from_s, self.duration_s)?;
        }
        Ok(())
    }

    fn check_speech(&self) -> Result<(), ScriptError> {
        let voice = &self.speech.voice;
        let named = !voice.is_empty() && !voice.starts_with('-') && voice.bytes().all(|b| b.is_ascii_graphic());
        ensure(named, "speech.voice", voice, "a voice of espeak-ng, e.g. en-us+f3")?;
        within("speech.words_per_minute", f64::from(self.speech.words_per_minute), 80.0, 450.0)?;
        within("speech.noise_db", self.speech.noise_db, -90.0, -20.0)?;
        for (i, utterance) in self.speech.utterances.iter().enumerate() {
            within(&format!("speech.utterances[{i}].t_s"), utterance.t_s, 0.0, self.duration_s)?;
            let text = utterance.text.trim();
            let said = text.len() <= 500 && text.chars().any(char::is_alphanumeric);
            ensure(said, &format!("speech.utterances[{i}].text"), text, "words to say, 500 bytes at most")?;
        }
        if !self.speech.utterances.is_empty() {
            check_times("speech.utterances", self.speech.utterances.iter().map(|u| u.t_s))?;
        }
        Ok(())
    }

    /// Sunlight (0 to 1) and brightness at `t_s`.
    pub fn light_at(&self, t_s: f64) -> (f64, f64) {
        (
            interpolate(self.light.iter().map(|p| (p.t_s, p.sun)), t_s),
            interpolate(self.light.iter().map(|p| (p.t_s, p.brightness)), t_s),
        )
    }
}

impl RoadScript {
    /// The length of all segments.
    pub fn length_m(&self) -> f64 {
        self.segments.iter().map(|s| s.length_m).sum()
    }

    fn check(&self) -> Result<(), ScriptError> {
        within("road.lane_width_m", self.lane_width_m, 2.5, 4.5)?;
        within("road.transition_m", self.transition_m, 1.0, 500.0)?;
        ensure(!self.segments.is_empty(), "road.segments", "[]", "at least one segment")?;
        for (i, segment) in self.segments.iter().enumerate() {
            within(&format!("road.segments[{i}].length_m"), segment.length_m, 1.0, 200_000.0)?;
            // Tighter than 50 m of radius the view ahead folds back on itself.
            within(&format!("road.segments[{i}].curvature_per_m"), segment.curvature_per_m, -0.02, 0.02)?;
        }
        within("road.segments", self.length_m(), 1.0, 200_000.0)?;
        for (i, s_m) in self.bridges_m.iter().enumerate() {
            within(&format!("road.bridges_m[{i}]"), *s_m, 0.0, self.length_m())?;
        }
        Ok(())
    }
}

/// Linear between the points, constant before the first and after the last; 0 without points.
pub fn interpolate(points: impl Iterator<Item = (f64, f64)>, t: f64) -> f64 {
    let mut before: Option<(f64, f64)> = None;
    for (time, value) in points {
        if t < time {
            return match before {
                Some((t0, v0)) => v0 + (value - v0) * (t - t0) / (time - t0),
                None => value,
            };
        }
        before = Some((time, value));
    }
    before.map_or(0.0, |(_, value)| value)
}

fn check_speed(field: &str, points: &[SpeedPoint]) -> Result<(), ScriptError> {
    check_times(field, points.iter().map(|p| p.t_s))?;
    for (i, point) in points.iter().enumerate() {
        within(&format!("{field}[{i}].mps"), point.mps, 0.0, 70.0)?;
    }
    Ok(())
}

fn check_times(field: &str, times: impl Iterator<Item = f64>) -> Result<(), ScriptError> {
    let mut last = None;
    for (i, t) in times.enumerate() {
        within(&format!("{field}[{i}].t_s"), t, 0.0, MAX_DURATION_S)?;
        if let Some(last) = last {
            ensure(t > last, &format!("{field}[{i}].t_s"), t, &format!("more than {last}, the time before it"))?;
        }
        last = Some(t);
    }
    ensure(last.is_some(), field, "[]", "at least one point")
}

fn within(field: &str, found: f64, least: f64, most: f64) -> Result<(), ScriptError> {
    // Not-a-number fails the comparison and so is caught here too.
    ensure((least..=most).contains(&found), field, found, &format!("{least} to {most}"))
}

fn ensure(holds: bool, field: &str, found: impl std::fmt::Display, expected: &str) -> Result<(), ScriptError> {
    if holds {
        return Ok(());
    }
    Err(ScriptError::Value { field: field.to_owned(), found: found.to_string(), expected: expected.to_owned() })
}
