//! A Google Sheets of our own, over a socket: token endpoint with a real RS256 check, the four methods that are used,
//! grid limits, quotas, answers that get lost, and people who edit meanwhile.
//!
//! It is strict: an unknown field, a wrong type, a range outside the grid is a 400 with Google's JSON, so that a request
//! that Google would refuse is not taken here.

#![allow(dead_code)] // each test uses its own part of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sheets/api.rs"]
mod api;
#[path = "sheets/book.rs"]
pub mod book;
#[path = "sheets/format.rs"]
mod format;
#[path = "sheets/http.rs"]
mod http;
#[path = "sheets/mask.rs"]
mod mask;
#[path = "sheets/oauth.rs"]
mod oauth;
#[path = "sheets/structure.rs"]
mod structure;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use chatferry::config::{GoogleSettings, ServiceAccount};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use book::Book;
use http::{Fate, Reply, Request};

/// The spreadsheet's id.
pub const SHEET_ID: &str = "1TestSheetxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
/// The service account that the sheet is shared with.
pub const EMAIL: &str = "mirror@test-project.iam.gserviceaccount.com";
/// A key for tests: in the repository for all to see, and of no use anywhere else.
const KEY: &str = include_str!("../data/google-test-key-no-secret.pem");
/// Another one, which the account does not have.
const OTHER_KEY: &str = include_str!("../data/google-other-test-key-no-secret.pem");

/// What happens to one request of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Refused with this status before anything is done; seconds of `Retry-After`.
    Status(u16, Option<u64>),
    /// A gateway's page instead of JSON, before anything is done.
    Page(u16),
    /// The connection is reset before anything is done.
    Reset,
    /// It is done, and the connection is reset before the answer.
    Lost,
    /// It is done, and the answer is cut in the middle.
    Cut,
    /// It is done, and the answer has no body.
    Empty,
    /// It is done, and the answer is an object without anything in it.
    Hollow,
    /// Nobody answers, and a write is done only after the next one.
    Late,
    /// Nobody answers.
    Silence,
    /// Of a write the last range is left out, and the answer counts what was done.
    Half,
    /// A write is done, and the answer counts no rows: nobody promises to count rows that showed the same before.
    Uncounted,
}

/// Somebody who edits.
pub type Meddler = Box<dyn FnMut(&mut Book) + Send>;

/// How the token endpoint behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenMood {
    /// As it should.
    #[default]
    Well,
    /// The next answer is an error whose `error` is no text: a library may take it for a token without a value.
    OddOnce,
    /// The account is unknown.
    UnknownAccount,
    /// It answers 503 with a page.
    Away,
}

