//! Statements as people write them, and secrets in all the places where values can stand.

use proptest::prelude::*;

use super::output::TEXT_MAX;
use super::{Dialect, normalise};

fn postgresql(text: &str) -> String {
    normalise(text.as_bytes(), true, Dialect::POSTGRESQL).text.into()
}

fn mysql(text: &str) -> String {
    normalise(text.as_bytes(), true, Dialect::MYSQL).text.into()
}

fn both(text: &str, expected: &str) {
    assert_eq!(postgresql(text), expected);
    assert_eq!(mysql(text), expected);
}

#[test]
fn literals_of_every_kind_are_gone() {
    both("SELECT * FROM t1 WHERE a = 'x''y' AND b=1", "SELECT * FROM t1 WHERE a = ? AND b=?");
    both("SELECT 1.5, .5, 1e-10, 0xDEADBEEF, 1_000", "SELECT ?, ?, ?, ?, ?");
    both("SELECT x'AB', B'01', N'y'", "SELECT ?, ?, ?");
    both("UPDATE t SET a=-5, b = - 6, c = d -7", "UPDATE t SET a=?, b = - ?, c = d -?");
    both("LIMIT 10 OFFSET 20;", "LIMIT ? OFFSET ?");
    assert_eq!(postgresql(r"SELECT E'a\'b', 'a\', c"), "SELECT ?, ?, c");
    assert_eq!(postgresql("SELECT $$it's$$, $a$ $$ $b$ $a$, $1, $12"), "SELECT ?, ?, ?, ?");
    assert_eq!(postgresql("SELECT U&'d\\0061t'::text"), "SELECT U&?::text");
    assert_eq!(
        postgresql("SELECT a ? 'b', c->>'d' FROM \"T\"\"x\""),
        "SELECT a ? ?, c->>? FROM \"T\"\"x\""
    );
    assert_eq!(
        mysql(r#"SELECT 'a\'b', "c""d\"", _utf8mb4'x', @v, `a``b`"#),
        "SELECT ?, ?, ?, @v, `a``b`"
    );
    assert_eq!(
        mysql("GRANT ALL ON *.* TO 'root'@'%' IDENTIFIED BY \"x\""),
        "GRANT ALL ON *.* TO ?@? IDENTIFIED BY ?"
    );
}

#[test]
fn quoting_follows_the_settings() {
    let text = br"SELECT 'a\', b, \'c'";
    let off = Dialect { backslash_escapes: true, ..Dialect::POSTGRESQL };
    assert_eq!(normalise(text, true, off).text, "SELECT ?");
    assert_eq!(normalise(text, true, Dialect::POSTGRESQL).text, r"SELECT ?, b, \?");
    let without = Dialect { backslash_escapes: false, ..Dialect::MYSQL };
    assert_eq!(normalise(text, true, without).text, r"SELECT ?, b, \?");
}

#[test]
fn lists_of_values_are_as_short_as_one() {
    both("SELECT * FROM t WHERE a IN(1,2 , 'x', NULL)", "SELECT * FROM t WHERE a IN (?)");
    both("x IN ((1, 2), (3, 4)) AND y IN (-1, +2)", "x IN ((?)) AND y IN (?)");
    both(
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, NULL),(3, 'z')",
        "INSERT INTO t (a, b) VALUES (?)",
    );
    both("insert into t values (1, now()), (2, now())", "insert into t values (?, now())");
    both(
        "SELECT f(1, 2) FROM t WHERE a BETWEEN 1 AND 2",
        "SELECT f(?, ?) FROM t WHERE a BETWEEN ? AND ?",
    );
    assert_eq!(
        postgresql("a = ANY(ARRAY[1,2,3]) AND b IN ($1, $2)"),
        "a = ANY(ARRAY[?]) AND b IN (?)"
    );
    assert_eq!(mysql("a IN (?, ?, ?)"), "a IN (?)");
    let long = format!("INSERT INTO t VALUES {}(0,'z')", "(1, 'secret'), ".repeat(5_000));
    both(&long, "INSERT INTO t VALUES (?)");
}

#[test]
fn comments_and_blanks_are_gone() {
    both("/* a */ SELECT  1 -- b\n FROM\tt", "SELECT ? FROM t");
    assert_eq!(postgresql("SELECT /* a /* b */ c */ 1"), "SELECT ?");
    assert_eq!(postgresql("SELECT 5--1"), "SELECT ?");
    assert_eq!(mysql("SELECT 5--1 # c"), "SELECT ?--?");
    assert_eq!(mysql("/*!40101 SET NAMES utf8 */"), "SET NAMES utf8");
    assert_eq!(mysql("SELECT /*M!100100 SQL_NO_CACHE */ a"), "SELECT SQL_NO_CACHE a");
}

#[test]
fn what_is_missing_is_marked() {
    let cut = |text: &str| normalise(text.as_bytes(), false, Dialect::POSTGRESQL).text;
    assert_eq!(cut("SELECT * FROM cust"), "SELECT * FROM cust…");
    assert_eq!(cut("SELECT 'sec"), "SELECT ?…");
    assert_eq!(cut("SELECT $se"), "SELECT ?…");
    assert_eq!(cut("SELECT \"sec"), "SELECT ?…");
    assert_eq!(postgresql("SELECT 'never ends, secret"), "SELECT ?");
    let long = postgresql(&format!("SELECT {}", "column_ä, ".repeat(500)));
    assert!(long.len() <= TEXT_MAX + 3 && long.ends_with('…'), "{long}");
}

