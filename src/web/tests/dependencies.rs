//! Dependencies that are empty, away or hang: each is named, none takes the page with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::sample::{Refused, Trouble, state};
use super::wire::Server;
use crate::lifecycle::data_dir::Databases;
use crate::web::survey::{DEADLINE, Observer, PartName};
use crate::web::{WebState, WritableCheck};

const FINE: Trouble = Trouble::Empty;

fn part(answer: &serde_json::Value, name: &str) -> serde_json::Value {
    answer["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn each_dead_dependency_is_named_and_the_others_stay_up() {
    for trouble in [Trouble::Away, Trouble::Hangs] {
        for (dead, code) in [("store", "database-failed"), ("bus", "bus-unavailable"), ("spool", "database-failed")] {
            let is = |name| if name == dead { trouble } else { FINE };
            let server = Server::start(state(is("store"), is("bus"), is("spool"))).await;
            let health = server.get("/health").await;
            let report = health.json();
            let expected = if dead == "bus" { (200, "degraded") } else { (503, "down") };
            assert_eq!((health.status, report["status"].as_str().unwrap()), expected, "{dead} {trouble:?}");
            assert!(report["headline"].as_str().unwrap().starts_with(&format!("The {dead} is down: ")), "{report}");
            for name in ["store", "bus", "spool", "data directory"] {
                let status = if name == dead { "down" } else { "ok" };
                assert_eq!(part(&report, name)["status"], status, "{name} while {dead} {trouble:?}");
            }
            if trouble == Trouble::Hangs {
                assert_eq!(part(&report, dead)["code"], code);
                assert!(part(&report, dead)["sentence"].as_str().unwrap().contains("no answer came within 2 s"));
            }
            assert_eq!(server.get("/livez").await.status, 200, "liveness asks nobody");
            let ready = if dead == "store" { 503 } else { 200 };
            assert_eq!(server.get("/readyz").await.status, ready, "{dead} {trouble:?}");
            assert_eq!(server.get("/startupz").await.status, ready, "{dead} {trouble:?}");
            let page = server.get("/").await;
            assert_eq!(page.status, 200);
            assert!(page.body.contains(&format!("The {dead} is down")), "{dead} {trouble:?}");
            assert_eq!(server.get("/api/v1/status").await.json()["headline"], report["headline"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_survey_of_the_dead_takes_one_deadline_not_ten() {
    let observer = Observer::new(state(Trouble::Hangs, Trouble::Hangs, Trouble::Hangs));
    let begun = tokio::time::Instant::now();
    observer.survey().await;
    assert_eq!(begun.elapsed().as_secs(), DEADLINE.as_secs());
}

#[tokio::test]
async fn what_could_not_be_read_is_unknown_and_never_zero() {
    let server = Server::start(state(Trouble::Away, Trouble::Away, Trouble::Away)).await;
    let status = server.get("/api/v1/status").await.json();
    for (name, value) in status["counts"].as_object().unwrap() {
        assert!(value.is_null(), "{name}: {value}");
    }
    for (name, tile) in status["tiles"].as_object().unwrap() {
        assert_eq!((tile["value"].as_str(), tile["tone"].as_str()), (Some("–"), Some("warn")), "{name}");
    }
    for (name, note) in status["notes"].as_object().unwrap() {
        assert!(note.is_string(), "{name}");
    }
}

#[tokio::test]
async fn nothing_collected_yet_is_said_and_is_not_called_well() {
    let server = Server::start(state(FINE, FINE, FINE)).await;
    let page = server.get("/").await.body;
    assert!(page.contains("<h1 data-text=\"headline\">No account has reported yet.</h1>"));
    for words in ["No account yet.", "No conversation yet."] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(server.get("/health").await.json()["status"], "degraded");
}

#[tokio::test]
async fn a_data_directory_that_takes_no_write_is_down_and_not_ready() {
    let state = WebState { writable: Arc::new(|| Err(Refused.into())), ..state(FINE, FINE, FINE) };
    let server = Server::start(state).await;
    assert_eq!(server.get("/health").await.json()["status"], "down");
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (503, Some(false)));
    assert_eq!(part(&ready.json(), "data directory")["status"], "down");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_costs_one_thread_however_often_it_is_asked() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let writable: WritableCheck = Arc::new(move || {
        let _ = held.lock().unwrap().recv();
        Ok(Databases::default())
    });
    let observer = Observer::new(WebState { writable: Arc::clone(&writable), ..state(FINE, FINE, FINE) });
    for _ in 0..3 {
        // Time does not pass by itself while a thread blocks, so it is moved by hand, past the last survey.
        tokio::time::advance(Duration::from_secs(6)).await;
        let (survey, ()) = tokio::join!(observer.survey(), tokio::time::advance(DEADLINE * 2));
        assert!(survey.is_silent(PartName::DataDir));
        assert!(!survey.is_silent(PartName::Store));
    }
    assert_eq!(Arc::strong_count(&writable), 3, "held by this test, by the observer, and by one thread");
    drop(release);
}

#[tokio::test]
async fn viewers_share_one_survey() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let writable = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Databases::default())
    });
    let observer = Observer::new(WebState { writable, ..state(FINE, FINE, FINE) });
    tokio::time::pause();
    futures::future::join_all((0..10).map(|_| observer.survey())).await;
    assert_eq!(tries.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_secs(6)).await;
    observer.survey().await;
    assert_eq!(tries.load(Ordering::SeqCst), 2, "but not for ever");
}
