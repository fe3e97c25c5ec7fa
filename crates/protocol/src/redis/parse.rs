//! RESP 2 and 3, as far as finding the ends of messages and the few words that tell what they are.
//!
//! Elements nest, but their ends are found by counting: an element that holds `n` others makes `n`
//! more due. Only streamed ones, whose number is not told, have to be remembered one inside another.

use memchr::memchr;

/// What the bytes in front are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Whole(T),
    More,
    Invalid,
}

/// A length or count line has no more bytes: type, sign, 19 digits, line end.
const HEADER_MAX: usize = 32;
/// Longer lines are no status, error or number.
const LINE_MAX: usize = 32 << 10;
/// Larger strings are none.
const STRING_MAX: i64 = 1 << 40;
/// Aggregates of more elements are none.
const COUNT_MAX: i64 = 1 << 32;
/// Streamed aggregates one inside another.
const DEPTH_MAX: usize = 16;
/// The number of elements is not told.
const OPEN: u64 = u64::MAX;
pub(super) const LINE_END: usize = 2;

/// The header of one element, or all of one without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Leaf,
    /// So many bytes follow, and a line end.
    Text(u64),
    /// Chunks follow.
    OpenText,
    Chunk(u64),
    /// So many elements follow.
    Aggregate(u64),
    OpenAggregate,
    /// So many elements follow, which tell of the next one and do not count.
    Attribute(u64),
    /// The end of an open aggregate.
    End,
}

/// Finds the end of a number of elements.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    due: u64,
    outer: Vec<u64>,
    in_chunks: bool,
}

/// How far [`Frames`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// So many bytes belong to it.
    pub(super) taken: usize,
    pub(super) then: Then,
}

/// What follows what was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Something else: all elements have ended.
    End,
    /// So many bytes of content.
    Pass(u64),
    More,
    Invalid,
}

impl Frames {
    /// So many elements.
    pub(super) fn of(due: u64) -> Frames {
        Frames { due, ..Frames::default() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.due == 0 && self.outer.is_empty() && !self.in_chunks
    }

    /// Walks over what is there.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Walk {
        let mut taken = 0;
        while !self.is_done() {
            let rest = bytes.get(taken..).unwrap_or_default();
            let (element, length) = match element(rest) {
                Reading::Whole(read) => read,
                Reading::More => return Walk { taken, then: Then::More },
                Reading::Invalid => return Walk { taken, then: Then::Invalid },
            };
            if !self.take(element) {
                return Walk { taken, then: Then::Invalid };
            }
            taken += length;
            let content = match element {
                Element::Text(content) => content + LINE_END as u64,
                Element::Chunk(content) if content > 0 => content + LINE_END as u64,
                _ => continue,
            };
            let after = rest.get(length..).unwrap_or_default();
            match usize::try_from(content).ok().and_then(|content| after.get(..content)) {
                Some(content) if content.ends_with(b"\r\n") => taken += content.len(),
                Some(_) => return Walk { taken, then: Then::Invalid },
                None => return Walk { taken, then: Then::Pass(content) },
            }
        }
        Walk { taken, then: Then::End }
    }

    /// Counts an element. Whether it may stand here.
    fn take(&mut self, element: Element) -> bool {
        if self.in_chunks {
            self.in_chunks = element != Element::Chunk(0);
            let stands = matches!(element, Element::Chunk(_));
            self.leave();
            return stands;
        }
        match element {
            Element::Chunk(_) => return false,
            Element::End if self.due != OPEN => return false,
            Element::End => self.due = 0,
            Element::Attribute(count) => return self.enter(count),
            _ if self.due != OPEN => self.due -= 1,
            _ => {}
        }
        let stands = match element {
            Element::Aggregate(count) => self.enter(count),
            Element::OpenAggregate => {
                self.outer.push(self.due);
                self.due = OPEN;
                self.outer.len() <= DEPTH_MAX
            }
            Element::OpenText => {
                self.in_chunks = true;
                true
            }
            _ => true,
        };
        self.leave();
        stands
    }

    /// So many more are due.
    fn enter(&mut self, count: u64) -> bool {
        if self.due == OPEN {
            if count > 0 {
                self.outer.push(OPEN);
                self.due = count;
            }
            return self.outer.len() <= DEPTH_MAX;
        }
        match self.due.checked_add(count) {
            Some(due) if due != OPEN => self.due = due,
            _ => return false,
        }
        true
    }

    /// Leaves what has ended.
    fn leave(&mut self) {
        while self.due == 0 && !self.in_chunks {
            match self.outer.pop() {
                Some(due) => self.due = due,
                None => break,
            }
        }
    }
}

