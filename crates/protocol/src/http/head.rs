//! The head of an HTTP/1 message: start line and fields (RFC 9112 §2–§5), as far as it is there.

use memchr::memchr;

/// What of a head is needed to pair messages, name them, and find their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) start: Start<'a>,
    /// Value of `Host`.
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) body: BodyFields,
    /// `Upgrade` names HTTP/2 in clear text (RFC 7540 §3.2).
    pub(crate) is_h2c: bool,
    /// Bytes up to and with the empty line; of a head that was cut, all there are.
    pub(crate) length: usize,
    /// The empty line was seen, so no field is missing.
    pub(crate) is_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start<'a> {
    Request { method: &'a [u8], target: &'a [u8] },
    Response { status: u16 },
}

/// What the fields say of the body (RFC 9112 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BodyFields {
    pub(crate) content_length: Option<u64>,
    /// `Transfer-Encoding` is there, and ends in `chunked`.
    pub(crate) chunked: bool,
    /// `Transfer-Encoding` is there, whatever it says.
    pub(crate) encoded: bool,
    /// Several contradicting lengths, or one that is no number.
    pub(crate) contradicts: bool,
}

/// How reading a head went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading<'a> {
    /// Whole, or cut after the start line.
    Head(Head<'a>),
    /// It may become one.
    More,
    /// It is none, and no bytes that follow can change that.
    Invalid,
}

/// Longer methods are none.
const METHOD_MAX: usize = 32;
/// Longer start lines are none.
const LINE_MAX: usize = 32 << 10;
const VERSION: &[u8] = b"HTTP/1.";

/// Reads a request's head. `cut`: nothing follows these bytes.
pub(crate) fn request(bytes: &[u8], cut: bool) -> Reading<'_> {
    let Some((line, rest)) = split_line(bytes) else {
        return if may_be_request_line(bytes) && !cut { Reading::More } else { Reading::Invalid };
    };
    match request_line(line) {
        Some(start) => fields(start, rest, bytes.len(), cut),
        None => Reading::Invalid,
    }
}

/// Whether bytes that may begin anywhere begin with a method: the end of another one is none.
pub(crate) fn begins_with_method(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 20] = [
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"DELETE",
        b"CONNECT",
        b"OPTIONS",
        b"TRACE",
        b"PATCH",
        b"PROPFIND",
        b"PROPPATCH",
        b"MKCOL",
        b"COPY",
        b"MOVE",
        b"REPORT",
        b"SEARCH",
        b"PURGE",
        b"QUERY",
        b"LOCK",
        b"UNLOCK",
    ];
    let word = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    METHODS.iter().any(|method| {
        if word.len() < bytes.len() { *method == word } else { method.starts_with(word) }
    })
}

/// Reads a response's head. `cut`: nothing follows these bytes.
pub(crate) fn response(bytes: &[u8], cut: bool) -> Reading<'_> {
    let Some((line, rest)) = split_line(bytes) else {
        let prefix = VERSION.len().min(bytes.len());
        let plausible = bytes.get(..prefix) == VERSION.get(..prefix) && bytes.len() < LINE_MAX;
        return if plausible && !cut { Reading::More } else { Reading::Invalid };
    };
    match status_line(line) {
        Some(status) => fields(Start::Response { status }, rest, bytes.len(), cut),
        None => Reading::Invalid,
    }
}

/// A first line's bytes without its end, and what follows it. A bare LF ends a line too (RFC 9112
/// §2.2).
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', bytes)?;
    let (line, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

/// `GET /path HTTP/1.1`. Methods are upper-case here: all registered ones are, and what other
/// protocols begin with often is not.
fn request_line(line: &[u8]) -> Option<Start<'_>> {
    let (method, rest) = split_at_space(line)?;
    let (target, version) = split_at_space(rest)?;
    let is_valid = is_method(method) && is_target(target) && is_version(version);
    is_valid.then_some(Start::Request { method, target })
}

