//! WAV files and model folders, valid and invalid.

use crate::common::vowel;
use auriga_runtime::Nanos;
use auriga_speech::{
    Config,
    input::wav,
    recognition::{self, model, open::probe},
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn write_wav(path: &Path, rate: u32, channels: u16, bits: u16, format: hound::SampleFormat, samples: &[i16]) {
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for &s in samples {
        for _ in 0..channels {
            match format {
                hound::SampleFormat::Float => writer.write_sample(f32::from(s) / 32768.0).unwrap(),
                hound::SampleFormat::Int if bits == 8 => writer.write_sample(i32::from(s >> 8)).unwrap(),
                hound::SampleFormat::Int => writer.write_sample(i32::from(s) << (bits - 16)).unwrap(),
            }
        }
    }
    writer.finalize().unwrap();
}

fn samples(path: &Path) -> Vec<i16> {
    let mut all = Vec::new();
    for (index, item) in wav::audio_chunks(path, Nanos::from_millis(500)).unwrap().enumerate() {
        let (time, chunk) = item.unwrap();
        let count = chunk.pcm_s16le.len() as u64 / 2;
        let stamp = chunk.header.unwrap().stamp_ns;
        assert_eq!(stamp, 500_000_000 + index as u64 * 20_000_000);
        assert_eq!(time.0, stamp + count * 62_500);
        all.extend(chunk.pcm_s16le.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])));
    }
    all
}

#[test]
fn every_sample_format_gives_the_same_samples() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let voice = vowel(0.51);
    use hound::SampleFormat::{Float, Int};
    for (channels, bits, format) in
        [(1, 16, Int), (2, 16, Int), (1, 8, Int), (1, 24, Int), (3, 32, Int), (2, 32, Float)]
    {
        write_wav(&path, 16_000, channels, bits, format, &voice);
        let got = samples(&path);
        assert_eq!(got.len(), voice.len());
        let tolerance = if bits == 8 { 256 } else { 1 };
        assert!(got.iter().zip(&voice).all(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() <= tolerance), "{bits} bits");
    }
    write_wav(&path, 48_000, 1, 16, Int, &voice);
    assert_eq!(samples(&path).len(), voice.len() / 3);
}

#[test]
fn a_truncated_file_gives_its_samples_and_then_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav(&path, 16_000, 1, 16, hound::SampleFormat::Int, &vowel(1.0));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let items: Vec<_> = wav::audio_chunks(&path, Nanos::ZERO).unwrap().collect();
    assert!(items.len() > 20);
    assert!(items[..items.len() - 1].iter().all(Result::is_ok));
    let e = items.last().unwrap().as_ref().unwrap_err().to_string();
    assert!(e.contains("a.wav") && e.contains("0.5"), "{e}");
}

#[test]
fn a_file_that_is_no_wav_is_named_in_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    fs::write(&path, b"OggS and so on").unwrap();
    for path in [path, dir.path().join("missing.wav")] {
        let e = wav::audio_chunks(&path, Nanos::ZERO).err().unwrap().to_string();
        assert!(e.contains(path.to_str().unwrap()), "{e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_damaged_wav_never_panics(at in 0usize..60, value in any::<u8>(), cut in 0usize..2000) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav(&path, 16_000, 2, 16, hound::SampleFormat::Int, &[1000; 400]);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.min(bytes.len() - 1);
        bytes[at] = value;
        bytes.truncate(bytes.len().saturating_sub(cut));
        fs::write(&path, &bytes).unwrap();
        if let Ok(chunks) = wav::audio_chunks(&path, Nanos::ZERO) {
            for item in chunks.take(1000) {
                let _ = item;
            }
        }
    }
}

fn with_model(folder: &Path) -> Config {
    Config { model: folder.into(), ..Config::default() }
}

/// A folder that passes the check.
fn model_folder(root: &Path) -> PathBuf {
    let folder = root.join("model");
    let network = "<Nnet3> \ninput-node name=input dim=40\noutput-node name=output input=out\n\n<NumComponents> 0 \n";
    let fst = [&0x7eb2_fdd6u32.to_le_bytes()[..], b"\x06\0\0\0vector", b"\x08\0\0\0standard", &[0; 40]].concat();
    let files: [(&str, &[u8]); 5] = [
        ("am/final.mdl", format!("<TransitionModel> \n</TransitionModel> \n{network}").leak().as_bytes()),
        ("conf/model.conf", b"--beam=10.0\n# a comment\n\n"),
        ("conf/mfcc.conf", b"--use-energy=false\n--num-ceps=40\n"),
        ("graph/HCLG.fst", fst.leak()),
        ("graph/words.txt", b"<eps> 0\nhello 1\n"),
    ];
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn a_missing_or_empty_model_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    model::check(&model_folder(dir.path())).unwrap();
    for file in ["am/final.mdl", "conf/model.conf", "conf/mfcc.conf", "graph/HCLG.fst", "graph/words.txt"] {
        let folder = model_folder(dir.path());
        let needle = file.rsplit('/').next().unwrap();
        if !file.ends_with("mfcc.conf") {
            fs::write(folder.join(file), b"").unwrap();
            let e = model::check(&folder).unwrap_err().to_string();
            assert!(e.contains(needle), "{file} empty: {e}");
        }
        fs::remove_file(folder.join(file)).unwrap();
        let e = model::check(&folder).unwrap_err().to_string();
        assert!(e.contains(needle), "{file} missing: {e}");
    }
    assert!(model::check(&dir.path().join("none")).unwrap_err().to_string().contains("am/, conf/ and graph/"));
}

