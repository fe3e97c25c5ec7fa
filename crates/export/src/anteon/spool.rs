//! Batches on disk, one a file, for what does not fit in memory and what is left when Alaz ends.
//!
//! A file's name tells all but its body, and a batch keeps its key with its body: what is sent again
//! after a restart is known again. Files are whole or not there, as long as the machine does not
//! crash; one that is not whole is thrown away.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::batch::{Batch, Stream};

/// What says whose batches these are.
const TARGET: &str = "target";
const LOCK: &str = "lock";
const BODY: &str = ".json";
/// A name that claims more was not written here.
const MOST_ROWS: u64 = 1 << 20;

/// A batch that has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    number: u64,
    stream: Stream,
    pub(super) rows: u64,
    bytes: u64,
    /// How often it was sent already, and how many others had arrived before that; forgotten with the
    /// process.
    pub(super) attempts: u32,
    pub(super) arrived_before: u64,
}

/// What became of a batch that was to be written, and of others.
#[derive(Debug)]
pub(super) struct Pushed {
    /// Rows that are gone: the oldest, and those of this batch where it could not be written.
    pub(super) lost: u64,
    /// Why it could not.
    pub(super) failure: Option<io::Error>,
}

/// The files of one folder, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    most_bytes: u64,
    /// Those that wait here; others are in memory as well.
    waiting: VecDeque<Kept>,
    /// Of all files.
    bytes: u64,
    next: u64,
    _lock: File,
}

impl Spool {
    /// Takes a folder for itself, and what was left there for the same target. Gives how many rows
    /// there were for another one, which are gone.
    pub(super) fn open(folder: &Path, target: &str, most_bytes: u64) -> io::Result<(Spool, u64)> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = options().truncate(false).open(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("another Alaz uses it"),
            fs::TryLockError::Error(error) => error,
        })?;
        let mut spool = Spool {
            folder: folder.to_owned(),
            most_bytes,
            waiting: VecDeque::new(),
            bytes: 0,
            next: 0,
            _lock: lock,
        };
        spool.find_files()?;
        let is_same = fs::read_to_string(folder.join(TARGET)).is_ok_and(|found| found == target);
        let mut foreign = 0;
        if !is_same {
            while let Some(kept) = spool.waiting.pop_front() {
                foreign += kept.rows;
                spool.remove(kept);
            }
            spool.write(TARGET, target.as_bytes())?;
        }
        Ok((spool, foreign))
    }

    /// Rows that wait here.
    pub(super) fn rows(&self) -> u64 {
        self.waiting.iter().map(|kept| kept.rows).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes a batch. Where there is no room, the oldest that wait go.
    pub(super) fn push(&mut self, batch: &Batch) -> Pushed {
        let bytes = batch.body.len() as u64;
        let mut lost = 0;
        while self.bytes + bytes > self.most_bytes {
            let Some(oldest) = self.waiting.pop_front() else {
                let failure = Some(io::ErrorKind::StorageFull.into());
                return Pushed { lost: lost + batch.rows, failure };
            };
            lost += oldest.rows;
            self.remove(oldest);
        }
        let kept = Kept::new(self.next, batch.stream, batch.rows, bytes);
        self.next += 1;
        if let Err(error) = self.write(&kept.name(), &batch.body) {
            return Pushed { lost: lost + batch.rows, failure: Some(error) };
        }
        self.bytes += bytes;
        self.waiting.push_back(kept);
        Pushed { lost, failure: None }
    }

    /// The batch that has waited longest. Its file stays until [`Spool::remove`]. The error is how
    /// many rows could not be read.
    pub(super) fn take(&mut self) -> Option<Result<(Batch, Kept), u64>> {
        let kept = self.waiting.pop_front()?;
        let body = fs::read(self.folder.join(kept.name())).unwrap_or_default();
        let is_whole = body.len() as u64 == kept.bytes
            && body.starts_with(b"{\"metadata\":{")
            && body.ends_with(b"]}");
        if !is_whole {
            self.remove(kept);
            return Some(Err(kept.rows));
        }
        let Kept { stream, rows, .. } = kept;
        Some(Ok((Batch { stream, rows, body: body.into() }, kept)))
    }

    /// A batch that was taken waits here again.
    pub(super) fn put_back(&mut self, kept: Kept) {
        self.waiting.push_back(kept);
    }

    /// A batch that was taken is not needed any more.
    pub(super) fn remove(&mut self, kept: Kept) {
        self.bytes = self.bytes.saturating_sub(kept.bytes);
        // What cannot be removed is found again, sent again, and known by its key.
        let _ = fs::remove_file(self.folder.join(kept.name()));
    }

    fn find_files(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some(kept) =
                Kept::of(&entry.file_name().to_string_lossy(), entry.metadata()?.len())
            else {
                continue;
            };
            self.bytes += kept.bytes;
            self.next = self.next.max(kept.number.saturating_add(1));
            self.waiting.push_back(kept);
        }
        self.waiting.make_contiguous().sort_unstable_by_key(|kept| kept.number);
        Ok(())
    }

    /// Under its name it is whole.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.folder.join("unfinished");
        let written = options().truncate(true).open(&unfinished)?.write_all(bytes);
        written.and_then(|()| fs::rename(&unfinished, self.folder.join(name)))
    }
}

