//! The sample site while it runs: the chats, who listens, and the log of requests.
//!
//! A change and its announcement happen under one lock, so that every page hears of changes in their order.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::DemoError;
use super::history::{self, OWNER, Post, Thread};
use super::options::{LoginMode, SiteOptions};
use super::session::Sessions;
use super::talk::Talk;
use crate::domain::Direction;

/// Announcements that wait for a slow page; beyond that the page must load anew.
const PUSH_BUFFER: usize = 1024;

/// One message as it stands in the page now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthMessage {
    /// The site's id of the conversation.
    pub conversation_id: String,
    /// Its title; two conversations may share one.
    pub conversation_title: String,
    /// The site's id of the message, unique on the site.
    pub native_id: String,
    /// Who wrote it, as the page names them.
    pub author: String,
    /// Seen from the owner.
    pub direction: Direction,
    /// The text, after the last edit.
    pub text: String,
    /// When; whole seconds.
    pub sent_at: Timestamp,
    /// Whether the text was changed after it was sent.
    pub edited: bool,
    /// The `href` of the attachment as it stands in the page.
    pub attachment: Option<String>,
}

/// One request that the site answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

/// Everything that the routes share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: SiteOptions,
    pub(super) sessions: Sessions,
    pub(super) talks: Vec<Talk>,
    /// Cancelled when the site stops: open WebSockets end.
    pub(super) stop: CancellationToken,
    login: Mutex<LoginMode>,
    threads: Mutex<Vec<Thread>>,
    pushes: broadcast::Sender<Arc<str>>,
    log: Mutex<Vec<Request>>,
    /// While the feed is cut: what was said meanwhile, by its conversation.
    held: Mutex<Option<Vec<(String, Post)>>>,
    answers: AtomicU32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn new(options: SiteOptions, stop: CancellationToken) -> Self {
        let talks = Talk::all();
        Self {
            threads: Mutex::new(history::threads(&options, &talks)),
            sessions: Sessions::new(options.seed, options.session_requests),
            pushes: broadcast::channel(PUSH_BUFFER).0,
            login: Mutex::new(options.login),
            log: Mutex::default(),
            held: Mutex::default(),
            answers: AtomicU32::new(0),
            talks,
            stop,
            options,
        }
    }

    /// What follows from the right credentials now.
    pub(super) fn login(&self) -> LoginMode {
        *lock(&self.login)
    }

    pub(super) fn set_login(&self, login: LoginMode) {
        *lock(&self.login) = login;
    }

    /// The chats; nobody else changes them meanwhile.
    pub(super) fn threads(&self) -> MutexGuard<'_, Vec<Thread>> {
        lock(&self.threads)
    }

    /// What is announced from now on, as JSON documents.
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.pushes.subscribe()
    }

    /// True if this answer of the API is one that must fail.
    pub(super) fn is_failing_answer(&self) -> bool {
        let number = self.answers.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.options.fail_every.is_some_and(|each| each > 0 && number.is_multiple_of(each))
    }

    pub(super) fn record(&self, request: Request) {
        lock(&self.log).push(request);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        lock(&self.log).clone()
    }

    /// Adds a message and announces it; while the feed is cut it is held back.
    pub(super) fn say(&self, conversation: &str, author: Option<&str>, text: &str) -> Result<TruthMessage, DemoError> {
        let mut threads = self.threads();
        let thread = threads
            .iter_mut()
            .find(|thread| thread.id == conversation)
            .ok_or_else(|| DemoError::UnknownConversation(conversation.to_owned()))?;
        let author = author.unwrap_or_else(|| thread.peers.first().map_or("", String::as_str)).to_owned();
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        // The clock of this machine may be behind the sample chats, or go back; time in a conversation does not.
        let sent_at = thread.posts.last().map_or(now, |last| now.max(last.sent_at));
        let post = Post {
            id: live_id(&thread.id, thread.posts.len(), text),
            own: author == OWNER,
            author,
            text: text.to_owned(),
            sent_at,
            edited: false,
            file: None,
            notice: None,
        };
        let truth = truth_of(thread, &post);
        match &mut *lock(&self.held) {
            Some(held) => held.push((thread.id.clone(), post)),
            None => self.deliver(&mut threads, conversation, post),
        }
        Ok(truth)
    }

    fn deliver(&self, threads: &mut [Thread], conversation: &str, post: Post) {
        let turn = threads.iter().map(|thread| thread.turn).max().unwrap_or(0) + 1;
        let Some(thread) = threads.iter_mut().find(|thread| thread.id == conversation) else { return };
        (thread.activity, thread.turn) = (post.sent_at, turn);
        thread.unread = if post.own { 0 } else { thread.unread + 1 };
        let seq = thread.posts.len();
        let message = post_json(&post, seq);
        thread.posts.push(post);
        self.announce(&json!({"type": "message", "conversation": summary(thread), "message": message}));
    }

    /// Cuts the feed: the site answers as before, and shows nothing that is said from now on.
    pub(super) fn cut_feed(&self) {
        lock(&self.held).get_or_insert_default();
    }

    /// Shows what was held back, and everything from now on.
    pub(super) fn feed_again(&self) {
        let mut threads = self.threads();
        for (conversation, post) in lock(&self.held).take().unwrap_or_default() {
            self.deliver(&mut threads, &conversation, post);
        }
    }

    /// Tells every page something that is no news of any conversation.
    pub(super) fn tell_presence(&self) {
        self.announce(&json!({"type": "presence"}));
    }

    /// Changes the text of a message and announces it.
    pub(super) fn edit(&self, id: &str, text: &str) -> Result<(), DemoError> {
        let mut threads = self.threads();
        let found = threads.iter_mut().find_map(|thread| {
            let seq = thread.posts.iter().position(|post| post.id == id)?;
            Some((thread, seq))
        });
        let (thread, seq) = found.ok_or_else(|| DemoError::UnknownMessage(id.to_owned()))?;
        text.clone_into(&mut thread.posts[seq].text);
        thread.posts[seq].edited = true;
        let message = post_json(&thread.posts[seq], seq);
        self.announce(&json!({"type": "edit", "conversation": summary(thread), "message": message}));
        Ok(())
    }

    /// Marks a conversation as read by the owner.
    pub(super) fn read(&self, conversation: &str) {
        if let Some(thread) = self.threads().iter_mut().find(|thread| thread.id == conversation) {
            thread.unread = 0;
        }
    }

    /// Every message, ordered by conversation id, then as in the page.
    pub(super) fn truth(&self) -> Vec<TruthMessage> {
        let threads = self.threads();
        let mut order: Vec<&Thread> = threads.iter().collect();
        order.sort_by(|a, b| a.id.cmp(&b.id));
        order.into_iter().flat_map(|thread| thread.posts.iter().map(|post| truth_of(thread, post))).collect()
    }

    fn announce(&self, push: &Value) {
        // Nobody listening is no fault: the page reads the chats when it opens.
        let _ = self.pushes.send(push.to_string().into());
    }
}

