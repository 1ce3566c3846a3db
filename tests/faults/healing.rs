//! What every fault must end in.

use std::collections::BTreeSet;
use std::fs;

use chatferry::demo::{Site, SiteOptions};

use crate::support::processes::Browsers;
use crate::support::{Place, assert_store_equals_site};

/// Conversations of [`tiny_site`], one of them empty.
pub const CONVERSATIONS: u32 = 4;

/// A site that is read in a second and still has several pages of history.
pub fn tiny_site() -> SiteOptions {
    SiteOptions { conversations: CONVERSATIONS - 1, messages: 150, empty_conversation: true, ..SiteOptions::default() }
}

/// A run that nothing disturbs, after which everything must be as if there had been no fault.
pub async fn assert_heals(site: &Site, place: &Place, browsers: &Browsers, kills: usize) {
    let run = place.collect_once().await;
    // One of the conversations is empty, which is no gap.
    assert!(run.stdout.contains("\"gaps\":0"), "{}", run.stdout);
    assert_whole(site, place, browsers, kills).await;
}

/// The store equals the site, the workbook shows each conversation once, and no browser is left. Each
/// of the `kills` may have come before the session was kept, and so have cost one more login; more than
/// that is how accounts get locked.
pub async fn assert_whole(site: &Site, place: &Place, browsers: &Browsers, kills: usize) {
    browsers.assert_gone().await;
    let exported = place.exported().await;
    assert_store_equals_site(site, &exported);
    let with_messages: BTreeSet<&str> = exported.iter().map(|message| message.conversation_id.as_str()).collect();
    let (keys, summaries) = workbook(place);
    assert_eq!(keys.len(), with_messages.len(), "one row per conversation");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a conversation has two rows");
    assert!(summaries.iter().all(|summary| !summary.is_empty()), "a conversation was not analysed: {summaries:?}");
    assert!(logins(site) <= 1 + kills, "{} logins after {kills} kills", logins(site));
}

/// How often the login form was sent.
pub fn logins(site: &Site) -> usize {
    site.request_log().iter().filter(|request| request.method == "POST" && request.path == "/login").count()
}

/// Keys and summaries of `summaries.csv`.
fn workbook(place: &Place) -> (Vec<String>, Vec<String>) {
    let bytes = fs::read(place.data_dir().join("summaries.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|found| found.eq_ignore_ascii_case(name)).unwrap();
    let (key, summary) = (column("key"), column("summary"));
    reader
        .records()
        .map(|record| record.unwrap())
        .map(|record| (record[key].to_owned(), record[summary].to_owned()))
        .unzip()
}
