//! Standard output and standard error, whose readers may go away at any time.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

/// Prints all of it on standard output. A reader that went away is no error: it has seen enough.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub(crate) fn print(text: &[u8]) -> anyhow::Result<()> {
    write(&mut io::stdout().lock(), text).context("standard output")
}

/// Says it in a line on standard error. Where nobody listens any more, there is nobody to tell.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn write(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_went_away_is_no_error() {
        assert!(write(&mut Broken(ErrorKind::BrokenPipe), b"x").is_ok());
        assert!(write(&mut Broken(ErrorKind::StorageFull), b"x").is_err());
        let mut out = Vec::new();
        write(&mut out, b"all of it").unwrap();
        assert_eq!(out, b"all of it");
    }
}
