//! The bounded queue between the node's thread and the thread that writes the file. When the disk is slow, images are
//! dropped before messages.

use crate::held::HeldImages;
use auriga_msgs::{Any, Record};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// A message waits for room for this long, then the oldest is dropped: a disk that does not answer must not block the node
/// for ever.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Held images that are given out at a time: between two such batches the waiting messages are, so that neither the queue
/// overflows nor each image, which is older than they are, ends a chunk of the file.
const BATCH: usize = 16;

/// Messages dropped by the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Messages of topics recorded as JPEG.
    pub images: u64,
    /// Other messages.
    pub messages: u64,
}

/// The result of a wait.
#[derive(Debug, PartialEq)]
pub enum Taken {
    /// The oldest message.
    Message(Any),
    /// The time was over.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

/// The queue; shared by the node's thread, which pushes, and the writing thread, which takes.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    max_messages: usize,
    max_images: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Any>,
    images: usize,
    closed: bool,
    /// There is no file: messages do not wait for room.
    failing: bool,
    losses: Losses,
    held: Option<HeldImages>,
    /// Held images may be given out.
    released: bool,
    /// Held images to give out before the next message.
    batch: usize,
}

impl Queue {
    /// An empty queue with the most messages and images that may wait.
    pub fn new(max_messages: usize, max_images: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), max_messages, max_images }
    }

    /// Reserves `mib` MiB for images that may not be written yet.
    pub fn with_held_images(self, mib: usize) -> Self {
        self.lock().held = Some(HeldImages::new(mib));
        self
    }

    /// Keeps an image until [`Queue::release`], or the end.
    pub fn hold(&self, any: &Any) {
        let mut state = self.lock();
        state.released = false;
        match &mut state.held {
            Some(held) => held.hold(any),
            None => state.losses.images += 1,
        }
    }

    /// Lets the held images be written.
    pub fn release(&self) {
        self.lock().released = true;
        self.changed.notify_all();
    }

    /// Held images for which there was no room so far.
    pub fn left_out(&self) -> u64 {
        self.lock().held.as_ref().map_or(0, HeldImages::left_out)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A push or a pop does not panic half-way, so a poisoned queue is consistent.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Appends a message. Of too many images the oldest is dropped; any other message waits for room.
    pub fn push(&self, any: Any) {
        let mut state = self.lock();
        if is_image(&any) {
            if state.images >= self.max_images {
                state.drop_oldest(true);
            }
            state.images += 1;
        } else {
            let end = Instant::now() + MAX_WAIT;
            while state.items.len() - state.images >= self.max_messages {
                let left = end.saturating_duration_since(Instant::now());
                if state.failing || state.closed || left.is_zero() {
                    state.drop_oldest(false);
                } else {
                    state = self.changed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
                }
            }
        }
        state.items.push_back(any);
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the oldest message; waits for one up to `max_wait`.
    pub fn take(&self, max_wait: Duration) -> Taken {
        let end = Instant::now() + max_wait;
        let mut state = self.lock();
        loop {
            if let Some(any) = state.take_held() {
                return Taken::Message(any);
            }
            if let Some(any) = state.items.pop_front() {
                state.images -= usize::from(is_image(&any));
                drop(state);
                self.changed.notify_all();
                return Taken::Message(any);
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.closed {
                return Taken::Closed;
            }
            if left.is_zero() {
                return Taken::Idle;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// Reports that there is no file. Waits up to `max_wait`; returns true once the queue is closed.
    pub fn wait_without_file(&self, max_wait: Duration) -> bool {
        let end = Instant::now() + max_wait;
        let mut state = self.lock();
        state.failing = true;
        self.changed.notify_all();
        while !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
        }
        state.closed
    }

    /// Reports that there is a file again.
    pub fn set_file_open(&self) {
        self.lock().failing = false;
    }

    /// Closes the queue; the messages in it can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Messages dropped so far.
    pub fn losses(&self) -> Losses {
        self.lock().losses
    }
}

impl State {
    /// The next held image, if it is its turn.
    fn take_held(&mut self) -> Option<Any> {
        let held = self.held.as_mut().filter(|held| !held.is_empty() && (self.released || self.closed))?;
        if self.batch == 0 && self.items.is_empty() {
            self.batch = BATCH;
        }
        self.batch = self.batch.checked_sub(1)?;
        held.take()
    }

    fn drop_oldest(&mut self, image: bool) {
        let Some(at) = self.items.iter().position(|i| is_image(i) == image) else { return };
        self.items.remove(at);
        if image {
            self.images -= 1;
            self.losses.images += 1;
        } else {
            self.losses.messages += 1;
        }
    }
}

fn is_image(any: &Any) -> bool {
    any.topic().spec().record == Record::Jpeg
}

#[cfg(test)]
mod tests {
    use super::*;
    use auriga_msgs::v1;
    use std::sync::Arc;

    const NOW: Duration = Duration::ZERO;

    fn header(seq: u64) -> Option<v1::Header> {
        Some(v1::Header { seq, ..Default::default() })
    }
    fn image(seq: u64) -> Any {
        Any::HudFrame(v1::CompressedImage { header: header(seq), ..Default::default() }.into())
    }
    fn message(seq: u64) -> Any {
        Any::Fault(v1::Fault { header: header(seq), ..Default::default() }.into())
    }
    fn all(queue: &Queue) -> Vec<Any> {
        std::iter::from_fn(|| match queue.take(NOW) {
            Taken::Message(any) => Some(any),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn images_are_dropped_before_messages() {
        let queue = Queue::new(3, 2);
        for any in [message(0), image(1), image(2), message(3), image(4), image(5), message(6)] {
            queue.push(any);
        }
        assert_eq!(queue.losses(), Losses { images: 2, messages: 0 });
        assert_eq!(all(&queue), [message(0), message(3), image(4), image(5), message(6)]);
    }

    #[test]
    fn a_message_waits_until_there_is_room() {
        let queue = Arc::new(Queue::new(1, 1));
        queue.push(message(0));
        let other = queue.clone();
        let pushing = std::thread::spawn(move || other.push(message(1)));
        assert_eq!(queue.take(NOW), Taken::Message(message(0)));
        pushing.join().unwrap();
        assert_eq!(all(&queue), [message(1)]);
        assert_eq!(queue.losses(), Losses::default());
    }

    #[test]
    fn without_a_file_messages_do_not_wait_and_the_newest_are_kept() {
        let queue = Queue::new(2, 1);
        assert!(!queue.wait_without_file(NOW));
        for seq in 0..5 {
            queue.push(message(seq));
        }
        assert_eq!(queue.losses(), Losses { images: 0, messages: 3 });
        queue.set_file_open();
        assert_eq!(all(&queue), [message(3), message(4)]);
    }

    #[test]
    fn a_closed_queue_returns_its_messages_and_then_closed() {
        let queue = Queue::new(2, 1);
        queue.push(message(0));
        queue.close();
        assert_eq!(queue.take(NOW), Taken::Message(message(0)));
        assert_eq!(queue.take(Duration::from_secs(60)), Taken::Closed);
        assert!(queue.wait_without_file(Duration::from_secs(60)));
    }

    #[test]
    fn held_images_come_out_in_batches_between_messages_once_released() {
        let queue = Queue::new(100, 2).with_held_images(1);
        (0..20).for_each(|seq| queue.hold(&image(seq)));
        queue.push(message(100));
        assert_eq!(queue.take(NOW), Taken::Message(message(100)));
        assert_eq!(queue.take(NOW), Taken::Idle, "not released");
        queue.release();
        assert_eq!(queue.take(NOW), Taken::Message(image(0)));
        queue.push(message(101));
        let order: Vec<u64> = (0..20)
            .map(|_| match queue.take(NOW) {
                Taken::Message(any) => any.header().seq,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, (1..16).chain([101]).chain(16..20).collect::<Vec<_>>());
        assert_eq!(queue.take(NOW), Taken::Idle);
        // Another hazard, and the end before it is over.
        queue.hold(&image(30));
        assert_eq!(queue.take(NOW), Taken::Idle);
        queue.close();
        assert_eq!(queue.take(NOW), Taken::Message(image(30)));
        assert_eq!(queue.take(NOW), Taken::Closed);
    }
}
