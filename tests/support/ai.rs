//! An AI service for tests, over a real socket: both languages, strict as the vendors are, with every failure
//! that services are known for.
//!
//! What is not said to be otherwise is answered by a model that does as it is told and says little. A
//! request with an unknown field, a wrong type or a missing header is refused with the vendor's own status and form.

pub mod http;
pub mod model;
pub mod strict;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use self::http::{Request, Response};
use self::model::Asked;
use chatferry::config::{AiProvider, AiSettings};

/// The model that the service has, unless told otherwise.
pub const MODEL: &str = "fake-1";
/// The key that it takes, unless told otherwise.
pub const KEY: &str = "canary-key-81c0";

/// What a model makes of a question.
pub type Mind = Arc<dyn Fn(&Asked) -> String + Send + Sync>;

/// What the service does with one request.
#[derive(Clone)]
pub enum Act {
    /// The model answers as it should.
    Answer,
    /// The model says this.
    Say(String),
    /// The model says what this makes of the question.
    Think(Mind),
    /// The answer inside a fence.
    Fenced,
    /// The answer behind the model's thinking.
    Thinking,
    /// The answer with prose around it.
    Prose,
    /// The limit was reached: nothing, or half of the answer.
    Cut {
        /// Whether anything was said.
        is_empty: bool,
    },
    /// The model refuses.
    Refusal,
    /// A filter refuses.
    Filtered,
    /// The answer without a count of tokens.
    NoUsage,
    /// The answer, from a server whose clock is so far ahead.
    Skewed(SignedDuration),
    /// This status with these headers and this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// The answer's head, and nothing more for ever.
    Hang,
    /// The answer after so long.
    Slow(Duration),
    /// The connection ends before anything is said.
    Reset,
    /// The connection ends in the middle of the answer.
    ResetInTheMiddle,
    /// A body of so many bytes.
    Huge(usize),
    /// These bytes as the body, with a status of 200.
    Garbage(Vec<u8>),
    /// The answer with another type of content.
    Typed(&'static str),
}

impl Act {
    /// The account is used up.
    pub fn used_up() -> Self {
        let body = json!({ "error": { "message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota" } });
        Self::Status(429, Vec::new(), body.to_string())
    }

    /// Too many requests, with these headers.
    pub fn limited(headers: &[(&'static str, &str)]) -> Self {
        let body =
            json!({ "error": { "message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded" } });
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self::Status(429, headers, body.to_string())
    }

    /// This status, as a service or something in front of it gives it.
    pub fn failed(status: u16) -> Self {
        Self::Status(status, Vec::new(), "<html>upstream failed</html>".to_owned())
    }
}

/// What the service does with the form of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// Refuses `json_schema`.
    pub refuses_schema: bool,
    /// Refuses `json_object`, with an error that is a bare string.
    pub refuses_object: bool,
    /// What it does with the limit of an answer.
    pub limits: Limits,
}

/// What a service of OpenAI's language does with the two names of the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limits {
    /// Takes both, and its model says as much as it likes.
    #[default]
    Unkept,
    /// Takes both and keeps to them.
    Both,
    /// Ignores `max_completion_tokens`, keeps to `max_tokens`.
    IgnoresCompletion,
    /// Refuses `max_tokens`, as the vendor does.
    RefusesPlain,
    /// Refuses `max_completion_tokens`, as servers do that validate with a schema.
    RefusesCompletion,
}

impl Limits {
    /// The tokens that an answer to this request may have; `None`: any number.
    fn most(self, body: &Value) -> Option<u64> {
        let plain = body["max_tokens"].as_u64();
        let completion = body["max_completion_tokens"].as_u64();
        match self {
            Self::Unkept => None,
            Self::IgnoresCompletion => plain,
            Self::Both | Self::RefusesPlain | Self::RefusesCompletion => plain.into_iter().chain(completion).min(),
        }
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    always: Option<Act>,
    habits: Habits,
    keys: Vec<String>,
    seen: Vec<Value>,
    refused: Vec<String>,
    tokens: (u64, u64),
    at_once: (usize, usize),
}

/// A running service; ends when it is dropped.
pub struct FakeAi {
    provider: AiProvider,
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
    _served: AbortOnDropHandle<()>,
}

impl FakeAi {
    /// Starts one that speaks this language.
    pub async fn start(provider: AiProvider) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { keys: vec![KEY.to_owned()], ..State::default() }));
        let shared = state.clone();
        let served = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(provider, stream, shared.clone()));
            }
        });
        Self { provider, address, state, _served: AbortOnDropHandle::new(served) }
    }

    /// Its address up to `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Settings that lead here, with the key, and without limits that a test would notice.
    pub fn settings(&self) -> AiSettings {
        let mut settings = AiSettings::new(self.provider, self.url().parse().unwrap(), MODEL);
        settings.key = Some(chatferry::config::ApiKey::fixed(KEY));
        settings.requests_per_minute = 100_000;
        settings
    }

    /// What it does with the next requests, one each; after that what it always does.
    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.lock().unwrap().script.extend(acts);
    }

    /// What it does when the script is empty.
    pub fn always(&self, act: Act) {
        self.state.lock().unwrap().always = Some(act);
    }

    /// How it takes forms of answers.
    pub fn has_habits(&self, habits: Habits) {
        self.state.lock().unwrap().habits = habits;
    }

    /// The keys that it takes from now on.
    pub fn takes_keys(&self, keys: &[&str]) {
        self.state.lock().unwrap().keys = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    /// How many requests came, refused ones included.
    pub fn requests(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.seen.len() + state.refused.len()
    }

    /// The bodies of requests in good form, oldest first.
    pub fn seen(&self) -> Vec<Value> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Why requests were refused for their form, oldest first.
    pub fn refused(&self) -> Vec<String> {
        self.state.lock().unwrap().refused.clone()
    }

    /// Tokens of all questions and answers, as it counts and charges them.
    pub fn tokens(&self) -> (u64, u64) {
        self.state.lock().unwrap().tokens
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().at_once.1
    }
}

