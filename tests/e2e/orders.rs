//! What a person orders at the command line while the daemon runs, and what outlives a restart.

use chatferry::demo::{LoginMode, Site, SiteOptions};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::support::packs::demo_pack;
use crate::support::{Place, Run, assert_store_equals_site, eventually, tiny_site};

const ID: &str = "demo/default";

/// Everything but looking: method and path.
fn posts(site: &Site) -> Vec<String> {
    let log = site.request_log().into_iter().filter(|request| request.method != "GET");
    log.map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn account(run: &Run) -> Value {
    let document: Value = serde_json::from_str(run.stdout.trim()).unwrap_or_else(|_| panic!("{run:?}"));
    document["accounts"][0].clone()
}

/// Waits until `chatferry status` says this of the account, and gives what it said and its exit code.
async fn until(place: &Place, state: &str, code: Option<&str>) -> (Value, Option<i32>) {
    eventually(&format!("{ID} is {state} {code:?}"), async || {
        let run = place.run(&["status", "--json"]).await;
        let account = account(&run);
        let is_met = account["state"] == state && account["code"].as_str() == code;
        is_met.then(|| (account, run.code()))
    })
    .await
}

async fn ordered(place: &Place, arguments: &[&str]) -> String {
    let run = place.run(&[&["accounts"], arguments].concat()).await.expect_success();
    run.stdout.trim().to_owned()
}

async fn refused(place: &Place, arguments: &[&str], code: &str) -> String {
    let run = place.run(&[&["accounts"], arguments].concat()).await;
    assert_eq!(run.code(), Some(1), "{run:?}");
    assert!(run.stderr.contains(&format!("[{code}]\n  what to do: ")), "{}", run.stderr);
    run.stderr
}

#[tokio::test]
async fn a_pause_outlives_a_restart_and_a_resumed_account_goes_on() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site);
    let daemon = Daemon::start(&mut place).await;
    let seeded = site.truth().len();
    daemon.stored(seeded).await;
    let (_, exit) = until(&place, "live", None).await;
    assert_eq!(exit, Some(0));
    let told = refused(&place, &["pause", "demo"], "account-unknown").await;
    assert!(told.contains("did you mean demo/default?"), "{told}");
    refused(&place, &["answer", ID, "123456"], "order-refused").await;
    assert!(ordered(&place, &["resume", ID]).await.contains("nothing to resume"));
    assert!(ordered(&place, &["pause", ID]).await.contains("accounts resume demo/default"));
    let (_, exit) = until(&place, "stopped", Some("paused")).await;
    assert_eq!(exit, Some(0), "somebody wanted it so");
    assert!(ordered(&place, &["pause", ID]).await.contains("already"));
    daemon.stop().await.expect_success();
    let gone = place.run(&["status"]).await;
    assert_eq!(gone.code(), Some(1));
    assert!(gone.stderr.contains("no daemon runs in") && gone.stderr.contains("last that is known"), "{}", gone.stderr);
    site.say(&site.truth()[0].conversation_id, None, "while it was paused").unwrap();

    let requests = site.request_log().len();
    let daemon = Daemon::start(&mut place).await;
    until(&place, "stopped", Some("paused")).await;
    assert_eq!(site.request_log().len(), requests, "a paused account was opened");
    assert!(ordered(&place, &["resume", ID]).await.contains("starts at once"));
    daemon.stored(seeded + 1).await;
    until(&place, "live", None).await;
    daemon.stop().await.expect_success();
    assert!(ordered(&place, &["pause", ID]).await.contains("No daemon runs here"));
    let held = place.run(&["collect", "--once"]).await;
    assert!(held.code() == Some(1) && held.stderr.contains("[paused]"), "{}", held.stderr);
    assert!(ordered(&place, &["resume", ID]).await.contains("next start"));
    place.collect_once().await;
    assert_store_equals_site(&site, &place.exported().await);
    assert_eq!(posts(&site), ["POST /login"]);
    site.stop().await;
}

#[tokio::test]
async fn a_parked_account_is_not_tried_again_before_its_human_says_so() {
    let site = Site::start(SiteOptions { login: LoginMode::Captcha, ..tiny_site() }).await.unwrap();
    let mut place = Place::for_site(&site);
    for _ in 0..2 {
        let daemon = Daemon::start(&mut place).await;
        let (account, exit) = until(&place, "parked", Some("captcha")).await;
        assert_eq!((exit, account["trouble"].as_str()), (Some(1), Some("parked")));
        let action = account["action"].as_str().unwrap();
        assert!(action.contains("chatferry accounts resume demo/default"), "{action}");
        let picture = action.rsplit_once(": ").unwrap().1.trim_end_matches('.');
        assert_eq!(&std::fs::read(picture).unwrap()[1..4], b"PNG");
        daemon.stop().await.expect_success();
    }
    let once = place.run(&["collect", "--once"]).await;
    assert!(once.code() == Some(1) && once.stderr.contains("[captcha]"), "{}", once.stderr);
    assert_eq!(posts(&site), ["POST /login"]);

    site.set_login(LoginMode::Normal);
    let daemon = Daemon::start(&mut place).await;
    until(&place, "parked", Some("captcha")).await;
    ordered(&place, &["resume", ID]).await;
    daemon.stored(site.truth().len()).await;
    let (account, exit) = until(&place, "live", None).await;
    assert_eq!((exit, &account["trouble"]), (Some(0), &Value::Null));
    daemon.stop().await.expect_success();
    assert_eq!(posts(&site), ["POST /login", "POST /login"]);
    site.stop().await;
}

