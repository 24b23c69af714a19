//! Sound of the cabin: speech by espeak-ng (a separate process), resampled to 16 kHz, over cabin noise.

use crate::{
    drive::TranscriptLine,
    generator::{noise::Gauss, script::SpeechScript},
};
use anyhow::{Context, Result, ensure};
use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::SequentialSliceOfVecs};
use std::{
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
};

pub const SAMPLE_RATE_HZ: u32 = 16_000;
/// Peak of an utterance against full scale.
const PEAK: f32 = 0.5;
/// Samples below this share of the peak are cut from both ends of an utterance.
const SILENCE: f32 = 0.012;
/// From the press to the first word, and from the last word to the release.
const BUTTON_BEFORE_S: f64 = 0.35;
const BUTTON_AFTER_S: f64 = 0.2;
/// Left at both ends.
const MARGIN_S: f64 = 0.01;

/// Writes the sound of the cabin (mono) and returns its transcript.
pub fn write(script: &SpeechScript, seed: u64, duration_s: f64, out: &Path) -> Result<Vec<TranscriptLine>> {
    let mut cabin = cabin_noise(script.noise_db, seed, (duration_s * f64::from(SAMPLE_RATE_HZ)).round() as usize);
    let mut transcript: Vec<TranscriptLine> = Vec::new();
    for (i, utterance) in script.utterances.iter().enumerate() {
        let text = utterance.text.trim();
        let spoken = synthesise(script, text, &out.with_extension("utterance.wav"))?;
        let start = (utterance.t_s * f64::from(SAMPLE_RATE_HZ)).round() as usize;
        let line = TranscriptLine {
            start_s: start as f64 / f64::from(SAMPLE_RATE_HZ),
            end_s: (start + spoken.len()) as f64 / f64::from(SAMPLE_RATE_HZ),
            text: text.to_owned(),
        };
        ensure!(
            line.end_s <= duration_s,
            "drive script: speech.utterances[{i}].t_s = {}: \"{text}\" would end at {:.2} s, after the drive's end at \
             {duration_s} s; say it earlier or make duration_s larger",
            utterance.t_s,
            line.end_s
        );
        if let Some(before) = transcript.last() {
            ensure!(
                before.end_s < line.start_s,
                "drive script: speech.utterances[{i}].t_s = {}: the utterance before it ends only at {:.2} s",
                utterance.t_s,
                before.end_s
            );
        }
        cabin[start..start + spoken.len()].iter_mut().zip(&spoken).for_each(|(sum, said)| *sum += said);
        transcript.push(line);
    }
    save(out, &cabin)?;
    Ok(transcript)
}

/// When the talk button is held, in seconds: from before the words until after them.
pub fn button_held(script: &SpeechScript, transcript: &[TranscriptLine]) -> Vec<(f64, f64)> {
    let by_button = script.utterances.iter().zip(transcript).filter(|(utterance, _)| utterance.button);
    by_button.map(|(_, line)| (line.start_s - BUTTON_BEFORE_S, line.end_s + BUTTON_AFTER_S)).collect()
}

/// One utterance at [`SAMPLE_RATE_HZ`], from its first to its last sound.
fn synthesise(script: &SpeechScript, text: &str, scratch: &Path) -> Result<Vec<f32>> {
    let run = Command::new("espeak-ng")
        .arg("-w")
        .arg(scratch)
        .args(["-v", &script.voice, "-s", &script.words_per_minute.to_string(), "--", text])
        .stdin(Stdio::null())
        .output();
    let output = match run {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            anyhow::bail!(
                "espeak-ng is not installed; it synthesises the spoken requests of the drive. Install it \
                 (Debian, Ubuntu: apt-get install espeak-ng) and generate again"
            );
        }
        other => other.context("cannot run espeak-ng")?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "espeak-ng failed ({}) on \"{text}\" with speech.voice = {}: {}",
        output.status,
        script.voice,
        said.trim()
    );
    let result = load(scratch);
    // A scratch file: failing to remove it is no error.
    let _ = std::fs::remove_file(scratch);
    let (samples, rate_hz) = result.context("espeak-ng's sound")?;
    let samples = trim(&resample(&samples, rate_hz)?);
    ensure!(!samples.is_empty(), "espeak-ng gave no sound for \"{text}\"");
    Ok(samples)
}

