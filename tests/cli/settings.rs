//! Settings and packs that can't be used: told before anything is touched.

use std::fs;

use chatferry::demo::{Site, SiteOptions};

use crate::refusal::{PACK, assert_nothing_collected, put_pack, refused, snapshot};
use crate::support::processes::turn;
use crate::support::{Place, Run, assert_store_equals_site, small_site};

/// An account of a site that nobody needs to reach.
fn somewhere() -> Place {
    Place::new()
        .with("DEMO_USERNAME", Site::username())
        .with("DEMO_PASSWORD", Site::password())
        .with("DEMO_BASE_URL", "http://127.0.0.1:9/")
}

/// A refusal of the settings: code 78, all these words, and not a file more than before.
async fn settings_refused(place: &Place, arguments: &[&str], words: &[&str]) -> Run {
    let before = snapshot(place.folder());
    let run = place.run(arguments).await;
    assert_eq!(run.code(), Some(78), "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in:\n{}", run.stderr);
    }
    assert_eq!(run.stdout, "");
    assert_eq!(snapshot(place.folder()), before, "something was written");
    assert!(!run.stderr.contains(Site::password()), "{}", run.stderr);
    run
}

#[tokio::test]
async fn typos_in_the_environment_and_in_the_file_come_in_one_report() {
    let place = somewhere().with("CHATFERRY_BROWSR_HEADLESS", "true");
    fs::write(place.folder().join("chatferry.toml"), "[analysis]\nquite = \"90s\"\n").unwrap();
    let words = ["2 problems with the settings", "CHATFERRY_BROWSR_HEADLESS", "CHATFERRY_BROWSER_HEADLESS"];
    for arguments in [&["collect", "--once"][..], &["run"], &["config", "check"], &["config", "show"]] {
        let run = settings_refused(&place, arguments, &words).await;
        let said = ["analysis.quite", "chatferry.toml line 2", "analysis.quiet"];
        assert!(said.iter().all(|word| run.stderr.contains(word)), "{}", run.stderr);
    }
    let run = place.run(&["config", "check", "--json"]).await;
    assert_eq!(run.code(), Some(78));
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((document["ok"].as_bool(), document["problems"].as_array().unwrap().len()), (Some(false), 2));
}

#[tokio::test]
async fn parts_that_this_version_lacks_are_refused_and_not_ignored() {
    let place = somewhere().with("SENTRY_DSN", "https://key@errors.example/1");
    settings_refused(&place, &["collect", "--once"], &["SENTRY_DSN"]).await;
}

#[tokio::test]
async fn a_site_without_a_pack_is_named_with_its_nearest() {
    let place = Place::new();
    fs::write(
        place.folder().join("chatferry.toml"),
        "[[account]]\nsite = \"dmeo\"\nusername = \"a\"\npassword = \"b\"\n",
    )
    .unwrap();
    settings_refused(&place, &["collect", "--once"], &["dmeo", "chatferry.toml line 2", "did you mean demo?"]).await;
    refused(&Place::new(), &["selectors", "probe", "dmeo"], 78, "pack-unknown").await;
}

#[tokio::test]
async fn no_account_and_an_unknown_account() {
    let run = settings_refused(&Place::new(), &["collect", "--once"], &["chatferry: no account is configured"]).await;
    assert!(run.stderr.contains("what to do: set <SITE>_USERNAME"), "{}", run.stderr);
    let unknown = ["collect", "--once", "--account", "demo/nobody"];
    settings_refused(&somewhere(), &unknown, &["there is no account demo/nobody", "there are: demo/default"]).await;
}

