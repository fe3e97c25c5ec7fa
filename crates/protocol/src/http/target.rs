//! Request targets without their secrets, and routes: targets without what makes each one different.

use compact_str::CompactString;

/// Longer targets are cut.
const TARGET_MAX: usize = 1024;
/// Longer routes are cut.
const ROUTE_MAX: usize = 256;
/// Longer names of query parameters are taken for values.
const NAME_MAX: usize = 64;
/// So long a part of a path, with digits in it, is no word.
const WORD_MAX: usize = 20;
/// Longer host names are cut (RFC 1035 §2.3.4 allows 255).
const HOST_MAX: usize = 255;
const CUT: &str = "…";
const VARIABLE: &str = "{id}";

/// The parts of a request target (RFC 9112 §3.2) that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Values of the query are `?`, credentials and fragment are gone.
    pub(crate) shown: CompactString,
    /// The path alone.
    pub(crate) path: CompactString,
    /// The path with its variable parts replaced.
    pub(crate) route: CompactString,
}

impl Target {
    /// Takes a target apart. `CONNECT` has an authority instead of a path.
    pub(crate) fn new(method: &[u8], bytes: &[u8]) -> Target {
        if let Some(path) = plain_path(bytes) {
            return Target { shown: path.into(), path: path.into(), route: route(path) };
        }
        let text = String::from_utf8_lossy(bytes);
        let text = text.split('#').next().unwrap_or_default();
        if method == b"CONNECT" {
            let authority = cut(without_credentials(text), TARGET_MAX);
            return Target {
                shown: authority.clone(),
                path: CompactString::default(),
                route: authority,
            };
        }
        let (resource, query) = match text.split_once('?') {
            Some((resource, query)) => (resource, Some(query)),
            None => (text, None),
        };
        // Absolute form: scheme, authority, path.
        let (origin, path) = match resource.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some((scheme, without_credentials(authority))), path)
            }
            _ => (None, resource),
        };
        let mut shown = CompactString::default();
        if let Some((scheme, authority)) = origin {
            shown.push_str(scheme);
            shown.push_str("://");
            shown.push_str(authority);
        }
        let path = without_parameters(path);
        shown.push_str(&path);
        if let Some(query) = query {
            shown.push('?');
            redact_query(query, &mut shown);
        }
        Target { shown: cut(&shown, TARGET_MAX), route: route(&path), path: cut(&path, TARGET_MAX) }
    }
}

/// The target, if it is a path of the simplest kind, as most are: nothing in it has a meaning of its
/// own, and nothing is to be cut.
fn plain_path(bytes: &[u8]) -> Option<&str> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte);
    let is_plain = bytes.len() <= ROUTE_MAX && bytes.first() == Some(&b'/');
    if is_plain && bytes.iter().all(plain) { std::str::from_utf8(bytes).ok() } else { None }
}

/// The host of a `Host` or `:authority` field, without its port and credentials.
pub(crate) fn host(field: Option<&[u8]>) -> CompactString {
    let field = field.unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
    let length = field.iter().take_while(|byte| plain(byte)).count();
    if length <= HOST_MAX
        && let Some((name, b"" | [b':', b'0'..=b'9', ..])) = field.split_at_checked(length)
        && !field.contains(&b'@')
        && let Ok(name) = std::str::from_utf8(name)
    {
        return name.into();
    }
    let text = String::from_utf8_lossy(field);
    let text = text.rsplit('@').next().unwrap_or_default();
    let name = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => text.split(':').next().unwrap_or_default(),
    };
    name.get(..name.floor_char_boundary(HOST_MAX)).unwrap_or_default().into()
}

fn without_credentials(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Values of parameters inside the path (`/a;jsessionid=1`) become `?`.
fn without_parameters(path: &str) -> CompactString {
    if !path.contains(';') {
        return path.into();
    }
    let mut out = CompactString::default();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        let mut parts = segment.split(';');
        out.push_str(parts.next().unwrap_or_default());
        for parameter in parts {
            out.push(';');
            out.push_str(parameter.split('=').next().unwrap_or_default());
            if parameter.contains('=') {
                out.push_str("=?");
            }
        }
    }
    out
}

/// `a=1&b` becomes `a=?&?`: a parameter without a name is a value.
fn redact_query(query: &str, out: &mut CompactString) {
    for (index, parameter) in query.split('&').enumerate() {
        if out.len() > TARGET_MAX {
            break;
        }
        if index > 0 {
            out.push('&');
        }
        match parameter.split_once('=') {
            Some((name, _)) if is_name(name) => {
                out.push_str(name);
                out.push_str("=?");
            }
            _ if parameter.is_empty() => {}
            _ => out.push('?'),
        }
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]:*$%".contains(&byte);
    text.len() <= NAME_MAX && text.bytes().all(plain)
}

