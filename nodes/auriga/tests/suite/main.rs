//! The integration tests, in one executable: each more would be linked with all dependencies once more.

mod alive;
mod install;
mod launch;
#[cfg(not(feature = "simulation"))]
mod left_out;
mod recordings;
mod ros2;
mod supervise;
