//! Every way in which Google can say no or say nothing: what it is called, what follows, and that nothing is told that
//! people wrote.

use std::time::Duration;

use chatferry::fault::{AnyFault, Class, Code};
use chatferry::mirror::google::{Limits, SheetError};
use chatferry::mirror::{GoogleSheet, google};
use chatferry::ports::Mirror;

use super::rig::{Rig, opened, quick, row, rows};
use crate::google::{EMAIL, Mishap, TokenMood};

/// A sheet with six rows of which one has changed.
async fn changed() -> Rig {
    let mut rig = Rig::new().await;
    rig.show(rows(6)).await;
    rig.projection.rows[3] = row(4, 2);
    rig.google.requests();
    rig
}

#[track_caller]
fn assert_tells_nothing(fault: &AnyFault) {
    let told = format!("{fault} {fault:?} {} {}", fault.chain(), fault.action());
    for word in ["canary", "ya29", "PRIVATE KEY", "Quoting"] {
        assert!(!told.contains(word), "{told}");
    }
}

#[tokio::test]
async fn each_mishap_of_a_write_is_tried_again_after_a_new_read_and_doubles_nothing() {
    let all = [
        Mishap::Status(500, None),
        Mishap::Status(502, None),
        Mishap::Status(503, None),
        Mishap::Status(504, None),
        Mishap::Status(429, None),
        Mishap::Page(502),
        Mishap::Reset,
        Mishap::Lost,
        Mishap::Cut,
        Mishap::Empty,
        Mishap::Hollow,
    ];
    for mishap in all {
        for at in [0, 1] {
            let mut rig = changed().await;
            rig.google.state().skip = at;
            rig.google.mishaps(&[mishap]);
            let fault = rig.write().await.unwrap_err();
            let code =
                if mishap == Mishap::Status(429, None) { Code::SheetRateLimited } else { Code::SheetUnavailable };
            assert_eq!((fault.code(), fault.class().is_retryable()), (code, true), "{mishap:?} at {at}: {fault:?}");
            assert_tells_nothing(&fault);
            rig.google.requests();
            rig.write().await.unwrap();
            assert_eq!(rig.google.requests(), ["values.batchGet", "values.batchUpdate"], "{mishap:?} at {at}");
            rig.assert_right();
        }
    }
}

#[tokio::test]
async fn a_success_that_wrote_less_is_none_and_one_that_counted_less_is_looked_at() {
    let mut rig = changed().await;
    // Two ranges: a row, and the status with its new time.
    rig.later(60);
    rig.google.state().skip = 1;
    rig.google.mishaps(&[Mishap::Half]);
    let fault = rig.write().await.unwrap_err();
    assert_eq!((fault.code(), fault.class().is_retryable()), (Code::SheetUnavailable, true), "{fault}");
    rig.google.requests();
    rig.google.state().skip = 1;
    rig.google.mishaps(&[Mishap::Uncounted]);
    rig.write().await.unwrap();
    assert_eq!(rig.google.requests(), ["values.batchGet", "values.batchUpdate", "values.batchGet"]);
    rig.assert_right();
}

