//! The script a drive is made from; `sil-tests/drive.yaml` is the shipped one and documents every field.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The whole script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    pub name: String,
    /// Folder in `calibration/`.
    pub vehicle: String,
    /// Date and time of the story, for people only.
    pub start: String,
    pub seed: u64,
    pub duration_s: f64,
    pub road: RoadScript,
    pub own: OwnScript,
    #[serde(default)]
    pub traffic: Vec<TrafficCar>,
    #[serde(default)]
    pub pedestrians: Vec<PedestrianScript>,
    pub light: Vec<LightPoint>,
    pub speech: SpeechScript,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoadScript {
    pub lane_width_m: f64,
    /// Length over which the curvature goes from one segment's to the next's.
    pub transition_m: f64,
    pub segments: Vec<Segment>,
    #[serde(default)]
    pub bridges_m: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    pub length_m: f64,
    /// Positive curves left.
    pub curvature_per_m: f64,
    pub side: Surroundings,
}

/// What stands beside the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surroundings {
    Rural,
    Town,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnScript {
    pub lane: u8,
    pub speed: Vec<SpeedPoint>,
    #[serde(default)]
    pub lane_changes: Vec<LaneChange>,
    #[serde(default)]
    pub drifts: Vec<Drift>,
    #[serde(default)]
    pub inattentive: Vec<Interval>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedPoint {
    pub t_s: f64,
    pub mps: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneChange {
    pub t_s: f64,
    pub duration_s: f64,
    pub to_lane: u8,
    pub indicator_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    pub t_s: f64,
    pub duration_s: f64,
    pub side: Side,
    /// How far the side of the car gets past the marking at most.
    pub beyond_m: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub from_s: f64,
    pub to_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficCar {
    pub name: String,
    /// 0 and 1 go our way, 2 and 3 come towards us.
    pub lane: u8,
    /// From our car's centre to its centre along the road at the start.
    pub ahead_m: f64,
    pub colour: Colour,
    pub speed: Vec<SpeedPoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    White,
    Silver,
    Grey,
    Black,
    Red,
    Blue,
    Green,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PedestrianScript {
    pub s_m: f64,
    pub steps_at_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightPoint {
    pub t_s: f64,
    pub sun: f64,
    pub brightness: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeechScript {
    pub voice: String,
    pub words_per_minute: u32,
    pub noise_db: f64,
    #[serde(default)]
    pub utterances: Vec<UtteranceScript>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtteranceScript {
    pub t_s: f64,
    pub text: String,
    /// The talk button is held while it is said.
    #[serde(default)]
    pub button: bool,
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("drive script {path}: {source}; give the path of a script such as sil-tests/drive.yaml")]
    Read { path: PathBuf, source: std::io::Error },
    /// The parser's message names the field and the line.
    #[error("drive script {path}: {source}")]
    Parse { path: PathBuf, source: serde_yaml_ng::Error },
    #[error("drive script: {field} = {found}: expected {expected}")]
    Value { field: String, found: String, expected: String },
}

/// Longest drive that is made: an hour of frames is what a disk and a patience hold.
pub const MAX_DURATION_S: f64 = 3600.0;

impl Script {
    /// Reads and checks a script.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScriptError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// As [`Script::load`], from text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScriptError> {
        let script: Self =
            serde_yaml_ng::from_str(text).map_err(|source| ScriptError::Parse { path: path.to_owned(), source })?;
        script.check()?;
        Ok(script)
    }

    /// Whether a drive can be made of it. The first fault is told by its field's path.
    pub fn check(&self) -> Result<(), ScriptError> {
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        ensure(plain(&self.name), "name", &self.name, "letters, digits, '-', '_', '.'")?;
        let folder = plain(&self.vehicle) && !self.vehicle.starts_with('.');
        ensure(folder, "vehicle", &self.vehicle, "the name of a folder in calibration/")?;
        within("duration_s", self.duration_s, 0.2, MAX_DURATION_S)?;
        self.road.check()?;
        self.check_own()?;
        for (i, car) in self.traffic.iter().enumerate() {
            let field = |name: &str| format!("traffic[{i}].{name}");
            ensure(plain(&car.name), &field("name"), &car.name, "letters, digits, '-', '_', '.'")?;
            ensure(car.lane <= 3, &field("lane"), car.lane, "0 to 3")?;
            within(&field("ahead_m"), car.ahead_m, -1000.0, 200_000.0)?;
            check_speed(&field("speed"), &car.speed)?;
        }
        for (i, walker) in self.pedestrians.iter().enumerate() {
            within(&format!("pedestrians[{i}].s_m"), walker.s_m, 0.0, self.road.length_m())?;
            within(&format!("pedestrians[{i}].steps_at_s"), walker.steps_at_s, 0.0, self.duration_s)?;
        }
        check_times("light", self.light.iter().map(|p| p.t_s))?;
        for (i, point) in self.light.iter().enumerate() {
            within(&format!("light[{i}].sun"), point.sun, 0.0, 1.0)?;
            within(&format!("light[{i}].brightness"), point.brightness, 0.1, 1.5)?;
        }
        self.check_speech()
    }

    fn check_own(&self) -> Result<(), ScriptError> {
        ensure(self.own.lane <= 1, "own.lane", self.own.lane, "0 or 1")?;
        check_speed("own.speed", &self.own.speed)?;
        for (i, change) in self.own.lane_changes.iter().enumerate() {
            let field = |name: &str| format!("own.lane_changes[{i}].{name}");
            within(&field("duration_s"), change.duration_s, 1.0, 30.0)?;
            within(&field("t_s"), change.t_s, 0.0, self.duration_s - change.duration_s)?;
            within(&field("indicator_s"), change.indicator_s, 0.0, 30.0)?;
            ensure(change.to_lane <= 1, &field("to_lane"), change.to_lane, "0 or 1")?;
        }
        check_times("own.lane_changes", self.own.lane_changes.iter().map(|c| c.t_s))
            .or_else(|e| if self.own.lane_changes.is_empty() { Ok(()) } else { Err(e) })?;
        for (i, drift) in self.own.drifts.iter().enumerate() {
            let field = |name: &str| format!("own.drifts[{i}].{name}");
            within(&field("duration_s"), drift.duration_s, 1.0, 30.0)?;
            within(&field("t_s"), drift.t_s, 0.0, self.duration_s - drift.duration_s)?;
            within(&field("beyond_m"), drift.beyond_m, -1.0, 1.0)?;
        }
        for (i, span) in self.own.inattentive.iter().enumerate() {
            within(&format!("own.inattentive[{i}].from_s"), span.from_s, 0.0, self.duration_s)?;
            within(&format!("own.inattentive[{i}].to_s"), span.to_s, span.from_s, self.duration_s)?;
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

    /// Sunlight and brightness at `t_s`.
    pub fn light_at(&self, t_s: f64) -> (f64, f64) {
        (
            interpolate(self.light.iter().map(|p| (p.t_s, p.sun)), t_s),
            interpolate(self.light.iter().map(|p| (p.t_s, p.brightness)), t_s),
        )
    }
}

impl RoadScript {
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

/// Linear between the points, constant before the first and after the last.
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
