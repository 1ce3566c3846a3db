//! What happens on the site between two runs.

use chatferry::demo::Site;

use crate::support::{Place, assert_store_equals_site, tiny_site};

#[tokio::test]
async fn an_edit_replaces_the_text_and_adds_no_message() {
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site);
    place.collect_once().await;
    let before = place.exported().await;
    // An old message and a young one.
    let truth = site.truth();
    let old = truth.first().unwrap().native_id.clone();
    let young = truth.iter().rfind(|m| m.conversation_id == truth[0].conversation_id).unwrap().native_id.clone();
    site.edit(&old, "corrected long after").unwrap();
    site.edit(&young, "corrected at once\nin two lines").unwrap();
    let run = place.collect_once().await;
    assert_eq!((run.count("new_messages"), run.count("changed_messages")), (0, 2));
    let after = place.exported().await;
    assert_store_equals_site(&site, &after);
    assert_eq!(after.len(), before.len());
    let changed: Vec<&str> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.key.as_str()).collect();
    assert_eq!(changed.len(), 2);
    assert_eq!(place.collect_once().await.count("changed_messages"), 0);
    site.stop().await;
}

#[tokio::test]
async fn what_is_said_between_two_runs_comes_once_and_in_order() {
    let site = Site::start(tiny_site()).await.unwrap();
    let place = Place::for_site(&site);
    place.collect_once().await;
    let mut conversations: Vec<String> = site.truth().into_iter().map(|message| message.conversation_id).collect();
    conversations.dedup();
    for n in 0..3 {
        // Twice the same words within a second, by either side.
        for conversation in &conversations {
            site.say(conversation, None, "Are you there?").unwrap();
            site.say(conversation, Some("Alex"), &format!("Yes, since {n}")).unwrap();
        }
    }
    let run = place.collect_once().await;
    assert_eq!(run.count("new_messages"), 6 * conversations.len() as u64);
    let stored = place.exported().await;
    assert_store_equals_site(&site, &stored);
    assert_eq!(stored.iter().filter(|m| m.origin == "live").count(), 6 * conversations.len());
    assert_eq!(place.collect_once().await.count("new_messages"), 0);
    site.stop().await;
}
