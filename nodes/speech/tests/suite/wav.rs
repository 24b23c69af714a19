//! WAV files as other programs write them.

use auriga_runtime::Nanos;
use auriga_speech::input::wav;
use proptest::prelude::*;
use std::{fs, path::Path};

const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;
/// The rest of the GUID of integers, after the format tag.
const GUID: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// A chunk, with the byte that follows an odd length.
fn chunk(name: &str, body: &[u8]) -> Vec<u8> {
    let pad = if body.len() % 2 == 1 { &[0][..] } else { &[] };
    [name.as_bytes(), &(body.len() as u32).to_le_bytes(), body, pad].concat()
}

fn fmt(tag: u16, channels: u16, bytes: u16, bits: u16) -> Vec<u8> {
    let frame = channels * bytes;
    let rate = u32::from(frame) * 16_000;
    let words = [tag, channels, 16_000, 0, rate as u16, (rate >> 16) as u16, frame, bits];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A file with this length in its header.
fn riff(size: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"RIFF", &size.to_le_bytes()[..], b"WAVE", &chunks.concat()].concat()
}

fn pcm(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// The samples of a file, and the error that ends it.
fn read(bytes: &[u8]) -> (Vec<i16>, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    fs::write(&path, bytes).unwrap();
    read_file(&path)
}

fn read_file(path: &Path) -> (Vec<i16>, Option<String>) {
    let chunks = match wav::audio_chunks(path, Nanos::ZERO) {
        Ok(chunks) => chunks,
        Err(e) => return (Vec::new(), Some(e.to_string())),
    };
    let mut all = Vec::new();
    for item in chunks {
        match item {
            Ok((_, chunk)) => {
                all.extend(chunk.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])));
            }
            Err(e) => return (all, Some(e.to_string())),
        }
    }
    (all, None)
}

/// A file of one channel of 16 bits: the reference.
fn samples() -> Vec<i16> {
    (0..700i32).map(|i| (i * 733 % 20_011 - 10_000) as i16).collect()
}

#[test]
fn valid_bits_of_an_extensible_format_do_not_change_the_level() {
    let left_aligned: Vec<u8> = samples().iter().flat_map(|s| (i32::from(*s) << 16).to_le_bytes()).collect();
    for (valid, tail) in [(24u16, GUID), (20, GUID), (32, GUID)] {
        let extension = [&22u16.to_le_bytes()[..], &valid.to_le_bytes(), &[0; 4], &[1, 0], &tail].concat();
        let format = [fmt(EXTENSIBLE, 1, 4, 32), extension].concat();
        let file = riff(0, &[chunk("fmt ", &format), chunk("data", &left_aligned)]);
        assert_eq!(read(&file), (samples(), None), "{valid} bits");
    }
}

#[test]
fn a_file_whose_length_is_unknown_is_read_to_its_end() {
    for (size, data) in [(0, 0), (u32::MAX, u32::MAX), (36, 0), (0x7fff_0024, 0x7fff_0000), (0x7fff_fff0, 0x7fff_ffff)]
    {
        let header = ["data".as_bytes(), &data.to_le_bytes()].concat();
        let file = riff(size, &[chunk("fmt ", &fmt(PCM, 1, 2, 16)), header, pcm(&samples())]);
        assert_eq!(read(&file), (samples(), None), "{size} {data}");
    }
}

#[test]
fn a_long_file_has_its_length_in_another_chunk() {
    let sizes = |data: u64| [vec![0; 8], data.to_le_bytes().to_vec(), vec![0; 12]].concat();
    let long = |data: u64, id: &[u8; 4]| {
        let header = ["data".as_bytes(), &u32::MAX.to_le_bytes()].concat();
        let chunks = [chunk("ds64", &sizes(data)), chunk("fmt ", &fmt(PCM, 1, 2, 16)), header, pcm(&samples())];
        let mut file = riff(u32::MAX, &chunks);
        file[..4].copy_from_slice(id);
        file.extend(chunk("LIST", b"after the samples"));
        file
    };
    assert_eq!(read(&long(1400, b"RF64")), (samples(), None));
    assert_eq!(read(&long(1400, b"BW64")), (samples(), None));
    let (_, e) = read(&long(1 << 40, b"RF64"));
    assert!(e.unwrap().contains("before the length in its header"));
}

