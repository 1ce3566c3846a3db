//! Dead letters: looked at, sent back, or dropped, by a person who may ask twice.

use chatferry::domain::EventId;
use chatferry::fault::Code;
use chatferry::ports::{Bus, Delivery, Queue, Settlement};

use super::{BusFixture, depth, event, number, publish, settle_all, take};

/// The events `0..count` as dead letters, and the subscription that buried them.
async fn bury(bus: &dyn Bus, count: u32) -> Vec<Delivery> {
    publish(bus, 0..count).await;
    let mut archive = bus.subscribe(Queue::Archive, 100).await.unwrap();
    let taken = take(&mut *archive, count as usize).await;
    let dead = Settlement::Dead { code: Code::EventInvalid, reason: "a cause".to_owned() };
    settle_all(&mut *archive, &taken, &dead).await;
    taken
}

async fn listed(bus: &dyn Bus) -> Vec<EventId> {
    bus.list_dead().await.unwrap().iter().map(|letter| letter.id).collect()
}

pub async fn a_look_at_dead_letters_tells_all_and_takes_none(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    assert!(bus.list_dead().await.unwrap().is_empty());
    let begun = jiff::Timestamp::now();
    let taken = bury(&*bus, 3).await;
    for _ in 0..3 {
        let letters = bus.list_dead().await.unwrap();
        assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), [0, 1, 2].map(|n| event(n).id));
        for (letter, delivery) in letters.iter().zip(&taken) {
            assert_eq!((letter.code.as_str(), letter.reason.as_str()), ("event-invalid", "a cause"));
            assert_eq!((letter.queue, letter.failures, &letter.body), (Queue::Archive, 1, &delivery.body));
            assert_eq!(letter.kind, "chatferry.message.captured.v1");
            assert!(begun <= letter.first_failed_at && letter.first_failed_at <= letter.failed_at, "{letter:?}");
        }
        assert!(!format!("{letters:?}").contains("dich"), "chat text in Debug");
        assert_eq!(bus.dead_letters().await.unwrap(), 3);
    }
}

pub async fn replaying_twice_delivers_once(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    bury(&*bus, 3).await;
    let ids = [event(0).id, event(2).id];
    assert_eq!(bus.replay_dead(&ids).await.unwrap(), 2);
    assert_eq!(bus.replay_dead(&ids).await.unwrap(), 0, "they are no dead letters any more");
    assert_eq!(listed(&*bus).await, [event(1).id]);
    let mut archive = bus.subscribe(Queue::Archive, 10).await.unwrap();
    let again = take(&mut *archive, 2).await;
    let came: Vec<(u32, u32)> = again.iter().map(|delivery| (number(delivery), delivery.failures)).collect();
    assert_eq!(came, [(0, 0), (2, 0)], "nothing is held against them");
    assert_eq!(again[0].body, event(0).body);
    settle_all(&mut *archive, &again, &Settlement::Done).await;
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
}

pub async fn dropping_takes_what_is_named_and_nothing_else(fixture: &impl BusFixture) {
    let bus = fixture.open().await;
    bury(&*bus, 3).await;
    assert_eq!(bus.drop_dead(&[event(7).id]).await.unwrap(), 0);
    assert_eq!(bus.drop_dead(&[event(1).id, event(7).id]).await.unwrap(), 1);
    assert_eq!(bus.drop_dead(&[event(1).id]).await.unwrap(), 0);
    assert_eq!(listed(&*bus).await, [event(0).id, event(2).id]);
    assert_eq!(bus.replay_dead(&[event(1).id]).await.unwrap(), 0, "dropped is dropped");
    let bus = fixture.open().await;
    assert_eq!(listed(&*bus).await, [event(0).id, event(2).id]);
    assert_eq!(depth(&*bus, Queue::Archive).await, (0, 0));
}
