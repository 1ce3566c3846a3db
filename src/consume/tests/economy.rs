//! What analyses cost on the embedded bus and store, with an analyst that remembers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::rig::{Rig, account, captured, conversation, key, received, requested};
use super::{EVENT_RETRY, Injected, STORE_AWAY, until};
use crate::consume::{Analyze, Handler, Outcome, Received};
use crate::domain::event::{AnalysisRequested, MessageCaptured};
use crate::domain::{
    Allowance, Analysis, BudgetLimits, Direction, Envelope, Event, Priority, Purse, Sentiment, Text, Usage, Verdict,
};
use crate::fault::{AnyFault, Class, Code, Scope};
use crate::ports::{Analyst, AnalystRequest, Budgets, Bus, Clock, Memory, Queue, Reply};
use crate::store::SqliteStore;

/// An analyst that remembers, answers at a constant length, and counts four characters to a token.
#[derive(Default)]
struct Remembering {
    given: Mutex<Vec<AnalystRequest>>,
    /// What comes of the next calls; then answers.
    faults: Mutex<VecDeque<AnyFault>>,
}

impl Remembering {
    fn calls(&self) -> usize {
        self.given.lock().unwrap().len()
    }

    fn last(&self) -> AnalystRequest {
        self.given.lock().unwrap().last().unwrap().clone()
    }

    fn fail(&self, fault: Injected, times: usize) {
        self.faults.lock().unwrap().extend((0..times).map(|_| fault.into()));
    }
}

/// Instructions (600 tokens), the last answer, and the messages.
fn input(request: &AnalystRequest) -> u64 {
    let previous = request.previous.as_ref().map_or(0, |verdict| serde_json::to_string(verdict).unwrap().len());
    let messages: usize = request.messages.iter().map(|message| message.text.expose().len() + 40).sum();
    600 + (previous + messages) as u64 / 4
}

#[async_trait]
impl Analyst for Remembering {
    fn model(&self) -> &str {
        "remembering"
    }
    fn prompt_version(&self) -> &str {
        "2"
    }
    fn prompt_versions(&self) -> Vec<String> {
        vec!["1".to_owned(), "2".to_owned()]
    }
    fn knows(&self, version: &str) -> bool {
        ["1", "2"].contains(&version)
    }
    fn memory(&self) -> Memory {
        Memory::Rolling
    }
    fn most(&self, request: &AnalystRequest) -> Usage {
        Usage { calls: 1, input_tokens: input(request), output_tokens: 500, cost_micros: 0 }
    }
    async fn analyse(&self, request: &AnalystRequest) -> Reply {
        self.given.lock().unwrap().push(request.clone());
        tokio::task::yield_now().await;
        let usage = Usage { calls: 1, input_tokens: input(request), output_tokens: 200, cost_micros: 0 };
        let verdict = match self.faults.lock().unwrap().pop_front() {
            Some(fault) => Err(fault),
            None => Ok(Verdict {
                summary: Text::new(format!("{:0800}", self.given.lock().unwrap().len())),
                topics: Vec::new(),
                language: None,
                sentiment: Sentiment::Neutral,
                priority: Priority::High,
                last_speaker: Some(Direction::In),
                needs_reply: true,
                needs_reply_reason: Some("question".to_owned()),
                links: Vec::new(),
                money: Vec::new(),
                risk_flags: Vec::new(),
                open_questions: Vec::new(),
                follow_up: None,
            }),
        };
        Reply { verdict, usage }
    }
}

fn analyze(rig: &Rig, analyst: &Arc<Remembering>) -> Analyze {
    Analyze::new(rig.store.clone(), rig.bus(), analyst.clone(), rig.clock.clone(), Arc::default())
}

fn limited(rig: &Rig, analyst: &Arc<Remembering>, limits: BudgetLimits) -> Analyze {
    analyze(rig, analyst).with_budgets(purses(rig), limits)
}

fn purses(rig: &Rig) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::with_clock(rig.database.clone(), rig.clock.clone()))
}

fn tokens(tokens: u64) -> Allowance {
    Allowance { tokens: Some(tokens), cost_micros: None }
}

