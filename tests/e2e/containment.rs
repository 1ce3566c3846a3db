//! A page may try what it likes: nothing but its own site hears of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::get;
use chatferry::selectors::Query;
use tokio::io::AsyncReadExt;
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
const attempts = {};
for (const host of hosts) {
  Object.assign(attempts, {
    [`fetch ${host}`]: fetch(`http://${host}/fetch`, { mode: "no-cors" }),
    [`keepalive ${host}`]: fetch(`http://${host}/keepalive`, { mode: "no-cors", keepalive: true, method: "POST", body: "x" }),
    [`redirect ${host}`]: fetch(`/leave?to=${host}`, { mode: "no-cors" }),
    [`picture ${host}`]: ended(Object.assign(new Image(), { src: `http://${host}/img` }), "load", "error"),
    [`socket ${host}`]: ended(new WebSocket(`ws://${host}/socket`), "open", "error"),
    [`events ${host}`]: ended(new EventSource(`http://${host}/events`), "open", "error"),
    [`fetch of a worker ${host}`]: ended(worker(`fetch("http://${host}/worker", { mode: "no-cors" }).catch(() => 0).then(() => postMessage(0))`), "message", "error"),
    [`socket of a worker ${host}`]: ended(worker(`const s = new WebSocket("ws://${host}/worker"); s.onopen = s.onerror = () => postMessage(0)`), "message", "error"),
    [`beacon ${host}`]: navigator.sendBeacon(`http://${host}/beacon`, "x"),
  });
}
const registered = navigator.serviceWorker.register("/service.js");
const told = new Promise((resolve) => { navigator.serviceWorker.onmessage = resolve; });
const ready = registered.then(() => navigator.serviceWorker.ready);
ready.then(({ active }) => active.postMessage(hosts));
Object.assign(attempts, { "service worker registered": registered, "service worker ready": ready, "service worker's own": told });
const call = async (url) => {
  const peer = new RTCPeerConnection({ iceServers: [{ urls: url, username: "u", credential: "c" }] });
  peer.createDataChannel("x");
  const tried = new Promise((resolve) => { peer.onicecandidateerror = resolve; setTimeout(resolve, 3000); });
  await peer.setLocalDescription(await peer.createOffer());
  await tried;
};
for (const url of ["stun:127.0.0.1:SINK", "turn:127.0.0.1:SINK?transport=udp", "turn:127.0.0.1:SINK?transport=tcp"]) attempts[url] = call(url);
window.open("http://127.0.0.1:SINK/popup");
const tell = (name, id) => document.body.insertAdjacentHTML("beforeend", `<div class="m" id="${id}"><p>${name}</p></div>`);
for (const [name, attempt] of Object.entries(attempts)) Promise.resolve(attempt).catch(() => 0).then(() => tell(name, "some"));
Promise.all(Object.values(attempts).map((attempt) => Promise.resolve(attempt).catch(() => 0))).then(() => tell("all", "done"));
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

/// Who knocked at the sink: over what, and the first words.
type Heard = Arc<Mutex<Vec<String>>>;

/// Listens on TCP and UDP.
async fn sink() -> (u16, Heard) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = UdpSocket::bind(("0.0.0.0", port)).await.unwrap();
    let heard = Heard::default();
    let (over_tcp, over_udp) = (heard.clone(), heard.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut words = [0; 60];
            // Whoever only connects has knocked too.
            let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut words)).await;
            let words = &words[..read.ok().and_then(Result::ok).unwrap_or(0)];
            over_tcp.lock().unwrap().push(format!("TCP {}", words.escape_ascii()));
        }
    });
    tokio::spawn(async move {
        let mut words = [0; 2048];
        while let Ok(count) = socket.recv(&mut words).await {
            over_udp.lock().unwrap().push(format!("UDP {}", words[..count.min(30)].escape_ascii()));
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
    let done = window.page.wait_for(&Query::css("#done"), Duration::from_secs(25)).await;
    let told = window.page.thread().await.unwrap().rows;
    let told: Vec<_> = told.iter().map(|row| row.text.as_ref().map_or("", |text| text.expose())).collect();
    assert!(done.is_ok(), "not every attempt has ended, only: {told:#?}");
    assert_eq!(*heard.lock().unwrap(), [""; 0], "the sink was reached");
    // Going there is refused as well.
    assert!(window.page.open(&format!("http://127.0.0.1:{port}/typed")).await.is_err());
    window.close().await;
    assert_eq!(*heard.lock().unwrap(), [""; 0], "the sink was reached at the end");
}

#[tokio::test]
async fn a_page_can_not_lead_the_browser_away() {
    let (port, heard) = sink().await;
    let away = format!(r#"<!doctype html><meta http-equiv="refresh" content="0; url=http://127.0.0.1:{port}/">"#);
    let routes = Router::new()
        .route("/", get(async || Html(away)))
        .route("/home", get(async || Html("<!doctype html><p id=\"home\">home</p>")));
    let site = WebPage::serve_router(routes).await;
    // By name: the resolver's rules must let the site's own name through.
    let own = site.base_url.replace("127.0.0.1", "localhost");
    let window = Window::open(&page_pack(MESSAGES), &own).await;
    window.page.open("/home").await.unwrap();
    window.page.wait_for(&Query::css("#home"), Duration::from_secs(20)).await.unwrap();
    window.close().await;
    assert_eq!(*heard.lock().unwrap(), [""; 0], "the sink was reached");
}
