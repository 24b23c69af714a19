//! The drive generator: its files agree with its ground truth.

use crate::common;
use crate::common::{demo, made, shipped};
use auriga_camera::{calibration::Calibration, source::VideoSource};
use auriga_can::dbc::Database;
use auriga_runtime::Nanos;
use auriga_sil::{
    drive::{Drive, EventKind, Truth},
    generator::{
        self, FPS,
        render::{Lens, Renderer},
        script::Script,
        world::{
            motion::{self, Motion},
            road::Road,
            truth,
        },
    },
};
use std::{collections::BTreeMap, path::Path};

/// Three seconds of the shipped drive, with one short request.
fn short() -> Script {
    common::short(3.0)
}

fn frames(drive: &Drive) -> Vec<(u64, Vec<u8>)> {
    let mut source = VideoSource::file(drive.camera().expect("a camera file")).expect("a video");
    let mut frames = Vec::new();
    while let Some((time, image)) = source.next_frame().expect("a frame") {
        frames.push((time.0, image.data.to_vec()));
    }
    frames
}

#[test]
fn the_same_seed_gives_the_same_drive() {
    let script = short();
    let (first, first_drive) = made(&script);
    let (second, second_drive) = made(&script);
    for file in ["truth.jsonl", "transcript.yaml", "speech.wav", "can.log", "drive.yaml"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).expect(file);
        assert!(read(first.path()) == read(second.path()), "{file} differs");
    }
    assert!(frames(&first_drive) == frames(&second_drive), "frames differ");

    let (other, _) = made(&Script { seed: script.seed + 1, ..script });
    let read = |folder: &Path| std::fs::read(folder.join("truth.jsonl")).expect("truth.jsonl");
    assert!(read(first.path()) != read(other.path()), "another seed gives the same drive");
}

#[test]
fn the_ego_vehicle_has_the_bumper_of_its_calibration() {
    let calibration = Calibration::load(demo().join("camera.toml")).expect("the demo's calibration");
    let ahead_m = motion::BUMPER_AHEAD_M - motion::CAMERA_AHEAD_M;
    assert!((ahead_m - calibration.bumper_ahead_m).abs() < 1e-9, "{ahead_m}");
}

#[test]
fn the_video_has_a_frame_at_each_time_of_the_ground_truth() {
    let (_folder, drive) = made(&short());
    let truth = drive.truth().expect("truth");
    let frames = frames(&drive);
    assert_eq!(frames.len(), 75);
    assert_eq!(truth.len(), 75);
    assert_eq!(drive.manifest.frames, Some(75));
    for (truth, (time_ns, pixels)) in truth.iter().zip(&frames) {
        assert!((truth.t_s - *time_ns as f64 * 1e-9).abs() < 1e-3, "{} at {time_ns} ns", truth.frame);
        assert_eq!(pixels.len(), 640 * 360 * 3);
    }
}

/// Brightness of the pixel nearest to a point, the mean of its channels.
fn brightness(pixels: &[u8], at: [f64; 2]) -> f64 {
    let (x, y) = (at[0].round() as usize, at[1].round() as usize);
    let i = (y * 640 + x) * 3;
    pixels[i..i + 3].iter().map(|v| f64::from(*v)).sum::<f64>() / 3.0
}

/// y of a point `d_m` left of the lane centre at `x_m` ahead, with the road of the ground truth as a parabola.
fn lateral(truth: &Truth, d_m: f64, x_m: f64) -> f64 {
    let (offset, heading) = (truth.lane_offset_m, truth.heading_rad);
    (d_m - offset) / heading.cos() - heading.tan() * x_m + truth.curvature_per_m * x_m * x_m / 2.0
}

#[test]
fn the_lane_line_of_the_ground_truth_projects_onto_bright_paint() {
    let script = shipped();
    let (calibration, road) = (Calibration::load(demo().join("camera.toml")).expect("camera"), Road::new(&script.road));
    let motion = Motion::new(&script, &road);
    let (truths, _) = truth::compute(&script, &road, &motion, FPS);
    let renderer = Renderer::new(&script, &road, &motion, &calibration);
    let lens = Lens::new(&calibration);
    let mut scratch = renderer.scratch();
    let mut checked = 0;
    // In the right lane: straight, in a curve, in the dark, while drifting, in town.
    for t_s in [19.5, 21.0, 24.0, 30.0, 43.0, 55.0] {
        let truth = &truths[(t_s * FPS) as usize];
        assert_eq!(truth.lane, 0);
        let pixels = renderer.frame(truth.t_s, &mut scratch);
        for x_m in [7.0, 9.0, 12.0, 15.0] {
            let edge = -truth.lane_width_m / 2.0;
            let see = |d_m: f64| lens.project([x_m, lateral(truth, d_m, x_m), 0.0]).map(|p| brightness(&pixels, p));
            let (line, inside) = (see(edge).expect("ahead"), see(edge + 0.5).expect("ahead"));
            assert!(line > inside * 1.4 + 8.0, "at {t_s} s, {x_m} m ahead: paint {line}, asphalt {inside}");
            checked += 1;
        }
    }
    assert_eq!(checked, 24);
}

