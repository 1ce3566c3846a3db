//! A share of the work, and servers that are not there: what is refused at once, and what is waited for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::refusal::snapshot;
use crate::support::processes::{Watched, send};
use crate::support::{Place, Run};

/// A password that must not be seen.
const SECRET: &str = "secret-canary";

fn place() -> Place {
    Place::new().with("CHATFERRY_HTTP_ADDR", "127.0.0.1:0")
}

/// Refused for the settings, with these words, nothing written, and no password shown.
async fn refused(place: &Place, arguments: &[&str], words: &[&str]) -> Run {
    let before = snapshot(place.folder());
    let run = place.run(arguments).await;
    assert_eq!(run.code(), Some(78), "{arguments:?}: {}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in:\n{}", run.stderr);
    }
    assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
    assert_eq!(snapshot(place.folder()), before, "something was written");
    run
}

/// A port of this machine that nobody listens on, for as long as it is held.
pub fn deaf() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

#[tokio::test]
async fn a_share_needs_both_servers() {
    let rabbitmq = ("RABBITMQ_URL", "amqp://127.0.0.1:9");
    let mongodb = ("MONGODB_URI", "mongodb://127.0.0.1:9/chats");
    for settings in [&[][..], &[rabbitmq], &[mongodb]] {
        let place = settings.iter().fold(place(), |place, (name, value)| place.with(name, *value));
        let words = ["nobody would do the rest of the work (analyze, mirror, web)", "set RABBITMQ_URL and MONGODB_URI"];
        refused(&place, &["run", "--role", "collect,archive"], &words).await;
    }
}

#[tokio::test]
async fn an_unknown_role_is_answered_with_the_roles_there_are() {
    let place = place();
    let run = place.run(&["run", "--role", "archve"]).await;
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    for word in ["collect", "archive", "analyze", "mirror", "web"] {
        assert!(run.stderr.contains(word), "{word} is not in:\n{}", run.stderr);
    }
}

#[tokio::test]
async fn all_roles_by_name_are_the_whole_daemon() {
    let mut daemon = Watched::start(&place(), &["run", "--role", "collect,archive,analyze,mirror,web"]);
    daemon.until_log(&["no account is configured"]).await;
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert!(ended.status.success(), "{}", ended.log.join("\n"));
    assert_eq!(ended.count(&["listening"]), 1, "{}", ended.log.join("\n"));
}

#[tokio::test]
async fn an_address_that_can_not_be_used_is_told_with_what_was_expected_and_not_quoted() {
    let wrong = place()
        .with("RABBITMQ_URL", format!("http://user:{SECRET}@broker/"))
        .with("MONGODB_URI", format!("mongodb://user:{SECRET}@store"));
    let words = [
        "2 problems",
        "RABBITMQ_URL",
        "amqp:// or amqps://",
        "MONGODB_URI",
        "mongodb:// or mongodb+srv://",
        "name of a database",
    ];
    for arguments in [&["run"][..], &["config", "check"], &["doctor"], &["dead", "list"]] {
        refused(&wrong, arguments, &words).await;
    }
    let alone = place().with("RABBITMQ_CA_PATH", "/etc/ssl/ca.pem");
    refused(&alone, &["config", "check"], &["RABBITMQ_CA_PATH", "has no effect without RABBITMQ_URL"]).await;
}

