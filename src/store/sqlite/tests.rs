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

/// A file of the version before purses and edits: what is in it is read, and goes on.
#[tokio::test]
async fn a_file_of_an_earlier_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let earlier = Database::open(&path, &MIGRATIONS[..2]).unwrap();
    let key = ConversationKey::from_bytes([7; 16]);
    let up_to = MessageKey::native(&key, "1");
    let id = AnalysisId::new(&key, &up_to, "1", "m");
    let document = format!(
        r#"{{"id":"{id}","account":"demo/default","conversation":"{key}","up_to":"{up_to}","messages":3,"summary":"s",
            "topics":[],"language":null,"sentiment":"neutral","priority":"low","last_speaker":"in","needs_reply":false,
            "needs_reply_reason":null,"links":[],"money":[],"risk_flags":[],"model":"m","prompt_version":"1",
            "created_at":"2026-11-01T10:00:00Z"}}"#
    );
    earlier
        .write(move |c| {
            c.execute("INSERT INTO mirror_rows (conversation, hash) VALUES (?1, ?2)", (key.as_bytes(), [1_u8; 16]))?;
            c.execute(
                "INSERT INTO analyses (id, conversation, up_to, messages, created_at, document)
                 VALUES (?1, ?2, ?3, 3, 0, ?4)",
                (id.as_bytes(), key.as_bytes(), up_to.to_bytes(), document),
            )?;
            c.execute(
                "INSERT INTO conversations (key, account, native_id, title, title_at, messages, last_key, updated_at, due_at)
                 VALUES (?1, 'demo/default', '7', 'Anna', 0, 3, ?2, 0, 5)",
                (key.as_bytes(), up_to.to_bytes()),
            )
        })
        .await
        .unwrap();
    earlier.close().await;
    let store = SqliteStore::open(Database::open(&path, MIGRATIONS).unwrap());
    let found = store.latest_analysis(&key, "m", "1").await.unwrap().unwrap();
    assert_eq!((found.id, found.messages, found.reading), (id, 3, crate::domain::Reading::default()));
    let due = store.due(Timestamp::MAX, 1).await.unwrap().remove(0);
    assert_eq!(due.edits, 0);
    assert!(store.mirrored("workbook").await.unwrap().is_empty(), "a note that names no target is about none");
    store.requested(&due.conversation, &due.up_to, due.edits).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
}
