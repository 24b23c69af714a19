//! Tools for a new vehicle: what a recording or a bus carries, a first mapping by names and units, and what a mapping
//! lacks.
//!
//! * [`propose`]: a `vss.toml` for a database, each row a guess to be confirmed.
//! * [`Survey`]: the identifiers of a recording, with their rates and lengths.
//! * [`import`]: a `vss.toml` from KUKSA's mapping.
//! * [`coverage`]: what of the vehicle state and of the database is mapped, and what a recording says of it.

mod coverage;
mod kuksa;
mod propose;
mod rules;
mod survey;
mod words;

pub use coverage::coverage;
pub use kuksa::{Import, ImportError, import};
pub use propose::{Proposal, propose};
pub use survey::{Seen, Survey};