/// The path with every part that looks like an identifier replaced.
fn route(path: &str) -> CompactString {
    if path.len() <= ROUTE_MAX && !path.bytes().any(may_vary) {
        return path.into();
    }
    let mut out = CompactString::default();
    for (index, part) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        out.push_str(if is_variable(part) { VARIABLE } else { part });
        if out.len() > ROUTE_MAX {
            return cut(&out, ROUTE_MAX);
        }
    }
    out
}

/// Every part that looks like an identifier has one of these.
fn may_vary(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'@' || byte == b'%'
}

/// Numbers, UUIDs, hashes, long mixtures of letters and digits, addresses.
fn is_variable(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return part.contains('@') || part.contains("%40");
    }
    let all = |accept: fn(&u8) -> bool| part.bytes().all(|byte| accept(&byte));
    digits == part.len()
        || part.len() >= 8 && all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
        || part.len() > WORD_MAX && digits >= 4
        || part.contains('@')
        || all(|byte| byte.is_ascii_digit() || b"-.,:_+".contains(byte))
}

fn cut(text: &str, limit: usize) -> CompactString {
    if text.len() <= limit {
        return text.into();
    }
    let mut short = CompactString::from(&text[..text.floor_char_boundary(limit)]);
    short.push_str(CUT);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(target: &str) -> CompactString {
        Target::new(b"GET", target.as_bytes()).shown
    }

    #[test]
    fn values_and_credentials_are_gone() {
        for (target, expected) in [
            ("/", "/"),
            ("*", "*"),
            ("/a?b=c", "/a?b=?"),
            ("/a?b=c&d=e=f&g", "/a?b=?&d=?&?"),
            // A lone value shows that there was one.
            ("/a?secret", "/a??"),
            ("/a?", "/a?"),
            ("/a?x=?y&z=#w", "/a?x=?&z=?"),
            ("/a?x=1;y=2", "/a?x=?"),
            ("/a?&b=1&", "/a?&b=?&"),
            ("/a;jsessionid=5/b;c", "/a;jsessionid=?/b;c"),
            ("http://u:p@h:1/a?b=1", "http://h:1/a?b=?"),
            ("http://h", "http://h"),
            ("/at@path?x=1", "/at@path?x=?"),
            ("/go?to=http://u:p@h/", "/go?to=?"),
        ] {
            assert_eq!(shown(target), expected, "{target}");
        }
        assert_eq!(Target::new(b"CONNECT", b"u:p@h:443").shown, "h:443");
    }

    #[test]
    fn hosts_have_neither_port_nor_credentials() {
        for (field, expected) in [
            ("example", "example"),
            ("a-b.example:8080", "a-b.example"),
            ("", ""),
            ("[::1]:80", "::1"),
            ("u:p@h:1", "h"),
            ("h:1@x", "x"),
            ("m\u{fc}ller:80", "m\u{fc}ller"),
        ] {
            assert_eq!(host(Some(field.as_bytes())), expected, "{field}");
        }
        assert!(host(Some(&[b'a'; 999])).len() <= HOST_MAX);
        assert_eq!(host(None), "");
    }

    #[test]
    fn routes_keep_words_and_drop_identifiers() {
        for (path, expected) in [
            ("/", "/"),
            ("/users/42", "/users/{id}"),
            ("/v1/users/me", "/v1/users/me"),
            ("/api/v2beta/x", "/api/v2beta/x"),
            ("/o/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x", "/o/{id}/x"),
            ("/c/deadbeef00", "/c/{id}"),
            ("/cafe", "/cafe"),
            ("/facade/decade", "/facade/decade"),
            ("/d/2026-11-23", "/d/{id}"),
            ("/m/a@b.example", "/m/{id}"),
            ("/t/eyJhbGciOiJIUzI1NiJ9x4y5z6", "/t/{id}"),
            ("/static/app.css", "/static/app.css"),
            ("/item/42?x=1", "/item/{id}"),
        ] {
            assert_eq!(Target::new(b"GET", path.as_bytes()).route, expected, "{path}");
        }
    }

    #[test]
    fn long_targets_are_cut_between_characters() {
        let long = format!("/{}", "ü".repeat(2000));
        let target = Target::new(b"GET", long.as_bytes());
        assert!(target.shown.len() <= TARGET_MAX + CUT.len() && target.shown.ends_with(CUT));
        assert!(target.route.len() <= ROUTE_MAX + CUT.len());
    }

    proptest! {
        #[test]
        fn a_value_never_shows(
            before in "[a-z/?&=;#@:%.]{0,30}",
            name in "[a-z]{1,5}",
            after in "[a-z/?&=;#@:%.]{0,30}",
        ) {
            // The canary stands where only a value can stand.
            let target = format!("/x{}?{before}&{name}=9SECRET9{after}", "");
            let shown = shown(&target);
            prop_assert!(!shown.contains("9SECRET9"), "{target} gives {shown}");
        }

        #[test]
        fn any_bytes_give_a_bounded_target(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let target = Target::new(b"GET", &bytes);
            prop_assert!(target.shown.len() <= TARGET_MAX + CUT.len());
            prop_assert!(target.route.len() <= ROUTE_MAX + CUT.len());
        }
    }
}
