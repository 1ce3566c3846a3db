//! `doctor` names what is wrong with the sheet, and the remedy.

use serde_json::Value;

use super::commands::{assert_silent, place};
use crate::google::{EMAIL, Google, Mishap, SHEET_ID, TokenMood};
use crate::support::Place;

/// What the doctor says of the sheet.
async fn sheet(google: &Google, place: &Place) -> Value {
    let run = place.run(&["doctor", "--json"]).await;
    assert_silent(google, &format!("{}{}", run.stdout, run.stderr));
    let findings: Vec<Value> =
        serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr));
    findings.into_iter().find(|finding| finding["part"] == "sheet").unwrap()
}

#[track_caller]
fn assert_named(finding: &Value, code: &str, what: &str, action: &str) {
    assert_eq!((&finding["health"], &finding["code"]), (&"fault".into(), &code.into()), "{finding}");
    assert!(finding["what"].as_str().unwrap().contains(what), "{finding}");
    assert!(finding["action"].as_str().unwrap().contains(action), "{finding}");
}

#[tokio::test]
async fn each_thing_that_can_be_wrong_has_its_name_and_its_remedy() {
    let google = Google::start().await;
    let mut place = place(&google, 1).await.with("CHROMIUM_PATH", "/bin/false");
    let well = sheet(&google, &place).await;
    assert_eq!(well["health"], "ok", "{well}");
    assert!(google.state().book.changes.is_empty(), "the doctor changes nothing");

    google.state().readers.clear();
    assert_named(&sheet(&google, &place).await, "sheet-not-shared", "may not read", EMAIL);
    google.state().readers.push(EMAIL.to_owned());

    let bodies = google.state().bodies.len();
    google.state().writers.clear();
    assert_named(&sheet(&google, &place).await, "sheet-not-shared", "may not write", "as editor");
    assert_eq!(google.state().bodies.len(), bodies);
    google.state().writers.push(EMAIL.to_owned());

    google.state().quota = 0;
    assert_named(&sheet(&google, &place).await, "sheet-rate-limited", "quota", "Nothing at once");
    google.state().quota = usize::MAX;

    google.state().api_on = false;
    assert_named(&sheet(&google, &place).await, "sheet-credentials", "turned off", "Turn the Google Sheets API on");
    google.state().api_on = true;

    google.state().tokens = TokenMood::UnknownAccount;
    assert_named(&sheet(&google, &place).await, "sheet-credentials", "does not know it", "Create a new key");
    google.state().tokens = TokenMood::Well;

    google.mishaps(&[Mishap::Status(503, None)]);
    assert_named(&sheet(&google, &place).await, "sheet-unavailable", "HTTP 503", "Nothing at once");

    // This machine's clock is fast: Google takes no signature; or slow by less than a token lives: only the date tells.
    for (ahead, word) in [(-1_200, "20 minutes (fast)"), (600, "10 minutes (slow)"), (-360, "6 minutes (fast)")] {
        google.state().clock = ahead;
        assert_named(&sheet(&google, &place).await, "clock-off", word, "timedatectl");
    }
    google.state().clock = 200;
    assert_eq!(sheet(&google, &place).await["health"], "ok", "three minutes hurt nobody");
    google.state().clock = 0;

    google.wrong_key_file(place.folder());
    assert_named(&sheet(&google, &place).await, "sheet-credentials", "signature", "google.json");
    google.key_file(place.folder());

    place.set("GOOGLE_SHEET_ID", SHEET_ID.replace("Test", "Nope"));
    assert_named(&sheet(&google, &place).await, "sheet-missing", "no sheet with this id", "GOOGLE_SHEET_ID");
    place.set("GOOGLE_SHEET_ID", SHEET_ID);

    place.set("GOOGLE_SHEETS_API_URL", "http://127.0.0.1:1/");
    assert_named(&sheet(&google, &place).await, "sheet-unavailable", "no connection", "can reach");
}

#[tokio::test]
async fn a_file_that_is_no_key_is_named_before_anything_is_tried() {
    let google = Google::start().await;
    let place = place(&google, 1).await;
    for (content, told) in [
        ("canary-chat-text", "no JSON"),
        (r#"{"type":"authorized_user","refresh_token":"canary-chat-text"}"#, "authorized_user"),
    ] {
        std::fs::write(place.folder().join("google.json"), content).unwrap();
        let run = place.run(&["doctor"]).await;
        assert_eq!(run.code(), Some(78), "{}", run.stderr);
        assert!(run.stderr.contains("GOOGLE_CREDENTIALS_PATH") && run.stderr.contains(told), "{}", run.stderr);
        assert!(run.stderr.contains("google.json"), "{}", run.stderr);
        assert_silent(&google, &run.stderr);
    }
    assert_eq!(google.requests(), [] as [&str; 0]);
}