fn may_be_request_line(bytes: &[u8]) -> bool {
    if bytes.len() >= LINE_MAX {
        return false;
    }
    let Some((method, rest)) = split_at_space(bytes) else {
        return bytes.len() <= METHOD_MAX && bytes.iter().all(|byte| is_method_byte(*byte));
    };
    if !is_method(method) {
        return false;
    }
    match split_at_space(rest) {
        None => rest.is_empty() || is_target(rest),
        Some((target, version)) => {
            let prefix = VERSION.len().min(version.len());
            let digits = version.get(VERSION.len()..).unwrap_or_default();
            is_target(target)
                && version.get(..prefix) == VERSION.get(..prefix)
                && matches!(digits, b"" | b"0" | b"1" | b"0\r" | b"1\r")
        }
    }
}

/// `HTTP/1.1 200 OK`; the reason may be empty, its space missing.
fn status_line(line: &[u8]) -> Option<u16> {
    let (version, rest) = split_at_space(line)?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let is_valid = is_version(version) && matches!(reason.first(), None | Some(b' '));
    let status = number(digits).and_then(|status| u16::try_from(status).ok())?;
    (is_valid && (100..=999).contains(&status)).then_some(status)
}

fn split_at_space(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', bytes)?;
    Some((bytes.get(..space)?, bytes.get(space + 1..)?))
}

fn is_method(bytes: &[u8]) -> bool {
    (1..=METHOD_MAX).contains(&bytes.len()) && bytes.iter().all(|byte| is_method_byte(*byte))
}

fn is_method_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'-' || byte == b'_'
}

/// RFC 9112 §3.2 has four forms; servers take more bytes than it allows, but no control characters.
fn is_target(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}

fn is_version(bytes: &[u8]) -> bool {
    matches!(bytes, b"HTTP/1.1" | b"HTTP/1.0")
}

/// Reads the field lines after the start line.
fn fields<'a>(start: Start<'a>, mut rest: &'a [u8], total: usize, cut: bool) -> Reading<'a> {
    let mut head = Head {
        start,
        host: None,
        body: BodyFields::default(),
        is_h2c: false,
        length: total,
        is_whole: false,
    };
    loop {
        let Some((line, after)) = split_line(rest) else {
            let plausible = rest.is_empty() || may_be_field(rest);
            return match (cut, plausible) {
                (true, _) => Reading::Head(head),
                (false, true) => Reading::More,
                (false, false) => Reading::Invalid,
            };
        };
        rest = after;
        if line.is_empty() {
            head.length = total - rest.len();
            head.is_whole = true;
            return Reading::Head(head);
        }
        if !field(line, &mut head) {
            return Reading::Invalid;
        }
    }
}

/// Takes what matters of one field line; false when it is none.
fn field<'a>(line: &'a [u8], head: &mut Head<'a>) -> bool {
    // A folded value (RFC 9112 §5.2) goes on here; those that matter are never folded.
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return true;
    }
    let length = line.iter().take_while(|byte| is_token_byte(**byte)).count();
    // Some servers put white space before the colon.
    let Some((name, rest)) = line.split_at_checked(length) else { return false };
    let Some((b':', value)) = rest.trim_ascii_start().split_first() else { return false };
    // By length first: most fields are none of these.
    match name.len() {
        0 => return false,
        4 if name.eq_ignore_ascii_case(b"host") => head.host = Some(value.trim_ascii()),
        7 if name.eq_ignore_ascii_case(b"upgrade") => {
            let mut protocols = value.split(|byte| *byte == b',');
            head.is_h2c |= protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c"));
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => content_length(value, &mut head.body),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            head.body.encoded = true;
            head.body.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        }
        _ => {}
    }
    true
}

fn may_be_field(bytes: &[u8]) -> bool {
    match memchr(b':', bytes) {
        Some(colon) => bytes.get(..colon).is_some_and(is_field_name),
        None => {
            matches!(bytes, [b'\r'] | [b' ' | b'\t', ..])
                || bytes.iter().all(|byte| is_token_byte(*byte) || *byte == b' ')
        }
    }
}

