//! Recordings: what the kernel side wrote, kept in a file and read back as if it happened now.
//!
//! A file is `ALAZREC\n`, the version (u32), then frames: kind (u8), length (u32), payload; integers
//! little-endian. The first frame is the header, the last the end; a file without an end frame was
//! cut off. Kernel records are kept as they were, in the byte order of the machine.
//!
//! Recordings hold raw traffic, secrets included. They are made on demand only and are readable by
//! their owner only.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use alaz_model::{Clock, Process};
use serde::{Deserialize, Serialize};

use crate::abi::{ABI_VERSION, KernelCounters};

const MAGIC: &[u8; 8] = b"ALAZREC\n";
/// Of the frames; the layout of kernel records has its own version in the same number.
const FORMAT_VERSION: u32 = 1;
const VERSION: u32 = FORMAT_VERSION << 16 | ABI_VERSION;
/// No frame is longer: the longest kernel record has a head and a tail.
const FRAME_MAX: u32 = 64 << 10;

const HEADER: u8 = 1;
const RECORD: u8 = 2;
const DRAINED: u8 = 3;
const PROCESS: u8 = 4;
const END: u8 = 5;

/// Where and when a recording was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Name of the host.
    pub host: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Version of Alaz that made it.
    pub alaz: String,
    /// Wall time at monotonic time zero, ns since 1970.
    pub unix_at_zero_ns: u64,
}

impl Header {
    /// Turns the recording's times into wall times.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock { unix_at_zero_ns: self.unix_at_zero_ns }
    }
}

/// One thing in a recording.
#[derive(Debug)]
pub enum Frame<'a> {
    /// What the kernel side wrote; see [`crate::decode`].
    Record(&'a [u8]),
    /// The ring was empty at this time (ns, monotonic): everything before has been seen.
    Drained(u64),
    /// Facts of a process that were looked up while recording.
    Process(Box<Process>),
    /// The recording ended, with these counters of the kernel side.
    End(Box<KernelCounters>),
}

/// A recording could not be written or read. The message names the file's fault and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Not ours.
    #[error("this is not a recording of Alaz: make one with `alaz record FILE`")]
    NotARecording,
    /// Ours, of another version.
    #[error(
        "the recording is of version {found:#x}, this Alaz reads {VERSION:#x}: replay it with the \
         Alaz that made it, or record again"
    )]
    Version {
        /// What the file says.
        found: u32,
    },
    /// It ends before it says what it holds.
    #[error(
        "the recording is cut off inside its header, so nothing of it can be read: record again"
    )]
    NoHeader,
    /// It ends without its end. What stands before has been delivered.
    #[error(
        "the recording is cut off after byte {whole}; everything before has been read, but what the \
         kernel side lost is not known. Let `alaz record` end by itself or by Ctrl-C"
    )]
    CutOff {
        /// Bytes up to the last whole frame.
        whole: u64,
    },
    /// A frame makes no sense.
    #[error(
        "the recording is damaged at byte {at}: {what}; everything before has been read; record again"
    )]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file is there already.
    #[error("the file exists: remove it or choose another name")]
    Exists,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Writes a recording.
pub struct RecordingWriter<W: Write> {
    out: W,
    bytes: u64,
}

impl RecordingWriter<BufWriter<File>> {
    /// A new file, readable by its owner only.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(path: &Path, header: &Header) -> Result<Self, RecordingError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match file {
            Ok(file) => Self::new(BufWriter::with_capacity(1 << 20, file), header),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(RecordingError::Exists)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl<W: Write> RecordingWriter<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// When `out` refuses.
    pub fn new(mut out: W, header: &Header) -> Result<Self, RecordingError> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let mut writer = RecordingWriter { out, bytes: MAGIC.len() as u64 + 4 };
        writer.json(HEADER, header)?;
        Ok(writer)
    }

    /// Adds a kernel record.
    ///
    /// # Errors
    /// When `out` refuses.
    pub fn record(&mut self, record: &[u8]) -> Result<(), RecordingError> {
        self.frame(RECORD, record)
    }

    /// Notes that everything before `time_ns` has been written.
    ///
    /// # Errors
    /// When `out` refuses.
    pub fn drained(&mut self, time_ns: u64) -> Result<(), RecordingError> {
        self.frame(DRAINED, &time_ns.to_le_bytes())
    }

    /// Adds the facts of a process.
    ///
    /// # Errors
    /// When `out` refuses.
    pub fn process(&mut self, process: &Process) -> Result<(), RecordingError> {
        self.json(PROCESS, process)
    }

    /// Ends the recording and returns its size in bytes.
    ///
    /// # Errors
    /// When `out` refuses.
    pub fn end(mut self, counters: &KernelCounters) -> Result<u64, RecordingError> {
        use zerocopy::IntoBytes;
        self.frame(END, counters.as_bytes())?;
        self.out.flush()?;
        Ok(self.bytes)
    }

    fn json(&mut self, kind: u8, value: &impl Serialize) -> Result<(), RecordingError> {
        let payload = serde_json::to_vec(value).map_err(std::io::Error::other)?;
        self.frame(kind, &payload)
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> Result<(), RecordingError> {
        let length = u32::try_from(payload.len()).map_err(std::io::Error::other)?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(payload)?;
        self.bytes += 5 + u64::from(length);
        Ok(())
    }
}

