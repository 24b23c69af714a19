//! Software in the loop: drives are generated or recorded, replayed through all nodes, checked and reported.
//!
//! * [`generator`] makes a [`drive`] from a script: camera video, CAN log, cabin sound, ground truth.
//! * [`replay`] runs the state machines of all nodes on a drive or a recording, with injected faults, in log time.
//! * [`analysis`] extracts what a run did from its messages and compares it with the ground truth.
//! * [`scenario`] reads scenario files, runs them and checks their expectations.
//! * [`report`] writes reports on drives and on scenarios: pages, tables, JUnit XML.
//!
//! A scenario names a drive (by default the shipped one), faults and expectations:
//!
//! ```
//! use auriga_sil::scenario::{self, Mode};
//!
//! let text = "
//! name: camera-lost
//! faults:
//!   drop: [{ topic: device/camera/front, from_s: 30, to_s: 33 }]
//! expect:
//!   hazards: [{ kind: sensor-lost, from_s: 30.4, to_s: 30.8 }]
//!   no_lost_messages: true
//! ";
//! let scenario = scenario::parse(text, "camera-lost.yaml".as_ref())?;
//! assert_eq!(scenario.mode, Mode::Replay);
//! assert_eq!(scenario.expect.count(), 2);
//! # Ok::<(), scenario::ScenarioError>(())
//! ```
//!
//! A replay passes every message to a function:
//!
//! ```no_run
//! use auriga_sil::{analysis::Observations, replay::{self, Options, Source}};
//!
//! let options = Options::new(Source::from_path("out/drive".as_ref()))?;
//! let mut observed = Observations::new(replay::start_of(&options.source)?);
//! replay::run(&options, &mut |_fraction| (), &mut |message| {
//!     observed.record(message);
//!     Ok(())
//! })?;
//! println!("{} hazards", observed.hazards.len());
//! # Ok::<(), anyhow::Error>(())
//! ```
#![deny(missing_docs)]

pub mod analysis;
pub mod generator;
pub mod replay;
pub mod report;
pub mod scenario;

/// The form of a drive on disk, which the monitor node defines.
pub use auriga_monitor::drive;