async fn serve(provider: AiProvider, mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(request) = http::read(&mut stream).await {
        {
            let mut state = state.lock().unwrap();
            state.at_once.0 += 1;
            state.at_once.1 = state.at_once.1.max(state.at_once.0);
        }
        let goes_on = answer(provider, &request, &mut stream, &state).await;
        state.lock().unwrap().at_once.0 -= 1;
        if !goes_on {
            return;
        }
    }
}

/// Answers one request; false if the connection is to end.
async fn answer(provider: AiProvider, request: &Request, stream: &mut TcpStream, state: &Mutex<State>) -> bool {
    let asked = {
        let mut state = state.lock().unwrap();
        match strict::check(provider, request, &state.keys, state.habits) {
            Ok(body) => {
                state.seen.push(body.clone());
                let most = state.habits.limits.most(&body);
                Ok((
                    Asked { most, ..Asked::new(provider, &body) },
                    state.script.pop_front().or_else(|| state.always.clone()),
                ))
            }
            Err(refusal) => {
                state.refused.push(refusal.why.clone());
                Err(refusal)
            }
        }
    };
    let (asked, act) = match asked {
        Ok((asked, act)) => (asked, act.unwrap_or(Act::Answer)),
        Err(refusal) => return send(stream, &Response::json(refusal.status, &refusal.body)).await,
    };
    let say = |text: String| said(provider, state, &asked, &text, "stop");
    let good = || say(asked.good_answer());
    let response = match act {
        Act::Answer => good(),
        Act::Say(text) => say(text),
        Act::Think(mind) => say(mind(&asked)),
        Act::Fenced => say(format!("```json\n{}\n```", asked.good_answer())),
        Act::Thinking => say(format!("<think>{{\"summary\": 1}} hm</think>\n{}", asked.good_answer())),
        Act::Prose => say(format!("Sure, here it is: {} Anything else?", asked.good_answer())),
        Act::Cut { is_empty: true } => said(provider, state, &asked, "", "length"),
        Act::Cut { is_empty: false } => {
            let whole = asked.good_answer();
            said(provider, state, &asked, &whole[..whole.len() / 2], "length")
        }
        Act::Refusal => said(provider, state, &asked, "I can't help with that.", "refusal"),
        Act::Filtered => said(provider, state, &asked, "", "content_filter"),
        Act::NoUsage => {
            let mut response = good();
            let mut body: Value = serde_json::from_slice(&response.body).unwrap();
            body.as_object_mut().unwrap().remove("usage");
            response.body = body.to_string().into_bytes();
            response
        }
        Act::Skewed(ahead) => {
            let date = Timestamp::now() + ahead;
            good().with("date", &date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        }
        Act::Status(status, headers, body) => {
            let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
            let mut response = Response::new(status, kind, body.into_bytes());
            for (name, value) in headers {
                response = response.with(name, &value);
            }
            response
        }
        Act::Hang => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending::<()>().await;
            return false;
        }
        Act::Slow(wait) => {
            tokio::time::sleep(wait).await;
            good()
        }
        Act::Reset => return false,
        Act::ResetInTheMiddle => {
            let bytes = good().bytes();
            let _ = stream.write_all(&bytes[..bytes.len() - 40]).await;
            return false;
        }
        Act::Huge(size) => Response::new(200, "application/json", vec![b' '; size]),
        Act::Garbage(bytes) => Response::new(200, "application/json", bytes),
        Act::Typed(kind) => {
            let body = good().body;
            Response::new(200, kind, body)
        }
    };
    send(stream, &response).await
}

async fn send(stream: &mut TcpStream, response: &Response) -> bool {
    stream.write_all(&response.bytes()).await.is_ok()
}

/// An answer of the service, charged for.
fn said(provider: AiProvider, state: &Mutex<State>, asked: &Asked, text: &str, finish: &str) -> Response {
    let (text, finish) = match asked.most {
        Some(most) if model::tokens(text) > most => (text.get(..most as usize * 4).unwrap_or_default(), "length"),
        _ => (text, finish),
    };
    let (input, output) = (asked.tokens, model::tokens(text));
    {
        let mut state = state.lock().unwrap();
        state.tokens.0 += input;
        state.tokens.1 += output;
    }
    let response = Response::json(200, &model::envelope(provider, text, finish, (input, output)));
    response.with("x-request-id", "req_0123456789")
}
