//! The status page over the embedded bus and store, as the daemon serves it: what the pipeline writes is
//! what the page shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chatferry::bus::{self, EmbeddedBus};
use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{
    AccountId, AccountState, AccountStatus, Allowance, Analysis, AnalysisId, BudgetLimits, ConversationKey, Direction,
    Envelope, Event, Message, MessageKey, Origin, Precision, Priority, Purse, Reading, Sentiment, Text, Usage, Verdict,
};
use chatferry::fault::{AnyFault, Code};
use chatferry::ports::{
    Backlog, Budgets, Bus, Draw, DueRule, Outgoing, Queue, Reservation, Settlement, Store, SystemClock,
};
use chatferry::sqlite::Database;
use chatferry::store::{self, SqliteStore};
use chatferry::web::{self, WebState};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}gpj.exe";

/// The spool's numbers; the spool itself belongs to the collector's tests.
struct Numbers(AtomicU64);

#[async_trait]
impl Backlog for Numbers {
    async fn pending(&self) -> Result<u64, AnyFault> {
        Ok(self.0.load(Ordering::Relaxed))
    }
    async fn oldest(&self) -> Result<Option<Timestamp>, AnyFault> {
        Ok(None)
    }
    async fn captured(&self) -> Result<u64, AnyFault> {
        Ok(1_500)
    }
}

