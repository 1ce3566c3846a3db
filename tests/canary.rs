//! Chat text and credentials stay where they belong: the store, the workbook and the export hold the
//! chats, and nothing that is written beside them does, at any log level and in any failure.
//!
//! Every text and every title of the sample site is a canary, and so are the user name and the password.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chatferry::demo::{Site, SiteOptions};
use rustix::process::Signal;
use support::processes::{Browsers, Watched, send, turn};
use support::{Place, assert_store_equals_site};

/// Said on the site before the program comes.
const SAID: &str = "canary-3f9a1c: meet me behind the bakery at nine";
/// Shorter texts ("ok", "yes") may stand in a log by chance.
const SHORTEST: usize = 12;

/// What must be found nowhere.
#[derive(Debug)]
struct Canaries {
    chat: BTreeSet<String>,
    secret: BTreeSet<String>,
}

impl Canaries {
    fn of(site: &Site, wrong_password: Option<&str>) -> Self {
        let mut chat = BTreeSet::new();
        for message in site.truth() {
            for text in [message.text, message.conversation_title, message.author] {
                // A line of a log is one line, and may be cut.
                chat.extend(text.lines().filter(|line| line.chars().count() >= SHORTEST).map(str::to_owned));
            }
        }
        assert!(chat.iter().any(|text| text == SAID), "the site does not say what was said");
        assert!(chat.len() > 100, "{} canaries", chat.len());
        let mut secret = BTreeSet::from([Site::password().to_owned()]);
        secret.extend(wrong_password.map(str::to_owned));
        Self { chat, secret }
    }

    /// Those that a text holds, as they are, as JSON would write them, or as an address would.
    fn found_in<'c>(canaries: &'c BTreeSet<String>, text: &str) -> Vec<&'c str> {
        let is_there = |canary: &&String| {
            let json = serde_json::to_string(canary).unwrap();
            let json = json.trim_matches('"');
            let address = canary.replace(' ', "%20");
            [canary.as_str(), json, &address].iter().any(|form| text.contains(form))
        };
        canaries.iter().filter(is_there).map(String::as_str).collect()
    }

    #[track_caller]
    fn assert_none_in(&self, what: &str, text: &str) {
        for (kind, canaries) in [("chat", &self.chat), ("secret", &self.secret)] {
            let found = Self::found_in(canaries, text);
            assert!(found.is_empty(), "{what} holds {} {kind} canaries, first {:?}", found.len(), found[0]);
        }
    }
}

/// Whether a file is one that holds chats by its purpose.
fn holds_chats(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    ["chatferry.db", "spool.db", "summaries."].iter().any(|known| name.starts_with(known))
}

/// Every file below a folder as text.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.is_symlink() {
            found.append(&mut files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    found
}

/// Looks through everything that a run left: what it said, and its folder. The profile is Chromium's, who
/// keeps what a browser keeps; but a password is nothing that ours should.
#[track_caller]
fn assert_silent(canaries: &Canaries, place: &Place, outputs: &[&str]) {
    for output in outputs {
        canaries.assert_none_in("the output", output);
    }
    let profile = profiles_of(place);
    let files = files(place.folder());
    assert!(files.len() > 3, "there is nothing to look through: {:?}", files.keys());
    for (path, text) in files.iter().chain(&self::files(&profile)) {
        let secrets = Canaries::found_in(&canaries.secret, text);
        assert!(secrets.is_empty(), "{} holds the password", path.display());
        if !holds_chats(path) && !path.starts_with(&profile) {
            canaries.assert_none_in(&path.display().to_string(), text);
        }
    }
}

fn profiles_of(place: &Place) -> PathBuf {
    chatferry::browser::profile::profiles_of(&place.data_dir())
}

/// The same search finds the canary where it belongs; else it could find it nowhere.
async fn assert_stored(canaries: &Canaries, site: &Site, place: &Place) {
    let exported = place.exported().await;
    assert_store_equals_site(site, &exported);
    assert!(exported.iter().any(|message| message.text == SAID));
    let store: String =
        files(&place.data_dir()).into_iter().filter(|(path, _)| holds_chats(path)).map(|(_, text)| text).collect();
    assert!(Canaries::found_in(&canaries.chat, &store).contains(&SAID), "the search does not find what is there");
}

async fn site(options: SiteOptions) -> Site {
    let site = Site::start(options).await.unwrap();
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, SAID).unwrap();
    site
}

fn options() -> SiteOptions {
    SiteOptions { conversations: 4, messages: 200, ..SiteOptions::default() }
}

fn loud(site: &Site, format: &str) -> Place {
    Place::for_site(site).with("LOG_LEVEL", "trace").with("LOG_FORMAT", format)
}

async fn collected_in(format: &str) {
    let _turn = turn().await;
    let site = site(options()).await;
    let canaries = Canaries::of(&site, None);
    let place = loud(&site, format);
    let _browsers = Browsers::of(&place);
    let run = place.collect_once().await;
    assert!(run.stderr.lines().count() > 50, "trace says little: {}", run.stderr);
    if format == "json" {
        let is_json =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["msg"].is_string());
        assert!(run.stderr.lines().all(is_json), "{}", run.stderr);
    }
    let dry = place.run(&["--dry-run", "collect", "--once", "--json"]).await.expect_success();
    let listed = place.run(&["accounts", "list", "--json"]).await.expect_success();
    let shown = place.run(&["config", "show"]).await.expect_success();
    let outputs = [run, dry, listed, shown];
    let outputs: Vec<&str> = outputs.iter().flat_map(|run| [run.stdout.as_str(), &run.stderr]).collect();
    assert_silent(&canaries, &place, &outputs);
    let names_the_user =
        |output: &&str| output.split(|c: char| !c.is_alphanumeric()).any(|word| word == Site::username());
    assert!(!outputs.iter().any(names_the_user), "the user name was shown");
    assert_stored(&canaries, &site, &place).await;
    site.stop().await;
}