/// A message of 40 tokens.
fn said(thread: u32, number: u32) -> MessageCaptured {
    let mut captured = captured(thread, number);
    captured.message.text = Text::new(format!("{number:0120}"));
    captured
}

fn says(thread: u32, number: u32, direction: Direction, text: &str) -> MessageCaptured {
    let mut captured = captured(thread, number);
    (captured.message.direction, captured.message.text) = (direction, Text::from(text));
    captured
}

fn by(version: &str, reason: &str, thread: u32, up_to: u32) -> Envelope {
    let Event::AnalysisRequested(request) = requested(thread, up_to).event else { unreachable!() };
    let request =
        AnalysisRequested { prompt_version: version.to_owned(), reason: reason.to_owned(), ..request };
    Envelope::new(Event::AnalysisRequested(request), "2026-11-02T10:00:00Z".parse().unwrap())
}

async fn done(analyze: &Analyze, envelope: Envelope) {
    let outcomes = analyze.consume(&[received(envelope)]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Done]), "{outcomes:?}");
}

async fn latest(rig: &Rig, thread: u32) -> Analysis {
    rig.store.latest_analyses().await.unwrap().remove(&conversation(thread)).unwrap()
}

#[tokio::test]
async fn what_an_analysis_costs_does_not_grow_with_the_history() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = analyze(&rig, &analyst);
    let (mut rebuilt, mut at_fifty) = (0, 0);
    for number in (1..=2000).step_by(8) {
        let burst: Vec<_> = (number..number + 8).map(|number| said(1, number)).collect();
        rig.store_messages(&burst).await;
        rig.clock.forward(600);
        done(&analyze, requested(1, number + 7)).await;
        let (covered, request) = (number + 7, analyst.last());
        if (48..=56).contains(&covered) {
            at_fifty = input(&request);
            assert!(request.previous.is_some());
        }
        if covered > 56 {
            rebuilt += usize::from(request.previous.is_none());
            let cost = input(&request);
            assert!(cost * 10 <= at_fifty * 11, "{cost} tokens at message {covered}, {at_fifty} at message 50");
        }
    }
    assert_eq!((analyst.calls(), rebuilt), (250, 4), "one call for each, and some of them read the messages themselves");
    let last = latest(&rig, 1).await;
    assert_eq!((last.messages, last.up_to), (2000, key(1, 2000)));
    let counts = rig.store.counts(None).await.unwrap();
    assert_eq!((counts.analysed_conversations, counts.analysed_messages), (1, 2000));
}

#[tokio::test]
async fn a_first_analysis_of_a_long_history_leaves_its_beginning_out() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    rig.store_messages(&(1..=2000).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    done(&analyze(&rig, &analyst), requested(1, 2000)).await;
    let given = analyst.last();
    assert_eq!((given.messages.len(), given.messages[0].key), (100, key(1, 1901)));
    let saved = latest(&rig, 1).await;
    assert_eq!((saved.messages, saved.usage.input_tokens), (2000, input(&given)));
}

#[tokio::test]
async fn a_burst_is_one_call_and_replaying_the_whole_queue_twice_none() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let scheduler = rig.scheduler(rig.bus());
    let mut requests = Vec::new();
    rig.run(analyze(&rig, &analyst));
    for burst in 0..3 {
        for number in burst * 20 + 1..=burst * 20 + 20 {
            rig.store_messages(&[said(1, number), said(2, number)]).await;
            rig.clock.forward(2);
            scheduler.look().await.unwrap();
        }
        rig.clock.forward(90);
        scheduler.look().await.unwrap();
        rig.empty(Queue::Analyze).await;
        requests.extend([1, 2].map(|thread| requested(thread, burst * 20 + 20)));
        assert_eq!(analyst.calls(), (burst as usize + 1) * 2, "one for each conversation");
    }
    let before = rig.store.latest_analyses().await.unwrap();
    for _ in 0..2 {
        rig.publish(requests.clone()).await;
        rig.empty(Queue::Analyze).await;
    }
    assert_eq!(analyst.calls(), 6);
    assert_eq!(rig.store.latest_analyses().await.unwrap(), before);
    assert_eq!(rig.bus.dead_letters().await.unwrap(), 0);
    rig.end().await;
}

