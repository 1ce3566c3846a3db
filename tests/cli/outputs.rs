//! What commands put out, as another program would read it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use chatferry::demo::Site;
use serde_json::Value;

use crate::support::processes::turn;
use crate::support::{Exported, Place, assert_store_equals_site, small_site};

/// One JSON document in one line, and nothing else on stdout.
async fn document(place: &Place, arguments: &[&str]) -> Value {
    let run = place.run(arguments).await.expect_success();
    assert_eq!(run.stdout.trim_end().lines().count(), 1, "{arguments:?}: {}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", run.stdout))
}

#[tokio::test]
async fn every_listing_is_valid_and_agrees_with_the_site() {
    let _turn = turn().await;
    let site = Site::start(small_site()).await.unwrap();
    let place = Place::for_site(&site);
    let (conversations, messages) = (u64::from(small_site().conversations), u64::from(small_site().messages));

    let collected = document(&place, &["collect", "--once", "--json"]).await;
    assert_eq!(collected["accounts"][0]["account"], "demo/default");
    assert_eq!(collected["accounts"][0]["conversations"], conversations);
    assert_eq!(collected["accounts"][0]["new_messages"], messages);
    assert_eq!(collected["stored"]["messages"], messages);
    assert_eq!(collected["faults"], Value::Array(Vec::new()));
    assert_eq!(collected["dry_run"], false);

    let accounts = document(&place, &["accounts", "list", "--json"]).await;
    assert_eq!(accounts[0]["account"], "demo/default");
    let account = place.run(&["accounts", "list"]).await.expect_success();
    assert!(account.stdout.contains("demo/default"), "{}", account.stdout);

    let list = document(&place, &["conversations", "list", "--json"]).await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len() as u64, conversations);
    assert_eq!(list.iter().map(|c| c["messages"].as_u64().unwrap()).sum::<u64>(), messages);
    let limited = document(&place, &["conversations", "list", "--json", "--limit", "2"]).await;
    assert_eq!(limited.as_array().unwrap().len(), 2);

    let first = &list[0];
    let shown = document(&place, &["conversations", "show", first["key"].as_str().unwrap(), "--json"]).await;
    assert_eq!(shown["title"], first["title"]);
    assert_eq!(shown["messages"].as_array().unwrap().len() as u64, first["messages"].as_u64().unwrap());
    let missing = place.run(&["conversations", "show", &format!("c1-{}", "0".repeat(32))]).await;
    assert_eq!(missing.code(), Some(1), "{}", missing.stderr);
    assert!(missing.stderr.contains("there is no conversation"), "{}", missing.stderr);

    let out = place.folder().join("all.jsonl");
    let arguments = ["data", "export", "--out", out.to_str().unwrap()];
    assert_eq!(place.run(&arguments).await.expect_success().stdout, "");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600, "others can read the export");
    let text = fs::read_to_string(&out).unwrap();
    let exported: Vec<Exported> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_store_equals_site(&site, &exported);
    assert_eq!(exported, place.exported().await, "the file and stdout differ");
    let again = place.run(&arguments).await;
    assert_eq!(again.code(), Some(1), "an existing file was overwritten");
    assert_eq!(fs::read_to_string(&out).unwrap(), text);
    site.stop().await;
}

#[tokio::test]
async fn settings_are_shown_with_their_origin_and_without_secrets() {
    let place = Place::new()
        .with("DEMO_USERNAME", "somebody@example.org")
        .with("DEMO_PASSWORD", "hidden-Pw-9")
        .with("LOG_LEVEL", "warn");
    let shown = document(&place, &["config", "show", "--json"]).await;
    let of = |name: &str| shown["settings"].as_array().unwrap().iter().find(|s| s["variable"] == name).cloned();
    assert_eq!(of("LOG_LEVEL").unwrap()["value"], "warn", "{shown}");
    assert_eq!(shown["accounts"][0]["id"], "demo/default");
    let text = place.run(&["config", "show"]).await.expect_success().stdout;
    assert!(text.contains("LOG_LEVEL") && text.contains("environment"), "{text}");
    for output in [shown.to_string(), text] {
        assert!(!output.contains("hidden-Pw-9") && !output.contains("somebody@example.org"), "{output}");
    }
    let checked = document(&place, &["config", "check", "--json"]).await;
    assert_eq!(checked["ok"], true);
    assert!(!place.data_dir().exists(), "looking at the settings made the data directory");
}

#[tokio::test]
async fn the_example_of_a_settings_file_is_accepted_as_one() {
    let place = Place::new();
    let example = place.run(&["config", "env-example"]).await.expect_success().stdout;
    fs::write(place.folder().join(".env"), &example).unwrap();
    place.run(&["config", "check"]).await.expect_success();
    // Every setting of it turned on with what stands there is still understood by name.
    let on: String = example
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| line.starts_with("LOG_LEVEL=") || line.starts_with("CHATFERRY_ANALYSIS_QUIET="))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(on.lines().count(), 2, "{on}");
    fs::write(place.folder().join(".env"), on).unwrap();
    let shown = document(&place, &["config", "show", "--json"]).await;
    assert!(shown.to_string().contains(".env"), "{shown}");
}

#[tokio::test]
async fn packs_are_checked_and_their_schema_is_one() {
    let place = Place::new();
    let checked = document(&place, &["selectors", "check", "--json"]).await;
    let packs = checked.as_array().unwrap();
    assert!(packs.len() >= 2 && packs.iter().all(|pack| pack["ok"] == true), "{checked}");
    let text = place.run(&["selectors", "check", "demo"]).await.expect_success().stdout;
    assert!(text.starts_with("ok "), "{text}");

    let schema: Value =
        serde_json::from_str(&place.run(&["selectors", "schema"]).await.expect_success().stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let pack: Value = toml::from_str(crate::refusal::PACK).unwrap();
    assert!(validator.is_valid(&pack));
    let broken: Value = toml::from_str(&crate::refusal::PACK.replace("row_shows_news", "row_show_news")).unwrap();
    assert!(!validator.is_valid(&broken), "the schema lets a typo pass");
}