/// What the other side is like.
pub struct State {
    /// The spreadsheet.
    pub book: Book,
    /// What happens to the next requests of the API, in this order.
    pub mishaps: VecDeque<Mishap>,
    /// So many requests go well before them.
    pub skip: usize,
    /// Called before each request of the API is carried out: somebody edits.
    pub meddler: Option<Meddler>,
    /// Who may read and write it.
    pub readers: Vec<String>,
    /// Who may write it.
    pub writers: Vec<String>,
    /// False: the Sheets API is off in the project.
    pub api_on: bool,
    /// Requests a minute of each kind; beyond is 429.
    pub quota: usize,
    /// How the token endpoint behaves.
    pub tokens: TokenMood,
    /// The key that it knows the account by, PEM.
    pub key: &'static str,
    /// Its clock is this much ahead of ours, in seconds.
    pub clock: i64,
    /// Tokens that are good.
    pub good: Vec<String>,
    /// Every request of the API: method name, and whether it got as far as being carried out.
    pub log: Vec<(&'static str, bool)>,
    /// Bodies of writes, as they came.
    pub bodies: Vec<String>,
    /// How many tokens were asked for.
    pub asked_tokens: usize,
    /// Refusals of requests that Google would not have understood: there should be none.
    pub misunderstood: Vec<String>,
    /// A write that is done after the next one.
    pub late: Option<String>,
    origin: String,
    sent: VecDeque<(bool, Instant)>,
}

/// The server.
#[derive(Clone)]
pub struct Google {
    state: Arc<Mutex<State>>,
    address: String,
}

impl Google {
    /// Starts with an empty spreadsheet that is shared with the account.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let state = State {
            book: Book::new(),
            mishaps: VecDeque::new(),
            skip: 0,
            meddler: None,
            readers: vec![EMAIL.to_owned()],
            writers: vec![EMAIL.to_owned()],
            api_on: true,
            quota: usize::MAX,
            tokens: TokenMood::Well,
            key: KEY,
            clock: 0,
            good: Vec::new(),
            log: Vec::new(),
            bodies: Vec::new(),
            asked_tokens: 0,
            misunderstood: Vec::new(),
            late: None,
            origin: address.clone(),
            sent: VecDeque::new(),
        };
        let google = Self { state: Arc::new(Mutex::new(state)), address };
        let this = google.clone();
        tokio::spawn(async move { http::serve(listener, move |request| this.answer(&request)).await });
        google
    }

    /// Everything, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Requests of the API so far, since the last call.
    pub fn requests(&self) -> Vec<&'static str> {
        self.state().log.drain(..).map(|(name, _)| name).collect()
    }

    /// What is to happen to the next requests.
    pub fn mishaps(&self, mishaps: &[Mishap]) {
        self.state().mishaps.extend(mishaps);
    }

    /// The settings of a program that writes it.
    pub fn settings(&self) -> GoogleSettings {
        GoogleSettings {
            sheet_id: SHEET_ID.to_owned(),
            account: ServiceAccount {
                email: EMAIL.to_owned(),
                private_key: SecretString::from(KEY),
                key_id: Some("k1".to_owned()),
                token_uri: format!("{}token", self.address),
                path: PathBuf::from("/etc/chatferry/google.json"),
            },
            api: self.address.parse().unwrap(),
        }
    }

    /// The JSON key file of the account, of mode 0600, in this folder.
    pub fn key_file(&self, folder: &Path) -> PathBuf {
        self.key_file_with(folder, KEY)
    }

    /// The same with a key that the account does not have.
    pub fn wrong_key_file(&self, folder: &Path) -> PathBuf {
        self.key_file_with(folder, OTHER_KEY)
    }

    fn key_file_with(&self, folder: &Path, key: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("google.json");
        let content = json!({
            "type": "service_account", "project_id": "test-project", "private_key_id": "k1", "private_key": key,
            "client_email": EMAIL, "client_id": "1", "token_uri": format!("{}token", self.address),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        });
        std::fs::write(&path, content.to_string()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Pieces of the private key, each of which must be found nowhere.
    pub fn key_canaries() -> Vec<String> {
        KEY.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
    }

    fn answer(&self, request: &Request) -> Reply {
        let mut state = self.state();
        let state = &mut *state;
        let mut reply = match (request.method.as_str(), request.path()) {
            ("POST", "/token") => oauth::answer(state, request),
            (_, path) if path.starts_with("/v4/spreadsheets/") => state.api(request),
            _ => Reply::json(404, &json!({ "error": { "code": 404, "message": "Not Found", "status": "NOT_FOUND" } })),
        };
        let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(state.clock);
        let date = now.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        reply.headers.push(("Date".to_owned(), date));
        reply
    }
}

impl State {
    /// One request of the API, with what happens to it.
    fn api(&mut self, request: &Request) -> Reply {
        let Some(method) = api::method(request) else { return api::error(404, "NOT_FOUND", "Method not found.", "") };
        let is_write = matches!(method, "values.batchUpdate" | "batchUpdate");
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        self.log.push((method, false));
        if !self.good.iter().any(|good| good == token) {
            return api::error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", "");
        }
        if self.is_beyond_quota(is_write) {
            return api::error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric.", "RATE_LIMIT_EXCEEDED");
        }
        let mishap = match self.skip.checked_sub(1) {
            Some(left) => {
                self.skip = left;
                None
            }
            None => self.mishaps.pop_front(),
        };
        match mishap {
            Some(Mishap::Status(status, after)) => {
                let mut reply = api::error(status, "UNAVAILABLE", &format!("Quoting {}", request.body), "");
                reply.headers.extend(after.map(|seconds| ("Retry-After".to_owned(), seconds.to_string())));
                return reply;
            }
            Some(Mishap::Page(status)) => return Reply::page(status),
            Some(Mishap::Reset) => return Reply::fated(Fate::Reset),
            Some(Mishap::Late) => {
                self.late = Some(request.body.clone());
                return Reply::fated(Fate::Silence);
            }
            Some(Mishap::Silence) => return Reply::fated(Fate::Silence),
            Some(Mishap::Lost | Mishap::Cut | Mishap::Empty | Mishap::Hollow | Mishap::Half | Mishap::Uncounted)
            | None => {}
        }
        if let Some(mut meddler) = self.meddler.take() {
            meddler(&mut self.book);
            self.meddler = Some(meddler);
        }
        if let Some(refusal) = self.refusal(request, is_write) {
            return refusal;
        }
        if is_write {
            self.bodies.push(request.body.clone());
        }
        let is_half = mishap == Some(Mishap::Half);
        let mut reply = match api::carry_out(&mut self.book, method, request, is_half) {
            Ok(body) => Reply::json(200, &body),
            Err(api::Refused { status, message, is_ours }) => {
                if is_ours {
                    self.misunderstood.push(format!("{method}: {message}"));
                }
                let word = if status == 404 { "NOT_FOUND" } else { "INVALID_ARGUMENT" };
                return api::error(status, word, &message, "");
            }
        };
        if let Some(body) = self.late.take_if(|_| method == "values.batchUpdate") {
            let _ = api::write(&mut self.book, &body, false);
        }
        self.log.last_mut().unwrap().1 = true;
        match mishap {
            Some(Mishap::Lost) => reply.fate = Fate::Reset,
            Some(Mishap::Cut) => reply.fate = Fate::Cut,
            Some(Mishap::Empty) => reply.body = String::new(),
            Some(Mishap::Hollow) => reply.body = "{}".to_owned(),
            Some(Mishap::Uncounted) => {
                reply.body = reply.body.replace("\"totalUpdatedRows\":", "\"totalUpdatedRows\":0,\"was\":")
            }
            _ => {}
        }
        reply
    }

    fn refusal(&self, request: &Request, is_write: bool) -> Option<Reply> {
        if !self.api_on {
            let message = "Google Sheets API has not been used in project 1 before or it is disabled.";
            return Some(api::error(403, "PERMISSION_DENIED", message, "SERVICE_DISABLED"));
        }
        if !request.path().starts_with(&format!("/v4/spreadsheets/{SHEET_ID}")) {
            return Some(api::error(404, "NOT_FOUND", "Requested entity was not found.", ""));
        }
        let allowed = if is_write { &self.writers } else { &self.readers };
        let may = allowed.iter().any(|email| email == EMAIL);
        (!may).then(|| api::error(403, "PERMISSION_DENIED", "The caller does not have permission", ""))
    }

    fn is_beyond_quota(&mut self, is_write: bool) -> bool {
        let now = Instant::now();
        self.sent.retain(|(_, at)| now.duration_since(*at).as_secs() < 60);
        let used = self.sent.iter().filter(|(write, _)| *write == is_write).count();
        if used >= self.quota {
            return true;
        }
        self.sent.push_back((is_write, now));
        false
    }
}

/// A JSON value as people see it.
pub fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}