#[tokio::test]
async fn addresses_may_come_as_files() {
    let place = Place::new();
    let file = |name: &str, text: String| {
        let path = place.folder().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let rabbitmq = file("rabbitmq", format!("amqps://user:{SECRET}@broker/chats\n"));
    let mongodb = file("mongodb", format!("mongodb+srv://user:{SECRET}@store/chats\n"));
    let place = place.with("RABBITMQ_URL_FILE", rabbitmq).with("MONGODB_URI_FILE", mongodb);
    let shown = place.run(&["config", "show"]).await.expect_success();
    for words in ["amqps://••••@broker/chats", "mongodb+srv://••••@store/chats"] {
        assert!(shown.stdout.contains(words), "{words:?} is not in:\n{}", shown.stdout);
    }
    assert!(!format!("{}{}", shown.stdout, shown.stderr).contains(SECRET), "{}", shown.stdout);
    fs::set_permissions(place.folder().join("mongodb"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(&place, &["config", "check"], &["MONGODB_URI_FILE"]).await;
}

#[tokio::test]
async fn the_daemon_waits_for_servers_that_are_not_there_and_a_stop_ends_it_well() {
    let (_deaf, port) = deaf();
    let rabbitmq = ("RABBITMQ_URL", format!("amqp://user:{SECRET}@127.0.0.1:{port}/"), "bus-unavailable");
    let mongodb =
        ("MONGODB_URI", format!("mongodb://127.0.0.1:{port}/chats?serverSelectionTimeoutMS=500"), "store-unavailable");
    for (name, address, code) in [rabbitmq, mongodb] {
        let place = place().with(name, address);
        let mut daemon = Watched::start(&place, &["run"]);
        for attempt in ["\"attempt\":1", "\"attempt\":2"] {
            let line = daemon.until_log(&["waiting for a server", attempt]).await;
            assert!(line.contains(code), "{line}");
        }
        send(daemon.pid(), Signal::TERM);
        let ended = daemon.end().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log.join("\n"));
        assert!(!ended.log.join("\n").contains(SECRET), "{}", ended.log.join("\n"));
    }
}

#[tokio::test]
async fn while_it_waits_it_says_so_at_all_its_doors() {
    let (_deaf, port) = deaf();
    let place = place()
        .with("CHATFERRY_METRICS_ADDR", "127.0.0.1:0")
        .with("RABBITMQ_URL", format!("amqp://user:{SECRET}@127.0.0.1:{port}/"));
    let mut daemon = Watched::start(&place, &["run"]);
    let mut doors = Vec::new();
    for _ in 0..2 {
        let line: serde_json::Value = serde_json::from_str(&daemon.until_log(&["http listening"]).await).unwrap();
        doors.push(line["http.address"].as_str().unwrap().to_owned());
    }
    daemon.until_log(&["waiting for a server", "\"attempt\":1"]).await;
    for door in &doors {
        assert_eq!(get(door, "/livez").await.0, 200);
        assert_eq!(get(door, "/startupz").await.0, 503);
        let (status, ready) = get(door, "/readyz").await;
        assert_eq!(status, 503);
        assert!(ready.contains("bus-unavailable") && !ready.contains(SECRET), "{ready}");
        let (status, numbers) = get(door, "/metrics").await;
        assert_eq!(status, 200);
        for sample in ["chatferry_build_info{version=", "chatferry_part_up{part=\"bus\"} 0"] {
            assert!(numbers.contains(sample), "{sample} is not in:\n{numbers}");
        }
    }
    assert!(get(&doors[0], "/readyz").await.1.contains(&port.to_string()), "the owner is told where");
    assert!(!get(&doors[1], "/readyz").await.1.contains(&port.to_string()), "monitors are not");
    send(daemon.pid(), Signal::TERM);
    let ended = daemon.end().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log.join("\n"));
}

#[tokio::test]
async fn another_daemon_in_the_same_place_is_told_before_its_address_is() {
    let place = place();
    let mut daemon = Watched::start(&place, &["run"]);
    let line: serde_json::Value = serde_json::from_str(&daemon.until_log(&["http listening"]).await).unwrap();
    let taken = line["http.address"].as_str().unwrap().to_owned();
    let second = place.with("CHATFERRY_HTTP_ADDR", &taken);
    let refused = second.run(&["run"]).await;
    assert!(refused.stderr.contains("data-dir-locked"), "{}", refused.stderr);
    let elsewhere = Place::new().with("CHATFERRY_HTTP_ADDR", &taken);
    let refused = elsewhere.run(&["run"]).await;
    assert!(refused.stderr.contains("http-address-unusable"), "{}", refused.stderr);
    send(daemon.pid(), Signal::TERM);
    assert!(daemon.end().await.status.success());
}

/// What a door answers: status and body.
async fn get(addr: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn a_store_that_is_not_there_does_not_make_every_account_new() {
    let (_deaf, port) = deaf();
    let place = place()
        .with("DEMO_USERNAME", "somebody")
        .with("DEMO_PASSWORD", SECRET)
        .with("MONGODB_URI", format!("mongodb://127.0.0.1:{port}/chats?serverSelectionTimeoutMS=500"));
    for arguments in [&["accounts", "list"][..], &["conversations", "list"], &["data", "export"]] {
        let run = crate::refusal::refused(&place, arguments, 1, "store-unavailable").await;
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}