#[tokio::test]
async fn requests_that_have_waited_cost_one_call_together() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    rig.store_messages(&(1..=40).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    let batch: Vec<Received> = [10, 20, 30, 40].map(|up_to| received(requested(1, up_to))).into();
    let outcomes = analyze(&rig, &analyst).consume(&batch).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
    assert_eq!((analyst.calls(), latest(&rig, 1).await.messages), (1, 40));
}

#[tokio::test]
async fn what_calls_for_nothing_costs_nothing_and_is_read_with_what_does() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = analyze(&rig, &analyst);
    rig.store_messages(&(1..=30).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    done(&analyze, requested(1, 30)).await;
    let first = latest(&rig, 1).await;
    rig.store_messages(&[says(1, 31, Direction::In, "ok 👍"), says(1, 32, Direction::In, "")]).await;
    done(&analyze, requested(1, 32)).await;
    let idle = latest(&rig, 1).await;
    assert_eq!((idle.up_to, idle.messages, idle.usage), (key(1, 32), 32, Usage::default()));
    assert_eq!((&idle.verdict, idle.updates), (&first.verdict, first.updates), "the last verdict, with nothing spent");
    let counts = rig.store.counts(None).await.unwrap();
    assert_eq!((counts.analysed_conversations, counts.analysed_messages), (1, 32));
    // The owner answers: what is plain from that is told, and nobody asked.
    rig.store_messages(&[says(1, 33, Direction::Out, "I'll be there at eight.")]).await;
    done(&analyze, requested(1, 33)).await;
    let answered = latest(&rig, 1).await.verdict;
    assert_eq!((answered.needs_reply, answered.needs_reply_reason, answered.priority), (false, None, Priority::Low));
    assert_eq!((answered.last_speaker, analyst.calls()), (Some(Direction::Out), 1));
    assert_eq!(answered.summary, first.verdict.summary);
    // The next real message is read with all that was passed over.
    rig.store_messages(&[says(1, 34, Direction::In, "At eight I'm away, what about nine?")]).await;
    done(&analyze, requested(1, 34)).await;
    let keys: Vec<_> = analyst.last().messages.iter().map(|message| message.key).collect();
    assert_eq!(keys, (31..=34).map(|number| key(1, number)).collect::<Vec<_>>());
    assert_eq!(latest(&rig, 1).await.reading.unread, 0);
}

#[tokio::test]
async fn an_edit_makes_due_and_renews_the_analysis_under_its_name() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let scheduler = rig.scheduler(rig.bus());
    rig.run(analyze(&rig, &analyst));
    let edit = |text: &str, revision: u32| {
        let mut edited = said(1, 5);
        edited.message.text = Text::from(text);
        edited.message.observed_at += jiff::SignedDuration::from_hours(revision.into());
        MessageCaptured { revision, ..edited }
    };
    let look = async || {
        rig.clock.forward(600);
        scheduler.look().await.unwrap();
        rig.empty(Queue::Analyze).await;
    };
    rig.store_messages(&(1..=30).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    look().await;
    let first = latest(&rig, 1).await;
    rig.store_messages(&[edit("I meant something else", 1)]).await;
    look().await;
    let second = latest(&rig, 1).await;
    assert_eq!((second.id, analyst.calls()), (first.id, 2));
    assert!(second.verdict.summary != first.verdict.summary && second.created_at > first.created_at);
    assert_eq!(analyst.last().messages[4].text.expose(), "I meant something else");
    // To a third text and back again: what was asked before is not asked again.
    rig.store_messages(&[edit("or else", 2)]).await;
    look().await;
    let third = latest(&rig, 1).await;
    rig.store_messages(&[said(1, 31)]).await;
    look().await;
    assert_eq!(analyst.calls(), 4);
    rig.store_messages(&[edit("never mind", 3)]).await;
    look().await;
    rig.store_messages(&[edit("or else", 4)]).await;
    look().await;
    assert_eq!(analyst.calls(), 6);
    assert_ne!(latest(&rig, 1).await.verdict, third.verdict, "of one message more");
    rig.end().await;
}

