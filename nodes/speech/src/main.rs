//! The speech node's executable.

use anyhow::Context;
use auriga_msgs::{node, topic, v1::Severity};
use auriga_runtime::{DeviceSink, Nanos, Shell};
use auriga_speech::{
    Config, DEFAULTS, SpeechNode, input::capture, input::front_end::resample::Listen, input::wav,
    output::speaker as speak, recognition::model::check as model, recognition::vosk as recogniser,
    transcript::file as transcript,
};
use std::{path::Path, sync::mpsc::channel, thread::Builder, time::Duration};

const ABOUT: &str = "auriga-speech: what is said in the cabin becomes utterances; the reply is spoken";

/// A node that starts in the middle of a drive leaves out what is older than this.
const OLDEST: Duration = Duration::from_millis(200);

fn main() -> anyhow::Result<()> {
    model::run_probe();
    let shell = Shell::<Config>::start(ABOUT, DEFAULTS)?;
    let config = shell.config().clone().with_sound_card();
    let node = SpeechNode::new(&config, recogniser::open_probed(&config))?;
    let listen = config.seats()?.map_or(Listen::Mixed, |seats| seats.listen());
    // The speaker needs the devices' way to tell faults, which there is only once the shell runs.
    let (to_effects, speaker) = channel();
    let mut voice = None;
    shell.run(
        node,
        move |devices| {
            let (to_capture, references) = channel();
            let faults = devices.clone();
            let fault = move |text| faults.fault(Severity::Warning, "speech-out", "speaker", text);
            let speaker = speak::Speaker::start(speak::mouth(&config, to_capture), fault)?;
            to_effects.send(speaker).context("handing over the speaker")?;
            let source = config.source(listen, references);
            Builder::new().name("speech-source".into()).spawn(move || hear(&config, &source, &devices))?;
            Ok(())
        },
        move |effect| {
            let voice = voice.get_or_insert_with(|| speaker.recv().ok());
            voice.as_ref().map(|v| v.tell(effect));
        },
    )
}

fn hear(config: &Config, source: &capture::Source, devices: &DeviceSink<node::Speech>) {
    if !config.transcript.as_os_str().is_empty() {
        match transcript::load(&config.transcript, devices.start_at()) {
            Ok(lines) => lines.into_iter().for_each(|(_, line)| {
                devices.send::<topic::DeviceTranscript>(line);
            }),
            Err(e) => devices.fault(Severity::Warning, "transcript-file", "transcript", e.to_string()),
        }
    }
    if !source.device.is_empty() {
        capture::run(source, devices);
    } else if config.wav.as_os_str().is_empty() {
        tracing::info!("neither device nor wav is set: the node hears nothing");
    } else if let Err(e) = play(&config.wav, source.listen, devices) {
        devices.fault(Severity::Warning, "audio-file", "wav", format!("{e:#}"));
    }
}

/// Delivers a WAV file as a microphone would.
fn play(path: &Path, listen: Listen, devices: &DeviceSink<node::Speech>) -> anyhow::Result<()> {
    for item in wav::audio_chunks_of(path, devices.start_at(), listen)? {
        let (time, chunk) = item?;
        if Nanos::monotonic().since(time) > OLDEST {
            continue;
        }
        if !devices.sleep_until(time) || !devices.send::<topic::DeviceAudio>(chunk) {
            return Ok(());
        }
    }
    devices.end_of_input();
    Ok(())
}
