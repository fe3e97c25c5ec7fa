//! What commands and replies say, as far as it is shown: names and codes, never values.

use compact_str::{CompactString, format_compact};

use super::bson::{Interest, Level, Listener, Value};

/// Longer names of commands are none.
const COMMAND_MAX: usize = 64;
/// Databases have names of 63 bytes at most.
const DATABASE_MAX: usize = 64;
/// Names of databases and collections together have 255 bytes at most.
const NAMESPACE_MAX: usize = 255;

/// What a command asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The command's name.
    pub(super) method: CompactString,
    pub(super) database: CompactString,
    pub(super) collection: CompactString,
    /// The cursor that `getMore` asks to go on with.
    pub(super) cursor: Option<i64>,
    /// The server may hold the reply back until there is something to tell.
    pub(super) waits: bool,
    /// So it may with what is asked of the cursor that this command opens.
    pub(super) opens_waiting: bool,
    /// Parts of it were not seen.
    pub(super) is_torn: bool,
    /// It is about all collections.
    is_about_database: bool,
    explained_has_collection: bool,
}

impl Asked {
    /// What a name such as `shop.orders` says.
    pub(super) fn take_namespace(&mut self, namespace: &[u8]) {
        let dot = namespace.iter().position(|byte| *byte == b'.').unwrap_or(namespace.len());
        let (database, collection) = namespace.split_at(dot);
        self.database = name(database, DATABASE_MAX);
        self.collection = name(collection.get(1..).unwrap_or_default(), NAMESPACE_MAX);
    }

    /// The database alone where the command is about no collection; empty where that is not known.
    pub(super) fn target(&self) -> CompactString {
        let has_none = self.is_about_database || !has_collection(self.method.as_bytes());
        match (&*self.database, &*self.collection) {
            ("", _) => CompactString::default(),
            (database, "") if has_none => database.into(),
            (_, "") => CompactString::default(),
            (database, collection) => format_compact!("{database}.{collection}"),
        }
    }

    fn begins(&mut self, key: &[u8]) -> Interest {
        // A command inside what says how to read (OP_QUERY through mongos).
        if key == b"$query" {
            return Interest::Inside(Level::Command);
        }
        let is_name = key.len() <= COMMAND_MAX
            && key.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && key.first().is_some_and(u8::is_ascii_alphabetic);
        if !is_name {
            return Interest::None;
        }
        self.method = name(key, COMMAND_MAX);
        match key {
            b"explain" => Interest::Inside(Level::Explained),
            _ => Interest::Value,
        }
    }

    fn is_hello(&self) -> bool {
        matches!(&*self.method, "hello" | "isMaster" | "ismaster")
    }
}

impl Listener for Asked {
    fn wants(&mut self, level: Level, is_first: bool, key: &[u8]) -> Interest {
        match (level, key) {
            (Level::Command, _) if is_first => self.begins(key),
            (Level::Command, b"$db") => Interest::Value,
            (Level::Command, b"collection") if self.method == "getMore" => Interest::Value,
            (Level::Command, b"awaitData") if self.method == "find" => Interest::Value,
            (Level::Command, b"pipeline") if self.method == "aggregate" => {
                Interest::Inside(Level::Pipeline)
            }
            (Level::Command, b"topologyVersion" | b"maxAwaitTimeMS") => {
                self.waits |= self.is_hello();
                Interest::None
            }
            (Level::Command, b"maxTimeMS") => {
                // Allowed only where the cursor waits for more.
                self.waits |= self.method == "getMore";
                Interest::None
            }
            (Level::Explained, _) if is_first => {
                self.explained_has_collection = has_collection(key);
                Interest::Value
            }
            (Level::Pipeline, _) if is_first => Interest::Inside(Level::Stage),
            (Level::Stage, b"$changeStream") if is_first => {
                self.opens_waiting = true;
                Interest::None
            }
            _ => Interest::None,
        }
    }

