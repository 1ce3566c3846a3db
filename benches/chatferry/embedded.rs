//! From the spool to the store on one machine: relay, embedded bus and archive as the daemon runs them.

use std::path::Path;
use std::time::{Duration, Instant};

use chatferry::app::{App, Role};
use chatferry::collect::Spool;
use chatferry::collect::spool::{Capture, Known};
use chatferry::domain::conversation::ConversationRef;
use chatferry::domain::event::MessageCaptured;
use chatferry::domain::{
    AccountId, ConversationKey, Direction, Envelope, Event, Message, MessageKey, Origin, Precision,
};
use serde_json::{Value, json};

use super::rig;

/// Events per run.
pub const EVENTS: u32 = 50_000;
/// Messages of one conversation, in one commit of the spool.
const PER_CONVERSATION: u32 = 500;
const REPETITIONS: usize = 3;

pub async fn run() -> Value {
    let disk = repeated(rig::folder).await;
    let memory = Path::new("/dev/shm");
    let tmpfs = if memory.is_dir() { repeated(|| tempfile::tempdir_in(memory).unwrap()).await } else { Value::Null };
    json!({ "events": EVENTS, "bytes_per_event": event(0, 0).0.to_json().unwrap().len(), "disk": disk, "tmpfs": tmpfs })
}

async fn repeated(folder: impl Fn() -> tempfile::TempDir) -> Value {
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let folder = folder();
        let (seconds, cpu_seconds) = one(folder.path()).await;
        rates.push(f64::from(EVENTS) / seconds);
        cpu.push(cpu_seconds * 100_000.0 / f64::from(EVENTS));
        eprintln!("bench:   {:.0}/s, {:.2} CPU s per 100,000", rates[rates.len() - 1], cpu[cpu.len() - 1]);
    }
    let rounded: Vec<f64> = rates.iter().map(|rate| rate.round()).collect();
    json!({
        "messages_per_second": rig::median(&rates).round(),
        "each_run": rounded,
        "cpu_seconds_per_100k": rig::round(rig::median(&cpu)),
    })
}

async fn one(data_dir: &Path) -> (f64, f64) {
    let app = App::open(rig::config(data_dir, None)).await.unwrap();
    fill(&app.spool).await;
    let (begun, cpu) = (Instant::now(), rig::cpu_seconds());
    let pipeline = app.start_pipeline(&Role::ALL, Duration::from_secs(3600)).unwrap();
    while app.store.counts(None).await.unwrap().messages < u64::from(EVENTS) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let spent = (begun.elapsed().as_secs_f64(), rig::cpu_seconds() - cpu);
    drop(pipeline);
    assert!(app.close().await.is_clean());
    spent
}

/// Fills a spool with captured messages.
pub async fn fill(spool: &Spool) {
    for conversation in 0..EVENTS / PER_CONVERSATION {
        let events = (0..PER_CONVERSATION).map(|n| event(conversation, n)).collect();
        let capture = Capture {
            epoch: None,
            account: account(),
            observed_at: jiff::Timestamp::from_second(1_795_000_000).unwrap(),
            conversation: reference(conversation),
            complete: true,
            row_digest: None,
            recalled: None,
            events,
            open_gap: None,
            gaps: Vec::new(),
        };
        spool.commit(capture).await.unwrap();
    }
}

fn account() -> AccountId {
    "demo/default".parse().unwrap()
}

fn reference(conversation: u32) -> ConversationRef {
    let id = format!("conversation-{conversation}");
    ConversationRef { key: ConversationKey::new(&account(), &id), title: "Mia Marlowe".into(), id }
}

/// Message `n` of a conversation: 1.1 kB as an event.
pub fn event(conversation: u32, n: u32) -> (Envelope, MessageKey, Known) {
    let conversation = reference(conversation);
    let id = format!("{}-{n}", conversation.id);
    let key = MessageKey::native(&conversation.key, &id);
    let position = i64::from(n) << 20;
    let sent_at = jiff::Timestamp::from_second(1_790_000_000 + i64::from(n) * 60).unwrap();
    let observed_at = jiff::Timestamp::from_second(1_795_000_000).unwrap();
    let text = "The ferry leaves at nine, so let us meet at the pier a little before that. ".repeat(6);
    let message = Message {
        key,
        native_id: Some(id),
        author: "Mia Marlowe".into(),
        direction: Direction::In,
        text: text.into(),
        sent_at: Some(sent_at),
        sent_at_precision: Precision::Second,
        observed_at,
        attachments: Vec::new(),
        position,
    };
    let content = message.content_digest();
    let captured = MessageCaptured { account: account(), conversation, message, origin: Origin::Backfill, revision: 0 };
    let envelope = Envelope::new(Event::MessageCaptured(Box::new(captured)), observed_at);
    (envelope, key, Known { content, revision: 0, position })
}