#[tokio::test]
async fn a_whole_run_in_text() {
    collected_in("text").await;
}

#[tokio::test]
async fn a_whole_run_in_json() {
    collected_in("json").await;
}

#[tokio::test]
async fn the_daemon_with_live_messages() {
    let _turn = turn().await;
    let site = site(options()).await;
    let place = loud(&site, "text")
        .with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
        .with("CHATFERRY_PASS_INTERVAL", "1s")
        .with("CHATFERRY_ANALYSIS_QUIET", "0s");
    let _browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["run"]);
    program.until_log(&["analysis stored"]).await;
    program.until_log(&["pass completed"]).await;
    let live = "canary-77d1e0: and bring the blue umbrella with you";
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, live).unwrap();
    program.until_log(&["batch archived", " inserted=1 "]).await;
    program.until_log(&["analysis stored"]).await;
    send(program.pid(), Signal::TERM);
    let ended = program.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    let canaries = Canaries::of(&site, None);
    assert!(canaries.chat.contains(live));
    assert_silent(&canaries, &place, &[&ended.stdout, &ended.log.join("\n")]);
    assert_stored(&canaries, &site, &place).await;
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_password() {
    let _turn = turn().await;
    let site = site(options()).await;
    let wrong = "canary-Pw-5521";
    let canaries = Canaries::of(&site, Some(wrong));
    for format in ["text", "json"] {
        let place = loud(&site, format).with("DEMO_PASSWORD", wrong);
        let _browsers = Browsers::of(&place);
        let run = place.run(&["collect", "--once"]).await;
        assert_eq!(run.code(), Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("bad-credentials"), "{}", run.stderr);
        assert_silent(&canaries, &place, &[&run.stdout, &run.stderr]);
    }
    site.stop().await;
}

/// A run with a pack that no longer fits the page, and the code that it must end in.
async fn with_broken_pack(from: &str, to: &str) {
    let _turn = turn().await;
    let site = site(options()).await;
    let canaries = Canaries::of(&site, None);
    let place = loud(&site, "text");
    let _browsers = Browsers::of(&place);
    let pack = include_str!("../selectors/demo.toml");
    assert!(pack.contains(from), "the pack has no {from}");
    let folder = place.data_dir().join("selectors");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("demo.toml"), pack.replace(from, to)).unwrap();
    let run = place.run(&["collect", "--once"]).await;
    assert_eq!(run.code(), Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("[layout-broken]"), "{}", run.stderr);
    // What was taken down of the failure is among what is looked through.
    let taken = files(&place.data_dir().join("failures"));
    assert!(taken.keys().any(|path| path.ends_with("skeleton.html")), "{:?}", taken.keys());
    assert_silent(&canaries, &place, &[&run.stdout, &run.stderr]);
    let probe = place.run(&["selectors", "probe", "demo", "--json"]).await;
    // The probe shows samples, but masked.
    canaries.assert_none_in("the probe", &probe.stdout);
    canaries.assert_none_in("the probe's log", &probe.stderr);
    site.stop().await;
}

#[tokio::test]
async fn a_query_that_matches_nothing() {
    with_broken_pack(r#"text = [".message-text", ".bubble-body"]"#, r#"text = ".no-such-thing""#).await;
}

#[tokio::test]
async fn a_time_that_is_read_from_the_text() {
    // A slip of the operator's that puts chat text where a time is expected.
    let _turn = turn().await;
    let site = site(options()).await;
    let canaries = Canaries::of(&site, None);
    let place = loud(&site, "json");
    let _browsers = Browsers::of(&place);
    let from = r#"at = [{ css = ".message-time", attr = "datetime" }, { css = ".bubble-when", attr = "data-ms" }]"#;
    let pack = include_str!("../selectors/demo.toml");
    assert!(pack.contains(from));
    let folder = place.data_dir().join("selectors");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("demo.toml"), pack.replace(from, r#"at = ".message-text""#)).unwrap();
    let run = place.run(&["collect", "--once"]).await;
    assert_silent(&canaries, &place, &[&run.stdout, &run.stderr]);
    site.stop().await;
}

#[tokio::test]
async fn a_page_that_crashes() {
    let _turn = turn().await;
    let site = site(SiteOptions { delay: Duration::from_millis(60), ..options() }).await;
    let canaries = Canaries::of(&site, None);
    let place = loud(&site, "json");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["collect", "--once"]);
    program.until_log(&["conversation read"]).await;
    for renderer in browsers.running().into_iter().filter(|process| process.is_renderer()) {
        send(renderer.pid, Signal::KILL);
    }
    let ended = program.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    assert!(ended.count(&["page-crashed"]) > 0, "{}", ended.log.join("\n"));
    assert_silent(&canaries, &place, &[&ended.stdout, &ended.log.join("\n")]);
    assert_stored(&canaries, &site, &place).await;
    site.stop().await;
}

#[tokio::test]
async fn a_program_that_is_killed() {
    let _turn = turn().await;
    let site = site(options()).await;
    let canaries = Canaries::of(&site, None);
    let place = loud(&site, "text").with("CHATFERRY_CRASH_AT", "archive.stored");
    let _browsers = Browsers::of(&place);
    let ended = Watched::start(&place, &["collect", "--once"]).end().await;
    ended.assert_killed();
    assert_silent(&canaries, &place, &[&ended.stdout, &ended.log.join("\n")]);
    site.stop().await;
}
