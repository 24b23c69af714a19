//! Audio input: sound devices and WAV files, the acoustic front end, the level, the speaker's seat.
//!
//! ```text
//! device ─► capture ─► ring ─► front_end ─► v1::AudioChunk (16 kHz) ─► the node: level, zone
//! WAV file ─► riff ──► wav ────────────────►
//! ```

pub mod audio;
pub mod capture;
pub mod device;
pub mod front_end;
pub mod level;
pub mod riff;
pub mod ring;
pub mod wav;
pub mod zone;
