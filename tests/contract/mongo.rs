//! MongoDB under the contracts, against a real server, and what only it has to promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{Allowance, Conversation, Purse, Usage};
use chatferry::fault::{AnyFault, Class, Code, Scope};
use chatferry::ports::{Archived, Budgets, ConversationFilter, Draw, Leases, Reservation, Store};
use chatferry::store::mongo::TopologyKind;
use chatferry::store::{MongoSettings, MongoStore};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::{Collection, Database};
use tokio::task::JoinSet;

use crate::leases::Keeper;
use crate::mongod::{self, Mongod};
use crate::store::{RULE, account, all, archive, at, captured, conversation, key};

pub async fn connect(server: &Mongod, database: &str) -> MongoStore {
    MongoStore::connect(&settings(&server.uri(database))).await.unwrap()
}

fn settings(uri: &str) -> MongoSettings {
    MongoSettings { uri: uri.into() }
}

/// A database of its own on the server that all tests share.
struct Mongo {
    database: String,
}

impl Mongo {
    fn new() -> Self {
        Self { database: mongod::fresh_database() }
    }
}

#[async_trait]
impl crate::store::StoreFixture for Mongo {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(connect(mongod::shared().await, &self.database).await)
    }
}

#[async_trait]
impl crate::leases::LeasesFixture for Mongo {
    async fn open(&self) -> Arc<dyn Keeper> {
        Arc::new(connect(mongod::shared().await, &self.database).await)
    }
}

mod mongo_store {
    store_contract!(super::Mongo::new());
}

#[async_trait]
impl crate::budgets::BudgetsFixture for Mongo {
    async fn open(&self) -> Arc<dyn crate::budgets::Keeper> {
        Arc::new(connect(mongod::shared().await, &self.database).await)
    }
}

mod mongo_budgets {
    budgets_contract!(super::Mongo::new());
}

mod mongo_leases {
    leases_contract!(super::Mongo::new());
}

/// The store, and the same database as the driver sees it, for doing what a crash leaves behind.
pub async fn store_and_database() -> (MongoStore, Database) {
    let name = mongod::fresh_database();
    let server = mongod::shared().await;
    (connect(server, &name).await, server.client().await.database(&name))
}

pub fn batch(id: &str, numbers: impl Iterator<Item = i64>) -> Vec<MessageCaptured> {
    numbers.map(|n| captured(id, n)).collect()
}

async fn row(store: &MongoStore, id: &str) -> Conversation {
    store.conversation(&conversation(id)).await.unwrap().unwrap()
}

/// An archiver dies after its messages and before the conversation's row: what it leaves is put there
/// by hand. The batch comes again, all of it known, and the row is right; and due, since nobody has
/// been told of these messages yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_between_messages_and_conversation_is_mended_by_the_repetition() {
    let (store, database) = store_and_database().await;
    let rows: Collection<Document> = database.collection("conversations");
    let (first, second) = (batch("c", 0..10), batch("c", 10..20));
    archive(&store, &first).await;
    store.requested(&conversation("c"), &key("c", 9), 0).await.unwrap();
    let before = rows.find_one(doc! {}).await.unwrap().unwrap();
    archive(&store, &second).await;
    let whole = row(&store, "c").await;

    // The row of before, beside the messages of after.
    rows.replace_one(doc! { "_id": before.get_str("_id").unwrap() }, &before).await.unwrap();
    assert_eq!((row(&store, "c").await.messages, row(&store, "c").await.due_at), (10, None));
    assert_eq!(archive(&store, &second).await, (0, 0, 10));
    assert_eq!(row(&store, "c").await, whole);

    // No row at all.
    rows.delete_many(doc! {}).await.unwrap();
    archive(&store, &second[..1]).await;
    assert_eq!(row(&store, "c").await, whole);

    // Another archiver goes on meanwhile: it adds to the old row, and the repetition counts.
    rows.replace_one(doc! { "_id": before.get_str("_id").unwrap() }, &before).await.unwrap();
    assert_eq!(archive(&store, &batch("c", 20..30)).await, (10, 0, 0));
    assert_eq!(row(&store, "c").await.messages, 20);
    assert_eq!(archive(&store, &second).await, (0, 0, 10));
    assert_eq!((row(&store, "c").await.messages, row(&store, "c").await.last_message), (30, Some(key("c", 29))));

    // Nothing is written when nothing was amiss.
    let settled = rows.find_one(doc! {}).await.unwrap().unwrap();
    archive(&store, &[first, second].concat()).await;
    assert_eq!(rows.find_one(doc! {}).await.unwrap().unwrap(), settled);
}

