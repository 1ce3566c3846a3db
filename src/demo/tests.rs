//! The sample site from outside: real sockets, no browser.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Layout, LoginMode, Site, SiteOptions, TruthMessage};
use crate::domain::Direction;

/// Nothing here takes long; a test that hangs should say where.
const DEADLINE: Duration = Duration::from_secs(20);

/// One answer.
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A browser without a window: one request per connection, one cookie.
struct Visitor {
    addr: SocketAddr,
    cookie: Option<String>,
}

impl Visitor {
    fn new(site: &Site) -> Self {
        Self { addr: site.addr(), cookie: None }
    }

    async fn logged_in(site: &Site) -> Self {
        let mut visitor = Self::new(site);
        let answer = visitor.log_in(Site::username(), Site::password()).await;
        assert_eq!((answer.status, answer.headers["location"].as_str()), (303, "/"));
        visitor
    }

    async fn log_in(&mut self, username: &str, password: &str) -> Answer {
        let form = format!("username={username}&password={password}");
        let answer = self.request("POST", "/login", "application/x-www-form-urlencoded", &form).await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "text/plain", "").await
    }

    fn head(&self, method: &str, path: &str) -> String {
        let cookie = self.cookie.as_ref().map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{cookie}", self.addr)
    }

    async fn request(&self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let length = body.len();
        let head = self.head(method, path);
        let text = format!("{head}Connection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    /// Every conversation of the list, page by page.
    async fn conversations(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/api/conversations?limit=7{after}")).await.json();
            all.extend(page["conversations"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { return all };
            after = format!("&after={next}");
        }
    }

    /// A whole conversation, page by page, oldest first.
    async fn messages(&self, id: &str) -> Vec<Value> {
        let (mut all, mut before) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/api/conversations/{id}/messages?{before}")).await.json();
            let older = page["messages"].as_array().unwrap().clone();
            all.splice(0..0, older);
            if page["more"] != true {
                return all;
            }
            before = format!("before={}", all[0]["id"].as_str().unwrap());
        }
    }

    /// Opens the WebSocket and leaves the stream after its head.
    async fn socket(&self) -> (u16, TcpStream) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let text = format!(
            "{}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.head("GET", "/ws")
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::time::timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
        }
        (String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().parse().unwrap(), stream)
    }
}

/// The next frame of a WebSocket: opcode and payload. A server masks nothing (RFC 6455, 5.1).
async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    tokio::time::timeout(DEADLINE, async {
        let opcode = stream.read_u8().await.unwrap() & 0x0f;
        let length = match stream.read_u8().await.unwrap() {
            126 => u64::from(stream.read_u16().await.unwrap()),
            127 => stream.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        (opcode, payload)
    })
    .await
    .unwrap()
}

async fn document(stream: &mut TcpStream) -> Value {
    let (opcode, payload) = frame(stream).await;
    assert_eq!(opcode, 1, "a text frame");
    serde_json::from_slice(&payload).unwrap()
}

async fn site(change: impl FnOnce(&mut SiteOptions)) -> Site {
    let mut options = SiteOptions::default();
    change(&mut options);
    Site::start(options).await.unwrap()
}

fn agree(truth: &TruthMessage, shown: &Value) {
    assert_eq!(shown["id"], truth.native_id);
    assert_eq!(shown["author"], truth.author);
    assert_eq!(shown["text"], truth.text);
    assert_eq!(shown["mine"], truth.direction == Direction::Out);
    assert_eq!(shown["sent_at"], truth.sent_at.to_string());
    assert_eq!(shown["sent_ms"], truth.sent_at.as_millisecond());
    assert_eq!(shown["edited"], truth.edited);
    assert_eq!(shown["attachment"]["href"].as_str(), truth.attachment.as_deref());
}

#[tokio::test]
async fn the_api_shows_the_truth_page_by_page() {
    let site = site(|options| {
        options.long_conversation = Some(700);
        options.empty_conversation = true;
        options.page_size = 37;
    })
    .await;
    let visitor = Visitor::logged_in(&site).await;
    let rows = visitor.conversations().await;
    assert_eq!(rows.len(), 26);
    assert!(rows.is_sorted_by(|a, b| a["activity_ms"].as_i64() >= b["activity_ms"].as_i64()));
    let truth = site.truth();
    assert_eq!(truth.len(), 3100);
    assert!(truth.is_sorted_by_key(|message| message.conversation_id.clone()));
    let mut empty = 0;
    for row in &rows {
        let id = row["id"].as_str().unwrap();
        let told: Vec<_> = truth.iter().filter(|message| message.conversation_id == id).collect();
        let shown = visitor.messages(id).await;
        assert_eq!(shown.len(), told.len());
        told.iter().zip(&shown).for_each(|(told, shown)| agree(told, shown));
        assert!(told.iter().all(|told| row["title"] == told.conversation_title));
        empty += usize::from(told.is_empty());
    }
    assert_eq!(empty, 1);
    assert!(site.request_log().iter().all(|request| request.method == "GET" || request.path == "/login"));
    site.stop().await;
}

