//! The code on the sound card's real-time threads never allocates or frees memory.

use auriga_runtime::Nanos;
use auriga_speech::{
    input::ring::ring,
    output::playback::{PlaybackGate, playback_queue},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // While a thread ends its counter may be destroyed already.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes on to the system's allocator unchanged; the counter is a constant-initialised thread local,
// which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(what: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    what();
    CALLS.get() - before
}

#[test]
fn the_allocation_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 2);
}

#[test]
fn writing_to_the_ring_never_allocates_even_when_it_is_full() {
    let (mut writer, mut reader) = ring(10_000);
    let block = [0.25f32; 960];
    let mut samples = Vec::with_capacity(960);
    let calls = allocations(|| {
        for i in 0..1000u64 {
            writer.write(Nanos(i), block.iter().copied());
            if i % 3 == 0 {
                reader.read(&mut samples);
            }
        }
    });
    assert_eq!(calls, 0);
    assert!(reader.counters().losses().dropped > 0, "the ring was full");
}

#[test]
fn rendering_never_allocates_even_when_it_is_muted() {
    let gate = Arc::new(PlaybackGate::default());
    let (mut queue, mut renderer, _reference) = playback_queue(48_000, 2, gate.clone());
    let mut frames = [0i16; 960];
    let speech = [0.5f32; 4800];
    let calls = allocations(|| {
        for i in 0..2000u64 {
            match i % 100 {
                0 => drop(queue.push(&speech)),
                5 => gate.mute(),
                9 => queue.discard_and_unmute(),
                _ => {}
            }
            renderer.render(&mut frames, Nanos(i));
        }
    });
    assert_eq!(calls, 0);
}