/// Tells it until it is taken, as a broker does; the faults on the way.
async fn insist(store: &MongoStore, batch: &[MessageCaptured]) -> Vec<AnyFault> {
    let mut faults = Vec::new();
    while let Err(fault) = store.archive(batch, RULE, at(1000)).await {
        assert!(fault.class().is_retryable(), "{fault:?}");
        faults.push(fault);
        assert!(faults.len() < 10, "{faults:?}");
    }
    faults
}

/// What two archivers brought is there, once, and the row says so.
async fn assert_whole(store: &MongoStore, messages: i64) {
    let stored = all(store, "c").await;
    let expected: Vec<_> = (0..messages).map(|n| key("c", n)).collect();
    assert_eq!(stored.iter().map(|one| one.message.key).collect::<Vec<_>>(), expected);
    let row = row(store, "c").await;
    assert_eq!((row.messages, row.last_message), (messages.cast_unsigned(), expected.last().copied()));
    assert_eq!(store.counts(None).await.unwrap().messages, messages.cast_unsigned());
}

/// Two archivers work on one conversation, in batches of 50, for as long as `trouble` happens to the
/// server; the number of their messages, and the faults on the way.
async fn archive_through(
    server: &mut Mongod,
    trouble: impl AsyncFnOnce(&mut Mongod),
) -> (MongoStore, i64, Vec<AnyFault>) {
    let store = connect(server, "chats").await;
    let (over, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let (begun, mut running) = tokio::sync::mpsc::unbounded_channel();
    let mut archivers = JoinSet::new();
    for _ in 0..2 {
        let (store, begun, over, next) = (store.clone(), begun.clone(), over.clone(), next.clone());
        archivers.spawn(async move {
            let mut faults = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let n = next.fetch_add(50, Ordering::Relaxed);
                faults.extend(insist(&store, &batch("c", n..n + 50)).await);
                // Nobody may listen any more.
                let _ = begun.send(());
            }
            faults
        });
    }
    drop(begun);
    running.recv().await.expect("an archiver has stored a batch");
    trouble(server).await;
    over.store(true, Ordering::Relaxed);
    let faults = archivers.join_all().await.into_iter().flatten().collect();
    server.until_primary().await;
    (store, next.load(Ordering::Relaxed), faults)
}

/// A client whose next `update` waits before it is carried out, and one that does not.
async fn slow_and_quick(server: &Mongod, database: &str) -> (MongoStore, MongoStore) {
    let quick = connect(server, database).await;
    let uri = format!("{}&appName=slow", server.uri(database));
    let slow = MongoStore::connect(&settings(&uri)).await.unwrap();
    let wait = doc! { "blockConnection": true, "blockTimeMS": 700, "appName": "slow" };
    archive(&quick, &batch("c", 0..10)).await;
    server.fail(1, &["update"], wait).await;
    (slow, quick)
}

/// One archiver has inserted and not yet added when another counts: nothing is counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_recount_has_seen_is_not_added_again() {
    let server = Mongod::replica_set().await;
    let (slow, quick) = slow_and_quick(&server, "chats").await;
    let adding = tokio::spawn(async move { archive(&slow, &batch("c", 10..20)).await });
    while all(&quick, "c").await.len() < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(archive(&quick, &batch("c", 0..10)).await, (0, 0, 10));
    assert!(!adding.is_finished(), "the order that this test is about did not come about");
    assert_eq!(adding.await.unwrap(), (10, 0, 0));
    assert_whole(&quick, 20).await;
}

/// One archiver has counted and not yet written when another adds: the addition stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recount_that_was_overtaken_counts_again() {
    let server = Mongod::replica_set().await;
    let (slow, quick) = slow_and_quick(&server, "chats").await;
    // The repetition makes it recount, the new message gives it something to write.
    let recounting = tokio::spawn(async move { archive(&slow, &batch("c", 9..11)).await });
    while all(&quick, "c").await.len() < 11 {
        tokio::task::yield_now().await;
    }
    assert_eq!(archive(&quick, &batch("c", 11..20)).await, (9, 0, 0));
    assert!(!recounting.is_finished(), "the order that this test is about did not come about");
    assert_eq!(recounting.await.unwrap(), (1, 0, 1));
    assert_whole(&quick, 20).await;
}