/// One element's header; all of it where it has no content.
pub(super) fn element(bytes: &[u8]) -> Reading<(Element, usize)> {
    let Some(kind) = bytes.first() else { return Reading::More };
    match kind {
        b'+' | b'-' | b':' | b'#' | b',' | b'(' | b'_' => match line(bytes) {
            Reading::Whole(text) if is_leaf(*kind, text) => {
                Reading::Whole((Element::Leaf, 1 + text.len() + LINE_END))
            }
            Reading::Whole(_) | Reading::Invalid => Reading::Invalid,
            Reading::More => Reading::More,
        },
        b'.' => match header(bytes) {
            Reading::Whole((Header::Empty, length)) => Reading::Whole((Element::End, length)),
            Reading::More => Reading::More,
            _ => Reading::Invalid,
        },
        b'$' | b'!' | b'=' | b';' | b'*' | b'%' | b'~' | b'>' | b'|' => match header(bytes) {
            Reading::Whole((header, length)) => match sized(*kind, header) {
                Some(element) => Reading::Whole((element, length)),
                None => Reading::Invalid,
            },
            Reading::More => Reading::More,
            Reading::Invalid => Reading::Invalid,
        },
        _ => Reading::Invalid,
    }
}

fn sized(kind: u8, header: Header) -> Option<Element> {
    Some(match (kind, header) {
        (b'$', Header::Open) => Element::OpenText,
        (b'$' | b'*', Header::Number(-1)) => Element::Leaf,
        (b'$' | b'!' | b'=', Header::Number(size @ 0..=STRING_MAX)) => Element::Text(size as u64),
        (b';', Header::Number(size @ 0..=STRING_MAX)) => Element::Chunk(size as u64),
        (b'*' | b'~' | b'>' | b'%', Header::Open) => Element::OpenAggregate,
        (b'*' | b'~' | b'>', Header::Number(count @ 0..=COUNT_MAX)) => {
            Element::Aggregate(count as u64)
        }
        (b'%', Header::Number(count @ 0..=COUNT_MAX)) => Element::Aggregate(2 * count as u64),
        (b'|', Header::Number(count @ 0..=COUNT_MAX)) => Element::Attribute(2 * count as u64),
        _ => return None,
    })
}

/// What stands after the type of an element that has content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Number(i64),
    Open,
    Empty,
}

pub(super) fn header(bytes: &[u8]) -> Reading<(Header, usize)> {
    let seen = bytes.get(..HEADER_MAX.min(bytes.len())).unwrap_or_default();
    let Some(end) = seen.iter().position(|byte| *byte == b'\r') else {
        let plausible =
            seen.iter().skip(1).all(|byte| byte.is_ascii_digit() || b"-?".contains(byte));
        return if seen.len() < HEADER_MAX && plausible { Reading::More } else { Reading::Invalid };
    };
    let header = match seen.get(1..end).unwrap_or_default() {
        b"?" => Header::Open,
        b"" => Header::Empty,
        b"-1" => Header::Number(-1),
        digits => match number(digits) {
            Some(number) => Header::Number(number),
            None => return Reading::Invalid,
        },
    };
    match bytes.get(end + 1) {
        Some(b'\n') => Reading::Whole((header, end + LINE_END)),
        Some(_) => Reading::Invalid,
        None => Reading::More,
    }
}

/// Digits only.
pub(super) fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// A line, without its type and end.
fn line(bytes: &[u8]) -> Reading<&[u8]> {
    match memchr(b'\n', bytes) {
        Some(end) if end > 1 && end <= LINE_MAX => {
            match bytes.get(1..end).and_then(|text| text.strip_suffix(b"\r")) {
                Some(text) if memchr(b'\r', text).is_none() => Reading::Whole(text),
                _ => Reading::Invalid,
            }
        }
        None if bytes.len() <= LINE_MAX => Reading::More,
        _ => Reading::Invalid,
    }
}

fn is_leaf(kind: u8, text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    match kind {
        b':' | b'(' => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        b'#' => matches!(text, b"t" | b"f"),
        b'_' => text.is_empty(),
        b',' => matches!(digits, b"inf" | b"nan") || digits.first().is_some_and(u8::is_ascii_digit),
        _ => true,
    }
}

/// So much of a name is looked at.
pub(super) const NAME_SEEN: usize = 256;

/// Arguments of one command that are looked at.
pub(super) const ARGUMENTS_SEEN: usize = 16;

