//! The newest picture and state, shared with the server.

use super::guard::Guard;
use crate::{dashboard::page_state::PageState, node::Effect};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The newest picture and state, which all browsers are sent. Cheap to clone.
#[derive(Clone)]
pub struct PageFeed {
    pub(super) frame: watch::Sender<Bytes>,
    pub(super) state: watch::Sender<Option<Arc<PageState>>>,
}

impl Default for PageFeed {
    fn default() -> Self {
        Self { frame: watch::Sender::new(Bytes::new()), state: watch::Sender::new(None) }
    }
}

impl PageFeed {
    /// Replaces the newest picture or state; never waits.
    pub fn publish(&self, effect: Effect) {
        match effect {
            Effect::Frame(jpeg) => drop(self.frame.send_replace(jpeg)),
            Effect::State(state) => drop(self.state.send_replace(Some(state))),
        }
    }
}

/// What a request handler uses.
#[derive(Clone)]
pub(super) struct Shared {
    pub feed: PageFeed,
    pub guard: Arc<Guard>,
    /// A permit for each browser that may be connected.
    pub clients: Arc<Semaphore>,
}
