//! The command `auriga`: launches and supervises the processes of a vehicle, shows what they do, and plays drives.
//!
//! * [`launch`] evaluates launch files, a subset of ROS 2's launch XML, to a list of processes.
//! * [`supervise`] starts these processes, logs their output, restarts those that end and stops them together.
//! * [`simulation`] (feature `simulation`, on by default) generates, replays and plays drives, and runs scenarios.
//! * [`cli`] is the command line: `launch`, `top`, `explain`, `check`, and with the simulation `drive`, `replay`, `sil` and
//!   `generate`.
//!
//! A launch file is evaluated without starting anything:
//!
//! ```
//! use auriga::launch;
//!
//! let text = r#"<launch>
//!   <arg name="interface" default="can0"/>
//!   <node pkg="auriga" exec="can" name="can" respawn="true">
//!     <param name="interface" value="$(var interface)" type="str"/>
//!   </node>
//! </launch>"#;
//! let description = launch::parse_text(text, "can.launch.xml".as_ref())?;
//! let process = &description.processes[0];
//! assert_eq!(process.name, "can");
//! assert_eq!(process.command_line(), ["--ros-args", "-r", "__node:=can", "-p", "interface:=can0"]);
//! # Ok::<(), launch::LaunchError>(())
//! ```
#![deny(missing_docs)]

pub mod cli;
pub mod launch;
mod output;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod supervise;