/// The first arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arguments<'a> {
    list: [&'a [u8]; ARGUMENTS_SEEN],
    seen: usize,
    /// Of how many.
    pub(super) count: u64,
    /// Bytes that are done with.
    pub(super) taken: usize,
    /// Elements after them.
    pub(super) due: u64,
}

impl<'a> Arguments<'a> {
    /// Nothing where it was not seen.
    pub(super) fn get(&self, index: usize) -> &'a [u8] {
        self.list.get(..self.seen).and_then(|list| list.get(index)).copied().unwrap_or_default()
    }

    /// Whether the first so many of them, or all, were seen.
    pub(super) fn shows(&self, wanted: usize) -> bool {
        self.seen >= wanted || self.seen as u64 >= self.count
    }

    pub(super) fn seen(&self) -> &[&'a [u8]] {
        self.list.get(..self.seen).unwrap_or_default()
    }

    fn push(&mut self, argument: &'a [u8]) {
        if let Some(place) = self.list.get_mut(self.seen) {
            *place = argument;
            self.seen += 1;
        }
    }
}

/// Reads a command: as many of its arguments as `wanted` says for the first of them, and at most
/// [`ARGUMENTS_SEEN`]. A command without any argument is none, and to be passed over.
pub(super) fn command<'a>(
    bytes: &'a [u8],
    cut: bool,
    wanted: impl Fn(&[u8]) -> usize,
) -> Reading<Arguments<'a>> {
    let nothing = Arguments { list: [&[]; ARGUMENTS_SEEN], seen: 0, count: 0, taken: 0, due: 0 };
    if !bytes.starts_with(b"*") {
        return inline(bytes, nothing);
    }
    let (count, length) = match header(bytes) {
        Reading::Whole((Header::Number(count @ -1..=COUNT_MAX), length)) => (count, length),
        Reading::More => return Reading::More,
        _ => return Reading::Invalid,
    };
    let count = u64::try_from(count).unwrap_or(0);
    let mut arguments = Arguments { count, taken: length, due: count, ..nothing };
    let mut wants = 1;
    while arguments.seen < wants && arguments.due > 0 {
        let rest = bytes.get(arguments.taken..).unwrap_or_default();
        let (size, length) = match (rest.first(), header(rest)) {
            (Some(b'$'), Reading::Whole((Header::Number(size @ 0..=STRING_MAX), length))) => {
                (usize::try_from(size).unwrap_or(usize::MAX), length)
            }
            (None | Some(b'$'), Reading::More) if cut && arguments.seen > 0 => break,
            (None | Some(b'$'), Reading::More) => return Reading::More,
            _ => return Reading::Invalid,
        };
        let content = rest.get(length..).unwrap_or_default();
        let is_whole = size.checked_add(LINE_END).is_some_and(|all| all <= content.len());
        match content.get(..size.min(NAME_SEEN)) {
            _ if is_whole => {
                let (argument, after) = content.split_at(size);
                if !after.starts_with(b"\r\n") {
                    return Reading::Invalid;
                }
                arguments.push(argument);
                arguments.taken += length + size + LINE_END;
                arguments.due -= 1;
            }
            // The rest of a long one is passed over as everything after it is.
            Some(argument) if size > NAME_SEEN && arguments.seen > 0 => {
                arguments.push(argument);
                break;
            }
            _ if cut && arguments.seen > 0 => break,
            _ if size > NAME_SEEN && arguments.seen == 0 => return Reading::Invalid,
            _ => return Reading::More,
        }
        if arguments.seen == 1 {
            wants = wanted(arguments.get(0)).clamp(1, ARGUMENTS_SEEN);
        }
    }
    Reading::Whole(arguments)
}