#[test]
fn halves_of_characters_do_not_open_strings() {
    // In Shift JIS the second byte of this character is a backslash, and the string ends after it.
    let text = b"INSERT INTO t VALUES ('\x95\x5c', 'secret')";
    assert_eq!(normalise(text, true, Dialect::MYSQL).text, "INSERT INTO t VALUES (?…");
}

#[test]
fn the_first_keyword_is_the_method() {
    let method = |text: &str| normalise(text.as_bytes(), true, Dialect::POSTGRESQL).method;
    assert_eq!(method("  /* x */ (select 1) union select 2"), "SELECT");
    assert_eq!(method("begin"), "BEGIN");
    assert_eq!(method("CREATE_REPLICATION_SLOT x"), "CREATE_REPLICATION_SLOT");
    assert_eq!(method("hunter2 select"), "");
    assert_eq!(normalise(b"DESC", false, Dialect::MYSQL).method, "", "or DESCRIBE");
    assert_eq!(method(""), "");
    assert_eq!(method(&"x".repeat(100)), "");
}

/// Something that no normalised text may hold.
const SECRET: &str = "hunter2";

/// A literal that holds the secret, in both dialects, with quotes and backslashes in the way.
fn secret_literals() -> impl Strategy<Value = (String, String)> {
    let noise = r#"[a-z '"\\$?(),;/*#-]{0,8}"#;
    let tag = "[a-z]{0,3}";
    (noise, noise, tag, 0_u8..4).prop_map(|(before, after, tag, kind)| {
        let value = format!("{before} {SECRET} {after}");
        let doubled = value.replace('\'', "''");
        let escaped = value.replace('\\', r"\\").replace('\'', r"\'");
        let in_dollars = value.replace('$', "");
        let postgresql = match kind {
            0 => format!("'{doubled}'"),
            1 => format!("E'{escaped}'"),
            2 => format!("$${in_dollars}$$"),
            _ => format!("$q{tag}${in_dollars}$q{tag}$"),
        };
        let mysql = match kind {
            0 => format!("'{}'", doubled.replace('\\', r"\\")),
            1 => format!("'{escaped}'"),
            2 => format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\"\"")),
            _ => format!("_utf8'{escaped}'"),
        };
        (postgresql, mysql)
    })
}

fn statements() -> impl Strategy<Value = (String, String)> {
    let between = prop_oneof![
        Just(", "),
        Just(","),
        Just(" AND a = "),
        Just("), ("),
        Just(" /* x ' */ , "),
        Just(" -- don't\n , "),
        Just(" IN ("),
        Just("||"),
        Just(" + 7 + "),
        Just(" = ANY(ARRAY["),
    ];
    proptest::collection::vec((secret_literals(), between), 1..8).prop_map(|parts| {
        let mut statement =
            ("INSERT INTO t VALUES (".to_owned(), "INSERT INTO t VALUES (".to_owned());
        for ((postgresql, mysql), between) in parts {
            statement.0 += &(postgresql + between);
            statement.1 += &(mysql + between);
        }
        statement
    })
}

proptest! {
    #[test]
    fn planted_secrets_stay_in((in_postgresql, in_mysql) in statements(), cut in 0_usize..400) {
        for (text, dialect) in [(&in_postgresql, Dialect::POSTGRESQL), (&in_mysql, Dialect::MYSQL)] {
            let shown = normalise(text.as_bytes(), true, dialect);
            prop_assert!(!shown.text.contains("unter"), "{text} -> {}", shown.text);
            prop_assert_eq!(shown.method, "INSERT");
            let part = text.get(..cut.min(text.len())).unwrap_or(text);
            let shown = normalise(part.as_bytes(), false, dialect);
            prop_assert!(!shown.text.contains("unter"), "{part} -> {}", shown.text);
            prop_assert!(shown.text.ends_with('…'));
        }
    }

    #[test]
    fn values_do_not_change_the_text(one in "[a-z']{0,9}", other in 0_u64.., rows in 1_usize..40) {
        let text = |value: &str| {
            let row = format!("('{}', {value})", one.replace('\'', "''"));
            format!("INSERT INTO t VALUES {}", vec![row; rows].join(", "))
        };
        prop_assert_eq!(postgresql(&text("1")), postgresql(&text(&other.to_string())));
        prop_assert_eq!(mysql(&text("NULL")), "INSERT INTO t VALUES (?)");
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..3000), whole: bool) {
        for dialect in [Dialect::POSTGRESQL, Dialect::MYSQL] {
            let shown = normalise(&bytes, whole, dialect);
            prop_assert!(shown.text.len() <= 3 * TEXT_MAX + 3);
        }
    }

    #[test]
    fn normalising_again_changes_nothing(text in r#"[a-z0-9 '"$(),=]{0,60}"#) {
        let once = mysql(&text);
        prop_assert_eq!(mysql(&once), once);
    }
}