#[tokio::test]
async fn a_code_is_handed_in_once_and_written_down_nowhere() {
    let site = Site::start(SiteOptions { login: LoginMode::OneTimeCode, ..tiny_site() }).await.unwrap();
    let mut place = Place::for_site(&site).with("LOG_LEVEL", "trace");
    let daemon = Daemon::start(&mut place).await;
    let (account, _) = until(&place, "parked", Some("one-time-code")).await;
    assert!(account["action"].as_str().unwrap().contains("chatferry accounts answer demo/default CODE"), "{account}");
    let told = refused(&place, &["answer", ID, "990 017"], "one-time-code").await;
    assert!(told.contains("did not take") && !told.contains("990 017"), "{told}");
    let (account, exit) = until(&place, "parked", Some("one-time-code")).await;
    assert_eq!(exit, Some(1));
    assert!(account["sentence"].as_str().unwrap().contains("did not take"), "{account}");
    assert!(ordered(&place, &["answer", ID, Site::code()]).await.contains("took the code"));
    daemon.stored(site.truth().len()).await;
    until(&place, "live", None).await;
    let run = daemon.stop().await.expect_success();
    assert_eq!(posts(&site), ["POST /login", "POST /challenge", "POST /challenge"]);
    for code in ["990 017", "990017", Site::code()] {
        assert!(!run.stderr.contains(code), "{code} is in the log");
        for file in walkdir(&place.data_dir()) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(
                !bytes.windows(code.len()).any(|window| window == code.as_bytes()),
                "{code} is in {}",
                file.display()
            );
        }
    }
    site.stop().await;
}

fn walkdir(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walkdir(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn everything_is_read_once_more_when_that_is_ordered() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site);
    let daemon = Daemon::start(&mut place).await;
    daemon.stored(site.truth().len()).await;
    until(&place, "live", None).await;
    // An edit deep in a history, far from anything that the list shows.
    let old = site.truth()[0].clone();
    site.edit(&old.native_id, "edited long ago").unwrap();
    assert!(ordered(&place, &["recollect", ID, "--since", "2100-01-01"]).await.contains("2100"));
    assert!(ordered(&place, &["recollect", ID]).await.contains("every conversation"));
    eventually("the edit is stored", async || {
        place.exported().await.iter().any(|message| message.text == "edited long ago").then_some(())
    })
    .await;
    daemon.stop().await.expect_success();
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}

#[tokio::test]
async fn a_page_that_stays_broken_is_told_once_with_what_it_looked_like() {
    let site = Site::start(tiny_site()).await.unwrap();
    let mut place = Place::for_site(&site).with_pack(&demo_pack(&[("messages", "text", "\".no-such-thing\"")]));
    let daemon = Daemon::start(&mut place).await;
    let (account, _) = until(&place, "parked", Some("layout-broken")).await;
    let action = account["action"].as_str().unwrap();
    let folder = action.rsplit_once(": ").unwrap().1.trim_end_matches('.').to_owned();
    let run = daemon.stop().await.expect_success();
    assert_eq!(run.logged("pass failed").len(), 3, "{}", run.stderr);
    let states = run.logged("account changed");
    let parked = states.iter().filter(|line| line["account.state"] == "parked").count();
    assert_eq!(parked, 1, "{states:?}");
    assert_eq!(std::fs::read_dir(place.data_dir().join("failures")).unwrap().count(), 1);
    for name in ["README.txt", "skeleton.html", "selectors.json", "screenshot.png"] {
        let content = std::fs::read(std::path::Path::new(&folder).join(name)).unwrap();
        assert!(!content.is_empty(), "{name}");
        let content = String::from_utf8_lossy(&content);
        for message in site.truth() {
            let words = message.text.split_whitespace().filter(|word| word.chars().count() > 9);
            for word in words.chain([message.conversation_title.as_str(), message.native_id.as_str()]) {
                assert!(!content.contains(word), "{name} holds {word}");
            }
        }
    }
    let report: Value =
        serde_json::from_slice(&std::fs::read(std::path::Path::new(&folder).join("selectors.json")).unwrap()).unwrap();
    let text = report["queries"].as_array().unwrap().iter().find(|row| row["key"] == "messages.text").unwrap();
    assert_eq!(text["counts"], serde_json::json!([0]));
    if let Ok(pictures) = std::env::var("CHATFERRY_TEST_PICTURES") {
        std::fs::copy(std::path::Path::new(&folder).join("screenshot.png"), format!("{pictures}/broken.png")).unwrap();
    }
    assert_eq!(place.exported().await, []);
    // A mended pack is a reason to try again.
    place = place.with_pack(&demo_pack(&[]));
    let daemon = Daemon::start(&mut place).await;
    daemon.stored(site.truth().len()).await;
    daemon.stop().await.expect_success();
    assert_store_equals_site(&site, &place.exported().await);
    site.stop().await;
}
