//! SQL text without what it is about: the same statement gives the same text, whatever its values.
//!
//! In: the text of a statement as it was sent, perhaps cut. Out: its first keyword, and a text of
//! bounded length in which every literal and parameter is `?`, comments are gone, white space is one
//! blank, and lists of values are as short as one value. Names stay as they were written.
//!
//! Where the text can be read in two ways (which quoting is in force, which character set), the
//! reading that shows less is taken.

mod keyword;
mod output;

use compact_str::CompactString;
use memchr::memmem;

use output::Output;

/// Whose SQL it is, as far as it matters for where literals begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) family: Family,
    /// In `'…'` a backslash takes away the meaning of what follows: `standard_conforming_strings` is
    /// off in PostgreSQL, `NO_BACKSLASH_ESCAPES` is off in MySQL.
    pub(crate) backslash_escapes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Postgresql,
    Mysql,
}

impl Dialect {
    /// PostgreSQL as it comes.
    pub(crate) const POSTGRESQL: Dialect =
        Dialect { family: Family::Postgresql, backslash_escapes: false };
    /// MySQL and MariaDB as they come.
    pub(crate) const MYSQL: Dialect = Dialect { family: Family::Mysql, backslash_escapes: true };
}

/// What of a statement may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its first keyword in upper case; empty where that is none.
    pub(crate) method: &'static str,
    /// Ends in `…` where there was more.
    pub(crate) text: CompactString,
}

/// More of a statement's text need not be waited for: what is shown of it is shorter.
pub(crate) const TEXT_ENOUGH: usize = 4096;

/// The statement of a text, of which more may follow where it is not whole.
pub(crate) fn normalise(text: &[u8], is_whole: bool, dialect: Dialect) -> Statement {
    let mut scanner = Scanner {
        text,
        at: 0,
        is_whole,
        dialect,
        has_half_characters: has_half_characters(text),
        method: None,
        out: Output::default(),
    };
    while scanner.at < text.len() && !scanner.out.is_full() {
        scanner.step();
    }
    let is_whole = scanner.is_whole && scanner.at >= text.len();
    Statement { method: scanner.method.unwrap_or(""), text: scanner.out.finish(is_whole) }
}

