//! Standard output behind a thread of its own, so that a slow reader holds nobody up.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// So much is handed over at once, at most.
const CHUNK: usize = 64 << 10;
/// So many chunks wait for the reader; 4 MiB in all.
const CHUNKS: usize = 64;
/// How long a reader that does not read is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What happens when the reader is slower than what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// Wait for it: what is printed can wait as well.
    Wait,
    /// Leave lines out, and count them: the capture must go on.
    Drop,
}

/// Whole lines on their way to standard output.
pub(crate) struct Background {
    buffer: Vec<u8>,
    overflow: Overflow,
    sender: Option<SyncSender<Vec<u8>>>,
    thread: JoinHandle<io::Result<()>>,
    lines_dropped: usize,
}

impl Background {
    /// Hands what is written to `out`.
    pub(crate) fn new(mut out: impl Write + Send + 'static, overflow: Overflow) -> Background {
        let (sender, receiver) = sync_channel::<Vec<u8>>(CHUNKS);
        let thread = std::thread::spawn(move || {
            for chunk in receiver {
                out.write_all(&chunk)?;
                out.flush()?;
            }
            Ok(())
        });
        Background { buffer: Vec::new(), overflow, sender: Some(sender), thread, lines_dropped: 0 }
    }

    /// Writes what is left, and says how many lines nobody got.
    pub(crate) fn finish(mut self) -> io::Result<usize> {
        self.flush()?;
        self.sender = None;
        let started = Instant::now();
        while self.overflow == Overflow::Drop && !self.thread.is_finished() {
            if started.elapsed() > PATIENCE {
                return Ok(self.lines_dropped);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().map_err(|_| io::Error::other("the writing thread broke"))??;
        Ok(self.lines_dropped)
    }
}

impl Write for Background {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        // Only whole lines are handed over, so that only whole lines are left out.
        if self.buffer.len() >= CHUNK && self.buffer.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(sender) = self.sender.as_ref().filter(|_| !self.buffer.is_empty()) else {
            return Ok(());
        };
        let chunk = std::mem::take(&mut self.buffer);
        let sent = match self.overflow {
            Overflow::Wait => {
                sender.send(chunk).map_err(|error| TrySendError::Disconnected(error.0))
            }
            Overflow::Drop => sender.try_send(chunk),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(chunk)) => {
                self.lines_dropped += chunk.iter().filter(|byte| **byte == b'\n').count();
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// Takes a chunk whenever it is told to.
    struct Slow(Receiver<()>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let (go, wait) = channel();
        let mut out = Background::new(Slow(wait), Overflow::Drop);
        for _ in 0..CHUNKS + 10 {
            out.write_all(b"a line\nanother\n").unwrap();
            out.flush().unwrap();
        }
        // One chunk may be with the writer already.
        assert!((9 * 2..=10 * 2).contains(&out.lines_dropped), "{}", out.lines_dropped);
        let dropped = out.lines_dropped;
        for _ in 0..CHUNKS + 10 {
            go.send(()).unwrap();
        }
        assert_eq!(out.finish().unwrap(), dropped);
    }

    #[test]
    fn a_reader_that_went_away_shows() {
        let (go, wait) = channel();
        drop(go);
        let mut out = Background::new(Slow(wait), Overflow::Wait);
        let mut gone = false;
        for _ in 0..CHUNKS + 2 {
            gone |= out.write_all(b"x\n").and_then(|()| out.flush()).is_err();
        }
        assert!(gone);
    }
}
