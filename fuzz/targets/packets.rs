//! See the library.
#![no_main]
use alaz_capture::PcapReader;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let Ok(mut reader) = PcapReader::new(file) else { return };
    while matches!(reader.read_packet(|_| ()), Ok(true)) {}
});