/// A command as a person types it.
fn inline<'a>(bytes: &'a [u8], nothing: Arguments<'a>) -> Reading<Arguments<'a>> {
    let Some(end) = memchr(b'\n', bytes) else {
        let plausible = bytes.len() <= LINE_MAX && bytes.first().is_some_and(|byte| *byte >= b'\r');
        return if plausible { Reading::More } else { Reading::Invalid };
    };
    let text = bytes.get(..end).unwrap_or_default();
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if end > LINE_MAX || text.iter().any(|byte| *byte < b' ' && *byte != b'\t') {
        return Reading::Invalid;
    }
    let mut arguments = Arguments { taken: end + 1, ..nothing };
    let words = text.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    for word in words {
        arguments.count += 1;
        // What stands in quotes is not taken apart.
        arguments.push(if matches!(word.first(), Some(b'"' | b'\'')) { b"" } else { word });
    }
    Reading::Whole(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Walks over a single element and tells its length.
    fn length(text: &str) -> Option<usize> {
        let mut frames = Frames::of(1);
        let walk = frames.walk(text.as_bytes());
        (walk.then == Then::End).then_some(walk.taken)
    }

    #[test]
    fn every_type_ends_where_it_ends() {
        for whole in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-12\r\n",
            "$0\r\n\r\n",
            "$-1\r\n",
            "$5\r\na\r\nbc\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n*2\r\n:1\r\n:2\r\n$1\r\nx\r\n",
            "_\r\n",
            "#t\r\n",
            ",-1.5e3\r\n",
            ",-inf\r\n",
            "(3492890328409238509324850943850943825024385\r\n",
            "!5\r\nERR x\r\n",
            "=7\r\ntxt:abc\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
            "~1\r\n#f\r\n",
            ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
            "|1\r\n+ttl\r\n:5\r\n*2\r\n:1\r\n:2\r\n",
            "*2\r\n|1\r\n+ttl\r\n:5\r\n:1\r\n:2\r\n",
            "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
            "*?\r\n:1\r\n*2\r\n:2\r\n*?\r\n.\r\n$?\r\n;0\r\n.\r\n",
            "%?\r\n+a\r\n:1\r\n.\r\n",
            "*2\r\n*?\r\n*0\r\n.\r\n:1\r\n",
        ] {
            assert_eq!(length(&format!("{whole}+next")), Some(whole.len()), "{whole:?}");
            for cut in 0..whole.len() {
                assert_eq!(length(&whole[..cut]), None, "{whole:?} at {cut}");
            }
        }
    }

    #[test]
    fn other_bytes_are_no_elements() {
        for wrong in [
            "HTTP/1.1",
            "$x\r\n",
            "$-2\r\n",
            ":\r\n",
            ":1x\r\n",
            "#y\r\n",
            ".\r\n",
            ";1\r\n",
            "*1\n",
            "$1\r\nxyz",
            "_x\r\n",
            "*?\r\n;1\r\n",
            "$99999999999999999999\r\n",
            "$?\r\n:1\r\n",
        ] {
            let walk = Frames::of(1).walk(wrong.as_bytes());
            assert_eq!(walk.then, Then::Invalid, "{wrong:?}");
        }
        let deep = "*?\r\n".repeat(DEPTH_MAX + 1);
        assert_eq!(Frames::of(1).walk(deep.as_bytes()).then, Then::Invalid);
    }

    #[test]
    fn content_is_passed_by_its_length() {
        let mut frames = Frames::of(1);
        let walk = frames.walk(b"*2\r\n$100\r\nabc");
        assert_eq!(walk, Walk { taken: 10, then: Then::Pass(102) });
        assert!(!frames.is_done());
        assert_eq!(frames.walk(b":1\r\n:2\r\n"), Walk { taken: 4, then: Then::End });
    }

    #[test]
    fn commands_are_read_as_far_as_wanted() {
        let text = b"*3\r\n$3\r\nSET\r\n$4\r\nuser\r\n$9\r\nsecret";
        let Reading::Whole(read) = command(text, false, |_| 2) else { panic!("{text:?}") };
        assert_eq!(read.seen(), [&b"SET"[..], b"user"]);
        assert_eq!((read.taken, read.due, read.count), (23, 1, 3));
        for cut in 1..23 {
            assert_eq!(command(&text[..cut], false, |_| 2), Reading::More, "{cut}");
        }
        let Reading::Whole(read) = command(&text[..20], true, |_| 2) else { panic!("cut") };
        assert_eq!((read.seen().len(), read.due), (1, 2));
        let Reading::Whole(read) = command(b"get  k \"a b\"\r\n", false, |_| 2) else {
            panic!("inline")
        };
        assert_eq!((read.get(0), read.get(1), read.due), (&b"get"[..], &b"k"[..], 0));
        assert_eq!(command(b"*1\r\n:1\r\n", false, |_| 2), Reading::Invalid);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut: bool) {
            let _ = command(&bytes, cut, |_| ARGUMENTS_SEEN);
            let mut frames = Frames::of(3);
            prop_assert!(frames.walk(&bytes).taken <= bytes.len());
        }

        #[test]
        fn bytes_like_resp_are_read(text in "([*$%~>|+:;,#_.!=(-][0-9?-]{0,3}\r\n?[a-z]{0,3}){0,40}", cut: bool) {
            let _ = command(text.as_bytes(), cut, |_| ARGUMENTS_SEEN);
            let mut frames = Frames::of(2);
            prop_assert!(frames.walk(text.as_bytes()).taken <= text.len());
        }
    }
}
