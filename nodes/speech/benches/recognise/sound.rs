//! Audio for the benchmarks: voices of espeak-ng and flite in cabin noise at a given signal-to-noise ratio. The same in
//! every run; synthesised speech is cached in target/spoken.

use auriga_msgs::v1;
use auriga_runtime::Nanos;
use auriga_speech::input::wav;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub const RATE: usize = 16_000;
/// Level of speech against full scale.
pub const SPEECH_DB: f64 = -26.0;

/// Voices that the shipped model was not trained with: espeak-ng's accents and variants, and flite's.
pub const VOICES: [&str; 7] = [
    "espeak:en-us+f3",
    "espeak:en-gb-scotland+m2",
    "espeak:en-029+Andy",
    "espeak:en-gb-x-rp+grandma",
    "espeak:en-us-nyc+m3",
    "espeak:en-gb-x-gbclan+Denis",
    "flite:rms",
];

/// Speech without leading and trailing silence, at a fixed level.
pub fn say(voice: &str, text: &str) -> Vec<i16> {
    let (engine, name) = voice.split_once(':').expect("engine:name");
    let mut hasher = DefaultHasher::new();
    (voice, text).hash(&mut hasher);
    let folder = target().join("spoken");
    std::fs::create_dir_all(&folder).expect("target/spoken");
    let path = folder.join(format!("{:016x}.wav", hasher.finish()));
    if !path.exists() {
        // Under another name until it is complete.
        let part = path.with_extension("part");
        let mut command = Command::new(if engine == "flite" { "flite" } else { "espeak-ng" });
        match engine {
            "flite" => command.args(["-voice", name, "-t", &phonetic(text), "-o"]).arg(&part),
            _ => command.args(["-v", name, "-s", "160", "-w"]).arg(&part).args(["--", text]),
        };
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|s| s.success()), "{engine} is needed to speak (Debian: {engine})");
        std::fs::rename(&part, &path).expect("kept");
    }
    let samples = read(&path);
    let loud = |s: &i16| s.unsigned_abs() > 200;
    let (first, last) = (samples.iter().position(loud).unwrap_or(0), samples.iter().rposition(loud).unwrap_or(0));
    let mut samples: Vec<f64> = samples[first..=last].iter().map(|s| f64::from(*s)).collect();
    to_level(&mut samples, SPEECH_DB);
    samples.into_iter().map(rounded).collect()
}

/// flite spells unknown words letter by letter: they are written as they sound.
fn phonetic(text: &str) -> String {
    text.replace("auriga", "or eye ga")
}

fn target() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|f| f.join("target")).find(|f| f.is_dir()).expect("target/")
}

pub fn read(path: &Path) -> Vec<i16> {
    let chunks = wav::audio_chunks(path, Nanos::ZERO).expect("a WAV file");
    let chunks = chunks.map(|item| item.expect("a chunk").1.pcm_s16le);
    chunks.flat_map(|pcm| pcm.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>()).collect()
}

fn rounded(sample: f64) -> i16 {
    sample.round().clamp(-32768.0, 32767.0) as i16
}

fn to_level(samples: &mut [f64], level_db: f64) {
    let power = samples.iter().map(|s| s * s).sum::<f64>() / samples.len().max(1) as f64;
    let gain = 32768.0 * 10f64.powf(level_db / 20.0) / power.sqrt().max(1e-9);
    samples.iter_mut().for_each(|s| *s *= gain);
}

/// Random numbers, the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() * count as f64) as usize
    }
}

/// Noise of road and wind, slowly varying in level.
pub fn cabin(samples: usize, level_db: f64, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let (mut road, mut wind, mut swell) = (0.0f64, 0.0f64, 0.0f64);
    let mut noise: Vec<f64> = (0..samples)
        .map(|_| {
            let white = random.next() + random.next() + random.next() - 1.5;
            road += (white - road) * 0.03;
            wind += (white - wind) * 0.4;
            swell += (white - swell) * 4e-5;
            (road * 5.0 + wind * 0.25) * (1.0 + 20.0 * swell).clamp(0.5, 1.6)
        })
        .collect();
    to_level(&mut noise, level_db);
    noise.into_iter().map(rounded).collect()
}

/// Speech that begins at sample `at`, in cabin noise of `samples` at this signal-to-noise ratio.
pub fn in_cabin(speech: &[i16], at: usize, samples: usize, snr_db: f64, seed: u64) -> Vec<i16> {
    let mut sound = cabin(samples, SPEECH_DB - snr_db, seed);
    for (sum, said) in sound[at..].iter_mut().zip(speech) {
        *sum = sum.saturating_add(*said);
    }
    sound
}

pub fn chunk(stamp: Nanos, samples: &[i16]) -> v1::AudioChunk {
    v1::AudioChunk {
        header: Some(v1::Header::new(stamp.0, 0)),
        sample_rate_hz: RATE as u32,
        channels: 1,
        pcm_s16le: samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>().into(),
    }
}
