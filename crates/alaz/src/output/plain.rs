//! What others wrote, made safe to print for people.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with everything escaped that a terminal would act on instead of showing it: control
/// characters, the C1 ones included, line and paragraph separators, and characters that turn the
/// direction of what follows or cannot be seen. `\u{202e}` stands for such a character.
///
/// Names and targets come from programs and from the wire: without this, a request could move the
/// cursor, or make a line look like another.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_unsafe(letter) {
            // Writing to a string cannot fail.
            let _ = write!(safe, "{}", letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// Unicode's categories Cc, Zl and Zp, `Bidi_Control`, and the zero-width no-break space (UAX #9,
/// UAX #44).
fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        for (text, safe) in [
            ("/users/42?id=?", "/users/42?id=?"),
            ("größe → 日本 👩‍💻", "größe → 日本 👩‍💻"),
            ("\x1b[2J\r\n\t\x7f", r"\u{1b}[2J\r\n\t\u{7f}"),
            ("\u{80}\u{9b}31m\u{9f}\u{a0}", "\\u{80}\\u{9b}31m\\u{9f}\u{a0}"),
            ("a\u{202e}b\u{2066}c\u{2069}", r"a\u{202e}b\u{2066}c\u{2069}"),
            ("\u{200e}\u{200f}\u{61c}\u{feff}", r"\u{200e}\u{200f}\u{61c}\u{feff}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
        ] {
            assert_eq!(plain(text), safe);
        }
    }
}
