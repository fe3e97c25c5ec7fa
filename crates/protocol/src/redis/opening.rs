//! How messages of a server begin: what tells replies, errors and pushes apart.

use super::parse::{Element, Header, LINE_END, NAME_SEEN, Reading, element, header};

/// How something that a server says begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening<'a> {
    pub(super) kind: Kind,
    /// Simple strings and errors: the first word. Arrays and pushes: the first string, if short.
    pub(super) word: &'a [u8],
    /// The string after the word: of a published message, the channel.
    pub(super) channel: &'a [u8],
    /// The number after that: of a confirmation, the subscriptions there are now.
    pub(super) total: Option<u64>,
    /// Of an attribute, how long its header is and how many elements follow.
    pub(super) attribute: (usize, u64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Other,
    Simple,
    Error,
    Array,
    Map,
    Push,
    Attribute,
    Null,
}

/// Longer first words are not kept.
const WORD_MAX: usize = 32;
/// Reads how something begins that a server says.
pub(super) fn opening(bytes: &[u8], cut: bool) -> Reading<Opening<'_>> {
    let (element, length) = match element(bytes) {
        Reading::Whole(read) => read,
        Reading::More => return Reading::More,
        Reading::Invalid => return Reading::Invalid,
    };
    let rest = bytes.get(length..).unwrap_or_default();
    let mut opening = Opening::default();
    match (bytes.first(), element) {
        (Some(b'+' | b'-'), _) => {
            opening.kind = if bytes.starts_with(b"-") { Kind::Error } else { Kind::Simple };
            opening.word = first_word(bytes.get(1..length - LINE_END).unwrap_or_default());
        }
        (Some(b'!'), Element::Text(size)) => {
            opening.kind = Kind::Error;
            let needed = usize::try_from(size).unwrap_or(WORD_MAX).min(WORD_MAX + 1);
            match rest.get(..needed) {
                Some(text) => opening.word = first_word(text),
                None if cut => {}
                None => return Reading::More,
            }
        }
        (Some(b'%'), _) => opening.kind = Kind::Map,
        (_, Element::Attribute(count)) => {
            opening.kind = Kind::Attribute;
            opening.attribute = (length, count);
        }
        (Some(b'*'), Element::Leaf) | (Some(b'_'), _) => opening.kind = Kind::Null,
        (Some(kind @ (b'*' | b'>')), Element::Aggregate(count)) => {
            opening.kind = if *kind == b'>' { Kind::Push } else { Kind::Array };
            if count > 0 {
                return words(opening, rest, count, cut);
            }
        }
        (Some(b'*'), _) => opening.kind = Kind::Array,
        (Some(b'>'), _) => opening.kind = Kind::Push,
        (_, Element::Chunk(_) | Element::End) => return Reading::Invalid,
        _ => {}
    }
    Reading::Whole(opening)
}

/// The first elements of what may be a published message.
fn words<'a>(
    mut opening: Opening<'a>,
    bytes: &'a [u8],
    count: u64,
    cut: bool,
) -> Reading<Opening<'a>> {
    let partial = |opening| if cut { Reading::Whole(opening) } else { Reading::More };
    let (word, rest) = match string(bytes, WORD_MAX) {
        Reading::Whole(Some(read)) => read,
        Reading::Whole(None) => return Reading::Whole(opening),
        Reading::More => return partial(opening),
        Reading::Invalid => return Reading::Invalid,
    };
    opening.word = word;
    if !matches!(count, 3 | 4) || !is_published(word) && !is_confirmation(word) {
        return Reading::Whole(opening);
    }
    let (channel, rest) = match string(rest, NAME_SEEN) {
        Reading::Whole(Some(read)) => read,
        Reading::Whole(None) => return Reading::Whole(opening),
        Reading::More => return partial(opening),
        Reading::Invalid => return Reading::Invalid,
    };
    opening.channel = channel;
    if is_confirmation(word) && !rest.is_empty() {
        match (rest.first(), header(rest)) {
            (Some(b':'), Reading::Whole((Header::Number(total), _))) => {
                opening.total = u64::try_from(total).ok();
            }
            (Some(b':'), Reading::More) => return partial(opening),
            _ => {}
        }
    } else if is_confirmation(word) {
        return partial(opening);
    }
    Reading::Whole(opening)
}

/// A string in front, as much of it as is wanted, and what follows it. `None` where it is something
/// else, or longer.
fn string(bytes: &[u8], wanted: usize) -> Reading<Option<(&[u8], &[u8])>> {
    let (element, length) = match element(bytes) {
        Reading::Whole(read) => read,
        Reading::More => return Reading::More,
        Reading::Invalid => return Reading::Invalid,
    };
    let rest = bytes.get(length..).unwrap_or_default();
    match element {
        Element::Text(size) if size <= wanted as u64 => {
            let size = size as usize;
            match (rest.get(..size), rest.get(size..size + LINE_END)) {
                (Some(text), Some(b"\r\n")) => {
                    Reading::Whole(Some((text, rest.get(size + LINE_END..).unwrap_or_default())))
                }
                (_, Some(_)) => Reading::Invalid,
                _ => Reading::More,
            }
        }
        // Nothing is named: the last subscription has ended.
        Element::Leaf if bytes.starts_with(b"$") || bytes.starts_with(b"_") => {
            Reading::Whole(Some((&[], rest)))
        }
        _ => Reading::Whole(None),
    }
}

fn first_word(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    text.get(..end).filter(|word| word.len() <= WORD_MAX).unwrap_or_default()
}

/// The first word of a message that somebody published.
pub(super) fn is_published(word: &[u8]) -> bool {
    matches!(word, b"message" | b"pmessage" | b"smessage")
}

/// The first word of what answers a subscription or its end.
pub(super) fn is_confirmation(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"p").or_else(|| word.strip_prefix(b"s")).unwrap_or(word);
    // `subscribe` itself begins with an `s`.
    matches!(word, b"subscribe" | b"ubscribe" | b"unsubscribe")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn openings_tell_what_is_said() {
        let told = |text: &'static str| match opening(text.as_bytes(), false) {
            Reading::Whole(opening) => (opening.kind, opening.word, opening.channel, opening.total),
            other => panic!("{text:?}: {other:?}"),
        };
        assert_eq!(
            told("-MOVED 3999 127.0.0.1:6381\r\n"),
            (Kind::Error, &b"MOVED"[..], &b""[..], None)
        );
        assert_eq!(told("!21\r\nSYNTAX invalid syntax\r\n").1, b"SYNTAX");
        assert_eq!(
            told("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1"),
            (Kind::Array, &b"message"[..], &b"news"[..], None)
        );
        assert_eq!(
            told(">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:2\r\n"),
            (Kind::Push, &b"subscribe"[..], &b"news"[..], Some(2))
        );
        assert_eq!(told("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n").3, Some(0));
        assert_eq!(opening(b"*3\r\n$7\r\nmess", false), Reading::More);
        assert_eq!(
            opening(b"*3\r\n:1\r\n", false),
            Reading::Whole(Opening { kind: Kind::Array, ..Opening::default() })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut: bool) {
            let _ = opening(&bytes, cut);
        }

        #[test]
        fn bytes_like_resp_are_read(
            text in "([*$%~>|+:;,#_.!=(-][0-9?-]{0,3}\r\n?[a-z]{0,3}){0,40}",
            cut: bool,
        ) {
            let _ = opening(text.as_bytes(), cut);
        }
    }
}
