//! Who may ask and how answers leave: every path, every header, foreign hosts, other methods.

use std::time::Duration;

use super::sample::{Refused, Trouble, state};
use super::wire::{Answer, Server};
use crate::fault::{Code, Fault};
use crate::web::router::PATHS;
use crate::web::{Door, Face, WebError, answer, bind};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

async fn server() -> Server {
    Server::start(state(Trouble::Empty, Trouble::Empty, Trouble::Empty)).await
}

fn assert_dressed(answer: &Answer, what: &str) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    assert_eq!(answer.header("content-security-policy"), Some(policy), "{what}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{what}");
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{what}");
    assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
    let cache = if what.contains("/assets/") { "no-cache" } else { "no-store" };
    if answer.status < 400 {
        assert_eq!(answer.header("cache-control"), Some(cache), "{what}");
    }
}

#[tokio::test]
async fn every_path_answers_dressed_to_get_and_head() {
    let server = server().await;
    for path in PATHS {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        assert_dressed(&answer, path);
        let head = server.ask("HEAD", path, &[("host", "localhost")]).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_dressed(&head, path);
    }
}

#[tokio::test]
async fn other_paths_do_not_exist() {
    let server = server().await;
    for path in ["/nothing", "/assets/", "/assets/../Cargo.toml", "/api/v1/status/", "//", "/%2e%2e/etc/passwd"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_dressed(&answer, path);
    }
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let server = server().await;
    let host = server.addr.to_string();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for path in PATHS.into_iter().chain(["/nothing"]) {
            let headers = [("host", host.as_str()), ("origin", "http://evil.example"), ("content-length", "0")];
            let answer = server.ask(method, path, &headers).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
            assert_dressed(&answer, path);
        }
    }
}

#[tokio::test]
async fn a_foreign_host_is_refused_everywhere() {
    let server = server().await;
    for path in PATHS.into_iter().chain(["/nothing"]) {
        for host in ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "a b", ""] {
            let answer = server.ask("GET", path, &[("host", host)]).await;
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(!answer.body.contains("chatferry"), "{path}");
            assert_dressed(&answer, path);
        }
    }
    assert_eq!(server.ask("GET", "/", &[]).await.status, 421, "no host");
    let twice = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(server.ask("GET", "/", &twice).await.status, 421, "two hosts");
    let absolute = server.ask("GET", "http://evil.example/", &[("host", "localhost")]).await;
    assert_eq!(absolute.status, 421, "a host in the request line");
    for host in ["localhost", "127.0.0.1", "[::1]:8787"] {
        assert_eq!(server.ask("GET", "/livez", &[("host", host)]).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn who_has_a_file_is_not_sent_it_again() {
    let server = server().await;
    for path in PATHS.into_iter().filter(|path| path.starts_with("/assets/")) {
        let first = server.get(path).await;
        let etag = first.header("etag").unwrap();
        let again = server.ask("GET", path, &[("host", "localhost"), ("if-none-match", etag)]).await;
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(etag)), "{path}");
        assert_dressed(&again, path);
        let other = server.ask("GET", path, &[("host", "localhost"), ("if-none-match", "\"0\"")]).await;
        assert_eq!((other.status, &other.body), (200, &first.body), "{path}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = first.local_addr().unwrap();
    let error = bind(addr).await.unwrap_err();
    assert!(matches!(error, WebError::AddressInUse { .. }), "{error:?}");
    assert_eq!(error.code(), Code::HttpAddressUnusable);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    assert!(error.action().contains("CHATFERRY_HTTP_ADDR"), "{}", error.action());
}

#[tokio::test]
async fn a_foreign_address_is_named() {
    let error = bind("192.0.2.1:8787".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, WebError::AddressNotOurs { .. }), "{error:?}");
    assert!(error.action().contains("127.0.0.1:8787"), "{}", error.action());
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_request_does_not_hold_the_stop_up() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"GET /livez HT").await.unwrap();
    assert_eq!(server.get("/livez").await.status, 200);
    server.shutdown.cancel();
    timeout(Duration::from_secs(60), server.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err(), "nobody listens any more");
}

/// A listener for monitors, with what it shows.
async fn monitoring(face: &Face) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(answer(listener, Door::Monitoring, face.clone(), shutdown.clone()));
    Server { addr, shutdown, task }
}

#[tokio::test]
async fn monitors_are_answered_by_any_name_and_see_no_chat() {
    let face = Face::new("1.2.3");
    face.show(state(Trouble::Empty, Trouble::Empty, Trouble::Empty));
    let server = monitoring(&face).await;
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        let answer = server.ask("GET", path, &[("host", "chatferry.monitoring.svc:8788")]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_dressed(&answer, path);
        assert_eq!(server.ask("POST", path, &[("host", "chatferry")]).await.status, 405, "{path}");
    }
    for path in PATHS.iter().filter(|path| !["/livez", "/readyz", "/startupz", "/metrics"].contains(path)) {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    face.show(state(Trouble::Away, Trouble::Away, Trouble::Away));
    assert_eq!(server.get("/readyz").await.status, 200, "only the first call counts");
}

#[tokio::test]
async fn monitors_are_not_told_addresses() {
    let face = Face::new("1.2.3");
    face.waits_for(&Refused.into());
    let server = monitoring(&face).await;
    let before = server.get("/readyz").await;
    assert_eq!((before.status, before.body.as_str()), (503, "not ready: database-failed\n"));
    face.show(state(Trouble::Away, Trouble::Away, Trouble::Away));
    let after = server.get("/readyz").await;
    assert_eq!((after.status, after.body.as_str()), (503, "not ready\n"));
}

#[tokio::test]
async fn before_there_is_anything_to_show_it_is_alive_and_not_ready_at_the_same_door() {
    let face = Face::new("1.2.3");
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(answer(listener, Door::Page, face.clone(), shutdown.clone()));
    let server = Server { addr, shutdown, task };
    assert_eq!(server.get("/readyz").await.json()["reason"], "the daemon is starting");
    face.waits_for(&Refused.into());
    for (path, status) in [("/livez", 200), ("/metrics", 200), ("/startupz", 503), ("/readyz", 503), ("/", 503)] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_dressed(&answer, path);
    }
    let ready = server.get("/readyz").await.json();
    assert_eq!((&ready["ready"], &ready["code"]), (&false.into(), &"database-failed".into()));
    assert_eq!(ready["reason"], "the connection to db.example was refused");
    let numbers = server.get("/metrics").await.body;
    for line in [r#"chatferry_build_info{version="1.2.3"} 1"#, r#"chatferry_part_up{part="bus"} 0"#] {
        assert!(numbers.lines().any(|known| known == line), "{numbers}");
    }
    assert_eq!(server.ask("GET", "/livez", &[("host", "evil.example")]).await.status, 421);
    face.show(state(Trouble::Empty, Trouble::Empty, Trouble::Empty));
    for path in PATHS {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
}
