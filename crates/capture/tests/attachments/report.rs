//! What is printed: for people, and for the script that makes a table of several kernels.

use std::process::ExitCode;

use alaz_capture::{Attachment, Capture, CaptureError};

use crate::check::Passed;

#[derive(Default)]
pub(crate) struct Report {
    failures: u32,
}

impl Report {
    pub(crate) fn outcome(&self) -> ExitCode {
        if self.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// `attachment WAY attached|refused|REFUSED`; in capitals when the kernel should allow it.
    pub(crate) fn refused(&mut self, attachment: Attachment, reason: &str, must: bool) {
        self.failures += u32::from(must);
        println!("attachment {attachment} {}", if must { "REFUSED" } else { "refused" });
        for line in reason.lines() {
            println!("    {line}");
        }
    }

    /// With one line `verified WAY PROGRAM INSTRUCTIONS` for each program.
    pub(crate) fn attached(&mut self, capture: &Capture) {
        let attachment = capture.attachment();
        println!("attachment {attachment} attached");
        for program in capture.reports() {
            let way = program.attachment.map_or("always", Attachment::as_str);
            println!("verified {way} {} {}", program.program, program.verified_instructions);
            if let Some(reason) = &program.refused {
                self.failures += 1;
                println!("    {} was refused: {reason}", program.program);
            }
        }
    }

    /// `chosen WAY`: what capture takes by itself.
    pub(crate) fn chosen(&mut self, capture: Result<Capture, CaptureError>) {
        match capture {
            Ok(capture) => println!("chosen {}", capture.attachment()),
            Err(error) => {
                self.failures += 1;
                println!("nothing can be chosen: {error}");
            }
        }
    }

    /// `case WAY ok|missed|FAILED NAME`.
    pub(crate) fn case(
        &mut self,
        attachment: Attachment,
        name: &str,
        outcome: Result<Passed, String>,
    ) {
        match outcome {
            Ok(Passed::Exact) => println!("case {attachment} ok {name}"),
            Ok(Passed::Missed) => println!("case {attachment} missed {name}"),
            Err(reason) => {
                self.failures += 1;
                println!("case {attachment} FAILED {name}");
                for line in reason.lines() {
                    println!("    {line}");
                }
            }
        }
    }
}