    fn hear(&mut self, level: Level, is_first: bool, key: &[u8], value: Value<'_>) {
        match (level, key, value) {
            (Level::Command, _, Value::Text(text)) if is_first => {
                if has_collection(key) {
                    self.collection = name(text, NAMESPACE_MAX);
                } else if has_namespace(key) {
                    self.take_namespace(text);
                }
            }
            (Level::Command, b"getMore", Value::Number(cursor)) if is_first => {
                self.cursor = Some(cursor);
            }
            (Level::Command, b"aggregate", Value::Number(_)) if is_first => {
                self.is_about_database = true;
            }
            (Level::Command, b"awaitData", Value::Number(value)) => {
                self.opens_waiting |= value != 0;
            }
            (Level::Command, b"collection", Value::Text(text)) => {
                self.collection = name(text, NAMESPACE_MAX);
            }
            // What a namespace says comes first.
            (Level::Command, b"$db", Value::Text(text))
                if !has_namespace(self.method.as_bytes()) =>
            {
                self.database = name(text, DATABASE_MAX);
            }
            (Level::Explained, _, Value::Text(text)) if self.explained_has_collection => {
                self.collection = name(text, NAMESPACE_MAX);
            }
            _ => {}
        }
    }
}

/// What a server says to a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// 1 or 0.
    ok: Option<i64>,
    code: Option<i64>,
    code_name: CompactString,
    write_code: Option<i64>,
    concern_code: Option<i64>,
    concern_name: CompactString,
    /// So many writes of a `bulkWrite` failed.
    failed_writes: i64,
    /// Its cursor; 0 where that is at its end.
    pub(super) cursor: Option<i64>,
    /// It tells what became of each write.
    pub(super) is_bulk: bool,
    /// Parts of it were not seen.
    pub(super) is_torn: bool,
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// `ok` or the code of the error; empty where it is not known.
    pub(super) text: CompactString,
    pub(super) failed: bool,
    /// The error's name, or its code where it has none.
    pub(super) error_type: CompactString,
}

/// What failed without saying why.
const ERROR: CompactString = CompactString::const_new("error");

impl Answered {
    /// A reply that says all there is to say by a flag.
    pub(super) fn with_code(code: i64, name: &'static str) -> Answered {
        let code_name = CompactString::const_new(name);
        Answered { ok: Some(0), code: Some(code), code_name, ..Answered::default() }
    }

    /// A reply to what is no command.
    pub(super) fn fine() -> Answered {
        Answered { ok: Some(1), ..Answered::default() }
    }

    /// It is known to have failed.
    pub(super) fn fail(&mut self) {
        self.ok = Some(0);
    }

    /// The command's own error first, then a write's, then one of the write concern: in each of
    /// these cases something that was asked for was not done.
    pub(super) fn status(&self) -> Status {
        let unnamed = CompactString::default();
        let (code, code_name) = match (self.ok, self.write_code, self.concern_code) {
            (Some(0), _, _) => (self.code, &self.code_name),
            (_, Some(code), _) => (Some(code), &unnamed),
            _ if self.failed_writes > 0 => (None, &unnamed),
            (_, _, Some(code)) => (Some(code), &self.concern_name),
            (Some(_), _, _) if !self.is_torn => {
                let text = CompactString::const_new("ok");
                return Status { text, ..Status::default() };
            }
            _ => return Status::default(),
        };
        let text = match code {
            Some(code) => format_compact!("{code}"),
            None if self.is_torn => CompactString::default(),
            None => ERROR,
        };
        let error_type = if code_name.is_empty() { text.clone() } else { code_name.clone() };
        Status { text, failed: true, error_type }
    }
}

