//! Films and pictures that the tests make themselves.

use opencv::{
    core::{CV_8UC3, Mat, Size},
    prelude::*,
    videoio::{CAP_FFMPEG, VideoWriter},
};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// libav's log is the process's: tests in which errors are expected, or must not be, read films one at a time.
pub fn one_film_at_a_time() -> MutexGuard<'static, ()> {
    static FILMS: Mutex<()> = Mutex::new(());
    FILMS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub const WIDTH: usize = 320;
pub const HEIGHT: usize = 192;

/// Packed bgr8: bricks of many greys, some light, moved to the left by `shift` pixels. `scene`: other bricks.
pub fn bricks(scene: u32, shift: usize) -> Vec<u8> {
    let grey = |u: usize, v: usize| {
        let row = v / 12;
        let brick = (u + shift + 9 * (row % 3)) / 22;
        let hash = ((brick as u32).wrapping_mul(2_654_435_761) ^ (row as u32 * 40_503) ^ (scene * 97_531))
            .wrapping_mul(2_246_822_519);
        (30 + (hash >> 24) * 4 / 5) as u8
    };
    (0..HEIGHT).flat_map(|v| (0..WIDTH).flat_map(move |u| [grey(u, v); 3])).collect()
}

/// Writes frames as MPEG-4 video of 25 frames a second by the codec of `fourcc`; `None`: OpenCV has no such encoder.
pub fn film(path: &Path, fourcc: [char; 4], frames: impl Iterator<Item = Vec<u8>>) -> Option<PathBuf> {
    let [a, b, c, d] = fourcc;
    let code = VideoWriter::fourcc(a, b, c, d).unwrap();
    let size = Size::new(WIDTH as i32, HEIGHT as i32);
    let mut writer = VideoWriter::new_with_backend(path, CAP_FFMPEG, code, 25.0, size, true).unwrap();
    if !writer.is_opened().unwrap() {
        return None;
    }
    for pixels in frames {
        let mut frame = Mat::new_rows_cols_with_default(HEIGHT as i32, WIDTH as i32, CV_8UC3, 0.0.into()).unwrap();
        frame.data_bytes_mut().unwrap().copy_from_slice(&pixels);
        writer.write(&frame).unwrap();
    }
    writer.release().unwrap();
    Some(path.to_owned())
}

pub const H264: [char; 4] = ['a', 'v', 'c', '1'];
/// Every MPEG-4 part 2 frame refers to the one before: no reordering.
pub const MPEG4: [char; 4] = ['m', 'p', '4', 'v'];

/// Where the type of the first box named `kind` begins.
pub fn box_at(file: &[u8], kind: &[u8; 4]) -> usize {
    file.windows(4).position(|w| w == kind).unwrap_or_else(|| panic!("no box {}", String::from_utf8_lossy(kind)))
}

fn number(file: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
}

fn set(file: &mut [u8], at: usize, value: u32) {
    file[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Inserts bytes at the end of the box whose type begins at `at`, and enlarges it and the boxes around it. The table of
/// contents lies behind the media, so that no offset changes.
fn append(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at - 4 + number(file, at - 4) as usize;
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"] {
        let outer = box_at(file, kind);
        let size = number(file, outer - 4);
        if outer < at && outer - 4 + size as usize >= end {
            set(file, outer - 4, size + bytes.len() as u32);
        }
    }
    let size = number(file, at - 4);
    set(file, at - 4, size + bytes.len() as u32);
    file.splice(end..end, bytes.iter().copied());
}

/// Sets the display matrix of a film's track.
pub fn turn(path: &Path, [a, b, c, d]: [i32; 4]) {
    let mut file = std::fs::read(path).unwrap();
    let at = box_at(&file, b"tkhd") + 4 + 40;
    for (i, value) in [a, b, 0, c, d].into_iter().enumerate() {
        set(&mut file, at + 4 * i, (value << 16) as u32);
    }
    std::fs::write(path, file).unwrap();
}

/// States that a pixel is `across` wide for `down` high.
pub fn stretch(path: &Path, fourcc: [char; 4], across: u32, down: u32) {
    let mut file = std::fs::read(path).unwrap();
    let stsd = box_at(&file, b"stsd");
    let entry = stsd + box_at(&file[stsd..], &fourcc.map(|c| c as u8));
    if file[entry..].windows(4).take(400).any(|w| w == b"pasp") {
        let pasp = entry + box_at(&file[entry..], b"pasp");
        set(&mut file, pasp + 4, across);
        set(&mut file, pasp + 8, down);
    } else {
        let pasp = [&16u32.to_be_bytes()[..], b"pasp", &across.to_be_bytes(), &down.to_be_bytes()].concat();
        append(&mut file, entry, &pasp);
    }
    std::fs::write(path, file).unwrap();
}

/// Makes the frames from the `first`-th on last `times` as long.
pub fn slow_down(path: &Path, first: u32, times: u32) {
    let mut file = std::fs::read(path).unwrap();
    let stts = box_at(&file, b"stts");
    assert_eq!(number(&file, stts + 8), 1, "one rate");
    let (count, delta) = (number(&file, stts + 12), number(&file, stts + 16));
    set(&mut file, stts + 8, 2);
    set(&mut file, stts + 12, first);
    append(&mut file, stts, &[(count - first).to_be_bytes(), (times * delta).to_be_bytes()].concat());
    if let Some(elst) = file.windows(4).position(|w| w == b"elst") {
        // The edit ends no sooner than the film.
        let duration = number(&file, elst + 12);
        set(&mut file, elst + 12, duration * times);
    }
    std::fs::write(path, file).unwrap();
}

/// Overwrites one byte of every `every` of a part of the media, in shares of it.
pub fn damage(path: &Path, part: std::ops::Range<f64>, every: usize) {
    let mut file = std::fs::read(path).unwrap();
    let media = box_at(&file, b"mdat");
    let size = number(&file, media - 4) as f64;
    let at = |share: f64| media + 4 + (share * size) as usize;
    for byte in file[at(part.start)..at(part.end)].iter_mut().step_by(every) {
        *byte ^= 0x5a;
    }
    std::fs::write(path, file).unwrap();
}
