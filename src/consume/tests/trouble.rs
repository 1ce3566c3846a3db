//! Questions that are not answered: who waits, who goes on, and what is shown meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::EVENT_RETRY;
use super::remembering::{Remembering, analyze, done, latest, said};
use super::rig::{Rig, key, received, requested};
use crate::consume::{Handler, Outcome};
use crate::domain::Priority;
use crate::fault::{Class, Code, Fault, Scope};
use crate::ports::{Bus, Queue};

/// An answer that gave something away.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer gave something away")]
struct Leaked;

impl Fault for Leaked {
    fn class(&self) -> Class {
        Class::Permanent
    }
    fn scope(&self) -> Scope {
        Scope::Event
    }
    fn code(&self) -> Code {
        Code::AiQuarantined
    }
}

#[tokio::test]
async fn a_question_that_is_never_answered_waits_while_others_go_on() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = analyze(&rig, &analyst);
    for thread in 1..=6 {
        rig.store_messages(&[said(thread, 1)]).await;
    }
    let poison = received(requested(1, 1));
    let mut outcomes = Vec::new();
    for thread in 2..=6 {
        analyst.fail(EVENT_RETRY, 1);
        outcomes.extend(analyze.consume(std::slice::from_ref(&poison)).await.unwrap());
        done(&analyze, requested(thread, 1)).await;
    }
    let waits: Vec<Option<u64>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::NotYet(fault) => match fault.class() {
                Class::Retryable { after: Some(after) } => Some(after.as_secs()),
                class => panic!("{class:?}"),
            },
            Outcome::Failed(fault) => {
                assert_eq!((fault.class(), fault.scope()), (Class::RETRY, Scope::Event));
                None
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(waits, [Some(30), Some(60), Some(120), None, None], "others are answered: it is its own fault");
}

#[tokio::test]
async fn a_service_that_fails_over_everything_makes_no_dead_letters() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    let analyze = analyze(&rig, &analyst);
    rig.store_messages(&[said(1, 1)]).await;
    rig.store_messages(&[said(2, 1)]).await;
    analyst.fail(EVENT_RETRY, 40);
    for _ in 0..20 {
        let batch = [received(requested(1, 1)), received(requested(2, 1))];
        let outcomes = analyze.consume(&batch).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::NotYet(_))), "{outcomes:?}");
    }
    done(&analyze, requested(1, 1)).await;
    done(&analyze, requested(2, 1)).await;
}

#[tokio::test]
async fn messages_that_no_model_describes_are_shown_as_such_and_not_asked_about_again() {
    let rig = Rig::new().await;
    let analyst = Arc::new(Remembering::default());
    rig.store_messages(&(1..=20).map(|number| said(1, number)).collect::<Vec<_>>()).await;
    {
        let analyze = analyze(&rig, &analyst);
        done(&analyze, requested(1, 20)).await;
    }
    rig.store_messages(&[said(1, 21)]).await;
    rig.clock.forward(60);
    analyst.fail(Leaked, 1);
    rig.publish([requested(1, 21)]).await;
    rig.run(analyze(&rig, &analyst));
    rig.empty(Queue::Analyze).await;
    assert_eq!(rig.bus.dead_letters().await.unwrap(), 1, "for a human to know");
    let shown = latest(&rig, 1).await;
    assert_eq!((shown.up_to, shown.verdict.priority), (key(1, 21), Priority::High));
    assert!(shown.verdict.summary.expose().starts_with("The newest messages could not be analysed (ai-quarantined)"));
    // What comes next is asked about without them.
    rig.store_messages(&[said(1, 22)]).await;
    rig.clock.forward(Duration::from_secs(60).as_secs().cast_signed());
    rig.publish([requested(1, 22)]).await;
    rig.empty(Queue::Analyze).await;
    let asked: Vec<_> = analyst.last().messages.iter().map(|message| message.key).collect();
    assert_eq!(asked, [key(1, 22)]);
    assert_eq!(latest(&rig, 1).await.up_to, key(1, 22));
    rig.end().await;
}
