//! `seeds RECORDING FOLDER`: makes seeds of `conversation` from the connections in a recording.

use std::collections::BTreeMap;
use std::path::Path;

use alaz_capture::{Frame, RecordingReader, decode};
use alaz_model::{Direction, Event, Role};

/// Longer ones only slow the fuzzer down.
const LONGEST: usize = 12 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recording, folder] = arguments.as_slice() else {
        return Err("usage: seeds RECORDING FOLDER".into());
    };
    let mut reader = RecordingReader::open(Path::new(recording))?;
    let mut scripts: BTreeMap<(u64, u64), (u16, Vec<u8>)> = BTreeMap::new();
    while let Some(frame) = reader.next_frame()? {
        let Frame::Record(record) = frame else { continue };
        match decode(record) {
            Some(Event::Open(connection)) => {
                let (role, port) = match connection.role {
                    Role::Unknown => (0, 0),
                    Role::Client => (1, connection.remote.port()),
                    Role::Server => (2, connection.local.port()),
                };
                let about = u8::from(connection.mid_stream) | role << 1;
                let key = (connection.key.socket, connection.key.generation);
                scripts.insert(key, (port, vec![about]));
            }
            Some(Event::Segment(segment)) => {
                let key = (segment.key.socket, segment.key.generation);
                let Some((_, script)) = scripts.get_mut(&key) else { continue };
                if segment.copied() != segment.length as usize || script.len() > LONGEST {
                    continue;
                }
                script.push(u8::from(segment.direction == Direction::Receive) | 0x10);
                script.extend((segment.length as u16).to_be_bytes());
                script.extend(segment.head.iter().chain(segment.tail));
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(folder)?;
    for (number, (port, script)) in scripts.into_values().enumerate() {
        if script.len() > 40 && script.len() <= LONGEST {
            std::fs::write(Path::new(folder).join(format!("{port}-{number}")), script)?;
        }
    }
    Ok(())
}
