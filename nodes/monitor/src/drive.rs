//! A drive: a folder with `drive.yaml` ([`Manifest`]) and the files it names. The generator writes one; recordings of
//! a real car put into the same form are read the same way.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Name of the manifest in the folder.
pub const MANIFEST: &str = "drive.yaml";
/// Larger text files than this are not a drive's.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// `drive.yaml`. A file that a drive does not have is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the drive: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Folder in `calibration/`.
    pub vehicle: String,
    /// The seed it was generated from; 0 for a recording.
    #[serde(default)]
    pub seed: u64,
    /// Of its files, in seconds.
    pub duration_s: f64,
    /// Local date and time at t = 0 with its offset from UTC: "2026-05-04T08:30:00+02:00". "": not known.
    #[serde(default)]
    pub start: String,
    /// Frames per second of the camera file; needed with `camera`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Number of frames of the camera file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// Video of the front camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<PathBuf>,
    /// CAN log, candump -L format with times from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can: Option<PathBuf>,
    /// Sound of the cabin (WAV).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech: Option<PathBuf>,
    /// What is said in `speech`: a list of [`TranscriptLine`] (YAML). Nodes can read it in place of a recogniser, which is
    /// marked wherever the text is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<PathBuf>,
    /// Ground truth: a [`Truth`] on each line (JSON).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<PathBuf>,
    /// What truly happens, by start time.
    #[serde(default)]
    pub events: Vec<Event>,
}

/// Something that happens in a drive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What happens.
    pub kind: EventKind,
    /// When it begins, in seconds of the drive.
    pub start_s: f64,
    /// When it ends, in seconds of the drive.
    pub end_s: f64,
    /// The worst of its measure: see [`EventKind`].
    pub value: f64,
}

/// Kinds of events, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Time to collision with the car ahead below 2.5 s; value: the least, in seconds.
    ForwardCollision,
    /// A pedestrian at the kerb less than 45 m ahead; value: the least distance from the front bumper, in metres.
    Pedestrian,
    /// A side of the car beyond the marking without indicator; value: the furthest, in metres.
    LaneDeparture,
    /// The car ahead brakes harder than 2 m/s²; value: the hardest.
    LeadBrakes,
    /// From indicator on to the end of the change; value: the largest distance from a lane's centre, in metres.
    LaneChange,
    /// Brightness below 0.5; value: the least.
    Dark,
}

impl EventKind {
    /// All kinds, the weightiest first.
    pub const ALL: [EventKind; 6] = [
        EventKind::ForwardCollision,
        EventKind::Pedestrian,
        EventKind::LaneDeparture,
        EventKind::LeadBrakes,
        EventKind::LaneChange,
        EventKind::Dark,
    ];

    /// As in the files.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::ForwardCollision => "forward-collision",
            EventKind::Pedestrian => "pedestrian",
            EventKind::LaneDeparture => "lane-departure",
            EventKind::LeadBrakes => "lead-brakes",
            EventKind::LaneChange => "lane-change",
            EventKind::Dark => "dark",
        }
    }

    /// The worse of two values.
    pub fn worse(self, a: f64, b: f64) -> f64 {
        match self {
            EventKind::ForwardCollision | EventKind::Pedestrian | EventKind::Dark => a.min(b),
            EventKind::LaneDeparture | EventKind::LeadBrakes | EventKind::LaneChange => a.max(b),
        }
    }
}

/// A line of `transcript.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptLine {
    /// First sound, in seconds of the drive.
    pub start_s: f64,
    /// Last sound, in seconds of the drive.
    pub end_s: f64,
    /// What is said.
    pub text: String,
}