/// Whether a backslash in this text may be the second half of a character (Shift JIS, GBK, Big5).
fn has_half_characters(text: &[u8]) -> bool {
    memchr::memchr(b'\\', text).is_some()
        && std::str::from_utf8(text).is_err_and(|error| error.error_len().is_some())
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    is_whole: bool,
    dialect: Dialect,
    has_half_characters: bool,
    method: Option<&'static str>,
    out: Output,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self) {
        let is_mysql = self.dialect.family == Family::Mysql;
        let byte = self.peek(0);
        match byte {
            0..=b' ' => self.blank(1),
            b'-' if self.peek(1) == b'-' && (!is_mysql || self.peek(2) <= b' ') => {
                self.line_comment()
            }
            b'#' if is_mysql => self.line_comment(),
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            // The end of a comment whose inside is executed.
            b'*' if is_mysql && self.peek(1) == b'/' => self.blank(2),
            b'\'' => self.string(b'\'', self.dialect.backslash_escapes),
            b'"' if is_mysql => self.string(b'"', self.dialect.backslash_escapes),
            b'"' => self.quoted_name(b'"'),
            b'`' if is_mysql => self.quoted_name(b'`'),
            b'$' if !is_mysql => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'?' if is_mysql => {
                self.at += 1;
                self.out.literal();
            }
            b'(' | b'[' => {
                self.at += 1;
                self.out.open(byte);
            }
            b')' | b']' => {
                self.at += 1;
                self.out.close(byte);
            }
            b',' | b';' => {
                self.at += 1;
                self.out.separator(byte);
            }
            _ if is_word(byte) => self.word(),
            _ => {
                self.at += 1;
                self.out.symbol(byte);
            }
        }
    }

    fn blank(&mut self, bytes: usize) {
        self.at += bytes;
        self.out.blank();
    }

    fn line_comment(&mut self) {
        let length = memchr::memchr(b'\n', self.rest());
        self.blank(length.unwrap_or(self.rest().len()));
    }

    fn block_comment(&mut self) {
        if self.dialect.family == Family::Mysql {
            let executed = match self.rest() {
                [_, _, b'!', ..] => 3,
                [_, _, b'M', b'!', ..] => 4,
                _ => 0,
            };
            if executed > 0 {
                let version = self.text.iter().skip(self.at + executed);
                let digits = version.take_while(|byte| byte.is_ascii_digit()).count();
                self.blank(executed + digits);
                return;
            }
        }
        self.blank(2);
        let mut depth = 1;
        while depth > 0 {
            let Some(next) = memchr::memchr2(b'*', b'/', self.rest()) else {
                self.at = self.text.len();
                return;
            };
            self.at += next;
            match (self.peek(0), self.peek(1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                }
                // PostgreSQL's comments nest.
                (b'/', b'*') if self.dialect.family == Family::Postgresql => {
                    depth += 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    /// From the opening quote on. A string that does not end hides everything after it.
    fn string(&mut self, quote: u8, escapes: bool) {
        self.out.literal();
        self.at += 1;
        loop {
            let Some(next) = memchr::memchr2(quote, b'\\', self.rest()) else {
                self.at = self.text.len();
                return;
            };
            self.at += next;
            if self.peek(0) == b'\\' {
                let before = self.at.checked_sub(1).and_then(|at| self.text.get(at));
                if escapes && self.has_half_characters && before.is_some_and(|byte| *byte >= 0x80) {
                    self.is_whole = false;
                    self.at = self.text.len();
                    return;
                }
                self.at += if escapes { 2 } else { 1 };
            } else if self.peek(1) == quote {
                self.at += 2;
            } else {
                self.at += 1;
                return;
            }
        }
    }

    /// A name in quotes is shown as it is written.
    fn quoted_name(&mut self, quote: u8) {
        let start = self.at;
        self.at += 1;
        while let Some(next) = memchr::memchr(quote, self.rest()) {
            self.at += next + 1;
            if self.peek(0) != quote {
                self.out.name(self.text.get(start..self.at).unwrap_or_default());
                return;
            }
            self.at += 1;
        }
        // It does not end: nobody can say what it is.
        self.at = self.text.len();
        self.out.literal();
    }

    /// `$1`, `$$…$$` or `$tag$…$tag$`.
    fn dollar(&mut self) {
        let tag = self.rest().iter().skip(1).take_while(|byte| is_word(**byte) && **byte != b'$');
        let tag = tag.count();
        if self.peek(1).is_ascii_digit() {
            self.at += 1 + tag;
            self.out.literal();
            return;
        }
        match self.rest().get(tag + 1) {
            Some(b'$') => {
                let (quote, body) = self.rest().split_at(tag + 2);
                let end = memmem::find(body, quote).map(|found| found + 2 * quote.len());
                self.at += end.unwrap_or(self.rest().len());
                self.out.literal();
            }
            None if !self.is_whole => {
                self.at = self.text.len();
                self.out.literal();
            }
            _ => {
                self.at += 1;
                self.out.symbol(b'$');
            }
        }
    }

    /// Decimal, hexadecimal, with exponent, and what may stand directly behind.
    fn number(&mut self) {
        let is_hexadecimal = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X');
        let mut last = 0;
        while self.at < self.text.len() {
            let byte = self.peek(0);
            let is_exponent_sign =
                matches!(byte, b'+' | b'-') && matches!(last, b'e' | b'E') && !is_hexadecimal;
            if !is_word(byte) && byte != b'.' && !is_exponent_sign {
                break;
            }
            last = byte;
            self.at += 1;
        }
        self.out.literal();
    }

    fn word(&mut self) {
        let start = self.at;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        if self.peek(0) == b'\'' && self.is_string_prefix(word) {
            let escapes = match word {
                [b'e' | b'E'] => true,
                [b'b' | b'B' | b'x' | b'X'] => false,
                _ => self.dialect.backslash_escapes,
            };
            self.string(b'\'', escapes);
            return;
        }
        if self.method.is_none() {
            let may_go_on = self.at >= self.text.len() && !self.is_whole;
            self.method = Some(if may_go_on { "" } else { keyword::statement(word) });
        }
        self.out.word(word);
    }

    fn is_string_prefix(&self, word: &[u8]) -> bool {
        match word {
            [b'b' | b'B' | b'x' | b'X' | b'n' | b'N'] => true,
            [b'e' | b'E'] => self.dialect.family == Family::Postgresql,
            // A character set.
            [b'_', ..] => self.dialect.family == Family::Mysql,
            _ => false,
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

#[cfg(test)]
mod tests;
