//! What is said to the driver, and when.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `verbosity` | how much may be said at the present workload of the driver |
//! | [`draft`] | the check of the model's reply, sentence by sentence |
//! | [`canned`] | canned responses, for what is said without the model |
//! | `telltales` | the meaning of telltales and of past warnings |
//! | `turns` | dialogue turns as they are published, and those that wait |

pub mod canned;
pub mod draft;
pub(crate) mod telltales;
pub(crate) mod turns;
pub(crate) mod verbosity;
