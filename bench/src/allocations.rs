//! Counts what a thread allocates: the stages promise to do without in their steady state.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Constants without a destructor: reading them allocates nothing, at any time.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// How often this thread has allocated or grown memory so far.
pub(crate) fn count() -> u64 {
    ALLOCATIONS.get()
}

/// The most bytes that this thread held at once since [`reset_peak`], above what it held then.
/// Memory that one thread allocates and another frees is held for ever by this count.
pub(crate) fn peak_bytes() -> u64 {
    u64::try_from(PEAK_BYTES.get()).unwrap_or(0)
}

/// Begins a new peak from what is held now.
pub(crate) fn reset_peak() {
    LIVE_BYTES.set(0);
    PEAK_BYTES.set(0);
}

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn note(bytes: i64) {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        Counting::hold(bytes);
    }

    fn hold(bytes: i64) {
        let live = LIVE_BYTES.get() + bytes;
        LIVE_BYTES.set(live);
        PEAK_BYTES.set(PEAK_BYTES.get().max(live));
    }
}

// SAFETY: every call is handed on to the system's allocator as it came, and what that returns is
// returned; counting touches thread-local integers only and cannot allocate or unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::note(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Counting::note(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Counting::hold(-(layout.size() as i64));
        // SAFETY: the caller got `memory` from this allocator, which is from the system's.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Counting::note(new_size as i64 - layout.size() as i64);
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_allocation_of_this_thread_counts_once() {
        let before = count();
        let mut bytes: Vec<u8> = Vec::with_capacity(100);
        assert_eq!(count() - before, 1);
        bytes.resize(100, 1);
        assert_eq!(count() - before, 1);
        bytes.reserve_exact(1000);
        assert_eq!(count() - before, 2);
        drop(bytes);
        assert_eq!(count() - before, 2);
        std::thread::spawn(|| drop(vec![0_u8; 1 << 20])).join().unwrap();
        assert!(count() - before < 100, "only what starting a thread takes here");
    }

    #[test]
    fn the_peak_is_what_was_held_at_once() {
        reset_peak();
        for _ in 0..3 {
            drop(vec![1_u8; 10_000]);
        }
        assert_eq!(peak_bytes(), 10_000);
        let kept = [vec![1_u8; 10_000], vec![1_u8; 5_000]];
        assert_eq!(peak_bytes(), 15_000);
        drop(kept);
        reset_peak();
        assert_eq!(peak_bytes(), 0);
    }
}