#[tokio::test]
async fn the_same_question_is_answered_from_the_store() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = analyze(&rig, &analyst);
    rig.store_messages(&(1..=8).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    done(&analyze, requested(1, 8)).await;
    let first = latest(&rig, 1).await;
    // A message is found after the newest and is gone again: the store of a restored backup.
    let lost = Analysis {
        id: crate::domain::AnalysisId::new(&conversation(1), &key(1, 9), "1", "remembering"),
        up_to: key(1, 9),
        messages: 9,
        reading: crate::domain::Reading::default(),
        ..first.clone()
    };
    rig.store.save_analysis(&lost).await.unwrap();
    rig.clock.forward(60);
    done(&analyze, requested(1, 8)).await;
    assert_eq!(analyst.calls(), 1, "the last analysis is of what is not there, and so it is asked anew, of the store");
}

#[tokio::test]
async fn the_version_that_is_named_is_asked_and_an_unknown_one_only_an_operator_is_told_of() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = analyze(&rig, &analyst);
    rig.store_messages(&(1..=20).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    let last = async |version: &str| {
        rig.store.latest_analysis(&conversation(1), "remembering", version).await.unwrap()
    };
    done(&analyze, by("1", AnalysisRequested::NEW_MESSAGES, 1, 20)).await;
    assert_eq!((analyst.last().prompt_version.as_str(), last("2").await.is_some()), ("1", false));
    rig.clock.forward(1);
    done(&analyze, by("2", AnalysisRequested::OPERATOR, 1, 20)).await;
    assert_eq!((analyst.last().prompt_version.as_str(), analyst.calls()), ("2", 2));
    assert_eq!(latest(&rig, 1).await.prompt_version, "2", "of one history the one that was made later is shown");
    // Of a version before the last change of the analyst: what was asked for by itself means today's.
    done(&analyze, by("0", AnalysisRequested::NEW_MESSAGES, 1, 20)).await;
    assert_eq!(analyst.calls(), 2, "which is there");
    let outcomes = analyze.consume(&[received(by("0", AnalysisRequested::OPERATOR, 1, 20))]).await.unwrap();
    let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((fault.code(), fault.class(), fault.scope()), (Code::PromptUnknown, Class::Permanent, Scope::Event));
}

#[tokio::test]
async fn a_service_that_is_away_for_a_day_costs_no_request_its_place() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    for thread in 1..=20 {
        rig.store_messages(&[said(thread, 1)]).await;
    }
    // More often than the ladder has rungs for all of them together; then the key is refused for a while.
    analyst.fail(STORE_AWAY, 150);
    analyst.fail(Injected(Class::Retryable { after: Some(Duration::ZERO) }, Scope::Site), 20);
    rig.publish((1..=20).map(|thread| requested(thread, 1))).await;
    rig.run(analyze(&rig, &analyst));
    rig.empty(Queue::Analyze).await;
    assert_eq!((analyst.calls(), rig.bus.dead_letters().await.unwrap()), (190, 0));
    assert_eq!(rig.store.counts(None).await.unwrap().analysed_conversations, 20);
    assert!(!rig.life.is_stopping());
    rig.end().await;
}

