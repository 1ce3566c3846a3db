//! What analyses cost on the embedded bus and store, with an analyst that remembers.

use std::sync::Arc;

use super::remembering::{Remembering, analyze, by, done, input, latest, said, says};
use super::rig::{Rig, conversation, key, received, requested};
use crate::consume::{Handler, Outcome, Received};
use crate::domain::event::{AnalysisRequested, MessageCaptured};
use crate::domain::{Analysis, Direction, Priority, Text, Usage};
use crate::fault::{Class, Code, Scope};
use crate::ports::{Bus, Queue};

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
    assert_eq!(
        (analyst.calls(), rebuilt),
        (250, 4),
        "one call for each, and some of them read the messages themselves"
    );
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
    let last = async |version: &str| rig.store.latest_analysis(&conversation(1), "remembering", version).await.unwrap();
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
