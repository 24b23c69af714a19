//! Images that may not be written now, in memory that is reserved at the start. When it is full every second one goes, so
//! that the whole time is covered, more coarsely.

use auriga_msgs::{Any, TopicId, v1};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Memory is given out in pieces of this size.
const BLOCK_BYTES: usize = 64 << 10;

/// Held images, the oldest first. Taking one in copies it (it may lie in a publisher's shared memory) and allocates
/// nothing for its data.
pub(crate) struct HeldImages {
    free: Vec<Box<[u8]>>,
    images: VecDeque<Image>,
    /// Of so many images of a topic one is held, and how many have come.
    strides: BTreeMap<TopicId, (u64, u64)>,
    left_out: u64,
}

struct Image {
    /// Without its data.
    message: Any,
    blocks: Vec<Box<[u8]>>,
    bytes: usize,
}

impl HeldImages {
    /// Reserves `mib` MiB.
    pub fn new(mib: usize) -> Self {
        let blocks = (mib << 20) / BLOCK_BYTES;
        let free = (0..blocks).map(|_| vec![0; BLOCK_BYTES].into_boxed_slice()).collect();
        Self { free, images: VecDeque::new(), strides: BTreeMap::new(), left_out: 0 }
    }

    /// Takes in an image; any other message is left out.
    pub fn hold(&mut self, any: &Any) {
        let Some((message, data)) = split(any) else { return };
        let (stride, come) = self.strides.entry(any.topic()).or_insert((1, 0));
        *come += 1;
        if (*come - 1) % *stride != 0 {
            self.left_out += 1;
            return;
        }
        let needed = data.len().div_ceil(BLOCK_BYTES);
        while self.free.len() < needed {
            if !self.thin() {
                self.left_out += 1;
                return;
            }
        }
        let mut blocks = self.free.split_off(self.free.len() - needed);
        for (block, part) in blocks.iter_mut().zip(data.chunks(BLOCK_BYTES)) {
            block[..part.len()].copy_from_slice(part);
        }
        self.images.push_back(Image { message, blocks, bytes: data.len() });
    }

    /// Removes every second image of the topic that takes the most memory, and takes in every second one from now on.
    /// Returns whether there was one.
    fn thin(&mut self) -> bool {
        let mut sizes: BTreeMap<TopicId, usize> = BTreeMap::new();
        self.images.iter().for_each(|i| *sizes.entry(i.message.topic()).or_default() += i.blocks.len());
        let Some((&topic, _)) = sizes.iter().max_by_key(|(_, blocks)| **blocks) else { return false };
        let mut count = 0_u64;
        for image in std::mem::take(&mut self.images) {
            let of_topic = image.message.topic() == topic;
            count += u64::from(of_topic);
            // The first stays, unless it is the only one.
            if of_topic && count.is_multiple_of(2) {
                self.left_out += 1;
                self.free.extend(image.blocks);
            } else {
                self.images.push_back(image);
            }
        }
        if count == 1 {
            let only = self.images.iter().position(|i| i.message.topic() == topic);
            if let Some(image) = only.and_then(|at| self.images.remove(at)) {
                self.left_out += 1;
                self.free.extend(image.blocks);
            }
        }
        self.strides.entry(topic).and_modify(|(stride, _)| *stride = stride.saturating_mul(2));
        true
    }