fn load(path: &Path) -> Result<(Vec<f32>, u32)> {
    let mut reader = hound::WavReader::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let spec = reader.spec();
    ensure!(
        spec.channels == 1 && spec.bits_per_sample == 16,
        "expected 16 bits mono, found {} bits, {} channels",
        spec.bits_per_sample,
        spec.channels
    );
    let samples = reader.samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32768.0)).collect::<Result<_, _>>()?;
    Ok((samples, spec.sample_rate))
}

fn resample(samples: &[f32], rate_hz: u32) -> Result<Vec<f32>> {
    if rate_hz == SAMPLE_RATE_HZ {
        return Ok(samples.to_vec());
    }
    let mut resampler = Fft::<f32>::new(rate_hz as usize, SAMPLE_RATE_HZ as usize, 1024, 1, 1, FixedSync::Both)?;
    let input = vec![samples.to_vec()];
    let room = resampler.process_all_needed_output_len(samples.len());
    let mut output = vec![vec![0.0f32; room]];
    let source = SequentialSliceOfVecs::new(&input, 1, samples.len())?;
    let mut sink = SequentialSliceOfVecs::new_mut(&mut output, 1, room)?;
    let (_, written) = resampler.process_all_into_buffer(&source, &mut sink, samples.len(), None)?;
    let mut output = output.swap_remove(0);
    output.truncate(written);
    Ok(output)
}

/// Cuts the silence off both ends and sets the level.
fn trim(samples: &[f32]) -> Vec<f32> {
    let peak = samples.iter().fold(0.0f32, |most, s| most.max(s.abs()));
    let loud = |s: &f32| s.abs() > SILENCE * peak;
    let (Some(first), Some(last)) = (samples.iter().position(loud), samples.iter().rposition(loud)) else {
        return Vec::new();
    };
    let margin = (MARGIN_S * f64::from(SAMPLE_RATE_HZ)) as usize;
    let speech = &samples[first.saturating_sub(margin)..(last + margin + 1).min(samples.len())];
    speech.iter().map(|s| s * PEAK / peak).collect()
}

/// Road and wind: low-passed noise with a slow swell, at this RMS level against full scale.
fn cabin_noise(level_db: f64, seed: u64, length: usize) -> Vec<f32> {
    let mut white = Gauss::new(seed, 4);
    let (mut road, mut wind, mut swell) = (0.0f64, 0.0f64, 0.0f64);
    let mut samples: Vec<f64> = (0..length)
        .map(|_| {
            // One-pole low-passes: corners near 120 Hz, 1.3 kHz and 0.1 Hz at 16 kHz.
            road += (white.next() - road) * 0.046;
            wind += (white.next() - wind) * 0.4;
            swell += (white.next() - swell) * 4e-5;
            (road * 5.0 + wind * 0.25) * (1.0 + 20.0 * swell).clamp(0.5, 1.6)
        })
        .collect();
    let power = samples.iter().map(|s| s * s).sum::<f64>() / length.max(1) as f64;
    let gain = 10f64.powf(level_db / 20.0) / power.sqrt().max(1e-12);
    samples.iter_mut().for_each(|s| *s *= gain);
    samples.into_iter().map(|s| s as f32).collect()
}

fn save(path: &Path, samples: &[f32]) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer =
        hound::WavWriter::create(path, spec).with_context(|| format!("cannot write {}", path.display()))?;
    for sample in samples {
        writer.write_sample((sample * 32767.0).round().clamp(-32768.0, 32767.0) as i16)?;
    }
    writer.finalize()?;
    Ok(())
}