#[tokio::test]
async fn a_refused_key_stops_neither_the_process_nor_makes_dead_letters() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    rig.store_messages(&[said(1, 1)]).await;
    for fault in [Injected(Class::Permanent, Scope::Process), Injected(Class::Critical, Scope::Process)] {
        analyst.fail(fault, 1);
        let outcomes = analyze(&rig, &analyst).consume(&[received(requested(1, 1))]).await.unwrap();
        let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!((fault.class(), fault.scope()), (Class::Retryable { after: Some(Duration::from_secs(60)) }, Scope::Process));
        assert_eq!(fault.code(), Code::DatabaseFailed, "by its own name");
    }
    // What is one conversation's own fault stays so.
    analyst.fail(Injected(Class::Permanent, Scope::Event), 1);
    let outcomes = analyze(&rig, &analyst).consume(&[received(requested(1, 1))]).await.unwrap();
    let [Outcome::Failed(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((fault.class(), fault.scope()), (Class::Permanent, Scope::Event));
}

#[tokio::test]
async fn a_budget_that_is_used_up_holds_its_own_analyses_and_no_others() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    for thread in 1..=2 {
        rig.store_messages(&(1..=8).map(|number| said(thread, number)).collect::<Vec<_>>()).await;
    }
    let analyze = limited(&rig, &analyst, BudgetLimits { conversation_day: tokens(1000), ..BudgetLimits::default() });
    done(&analyze, requested(1, 8)).await;
    rig.store_messages(&[said(1, 9)]).await;
    let batch = [received(requested(1, 9)), received(requested(2, 8))];
    let outcomes = analyze.consume(&batch).await.unwrap();
    let [Outcome::NotYet(fault), Outcome::Done] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!((fault.code(), fault.class()), (Code::AiBudget, Class::Retryable { after: Some(Duration::from_secs(600)) }));
    assert!(fault.chain().contains("used up until 2026-11-03T00:00:00Z"), "{}", fault.chain());
    // What costs nothing goes on.
    rig.store_messages(&[says(2, 9, Direction::In, "ok")]).await;
    done(&analyze, requested(2, 9)).await;
    assert_eq!(analyst.calls(), 2);
    // Shortly before the day ends it is not waited longer than that; and then it goes on.
    rig.clock.forward(14 * 3600 - 60);
    let outcomes = analyze.consume(&batch[..1]).await.unwrap();
    let [Outcome::NotYet(fault)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(fault.class(), Class::Retryable { after: Some(Duration::from_secs(60)) });
    rig.clock.forward(61);
    done(&analyze, requested(1, 9)).await;
    assert_eq!(analyst.calls(), 3);
    rig.end().await;
}

#[tokio::test]
async fn what_waits_for_a_budget_stays_in_the_queue_and_capture_goes_on() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    for thread in 1..=5 {
        rig.store_messages(&(1..=8).map(|number| said(thread, number)).collect::<Vec<_>>()).await;
    }
    let counters = Arc::new(crate::telemetry::Counters::default());
    let limits = BudgetLimits { month: tokens(1000), ..BudgetLimits::default() };
    let analyze = Analyze::new(rig.store.clone(), rig.bus(), analyst.clone(), rig.clock.clone(), counters.clone());
    rig.publish((1..=5).map(|thread| requested(thread, 8))).await;
    rig.run(analyze.with_budgets(purses(&rig), limits).with_parallel(1));
    until("four wait", async || counters.snapshot().analyses_postponed >= 4).await;
    until("all are settled", async || {
        let depths = rig.bus.depths().await.unwrap();
        depths.iter().all(|depth| depth.in_flight == 0)
    })
    .await;
    assert_eq!((analyst.calls(), rig.depth(Queue::Analyze).await, rig.bus.dead_letters().await.unwrap()), (1, 4, 0));
    assert_eq!(counters.snapshot().budget_warnings, 1, "told once");
    rig.store_messages(&[said(6, 1)]).await;
    assert_eq!(rig.messages().await, 41);
    rig.end().await;
}

#[tokio::test]
async fn a_call_that_failed_is_counted_with_what_it_consumed() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = limited(&rig, &analyst, BudgetLimits::default());
    rig.store_messages(&(1..=8).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    analyst.fail(EVENT_RETRY, 1);
    let outcomes = analyze.consume(&[received(requested(1, 8))]).await.unwrap();
    assert!(matches!(outcomes.as_slice(), [Outcome::Failed(_)]), "{outcomes:?}");
    let spent = async |purse: Purse| {
        let balance = purses(&rig).balance(&purse).await.unwrap();
        assert_eq!(balance.holders, 0);
        balance.spent
    };
    let (now, once) = (rig.clock.now(), input(&analyst.last()));
    assert_eq!((spent(Purse::of_month(now)).await.tokens(), spent(Purse::of_month(now)).await.calls), (once + 200, 1));
    done(&analyze, requested(1, 8)).await;
    assert_eq!(spent(Purse::of_month(now)).await.tokens(), 2 * (once + 200));
    assert_eq!(spent(Purse::of_account(account(), now)).await, spent(Purse::of_month(now)).await);
    assert_eq!(latest(&rig, 1).await.usage.tokens(), once + 200, "of the call that it came from");
    let none = spent(Purse::of_conversation(conversation(1), now)).await;
    assert_eq!(none, Usage::default(), "not counted where there is no limit");
}
