//! The command line ([`cli`]): launch files ([`launch`]) and the processes they describe ([`supervise`]), and what needs
//! the simulation ([`simulation`]).

pub mod cli;
pub mod launch;
mod output;
pub mod simulation;
pub mod supervise;
