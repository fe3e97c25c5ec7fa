//! Where what is captured goes, in `alaz run` and `alaz agent` alike.

use std::ops::ControlFlow;
use std::sync::Arc;

use alaz_export::OpenConnection;
use alaz_model::{ConnectionFacts, Exchange, GuardState, GuardStep, Ledger};
use alaz_server::{Feed, Live};

use crate::export::Anteon;
use crate::output::streams::say;
use crate::pipeline::Sink;
use crate::source::{self, Consumer};

/// Hands what the pipeline gives to the feed, and to the Anteon backend where there is one.
pub(super) struct Handing {
    live: Arc<Live>,
    pub(super) feed: Feed,
    step: GuardStep,
    anteon: Option<Anteon>,
}

impl Handing {
    pub(super) fn new(live: &Arc<Live>, feed: Feed, anteon: Option<Anteon>) -> Handing {
        Handing { live: Arc::clone(live), feed, step: GuardStep::None, anteon }
    }
}

impl Sink for Handing {
    fn exchange(&mut self, exchange: &Exchange) {
        self.feed.exchange(exchange);
        if let Some(anteon) = &mut self.anteon {
            anteon.exchange(exchange);
        }
    }

    fn connection(&mut self, facts: &ConnectionFacts) {
        self.feed.connection(facts);
    }
}

impl Consumer for Handing {
    fn pass(&mut self, ledger: &dyn Fn() -> Ledger) -> ControlFlow<()> {
        self.feed.pass(source::unix_now(), ledger);
        if let Some(anteon) = &mut self.anteon {
            anteon.pass();
        }
        ControlFlow::Continue(())
    }

    fn wants_open_connections(&mut self) -> bool {
        self.anteon.as_mut().is_some_and(Anteon::wants_open_connections)
    }

    fn open_connection(&mut self, connection: OpenConnection) {
        if let Some(anteon) = &mut self.anteon {
            anteon.open_connection(connection);
        }
    }

    fn guard(&mut self, state: &GuardState) {
        self.live.set_guard(*state);
        self.feed.keep_samples(state.step < GuardStep::NoSamples);
        if self.step != state.step {
            self.step = state.step;
            say(format_args!("alaz: {}", told(state)));
        }
    }
}

/// What the guard says now, for people.
fn told(state: &GuardState) -> String {
    let follows = match state.step {
        GuardStep::None => "nothing is left undone any more",
        GuardStep::NoDepth => "only the ends of long calls are copied",
        GuardStep::NoSamples => "also, exchanges are counted and not kept one by one",
        GuardStep::CountedOnly => "also, traffic is counted and not read",
    };
    format!(
        "{:.2} cores (limit {}) and {:.0} MiB (limit {:.0}) are taken: {follows} ({})",
        state.cpu_cores,
        state.cpu_limit_cores,
        state.resident_bytes as f64 / MIB,
        state.memory_limit_bytes as f64 / MIB,
        state.step.as_str(),
    )
}

const MIB: f64 = (1 << 20) as f64;
