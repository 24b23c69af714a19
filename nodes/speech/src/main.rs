//! The speech node's executable.

use anyhow::Context;
use auriga_msgs::{node, topic, v1::Severity};
use auriga_runtime::{DeviceSink, Nanos, Shell};
use auriga_speech::{
    Config, DEFAULTS, SpeechNode,
    input::{
        capture::{self, CaptureSettings},
        wav,
    },
    output::player::{self, SpeechPlayer},
    recognition::open,
    transcript::file,
};
use std::{path::Path, sync::mpsc::channel, thread::Builder, time::Duration};

const ABOUT: &str = "auriga-speech: what is said in the cabin becomes utterances; the reply is spoken";
/// Chunks of a WAV file that are older than this are left out: the node started in the middle of a drive.
const MAX_AGE: Duration = Duration::from_millis(200);

fn main() -> anyhow::Result<()> {
    open::run_probe();
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone().with_sound_card();
    let node = SpeechNode::new(&config, open::open_probed(&config))?;
    // The player reports faults through the devices' sink, which exists only once the shell runs.
    let (to_effects, players) = channel();
    let mut player = None;
    shell.run(
        node,
        move |devices| {
            let (to_capture, references) = channel();
            let faults = devices.clone();
            let fault = move |text| faults.fault(Severity::Warning, "speech-out", "speaker", text);
            let player = SpeechPlayer::start(player::output(&config, to_capture), fault)?;
            to_effects.send(player).context("handing over the speech player")?;
            let capture = config.capture(references)?;
            Builder::new().name("speech-source".into()).spawn(move || run_source(&config, &capture, &devices))?;
            Ok(())
        },
        move |effect| {
            player.get_or_insert_with(|| players.recv().ok()).as_ref().map(|p: &SpeechPlayer| p.handle(effect));
        },
    )
}

fn run_source(config: &Config, capture: &CaptureSettings, devices: &DeviceSink<node::Speech>) {
    if !config.transcript.as_os_str().is_empty() {
        match file::load(&config.transcript, devices.start_at()) {
            Ok(lines) => lines.into_iter().for_each(|(_, line)| {
                devices.send::<topic::DeviceTranscript>(line);
            }),
            Err(e) => devices.standing_fault(Severity::Warning, "transcript-file", "transcript", e.to_string()),
        }
    }
    if !capture.device.is_empty() {
        capture::run(capture, devices);
    } else if config.wav.as_os_str().is_empty() {
        tracing::info!("neither device nor wav is set: the node gets no audio");
    } else if let Err(e) = play(&config.wav, capture, devices) {
        devices.standing_fault(Severity::Warning, "audio-file", "wav", format!("{e:#}"));
    }
}

/// Delivers a WAV file as a microphone would.
fn play(path: &Path, capture: &CaptureSettings, devices: &DeviceSink<node::Speech>) -> anyhow::Result<()> {
    for item in wav::audio_chunks_of(path, devices.start_at(), capture.channels)? {
        let (time, chunk) = item?;
        if Nanos::monotonic().since(time) > MAX_AGE {
            continue;
        }
        if !devices.sleep_until(time) || !devices.send::<topic::DeviceAudio>(chunk) {
            return Ok(());
        }
    }
    devices.end_of_input();
    Ok(())
}
