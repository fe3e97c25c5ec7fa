//! Reading the kernel's ring buffer (`BPF_MAP_TYPE_RINGBUF`, kernel/bpf/ringbuf.c).
//!
//! Written here rather than taken from libbpf so that one pass borrows its sink, hands out slices of
//! the ring itself, and gives room back once per batch instead of once per record.

use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Before each record: its length with two flags, and the kernel's own offset.
const HEADER: u64 = 8;
/// Reserved, not yet written.
const BUSY: u32 = 1 << 31;
/// Written, and to be skipped.
const DISCARDED: u32 = 1 << 30;
/// Room is given back after this much has been read, so that a long pass does not starve writers.
const BATCH_BYTES: u64 = 256 << 10;
/// How often a record that is being written is looked at again: longer than its copying takes, unless
/// its writer lost the CPU.
const PATIENCE: u32 = 4096;

/// What one pass over a ring found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many records there were.
    pub records: u64,
    /// Nothing that was in the ring when the pass began is still there. Else a record was still
    /// being written: it and those behind it come in a later pass, and time must not go on before.
    pub complete: bool,
}

/// The reading end of one ring.
pub(crate) struct Ring {
    consumer: Mapping,
    /// The producer's page, then the data twice in a row, so that no record is ever split.
    producer: Mapping,
    page: usize,
    mask: u64,
}

impl Ring {
    /// Maps the ring behind `map`, of `size` bytes (a power of two, as the kernel demands).
    pub(crate) fn open(map: impl AsFd, size: u32) -> std::io::Result<Ring> {
        let page = rustix::param::page_size();
        let consumer = Mapping::new(map.as_fd(), page, ProtFlags::READ | ProtFlags::WRITE, 0)?;
        let length = page + 2 * size as usize;
        let producer = Mapping::new(map.as_fd(), length, ProtFlags::READ, page as u64)?;
        Ok(Ring { consumer, producer, page, mask: u64::from(size) - 1 })
    }

    /// Hands the records to `sink` that are there now. What is written meanwhile waits for the next
    /// pass: writers may be faster than the sink.
    pub(crate) fn drain(&mut self, mut sink: impl FnMut(&[u8])) -> Drained {
        let mut drained = Drained { records: 0, complete: true };
        // Only this side writes it.
        let mut position = self.consumer_position().load(Ordering::Relaxed);
        let mut released = position;
        let end = self.producer_position().load(Ordering::Acquire);
        while position < end {
            // SAFETY: the position is before the producer's of a moment ago, so a header lies there, and every
            // header is aligned to eight bytes inside the mapping.
            let header = unsafe { AtomicU32::from_ptr(self.data(position).cast::<u32>().as_ptr()) };
            let Some(header) = finished(header) else {
                drained.complete = false;
                break;
            };
            let length = header & !(BUSY | DISCARDED);
            if header & DISCARDED == 0 {
                // SAFETY: the record is finished, lies wholly inside the doubled mapping, and is
                // not written again before the consumer position passes it, below.
                let record = unsafe {
                    std::slice::from_raw_parts(
                        self.data(position + HEADER).as_ptr(),
                        length as usize,
                    )
                };
                sink(record);
                drained.records += 1;
            }
            position += HEADER + u64::from(length.next_multiple_of(8));
            if position - released >= BATCH_BYTES {
                self.consumer_position().store(position, Ordering::Release);
                released = position;
            }
        }
        self.consumer_position().store(position, Ordering::Release);
        drained
    }

    /// Bytes waiting to be read.
    pub(crate) fn waiting(&self) -> u64 {
        let produced = self.producer_position().load(Ordering::Acquire);
        produced.saturating_sub(self.consumer_position().load(Ordering::Relaxed))
    }

    /// Bytes that fit.
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    fn data(&self, position: u64) -> NonNull<u8> {
        // SAFETY: masked, it is less than the ring's size, and the mapping holds the producer's
        // page and twice that size.
        unsafe { self.producer.start.add(self.page + (position & self.mask) as usize) }
    }

    fn consumer_position(&self) -> &AtomicU64 {
        // SAFETY: the first eight bytes of a writable, page-aligned mapping that lives as long as
        // the reference; the kernel reads them concurrently, which atomics allow.
        unsafe { AtomicU64::from_ptr(self.consumer.start.cast::<u64>().as_ptr()) }
    }

    fn producer_position(&self) -> &AtomicU64 {
        // SAFETY: as above; the mapping is read-only and so are the uses.
        unsafe { AtomicU64::from_ptr(self.producer.start.cast::<u64>().as_ptr()) }
    }
}

/// The header of a record once that has been written; `None` when it takes long.
fn finished(header: &AtomicU32) -> Option<u32> {
    (0..PATIENCE).find_map(|_| {
        let header = header.load(Ordering::Acquire);
        if header & BUSY == 0 {
            return Some(header);
        }
        std::hint::spin_loop();
        None
    })
}

/// Memory shared with the kernel, unmapped when dropped.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(
        file: std::os::fd::BorrowedFd<'_>,
        length: usize,
        protection: ProtFlags,
        offset: u64,
    ) -> std::io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file, offset)
        }?;
        let start = NonNull::new(start.cast())
            .ok_or_else(|| std::io::Error::other("the kernel mapped the ring at address 0"))?;
        Ok(Mapping { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this length, and nothing borrows from it any more. A failure
        // could only leave it mapped until the process ends.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

// SAFETY: the mappings belong to this value alone on this side, and moving it to another thread
// moves them with it.
unsafe impl Send for Ring {}