/// More than the one repetition that the driver makes by itself, at every command in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlasts_lost_connections_and_a_server_that_shuts_down() {
    let server = Mongod::replica_set().await;
    // A server that truly steps down or shuts down says so at once; one that only fails commands is
    // looked at again when the next heartbeat is due.
    let uri = format!("{}&heartbeatFrequencyMS=500", server.uri("chats"));
    let store = MongoStore::connect(&settings(&uri)).await.unwrap();
    let mut messages = 0;
    for command in ["find", "insert", "update"] {
        for how in [doc! { "closeConnection": true }, doc! { "errorCode": 91 }, doc! { "errorCode": 10107 }] {
            server.fail(3, &[command], how).await;
            store.archive(&batch("c", messages..messages + 10), RULE, at(1000)).await.unwrap();
            messages += 10;
        }
    }
    assert_whole(&store, messages).await;
    // What is no passing thing is told at once.
    server.fail(1, &["insert"], doc! { "errorCode": 2 }).await;
    let fault = store.archive(&batch("c", 900..901), RULE, at(1000)).await.unwrap_err();
    assert_eq!((fault.class(), fault.code()), (Class::Permanent, Code::DatabaseFailed), "{fault:?}");
}

/// F18. Nothing surfaces: the calls wait for the election.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_down_in_the_middle_of_writing_loses_nothing() {
    let mut server = Mongod::replica_set().await;
    let (store, messages, faults) = archive_through(&mut server, async |server| {
        for _ in 0..4 {
            server.step_down(1).await;
            server.until_primary().await;
        }
    })
    .await;
    assert!(faults.is_empty(), "{faults:?}");
    assert_whole(&store, messages).await;
}

