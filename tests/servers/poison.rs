//! An event that kills whoever takes it in hand (F15): it is found, set aside, and its neighbours go on.

use std::os::unix::process::ExitStatusExt;

use chatferry::domain::EventId;
use chatferry::ports::Bus;

use crate::mongod;
use crate::oracle::{self, Differences};
use crate::rabbitmq::RabbitNode;
use crate::rig::{CONSUMING, Consumer, Rig};
use crate::script::Script;
use crate::support::eventually;

/// A supervisor does not start a process for ever; far more than the poison may cost.
const STARTS: usize = 12;

/// Waits until there is a dead letter.
async fn buried(bus: &dyn Bus) {
    eventually("something is buried", async || (bus.dead_letters().await.unwrap_or(0) > 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_that_kills_the_process_is_set_aside_alone() {
    let script = Script { seed: 2001, conversations: 3, messages: 60 };
    let mut rig = Rig::start(RabbitNode::shared().await, mongod::shared().await, script, 0).await;
    let poison: EventId = script.captures(20)[1].events[7].0.id;
    let place = rig.net.place().with("CHATFERRY_POISON", poison.to_string());
    rig.say_all().await;
    let mut doomed = Consumer::start(place, CONSUMING);
    let mut deaths = 0;
    // As a supervisor: start again whatever dies, until one lives long enough to bury the event.
    loop {
        tokio::select! {
            status = doomed.ended() => {
                assert_eq!(status.signal(), Some(9), "{status}\n{}", doomed.log());
                deaths += 1;
                assert!(deaths < STARTS, "it dies again and again:\n{}", doomed.log());
                doomed.again();
            }
            () = buried(&*rig.bus) => break,
        }
    }
    let letters = rig.bus.list_dead().await.unwrap();
    let told: Vec<_> = letters.iter().map(|letter| (letter.id, letter.code.as_str())).collect();
    assert_eq!(told, [(poison, "event-deadly")], "its neighbours are not to blame");
    assert!(deaths >= 3, "{deaths} deaths: it was condemned too early");

    // Without the poison a replay completes the store.
    doomed.place().unset("CHATFERRY_POISON");
    doomed.signal(rustix::process::Signal::TERM);
    doomed.ended().await;
    doomed.again();
    rig.consumers.push(doomed);
    let place = rig.net.place();
    place.run(&["dead", "replay", &poison.to_string()]).await.expect_success();
    oracle::at_rest(&*rig.producer.spool, &*rig.bus, &*rig.store, &script).await;
    assert_eq!(oracle::compare(&*rig.store, &script).await, Differences::default());
    rig.assert_whole().await;
}
