//! What no contract can see from outside: that every reading has an index.

use super::*;

/// The plan of each hot statement, as SQLite words it.
#[tokio::test]
async fn no_hot_reading_scans_or_sorts() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("test.db"), MIGRATIONS).unwrap();
    for sql in [
        "SELECT key FROM conversations WHERE key = x'00'",
        "SELECT title FROM conversations WHERE account = 'a/b' ORDER BY last_sent_at DESC, key LIMIT 10",
        "SELECT title FROM conversations ORDER BY last_sent_at DESC, key LIMIT 10",
        "SELECT key FROM conversations WHERE due_at IS NOT NULL AND due_at <= 5 AND last_key IS NOT NULL
            ORDER BY due_at, key LIMIT 5",
        "SELECT min(due_at) FROM conversations WHERE due_at IS NOT NULL",
        "SELECT text FROM messages WHERE conversation = (SELECT id FROM conversations WHERE key = x'00')
            AND position >= 3 AND (position, key) <= (7, x'00') ORDER BY position, key LIMIT 5",
        "SELECT revision FROM messages WHERE conversation = 1 AND key = x'00'",
        "SELECT key, sent_at FROM messages WHERE conversation = 1 ORDER BY position DESC, key DESC LIMIT 1",
        "SELECT max(messages) FROM analyses WHERE conversation = x'00' AND up_to = x'00'",
        "SELECT id FROM analyses WHERE conversation = x'00' ORDER BY messages DESC, created_at DESC, id DESC LIMIT 1",
        "SELECT 1 FROM gaps WHERE conversation = x'00' AND reason = 'x' AND closed_at >= 5",
    ] {
        let plan = database
            .read(move |c| {
                let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement.query_map([], |row| row.get::<_, String>(3))?;
                steps.collect::<Result<Vec<_>, rusqlite::Error>>()
            })
            .await
            .unwrap();
        for step in plan {
            assert!(!step.contains("TEMP B-TREE"), "{sql}: {step}");
            assert!(!step.contains("SCAN") || step.contains("USING"), "{sql}: {step}");
        }
    }
}
