//! Rejects duplicates and frames that come after a newer one of their message.

use auriga_runtime::Nanos;
use bytes::Bytes;

/// A frame compared with the last one of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Newer than the last one, or of the same time with other data.
    Newest,
    /// The same time and data again, as a second socket or a merged log has it.
    Duplicate,
    /// Older than the last one.
    Old,
}

/// The newest frame of each message: its stamp and data.
#[derive(Debug)]
pub struct ReorderingFilter(Vec<(Option<Nanos>, Bytes)>);

impl ReorderingFilter {
    /// For a database with this number of messages.
    pub fn new(messages: usize) -> Self {
        Self(vec![(None, Bytes::new()); messages])
    }

    /// The content of the newest frame of message `index`; empty before the first.
    pub fn last(&self, index: usize) -> &Bytes {
        &self.0[index].1
    }

    /// Compares a frame of message `index` with the last one, and keeps it if it is the newest.
    pub fn check(&mut self, index: usize, stamp: Nanos, data: &Bytes) -> Freshness {
        let (last, last_data) = &mut self.0[index];
        match last {
            Some(last) if stamp < *last => Freshness::Old,
            Some(last) if stamp == *last && data == last_data => Freshness::Duplicate,
            _ => {
                (*last, *last_data) = (Some(stamp), data.clone());
                Freshness::Newest
            }
        }
    }
}
