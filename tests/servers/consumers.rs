//! Faults between relay, broker, consumers and store, one at a time (F8, F11 to F14, F16, F35, F40).

use std::time::Duration;

use chatferry::domain::{EventId, EventType};
use chatferry::fault::Code;
use chatferry::ports::{Backlog, Bus, BusState, Outgoing, Queue, Settlement};
use rustix::process::Signal;
use serde_json::Value;

use crate::mongod;
use crate::rabbitmq::RabbitNode;
use crate::rig::{CONSUMING, Consumer, Rig};
use crate::script::Script;
use crate::support::eventually;

fn script(seed: u64) -> Script {
    Script { seed, conversations: 4, messages: 100 }
}

async fn rig(seed: u64, consumers: usize) -> Rig {
    Rig::start(RabbitNode::shared().await, mongod::shared().await, script(seed), consumers).await
}

/// How many messages the store holds.
async fn stored(rig: &Rig) -> u64 {
    rig.store.counts(Some(&rig.script.account())).await.unwrap().messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_of_consumers_share_the_work() {
    let rig = rig(1001, 3).await;
    rig.say_all().await;
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_that_are_apart_do_the_same() {
    let mut rig = rig(1002, 0).await;
    rig.consumers =
        ["archive", "archive", "analyze", "mirror"].map(|role| Consumer::start(rig.net.place(), role)).into();
    rig.say_all().await;
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_killed_before_and_after_its_effect_costs_nothing() {
    for (seed, point) in
        [(1010, "delivery.taken:2"), (1011, "archive.stored"), (1012, "analyze.saved"), (1013, "scheduler.requested")]
    {
        let mut rig = rig(seed, 0).await;
        let mut doomed = Consumer::start(rig.net.place().with("CHATFERRY_CRASH_AT", point), CONSUMING);
        rig.say_all().await;
        let status = doomed.ended().await;
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "{point}: {status}\n{}",
            doomed.log()
        );
        doomed.place().unset("CHATFERRY_CRASH_AT");
        doomed.again();
        rig.consumers = vec![doomed];
        rig.assert_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_of_the_work_is_soft() {
    let mut rig = rig(1020, 1).await;
    rig.say_all().await;
    eventually("some are stored", async || (stored(&rig).await > 0).then_some(())).await;
    rig.consumers[0].signal(Signal::TERM);
    let status = rig.consumers[0].ended().await;
    assert!(status.success(), "{status}\n{}", rig.consumers[0].log());
    rig.consumers[0].again();
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_five_times_has_one_effect() {
    let rig = rig(1030, 2).await;
    let mut repeated = Vec::new();
    for capture in script(1030).captures(100) {
        for (envelope, ..) in &capture.events {
            let outgoing = Outgoing {
                id: envelope.id,
                kind: envelope.event.kind(),
                site: envelope.event.account().site().clone(),
                body: envelope.to_json().unwrap(),
            };
            repeated.push(outgoing);
        }
    }
    // Five publishers at once, each with all of it: the deliveries are as mixed as they can be.
    let publish = || async {
        for outcome in rig.bus.publish(&repeated).await.unwrap() {
            outcome.unwrap();
        }
    };
    tokio::join!(publish(), publish(), publish(), publish(), publish());
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_declared_again_and_what_was_not_confirmed_comes() {
    let rabbit = RabbitNode::shared().await;
    let mut rig = rig(1040, 1).await;
    let captures = script(1040).captures(40);
    let first = captures[0].events.len() as u64;
    rig.producer.spool.commit(script(1040).captures(40).remove(0)).await.unwrap();
    eventually("the first ones are stored", async || (stored(&rig).await == first).then_some(())).await;
    // No consumer is there that would declare it, and the relay's channel does not see the loss.
    rig.consumers.remove(0).stop().await;
    rabbit.ctl(&["delete_queue", "-p", rig.net.vhost(), Queue::Archive.as_str()]);
    rig.say_all().await;
    eventually("the spool is empty", async || (rig.producer.spool.pending().await.unwrap() == 0).then_some(())).await;
    rig.consumers.push(Consumer::start(rig.net.place(), CONSUMING));
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_with_an_alarm_is_waited_for_and_not_pestered() {
    let rabbit = RabbitNode::start().await;
    let rig = Rig::start(&rabbit, mongod::shared().await, script(1050), 1).await;
    rabbit.alarm(true);
    rig.say_all().await;
    eventually("the bus says that it is blocked", async || {
        matches!(rig.producer.bus().state(), BusState::Blocked { .. }).then_some(())
    })
    .await;
    eventually("a publication has failed over it", async || {
        (rig.producer.counters.snapshot().publish_failures > 0).then_some(())
    })
    .await;
    let before = rig.producer.counters.snapshot().publish_failures;
    crate::support::pause(Duration::from_secs(12)).await;
    let attempts = rig.producer.counters.snapshot().publish_failures - before;
    assert!(attempts <= 2, "{attempts} attempts in 12 s: more than six a minute");
    rabbit.alarm(false);
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_becomes_a_dead_letter_and_a_replay_is_harmless() {
    let rig = rig(1060, 1).await;
    let garbage = Outgoing {
        id: EventId::of(EventType::MessageCaptured, &[b"garbage"]),
        kind: EventType::MessageCaptured,
        site: "demo".parse().unwrap(),
        body: b"{\"no\": \"event\"}".to_vec(),
    };
    rig.bus.publish(std::slice::from_ref(&garbage)).await.unwrap().pop().unwrap().unwrap();
    rig.say_all().await;
    eventually("it is a dead letter", async || (rig.bus.dead_letters().await.unwrap() == 1).then_some(())).await;
    let letter = rig.bus.list_dead().await.unwrap().pop().unwrap();
    assert_eq!((letter.id, letter.code.as_str(), letter.queue), (garbage.id, "event-invalid", Queue::Archive));

    // As an operator would: look, replay twice, look again, drop.
    let place = rig.net.place();
    let document = async |arguments: &[&str]| -> Value {
        let run = place.run(arguments).await.expect_success();
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", run.stdout))
    };
    let id = garbage.id.to_string();
    let listed = document(&["dead", "list", "--json"]).await;
    assert_eq!((&listed[0]["id"], &listed[0]["code"]), (&Value::from(id.as_str()), &Value::from("event-invalid")));
    let shown = document(&["dead", "show", &id, "--body", "--json"]).await;
    assert_eq!(shown["event"]["no"], "event");
    assert_eq!(document(&["dead", "replay", "--code", "event-invalid", "--json"]).await["replayed"], 1);
    eventually("it is dead again", async || (rig.bus.dead_letters().await.unwrap() == 1).then_some(())).await;
    assert_eq!(document(&["dead", "replay", &id, "--json"]).await["replayed"], 1);
    eventually("and again", async || (rig.bus.dead_letters().await.unwrap() == 1).then_some(())).await;
    assert_eq!(document(&["dead", "drop", &id, "--json"]).await["dropped"], 1);
    let gone = document(&["dead", "replay", &id, "--json"]).await;
    assert_eq!((&gone["replayed"], &gone["not_there"][0]), (&Value::from(0), &Value::from(id.as_str())));
    rig.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaying_everything_twice_adds_nothing() {
    let mut rig = rig(1070, 0).await;
    let place = rig.net.place();
    for _ in 0..2 {
        // The second time all of it is repetition.
        rig.say_all().await;
        eventually("the spool is empty", async || (rig.producer.spool.pending().await.unwrap() == 0).then_some(()))
            .await;
        bury(&*rig.bus, 50).await;
        let consumer = Consumer::start(rig.net.place(), CONSUMING);
        let replay = ["dead", "replay", "--code", "attempts-exhausted", "--json"];
        for expected in [50, 0] {
            let run = place.run(&replay).await.expect_success();
            let told: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(told["replayed"], expected, "{told}");
        }
        eventually("all is stored", async || (stored(&rig).await == 400).then_some(())).await;
        consumer.stop().await;
    }
    rig.consumers.push(Consumer::start(rig.net.place(), CONSUMING));
    rig.assert_whole().await;
}

/// Makes dead letters of events that nothing is wrong with: what is replayed once something else is mended.
async fn bury(bus: &dyn Bus, wanted: usize) {
    let mut deliveries = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let mut buried = 0;
    while buried < wanted {
        let batch = deliveries.next(wanted - buried).await.unwrap();
        buried += batch.len();
        let dead = |tag| (tag, Settlement::Dead { code: Code::AttemptsExhausted, reason: "buried by the test".into() });
        deliveries.settle(batch.iter().map(|delivery| dead(delivery.tag)).collect()).await.unwrap();
    }
}

/// Beside a daemon the requests are left to it; in a folder of one's own the answers are waited for. Both cost
/// nothing where there is an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_analysed_again_beside_a_daemon() {
    let mut rig = rig(1030, 1).await;
    rig.say_all().await;
    eventually("all are analysed", async || {
        let counts = rig.store.counts(None).await.unwrap();
        (counts.messages == 400 && counts.analysed_messages == 400).then_some(())
    })
    .await;
    let before = rig.store.latest_analyses().await.unwrap();
    let run = rig.consumers[0].place().run(&["analyze", "--json"]).await.expect_success();
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&told["asked"], &told["left_to"]), (&4.into(), &"daemon".into()), "{told}");
    let run = rig.net.place().run(&["analyze", "--json"]).await.expect_success();
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&told["asked"], &told["made"], &told["waiting"]), (&4.into(), &0.into(), &0.into()), "{told}");
    assert!(told["analyses"].as_array().unwrap().iter().all(|one| one["state"] == "was there"), "{told}");
    assert_eq!(rig.store.latest_analyses().await.unwrap(), before);
    rig.assert_whole().await;
}