/// Reads a recording, frame by frame.
pub struct RecordingReader<R: Read> {
    input: R,
    header: Header,
    frame: Vec<u8>,
    /// Where the last frame began.
    frame_at: u64,
    /// Where the next one begins.
    position: u64,
    ended: bool,
}

impl RecordingReader<BufReader<File>> {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When it cannot be read, is none of ours, of another version, or cut off in its header.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::new(BufReader::with_capacity(1 << 20, File::open(path)?))
    }
}

impl<R: Read> RecordingReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When `input` is not a recording of this version, or ends inside its header.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut start = [0; 12];
        let got = read_fully(&mut input, &mut start)?;
        let (magic, version) = start.split_at(MAGIC.len());
        if !magic.starts_with(MAGIC.get(..got).unwrap_or(MAGIC)) {
            return Err(RecordingError::NotARecording);
        }
        if got < start.len() {
            return Err(RecordingError::NoHeader);
        }
        let found = version.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        if found != VERSION {
            return Err(RecordingError::Version { found });
        }
        let empty = Header {
            host: String::new(),
            kernel: String::new(),
            alaz: String::new(),
            unix_at_zero_ns: 0,
        };
        let mut reader = RecordingReader {
            input,
            header: empty,
            frame: Vec::new(),
            frame_at: start.len() as u64,
            position: start.len() as u64,
            ended: false,
        };
        match reader.read_frame() {
            Ok(Some(HEADER)) => {}
            Err(RecordingError::CutOff { .. }) => return Err(RecordingError::NoHeader),
            Err(error) => return Err(error),
            Ok(_) => return Err(reader.damaged("the header is missing")),
        }
        reader.header =
            serde_json::from_slice(&reader.frame).map_err(|error| reader.damaged(&error))?;
        Ok(reader)
    }

    /// Where and when it was made.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next frame; `None` after [`Frame::End`].
    ///
    /// # Errors
    /// When the recording is cut off or damaged here.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, RecordingError> {
        let Some(kind) = self.read_frame()? else { return Ok(None) };
        let frame = match kind {
            RECORD => Frame::Record(&self.frame),
            DRAINED => match self.frame.first_chunk() {
                Some(bytes) => Frame::Drained(u64::from_le_bytes(*bytes)),
                None => return Err(self.damaged("a time is missing")),
            },
            PROCESS => match serde_json::from_slice(&self.frame) {
                Ok(process) => Frame::Process(process),
                Err(error) => return Err(self.damaged(&error)),
            },
            END => match <KernelCounters as zerocopy::FromBytes>::read_from_bytes(&self.frame) {
                Ok(counters) => Frame::End(Box::new(counters)),
                Err(_) => return Err(self.damaged("the end has another length")),
            },
            other => return Err(self.damaged(&format!("a frame of unknown kind {other}"))),
        };
        Ok(Some(frame))
    }

    /// The last frame makes no sense to who decoded it.
    #[must_use]
    pub fn damaged(&self, what: &(impl std::fmt::Display + ?Sized)) -> RecordingError {
        RecordingError::Damaged { at: self.frame_at, what: what.to_string() }
    }

    fn read_frame(&mut self) -> Result<Option<u8>, RecordingError> {
        let mut head = [0; 5];
        let got = read_fully(&mut self.input, &mut head)?;
        self.frame_at = self.position;
        if got == 0 && self.ended {
            return Ok(None);
        }
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length);
        if got < head.len() {
            return Err(RecordingError::CutOff { whole: self.position });
        }
        if self.ended {
            return Err(self.damaged("something follows the end"));
        }
        if length > FRAME_MAX {
            return Err(self.damaged(&format!("a frame of {length} bytes")));
        }
        self.frame.resize(length as usize, 0);
        if read_fully(&mut self.input, &mut self.frame)? < self.frame.len() {
            return Err(RecordingError::CutOff { whole: self.position });
        }
        self.position += head.len() as u64 + u64::from(length);
        self.ended = kind == END;
        Ok(Some(kind))
    }
}

