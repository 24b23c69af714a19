//! The language model behind a trait, and when it runs.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`interface`] | the trait that the node calls, with its inputs and results |
//! | [`models`] | the real models: an encoder for intents, a decoder for replies |
//! | [`measure`] | the clocks of the executable, and the cost of a layer on this machine |
//! | `runner` | runs the model slice by slice |
//! | `scheduler` | which class of work runs in the next slice, and for how long |
//! | `share` | the lease of a class, and the CPU budget that follows from it |
//! | `slice_size` | how many layers fit into a slice |
//! | `workloads` | the rows of the workload table that belong to this node |

pub mod interface;
pub mod measure;
pub mod models;
pub(crate) mod runner;
pub(crate) mod scheduler;
pub(crate) mod share;
pub(crate) mod slice_size;
pub(crate) mod workloads;
