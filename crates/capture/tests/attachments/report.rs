//! What is printed: for people, and for the script that makes a table of several kernels.

use alaz_capture::{Attachment, Capture};

#[derive(Default)]
pub(crate) struct Report {
    failures: u32,
}

impl Report {
    pub(crate) fn failed(&self) -> bool {
        self.failures > 0
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

    /// `case WAY ok|FAILED NAME`.
    pub(crate) fn case(
        &mut self,
        attachment: Attachment,
        name: &str,
        outcome: Result<(), String>,
    ) {
        match outcome {
            Ok(()) => println!("case {attachment} ok {name}"),
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