#[tokio::test]
async fn equal_texts_in_the_same_second_have_different_ids() {
    let site = site(|_| {}).await;
    let mut alike: HashMap<_, HashSet<String>> = HashMap::new();
    for message in site.truth() {
        let likeness = (message.conversation_id, message.author, message.text, message.sent_at);
        assert!(alike.entry(likeness).or_default().insert(message.native_id));
    }
    assert!(alike.values().any(|ids| ids.len() > 1));
}

#[tokio::test]
async fn whoever_is_not_logged_in_gets_the_login_form_and_no_chats() {
    let site = site(|_| {}).await;
    let mut visitor = Visitor::new(&site);
    assert_eq!(visitor.get("/").await.headers["location"], "/login");
    assert_eq!(visitor.get("/api/conversations").await.status, 401);
    assert_eq!(visitor.socket().await.0, 401);
    let page = visitor.get("/login").await;
    assert_eq!(page.headers["content-security-policy"], "default-src 'self'");
    for part in [r#"form id="login""#, r#"id="login-user" name="username""#, r#"id="login-password" name="password""#] {
        assert!(page.body.contains(part), "{part}");
    }
    assert!(!page.body.contains("login-error"));
    for (username, password) in [("alex", "wrong"), ("root", Site::password())] {
        let refused = visitor.log_in(username, password).await;
        assert!(refused.body.contains(r#"class="login-error" data-reason="bad-credentials""#));
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    visitor.log_in("alex", Site::password()).await;
    let app = visitor.get("/").await;
    assert!(app.status == 200 && app.body.contains(r#"<div id="app"></div>"#));
    assert_eq!(visitor.get("/login").await.headers["location"], "/");
}

#[tokio::test]
async fn a_challenge_wants_its_code_and_a_lock_says_so() {
    let challenging = site(|options| options.login = LoginMode::OneTimeCode).await;
    let mut visitor = Visitor::new(&challenging);
    assert_eq!(visitor.log_in("alex", Site::password()).await.headers["location"], "/challenge");
    let page = visitor.get("/challenge").await.body;
    assert!(page.contains(r#"id="challenge""#) && page.contains(r#"autocomplete="one-time-code""#));
    let answered = visitor.request("POST", "/challenge", "application/x-www-form-urlencoded", "code=123456").await;
    assert!(answered.body.contains("challenge-error") && visitor.cookie.is_none());
    for (mode, mark) in [
        (LoginMode::Challenge, "challenge-town"),
        (LoginMode::Captcha, "\"captcha\""),
        (LoginMode::PasswordChange, "change-password"),
    ] {
        challenging.set_login(mode);
        assert!(visitor.get("/challenge").await.body.contains(mark));
        let answered = visitor.request("POST", "/challenge", "application/x-www-form-urlencoded", "code=471+203").await;
        assert!(answered.body.contains("challenge-error") && visitor.cookie.is_none(), "{mode:?}");
    }
    challenging.set_login(LoginMode::OneTimeCode);
    let answered = visitor.request("POST", "/challenge", "application/x-www-form-urlencoded", "code=471+203").await;
    assert_eq!((answered.headers["location"].as_str(), answered.headers.contains_key("set-cookie")), ("/", true));

    let locking = site(|options| options.login = LoginMode::Locked).await;
    let mut visitor = Visitor::new(&locking);
    assert!(visitor.log_in("alex", Site::password()).await.body.contains(r#"data-reason="locked""#));
    assert!(visitor.log_in("alex", "wrong").await.body.contains(r#"data-reason="bad-credentials""#));
    assert!(visitor.cookie.is_none());
}

#[tokio::test]
async fn a_session_ends_after_its_requests_and_its_socket_with_it() {
    let site = site(|options| options.session_requests = Some(3)).await;
    let mut visitor = Visitor::logged_in(&site).await;
    let (status, mut socket) = visitor.socket().await;
    assert_eq!(status, 101);
    for expected in [200, 200, 200, 401, 401] {
        assert_eq!(visitor.get("/api/me").await.status, expected);
    }
    assert_eq!(visitor.get("/").await.headers["location"], "/login");
    let conversation = site.truth()[0].conversation_id.clone();
    site.say(&conversation, None, "Are you still there?").unwrap();
    assert_eq!(frame(&mut socket).await.0, 8, "a close frame");
    visitor.log_in("alex", Site::password()).await;
    assert_eq!(visitor.get("/api/me").await.status, 200);
}

#[tokio::test]
async fn a_restarted_site_knows_its_visitors_and_another_seed_does_not() {
    let first = site(|_| {}).await;
    let visitor = Visitor::logged_in(&first).await;
    let addr = first.addr();
    first.stop().await;
    let again = site(|options| options.bind = addr).await;
    assert_eq!(visitor.get("/api/me").await.status, 200);
    again.stop().await;
    let _other = site(|options| (options.bind, options.seed) = (addr, 2)).await;
    assert_eq!(visitor.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn what_is_said_and_changed_reaches_the_socket_the_api_and_the_truth() {
    let site = site(|_| {}).await;
    let visitor = Visitor::logged_in(&site).await;
    let (_, mut socket) = visitor.socket().await;
    // The longest silence ends: the conversation must come to the top.
    let last = visitor.conversations().await.pop().unwrap()["id"].as_str().unwrap().to_owned();
    let said = site.say(&last, None, "<b>New</b>\nand two lines").unwrap();
    let push = document(&mut socket).await;
    assert_eq!((push["type"].as_str(), push["conversation"]["id"].as_str()), (Some("message"), Some(last.as_str())));
    agree(&said, &push["message"]);
    assert_eq!(visitor.conversations().await[0]["id"], last);
    // Whoever speaks next is first, though perhaps in the same second.
    for message in site.truth().iter().step_by(400) {
        site.say(&message.conversation_id, None, "Me too").unwrap();
        assert_eq!(document(&mut socket).await["message"]["text"], "Me too");
        assert_eq!(visitor.conversations().await[0]["id"], message.conversation_id);
    }

    site.edit(&said.native_id, "Changed").unwrap();
    let push = document(&mut socket).await;
    assert_eq!((push["type"].as_str(), push["message"]["text"].as_str()), (Some("edit"), Some("Changed")));
    let truth = site.truth().into_iter().find(|message| message.native_id == said.native_id).unwrap();
    assert!(truth.edited && truth.text == "Changed");
    agree(&truth, visitor.messages(&last).await.last().unwrap());

    let path = format!("/api/conversations/{last}/messages");
    assert_eq!(visitor.request("POST", &path, "application/json", r#"{"text":"Mine"}"#).await.status, 201);
    assert_eq!(document(&mut socket).await["message"]["mine"], true);
    assert!(site.request_log().iter().any(|request| request.method == "POST" && request.path.ends_with("/messages")));
    assert!(site.say("nobody", None, "x").is_err() && site.edit("nothing", "x").is_err());
    site.stop().await;
    assert_eq!(frame(&mut socket).await.0, 8, "a close frame");
}

#[tokio::test]
async fn messages_trickle_in_by_themselves() {
    let site = site(|options| options.live_every = Some(Duration::from_millis(5))).await;
    let visitor = Visitor::logged_in(&site).await;
    let (_, mut socket) = visitor.socket().await;
    for _ in 0..3 {
        let push = document(&mut socket).await;
        assert!(push["message"]["mine"] == false && !push["message"]["text"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn every_nth_answer_fails_and_the_page_options_are_told() {
    let site = site(|options| {
        options.fail_every = Some(3);
        options.layout = Layout::B;
        options.inline_all = true;
        (options.conversations, options.messages, options.long_conversation) = (0, 0, Some(2000));
    })
    .await;
    let visitor = Visitor::logged_in(&site).await;
    assert_eq!(visitor.get("/api/me").await.json()["page"]["layout"], "b");
    let id = visitor.get("/api/conversations").await.json()["conversations"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(visitor.get("/api/me").await.status, 500);
    assert_eq!(visitor.messages(&id).await.len(), 2000);
    let statuses: Vec<u16> = site.request_log().iter().skip(1).map(|request| request.status).collect();
    assert_eq!(statuses, [200, 200, 500, 200]);
}

#[tokio::test]
async fn reading_clears_the_badge() {
    let site = site(|_| {}).await;
    let visitor = Visitor::logged_in(&site).await;
    let unread = |rows: Vec<Value>| rows.into_iter().find(|row| row["unread"].as_u64() > Some(0));
    let row = unread(visitor.conversations().await).unwrap();
    let id = row["id"].as_str().unwrap();
    visitor.messages(id).await;
    let after = visitor.conversations().await;
    assert_eq!(after.iter().find(|row| row["id"] == id).unwrap()["unread"], 0);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = site(|_| {}).await;
    let error = Site::start(SiteOptions { bind: first.addr(), ..SiteOptions::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the sample site can't listen on {}", first.addr()));
}
