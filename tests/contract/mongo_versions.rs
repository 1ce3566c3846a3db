//! A database that an earlier version of chatferry wrote.

use chatferry::domain::{Analysis, Reading};
use chatferry::ports::Store;
use mongodb::Collection;
use mongodb::bson::{Document, doc};

use crate::mongo::{batch, store_and_database};
use crate::store::{analysis, archive, at, conversation};

/// Rows as they were before purses and edits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_earlier_version_are_read() {
    let (store, database) = store_and_database().await;
    archive(&store, &batch("c", 0..3)).await;
    let one = analysis("c", 2, "m", 3, 10);
    store.save_analysis(&one).await.unwrap();
    let rows = |name: &str| -> Collection<Document> { database.collection(name) };
    rows("conversations").update_many(doc! {}, doc! { "$unset": { "edits": "" } }).await.unwrap();
    let since = doc! { "$unset": { "unread": "", "content": "", "question": "", "updates": "", "usage": "" } };
    rows("analyses").update_many(doc! {}, since).await.unwrap();
    let found = store.latest_analysis(&conversation("c"), "m", "1").await.unwrap().unwrap();
    assert_eq!((found.id, found.reading, found.updates), (one.id, Reading::default(), 0));
    let due = store.due(at(100_000), 1).await.unwrap().remove(0);
    store.requested(&due.conversation, &due.up_to, due.edits).await.unwrap();
    assert!(store.due(at(100_000), 1).await.unwrap().is_empty());
    // Made anew of what it says now, it takes the old one's place.
    let renewed = Analysis { created_at: at(20), ..one };
    assert!(store.save_analysis(&renewed).await.unwrap());
}
