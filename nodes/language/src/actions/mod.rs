//! What the vehicle does for the driver: which tool carries out an intent ([`tools`]), and the actions whose outcome is
//! not known yet ([`pending`]).

pub(crate) mod pending;
pub(crate) mod tools;
