//! A small chat of the test's own, which does what it is told: tells its page of a change or keeps it to
//! itself, shows a badge without a message, reloads its page, leads it away and back.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Html;
use axum::routing::get;
use tokio::sync::watch;

use super::packs::page_pack;
use super::web_page::WebPage;

/// Draws what the server says, all of it anew at every change that it is told of.
const PAGE: &str = r##"<!doctype html><meta charset="utf-8"><title>A board</title>
<ul></ul>
<div id="thread" style="width: 600px; height: 300px; overflow: auto"></div>
<script>
const list = document.querySelector("ul"), thread = document.getElementById("thread");
const text = async (path) => await (await fetch(path)).text();
const open = async () => {
  const id = location.hash.slice(1);
  if (!id) return;
  if (thread.dataset.id !== id) { delete thread.dataset.id; thread.replaceChildren(); }
  const messages = await text("/messages/" + id);
  if (id !== location.hash.slice(1)) return;
  const shadow = new URL(location.href).searchParams.has("shadow");
  const place = shadow ? (thread.shadowRoot ?? thread.attachShadow({ mode: "open" })) : thread;
  place.innerHTML = '<p class="start">The beginning</p>' + messages;
  thread.dataset.id = id;
};
// The list is none before it holds what it should.
const draw = async () => { list.innerHTML = await text("/list"); list.id = "list"; await open(); };
const orders = {
  draw, reload: () => location.reload(), away: () => location.assign("/away"),
  look: () => {
    const names = Object.getOwnPropertyNames(window).filter((name) => name.toLowerCase().includes("chatferry"));
    list.insertAdjacentHTML("beforeend", `<li data-id="found"><b>${names.length}</b></li>`);
  },
  nothing: () => {},
};
addEventListener("hashchange", open);
addEventListener("pageshow", (event) => { if (event.persisted) draw(); });
(async () => {
  let number = await text("/number");
  await draw();
  for (;;) {
    const [next, order] = (await text("/order/" + number)).split(" ");
    number = next;
    await orders[order]();
  }
})();
</script>"##;

/// Goes back as soon as it is there.
const AWAY: &str = r#"<!doctype html><title>Away</title><script>addEventListener("load", () => setTimeout(() => history.back(), 300));</script>"#;

const MESSAGES: &str = r#"
[messages]
row = ".m"
native_id = { attr = "data-id" }
text = "p"
direction.own = ".own"
"#;

/// The pack of a board; its list promises to show every news.
pub fn board_pack() -> String {
    page_pack(MESSAGES).replace("title = \"b\"", "title = \"b\"\nunread = \".badge\"\nrow_shows_news = true")
}

#[derive(Default)]
struct Talk {
    id: String,
    badge: u32,
    messages: Vec<String>,
}

struct Shared {
    talks: Mutex<Vec<Talk>>,
    orders: watch::Sender<(u64, &'static str)>,
}

/// The board while it is served.
pub struct Board {
    shared: Arc<Shared>,
    /// Where it is.
    pub page: WebPage,
}

impl Board {
    /// Serves a board with these conversations, each with one message.
    pub async fn serve(ids: &[&str]) -> Self {
        let talks = ids.iter().map(|id| Talk { id: (*id).to_owned(), badge: 0, messages: vec!["first".to_owned()] });
        let shared = Arc::new(Shared { talks: Mutex::new(talks.collect()), orders: watch::channel((0, "nothing")).0 });
        let router = Router::new()
            .route("/", get(async || Html(PAGE)))
            .route("/away", get(async || Html(AWAY)))
            .route("/list", get(list))
            .route("/messages/{id}", get(messages))
            .route("/number", get(async |State(shared): State<Arc<Shared>>| shared.orders.borrow().0.to_string()))
            .route("/order/{after}", get(order))
            .with_state(shared.clone());
        Self { page: WebPage::serve_router(router).await, shared }
    }

    /// Adds a message, to a new conversation if need be. The page hears of it with the next order.
    pub fn say(&self, id: &str, text: &str) {
        let mut talks = self.shared.talks.lock().unwrap();
        let place = talks.iter().position(|talk| talk.id == id);
        let place = place.unwrap_or_else(|| {
            talks.push(Talk { id: id.to_owned(), ..Talk::default() });
            talks.len() - 1
        });
        talks[place].messages.push(text.to_owned());
    }

    /// Sets the unread badge of a conversation.
    pub fn badge(&self, id: &str, badge: u32) {
        let mut talks = self.shared.talks.lock().unwrap();
        talks.iter_mut().find(|talk| talk.id == id).unwrap().badge = badge;
    }

    /// Tells the page to do something: `draw`, `reload`, `away`.
    pub fn order(&self, order: &'static str) {
        self.shared.orders.send_modify(|(number, last)| (*number, *last) = (*number + 1, order));
    }

    /// How many messages there are.
    pub fn count(&self) -> usize {
        self.shared.talks.lock().unwrap().iter().map(|talk| talk.messages.len()).sum()
    }
}

async fn list(State(shared): State<Arc<Shared>>) -> String {
    let mut html = String::new();
    for Talk { id, badge, .. } in &*shared.talks.lock().unwrap() {
        let badge = if *badge == 0 { String::new() } else { format!("<i class=\"badge\">{badge}</i>") };
        write!(html, "<li data-id=\"{id}\"><b>{id}</b>{badge}</li>").unwrap();
    }
    html
}

async fn messages(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> String {
    let talks = shared.talks.lock().unwrap();
    let messages = talks.iter().find(|talk| talk.id == id).map(|talk| talk.messages.as_slice()).unwrap_or_default();
    let mut html = String::new();
    for (n, text) in messages.iter().enumerate() {
        write!(html, "<div class=\"m\" data-id=\"{id}-{n}\"><p>{text}</p></div>").unwrap();
    }
    html
}

/// Answers with the order after this one, or with none after a while.
async fn order(State(shared): State<Arc<Shared>>, Path(after): Path<u64>) -> String {
    let mut orders = shared.orders.subscribe();
    match tokio::time::timeout(Duration::from_secs(5), orders.wait_for(|(number, _)| *number > after)).await {
        Ok(Ok(order)) => format!("{} {}", order.0, order.1),
        _ => format!("{after} nothing"),
    }
}
