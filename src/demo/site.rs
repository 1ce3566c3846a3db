//! The running sample site: listening, routes, live messages, and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request as HttpRequest, State as Shared};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dice::Dice;
use super::options::{LoginMode, SiteOptions};
use super::session::{CODE, PASSWORD, USERNAME};
use super::state::{Request, State, TruthMessage};
use super::{DemoError, api, pages, push};

/// How long [`Site::stop`] waits for answers in progress.
const GRACE: Duration = Duration::from_secs(2);

/// Between two frames that say nothing of any conversation.
const PRESENCE: Duration = Duration::from_millis(500);

/// A sample site that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Site {
    addr: SocketAddr,
    state: Arc<State>,
    tasks: Vec<JoinHandle<()>>,
    stop: DropGuard,
}

impl Site {
    /// Starts a site; it answers when this returns.
    ///
    /// # Errors
    /// [`DemoError::Bind`] if the address can't be listened on.
    pub async fn start(options: SiteOptions) -> Result<Self, DemoError> {
        let failed = |source| DemoError::Bind { addr: options.bind, source };
        let listener = TcpListener::bind(options.bind).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let live = options.live_every;
        let stop = CancellationToken::new();
        let state = Arc::new(State::new(options, stop.clone()));
        let served =
            axum::serve(listener, routes(state.clone())).with_graceful_shutdown(stop.clone().cancelled_owned());
        // axum's server never ends with an error: it goes on accepting.
        let mut tasks = vec![tokio::spawn(async move { drop(served.await) })];
        if let Some(every) = live.filter(|every| !every.is_zero()) {
            tasks.push(tokio::spawn(trickle(state.clone(), every)));
        }
        Ok(Self { addr, state, tasks, stop: stop.drop_guard() })
    }

    /// Where the site listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the application, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The user name that opens the site.
    pub const fn username() -> &'static str {
        USERNAME
    }

    /// The password that opens the site.
    pub const fn password() -> &'static str {
        PASSWORD
    }

    /// The one-time code that opens the site where it asks for one.
    pub const fn code() -> &'static str {
        CODE
    }

    /// From now on this follows from the right credentials.
    pub fn set_login(&self, login: LoginMode) {
        self.state.set_login(login);
    }

    /// Every message as it stands now, ordered by conversation id, then oldest first.
    pub fn truth(&self) -> Vec<TruthMessage> {
        self.state.truth()
    }

    /// Every request that was answered so far, in the order of the answers.
    pub fn request_log(&self) -> Vec<Request> {
        self.state.requests()
    }

    /// Sends one message now, by the first of the other people if no author is named; the author `Alex` is the owner.
    ///
    /// # Errors
    /// [`DemoError::UnknownConversation`].
    pub fn say(&self, conversation: &str, author: Option<&str>, text: &str) -> Result<TruthMessage, DemoError> {
        self.state.say(conversation, author, text)
    }

    /// Changes the text of a message now.
    ///
    /// # Errors
    /// [`DemoError::UnknownMessage`].
    pub fn edit(&self, message: &str, text: &str) -> Result<(), DemoError> {
        self.state.edit(message, text)
    }

    /// From now on a message arrives by itself, this often.
    pub fn trickle(&mut self, every: Duration) {
        self.tasks.push(tokio::spawn(trickle(self.state.clone(), every)));
    }

    /// Cuts the feed: the site goes on answering, and its socket tells of people who come and go, but what is said
    /// from now on is shown nowhere, not even to a page that is loaded anew.
    pub fn cut_feed(&mut self) {
        self.state.cut_feed();
        self.tasks.push(tokio::spawn(presence(self.state.clone())));
    }

    /// Ends that: what was said meanwhile arrives, and everything from now on.
    pub fn feed_again(&self) {
        self.state.feed_again();
    }

    /// Stops listening, closes every WebSocket, and waits a moment for answers in progress.
    pub async fn stop(self) {
        drop(self.stop);
        for mut task in self.tasks {
            if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

fn routes(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/me", get(api::me))
        .route("/conversations", get(api::conversations))
        .route("/conversations/{id}/messages", get(api::messages).post(api::send))
        .layer(middleware::from_fn_with_state(state.clone(), api::gate));
    Router::new()
        .route("/", get(pages::app))
        .route("/login", get(pages::login_page).post(pages::log_in))
        .route("/logout", post(pages::log_out))
        .route("/challenge", get(pages::challenge).post(pages::answer_challenge))
        .route("/static/{name}", get(pages::asset))
        .route("/files/{name}", get(pages::attachment))
        .route("/ws", get(push::open))
        .nest("/api", api)
        .layer(middleware::from_fn_with_state(state.clone(), record))
        .with_state(state)
}

/// Stands around every route: the log of requests, and headers that every answer has.
async fn record(Shared(state): Shared<Arc<State>>, request: HttpRequest, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    state.record(Request { method, path, status: response.status().as_u16() });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Keeps the sockets busy.
async fn presence(state: Arc<State>) {
    loop {
        tokio::select! {
            () = state.stop.cancelled() => return,
            () = tokio::time::sleep(PRESENCE) => state.tell_presence(),
        }
    }
}

/// Lets somebody say something, again and again.
async fn trickle(state: Arc<State>, every: Duration) {
    let mut dice = Dice::new(state.options.seed, &[u64::MAX]);
    loop {
        tokio::select! {
            () = state.stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let said = {
            let threads = state.threads();
            let live: Vec<_> = threads.iter().filter(|thread| !thread.posts.is_empty()).collect();
            live.get(dice.index(live.len())).map(|thread| {
                let peer = thread.peers[dice.index(thread.peers.len())].clone();
                (thread.id.clone(), peer, state.talks[thread.language].remark(&mut dice))
            })
        };
        if let Some((conversation, author, text)) = said {
            // The conversation was found a moment ago, and none is ever removed.
            let _ = state.say(&conversation, Some(&author), &text);
        }
    }
}