/// What was answered is on disk, and what was not is brought again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_server_loses_nothing() {
    let mut server = Mongod::replica_set().await;
    let (store, messages, faults) = archive_through(&mut server, async |server| {
        server.kill();
        server.start_again().await;
    })
    .await;
    assert!(faults.iter().all(|fault| fault.code() == Code::StoreUnavailable), "{faults:?}");
    assert_whole(&store, messages).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_server_works_and_is_known_as_one() {
    let server = Mongod::standalone().await;
    let store = connect(&server, "chats").await;
    assert_eq!(store.topology().kind, TopologyKind::Standalone);
    let events = batch("c", 0..20);
    assert_eq!(archive(&store, &events).await, (20, 0, 0));
    assert_eq!(archive(&store, &events).await, (0, 0, 20));
    assert_whole(&store, 20).await;
    let lease = store.acquire(&account("default"), "a", Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(store.holder(&account("default")).await.unwrap(), Some(lease));
    let purse = Purse::of_account(account("default"), "2100-01-01T00:00:00Z".parse().unwrap());
    let draws = [Draw { purse: purse.clone(), allowance: Allowance { tokens: Some(100), cost_micros: None } }];
    let (reservation, most) = (Reservation::new(&draws), Usage { input_tokens: 60, ..Usage::default() });
    store.reserve(&reservation, &draws, most, Duration::from_secs(60)).await.unwrap();
    store.settle(&reservation, most, None).await.unwrap();
    assert_eq!(store.balance(&purse).await.unwrap().spent, most);

    let shared = connect(mongod::shared().await, &mongod::fresh_database()).await;
    let topology = shared.ask_topology().await.unwrap();
    assert_eq!(topology.kind, TopologyKind::ReplicaSet { name: "rs0".to_owned() });
    assert!(topology.version.split('.').count() >= 3, "{}", topology.version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_that_start_at_once_find_one_schema_and_a_newer_one_is_refused() {
    let name = mongod::fresh_database();
    let server = mongod::shared().await;
    let mut starts = JoinSet::new();
    for _ in 0..8 {
        let uri = server.uri(&name);
        starts.spawn(async move { MongoStore::connect(&settings(&uri)).await.map(drop) });
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
    let database = server.client().await.database(&name);
    let migrations: Collection<Document> = database.collection("schema_migrations");
    assert_eq!(migrations.count_documents(doc! {}).await.unwrap(), 3);
    migrations.insert_one(doc! { "_id": "store-99", "component": "store", "version": 99_i64 }).await.unwrap();
    let fault = MongoStore::connect(&settings(&server.uri(&name))).await.unwrap_err();
    assert_eq!((fault.code(), fault.class()), (Code::DatabaseFailed, Class::Permanent));
    assert!(fault.chain().contains("schema version 99"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_of_a_mirror_that_name_no_target_are_forgotten() {
    let (store, database) = store_and_database().await;
    drop(store);
    let notes: Collection<Document> = database.collection("mirror_rows");
    let hash = Binary { subtype: BinarySubtype::Generic, bytes: vec![1; 16] };
    let key = conversation("7").to_string();
    let nameless = doc! { "_id": &key, "hash": &hash };
    let named = doc! { "_id": format!("workbook/{key}"), "hash": &hash };
    notes.insert_many([nameless, named]).await.unwrap();
    let migrations: Collection<Document> = database.collection("schema_migrations");
    migrations.delete_one(doc! { "_id": "store-3" }).await.unwrap();
    let server = mongod::shared().await;
    let store = MongoStore::connect(&settings(&server.uri(database.name()))).await.unwrap();
    assert_eq!(notes.count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(store.mirrored("workbook").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_another_shape_is_refused() {
    let (_store, database) = store_and_database().await;
    for collection in ["accounts", "conversations", "messages", "analyses", "gaps", "mirror_rows", "leases", "spending"]
    {
        let rows: Collection<Document> = database.collection(collection);
        assert!(rows.insert_one(doc! { "_id": 7 }).await.is_err(), "{collection}");
    }
}

async fn refusal(uri: &str) -> AnyFault {
    let fault = MongoStore::connect(&settings(uri)).await.unwrap_err();
    let told = format!("{fault:?} {} {}", fault.chain(), fault.action());
    assert!(!told.contains("s3cret") && !told.contains("wr0ng"), "{told}");
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_from_connecting_is_said_without_the_password() {
    let server = Mongod::guarded().await;
    let port = server.port();
    let uri = |login: &str| format!("mongodb://{login}@127.0.0.1:{port}/chats?authSource=admin");
    MongoStore::connect(&settings(&uri("anna:s3cret"))).await.unwrap();
    for login in ["anna:wr0ng", "nobody:wr0ng", "eve:s3cret"] {
        let fault = refusal(&uri(login)).await;
        assert_eq!((fault.code(), fault.class(), fault.scope()), (Code::StoreRefused, Class::Critical, Scope::Process));
    }
    let bad = [
        format!("mongodb://anna:s3cret@127.0.0.1:{port}"),
        format!("postgres://anna:s3cret@127.0.0.1:{port}/chats"),
        "mongodb://anna:s3cret/chats".to_owned(),
        format!("mongodb://anna:s3cret@127.0.0.1:{port}/chats?tls=maybe"),
    ];
    for uri in bad {
        assert_eq!(refusal(&uri).await.code(), Code::ConfigInvalid, "{}", uri.replace("s3cret", "…"));
    }
    let nobody = "mongodb://anna:s3cret@127.0.0.1:9/chats?serverSelectionTimeoutMS=50";
    let fault = refusal(nobody).await;
    assert_eq!((fault.code(), fault.class(), fault.scope()), (Code::StoreUnavailable, Class::RETRY, Scope::Process));
    assert!(fault.chain().ends_with("the connection is refused"), "{fault:?}");
}

/// More than a document holds: refused for good, and not quoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_document_holds_is_refused_and_not_quoted() {
    let (store, _) = store_and_database().await;
    let mut long = captured("c", 1);
    long.message.text = "canary ".repeat(3_000_000).into();
    let fault = store.archive(&[captured("c", 0), long], RULE, at(1)).await.unwrap_err();
    assert_eq!((fault.class(), fault.code()), (Class::Permanent, Code::DatabaseFailed));
    assert!(!format!("{fault:?}").contains("canary"));
}

/// Several conversations in one batch, more than one command takes: each row is right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_conversations_is_counted_row_by_row() {
    let (store, _) = store_and_database().await;
    let events: Vec<_> = (0..1500).flat_map(|id| batch(&id.to_string(), 0..2)).collect();
    let archived = store.archive(&events, RULE, at(1)).await.unwrap();
    assert_eq!(archived, Archived { inserted: 3000, ..Archived::default() });
    let rows = store.conversations(&ConversationFilter::default()).await.unwrap();
    assert_eq!(rows.len(), 1500);
    assert!(rows.iter().all(|row| row.messages == 2 && row.due_at == Some(at(91))));
    assert_eq!(archive(&store, &events).await, (0, 0, 3000));
    assert_eq!(store.conversations(&ConversationFilter::default()).await.unwrap(), rows);
}