#[tokio::test]
async fn an_answer_that_lost_its_ranges_is_not_an_empty_sheet() {
    let mut rig = changed().await;
    rig.google.mishaps(&[Mishap::Hollow]);
    assert!(rig.write().await.unwrap_err().class().is_retryable());
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn a_request_that_nobody_answers_ends() {
    let mut rig = changed().await;
    rig.sheet = opened(&rig.google, Limits { timeout: Duration::from_millis(200), ..quick() }).await;
    rig.google.state().skip = 3;
    rig.google.mishaps(&[Mishap::Silence]);
    let fault = rig.write().await.unwrap_err();
    assert_eq!((fault.code(), fault.to_string().contains("timeout")), (Code::SheetUnavailable, true), "{fault}");
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn while_google_has_enough_nothing_is_sent_and_the_wait_is_at_least_what_it_asked_for() {
    let mut rig = changed().await;
    rig.sheet =
        opened(&rig.google, Limits { setback: Duration::from_secs(1), longest: Duration::from_secs(64), ..quick() })
            .await;
    rig.google.mishaps(&[Mishap::Status(429, Some(37))]);
    let fault = rig.write().await.unwrap_err();
    assert_eq!(fault.class(), Class::Retryable { after: Some(Duration::from_secs(37)) });
    rig.google.requests();
    for _ in 0..5 {
        let fault = rig.write().await.unwrap_err();
        assert_eq!(fault.code(), Code::SheetRateLimited);
        assert!(matches!(fault.class(), Class::Retryable { after: Some(left) } if left <= Duration::from_secs(37)));
    }
    assert_eq!(rig.google.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let mut rig = changed().await;
    rig.google.state().good.clear();
    let asked = rig.google.state().asked_tokens;
    rig.write().await.unwrap();
    assert_eq!(rig.google.state().asked_tokens, asked + 1);
    rig.assert_right();
}

#[tokio::test]
async fn an_odd_answer_of_the_token_endpoint_is_not_kept_as_a_token_for_ever() {
    let mut rig = Rig::new().await;
    rig.google.state().tokens = TokenMood::OddOnce;
    rig.show(rows(2)).await;
    assert_eq!(rig.google.state().asked_tokens, 2);
}

#[tokio::test]
async fn what_is_asked_for_is_the_sheets_and_not_the_drive() {
    // The token endpoint refuses any other scope.
    let mut rig = Rig::new().await;
    rig.show(rows(2)).await;
    assert_eq!(rig.google.state().asked_tokens, 1);
}

#[tokio::test]
async fn a_key_that_google_does_not_take_waits_for_a_human() {
    let mut rig = changed().await;
    rig.google.state().good.clear();
    rig.google.state().key = include_str!("../../data/google-other-test-key-no-secret.pem");
    let fault = rig.write().await.unwrap_err();
    assert_eq!((fault.code(), fault.class().as_str()), (Code::SheetCredentials, "permanent"));
    assert!(fault.to_string().contains(EMAIL) && fault.to_string().contains("signature"), "{fault}");
    assert!(fault.action().contains("/etc/chatferry/google.json"), "{}", fault.action());
    assert_tells_nothing(&fault);
    rig.google.state().tokens = TokenMood::UnknownAccount;
    let fault = rig.write().await.unwrap_err();
    assert_eq!(fault.code(), Code::SheetCredentials);
    rig.google.state().tokens = TokenMood::Away;
    let fault = rig.write().await.unwrap_err();
    assert_eq!((fault.code(), fault.class().is_retryable()), (Code::SheetUnavailable, true));
}

#[tokio::test]
async fn a_private_key_that_was_cut_is_found_before_anything_is_sent() {
    let rig = Rig::new().await;
    let mut settings = rig.google.settings();
    settings.account.private_key =
        secrecy::SecretString::from("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let error = GoogleSheet::open(settings, quick()).await.err().unwrap();
    assert!(matches!(error, SheetError::Key { trouble: google::error::KeyTrouble::Unreadable, .. }), "{error:?}");
    assert_eq!(rig.google.state().asked_tokens, 0);
}

#[tokio::test]
async fn a_sheet_that_is_not_shared_or_only_to_read_names_the_address_to_share_it_with() {
    let mut rig = changed().await;
    rig.google.state().writers.clear();
    let fault = rig.write().await.unwrap_err();
    assert_eq!((fault.code(), fault.class().as_str()), (Code::SheetNotShared, "permanent"));
    assert!(fault.to_string().contains("may not write"), "{fault}");
    assert!(fault.action().contains(EMAIL) && fault.action().contains("editor"), "{}", fault.action());
    rig.google.state().readers.clear();
    assert!(rig.write().await.unwrap_err().to_string().contains("may not read"));
    rig.google.state().readers.push(EMAIL.to_owned());
    rig.google.state().writers.push(EMAIL.to_owned());
    rig.write().await.unwrap();
    rig.assert_right();
}

#[tokio::test]
async fn a_sheet_that_is_not_there_an_api_that_is_off_and_a_clock_that_is_off_are_told_apart() {
    let rig = changed().await;
    let mut settings = rig.google.settings();
    settings.sheet_id = "1OtherSheetxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned();
    let other = GoogleSheet::open(settings, quick()).await.unwrap();
    other.permit(std::sync::Arc::new(|| true)).await;
    let fault = other.write(&rig.projection, &rig.noted).await.unwrap_err();
    assert_eq!((fault.code(), fault.class().as_str()), (Code::SheetMissing, "permanent"));

    rig.google.state().api_on = false;
    let fault = rig.sheet.write(&rig.projection, &rig.noted).await.unwrap_err();
    assert_eq!(fault.code(), Code::SheetCredentials);
    assert!(fault.action().contains("Turn the Google Sheets API on"), "{}", fault.action());
    rig.google.state().api_on = true;

    rig.google.state().clock = -1_800;
    rig.google.state().good.clear();
    let fault = rig.sheet.write(&rig.projection, &rig.noted).await.unwrap_err();
    assert_eq!((fault.code(), fault.class().as_str()), (Code::ClockOff, "permanent"));
    assert_eq!(fault.to_string(), "this machine's clock is off by about 30 minutes (fast)");
}

#[tokio::test]
async fn who_may_not_write_sends_nothing() {
    let rig = changed().await;
    rig.sheet.withdraw();
    let fault = rig.sheet.write(&rig.projection, &rig.noted).await.unwrap_err();
    assert_eq!((fault.code(), fault.class().is_retryable()), (Code::SheetHeld, true));
    assert_eq!(rig.google.requests(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_write_that_google_does_late_after_the_next_one_is_found_and_mended() {
    let mut rig = changed().await;
    let limits = Limits { timeout: Duration::from_millis(500), late: Duration::from_secs(3), ..quick() };
    rig.sheet = opened(&rig.google, limits).await;
    rig.write().await.unwrap();
    rig.projection.rows[3] = row(4, 3);
    rig.google.state().skip = 1;
    rig.google.mishaps(&[Mishap::Late]);
    rig.write().await.unwrap_err();
    // Meanwhile there is news, and a person sorts: the late write hits rows of others, with what is no longer so.
    rig.projection.rows[3] = row(4, 4);
    rig.google.state().book.edit(super::rig::TAB).sort_by(0, true);
    rig.write().await.unwrap();
    assert!(rig.google.state().late.is_none(), "it was done");
    assert!(!is_right(&rig), "and it did harm");
    crate::support::eventually("it is mended", || async {
        rig.sheet.write(&rig.projection, &rig.noted).await.unwrap();
        is_right(&rig).then_some(())
    })
    .await;
    rig.assert_right();
}

/// Whether each conversation stands once, and the fourth with its news.
fn is_right(rig: &Rig) -> bool {
    let state = rig.google.state();
    let tab = state.book.tab(super::rig::TAB).unwrap();
    let keys = super::rig::keys(tab);
    let fourth = &rig.projection.rows[3];
    let Some([at]) = keys.get(&fourth.conversation.key.to_string()).map(Vec::as_slice) else { return false };
    let messages = tab.get(at - 1, tab.column("messages"));
    keys.len() == rig.projection.rows.len() && *messages == fourth.conversation.messages
}
