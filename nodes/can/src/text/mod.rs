//! Text as people's tools write it: [`encoding`]s.

pub mod encoding;