#[test]
fn a_cut_file_gives_its_complete_frames_and_an_error() {
    let file = riff(0, &[chunk("fmt ", &fmt(PCM, 1, 2, 16)), chunk("data", &pcm(&samples()))]);
    let (found, e) = read(&file[..file.len() - 101]);
    assert_eq!(found, samples()[..649]);
    assert!(e.unwrap().contains("is it complete?"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let data = chunk("data", &[0; 64]);
    let of = |format: &[u8]| read(&riff(0, &[chunk("fmt ", format), data.clone()])).1.unwrap();
    assert!(of(&fmt(2, 1, 1, 4)).contains("0x0002 (ADPCM)"));
    assert!(of(&fmt(0x55, 2, 1, 0)).contains("MPEG audio"));
    assert!(of(&fmt(PCM, 1, 8, 64)).contains("64 bits in 8 bytes"));
    assert!(of(&fmt(3, 1, 2, 16)).contains("16 bits in 2 bytes"));
    assert!(of(&fmt(PCM, 0, 2, 16)).contains("no channel"));
    assert!(of(&fmt(EXTENSIBLE, 1, 2, 16)).contains("without a known subformat"));
    assert!(read(&riff(0, std::slice::from_ref(&data))).1.unwrap().contains("comes before its `fmt ` chunk"));
    assert!(read(&riff(0, &[])).1.unwrap().contains("ends before a `fmt ` chunk"));
    let mut big = riff(0, &[data]);
    big[..4].copy_from_slice(b"RIFX");
    assert!(read(&big).1.unwrap().contains("big-endian"));
}

#[test]
fn files_of_other_programs_are_heard_alike() {
    let Some(folder) = auriga_testing::shared_data("cases/language/wav") else { return };
    let (list, none) = read_file(&folder.join("16k-list-chunk-odd.wav"));
    let (extensible, also_none) = read_file(&folder.join("16k-24in32-ext.wav"));
    assert_eq!((none, also_none), (None, None));
    assert!(list.len() > 100_000);
    assert_eq!(list.len(), extensible.len());
    let off = list.iter().zip(&extensible).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max();
    assert!(off <= Some(1), "off by {off:?}");
}

proptest! {
    #[test]
    fn other_chunks_of_any_length_do_not_matter(
        before in prop::collection::vec((0usize..40, any::<bool>()), 0..4),
        between in prop::collection::vec((0usize..40, any::<bool>()), 0..4),
        channels in 1u16..6,
    ) {
        // Some programs leave out the byte after an odd length.
        let other = |&(length, padded): &(usize, bool)| {
            let mut all = chunk("junk", &vec![7; length]);
            if length % 2 == 1 && !padded {
                all.pop();
            }
            all
        };
        let all: Vec<i16> = samples().iter().flat_map(|s| vec![*s; channels.into()]).collect();
        let chunks: Vec<Vec<u8>> = before.iter().map(other)
            .chain([chunk("fmt ", &fmt(PCM, channels, 2, 16))])
            .chain(between.iter().map(other))
            .chain([chunk("data", &pcm(&all)), chunk("LIST", b"odd")])
            .collect();
        let (found, e) = read(&riff(0, &chunks));
        prop_assert_eq!(e, None);
        prop_assert_eq!(found.len(), samples().len());
        let off = found.iter().zip(samples()).map(|(a, b)| (i32::from(*a) - i32::from(b)).abs()).max();
        prop_assert!(off <= Some(1));
    }
}
