//! The encoder of the BERT family: configuration, layers, word pieces.

pub mod bert;
pub mod config;
pub mod text;
