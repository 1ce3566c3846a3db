//! What must be true once the faults have stopped and everything has come to rest (L1 to L4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chatferry::ports::{Backlog, Bus, ConversationFilter, MessageRange, Store};
use tokio::time::Instant;

use crate::script::{Script, Truth};
use crate::support::pause;

/// Longest wait for rest after the last fault: a broker that starts on a busy machine and a retry of a minute are part of it.
const REST: Duration = Duration::from_secs(240);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What differs between the script and the store, as a total-queue checker reports it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// In the script, not in the store.
    pub lost: usize,
    /// In the store, not in the script: another text, another place, another key.
    pub unexpected: usize,
    /// Twice in the store.
    pub duplicated: usize,
}

/// Waits until nothing is on its way: spool and queues are empty, and every conversation is analysed up
/// to its newest message.
pub async fn at_rest(spool: &dyn Backlog, bus: &dyn Bus, store: &dyn Store, script: &Script) {
    let account = script.account();
    let deadline = Instant::now() + REST;
    loop {
        let pending = spool.pending().await;
        let depths = bus.depths().await;
        let counts = store.counts(Some(&account)).await;
        let is_at_rest = pending.as_ref().is_ok_and(|pending| *pending == 0)
            && depths.as_ref().is_ok_and(|depths| depths.iter().all(|depth| depth.ready + depth.in_flight == 0))
            && counts.as_ref().is_ok_and(|counts| {
                counts.analysed_conversations == u64::from(script.conversations)
                    && counts.analysed_messages == u64::from(script.conversations * script.messages)
            });
        if is_at_rest {
            return;
        }
        if Instant::now() >= deadline {
            let dead = bus.list_dead().await;
            panic!(
                "it does not come to rest: pending {pending:?}, depths {depths:?}, counts {counts:?}, dead {dead:?}"
            );
        }
        pause(LOOK_EVERY).await;
    }
}

/// Compares the store with the script, message for message and in order.
pub async fn compare(store: &dyn Store, script: &Script) -> Differences {
    let mut found = Differences::default();
    let filter = ConversationFilter { account: Some(script.account()), limit: None };
    let conversations = store.conversations(&filter).await.unwrap();
    found.unexpected += conversations.len().saturating_sub(script.conversations as usize);
    for c in 0..script.conversations {
        let truth = script.truth(c);
        let key = script.conversation(c);
        let stored: Vec<Truth> = store
            .messages(&key, MessageRange::default())
            .await
            .unwrap()
            .into_iter()
            .map(|stored| stored.message)
            .map(|m| Truth { key: m.key, text: m.text.expose().to_owned(), position: m.position })
            .collect();
        let mut left: BTreeMap<&Truth, i64> = BTreeMap::new();
        for message in &truth {
            *left.entry(message).or_default() += 1;
        }
        for message in &stored {
            match left.get_mut(message) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) => found.duplicated += 1,
                None => found.unexpected += 1,
            }
        }
        found.lost += left.values().filter(|count| **count > 0).count();
        if found == Differences::default() {
            assert_eq!(stored, truth, "the order differs");
        }
        let row = conversations.iter().find(|conversation| conversation.key == key);
        let counted = row.map_or(0, |row| row.messages);
        assert_eq!(counted, stored.len() as u64, "the count of conversation {c} does not agree with its messages");
    }
    found
}

/// At rest, whole, and without a dead letter.
pub async fn assert_whole(spool: &dyn Backlog, bus: &Arc<dyn Bus>, store: &Arc<dyn Store>, script: &Script) {
    at_rest(spool, &**bus, &**store, script).await;
    assert_eq!(compare(&**store, script).await, Differences::default());
    assert_eq!(bus.dead_letters().await.unwrap(), 0, "{:?}", bus.list_dead().await);
    let latest = store.latest_analyses().await.unwrap();
    for c in 0..script.conversations {
        let newest = script.truth(c).last().unwrap().key;
        assert_eq!(latest[&script.conversation(c)].up_to, newest, "conversation {c} is not analysed to its end");
    }
}