#[tokio::test]
async fn one_broken_pack_stops_the_accounts_of_its_own_site_only() {
    let _turn = turn().await;
    let site = Site::start(small_site()).await.unwrap();
    let place = Place::for_site(&site).with_pack(PACK);
    let broken = PACK.replacen("row_shows_news", "row_shows_nows", 1);
    fs::write(place.folder().join("packs/other.toml"), broken).unwrap();
    let place = place.with("OTHER_USERNAME", "a").with("OTHER_PASSWORD", "b");
    let run = place.run(&["collect", "--once", "--json"]).await;
    assert_eq!(run.code(), Some(78), "{}", run.stderr);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let faults = document["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1, "{document}");
    assert_eq!((&faults[0]["account"], &faults[0]["code"]), (&"other/default".into(), &"pack-invalid".into()));
    assert_store_equals_site(&site, &place.exported().await);
    let accounts = place.run(&["accounts", "list", "--json"]).await.expect_success();
    let accounts: serde_json::Value = serde_json::from_str(&accounts.stdout).unwrap();
    let other = accounts.as_array().unwrap().iter().find(|a| a["account"] == "other/default").unwrap();
    assert_eq!((&other["status"]["state"], &other["status"]["code"]), (&"parked".into(), &"pack-invalid".into()));
    site.stop().await;
}

#[tokio::test]
async fn half_an_account_is_refused() {
    let mut place = somewhere();
    place.unset("DEMO_PASSWORD");
    settings_refused(&place, &["collect", "--once"], &["DEMO_PASSWORD", "has no password"]).await;
}

#[tokio::test]
async fn usage_errors_end_with_2() {
    for arguments in [&["collect", "--onec"][..], &["colect"], &["conversations", "show"], &[]] {
        let run = settings_free(arguments).await;
        assert_eq!(run.code(), Some(2), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("Usage"), "{}", run.stderr);
    }
    let run = settings_free(&["colect"]).await;
    assert!(run.stderr.contains("collect"), "it does not name the nearest command: {}", run.stderr);
}

async fn settings_free(arguments: &[&str]) -> Run {
    let place = Place::new();
    let run = place.run(arguments).await;
    assert!(snapshot(place.folder()).is_empty());
    run
}

#[tokio::test]
async fn a_typo_in_a_pack_is_named_with_file_line_and_nearest_key() {
    let site = Site::start(SiteOptions::default()).await.unwrap();
    let place = Place::for_site(&site);
    let broken = PACK.replace("row_shows_news", "row_show_news");
    let line = broken.lines().position(|line| line.starts_with("row_show_news")).unwrap() + 1;
    let path = put_pack(&place, &broken);
    let run = refused(&place, &["collect", "--once"], 78, "pack-invalid").await;
    let (file, line) = (path.display().to_string(), format!("line {line}: "));
    for words in [file.as_str(), &line, "row_show_news", "row_shows_news"] {
        assert!(run.stderr.contains(words), "{words:?} is not in:\n{}", run.stderr);
    }
    assert!(site.request_log().is_empty(), "it went to the site with a broken pack");
    assert_nothing_collected(&place).await;
    let check = place.run(&["selectors", "check"]).await;
    assert_eq!(check.code(), Some(1), "{}", check.stdout);
    assert!(
        check.stdout.contains("broken ") && check.stdout.contains(&file) && check.stdout.contains(&line),
        "{}",
        check.stdout
    );
}

#[tokio::test]
async fn a_pack_that_is_no_toml_and_one_that_can_not_be_read() {
    let place = somewhere();
    let path = put_pack(&place, "version = 1\n[site\n");
    let run = refused(&place, &["collect", "--once"], 78, "pack-invalid").await;
    assert!(run.stderr.contains(&path.display().to_string()) && run.stderr.contains("line 2: "), "{}", run.stderr);
    // Not even root can read a folder as a file.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let run = refused(&place, &["collect", "--once"], 78, "pack-invalid").await;
    assert!(run.stderr.contains(&path.display().to_string()), "{}", run.stderr);
}

#[tokio::test]
async fn a_pack_whose_name_is_no_site_is_named_and_stops_no_other() {
    let place = somewhere();
    let path = put_pack(&place, PACK).with_file_name("My Pack.toml");
    fs::write(&path, PACK).unwrap();
    let run = place.run(&["collect", "--once"]).await;
    assert!(run.stderr.contains("My Pack.toml") && !run.stderr.contains("pack-invalid"), "{}", run.stderr);
    let check = place.run(&["selectors", "check"]).await;
    assert_eq!(check.code(), Some(1), "{}", check.stdout);
    assert!(check.stdout.contains(&format!("broken  the selector pack {}", path.display())), "{}", check.stdout);
}

#[tokio::test]
async fn an_unverified_pack_is_used_only_with_the_owners_word() {
    let site = Site::start(SiteOptions::default()).await.unwrap();
    let place = Place::for_site(&site);
    put_pack(&place, &PACK.replace("verified = true", "verified = false"));
    refused(&place, &["collect", "--once"], 78, "terms-not-acknowledged").await;
    assert!(site.request_log().is_empty(), "it went to the site all the same");
    assert_nothing_collected(&place).await;
}