impl Listener for Answered {
    fn wants(&mut self, level: Level, is_first: bool, key: &[u8]) -> Interest {
        match (level, key) {
            (Level::Reply, b"ok" | b"code" | b"codeName" | b"nErrors") => Interest::Value,
            // What servers before 3.6 say to a query that failed.
            (Level::Reply, b"$err") => {
                self.fail();
                Interest::None
            }
            (Level::Reply, b"cursor") => Interest::Inside(Level::Cursor),
            (Level::Reply, b"writeErrors") => Interest::Inside(Level::WriteErrors),
            (Level::Reply, b"writeConcernError") => Interest::Inside(Level::WriteConcernError),
            (Level::Cursor, b"id") => Interest::Value,
            (Level::Cursor, b"firstBatch") if self.is_bulk => Interest::Inside(Level::Results),
            (Level::Results, _) if self.write_code.is_none() => Interest::Inside(Level::Result),
            (Level::WriteErrors, _) if is_first => Interest::Inside(Level::WriteError),
            (Level::WriteError | Level::Result, b"code") => Interest::Value,
            (Level::WriteConcernError, b"code" | b"codeName") => Interest::Value,
            _ => Interest::None,
        }
    }

    fn hear(&mut self, level: Level, _is_first: bool, key: &[u8], value: Value<'_>) {
        match (level, key, value) {
            (Level::Reply, b"ok", Value::Number(ok)) => {
                self.ok = self.ok.filter(|ok| *ok == 0).or(Some(ok));
            }
            (Level::Reply, b"code", Value::Number(code)) => self.code = Some(code),
            (Level::Reply, b"codeName", Value::Text(text)) => self.code_name = code_name(text),
            (Level::Reply, b"nErrors", Value::Number(count)) => self.failed_writes = count,
            (Level::Cursor, b"id", Value::Number(cursor)) => self.cursor = Some(cursor),
            (Level::WriteError | Level::Result, b"code", Value::Number(code)) => {
                self.write_code = self.write_code.or(Some(code));
            }
            (Level::WriteConcernError, b"code", Value::Number(code)) => {
                self.concern_code = Some(code);
            }
            (Level::WriteConcernError, b"codeName", Value::Text(text)) => {
                self.concern_name = code_name(text);
            }
            _ => {}
        }
    }
}

/// A name as it is; empty where it is too long or no text.
fn name(bytes: &[u8], longest: usize) -> CompactString {
    let is_plain = bytes.len() <= longest && !bytes.iter().any(u8::is_ascii_control);
    let text = std::str::from_utf8(bytes).ok().filter(|_| is_plain);
    text.map(CompactString::new).unwrap_or_default()
}

/// Error names are words.
fn code_name(bytes: &[u8]) -> CompactString {
    let is_word = bytes.iter().all(u8::is_ascii_alphanumeric);
    if is_word { name(bytes, COMMAND_MAX) } else { CompactString::default() }
}

/// Commands whose first value is the name of a collection in their database. With others it may be
/// the name of a user.
fn has_collection(command: &[u8]) -> bool {
    matches!(
        command,
        b"aggregate"
            | b"analyze"
            | b"cloneCollectionAsCapped"
            | b"collMod"
            | b"collStats"
            | b"collstats"
            | b"compact"
            | b"convertToCapped"
            | b"count"
            | b"create"
            | b"createIndexes"
            | b"createSearchIndexes"
            | b"delete"
            | b"deleteIndexes"
            | b"distinct"
            | b"drop"
            | b"dropIndexes"
            | b"dropSearchIndex"
            | b"find"
            | b"findAndModify"
            | b"findandmodify"
            | b"getMore"
            | b"insert"
            | b"killCursors"
            | b"listIndexes"
            | b"listSearchIndexes"
            | b"mapReduce"
            | b"mapreduce"
            | b"planCacheClear"
            | b"planCacheClearFilters"
            | b"planCacheListFilters"
            | b"planCacheSetFilter"
            | b"reIndex"
            | b"update"
            | b"updateSearchIndex"
            | b"validate"
    )
}

/// Commands whose first value names the database too.
fn has_namespace(command: &[u8]) -> bool {
    matches!(
        command,
        b"dataSize"
            | b"datasize"
            | b"refineCollectionShardKey"
            | b"renameCollection"
            | b"reshardCollection"
            | b"shardCollection"
            | b"unshardCollection"
    )
}