    /// Takes out the oldest image.
    pub fn take(&mut self) -> Option<Any> {
        let Image { message, blocks, bytes } = self.images.pop_front()?;
        let mut data = Vec::with_capacity(bytes);
        for block in &blocks {
            data.extend_from_slice(&block[..(bytes - data.len()).min(BLOCK_BYTES)]);
        }
        self.free.extend(blocks);
        if self.images.is_empty() {
            self.strides.clear();
        }
        Some(joined(message, data.into()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Images for which there was no room so far.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// The message without its data, and the data.
fn split(any: &Any) -> Option<(Any, &Bytes)> {
    match any {
        Any::CameraFrontImage(image) => {
            let empty = v1::Image { data: Bytes::new(), ..v1::Image::clone(image) };
            Some((Any::CameraFrontImage(empty.into()), &image.data))
        }
        Any::HudFrame(image) => {
            let empty = v1::CompressedImage { data: Bytes::new(), ..v1::CompressedImage::clone(image) };
            Some((Any::HudFrame(empty.into()), &image.data))
        }
        _ => None,
    }
}

fn joined(message: Any, data: Bytes) -> Any {
    match message {
        Any::CameraFrontImage(image) => Any::CameraFrontImage(v1::Image { data, ..v1::Image::clone(&image) }.into()),
        Any::HudFrame(image) => {
            Any::HudFrame(v1::CompressedImage { data, ..v1::CompressedImage::clone(&image) }.into())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(seq: u64, bytes: usize) -> Any {
        let header = Some(v1::Header { seq, published_ns: seq, ..Default::default() });
        let data: Vec<u8> = (0..bytes).map(|i| (i as u64 * 7 + seq) as u8).collect();
        Any::HudFrame(v1::CompressedImage { header, data: data.into(), ..Default::default() }.into())
    }
    fn camera(seq: u64, bytes: usize) -> Any {
        let header = Some(v1::Header { seq, published_ns: seq, ..Default::default() });
        Any::CameraFrontImage(v1::Image { header, data: vec![seq as u8; bytes].into(), ..Default::default() }.into())
    }
    fn all(held: &mut HeldImages) -> Vec<Any> {
        std::iter::from_fn(|| held.take()).collect()
    }

    #[test]
    fn images_come_back_unchanged_and_in_order() {
        let mut held = HeldImages::new(1);
        let images = [frame(0, 10), camera(1, 0), frame(2, BLOCK_BYTES), camera(3, 200_000), frame(4, BLOCK_BYTES + 1)];
        images.iter().for_each(|any| held.hold(any));
        assert_eq!(all(&mut held), images);
        assert!(held.is_empty() && held.left_out() == 0);
    }

    #[test]
    fn a_long_time_is_covered_evenly() {
        // 16 blocks: 8 images of two blocks.
        let mut held = HeldImages::new(1);
        (0..100).for_each(|seq| held.hold(&camera(seq, BLOCK_BYTES + 1)));
        let seqs: Vec<u64> = all(&mut held).iter().map(|any| any.header().seq).collect();
        assert_eq!(seqs, [0, 16, 32, 48, 64, 80, 96]);
        assert_eq!(held.left_out(), 93);
        // What comes later is held anew, each one.
        (0..3).for_each(|seq| held.hold(&camera(seq, 10)));
        assert_eq!(all(&mut held).len(), 3);
    }

    #[test]
    fn large_images_make_room_for_small_ones() {
        let mut held = HeldImages::new(1);
        for seq in 0..8 {
            held.hold(&camera(seq, 2 * BLOCK_BYTES));
            held.hold(&frame(seq, 100));
        }
        let read = all(&mut held);
        assert_eq!(read.iter().filter(|any| matches!(any, Any::HudFrame(_))).count(), 8);
        // One that is larger than all of the memory.
        held.hold(&camera(9, 2 << 20));
        assert!(held.is_empty());
        let mut none = HeldImages::new(0);
        none.hold(&frame(0, 1));
        assert!(none.is_empty() && none.left_out() == 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

        #[test]
        fn memory_is_neither_lost_nor_exceeded(images in prop::collection::vec((any::<bool>(), 0usize..300_000, 0u8..4), 0..60)) {
            let mut held = HeldImages::new(1);
            let blocks = held.free.len();
            for (seq, (of_camera, bytes, takes)) in images.into_iter().enumerate() {
                let any = if of_camera { camera(seq as u64, bytes) } else { frame(seq as u64, bytes) };
                held.hold(&any);
                let used: usize = held.images.iter().map(|i| i.blocks.len()).sum();
                prop_assert_eq!(used + held.free.len(), blocks);
                if takes == 0 {
                    held.take();
                }
            }
            let seqs: Vec<u64> = all(&mut held).iter().map(|any| any.header().seq).collect();
            prop_assert!(seqs.is_sorted());
            prop_assert_eq!(held.free.len(), blocks);
        }
    }
}
