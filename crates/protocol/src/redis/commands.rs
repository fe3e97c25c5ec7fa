//! What is known of each command: where its key stands, and what it changes.

use compact_str::{CompactString, format_compact};

use super::parse::{ARGUMENTS_SEEN, Arguments, number};
use crate::pattern::pattern;

/// A command, without anything that should not be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// In capitals; with its subcommand where it has some. Empty for what looks like no command.
    pub(super) method: CompactString,
    /// The pattern of its first key or channel.
    pub(super) target: CompactString,
    pub(super) effect: Effect,
    /// It was cut before its key.
    pub(super) is_cut: bool,
    /// The server may keep the answer until there is something to tell.
    pub(super) waits: bool,
}

/// What a command changes in how the conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Replies with as many confirmations as it names channels.
    Subscribe {
        channels: u64,
    },
    /// The same; naming none means all.
    Unsubscribe {
        channels: u64,
        of: Subscriptions,
    },
    /// Allowed among subscriptions too.
    Ping,
    Select(Option<u32>),
    Multi,
    Exec,
    Discard,
    Reset,
    Hello,
    /// The server tells of every command from now on.
    Monitor,
    /// The connection becomes a replica's; with `SYNC`, without a reply.
    Replicate {
        replies: bool,
    },
    /// `CLIENT REPLY`.
    Replies(Replies),
}

/// Kinds of subscriptions that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscriptions {
    Channels,
    Patterns,
    Shards,
}

/// What `CLIENT REPLY` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Replies {
    #[default]
    On,
    Off,
    /// Not to this command, nor to the next.
    Skip,
}

/// Where a command has its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// It has none, or nobody knows where.
    None,
    At(usize),
    /// After the number of keys, which stands here and may be zero.
    Numbered(usize),
    /// After the word `STREAMS`.
    Streams,
    /// It has subcommands, whose key, if any, stands after them.
    Sub(&'static [&'static str]),
}

/// Longer names are no commands.
const NAME_MAX: usize = 32;

