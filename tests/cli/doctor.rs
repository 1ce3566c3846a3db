//! `doctor`: a line for every part, whatever the others say, and nothing left behind.

use std::fs;

use chatferry::browser::profile::profiles_of;
use serde_json::Value;

use crate::roles::deaf;
use crate::support::processes::{Browsers, Watched, send, turn};
use crate::support::{Place, Run};

/// A password that must not be seen.
const SECRET: &str = "secret-canary";

fn place() -> Place {
    Place::new().with("DEMO_USERNAME", "somebody").with("DEMO_PASSWORD", SECRET).with("LOG_LEVEL", "trace")
}

async fn doctor(place: &Place, arguments: &[&str]) -> Run {
    let run = place.run(&[&["doctor"], arguments].concat()).await;
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET), "{}{}", run.stdout, run.stderr);
    run
}

/// Each part with how it is.
async fn findings(place: &Place, exit: i32) -> Vec<Value> {
    let run = doctor(place, &["--json"]).await;
    assert_eq!(run.code(), Some(exit), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap()
}

fn of<'a>(findings: &'a [Value], part: &str) -> &'a Value {
    findings.iter().find(|finding| finding["part"] == part).unwrap_or_else(|| panic!("no {part} in {findings:?}"))
}

fn parts(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["part"].as_str().unwrap()).collect()
}

const PARTS: [&str; 8] = ["settings", "pack", "data directory", "chromium", "bus", "store", "analyst", "mirror"];

#[tokio::test]
async fn all_is_well_and_nothing_is_left_behind() {
    let _turn = turn().await;
    let place = place();
    let run = doctor(&place, &[]).await.expect_success();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), PARTS.len(), "{}", run.stdout);
    for (line, part) in lines.iter().zip(PARTS) {
        assert!(line.starts_with(&format!("ok       {part} ")), "{part}: {line}");
    }
    Browsers::of(&place).assert_gone().await;
    let left: Vec<String> = fs::read_dir(place.data_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !matches!(name.as_str(), "lock" | "chatferry.db" | "chatferry.db-wal" | "chatferry.db-shm"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let profiles = profiles_of(&place.data_dir().join("doctor"));
    assert!(!profiles.exists(), "a profile is left behind");
    assert_eq!(place.run(&["dead", "list"]).await.expect_success().stdout, "no dead letters\n");
}

#[tokio::test]
async fn a_browser_and_servers_that_are_not_there_are_told_beside_what_works() {
    let (_deaf, port) = deaf();
    let place = place()
        .with("CHROMIUM_PATH", "/nowhere/chromium")
        .with("RABBITMQ_URL", format!("amqp://user:{SECRET}@127.0.0.1:{port}/"))
        .with("MONGODB_URI", format!("mongodb://user:{SECRET}@127.0.0.1:{port}/chats?serverSelectionTimeoutMS=500"));
    let findings = findings(&place, 1).await;
    assert_eq!(parts(&findings), PARTS);
    for (part, code) in [("chromium", "chromium-missing"), ("bus", "bus-unavailable"), ("store", "store-unavailable")] {
        let finding = of(&findings, part);
        assert_eq!((&finding["health"], &finding["code"]), (&"fault".into(), &code.into()), "{finding}");
        assert!(finding["action"].as_str().unwrap().ends_with('.'), "{finding}");
    }
    for part in ["settings", "pack", "data directory", "analyst", "mirror"] {
        assert_eq!(of(&findings, part)["health"], "ok", "{findings:?}");
    }
    assert!(!place.data_dir().join("doctor").exists());
    assert!(!place.data_dir().join("chatferry.db").exists(), "something is embedded all the same");
    let text = doctor(&place, &[]).await;
    let bus: Vec<&str> = text.stdout.lines().skip_while(|line| !line.starts_with("FAULT    bus ")).take(2).collect();
    assert!(
        bus[0].ends_with(" [bus-unavailable]") && bus[1].trim_start().starts_with("what to do: "),
        "{}",
        text.stdout
    );
}

#[tokio::test]
async fn a_chromium_that_does_not_start_leaves_no_profile() {
    let place = place().with("CHROMIUM_PATH", "/bin/false");
    let findings = findings(&place, 1).await;
    assert_eq!(of(&findings, "chromium")["code"], "chromium-failed");
    assert!(!place.data_dir().join("doctor").exists());
}

#[tokio::test]
async fn settings_without_an_account_are_a_warning_and_a_dry_run_is_refused() {
    let place = Place::new().with("CHROMIUM_PATH", "/bin/false");
    let run = doctor(&place, &[]).await;
    assert!(run.stdout.starts_with("warning  settings        no account is configured"), "{}", run.stdout);
    let other = Place::new();
    let run = other.run(&["--dry-run", "doctor"]).await;
    assert_eq!((run.code(), run.stdout.as_str()), (Some(78), ""), "{}", run.stderr);
    assert!(run.stderr.contains("the doctor has no dry run"), "{}", run.stderr);
    assert!(!other.data_dir().exists());
}

#[tokio::test]
async fn beside_a_daemon_everything_is_tried_too() {
    let place = Place::new().with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0").with("CHROMIUM_PATH", "/bin/false");
    let mut daemon = Watched::start(&place, &["run"]);
    daemon.until_log(&["no account is configured"]).await;
    let findings = findings(&place, 1).await;
    let data = of(&findings, "data directory");
    assert!(data["what"].as_str().unwrap().ends_with("is in use by a chatferry that runs"), "{data}");
    for part in ["bus", "store"] {
        assert_eq!(of(&findings, part)["health"], "ok", "{findings:?}");
    }
    send(daemon.pid(), rustix::process::Signal::TERM);
    assert!(daemon.end().await.status.success());
}