/// Files for their owner only.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

impl Kept {
    fn new(number: u64, stream: Stream, rows: u64, bytes: u64) -> Kept {
        Kept { number, stream, rows, bytes, attempts: 0, arrived_before: 0 }
    }

    fn name(&self) -> String {
        format!("{:016x}-{}-{}{BODY}", self.number, self.stream.key(), self.rows)
    }

    /// The batch of a file of this name.
    fn of(name: &str, bytes: u64) -> Option<Kept> {
        let mut parts = name.strip_suffix(BODY)?.split('-');
        let (number, key, rows) = (parts.next()?, parts.next()?, parts.next()?);
        let number = u64::from_str_radix(number, 16).ok()?;
        let stream = Stream::ALL.into_iter().find(|stream| stream.key() == key)?;
        let rows = rows.parse().ok().filter(|rows| *rows <= MOST_ROWS)?;
        let kept = Kept::new(number, stream, rows, bytes);
        (kept.name() == name).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn batch(number: u64) -> Batch {
        let body = format!("{{\"metadata\":{{}},\"requests\":[{number:06}]}}").into();
        Batch { stream: Stream::Requests, rows: number, body }
    }

    fn open(folder: &Path, target: &str) -> (Spool, u64) {
        let bytes = 4 * batch(1).body.len() as u64;
        Spool::open(folder, target, bytes).unwrap()
    }

    fn take(spool: &mut Spool) -> Option<Batch> {
        let (batch, kept) = spool.take()?.unwrap();
        spool.remove(kept);
        Some(batch)
    }

    #[test]
    fn batches_come_back_in_order_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path(), "a");
        (1..=3).for_each(|number| assert_eq!(spool.push(&batch(number)).lost, 0));
        assert_eq!(take(&mut spool), Some(batch(1)));
        // One is under way when it ends.
        let _under_way = spool.take().unwrap().unwrap();
        drop(spool);
        let (mut spool, foreign) = open(folder.path(), "a");
        assert_eq!((spool.rows(), foreign), (5, 0));
        spool.push(&batch(4));
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut spool)).collect();
        assert_eq!(taken, [batch(2), batch(3), batch(4)]);
        assert_eq!(spool.bytes, 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path(), "a");
        let lost: Vec<_> = (1..=6).map(|number| spool.push(&batch(number)).lost).collect();
        assert_eq!(lost, [0, 0, 0, 0, 1, 2]);
        // Those that are under way stay.
        let under_way: Vec<_> = (0..4).map(|_| spool.take().unwrap().unwrap().1).collect();
        let pushed = spool.push(&batch(7));
        let kind = pushed.failure.map(|error| error.kind());
        assert_eq!((pushed.lost, kind), (7, Some(io::ErrorKind::StorageFull)));
        spool.put_back(under_way[0]);
        assert_eq!(spool.push(&batch(8)).lost, 3);
    }

    #[test]
    fn what_is_for_another_target_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), "a").0.push(&batch(7));
        let (spool, foreign) = open(folder.path(), "b");
        assert_eq!((spool.rows(), foreign, spool.bytes), (0, 7, 0));
        drop(spool);
        assert_eq!(open(folder.path(), "a").0.rows(), 0);
    }

    #[test]
    fn damaged_and_foreign_files_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path(), "a");
        (1..=2).for_each(|number| _ = spool.push(&batch(number)));
        drop(spool);
        let path = |name: &str| folder.path().join(name);
        fs::write(path("0000000000000000-requests-1.json"), "{\"metadata\":{").unwrap();
        for name in ["notes.txt", "-requests-1.json", "0-requests-1.json", "unfinished"] {
            fs::write(path(name), "x").unwrap();
        }
        let (mut spool, _) = open(folder.path(), "a");
        assert_eq!(spool.rows(), 3);
        assert_eq!(spool.take().unwrap().unwrap_err(), 1);
        assert_eq!(take(&mut spool), Some(batch(2)));
        assert!(spool.is_empty() && path("notes.txt").exists());
    }

    #[test]
    fn it_is_the_owners_alone_and_of_one_alaz() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("anteon");
        let (mut spool, _) = open(&inner, "a");
        spool.push(&batch(1));
        for entry in fs::read_dir(&inner).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        let error = Spool::open(&inner, "a", 1).unwrap_err().to_string();
        assert_eq!(error, "another Alaz uses it");
    }
}