struct Daemon {
    database: Database,
    store: Arc<SqliteStore>,
    bus: Arc<EmbeddedBus>,
    addr: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Daemon {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let migrations = [bus::embedded::MIGRATIONS, store::sqlite::MIGRATIONS].concat();
        let database = Database::open(&folder.path().join("chatferry.db"), &migrations).unwrap();
        let store = Arc::new(SqliteStore::open(database.clone()));
        let bus = Arc::new(EmbeddedBus::open(database.clone()).await.unwrap());
        let state = WebState {
            store: store.clone(),
            budgets: store.clone(),
            counters: Arc::default(),
            limits: BudgetLimits {
                month: Allowance { tokens: Some(1000), cost_micros: None },
                ..BudgetLimits::default()
            },
            bus: bus.clone(),
            spool: Arc::new(Numbers(AtomicU64::new(7))),
            clock: Arc::new(SystemClock),
            writable: Arc::new(|| Ok(Default::default())),
            started: Timestamp::now() - SignedDuration::from_hours(2),
            version: "1.2.3",
            workbook: Some(folder.path().join("summaries.xlsx")),
            sheet: None,
            packs: Arc::new(chatferry::selectors::Board::new(folder.path().join("packs"))),
            mirror: tokio::sync::watch::Sender::default().subscribe(),
        };
        let listener = web::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(web::serve(listener, state, CancellationToken::new()));
        Self { database, store, bus, addr, _folder: folder }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Asks until the document is as wished: a survey may be kept for a moment.
    async fn status(&self, wished: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..100 {
            last = serde_json::from_str(&self.get("/api/v1/status").await.1).unwrap();
            if wished(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the page never came to say so: {last:#}");
    }
}

fn account() -> AccountId {
    "demo/default".parse().unwrap()
}

fn message(conversation: &str, number: i64, text: &str) -> MessageCaptured {
    let key = ConversationKey::new(&account(), conversation);
    MessageCaptured {
        account: account(),
        conversation: ConversationRef { key, id: conversation.to_owned(), title: Text::from(HOSTILE) },
        message: Message {
            key: MessageKey::native(&key, &number.to_string()),
            native_id: Some(number.to_string()),
            author: Text::from("Anna"),
            direction: Direction::In,
            text: Text::from(text),
            sent_at: Some(Timestamp::now()),
            sent_at_precision: Precision::Second,
            observed_at: Timestamp::now(),
            attachments: Vec::new(),
            position: number,
        },
        origin: Origin::Backfill,
        revision: 0,
    }
}

fn live() -> AccountStatus {
    let now = Timestamp::now();
    AccountStatus {
        account: account(),
        state: AccountState::Live,
        since: now,
        code: None,
        sentence: "Everything that could be seen was seen.".to_owned(),
        action: None,
        expires_at: now + SignedDuration::from_hours(1),
        last_pass_at: Some(now),
    }
}

fn analysis(of: &MessageCaptured, messages: u64) -> Analysis {
    let (conversation, up_to) = (of.conversation.key, of.message.key);
    Analysis {
        id: AnalysisId::new(&conversation, &up_to, "1", "extractive"),
        account: account(),
        conversation,
        up_to,
        messages,
        updates: 0,
        reading: Reading::default(),
        usage: Usage::default(),
        verdict: Verdict {
            summary: Text::from("Anna sells her boat & asks for an answer."),
            topics: vec![Text::from("boat")],
            language: None,
            sentiment: Sentiment::Positive,
            priority: Priority::High,
            last_speaker: Some(Direction::In),
            needs_reply: true,
            needs_reply_reason: None,
            links: Vec::new(),
            money: Vec::new(),
            risk_flags: Vec::new(),
            open_questions: Vec::new(),
            follow_up: None,
        },
        model: "extractive".to_owned(),
        prompt_version: "1".to_owned(),
        created_at: Timestamp::now(),
    }
}

#[tokio::test]
async fn the_page_follows_the_pipeline() {
    let daemon = Daemon::start().await;
    let (code, empty) = daemon.get("/").await;
    assert_eq!(code, 200);
    assert!(empty.contains("No account yet.") && empty.contains("No conversation yet."));

    let rule = DueRule { quiet: Duration::from_secs(90), max_wait: Duration::from_secs(300) };
    let batch: Vec<_> = (1..=3).map(|n| message("17", n, "Is the boat still there?")).collect();
    daemon.store.archive(&batch, rule, Timestamp::now()).await.unwrap();
    daemon.store.save_account(&live(), None).await.unwrap();
    let events: Vec<Outgoing> = batch
        .iter()
        .map(|captured| {
            let envelope = Envelope::new(Event::MessageCaptured(Box::new(captured.clone())), Timestamp::now());
            Outgoing {
                id: envelope.id,
                kind: envelope.event.kind(),
                site: account().site().clone(),
                body: envelope.to_json().unwrap(),
            }
        })
        .collect();
    for outcome in daemon.bus.publish(&events).await.unwrap() {
        outcome.unwrap();
    }
    let status = daemon.status(|status| status["counts"]["stored_messages"] == 3).await;
    assert_eq!((&status["status"], &status["headline"]), (&json!("ok"), &json!("All is well.")));
    assert_eq!(status["accounts"][0]["pill"], json!({ "label": "live", "tone": "good" }));
    assert_eq!((&status["queues"][0]["ready"], &status["counts"]["waiting_in_spool"]), (&json!(3), &json!(7)));
    let row = &status["conversations"][0];
    assert_eq!((&row["title"], &row["summary"]), (&json!(HOSTILE), &Value::Null));
    assert_eq!(row["remark"], "Not analysed yet.");

    daemon.store.save_analysis(&analysis(&batch[2], 3)).await.unwrap();
    let status = daemon.status(|status| status["counts"]["analysed_conversations"] == 1).await;
    assert_eq!(status["conversations"][0]["summary"], "Anna sells her boat & asks for an answer.");
    assert_eq!(status["conversations"][0]["remark"], Value::Null);
    let (_, page) = daemon.get("/").await;
    assert!(page.contains("Anna sells her boat &#38; asks for an answer."));
    assert!(page.contains("&#60;script&#62;alert(1)") && !page.contains("<script>"));
    assert!(!page.contains("Is the boat still there?"), "no message text, only what the row needs");
    let (_, numbers) = daemon.get("/metrics").await;
    assert!(numbers.contains(r#"chatferry_account_state{account="demo/default",state="live"} 1"#), "{numbers}");
    for chat in ["boat", "Anna", "alert(1)"] {
        assert!(!numbers.contains(chat), "{chat} is in:\n{numbers}");
    }

    let mut archive = daemon.bus.subscribe(Queue::Archive, 10).await.unwrap();
    let taken = archive.next(1).await.unwrap();
    let dead = Settlement::Dead { code: Code::EventInvalid, reason: "broken".to_owned() };
    archive.settle(vec![(taken[0].tag, dead)]).await.unwrap();
    let status = daemon.status(|status| status["counts"]["dead_letters"] == 1).await;
    assert_eq!((&status["status"], &status["tiles"]["dead_letters"]["tone"]), (&json!("degraded"), &json!("bad")));
    assert_eq!(status["headline"], "1 dead letter waits for a person.");
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_told_with_what_was_spent() {
    let daemon = Daemon::start().await;
    daemon.store.save_account(&live(), None).await.unwrap();
    let month = Draw { purse: Purse::of_month(Timestamp::now()), allowance: Allowance::default() };
    let reservation = Reservation::new(std::slice::from_ref(&month));
    let used = Usage { calls: 2, input_tokens: 900, output_tokens: 150, cost_micros: 12 };
    let minute = Duration::from_secs(60);
    daemon.store.reserve(&reservation, &[month], used, minute).await.unwrap();
    daemon.store.settle(&reservation, used, None).await.unwrap();
    let (_, body) = daemon.get("/api/v1/status").await;
    let status: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&status["spending"]["input_tokens"], &status["spending"]["percent"]), (&json!(900), &json!(105)));
    assert_eq!((&status["status"], &status["code"]), (&json!("degraded"), &json!("ai-budget")), "{status}");
    let (_, page) = daemon.get("/").await;
    assert!(page.contains("budget for analyses is used: analyses wait until"), "{page}");
    assert_eq!(daemon.get("/readyz").await.0, 200, "capture goes on");
}

#[tokio::test]
async fn probes_tell_a_closed_database_from_a_dead_daemon() {
    let daemon = Daemon::start().await;
    for path in ["/livez", "/readyz", "/startupz", "/health"] {
        assert_eq!(daemon.get(path).await.0, 200, "{path}");
    }
    daemon.database.clone().close().await;
    let status = daemon.status(|status| status["status"] == "down").await;
    assert!(status["headline"].as_str().unwrap().starts_with("The store is down: "), "{}", status["headline"]);
    for (path, code) in [("/livez", 200), ("/startupz", 200), ("/readyz", 503), ("/health", 503), ("/", 200)] {
        assert_eq!(daemon.get(path).await.0, code, "{path}");
    }
}
