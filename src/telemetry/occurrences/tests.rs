//! Every occurrence once: its line is heard, it counts what it should, and nothing else.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::domain::{
    AccountId, AccountState, AccountStatus, AnalysisId, ConversationKey, EventId, EventType, GapReason, MessageKey,
};
use crate::fault::{AnyFault, Code};
use crate::telemetry::TelemetryError;
use crate::telemetry::logs::tests::{logged, settings};

fn emitted(occurrence: impl Occurrence) -> (Value, Vec<(&'static str, u64)>) {
    let counters = Counters::default();
    let mut lines = logged(&settings(tracing::Level::DEBUG), || occurrence.emit(&counters));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let mut line = lines.remove(0);
    line.as_object_mut().unwrap().remove("ts");
    let counts = counters.snapshot().entries().into_iter().filter(|(_, n, _)| *n > 0).map(|(name, n, _)| (name, n));
    (line, counts.collect())
}

fn status(account: &AccountId, state: AccountState, code: Option<Code>) -> AccountStatus {
    let action = code.map(|code| code.action().to_owned());
    AccountStatus {
        account: account.clone(),
        state,
        since: Timestamp::UNIX_EPOCH,
        code,
        sentence: "the site asks".to_owned(),
        action,
        expires_at: Timestamp::UNIX_EPOCH,
        last_pass_at: None,
    }
}

#[test]
fn a_line_has_dotted_fields_and_a_constant_message() {
    let account: AccountId = "demo/default".parse().unwrap();
    let parked = status(&account, AccountState::Parked, Some(Code::Challenge));
    let (line, counts) = emitted(AccountStateChanged { status: &parked, is_held: false });
    assert_eq!(
        line,
        json!({
            "level": "warn", "target": "chatferry::collect", "msg": "account changed", "account.id": "demo/default",
            "account.state": "parked", "error.code": "challenge", "reason": "the site asks",
            "action": Code::Challenge.action(),
        })
    );
    assert_eq!(counts, [("account_changes", 1)]);
    let (line, again) = emitted(AccountStateChanged { status: &parked, is_held: true });
    assert_eq!((line["level"].as_str(), again), (Some("debug"), counts), "what is held back still counts");
    let live = status(&account, AccountState::Live, None);
    let (line, _) = emitted(AccountStateChanged { status: &live, is_held: false });
    assert_eq!((line["level"].as_str(), line.get("error.code")), (Some("info"), None));
}

#[test]
fn every_occurrence_counts_what_it_tells() {
    let account = &"demo/default".parse::<AccountId>().unwrap();
    let conversation = ConversationKey::new(account, "1");
    let message = MessageKey::native(&conversation, "2");
    let event_id = EventId::of(EventType::MessageCaptured, &[b"3"]);
    let analysis = AnalysisId::new(&conversation, &message, "p1", "m");
    let fault = &AnyFault::from(TelemetryError::AlreadyOn);
    let duration = Duration::from_millis(1500);
    let (queue, code, reason) = ("chatferry.archive", Code::EventInvalid, "not ours");

    let cases = [
        ("info", vec![("logins_attempted", 1)], emitted(LoginAttempted { account })),
        ("warn", vec![("account_flaps", 1)], emitted(AccountFlaps { account, held: 1, is_over: false })),
        ("info", vec![], emitted(AccountFlaps { account, held: 4, is_over: true })),
        ("warn", vec![("sessions_lost", 1)], emitted(SessionNotSaved { account, reason: "the site" })),
        ("warn", vec![("sessions_lost", 1)], emitted(SessionUnreadable { account, fault })),
        (
            "info",
            vec![("passes_completed", 1)],
            emitted(PassCompleted { account, conversations: 3, new_messages: 7, duration }),
        ),
        ("warn", vec![("passes_failed", 1)], emitted(PassFailed { account, fault })),
        (
            "debug",
            vec![("conversations_read", 1), ("messages_collected", 4)],
            emitted(ConversationRead { account, conversation, messages: 9, new: 4 }),
        ),
        (
            "warn",
            vec![("selector_fallbacks", 1)],
            emitted(SelectorFellBack { account, field: "messages.text", alternative: 1 }),
        ),
        (
            "warn",
            vec![("gaps_recorded", 1)],
            emitted(GapRecorded { account, conversation: Some(conversation), reason: GapReason::HistoryStuck }),
        ),
        ("warn", vec![("tellings_unreadable", 1)], emitted(TellingUnreadable { bytes: 9 })),
        ("debug", vec![("messages_told", 2)], emitted(NewsTold { account, conversation, messages: 2 })),
        ("warn", vec![("live_missed", 3)], emitted(LiveMissed { account, conversation, messages: 3 })),
        ("warn", vec![("stale_suspected", 1)], emitted(StaleSuspected { account, code: Code::StaleNews })),
        ("warn", vec![("stale_found", 1)], emitted(StaleFound { account, code: Code::StaleQuiet })),
        ("debug", vec![("events_published", 5)], emitted(EventPublished { count: 5, duration })),
        ("warn", vec![("publish_failures", 1)], emitted(PublishFailed { fault })),
        (
            "debug",
            vec![("messages_stored", 1), ("messages_revised", 2), ("messages_duplicate", 3)],
            emitted(BatchArchived { inserted: 1, revised: 2, duplicates: 3, duration, since_seen: duration }),
        ),
        ("debug", vec![("analyses_requested", 1)], emitted(AnalysisDue { account, conversation })),
        (
            "debug",
            vec![("analyses_done", 1)],
            emitted(AnalysisStored { account, conversation, analysis, messages: 3, left_out: 0, duration }),
        ),
        ("warn", vec![("rows_left_out", 2)], emitted(RowsLeftOut { account, conversation, rows: 2 })),
        ("warn", vec![], emitted(BatchTakenApart { queue, events: 2, fault })),
        (
            "warn",
            vec![("consumer_setbacks", 1)],
            emitted(ConsumerBackedOff { who: queue, setbacks: 1, wait: duration, fault }),
        ),
        ("info", vec![("repetitions", 1)], emitted(RepetitionRecognised { stage: "analyze", event_id })),
        ("info", vec![], emitted(PipelineDrained { duration })),
        ("error", vec![], emitted(StoppedOverFault { who: queue, fault })),
        ("info", vec![("mirror_writes", 1)], emitted(MirrorWritten { rows: 2, duration })),
        ("warn", vec![("mirror_failures", 1)], emitted(MirrorFailed { fault })),
        ("debug", vec![], emitted(DeliveriesDone { queue, count: 2 })),
        ("warn", vec![("retries", 1)], emitted(DeliveryRetried { queue, event_id, code, failures: 1 })),
        ("error", vec![("dead_letters", 1)], emitted(DeliveryDead { queue, event_id, code, reason, failures: 5 })),
        ("info", vec![("browser_starts", 1)], emitted(BrowserStarted { pid: 7 })),
        ("debug", vec![], emitted(BrowserEnded { pid: 7, asked: true })),
        ("warn", vec![("browser_losses", 1)], emitted(BrowserEnded { pid: 7, asked: false })),
        ("info", vec![("browser_retirements", 1)], emitted(BrowserRetired { pid: 7, reason: "age" })),
        ("error", vec![], emitted(SandboxOff)),
        ("info", vec![], emitted(HttpListening { addr: ([127, 0, 0, 1], 8787).into() })),
        ("warn", vec![("late_tasks", 1)], emitted(LateTask { task: "relay" })),
        ("info", vec![], emitted(ProgramStarted { version: "0.1.0" })),
        ("info", vec![], emitted(ProgramStopping { cause: "SIGTERM" })),
    ];
    for (level, counts, (line, counted)) in &cases {
        assert_eq!(line["level"], *level, "{line}");
        assert_eq!(counted, counts, "{line}");
        assert!(line["target"].as_str().unwrap().starts_with("chatferry::"), "{line}");
    }
    let is_dead = |line: &&Value| line["msg"] == "delivery is a dead letter";
    let dead = cases.iter().map(|(_, _, (line, _))| line).find(is_dead).unwrap();
    assert_eq!(
        (dead["event.id"].as_str(), dead["error.code"].as_str()),
        (Some(&*event_id.to_string()), Some("event-invalid"))
    );
    let pass = cases.iter().map(|(_, _, (line, _))| line).find(|line| line["msg"] == "pass completed").unwrap();
    assert_eq!(pass["duration_ms"], 1500);
}