/// A line of `truth.jsonl`, one for each camera frame. Lateral quantities are at the camera and positive to the left;
/// the vehicle's frame begins at the camera, the radar's at the front bumper, 2.1 m ahead of it in the demo car.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Index of the camera frame.
    pub frame: u64,
    /// Seconds of the drive.
    pub t_s: f64,
    /// Along the vehicle.
    pub speed_mps: f64,
    /// Along the vehicle, negative when it brakes.
    pub accel_mps2: f64,
    /// Positive turns left.
    pub yaw_rate_radps: f64,
    /// Positive turns left.
    pub steering_wheel_rad: f64,
    /// Along the road from its beginning.
    pub s_m: f64,
    /// From the right, 0 the first.
    pub lane: u8,
    /// Of the vehicle's lane.
    pub lane_width_m: f64,
    /// Camera left of the lane's centre.
    pub lane_offset_m: f64,
    /// Of the car against the road.
    pub heading_rad: f64,
    /// Of the road, positive curves left.
    pub curvature_per_m: f64,
    /// From the front bumper to the rear of the car ahead in the same lane, along the road.
    pub lead_distance_m: Option<f64>,
    /// Of the car ahead, over ground.
    pub lead_speed_mps: Option<f64>,
    /// At constant speeds; absent while the gap does not shrink.
    pub time_to_collision_s: Option<f64>,
    /// Of the picture: 1 by day, 0 black.
    pub brightness: f64,
    /// Name of the weightiest event that is on, or empty.
    pub event: String,
}

/// Why a folder is not a drive.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// A file that cannot be read.
    #[error("{path}: {source}; a drive is a folder with a drive.yaml (make one with `auriga generate`)")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Not YAML, or not of the file's form.
    #[error("{path}: {source}")]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: serde_yaml_ng::Error,
    },
    /// A line of the ground truth that is not a [`Truth`].
    #[error("{path}:{line}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line of the file, from 1.
        line: usize,
        /// What went wrong.
        source: serde_json::Error,
    },
    /// A value that is not allowed.
    #[error("{path}: {field} = {found}: expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Name of the field.
        field: String,
        /// What it is.
        found: String,
        /// What it may be.
        expected: String,
    },
}

/// An opened drive.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// Where its files are.
    pub folder: PathBuf,
    /// Its `drive.yaml`.
    pub manifest: Manifest,
}

impl Drive {
    /// Reads and checks the manifest of `folder`; the files it names must exist.
    ///
    /// # Errors
    /// What of the manifest is wrong, with its path and field.
    pub fn open(folder: impl AsRef<Path>) -> Result<Drive, DriveError> {
        let folder = folder.as_ref().to_owned();
        let manifest: Manifest = read_yaml(&folder.join(MANIFEST))?;
        let drive = Drive { folder, manifest };
        drive.check()?;
        Ok(drive)
    }

    /// Path of the camera's video.
    pub fn camera(&self) -> Option<PathBuf> {
        self.manifest.camera.as_ref().map(|file| self.folder.join(file))
    }
    /// Path of the CAN log, candump -L format with times from 0.
    pub fn can(&self) -> Option<PathBuf> {
        self.manifest.can.as_ref().map(|file| self.folder.join(file))
    }
    /// Path of the cabin's audio.
    pub fn speech(&self) -> Option<PathBuf> {
        self.manifest.speech.as_ref().map(|file| self.folder.join(file))
    }
    /// Path of the transcript track.
    pub fn transcript_file(&self) -> Option<PathBuf> {
        self.manifest.transcript.as_ref().map(|file| self.folder.join(file))
    }

