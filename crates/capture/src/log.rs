//! What libbpf and the kernel's verifier say while programs load.

use std::sync::Mutex;

use libbpf_rs::PrintLevel;

/// The verifier gives its reason at the end, so that is what is kept.
const REASON_BYTES: usize = 4096;
/// Programs of one object, and then some.
const EFFORTS: usize = 64;

/// libbpf knows one listener per process, so there is one log.
static LOG: Mutex<Log> = Mutex::new(Log { reason: String::new(), efforts: Vec::new() });

struct Log {
    reason: String,
    efforts: Vec<(String, u32)>,
}

/// Starts to listen.
pub(crate) fn listen() {
    libbpf_rs::set_print(Some((PrintLevel::Debug, |level, line| {
        let Ok(mut log) = LOG.lock() else { return };
        if level == PrintLevel::Debug {
            if let Some(effort) = effort(&line)
                && log.efforts.len() < EFFORTS
            {
                log.efforts.push(effort);
            }
            return;
        }
        log.reason.push_str(&line);
        if log.reason.len() > REASON_BYTES {
            let least = log.reason.len() - REASON_BYTES;
            let cut = (least..).find(|at| log.reason.is_char_boundary(*at));
            log.reason.drain(..cut.unwrap_or(least));
        }
    })));
}

/// What was said of refusals since the last time.
pub(crate) fn take_reason() -> String {
    LOG.lock().map(|mut log| std::mem::take(&mut log.reason)).unwrap_or_default()
}

/// Programs that were accepted since the last time, with the instructions that the verifier walked.
pub(crate) fn take_efforts() -> Vec<(String, u32)> {
    LOG.lock().map(|mut log| std::mem::take(&mut log.efforts)).unwrap_or_default()
}

/// From `libbpf: prog 'NAME': -- BEGIN PROG LOAD LOG --`, then `processed N insns …` on a line of its own.
fn effort(text: &str) -> Option<(String, u32)> {
    let name = text.strip_prefix("libbpf: prog '")?.split('\'').next()?;
    let (_, rest) = text.split_once("\nprocessed ")?;
    Some((name.to_owned(), rest.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::effort;

    #[test]
    fn the_verifier_tells_its_effort() {
        let text = "libbpf: prog 'on_state': -- BEGIN PROG LOAD LOG --\nfunc#0 @0\nprocessed 214 insns \
                    (limit 1000000) max_states_per_insn 0\n-- END PROG LOAD LOG --\n";
        assert_eq!(effort(text), Some(("on_state".to_owned(), 214)));
        assert_eq!(effort("libbpf: map 'ring': created successfully, fd=5\n"), None);
        assert_eq!(effort("libbpf: prog 'on_state': added 3 insns\n"), None);
    }
}