/// What is known of a command, by its name in capitals. `None`: it is not known.
fn key(name: &[u8]) -> Option<Key> {
    Some(match name {
        b"GET" | b"SET" | b"HGET" | b"HSET" | b"INCR" | b"LPUSH" | b"RPUSH" | b"LPOP" | b"RPOP"
        | b"DEL" | b"EXPIRE" | b"EXISTS" | b"MGET" | b"MSET" | b"SETEX" | b"HGETALL" | b"HMGET"
        | b"ZADD" | b"SADD" | b"TTL" | b"PUBLISH" | b"XADD" => Key::At(1),
        b"APPEND"
        | b"BITCOUNT"
        | b"BITFIELD"
        | b"BITFIELD_RO"
        | b"BITPOS"
        | b"BLMOVE"
        | b"BLPOP"
        | b"BRPOP"
        | b"BRPOPLPUSH"
        | b"BZPOPMAX"
        | b"BZPOPMIN"
        | b"COPY"
        | b"DECR"
        | b"DECRBY"
        | b"DELEX"
        | b"DIGEST"
        | b"DUMP"
        | b"EXPIREAT"
        | b"EXPIRETIME"
        | b"GEOADD"
        | b"GEODIST"
        | b"GEOHASH"
        | b"GEOPOS"
        | b"GEORADIUS"
        | b"GEORADIUSBYMEMBER"
        | b"GEORADIUSBYMEMBER_RO"
        | b"GEORADIUS_RO"
        | b"GEOSEARCH"
        | b"GEOSEARCHSTORE"
        | b"GETBIT"
        | b"GETDEL"
        | b"GETEX"
        | b"GETRANGE"
        | b"GETSET"
        | b"HDEL"
        | b"HEXISTS"
        | b"HEXPIRE"
        | b"HEXPIREAT"
        | b"HEXPIRETIME"
        | b"HGETDEL"
        | b"HGETEX"
        | b"HINCRBY"
        | b"HINCRBYFLOAT"
        | b"HKEYS"
        | b"HLEN"
        | b"HMSET"
        | b"HPERSIST"
        | b"HPEXPIRE"
        | b"HPEXPIREAT"
        | b"HPEXPIRETIME"
        | b"HPTTL"
        | b"HRANDFIELD"
        | b"HSCAN"
        | b"HSETEX"
        | b"HSETNX"
        | b"HSTRLEN"
        | b"HTTL"
        | b"HVALS"
        | b"INCRBY"
        | b"INCRBYFLOAT"
        | b"LCS"
        | b"LINDEX"
        | b"LINSERT"
        | b"LLEN"
        | b"LMOVE"
        | b"LPOS"
        | b"LPUSHX"
        | b"LRANGE"
        | b"LREM"
        | b"LSET"
        | b"LTRIM"
        | b"MOVE"
        | b"MSETNX"
        | b"PERSIST"
        | b"PEXPIRE"
        | b"PEXPIREAT"
        | b"PEXPIRETIME"
        | b"PFADD"
        | b"PFCOUNT"
        | b"PFMERGE"
        | b"PSETEX"
        | b"PSUBSCRIBE"
        | b"PTTL"
        | b"PUNSUBSCRIBE"
        | b"RENAME"
        | b"RENAMENX"
        | b"RESTORE"
        | b"RPOPLPUSH"
        | b"RPUSHX"
        | b"SCARD"
        | b"SDIFF"
        | b"SDIFFSTORE"
        | b"SETBIT"
        | b"SETNX"
        | b"SETRANGE"
        | b"SINTER"
        | b"SINTERSTORE"
        | b"SISMEMBER"
        | b"SMEMBERS"
        | b"SMISMEMBER"
        | b"SMOVE"
        | b"SORT"
        | b"SORT_RO"
        | b"SPOP"
        | b"SPUBLISH"
        | b"SRANDMEMBER"
        | b"SREM"
        | b"SSCAN"
        | b"SSUBSCRIBE"
        | b"STRLEN"
        | b"SUBSCRIBE"
        | b"SUBSTR"
        | b"SUNION"
        | b"SUNIONSTORE"
        | b"SUNSUBSCRIBE"
        | b"TOUCH"
        | b"TYPE"
        | b"UNLINK"
        | b"UNSUBSCRIBE"
        | b"VADD"
        | b"VCARD"
        | b"VDIM"
        | b"VEMB"
        | b"VINFO"
        | b"VREM"
        | b"VSIM"
        | b"WATCH"
        | b"XACK"
        | b"XAUTOCLAIM"
        | b"XCLAIM"
        | b"XDEL"
        | b"XLEN"
        | b"XPENDING"
        | b"XRANGE"
        | b"XREVRANGE"
        | b"XSETID"
        | b"XTRIM"
        | b"ZCARD"
        | b"ZCOUNT"
        | b"ZDIFFSTORE"
        | b"ZINCRBY"
        | b"ZINTERSTORE"
        | b"ZLEXCOUNT"
        | b"ZMSCORE"
        | b"ZPOPMAX"
        | b"ZPOPMIN"
        | b"ZRANDMEMBER"
        | b"ZRANGE"
        | b"ZRANGEBYLEX"
        | b"ZRANGEBYSCORE"
        | b"ZRANGESTORE"
        | b"ZRANK"
        | b"ZREM"
        | b"ZREMRANGEBYLEX"
        | b"ZREMRANGEBYRANK"
        | b"ZREMRANGEBYSCORE"
        | b"ZREVRANGE"
        | b"ZREVRANGEBYLEX"
        | b"ZREVRANGEBYSCORE"
        | b"ZREVRANK"
        | b"ZSCAN"
        | b"ZSCORE"
        | b"ZUNIONSTORE" => Key::At(1),
        b"BITOP" => Key::At(2),
        b"LMPOP" | b"SINTERCARD" | b"ZDIFF" | b"ZINTER" | b"ZINTERCARD" | b"ZMPOP" | b"ZUNION" => {
            Key::Numbered(1)
        }
        b"BLMPOP" | b"BZMPOP" | b"EVAL" | b"EVALSHA" | b"EVALSHA_RO" | b"EVAL_RO" | b"FCALL"
        | b"FCALL_RO" => Key::Numbered(2),
        b"XREAD" | b"XREADGROUP" => Key::Streams,
        b"MEMORY" => Key::Sub(&["USAGE"]),
        b"OBJECT" => Key::Sub(&["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"]),
        b"XGROUP" => Key::Sub(&["CREATE", "CREATECONSUMER", "DELCONSUMER", "DESTROY", "SETID"]),
        b"XINFO" => Key::Sub(&["CONSUMERS", "GROUPS", "STREAM"]),
        b"PUBSUB" | b"ACL" | b"CLIENT" | b"CLUSTER" | b"COMMAND" | b"CONFIG" | b"DEBUG"
        | b"FUNCTION" | b"LATENCY" | b"MODULE" | b"SCRIPT" | b"SENTINEL" | b"SLOWLOG" => {
            Key::Sub(&[])
        }
        b"ASKING" | b"AUTH" | b"BGREWRITEAOF" | b"BGSAVE" | b"DBSIZE" | b"DISCARD" | b"ECHO"
        | b"EXEC" | b"FAILOVER" | b"FLUSHALL" | b"FLUSHDB" | b"HELLO" | b"INFO" | b"KEYS"
        | b"LASTSAVE" | b"LOLWUT" | b"MIGRATE" | b"MONITOR" | b"MULTI" | b"PFDEBUG"
        | b"PFSELFTEST" | b"PING" | b"PSYNC" | b"QUIT" | b"RANDOMKEY" | b"READONLY"
        | b"READWRITE" | b"REPLCONF" | b"REPLICAOF" | b"RESET" | b"RESTORE-ASKING" | b"ROLE"
        | b"SAVE" | b"SCAN" | b"SELECT" | b"SHUTDOWN" | b"SLAVEOF" | b"SWAPDB" | b"SYNC"
        | b"TIME" | b"UNWATCH" | b"WAIT" | b"WAITAOF" => Key::None,
        _ => return None,
    })
}

