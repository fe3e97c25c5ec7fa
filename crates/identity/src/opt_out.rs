//! Which processes are opted out: of what they say nothing is told, and nothing is copied.

use crate::text::file_name;

/// A process with this in its environment is opted out.
pub(crate) const VARIABLE: &[u8] = b"ALAZ_CAPTURE=off";

/// Processes that the settings opt out, whatever their environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptOut {
    patterns: Vec<String>,
}

impl OptOut {
    /// By patterns in which `*` stands for any text: those with a `/` are compared with the whole path
    /// of the executable, others with its last part and with the process's short name.
    #[must_use]
    pub fn new(patterns: Vec<String>) -> OptOut {
        OptOut { patterns }
    }

    /// Whether a process of this short name and executable is meant.
    pub(crate) fn names(&self, comm: &[u8], executable: &[u8]) -> bool {
        self.patterns.iter().map(String::as_bytes).any(|pattern| match pattern.contains(&b'/') {
            true => matches(pattern, executable),
            false => matches(pattern, comm) || matches(pattern, file_name(executable)),
        })
    }
}

/// In time that grows with the product of both lengths, at worst.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // The last star, and where what it stands for ends so far.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(byte) if text.get(place) == Some(byte) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_at, end)) = star else { return false };
                star = Some((star_at, end + 1));
                at = star_at + 1;
                place = end + 1;
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("redis-server", "redis-server", true),
            ("redis-server", "redis-serve", false),
            ("redis-serve", "redis-server", false),
            ("redis*", "redis", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*server", "redis-server-server", true),
            ("r*s*r", "redis-server", true),
            ("r*x*r", "redis-server", false),
            ("**a*", "aaa", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_with_a_slash_is_of_paths() {
        let named = |pattern: &str| {
            OptOut::new(vec!["nobody".to_owned(), pattern.to_owned()])
                .names(b"worker", b"/opt/vault/bin/vault")
        };
        assert!(named("vault") && named("work*") && named("/opt/vault/*") && named("*/vault"));
        assert!(!named("/vault") && !named("opt") && !named("/opt/*/worker"));
        assert!(!OptOut::default().names(b"", b""));
    }

    proptest::proptest! {
        #[test]
        fn a_text_matches_itself_and_any_part_of_it(text in "[a-c*]{0,12}", start in 0_usize..12, end in 0_usize..12) {
            proptest::prop_assert!(matches(text.as_bytes(), text.as_bytes()));
            let (start, end) = (start.min(text.len()), end.min(text.len()));
            let cut = format!("{}*{}", &text[..start.min(end)], &text[start.max(end)..]);
            proptest::prop_assert!(matches(cut.as_bytes(), text.as_bytes()));
        }
    }
}
