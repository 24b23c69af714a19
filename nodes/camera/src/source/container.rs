//! How a file wants its picture turned: the display matrix of an ISO base media file (MP4, MOV, 3GP).
//!
//! Read here and not by OpenCV, which up to 4.6 turns quarter turns the wrong way round (a phone's upright film comes out
//! upside down). Format: ISO/IEC 14496-12, 4.2 (boxes), 8.3.2 (track header), 8.4.3 (handler).

use super::shape::Orientation;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Larger tables of contents are not read; an hour of film has 2 MB.
const MAX_MOOV_BYTES: u64 = 256 << 20;
/// Boxes looked through on one level.
const MAX_BOXES: usize = 10_000;

/// How the first video track is to be shown. `None`: no such file, or it does not say.
pub(super) fn orientation(path: &Path) -> io::Result<Option<Orientation>> {
    let Some(moov) = moov(&mut File::open(path)?)? else { return Ok(None) };
    let tracks = boxes(&moov).filter(|(kind, _)| *kind == b"trak").map(|(_, body)| body);
    Ok(tracks.filter(|track| is_video(track)).find_map(matrix).and_then(Orientation::from_matrix))
}

/// The body of the file's movie box.
fn moov(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    for _ in 0..MAX_BOXES {
        let mut header = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        if end - at < 8 || file.read_exact(&mut header[..8]).is_err() {
            return Ok(None);
        }
        let kind = [header[4], header[5], header[6], header[7]];
        if !kind.iter().all(|c| c.is_ascii_graphic() || *c == b' ') {
            return Ok(None);
        }
        let short = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
        let (size, head) = match short {
            // To the end of the file.
            0 => (end - at, 8),
            1 => {
                if file.read_exact(&mut header[8..]).is_err() {
                    return Ok(None);
                }
                (header[8..].iter().fold(0, |n, &b| n << 8 | u64::from(b)), 16)
            }
            n => (n, 8),
        };
        if size < head || size > end - at {
            return Ok(None);
        }
        if &kind == b"moov" {
            if size > MAX_MOOV_BYTES {
                return Ok(None);
            }
            let mut body = vec![0; (size - head) as usize];
            file.seek(SeekFrom::Start(at + head))?;
            file.read_exact(&mut body)?;
            return Ok(Some(body));
        }
        at += size;
    }
    Ok(None)
}

/// The boxes within a box, by type.
fn boxes(mut body: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (size, rest) = body.split_first_chunk::<4>()?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let size = u32::from_be_bytes(*size) as usize;
        let inside = body.get(8..size)?;
        body = &body[size..];
        Some((kind, inside))
    })
    .take(MAX_BOXES)
}

fn child<'a>(body: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(body).find(|(k, _)| *k == kind).map(|(_, body)| body)
}

fn is_video(track: &[u8]) -> bool {
    let handler = child(track, b"mdia").and_then(|media| child(media, b"hdlr"));
    handler.and_then(|h| h.get(8..12)) == Some(b"vide")
}

/// a b c d of the track's matrix, as numbers of 16.16 bits: a point (x, y) is shown at (ax + cy, bx + dy).
fn matrix(track: &[u8]) -> Option<[i32; 4]> {
    let header = child(track, b"tkhd")?;
    // Version, flags, times, id and duration; then 16 bytes of layer, group and volume.
    let at = if header.first()? == &0 { 24 } else { 36 } + 16;
    let rows = header.get(at..at + 36)?;
    let number = |i: usize| rows[4 * i..].first_chunk::<4>().map(|b| i32::from_be_bytes(*b));
    Some([number(0)?, number(1)?, number(3)?, number(4)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn track(version: u8, handler: &[u8; 4], [a, b, c, d]: [i32; 4]) -> Vec<u8> {
        let mut header = vec![0; if version == 0 { 40 } else { 52 }];
        header[0] = version;
        for n in [a, b, 0, c, d, 0, 0, 0, 1i32 << 30] {
            header.extend(n.to_be_bytes());
        }
        let media = boxed(b"hdlr", &[&[0; 8], &handler[..], &[0; 12]].concat());
        boxed(b"trak", &[boxed(b"tkhd", &header), boxed(b"mdia", &media)].concat())
    }

    fn read(bytes: &[u8]) -> Option<Orientation> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film.mp4");
        std::fs::write(&path, bytes).unwrap();
        orientation(&path).unwrap()
    }

    const ONE: i32 = 1 << 16;

    #[test]
    fn the_matrix_of_the_video_track_is_read_from_either_version_of_the_header() {
        for version in [0, 1] {
            let sound = track(version, b"soun", [ONE, 0, 0, ONE]);
            let film = track(version, b"vide", [0, ONE, -ONE, 0]);
            let moov = boxed(b"moov", &[boxed(b"mvhd", &[0; 100]), sound, film].concat());
            let file = [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[9; 1000]), moov].concat();
            let expected = Orientation { transpose: true, mirror_x: true, mirror_y: false };
            assert_eq!(read(&file), Some(expected));
        }
    }

    #[test]
    fn a_large_media_box_before_the_table_is_stepped_over() {
        let mut wide = [&1u32.to_be_bytes()[..], b"mdat", &(16u64 + 500).to_be_bytes()].concat();
        wide.extend([7; 500]);
        let file = [wide, boxed(b"moov", &track(0, b"vide", [-ONE, 0, 0, -ONE]))].concat();
        assert_eq!(read(&file), Some(Orientation { transpose: false, mirror_x: true, mirror_y: true }));
    }

    proptest! {
        #[test]
        fn damaged_tables_are_no_panic(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
            let mut file =
                [boxed(b"ftyp", b"isom"), boxed(b"moov", &track(0, b"vide", [ONE, 0, 0, ONE]))].concat();
            let len = file.len();
            file[at % len] = byte;
            file.truncate(cut.max(1));
            read(&file);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(&bytes);
        }
    }
}