/// Modules whose commands begin with their key.
const KEYED_MODULES: &[&[u8]] = &[b"JSON.", b"BF.", b"CF.", b"CMS.", b"TOPK.", b"TDIGEST.", b"TS."];
/// Among those, commands without one in front.
const NOT_KEYED: &[&[u8]] =
    &[b"JSON.DEBUG", b"TS.MGET", b"TS.MRANGE", b"TS.MREVRANGE", b"TS.QUERYINDEX"];

/// A name in capitals.
struct Name {
    letters: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// `None` for what looks like no name: it may be anything, and is not shown.
    fn new(bytes: &[u8]) -> Option<Name> {
        let mut letters = [0; NAME_MAX];
        let plain = |byte: &u8| byte.is_ascii_alphabetic() || b"._-".contains(byte);
        if !bytes.first().is_some_and(u8::is_ascii_alphabetic) || !bytes.iter().all(plain) {
            return None;
        }
        letters.get_mut(..bytes.len())?.copy_from_slice(bytes);
        letters.make_ascii_uppercase();
        Some(Name { letters, length: bytes.len() })
    }

    fn bytes(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or_default()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    fn key(&self) -> Key {
        let name = self.bytes();
        key(name).unwrap_or_else(|| {
            let is_keyed = KEYED_MODULES.iter().any(|module| name.starts_with(module));
            if is_keyed && !NOT_KEYED.contains(&name) { Key::At(1) } else { Key::None }
        })
    }
}

/// Whether this is a command of the server's own.
pub(super) fn is_known(name: &[u8]) -> bool {
    Name::new(name).is_some_and(|name| key(name.bytes()).is_some())
}

/// How many arguments tell all that is to be told of a command, its name included.
pub(super) fn wanted(name: &[u8]) -> usize {
    let Some(name) = Name::new(name) else { return 1 };
    match name.key() {
        Key::None if matches!(name.bytes(), b"SELECT" | b"HELLO") => 2,
        Key::None => 1,
        Key::At(at) => at + 1,
        Key::Numbered(at) => at + 2,
        Key::Streams => ARGUMENTS_SEEN,
        Key::Sub(_) => 3,
    }
}

impl Command {
    /// What these arguments mean.
    pub(super) fn new(arguments: &Arguments<'_>) -> Command {
        let Some(name) = Name::new(arguments.get(0)) else {
            return Command {
                method: CompactString::default(),
                target: CompactString::default(),
                effect: Effect::None,
                is_cut: false,
                waits: false,
            };
        };
        let mut method = CompactString::from(name.text());
        let mut effect = effect(name.bytes(), arguments);
        let mut waits = matches!(
            name.bytes(),
            b"BLPOP"
                | b"BRPOP"
                | b"BRPOPLPUSH"
                | b"BLMOVE"
                | b"BLMPOP"
                | b"BZPOPMIN"
                | b"BZPOPMAX"
                | b"BZMPOP"
                | b"WAIT"
                | b"WAITAOF"
        );
        let key = match name.key() {
            Key::None => None,
            Key::At(at) => Some(arguments.get(at)),
            Key::Numbered(at) => {
                let is_some = number(arguments.get(at)).is_some_and(|count| count > 0);
                is_some.then(|| arguments.get(at + 1))
            }
            Key::Streams => {
                let at = |word: &[u8]| {
                    arguments.seen().iter().position(|seen| seen.eq_ignore_ascii_case(word))
                };
                let streams = at(b"STREAMS");
                waits = at(b"BLOCK").is_some_and(|block| streams.is_none_or(|at| block < at));
                streams.map(|streams| arguments.get(streams + 1))
            }
            Key::Sub(keyed) => match Name::new(arguments.get(1)) {
                Some(sub) => {
                    method = format_compact!("{method} {}", sub.text());
                    if method == "CLIENT REPLY" {
                        effect = replies(arguments.get(2));
                    }
                    keyed.contains(&sub.text()).then(|| arguments.get(2))
                }
                None => None,
            },
        };
        let target = key.map(pattern).unwrap_or_default();
        let is_cut = !arguments.shows(wanted(name.bytes()));
        Command { method, target, effect, is_cut, waits }
    }
}

fn effect(name: &[u8], arguments: &Arguments<'_>) -> Effect {
    let channels = arguments.count.saturating_sub(1);
    match name {
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" => Effect::Subscribe { channels },
        b"UNSUBSCRIBE" => Effect::Unsubscribe { channels, of: Subscriptions::Channels },
        b"PUNSUBSCRIBE" => Effect::Unsubscribe { channels, of: Subscriptions::Patterns },
        b"SUNSUBSCRIBE" => Effect::Unsubscribe { channels, of: Subscriptions::Shards },
        b"PING" | b"QUIT" => Effect::Ping,
        b"SELECT" => {
            Effect::Select(number(arguments.get(1)).and_then(|index| u32::try_from(index).ok()))
        }
        b"MULTI" => Effect::Multi,
        b"EXEC" => Effect::Exec,
        b"DISCARD" => Effect::Discard,
        b"RESET" => Effect::Reset,
        b"HELLO" => Effect::Hello,
        b"MONITOR" => Effect::Monitor,
        b"PSYNC" => Effect::Replicate { replies: true },
        b"SYNC" => Effect::Replicate { replies: false },
        _ => Effect::None,
    }
}

fn replies(word: &[u8]) -> Effect {
    match word.to_ascii_uppercase().as_slice() {
        b"ON" => Effect::Replies(Replies::On),
        b"OFF" => Effect::Replies(Replies::Off),
        b"SKIP" => Effect::Replies(Replies::Skip),
        _ => Effect::None,
    }
}

/// The first word of an error. Scripts and modules may say anything: what is not written as a code
/// is not shown.
pub(super) fn error_code(word: &[u8]) -> CompactString {
    let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    match std::str::from_utf8(word) {
        Ok(code) if word.first().is_some_and(u8::is_ascii_uppercase) && word.iter().all(plain) => {
            code.into()
        }
        _ => "ERR".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Reading, command};
    use super::*;

    fn read(text: &str) -> Command {
        match command(format!("{text}\r\n").as_bytes(), false, wanted) {
            Reading::Whole(arguments) => Command::new(&arguments),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn commands_show_their_key_and_nothing_else() {
        for (text, method, target) in [
            ("get user:42:cart", "GET", "user:{id}:cart"),
            ("SET user:42 secret", "SET", "user:{id}"),
            ("AUTH user secret", "AUTH", ""),
            ("HELLO 3 AUTH user secret", "HELLO", ""),
            ("ECHO secret", "ECHO", ""),
            ("CONFIG SET requirepass secret", "CONFIG SET", ""),
            ("ACL SETUSER me >secret", "ACL SETUSER", ""),
            ("CLIENT SETNAME secret", "CLIENT SETNAME", ""),
            ("OBJECT encoding mykey", "OBJECT ENCODING", "mykey"),
            ("XGROUP CREATE stream group $", "XGROUP CREATE", "stream"),
            ("XREAD COUNT 2 BLOCK 0 STREAMS orders:7 0", "XREAD", "orders:{id}"),
            ("EVAL return 1 key1 secret", "EVAL", "key1"),
            ("EVAL return 0 secret", "EVAL", ""),
            ("BZMPOP 0 1 queue MIN", "BZMPOP", "queue"),
            ("BITOP AND dest a", "BITOP", "dest"),
            ("MIGRATE host 1 key 0 1 AUTH secret", "MIGRATE", ""),
            ("JSON.GET doc:1 $.a", "JSON.GET", "doc:{id}"),
            ("FT.SEARCH idx secret", "FT.SEARCH", ""),
            ("NOSUCH secret", "NOSUCH", ""),
            ("s3cret!", "", ""),
        ] {
            let command = read(text);
            assert_eq!((&*command.method, &*command.target), (method, target), "{text}");
        }
    }

    #[test]
    fn effects_are_known() {
        assert_eq!(read("SUBSCRIBE a b").effect, Effect::Subscribe { channels: 2 });
        assert_eq!(read("client reply skip").effect, Effect::Replies(Replies::Skip));
        assert_eq!(read("SELECT 3").effect, Effect::Select(Some(3)));
        assert_eq!(read("SELECT x").effect, Effect::Select(None));
        assert!(read("BLPOP a 0").waits && read("XREAD BLOCK 0 STREAMS a $").waits);
        assert!(!read("XREAD STREAMS a BLOCK 0 0").waits && !read("LPOP a").waits);
    }

    #[test]
    fn error_texts_do_not_show() {
        assert_eq!(error_code(b"WRONGTYPE"), "WRONGTYPE");
        assert_eq!(error_code(b"Secret"), "ERR");
        assert_eq!(error_code(b""), "ERR");
    }
}
