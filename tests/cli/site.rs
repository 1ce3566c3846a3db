//! What a site may answer: each refusal is told once and asked for once.

use chatferry::demo::{LoginMode, Site, SiteOptions};
use tokio::net::TcpSocket;

use crate::refusal::{assert_nothing_collected, refused};
use crate::support::processes::{Browsers, Watched, turn};
use crate::support::{Place, small_site};

/// Everything but looking: method and path.
fn posts(site: &Site) -> Vec<String> {
    let is_reading = |method: &str| matches!(method, "GET" | "HEAD");
    site.request_log()
        .into_iter()
        .filter(|r| !is_reading(&r.method))
        .map(|r| format!("{} {}", r.method, r.path))
        .collect()
}

async fn login_refused(mode: LoginMode, password: &str, code: &str) {
    let _turn = turn().await;
    let site = Site::start(SiteOptions { login: mode, ..small_site() }).await.unwrap();
    let place = Place::for_site(&site).with("DEMO_PASSWORD", password).with("LOG_LEVEL", "trace");
    let browsers = Browsers::of(&place);
    let run = refused(&place, &["collect", "--once"], 1, code).await;
    // A second try is how accounts get locked; an answer to a challenge is not ours to give.
    assert_eq!(posts(&site), ["POST /login"]);
    assert!(!run.stderr.contains(password) && !run.stdout.contains(password), "the password was shown");
    browsers.assert_gone().await;
    assert_nothing_collected(&place).await;
    let accounts = place.run(&["accounts", "list", "--json"]).await.expect_success();
    let document: serde_json::Value = serde_json::from_str(&accounts.stdout).unwrap();
    assert_eq!(document[0]["status"]["state"], "parked", "{document}");
    assert_eq!(document[0]["status"]["code"], code, "{document}");
    // Nor is it tried again by starting again.
    let again = refused(&place, &["collect", "--once"], 1, code).await;
    assert!(again.stderr.contains("chatferry accounts resume demo/default"), "{}", again.stderr);
    assert_eq!(posts(&site), ["POST /login"]);
    // Without what it was tried with nobody can tell that anything has changed; with it, other credentials can.
    if code == "bad-credentials" {
        let mended = place.with("DEMO_PASSWORD", Site::password());
        mended.collect_once().await;
        assert_eq!(posts(&site), ["POST /login"; 2]);
    }
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_password() {
    login_refused(LoginMode::Normal, "wrong-Pw-7421", "bad-credentials").await;
}

#[tokio::test]
async fn a_challenge() {
    login_refused(LoginMode::Challenge, Site::password(), "challenge").await;
}

#[tokio::test]
async fn a_captcha() {
    login_refused(LoginMode::Captcha, Site::password(), "captcha").await;
}

#[tokio::test]
async fn a_one_time_code() {
    login_refused(LoginMode::OneTimeCode, Site::password(), "one-time-code").await;
}

#[tokio::test]
async fn a_new_password_that_is_wanted() {
    login_refused(LoginMode::PasswordChange, Site::password(), "password-change").await;
}

/// Challenges of a site whose pack says nothing about them.
#[tokio::test]
async fn challenges_that_no_marker_describes() {
    let _turn = turn().await;
    let mut pack: toml_edit::DocumentMut = crate::refusal::PACK.parse().unwrap();
    let outcomes = pack["login"]["outcomes"].as_table_mut().unwrap();
    for name in ["challenge", "captcha", "one_time_code", "password_change"] {
        assert!(outcomes.remove(name).is_some());
    }
    pack["login"]["timeout"] = toml_edit::value("5s");
    let cases = [
        (LoginMode::Captcha, "captcha"),
        (LoginMode::OneTimeCode, "one-time-code"),
        (LoginMode::Challenge, "login-unclear"),
    ];
    for (mode, code) in cases {
        let site = Site::start(SiteOptions { login: mode, ..small_site() }).await.unwrap();
        let place = Place::for_site(&site);
        crate::refusal::put_pack(&place, &pack.to_string());
        refused(&place, &["collect", "--once"], 1, code).await;
        assert_eq!(posts(&site), ["POST /login"]);
        site.stop().await;
    }
}

#[tokio::test]
async fn a_locked_account() {
    login_refused(LoginMode::Locked, Site::password(), "locked").await;
}

#[tokio::test]
async fn a_site_that_is_down_is_tried_three_times() {
    let _turn = turn().await;
    // Bound and not listening: nobody answers there, and no other test can be given the port.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}/", deaf.local_addr().unwrap());
    let place = Place::new().with("DEMO_USERNAME", "a").with("DEMO_PASSWORD", "b").with("DEMO_BASE_URL", address);
    let browsers = Browsers::of(&place);
    let run = refused(&place, &["collect", "--once"], 1, "site-unreachable").await;
    assert!(run.stderr.contains("127.0.0.1 can't be reached"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().filter(|line| line.contains("pass failed")).count(), 3, "{}", run.stderr);
    browsers.assert_gone().await;
    assert_nothing_collected(&place).await;
}

#[tokio::test]
async fn the_password_is_in_no_process_of_the_browser() {
    let _turn = turn().await;
    let site = Site::start(small_site()).await.unwrap();
    let place = Place::for_site(&site).with("LOG_LEVEL", "debug");
    let browsers = Browsers::of(&place);
    let mut program = Watched::start(&place, &["collect", "--once"]);
    let own = program.pid();
    program.until_log(&["conversation read"]).await;
    let running = browsers.running();
    assert!(running.iter().any(|process| process.is_renderer()), "{running:#?}");
    assert!(running.iter().any(|process| process.environment().contains("PATH=")), "no environment can be read");
    for process in &running {
        for (place, text) in [("command line", &process.command), ("environment", &process.environment())] {
            assert!(!text.contains(Site::password()), "in the {place} of {}", process.pid);
            assert!(!text.contains("DEMO_"), "in the {place} of {}", process.pid);
        }
    }
    let of_program = crate::support::processes::all().into_iter().find(|process| process.pid == own).unwrap();
    assert!(of_program.environment().contains(Site::password()), "the test looks in the wrong place");
    assert!(!of_program.command.contains(Site::password()));
    let ended = program.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    site.stop().await;
}
