//! The words with which statements begin.

/// Longer than any of them.
const LONGEST: usize = 24;

macro_rules! statements {
    ($($word:literal)*) => {
        /// The keyword that a statement begins with, in upper case; empty where it is none.
        pub(super) fn statement(word: &[u8]) -> &'static str {
            let mut upper = [0; LONGEST];
            let Some(upper) = upper.get_mut(..word.len()) else { return "" };
            upper.copy_from_slice(word);
            upper.make_ascii_uppercase();
            match std::str::from_utf8(upper) {
                $(Ok($word) => $word,)*
                _ => "",
            }
        }
    };
}

statements! {
    "SELECT" "INSERT" "UPDATE" "DELETE" "MERGE" "WITH" "VALUES" "TABLE" "REPLACE"
    "BEGIN" "START" "COMMIT" "END" "ROLLBACK" "ABORT" "SAVEPOINT" "RELEASE" "XA"
    "PREPARE" "EXECUTE" "DEALLOCATE" "DECLARE" "FETCH" "MOVE" "OPEN" "CLOSE" "HANDLER"
    "CREATE" "ALTER" "DROP" "TRUNCATE" "RENAME" "COMMENT" "GRANT" "REVOKE" "REASSIGN" "SECURITY"
    "COPY" "LOAD" "IMPORT" "LOCK" "UNLOCK" "CALL" "DO" "SIGNAL" "RESIGNAL" "GET" "IF"
    "SET" "RESET" "SHOW" "DISCARD" "USE" "EXPLAIN" "DESCRIBE" "DESC" "HELP"
    "ANALYZE" "ANALYSE" "VACUUM" "CLUSTER" "REINDEX" "CHECKPOINT" "REFRESH"
    "CHECK" "CHECKSUM" "OPTIMIZE" "REPAIR" "CACHE" "FLUSH" "KILL" "PURGE"
    "LISTEN" "NOTIFY" "UNLISTEN" "BINLOG" "CHANGE" "STOP" "SHUTDOWN" "RESTART" "CLONE" "BACKUP"
    "INSTALL" "UNINSTALL"
    "IDENTIFY_SYSTEM" "BASE_BACKUP" "START_REPLICATION" "CREATE_REPLICATION_SLOT"
    "DROP_REPLICATION_SLOT" "READ_REPLICATION_SLOT" "ALTER_REPLICATION_SLOT" "TIMELINE_HISTORY"
}
