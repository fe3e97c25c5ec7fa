//! See the library.
#![no_main]
use alaz_capture::{Frame, RecordingReader, decode};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let Ok(mut reader) = RecordingReader::new(file) else { return };
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Frame::Record(record) = frame {
            let _ = decode(record);
        }
    }
});
