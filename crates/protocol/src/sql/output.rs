//! The normalised text as it is written: blanks, lists and length are its business.

use compact_str::CompactString;

/// Longest normalised text, bytes, without its `…`.
pub(super) const TEXT_MAX: usize = 1024;
/// Deeper parentheses are not looked into for repetitions.
const DEPTH_MAX: usize = 16;

/// What the last word was, where it matters for what follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Other,
    /// `IN`, `VALUES`, `ARRAY`: a parenthesis after it holds a list of values.
    ListWord,
}

/// A parenthesis, open or closed, as a range of the text.
#[derive(Clone, Copy, Default)]
struct Group {
    start: usize,
    end: usize,
    is_list: bool,
}

pub(super) struct Output {
    bytes: [u8; TEXT_MAX],
    length: usize,
    is_full: bool,
    /// White space was passed since the last byte.
    has_blank: bool,
    last: Last,
    depth: usize,
    open: [Group; DEPTH_MAX],
    /// The last that was closed at each depth.
    closed: [Group; DEPTH_MAX],
}

impl Default for Output {
    fn default() -> Output {
        Output {
            bytes: [0; TEXT_MAX],
            length: 0,
            is_full: false,
            has_blank: false,
            last: Last::Other,
            depth: 0,
            open: [Group::default(); DEPTH_MAX],
            closed: [Group::default(); DEPTH_MAX],
        }
    }
}

impl Output {
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = TEXT_MAX - self.length;
        let taken = bytes.len().min(room);
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(bytes) {
            *place = *byte;
        }
        self.length += taken;
        self.is_full |= taken < bytes.len();
    }

    /// Writes the blank that stands before the next token, if one does.
    fn settle_blank(&mut self) {
        let follows_opening = matches!(self.written().last(), None | Some(b'(' | b'['));
        if std::mem::take(&mut self.has_blank) && !follows_opening {
            self.push(b" ");
        }
    }

    fn is_in_list(&self) -> bool {
        let innermost = self.depth.checked_sub(1).and_then(|depth| self.open.get(depth));
        innermost.is_some_and(|group| group.is_list)
    }

    pub(super) fn blank(&mut self) {
        self.has_blank = true;
    }

    pub(super) fn symbol(&mut self, byte: u8) {
        self.settle_blank();
        self.push(&[byte]);
        self.last = Last::Other;
    }

    /// `,` or `;`.
    pub(super) fn separator(&mut self, byte: u8) {
        self.push(&[byte]);
        self.has_blank = true;
        self.last = Last::Other;
    }

    pub(super) fn name(&mut self, name: &[u8]) {
        self.settle_blank();
        self.push(name);
        self.last = Last::Other;
    }

    pub(super) fn word(&mut self, word: &[u8]) {
        let is =
            |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
        if self.is_in_list() && is(&["null", "true", "false", "default"]) {
            self.literal();
            return;
        }
        self.name(word);
        if is(&["in", "values", "value", "array"]) {
            self.last = Last::ListWord;
        }
    }

    /// A literal or a parameter; in a list of values the first stands for all.
    pub(super) fn literal(&mut self) {
        self.drop_sign();
        self.last = Last::Other;
        if self.is_in_list() && self.written().ends_with(b"?,") {
            self.length -= 1;
            self.has_blank = false;
            return;
        }
        self.settle_blank();
        self.push(b"?");
    }

    /// A sign that belongs to a number is part of the literal.
    fn drop_sign(&mut self) {
        let before = match self.written() {
            [before @ .., b'-' | b'+'] if !self.has_blank => before,
            _ => return,
        };
        let trimmed = before.trim_ascii_end();
        let is_unary =
            matches!(trimmed.last(), None | Some(b'(' | b'[' | b',' | b'=' | b'<' | b'>'));
        let (length, has_blank) = (trimmed.len(), trimmed.len() < before.len());
        if is_unary {
            (self.length, self.has_blank) = (length, has_blank);
        }
    }

    pub(super) fn open(&mut self, byte: u8) {
        let follows_list = self.written().ends_with(b",")
            && self
                .closed
                .get(self.depth)
                .is_some_and(|before| before.is_list && before.end + 1 == self.length);
        let is_list = self.last == Last::ListWord || follows_list || self.is_in_list();
        self.has_blank |= self.last == Last::ListWord && byte == b'(';
        self.settle_blank();
        if let Some(group) = self.open.get_mut(self.depth) {
            *group = Group { start: self.length, end: 0, is_list };
        }
        self.depth += 1;
        if let Some(inner) = self.closed.get_mut(self.depth) {
            *inner = Group::default();
        }
        self.push(&[byte]);
        self.last = Last::Other;
    }

    pub(super) fn close(&mut self, byte: u8) {
        self.has_blank = false;
        self.push(&[byte]);
        self.last = Last::Other;
        self.depth = self.depth.saturating_sub(1);
        let end = self.length;
        let (Some(group), Some(closed)) =
            (self.open.get_mut(self.depth), self.closed.get_mut(self.depth))
        else {
            return;
        };
        let text = |from: usize, to: usize| self.bytes.get(from..to).unwrap_or_default();
        let repeats = closed.end > closed.start
            && text(closed.end, group.start) == b", "
            && text(closed.start, closed.end) == text(group.start, end);
        if repeats {
            self.length = closed.end;
        } else {
            *closed = Group { end, ..*group };
        }
    }

    /// The text, with a mark where something is missing at its end.
    pub(super) fn finish(self, is_whole: bool) -> CompactString {
        let mut written = self.written();
        if is_whole && !self.is_full {
            while let [before @ .., b';' | b' '] = written {
                written = before;
            }
        } else if let Err(error) = std::str::from_utf8(written)
            && error.error_len().is_none()
        {
            written = written.get(..error.valid_up_to()).unwrap_or_default();
        }
        let mut text = CompactString::from_utf8_lossy(written);
        if !is_whole || self.is_full {
            text.push('…');
        }
        text
    }
}
