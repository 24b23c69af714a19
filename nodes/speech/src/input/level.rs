//! The level of the microphone for `speech/level`, and whether it is connected and loses no samples.

use crate::input::audio::{FULL_SCALE, SAMPLE_NS, SAMPLE_RATE_HZ};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use std::time::Duration;

/// Samples of a measurement: 200 ms.
const PERIOD: u64 = SAMPLE_RATE_HZ as u64 / 5;
/// Reported for digital silence; below the last of 16 bits.
const FLOOR_DBFS: f32 = -120.0;
/// A microphone always hisses. Nothing but zeros for so long means that it is muted or that its cable is broken.
const DEAD: Duration = Duration::from_secs(30);

/// Measures one stream.
#[derive(Debug, Default)]
pub struct LevelMeter {
    squares: f64,
    peak: u16,
    measured: u64,
    samples: u64,
    lost: u64,
    clipped: u64,
    zeros: u64,
}

impl LevelMeter {
    /// Counts the samples of a gap as lost.
    pub fn add_gap(&mut self, gap: Duration) {
        self.lost += gap.as_nanos() as u64 / SAMPLE_NS;
    }

    /// Takes samples that end at `end`. Returns the level once every 200 ms.
    pub fn push(&mut self, samples: &[i16], end: Nanos) -> Option<v1::AudioLevel> {
        for sample in samples {
            let size = sample.unsigned_abs();
            self.squares += f64::from(size) * f64::from(size);
            self.peak = self.peak.max(size);
            self.clipped += u64::from(size >= FULL_SCALE);
            self.zeros = if size == 0 { self.zeros + 1 } else { 0 };
        }
        self.samples += samples.len() as u64;
        self.measured += samples.len() as u64;
        if self.measured < PERIOD {
            return None;
        }
        // A sine of full scale has 0 dBFS.
        let rms = (self.squares / self.measured as f64 * 2.0).sqrt();
        let level = v1::AudioLevel {
            header: Some(v1::Header::new(end.0, 0)),
            rms_dbfs: dbfs(rms),
            peak_dbfs: dbfs(self.peak.into()),
            samples: self.samples,
            lost: self.lost,
            clipped: self.clipped,
        };
        (self.squares, self.peak, self.measured) = (0.0, 0, 0);
        Some(level)
    }

    /// Whether the last 30 s were nothing but zeros.
    pub fn is_dead(&self) -> bool {
        self.zeros * SAMPLE_NS >= DEAD.as_nanos() as u64
    }
}

fn dbfs(size: f64) -> f32 {
    ((20.0 * (size / 32_768.0).log10()) as f32).max(FLOOR_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_covers_the_last_200_ms() {
        let mut meter = LevelMeter::default();
        let sine = |size: f64| (0..3200).map(|i| (size * (f64::from(i) * 0.1).sin()) as i16).collect::<Vec<i16>>();
        assert!(meter.push(&sine(32_767.0)[..1600], Nanos(1)).is_none());
        let level = meter.push(&sine(32_767.0)[1600..], Nanos(7)).unwrap();
        assert!((level.rms_dbfs - 0.0).abs() < 0.1 && level.peak_dbfs > -0.1, "{level:?}");
        assert!(level.clipped > 100);
        let level = meter.push(&sine(327.67), Nanos(9)).unwrap();
        assert!((level.rms_dbfs + 40.0).abs() < 0.1 && (level.peak_dbfs + 40.0).abs() < 0.2, "{level:?}");
        meter.add_gap(Duration::from_millis(10));
        let level = meter.push(&[0; 3200], Nanos(9)).unwrap();
        assert_eq!((level.rms_dbfs, level.peak_dbfs, level.samples, level.lost), (-120.0, -120.0, 9600, 160));
    }

    #[test]
    fn thirty_seconds_of_zeros_mean_a_dead_microphone_until_the_first_other_sample() {
        let mut meter = LevelMeter::default();
        for _ in 0..149 {
            meter.push(&[0; 3200], Nanos(0));
        }
        assert!(!meter.is_dead());
        meter.push(&[0; 3200], Nanos(0));
        assert!(meter.is_dead());
        meter.push(&[0, 1], Nanos(0));
        assert!(!meter.is_dead());
    }
}
