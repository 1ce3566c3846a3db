//! Questions and orders while no daemon runs, or one that can't be asked.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::support::Place;

fn place() -> Place {
    Place::new().with("DEMO_USERNAME", "a").with("DEMO_PASSWORD", "b").with("DEMO_BASE_URL", "http://127.0.0.1:1")
}

#[tokio::test]
async fn no_daemon_is_said_with_its_folder() {
    let place = place();
    for arguments in [
        &["status"] as &[&str],
        &["accounts", "recollect", "demo/default"],
        &["accounts", "answer", "demo/default", "1"],
    ] {
        let run = place.run(arguments).await;
        assert_eq!(run.code(), Some(1), "{arguments:?}: {run:?}");
        let folder = place.data_dir().display().to_string();
        assert!(run.stderr.contains("no daemon runs in") && run.stderr.contains(&folder), "{}", run.stderr);
    }
    let run = place.run(&["status", "--json"]).await;
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((document["running"].as_bool(), document["well"].as_bool()), (Some(false), Some(false)), "{document}");
    assert!(!place.data_dir().exists(), "a question made the folder");
}

#[tokio::test]
async fn a_socket_that_a_killed_daemon_left_is_nobody() {
    let place = place();
    fs::create_dir(place.data_dir()).unwrap();
    drop(UnixListener::bind(place.data_dir().join("control.sock")).unwrap());
    let run = place.run(&["status"]).await;
    assert!(run.code() == Some(1) && run.stderr.contains("no daemon runs in"), "{}", run.stderr);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_named_with_the_nearest() {
    let run = place().run(&["accounts", "pause", "demo/defualt"]).await;
    assert_eq!(run.code(), Some(1));
    assert!(
        run.stderr.contains("did you mean demo/default?") && run.stderr.contains("[account-unknown]"),
        "{}",
        run.stderr
    );
    let run = Place::new().run(&["accounts", "list"]).await.expect_success();
    assert_eq!(run.stdout, "no accounts\n");
}

#[tokio::test]
async fn a_pause_before_the_first_start_is_kept() {
    let place = place();
    fs::create_dir(place.data_dir()).unwrap();
    let run = place.run(&["accounts", "pause", "demo/default"]).await.expect_success();
    assert!(run.stdout.contains("stays paused"), "{}", run.stdout);
    let list = place.run(&["accounts", "list"]).await.expect_success();
    assert!(list.stdout.contains("paused"), "{}", list.stdout);
    let run = place.run(&["accounts", "resume", "demo/default"]).await.expect_success();
    assert!(run.stdout.contains("next start"), "{}", run.stdout);
}
