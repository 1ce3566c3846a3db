//! Several processes and one sheet: whoever holds the lease writes it, and another takes over when it dies.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::google::{Google, SHEET_ID};
use crate::mongod;
use crate::rabbitmq::RabbitNode;
use crate::rig::{Consumer, Rig};
use crate::script::Script;
use crate::support::processes::send;
use crate::support::{Place, eventually};

fn place(rig: &Rig, google: &Google) -> Place {
    let place = rig.net.place();
    let key = google.key_file(place.folder());
    place
        .with("GOOGLE_SHEET_ID", SHEET_ID)
        .with("GOOGLE_CREDENTIALS_PATH", key.display().to_string())
        .with("GOOGLE_SHEETS_API_URL", google.address())
        .with("CHATFERRY_LEASE_TTL", "3s")
}

/// Message counts in the sheet by key; `None` while a key stands twice.
fn shown(google: &Google) -> Option<Vec<(String, String)>> {
    let state = google.state();
    let tab = state.book.tab("Conversations")?;
    let (key, messages) = (tab.column("key"), tab.column("messages"));
    let rows = (1..tab.used())
        .map(|row| (crate::google::shown(tab.get(row, key)), crate::google::shown(tab.get(row, messages))));
    let rows: Vec<(String, String)> = rows.filter(|(key, _)| !key.is_empty()).collect();
    let keys: BTreeSet<&String> = rows.iter().map(|(key, _)| key).collect();
    (keys.len() == rows.len()).then_some(rows)
}

async fn until_it_shows(rig: &Rig, google: &Google) {
    eventually("the sheet shows what is stored", || async {
        let wanted = rig.store.conversations(&chatferry::ports::ConversationFilter::default()).await.ok()?;
        let mut wanted: Vec<(String, String)> =
            wanted.into_iter().map(|c| (c.key.to_string(), c.messages.to_string())).collect();
        let mut shown = shown(google)?;
        wanted.sort();
        shown.sort();
        (wanted == shown && !wanted.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_processes_writes_the_sheet_and_the_other_takes_over() {
    let script = Script { seed: 2001, conversations: 5, messages: 60 };
    let mut rig = Rig::start(RabbitNode::shared().await, mongod::shared().await, script, 0).await;
    let google = Google::start().await;
    rig.consumers = vec![Consumer::start(rig.net.place(), "archive,analyze")];
    let mut writers: Vec<Consumer> = (0..2).map(|_| Consumer::start(place(&rig, &google), "mirror")).collect();
    rig.say_all().await;
    until_it_shows(&rig, &google).await;
    // Each process asks for a token of its own.
    assert_eq!(google.state().asked_tokens, 1, "one process wrote");
    let holder = if writers[0].log().contains("mirror written") { 0 } else { 1 };
    assert!(!writers[1 - holder].log().contains("mirror written"), "{}", writers[1 - holder].log());
    send(writers[holder].pid().unwrap(), Signal::KILL);
    writers.remove(holder).ended().await;
    google.state().book.edit("Conversations").delete_row(1);
    until_it_shows(&rig, &google).await;
    assert_eq!(google.state().asked_tokens, 2, "the other one");
    assert_eq!(google.state().misunderstood, [] as [String; 0]);
    send(writers[0].pid().unwrap(), Signal::TERM);
    let ended = tokio::time::timeout(Duration::from_secs(60), writers[0].ended()).await.unwrap();
    assert!(ended.success(), "{}", writers[0].log());
}
