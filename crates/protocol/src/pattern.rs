//! Names that applications make (keys, channels, queues, routing keys), without what makes each one
//! different: `user:42:cart` becomes `user:{id}:cart`.
//!
//! Names are made of words and of values, and values may be secrets (session tokens, addresses). So
//! only what looks like a word is kept.

use compact_str::CompactString;

/// Longer patterns are cut.
pub(crate) const PATTERN_MAX: usize = 128;
/// Longer parts are no words.
const WORD_MAX: usize = 24;
/// A word may end in so many digits (`v2`, `shard12`).
const DIGITS_MAX: usize = 2;
/// More consonants in a row make no word that anybody says.
const CONSONANTS_MAX: usize = 5;
const VARIABLE: &str = "{id}";
const CUT: &str = "…";

/// The pattern of a name.
pub(crate) fn pattern(name: &[u8]) -> CompactString {
    let mut out = CompactString::default();
    let mut rest = name;
    loop {
        let end = rest.iter().position(|byte| is_separator(*byte)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        match std::str::from_utf8(part) {
            Ok(part) if part.is_empty() || is_word(part) => out.push_str(part),
            _ => out.push_str(VARIABLE),
        }
        let Some((separator, after)) = after.split_first() else { break };
        if out.len() >= PATTERN_MAX {
            out.push_str(CUT);
            break;
        }
        out.push(char::from(*separator));
        rest = after;
    }
    out
}

/// `*` and `#` are wildcards of channels and routing keys; braces are hash tags.
fn is_separator(byte: u8) -> bool {
    b":./|,*#?{}[]".contains(&byte)
}

/// Letters, joined by `-` and `_`, and few digits at the end.
fn is_word(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphabetic() || b"-_".contains(&byte);
    let letters = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
    part.len() <= WORD_MAX
        && part.len() - letters.len() <= DIGITS_MAX
        && letters.bytes().all(plain)
        && letters.bytes().any(|byte| byte.is_ascii_alphabetic())
        && is_sayable(letters)
}

/// Random letters give themselves away: capitals here and there, or no vowels for long.
fn is_sayable(part: &str) -> bool {
    let (mut consonants, mut humps, mut before) = (0, 0, b'-');
    for byte in part.bytes() {
        let letter = byte.to_ascii_lowercase();
        let vowel = b"aeiouy".contains(&letter);
        consonants = if letter.is_ascii_lowercase() && !vowel { consonants + 1 } else { 0 };
        humps += usize::from(byte.is_ascii_uppercase() && before.is_ascii_lowercase());
        if consonants > CONSONANTS_MAX {
            return false;
        }
        before = byte;
    }
    // camelCase has a capital in four letters at most, on average.
    humps * 4 <= part.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_and_values_go() {
        for (name, expected) in [
            ("", ""),
            ("cart", "cart"),
            ("user:42:cart", "user:{id}:cart"),
            ("user:42", "user:{id}"),
            ("{user1000}.following", "{{id}}.following"),
            ("cache:v2:page_1", "cache:v2:page_1"),
            ("key:000000000042", "key:{id}"),
            ("mylist", "mylist"),
            ("key:__rand_int__", "key:__rand_int__"),
            ("orders.created.*", "orders.created.*"),
            ("orders.eu-1.#", "orders.eu-1.#"),
            ("orders.3f2504e0-4f89-11d3-9a0c-0305e82c3301", "orders.{id}"),
            ("mail/ada@example.org", "mail/{id}.org"),
            ("session:KxoPqRsTuVwAbC", "session:{id}"),
            ("session:xkcdqwrtzp", "session:{id}"),
            ("amq.gen-JzTY20BRgKO-HjmUJj0wLg", "amq.{id}"),
            ("amq.ctag-1.abc", "amq.ctag-1.abc"),
            ("userProfile:cacheTable", "userProfile:cacheTable"),
            ("name:żółw", "name:{id}"),
            ("with space", "{id}"),
            ("2026", "{id}"),
            ("7", "{id}"),
        ] {
            assert_eq!(pattern(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(pattern(b"bin:\xff\x00"), "bin:{id}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_pattern(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(pattern(&bytes).len() <= PATTERN_MAX + WORD_MAX + CUT.len());
        }

        #[test]
        fn a_token_never_shows(before in "[a-z:]{0,20}", token in "[0-9a-f]{4}7[0-9a-f]{6}42[0-9a-f]{4}8") {
            let shown = pattern(format!("{before}:{token}").as_bytes());
            prop_assert!(!shown.contains(&token), "{}", shown);
        }
    }
}