fn truth_of(thread: &Thread, post: &Post) -> TruthMessage {
    TruthMessage {
        conversation_id: thread.id.clone(),
        conversation_title: thread.title.clone(),
        native_id: post.id.clone(),
        author: post.author.clone(),
        direction: if post.own { Direction::Out } else { Direction::In },
        text: post.text.clone(),
        sent_at: post.sent_at,
        edited: post.edited,
        attachment: post.file.map(href),
    }
}

/// A restarted site forgets what was said live and counts anew, so the exact time is part of the id.
fn live_id(conversation: &str, seq: usize, text: &str) -> String {
    let name = format!("{conversation}\n{seq}\n{}\n{text}", Timestamp::now().as_nanosecond());
    format!("m{}", &blake3::hash(name.as_bytes()).to_hex()[..14])
}

fn href(file: &str) -> String {
    format!("/files/{file}")
}

/// A message as the API gives it; `seq` is its place in the conversation, counted from the oldest.
pub(super) fn post_json(post: &Post, seq: usize) -> Value {
    json!({
        "id": post.id, "seq": seq, "author": post.author, "mine": post.own, "text": post.text,
        "sent_at": post.sent_at, "sent_ms": post.sent_at.as_millisecond(), "edited": post.edited,
        "attachment": post.file.map(|file| json!({"name": file, "href": href(file)})), "notice": post.notice,
    })
}

/// A conversation as a row of the list shows it.
pub(super) fn summary(thread: &Thread) -> Value {
    let preview = thread.posts.last().map(|post| {
        let line: String = post.text.chars().map(|c| if c == '\n' { ' ' } else { c }).take(120).collect();
        match (post.own, thread.peers.len()) {
            (true, _) => format!("You: {line}"),
            (false, 2..) => format!("{}: {line}", post.author),
            (false, _) => line,
        }
    });
    json!({
        "id": thread.id, "title": thread.title, "peers": thread.peers, "unread": thread.unread, "preview": preview,
        "activity": thread.activity, "activity_ms": thread.activity.as_millisecond(), "turn": thread.turn,
    })
}