#[test]
fn the_shipped_drive_contains_its_events() {
    let script = shipped();
    let road = Road::new(&script.road);
    let motion = Motion::new(&script, &road);
    let (truths, events) = truth::compute(&script, &road, &motion, FPS);
    let one = |kind: EventKind| {
        let found: Vec<_> = events.iter().filter(|e| e.kind == kind).collect();
        assert_eq!(found.len(), 1, "{kind:?}: {found:?}");
        *found[0]
    };
    let collision = one(EventKind::ForwardCollision);
    assert!((30.0..32.0).contains(&collision.start_s), "{collision:?}");
    assert!((1.0..2.0).contains(&(collision.end_s - collision.start_s)), "{collision:?}");
    assert!((0.8..2.0).contains(&collision.value), "{collision:?}");
    let departure = one(EventKind::LaneDeparture);
    assert!((41.0..43.5).contains(&departure.start_s) && departure.end_s < 45.0, "{departure:?}");
    assert!((0.25..0.4).contains(&departure.value), "{departure:?}");
    let pedestrian = one(EventKind::Pedestrian);
    assert!(pedestrian.start_s < 50.0 && pedestrian.end_s > 51.0, "{pedestrian:?}");
    assert!((one(EventKind::LeadBrakes).start_s - 30.0).abs() < 0.1);
    one(EventKind::LaneChange);
    one(EventKind::Dark);
    let nearest = truths.iter().filter_map(|t| t.lead_distance_m).fold(f64::MAX, f64::min);
    assert!(nearest > 1.5, "the cars touch: {nearest} m");
    assert!(truths.iter().all(|t| t.lane_offset_m.abs() < 1.76), "the car left its two lanes");
    let end = truths.last().expect("frames");
    assert!(
        end.s_m < script.road.length_m(),
        "the road ends at {} m, the drive at {} m",
        script.road.length_m(),
        end.s_m
    );
}

#[test]
fn the_transcript_has_the_times_of_the_sound() {
    let (_folder, drive) = made(&short());
    let lines = drive.transcript().expect("a transcript");
    let mut reader = hound::WavReader::open(drive.speech().expect("speech")).expect("a WAV file");
    assert_eq!((reader.spec().sample_rate, reader.spec().channels), (16_000, 1));
    let samples: Vec<f64> = reader.samples::<i16>().map(|s| f64::from(s.expect("a sample")) / 32768.0).collect();
    assert_eq!(samples.len(), 48_000);
    let level = |from_s: f64, to_s: f64| {
        let part = &samples[(from_s * 16e3) as usize..(to_s * 16e3) as usize];
        (part.iter().map(|s| s * s).sum::<f64>() / part.len() as f64).sqrt()
    };
    assert_eq!(lines.len(), 1);
    let (start, end) = (lines[0].start_s, lines[0].end_s);
    assert!((start - 0.5).abs() < 1e-3 && (0.6..2.0).contains(&(end - start)), "{lines:?}");
    assert!(level(start, end) > 0.03, "said at {}", level(start, end));
    assert!(level(0.0, start) < 0.01 && level(end, 3.0) < 0.01, "noise at {}", level(0.0, start));
}

#[test]
fn the_can_log_agrees_with_the_ground_truth() {
    let (_folder, drive) = made(&short());
    let truth = drive.truth().expect("truth");
    let database = Database::load(demo().join("vehicle.dbc")).expect("the database");
    let line = &drive.transcript().expect("a transcript")[0];
    let (mut seen, mut last, mut pressed) = (BTreeMap::new(), Nanos::ZERO, Vec::new());
    for batch in auriga_can::log::frames(drive.can().expect("a log"), Nanos::ZERO).expect("a log") {
        let (time, batch) = batch.expect("frames");
        assert!(time >= last, "the log goes back in time");
        last = time;
        for frame in &batch.frames {
            let message = database.message(frame.id, frame.extended).expect("a message of the database");
            let values: BTreeMap<&str, f64> = message.decode(&frame.data).map(|(s, v)| (s.name(), v)).collect();
            *seen.entry(message.name().to_owned()).or_insert(0) += 1;
            if message.name() == "WHEEL_BUTTONS" && values["TALK"] > 0.0 {
                pressed.push(Nanos(frame.stamp_ns).as_secs_f64());
            }
            if message.name() == "SPEED" {
                let t_s = Nanos(frame.stamp_ns).as_secs_f64();
                let near = &truth[((t_s * FPS).round() as usize).min(truth.len() - 1)];
                let speed = values["VEHICLE_SPEED"] / 3.6;
                assert!((speed - near.speed_mps).abs() < 0.15, "at {t_s} s: {speed} against {}", near.speed_mps);
            }
        }
    }
    let (first, last_pressed) =
        (pressed.first().expect("the talk button is pressed"), pressed.last().expect("pressed"));
    assert!(
        (0.1..0.5).contains(&(line.start_s - first)) && (0.1..0.4).contains(&(last_pressed - line.end_s)),
        "{pressed:?}"
    );
    // Messages in three seconds.
    assert_eq!((seen["SPEED"], seen["STEERING"], seen["BODY"], seen["ENERGY"]), (150, 300, 30, 3));
    assert_eq!((seen["RADAR_TRACK_0"], seen["RADAR_TRACK_7"]), (60, 60));
    assert_eq!(seen.len(), database.messages().len(), "a message of the database is never sent: {seen:?}");
    assert!(last < Nanos::from_secs_f64(3.0));
}

