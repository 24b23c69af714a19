//! The fusion node: lanes, the vehicle's state and utterances become one scene, and what is dangerous becomes a hazard.
//!
//! * A hazard is published in the same call that takes its evidence in, with the evidence's stamp and trace: radar
//!   objects ([`tracks`]) in our lane ([`tracks::corridor`]) by time to collision ([`hazards::forward_collision`]), lines crossed without indicator
//!   ([`hazards::lane_departure`]), a sensor that fell silent. [`hazards::registry`] gives ids and says what changed.
//! * A scene is made for the time of each camera frame, the vehicle's state interpolated to it ([`input::align`]); for that it
//!   waits a bounded time for CAN. Without camera, scenes go on from CAN alone. [`scene::load`] is the driving load.
//!
//! Order of arrival does not matter within the history kept: messages are placed by the time of their content, and
//! known ones are dropped. Values no car can have are left out and reported ([`input::checked`]).

pub mod config;
pub mod hazards;
pub mod input;
mod node;
pub mod scene;
pub mod tracks;

pub use config::{Config, DEFAULTS};
pub use node::FusionNode;