fn is_field_name(name: &[u8]) -> bool {
    // Some servers put white space before the colon.
    let name = name.trim_ascii_end();
    !name.is_empty() && name.iter().all(|byte| is_token_byte(*byte))
}

/// RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    const IS_TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let marks = b"!#$%&'*+-.^_`|~";
        let mut index = 0;
        while index < marks.len() {
            table[marks[index] as usize] = true;
            index += 1;
        }
        table
    };
    IS_TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// One number; the same one repeated, as some proxies do, is taken once (RFC 9110 §8.6).
fn content_length(value: &[u8], body: &mut BodyFields) {
    for part in value.split(|byte| *byte == b',') {
        let length = number(part.trim_ascii());
        body.contradicts |= length.is_none();
        if body.content_length.is_some_and(|before| Some(before) != length) {
            body.contradicts = true;
        }
        body.content_length = length;
    }
}

/// Decimal digits only.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"POST /a?b=c HTTP/1.1\r\nHost: example:8080\r\nContent-Length: 12\r\n\
                             X-Note: with: colons\r\n\r\nrest";

    fn head(reading: Reading<'_>) -> Head<'_> {
        match reading {
            Reading::Head(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_has_its_parts() {
        let head = head(request(REQUEST, false));
        assert_eq!(head.start, Start::Request { method: b"POST", target: b"/a?b=c" });
        assert_eq!(head.host, Some(&b"example:8080"[..]));
        assert_eq!(head.body.content_length, Some(12));
        assert_eq!((head.length, head.is_whole), (REQUEST.len() - 4, true));
    }

    #[test]
    fn every_prefix_asks_for_more_and_never_says_otherwise() {
        let end = REQUEST.len() - 4;
        for length in 1..end {
            assert_eq!(request(&REQUEST[..length], false), Reading::More, "{length}");
        }
        let answer = b"HTTP/1.0 404\nServer: x\n\n";
        for length in 1..answer.len() {
            assert_eq!(response(&answer[..length], false), Reading::More, "{length}");
        }
        assert_eq!(head(response(answer, false)).start, Start::Response { status: 404 });
    }

    #[test]
    fn a_cut_head_gives_what_is_there() {
        let cut = head(request(&REQUEST[..40], true));
        assert!(!cut.is_whole);
        assert_eq!(cut.start, Start::Request { method: b"POST", target: b"/a?b=c" });
        assert_eq!(cut.body, BodyFields::default());
        assert_eq!(request(&REQUEST[..10], true), Reading::Invalid);
    }

    #[test]
    fn what_others_say_is_none() {
        for other in [
            &b"GET /user\r\n"[..],
            b"GET /\r\n",
            b"get / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"OPTIONS sip:x SIP/2.0\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nno field\r\n\r\n",
            b"GET / HTTP/1.1x",
            b"*2\r\n",
            b"\x16\x03\x01\x02\x00",
            b" / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(request(other, false), Reading::Invalid, "{:?}", other.escape_ascii());
        }
        for other in [&b"HTTP/2 200\r\n"[..], b"HTTP/1.1 20 OK\r\n", b"HTTP/1.1 2000\r\n", b"RTSP"]
        {
            assert_eq!(response(other, false), Reading::Invalid, "{:?}", other.escape_ascii());
        }
    }

    #[test]
    fn bodies_are_as_the_fields_say() {
        let body = |fields: &str| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
            match response(text.as_bytes(), false) {
                Reading::Head(head) => head.body,
                other => panic!("{other:?}"),
            }
        };
        assert!(body("transfer-encoding: gzip, Chunked").chunked);
        let other = body("Transfer-Encoding: gzip");
        assert!(other.encoded && !other.chunked);
        assert_eq!(body("Content-Length: 5, 5").content_length, Some(5));
        assert!(!body("Content-Length: 5, 5").contradicts);
        for wrong in ["5, 6", "-1", "", "18446744073709551616", "5\r\nContent-Length: 6"] {
            assert!(body(&format!("Content-Length: {wrong}")).contradicts, "{wrong}");
        }
    }
}