#[test]
fn an_invalid_script_is_refused_with_the_name_of_the_field() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("drive.yaml")).expect("the script");
    let refused = |from: &str, to: &str, field: &str| {
        assert!(text.contains(from), "the shipped script has no {from}");
        let error = Script::parse(&text.replacen(from, to, 1), Path::new("bad.yaml")).expect_err(field).to_string();
        assert!(error.contains(field), "{error}");
    };
    refused("length_m: 110", "length_m: -110", "road.segments[0].length_m");
    refused("curvature_per_m: 0.0040", "curvature_per_m: .nan", "road.segments[1].curvature_per_m");
    refused("curvature_per_m: 0.0040", "curvature_per_m: 0.5", "road.segments[1].curvature_per_m");
    refused("duration_s: 60.0", "duration_s: .inf", "duration_s");
    refused("seed: 20260504", "seed: 20260504\nsead: 1", "sead");
    refused("ego:\n", "own:\n", "\"own\" is called \"ego\" now");
    refused("{ t_s: 54, text: what", "{ t_s: 61, text: what", "speech.utterances[6].t_s");
    refused("text: call anna", "text: '...'", "speech.utterances[4].text");
    refused("{ t_s: 32, mps: 14.0 }", "{ t_s: 0, mps: 14.0 }", "ego.speed[1].t_s");
    refused("vehicle: auriga-demo", "vehicle: ../etc", "vehicle");
    refused("colour: blue", "colour: pink", "colour");
    refused("voice: en-us+f3", "voice: -w/etc/passwd", "speech.voice");
}

#[test]
fn an_utterance_beyond_the_end_of_the_drive_is_refused_by_name() {
    let mut script = short();
    script.speech.utterances[0].t_s = 2.9;
    let folder = tempfile::tempdir().expect("a folder");
    let error = generator::generate_with(&script, &demo(), folder.path(), &mut |_| ()).expect_err("too late");
    assert!(format!("{error:#}").contains("speech.utterances[0].t_s"), "{error:#}");
    assert!(!folder.path().join("drive.yaml").exists(), "an unfinished drive must not look finished");
}

#[test]
fn a_drive_with_a_missing_file_or_an_invalid_field_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |manifest: &str, names: &str| {
        std::fs::write(folder.path().join("drive.yaml"), manifest).expect("written");
        let error = Drive::open(folder.path()).expect_err(names).to_string();
        assert!(error.contains("drive.yaml") && error.contains(names), "{error}");
    };
    let valid = "name: n\nvehicle: auriga-demo\nduration_s: 3\n";
    refused(&format!("{valid}can: can.log\n"), "can = can.log");
    refused(&format!("{valid}camera: camera.mp4\n"), "fps");
    refused(&format!("{valid}colour: red\n"), "colour");
    refused("name: n\nvehicle: auriga-demo\nduration_s: .nan\n", "duration_s");
    refused("name: n\nvehicle: auriga-demo\n", "duration_s");
    std::fs::remove_file(folder.path().join("drive.yaml")).expect("removed");
    assert!(Drive::open(folder.path()).expect_err("nothing there").to_string().contains("auriga generate"));
}

#[test]
fn distance_and_time_to_collision_in_the_ground_truth_are_consistent() {
    let script = shipped();
    let road = Road::new(&script.road);
    let (truths, _) = truth::compute(&script, &road, &Motion::new(&script, &road), FPS);
    let mut seen = 0;
    for pair in truths.windows(2) {
        let (Some(gap), Some(next), Some(speed)) =
            (pair[0].lead_distance_m, pair[1].lead_distance_m, pair[0].lead_speed_mps)
        else {
            continue;
        };
        // In a curve, the camera does not move at exactly the rate of s.
        let rate = (next - gap) * FPS;
        if rate.abs() < 20.0 {
            assert!((rate - (speed - pair[0].speed_mps)).abs() < 0.5, "at {} s: {rate}", pair[0].t_s);
            seen += 1;
        }
        if let Some(ttc) = pair[0].time_to_collision_s {
            assert!((ttc - gap / (pair[0].speed_mps - speed)).abs() < 1e-3 * ttc.max(1.0), "at {} s", pair[0].t_s);
        }
    }
    assert!(seen > 1000, "a lead car in {seen} frames only");
}