#[test]
fn an_unexpected_or_mismatched_model_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let wrong: [(&str, &[u8], &str); 8] = [
        ("am/final.mdl", b"PK\x03\x04", "transition model"),
        ("am/final.mdl", b"\0B<TransitionModel> <DIMENSION>", "nnet3"),
        ("am/final.mdl", b"<TransitionModel> <Nnet3> input-node name=input dim=40\n", "end of the file"),
        ("conf/mfcc.conf", b"--num-ceps=13\n", "40 inputs for 13 features in"),
        ("conf/model.conf", b"{\"beam\": 10}", "line 1"),
        ("graph/HCLG.fst", b"#!/bin/sh\n", "OpenFst"),
        ("graph/words.txt", b"<eps> 0\nhello\n", "line 2"),
        ("graph/words.txt", b"\xff\xfe 0\n", "UTF-8"),
    ];
    for (file, bytes, expect) in wrong {
        let folder = model_folder(dir.path());
        fs::write(folder.join(file), bytes).unwrap();
        let e = recognition::open(&with_model(&folder)).err().expect(file).to_string();
        assert!(e.contains(file) && e.contains(expect), "{file}: {e}");
    }
    let folder = model_folder(dir.path());
    let with_ivector =
        "<TransitionModel> <Nnet3>\ninput-node name=ivector dim=100\ninput-node name=input dim=40\n<NumComponents> 0";
    fs::write(folder.join("am/final.mdl"), with_ivector).unwrap();
    assert!(model::check(&folder).unwrap_err().to_string().contains("ivector"));
}

#[test]
fn the_older_layout_with_all_files_in_one_folder_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = model_folder(dir.path());
    for file in ["am/final.mdl", "conf/mfcc.conf", "graph/HCLG.fst", "graph/words.txt"] {
        fs::rename(folder.join(file), folder.join(file.rsplit('/').next().unwrap())).unwrap();
    }
    let info = model::check(&folder).unwrap();
    assert!(info.words.contains("hello") && !info.takes_grammar);
    fs::remove_file(folder.join("mfcc.conf")).unwrap();
    assert!(model::check(&folder).is_err());
}

proptest! {
    #[test]
    fn no_file_content_makes_the_check_panic(which in 0usize..5, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let folder = model_folder(dir.path());
        let file = ["am/final.mdl", "conf/model.conf", "conf/mfcc.conf", "graph/HCLG.fst", "graph/words.txt"][which];
        fs::write(folder.join(file), &bytes).unwrap();
        let _ = model::check(&folder);
    }
}

#[test]
fn a_model_that_makes_libvosk_exit_is_an_error_of_the_probe() {
    // Passes the check, but is no model.
    let dir = tempfile::tempdir().unwrap();
    let folder = model_folder(dir.path());
    let exe = Path::new(env!("CARGO_BIN_EXE_auriga-speech"));
    let e = probe(exe, &folder).unwrap_err().to_string();
    assert!(e.contains("libvosk"), "{e}");
}

#[test]
fn word_times_of_a_real_model_count_from_the_turn() {
    let Some(folder) = std::env::var_os("AURIGA_VOSK_MODEL") else {
        return auriga_testing::skip("AURIGA_VOSK_MODEL names no model folder");
    };
    let folder = PathBuf::from(folder);
    model::check(&folder).unwrap();
    probe(Path::new(env!("CARGO_BIN_EXE_auriga-speech")), &folder).unwrap();
    let mut vosk = recognition::open(&with_model(&folder)).unwrap().unwrap().recogniser;
    for turn in 0..2 {
        let voice = vowel(2.0);
        for piece in voice.chunks(320) {
            vosk.accept(piece).unwrap();
            vosk.partial().unwrap();
        }
        let result = vosk.finish().unwrap();
        println!("turn {turn}: {}", result.text());
        for w in &result.words {
            // Word times count from the beginning of this turn; the model's frames are 30 ms.
            assert!(
                w.start <= w.end && w.end.as_secs_f64() < 2.1,
                "turn {turn}: {} {:?} to {:?}",
                w.text,
                w.start,
                w.end
            );
        }
    }
}
