//! Which connections are copied in depth (those whose protocol needs it, as long as there is room) and
//! which not at all (those that nothing can be understood of).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use alaz_capture::{Capture, DEPTHS_MAX};
use alaz_model::ConnectionKey;
use alaz_protocol::Wish;

/// How long nothing is copied in depth after there was no room: the ring was filling, or Alaz at a limit.
const PAUSE: Duration = Duration::from_secs(10);

/// What was asked of the kernel side.
#[derive(Default)]
pub(crate) struct Depth {
    granted: VecDeque<ConnectionKey>,
    paused_until: Option<Instant>,
}

impl Depth {
    /// Grants wishes for more where there is room for what they bring; takes back everything that was
    /// granted where there is not. Wishes for nothing are always granted.
    pub(crate) fn steer(
        &mut self,
        capture: &Capture,
        has_room: bool,
        wishes: impl Iterator<Item = (ConnectionKey, Wish)>,
    ) {
        if !has_room {
            self.paused_until = Some(Instant::now() + PAUSE);
            self.granted.drain(..).for_each(|key| capture.copy_ends(key));
        }
        let is_paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        // Those that are not heard come again.
        for (key, wish) in wishes {
            if wish == Wish::Nothing {
                let _ = capture.count_only(key);
                continue;
            }
            if is_paused {
                continue;
            }
            // Where the kernel refuses, less is seen of it, and counted so.
            if capture.copy_in_depth(key).is_err() {
                continue;
            }
            self.granted.push_back(key);
            if self.granted.len() > DEPTHS_MAX
                && let Some(oldest) = self.granted.pop_front()
            {
                capture.copy_ends(oldest);
            }
        }
    }
}
