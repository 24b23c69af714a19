//! The command line: launch files ([`launch`]) and the processes they describe ([`supervise`]), drives played through
//! all nodes ([`live`]), and the commands themselves ([`cmd`]).

pub mod cmd;
pub mod launch;
pub mod live;
pub mod supervise;
