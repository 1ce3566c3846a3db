//! A page may try what it likes: nothing but its own site hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::get;
use chatferry::selectors::Query;
use tokio::net::{TcpListener, UdpSocket};

use crate::support::packs::page_pack;
use crate::support::web_page::{WebPage, Window};

const MESSAGES: &str = r#"
[messages]
row = ".m"
text = "p"
direction.own = ".own"
"#;

/// Everything that a page can do to reach a server; `SINK` is its port. The page says when each attempt has
/// come to its end.
const HOSTILE: &str = r#"<!doctype html><meta charset="utf-8"><title>Hostile</title>
<link rel="dns-prefetch" href="//localhost:SINK"><link rel="preconnect" href="http://127.0.0.1:SINK">
<link rel="prefetch" href="http://127.0.0.1:SINK/prefetch"><link rel="stylesheet" href="http://127.0.0.1:SINK/style">
<link rel="manifest" href="http://127.0.0.1:SINK/manifest"><link rel="icon" href="http://127.0.0.1:SINK/icon">
<body><p id="shown">A page</p>
<img src="http://localhost:SINK/img"><iframe src="http://127.0.0.1:SINK/frame"></iframe>
<script>
const hosts = ["127.0.0.1:SINK", "localhost:SINK", "[::1]:SINK", "127.0.0.2:SINK"];
const ended = (target, ...names) => new Promise((resolve) => names.forEach((name) => target.addEventListener(name, resolve)));
const worker = (text) => new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
const attempts = hosts.flatMap((host) => [
  fetch(`http://${host}/fetch`, { mode: "no-cors" }).catch(() => 0),
  fetch(`http://${host}/keepalive`, { mode: "no-cors", keepalive: true, method: "POST", body: "x" }).catch(() => 0),
  fetch(`/leave?to=${host}`, { mode: "no-cors" }).catch(() => 0),
  ended(Object.assign(new Image(), { src: `http://${host}/img` }), "load", "error"),
  ended(new WebSocket(`ws://${host}/socket`), "open", "error"),
  ended(new EventSource(`http://${host}/events`), "open", "error"),
  ended(worker(`fetch("http://${host}/worker", { mode: "no-cors" }).catch(() => 0).then(() => postMessage(0))`), "message", "error"),
  ended(worker(`const s = new WebSocket("ws://${host}/worker"); s.onopen = s.onerror = () => postMessage(0)`), "message", "error"),
  navigator.sendBeacon(`http://${host}/beacon`, "x"),
]);
const serviced = navigator.serviceWorker.register("/service.js").then(() => navigator.serviceWorker.ready)
  .then(({ active }) => new Promise((resolve) => {
    navigator.serviceWorker.onmessage = resolve;
    active.postMessage(hosts);
  }));
const call = async () => {
  const peer = new RTCPeerConnection({ iceServers: [
    { urls: "stun:127.0.0.1:SINK" },
    { urls: ["turn:127.0.0.1:SINK?transport=udp", "turn:127.0.0.1:SINK?transport=tcp"], username: "u", credential: "c" },
  ] });
  peer.createDataChannel("x");
  const gathered = new Promise((resolve) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
    setTimeout(resolve, 8000);
  });
  await peer.setLocalDescription(await peer.createOffer());
  await gathered;
};
window.open("http://127.0.0.1:SINK/popup");
Promise.all([...attempts, serviced, call()]).then(() => document.body.append(Object.assign(document.createElement("p"), { id: "done", textContent: "done" })));
</script>"#;

const SERVICE: &str = r#"
onmessage = async ({ data, source }) => {
  await Promise.all(data.map((host) => fetch(`http://${host}/service`, { mode: "no-cors" }).catch(() => 0)));
  await Promise.all(data.map((host) => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${host}/service`);
    socket.onopen = socket.onerror = resolve;
  })));
  source.postMessage(0);
};"#;

/// Counts whoever knocks, on TCP and UDP.
async fn sink() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = UdpSocket::bind(("0.0.0.0", port)).await.unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let (over_tcp, over_udp) = (heard.clone(), heard.clone());
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            over_tcp.fetch_add(1, Ordering::SeqCst);
        }
    });
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while socket.recv(&mut buffer).await.is_ok() {
            over_udp.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, heard)
}

#[tokio::test]
async fn a_hostile_page_reaches_no_other_port_and_no_other_host() {
    let (port, heard) = sink().await;
    let html = HOSTILE.replace("SINK", &port.to_string());
    let leave = async |query: axum::extract::RawQuery| {
        let to = query.0.unwrap_or_default();
        Redirect::temporary(&format!("http://{}/redirected", to.trim_start_matches("to=")))
    };
    let service = async || ([("content-type", "text/javascript")], SERVICE);
    let routes = Router::new()
        .route("/", get(async || Html(html)))
        .route("/leave", get(leave))
        .route("/service.js", get(service));
    let site = WebPage::serve_router(routes).await;
    let window = Window::open(&page_pack(MESSAGES), &site.base_url).await;
    window.page.wait_for(&Query::css("#done"), Duration::from_secs(60)).await.unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 0, "the sink was reached");
    // Going there is refused as well.
    assert!(window.page.open(&format!("http://127.0.0.1:{port}/typed")).await.is_err());
    window.close().await;
    assert_eq!(heard.load(Ordering::SeqCst), 0, "the sink was reached at the end");
}

#[tokio::test]
async fn a_page_can_not_lead_the_browser_away() {
    let (port, heard) = sink().await;
    let away = format!(r#"<!doctype html><meta http-equiv="refresh" content="0; url=http://127.0.0.1:{port}/">"#);
    let routes = Router::new()
        .route("/", get(async || Html(away)))
        .route("/home", get(async || Html("<!doctype html><p id=\"home\">home</p>")));
    let site = WebPage::serve_router(routes).await;
    let window = Window::open(&page_pack(MESSAGES), &site.base_url).await;
    window.page.open("/home").await.unwrap();
    window.page.wait_for(&Query::css("#home"), Duration::from_secs(20)).await.unwrap();
    window.close().await;
    assert_eq!(heard.load(Ordering::SeqCst), 0, "the sink was reached");
}
