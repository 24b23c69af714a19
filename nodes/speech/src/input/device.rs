//! Sound devices by name, and the format and period in which they are opened.

use crate::input::audio::SAMPLE_RATE_HZ;
use anyhow::{Context, bail};
use cpal::{
    BufferSize, Device, DeviceId, SampleFormat, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange,
    traits::{DeviceTrait, HostTrait},
};
use std::time::Duration;

/// Direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a microphone.
    Capture,
    /// To a loudspeaker.
    Playback,
}

/// The format in which a device is opened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Format {
    /// Rate, channels and period.
    pub config: StreamConfig,
    /// Type of a sample.
    pub sample: SampleFormat,
}

/// Whether this machine has a sound card. Reads /proc: asking ALSA would fill the log with its messages.
pub fn has_sound_card() -> bool {
    std::fs::read_to_string("/proc/asound/cards").is_ok_and(|cards| cards.contains('['))
}

/// The device of this name: "default", a name that ALSA lists, or an ALSA name that it does not list.
///
/// # Errors
/// When there is no such device; the text names those that exist.
pub fn find(name: &str, direction: Direction) -> anyhow::Result<Device> {
    let host = cpal::default_host();
    if name == "default" {
        let device = match direction {
            Direction::Capture => host.default_input_device(),
            Direction::Playback => host.default_output_device(),
        };
        return device.context("there is no sound device");
    }
    let label = |d: &Device| d.description().map(|d| d.name().to_owned()).unwrap_or_default();
    let id = |d: &Device| d.id().map(|i| i.id().to_owned()).unwrap_or_default();
    let devices: Vec<Device> = match direction {
        Direction::Capture => host.input_devices().context("listing the microphones")?.collect(),
        Direction::Playback => host.output_devices().context("listing the loudspeakers")?.collect(),
    };
    let mut known = Vec::new();
    for device in devices {
        if label(&device) == name || id(&device) == name {
            return Ok(device);
        }
        known.push(id(&device));
    }
    host.device_by_id(&DeviceId::new(host.id(), name))
        .with_context(|| format!("no sound device of this name; there are: {}", known.join(", ")))
}

/// The format to capture in: at least this many channels, 16 kHz where the device can, periods of this length.
///
/// # Errors
/// When the device cannot be asked or has fewer channels.
pub fn capture_format(device: &Device, channels: u16, period: Duration) -> anyhow::Result<Format> {
    let usual = device.default_input_config().context("asking the device for its format")?;
    if usual.channels() >= channels {
        return Ok(format(usual.config(), usual.sample_format(), usual.buffer_size(), period));
    }
    let ranges = device.supported_input_configs().context("asking the device for its formats")?;
    let best = ranges.filter(|r| r.channels() >= channels).min_by_key(preference);
    let Some(best) = best else { bail!("it has fewer than {channels} channels, which microphone.toml names") };
    let rate = preferred_rate(&best);
    Ok(format(best.with_sample_rate(rate).config(), best.sample_format(), best.buffer_size(), period))
}

/// The format to play in: the device's default, with periods of this length.
///
/// # Errors
/// When the device cannot be asked.
pub fn playback_format(device: &Device, period: Duration) -> anyhow::Result<Format> {
    let usual = device.default_output_config().context("asking the device for its format")?;
    Ok(format(usual.config(), usual.sample_format(), usual.buffer_size(), period))
}

/// Sort key: few channels first, then a sample format that is common.
fn preference(range: &SupportedStreamConfigRange) -> (u16, u8) {
    let sample = match range.sample_format() {
        SampleFormat::F32 | SampleFormat::I16 => 0,
        SampleFormat::I32 => 1,
        _ => 2,
    };
    (range.channels(), sample)
}

/// 16 kHz needs no conversion; 48 kHz is the native rate of most hardware.
fn preferred_rate(range: &SupportedStreamConfigRange) -> u32 {
    let can = |rate: u32| (range.min_sample_rate()..=range.max_sample_rate()).contains(&rate);
    [SAMPLE_RATE_HZ, 48_000].into_iter().find(|&r| can(r)).unwrap_or(range.max_sample_rate())
}

fn format(mut config: StreamConfig, sample: SampleFormat, buffer: &SupportedBufferSize, period: Duration) -> Format {
    config.buffer_size = buffer_size(config.sample_rate, buffer, period);
    Format { config, sample }
}

/// The wanted period, or the nearest one that the device supports. `cpal` asks ALSA for a buffer of two periods.
fn buffer_size(rate_hz: u32, supported: &SupportedBufferSize, period: Duration) -> BufferSize {
    let wanted = (f64::from(rate_hz) * period.as_secs_f64()) as u32;
    match *supported {
        SupportedBufferSize::Range { min, max } => BufferSize::Fixed(wanted.max(min).min(max)),
        SupportedBufferSize::Unknown => BufferSize::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_is_clamped_to_what_the_device_supports() {
        let period = Duration::from_millis(20);
        let range = |min, max| buffer_size(48_000, &SupportedBufferSize::Range { min, max }, period);
        assert_eq!(range(16, 100_000), BufferSize::Fixed(960));
        assert_eq!(range(2048, 4096), BufferSize::Fixed(2048));
        assert_eq!(range(16, 512), BufferSize::Fixed(512));
        assert_eq!(buffer_size(48_000, &SupportedBufferSize::Unknown, period), BufferSize::Default);
    }

    #[test]
    fn an_unknown_device_is_an_error() {
        for direction in [Direction::Capture, Direction::Playback] {
            let e = match find("no such device", direction) {
                Ok(device) => match direction {
                    Direction::Capture => capture_format(&device, 1, Duration::from_millis(20)),
                    Direction::Playback => playback_format(&device, Duration::from_millis(20)),
                }
                .expect_err("a device of that name"),
                Err(e) => e,
            };
            assert!(!format!("{e:#}").is_empty());
        }
    }

    #[test]
    fn the_format_with_the_fewest_channels_and_a_common_sample_type_is_preferred() {
        let range = |channels, sample| {
            SupportedStreamConfigRange::new(channels, 8_000, 48_000, SupportedBufferSize::Unknown, sample)
        };
        let ranges = [range(8, SampleFormat::I16), range(2, SampleFormat::U8), range(2, SampleFormat::I16)];
        let best = ranges.into_iter().min_by_key(preference).unwrap();
        assert_eq!((best.channels(), best.sample_format(), preferred_rate(&best)), (2, SampleFormat::I16, 16_000));
    }
}