/// Fills `buffer` as far as the input goes and says how far that was.
fn read_fully(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { host: "h".into(), kernel: "6.18".into(), alaz: "0.1.0".into(), unix_at_zero_ns: 7 }
    }

    fn recording() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = RecordingWriter::new(&mut bytes, &header()).unwrap();
        writer.record(b"first").unwrap();
        writer.drained(99).unwrap();
        writer.process(&Process { pid: 5, workload: "web".into(), ..Process::default() }).unwrap();
        let mut counters = KernelCounters::default();
        counters.seen.segments = 3;
        let size = writer.end(&counters).unwrap();
        assert_eq!(size, bytes.len() as u64);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, RecordingError> {
        let mut reader = RecordingReader::new(bytes)?;
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            frames.push(match frame {
                Frame::Record(record) => String::from_utf8_lossy(record).into_owned(),
                Frame::Drained(time) => time.to_string(),
                Frame::Process(process) => process.workload.to_string(),
                Frame::End(counters) => format!("end {}", counters.seen.segments),
            });
        }
        Ok(frames)
    }

    #[test]
    fn reads_what_was_written() {
        let bytes = recording();
        assert_eq!(read(&bytes).unwrap(), ["first", "99", "web", "end 3"]);
        assert_eq!(RecordingReader::new(&bytes[..]).unwrap().header(), &header());
    }

    #[test]
    fn wherever_it_is_cut_off_what_came_before_is_read_and_the_cut_told() {
        let bytes = recording();
        let first = bytes.windows(5).position(|window| window == b"first").unwrap();
        let mut without_header = 0;
        for length in 0..bytes.len() {
            let mut reader = match RecordingReader::new(&bytes[..length]) {
                Ok(reader) => reader,
                Err(RecordingError::NoHeader) => {
                    without_header += 1;
                    assert!(length < first);
                    continue;
                }
                Err(other) => panic!("{length}: {other}"),
            };
            let mut frames = 0;
            let error = loop {
                match reader.next_frame() {
                    Ok(Some(_)) => frames += 1,
                    Ok(None) => panic!("{length}: the end is missing"),
                    Err(error) => break error,
                }
            };
            let RecordingError::CutOff { whole } = error else { panic!("{length}: {error}") };
            assert!(whole <= length as u64);
            assert!(frames >= usize::from(length >= first + 5) && frames < 4, "{length}");
            // What lies before the cut is the same when the file is cut there.
            assert!(matches!(
                read(&bytes[..whole as usize]),
                Err(RecordingError::CutOff { whole: again }) if again == whole
            ));
        }
        assert!(without_header > 50);
    }

    #[test]
    fn refuses_other_files_and_versions() {
        assert!(matches!(read(b"GET / HTTP/1.1\r\n"), Err(RecordingError::NotARecording)));
        let mut bytes = recording();
        bytes[8] = 0xff;
        assert!(matches!(read(&bytes), Err(RecordingError::Version { .. })));
    }

    #[test]
    fn damage_is_named_and_never_believed() {
        let mut bytes = recording();
        let start = bytes.windows(5).position(|window| window == b"first").unwrap() - 5;
        bytes[start + 4] = 0xff;
        assert!(matches!(read(&bytes), Err(RecordingError::Damaged { .. })));
        let mut bytes = recording();
        bytes[start] = 77;
        assert!(matches!(read(&bytes), Err(RecordingError::Damaged { .. })));
    }

    #[test]
    fn files_are_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.alazrec");
        let writer = RecordingWriter::create(&path, &header()).unwrap();
        writer.end(&KernelCounters::default()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(RecordingWriter::create(&path, &header()), Err(RecordingError::Exists)));
        assert!(RecordingReader::open(&path).is_ok());
    }
}
