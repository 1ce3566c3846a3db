//! One try at the service: over HTTP, with a deadline, a cap on what is read, and no way elsewhere.
//!
//! No redirection is followed and no proxy of the environment is used, so that key and chats go to the one
//! address that was set. Of a failure only what [`AiError`] names is kept.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect};
use serde_json::Value;

use super::super::error::{AiError, Lost, Said};
use super::dialect::{self, Ask, Completion};
use super::keys::Keys;
use super::limits::{self, Limits, Name, Names};
use super::refusal::{self, Refusal};
use super::{anthropic, wait};
use crate::config::{AiProvider, AiSettings};
use crate::ports::Clock;

/// More than any answer: 100,000 tokens are about half of it.
const LARGEST_BODY: usize = 1024 * 1024;
/// A server that does not even accept a connection in this time is away.
const CONNECTING: Duration = Duration::from_secs(10);

/// The service and the way to it.
pub(super) struct Endpoint {
    client: Client,
    provider: AiProvider,
    url: url::Url,
    host: String,
    model: String,
    key_name: HeaderName,
    keys: Keys,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

/// What came of a try.
pub(super) struct Tried {
    /// The answer.
    pub(super) outcome: Result<Completion, AiError>,
    /// How far our clock is ahead of the service's.
    pub(super) ahead: Option<SignedDuration>,
    /// The name of the limit that a refusal blames.
    blamed: Option<Name>,
}

impl Endpoint {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`AiError::NoClient`] if no certificates are found for TLS.
    pub(super) fn new(settings: &AiSettings, clock: Arc<dyn Clock>) -> Result<Self, AiError> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(settings.timeout)
            .connect_timeout(CONNECTING.min(settings.timeout))
            .https_only(settings.url.scheme() == "https")
            .user_agent(concat!("chatferry/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| AiError::NoClient)?;
        let mut url = settings.url.clone();
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), dialect::path(settings.provider)));
        let (name, prefix) = dialect::key_header(settings.provider);
        Ok(Self {
            client,
            provider: settings.provider,
            host: settings.host().to_owned(),
            url,
            model: settings.model.clone(),
            key_name: HeaderName::from_static(name),
            keys: Keys::new(settings.key.clone(), prefix),
            limits: Limits::new(settings.host()),
            clock,
        })
    }

    /// Asks once; once more without a name of the limit that was refused.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Tried {
        let names = self.limits.names();
        let tried = self.with_a_key(ask, names).await;
        let (tried, names) = match tried.blamed.and_then(|refused| names.without(refused)) {
            Some(left) => (self.with_a_key(ask, left).await, left),
            None => (tried, names),
        };
        if tried.outcome.is_ok() {
            self.limits.settle_on(names);
        }
        tried
    }

    /// Asks once; once more if the key was refused and its file holds another one by now.
    async fn with_a_key(&self, ask: &Ask<'_>, names: Names) -> Tried {
        let body = dialect::body(self.provider, ask, names);
        let key = self.keys.header();
        let tried = self.send(&body, key.clone(), ask).await;
        if matches!(tried.outcome, Err(AiError::Auth { .. })) && self.keys.is_changed_since(key.as_ref()) {
            return self.send(&body, self.keys.header(), ask).await;
        }
        tried
    }

    async fn send(&self, body: &Value, key: Option<HeaderValue>, ask: &Ask<'_>) -> Tried {
        let mut request = self.client.post(self.url.clone()).json(body);
        if let Some(key) = key {
            request = request.header(self.key_name.clone(), key);
        }
        if self.provider == AiProvider::Anthropic {
            request = request.header("anthropic-version", anthropic::VERSION);
        }
        match request.send().await {
            Err(error) => Tried { outcome: Err(self.unreachable(lost(&error))), ahead: None, blamed: None },
            Ok(response) => {
                let ahead = wait::ahead(response.headers(), self.clock.now());
                let mut blamed = None;
                Tried { outcome: self.read(response, ask, &mut blamed).await, ahead, blamed }
            }
        }
    }

    async fn read(&self, response: Response, ask: &Ask<'_>, blamed: &mut Option<Name>) -> Result<Completion, AiError> {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let said = || Said { status, word: None, request_id: request_id(&headers) };
        let body = match whole(response).await {
            Ok(Some(body)) => body,
            Ok(None) if status == 200 => return Err(AiError::NotAnAnswer { what: "it is too long", said: said() }),
            // The status of a refusal says enough.
            Ok(None) => Vec::new(),
            Err(_) if status != 200 => Vec::new(),
            Err(error) => return Err(self.unreachable(lost(&error))),
        };
        let refused = |status, body: &[u8], sent: &str| {
            let after = wait::wished(&headers, self.clock.now());
            let (request_id, host, model) = (request_id(&headers), &self.host, &self.model);
            Refusal { status, body, sent, request_id, after, host, model, limit: ask.limit }.judge()
        };
        if status != 200 {
            let sent = sent(ask);
            let error = refused(status, &body, &sent);
            if self.provider == AiProvider::OpenAi && refusal::may_be_a_field(&error) {
                *blamed = limits::blamed(&body, &sent);
            }
            return Err(error);
        }
        let not_an_answer = |what| AiError::NotAnAnswer { what, said: said() };
        if !is_json(&headers) {
            return Err(not_an_answer("it is not JSON"));
        }
        let value: Value = serde_json::from_slice(&body).map_err(|_| not_an_answer("its JSON is broken"))?;
        match dialect::read(self.provider, &value) {
            Ok(completion) => Ok(completion),
            // Services in front of others have begun to answer with 200 before they know.
            Err(_) if value.get("error").is_some_and(|error| !error.is_null()) => {
                let status = value["error"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                Err(refused(status.filter(|status| (400..600).contains(status)).unwrap_or(502), &body, &sent(ask)))
            }
            Err(what) => Err(not_an_answer(what)),
        }
    }

    fn unreachable(&self, lost: Lost) -> AiError {
        AiError::Unreachable { host: self.host.clone(), lost, after: None }
    }
}

/// What is said to the model beside the instructions, in lower case.
fn sent(ask: &Ask<'_>) -> String {
    ask.turns.iter().flat_map(|(_, text)| [text.as_str(), "\n"]).collect::<String>().to_lowercase()
}

/// The body up to the cap; `None` if it is longer.
async fn whole(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Servers that leave the type out are believed; a page for people is not.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return true };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// The id that the service gave the request, if it looks like one.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = ["x-request-id", "request-id"].into_iter().find_map(|name| headers.get(name)?.to_str().ok())?;
    let fits =
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    fits.then(|| id.to_owned())
}

/// The error itself may hold the address and more: it is left behind.
fn lost(error: &reqwest::Error) -> Lost {
    if error.is_connect() {
        Lost::NoConnection
    } else if error.is_timeout() {
        Lost::Timeout
    } else {
        Lost::Broken
    }
}
