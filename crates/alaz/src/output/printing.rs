//! Exchanges to standard output, until nobody reads it any more.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use alaz_model::{Exchange, Ledger};
use alaz_server::ExchangeFilter;

use crate::cli::WatchOutput;
use crate::output::background::Background;
pub(crate) use crate::output::background::Overflow;
use crate::output::exchange::ExchangePrinter;
use crate::output::streams::say;
use crate::pipeline::Sink;
use crate::source::Consumer;

/// The longest that a line waits for others to come along.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Prints what passes the filter.
pub(crate) struct Printing {
    printer: ExchangePrinter<Background>,
    filter: ExchangeFilter,
    flushed: Instant,
    result: io::Result<()>,
}

impl Printing {
    pub(crate) fn new(format: WatchOutput, filter: ExchangeFilter, overflow: Overflow) -> Printing {
        let stdout = io::stdout();
        let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Printing {
            printer: ExchangePrinter::new(Background::new(stdout, overflow), format, colour),
            filter,
            flushed: Instant::now(),
            result: Ok(()),
        }
    }

    /// Prints an exchange that came as a line of JSON from a server, which has filtered it.
    pub(crate) fn line(&mut self, line: &str) {
        if self.result.is_ok() {
            self.result = self.printer.print_line(line);
        }
    }

    /// Lets readers see what was printed, now and then. Breaks when there are none any more.
    pub(crate) fn tick(&mut self) -> ControlFlow<()> {
        if self.result.is_ok() && self.flushed.elapsed() >= FLUSH_EVERY {
            self.flushed = Instant::now();
            self.result = self.printer.flush();
        }
        if self.result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Prints what is left. A reader that went away is no error: it has seen enough.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.result.and_then(|()| self.printer.into_inner().finish()) {
            Ok(0) => Ok(()),
            Ok(lines) => {
                say(format_args!(
                    "alaz: {lines} lines were left out: standard output was not read"
                ));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Sink for Printing {
    fn exchange(&mut self, exchange: &Exchange) {
        if self.result.is_ok() && self.filter.takes(exchange) {
            self.result = self.printer.print(exchange);
        }
    }
}

impl Consumer for Printing {
    fn pass(&mut self, _: &dyn Fn() -> Ledger) -> ControlFlow<()> {
        self.tick()
    }
}