    /// The transcript track, checked; empty when the drive has none.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn transcript(&self) -> Result<Vec<TranscriptLine>, DriveError> {
        let Some(path) = self.transcript_file() else { return Ok(Vec::new()) };
        let lines: Vec<TranscriptLine> = read_yaml(&path)?;
        let mut last = 0.0;
        for (i, line) in lines.iter().enumerate() {
            within(&path, &format!("[{i}].start_s"), line.start_s, last, self.manifest.duration_s)?;
            within(&path, &format!("[{i}].end_s"), line.end_s, line.start_s, self.manifest.duration_s)?;
            last = line.end_s;
        }
        Ok(lines)
    }

    /// The ground truth, by time; empty when the drive has none.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn truth(&self) -> Result<Vec<Truth>, DriveError> {
        let Some(path) = self.manifest.truth.as_ref().map(|file| self.folder.join(file)) else {
            return Ok(Vec::new());
        };
        let file = File::open(&path).map_err(|source| DriveError::Read { path: path.clone(), source })?;
        let mut truths: Vec<Truth> = Vec::new();
        for (i, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|source| DriveError::Read { path: path.clone(), source })?;
            if line.trim().is_empty() {
                continue;
            }
            let truth: Truth = serde_json::from_str(&line).map_err(|source| DriveError::Json {
                path: path.clone(),
                line: i + 1,
                source,
            })?;
            let least = truths.last().map_or(0.0, |t| t.t_s);
            within(&path, &format!("line {}: t_s", i + 1), truth.t_s, least, self.manifest.duration_s)?;
            truths.push(truth);
        }
        Ok(truths)
    }

    /// The events of one kind.
    pub fn events(&self, kind: EventKind) -> impl Iterator<Item = &Event> {
        self.manifest.events.iter().filter(move |event| event.kind == kind)
    }

    fn check(&self) -> Result<(), DriveError> {
        let path = self.folder.join(MANIFEST);
        let manifest = &self.manifest;
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        ensure(plain(&manifest.name), &path, "name", &manifest.name, "letters, digits, '-', '_', '.'")?;
        let folder = plain(&manifest.vehicle) && !manifest.vehicle.starts_with('.');
        ensure(folder, &path, "vehicle", &manifest.vehicle, "the name of a folder in calibration/")?;
        within(&path, "duration_s", manifest.duration_s, 0.0, 86_400.0)?;
        let start_known = manifest.start.is_empty() || wall_time(&manifest.start).is_some();
        ensure(start_known, &path, "start", &manifest.start, "date and time with offset: 2026-05-04T08:30:00+02:00")?;
        if let Some(fps) = manifest.fps {
            within(&path, "fps", fps, 0.5, 1000.0)?;
        } else {
            ensure(manifest.camera.is_none(), &path, "fps", "absent", "frames per second of the camera file")?;
        }
        let files = [
            ("camera", &manifest.camera),
            ("can", &manifest.can),
            ("speech", &manifest.speech),
            ("transcript", &manifest.transcript),
            ("truth", &manifest.truth),
        ];
        for (field, file) in files {
            if let Some(file) = file {
                let found = file.display().to_string();
                ensure(self.folder.join(file).is_file(), &path, field, &found, "a file in the drive's folder")?;
            }
        }
        for (i, event) in manifest.events.iter().enumerate() {
            within(&path, &format!("events[{i}].start_s"), event.start_s, 0.0, manifest.duration_s)?;
            within(&path, &format!("events[{i}].end_s"), event.end_s, event.start_s, manifest.duration_s)?;
        }
        Ok(())
    }
}

/// A date and time with its offset as Unix time in nanoseconds, and the offset in seconds.
pub(crate) fn wall_time(text: &str) -> Option<(i64, i32)> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let instant = offset.to_timestamp(pieces.date().to_datetime(pieces.time()?)).ok()?;
    Some((i64::try_from(instant.as_nanosecond()).ok()?, offset.seconds()))
}

fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, DriveError> {
    let unreadable = |source| DriveError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    ensure(size <= MAX_TEXT_BYTES, path, "size", &size.to_string(), "at most 256 MiB of text")?;
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    serde_yaml_ng::from_str(&text).map_err(|source| DriveError::Yaml { path: path.to_owned(), source })
}

fn within(path: &Path, field: &str, found: f64, least: f64, most: f64) -> Result<(), DriveError> {
    // Not-a-number fails the comparison and so is caught here too.
    ensure((least..=most).contains(&found), path, field, &found.to_string(), &format!("{least} to {most}"))
}

fn ensure(holds: bool, path: &Path, field: &str, found: &str, expected: &str) -> Result<(), DriveError> {
    if holds {
        return Ok(());
    }
    let (field, found, expected) = (field.to_owned(), found.to_owned(), expected.to_owned());
    Err(DriveError::Value { path: path.to_owned(), field, found, expected })
}
