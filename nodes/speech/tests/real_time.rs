//! What runs on the sound card's threads neither allocates nor frees.

use auriga_runtime::Nanos;
use auriga_speech::{
    input::ring::tape,
    output::playback::{Gate, line},
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
    // While a thread ends its counter may be gone already.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes on to the system's allocator unchanged; the counter is a constant-initialised thread local,
// which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is handed on.
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
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 2);
}

#[test]
fn capturing_allocates_nothing_not_even_when_the_tape_is_full() {
    let (mut writer, mut reader) = tape(10_000);
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
    assert!(reader.counts().losses().dropped > 0, "the tape was full");
}

#[test]
fn playing_allocates_nothing_not_even_when_it_is_cut() {
    let gate = Arc::new(Gate::default());
    let (mut feed, mut line, _tape) = line(48_000, 2, gate.clone());
    let mut frames = [0i16; 960];
    let speech = [0.5f32; 4800];
    let calls = allocations(|| {
        for i in 0..2000u64 {
            match i % 100 {
                0 => drop(feed.push(&speech)),
                5 => gate.shut(),
                9 => feed.open(),
                _ => {}
            }
            line.fill(&mut frames, Nanos(i));
        }
    });
    assert_eq!(calls, 0);
}
