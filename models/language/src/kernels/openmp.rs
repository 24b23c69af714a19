//! Work on several threads: those of the OpenMP that libtorch uses, as many as [`tch::set_num_threads`] set on this thread.
//! Other threads beside them would compete for the same cores.

use std::{
    ffi::{CStr, c_int, c_uint, c_void},
    sync::LazyLock,
};

/// Calls the function on each thread of a team, this one among them, and waits for all. The call that compilers make of
/// OpenMP's `parallel`; libgomp and LLVM's runtime both have it.
type Parallel = unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);
/// `omp_get_thread_num` and `omp_get_num_threads` (OpenMP 5.2, 18.2).
type GetNumber = unsafe extern "C" fn() -> c_int;

struct OpenMp {
    parallel: Parallel,
    thread: GetNumber,
    threads: GetNumber,
}

/// `None` where libtorch has no OpenMP: then there is one thread.
static OPEN_MP: LazyLock<Option<OpenMp>> = LazyLock::new(|| {
    let [parallel, thread, threads] = [c"GOMP_parallel", c"omp_get_thread_num", c"omp_get_num_threads"].map(symbol);
    // SAFETY: the symbols of these names have these types.
    Some(unsafe {
        OpenMp {
            parallel: std::mem::transmute::<*mut c_void, Parallel>(parallel?),
            thread: std::mem::transmute::<*mut c_void, GetNumber>(thread?),
            threads: std::mem::transmute::<*mut c_void, GetNumber>(threads?),
        }
    })
});

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: looks through the libraries that are loaded, libtorch's among them; nothing is loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Cuts `data` into pieces of this length and calls `work` with runs of them: the number of the first piece, and the run.
pub fn split<T: Send>(data: &mut [T], piece: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let pieces = data.len() / piece;
    debug_assert_eq!(data.len(), pieces * piece);
    let Some(open_mp) = OPEN_MP.as_ref().filter(|_| pieces > 1) else { return work(0, data) };
    let part = Part { data: data.as_mut_ptr(), pieces, piece, work: &work, open_mp };
    // SAFETY: `run` gets the part, which lives until all threads are done.
    unsafe { (open_mp.parallel)(run::<T>, (&raw const part).cast_mut().cast(), 0, 0) };
}

/// A run of pieces, on one of the team's threads.
type Work<'w, T> = &'w (dyn Fn(usize, &mut [T]) + Sync);

struct Part<'w, T> {
    data: *mut T,
    pieces: usize,
    piece: usize,
    work: Work<'w, T>,
    open_mp: &'w OpenMp,
}

/// A panic of `work` ends the process: it cannot pass through OpenMP.
unsafe extern "C" fn run<T>(part: *mut c_void) {
    // SAFETY: it is the part that `split` made; the threads of the team share it and change nothing of it.
    let part = unsafe { &*part.cast::<Part<'_, T>>() };
    // SAFETY: both only return numbers of the team that runs this.
    let (thread, threads) = unsafe { ((part.open_mp.thread)() as usize, (part.open_mp.threads)() as usize) };
    let [first, end] = [thread, thread + 1].map(|t| part.pieces * t / threads);
    if first < end {
        // SAFETY: the runs of the threads lie in the data and do not overlap.
        let data =
            unsafe { std::slice::from_raw_parts_mut(part.data.add(first * part.piece), (end - first) * part.piece) };
        (part.work)(first, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_processed_once_with_any_number_of_threads() {
        for threads in [1, 2, 3, 7] {
            tch::set_num_threads(threads);
            for pieces in [0, 1, 2, 5, 100] {
                let mut data = vec![0; 3 * pieces];
                split(&mut data, 3, |first, run| {
                    for (i, piece) in run.chunks_exact_mut(3).enumerate() {
                        piece.iter_mut().for_each(|v| *v += first + i + 1);
                    }
                });
                let expected: Vec<usize> = (0..pieces).flat_map(|i| [i + 1; 3]).collect();
                assert_eq!(data, expected, "{threads} threads");
            }
        }
    }
}
