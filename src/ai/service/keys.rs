//! The key of the service, which may be changed under a running program: its file is looked at again when
//! it was written, and after the service refused the key.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;

use crate::config::ApiKey;

struct Held {
    header: Option<HeaderValue>,
    written_at: Option<SystemTime>,
}

/// The key in force.
pub(super) struct Keys {
    source: Option<ApiKey>,
    prefix: &'static str,
    held: Mutex<Held>,
}

impl Keys {
    /// Keys that go into a header after `prefix`.
    pub(super) fn new(source: Option<ApiKey>, prefix: &'static str) -> Self {
        let written_at = source.as_ref().and_then(ApiKey::written_at);
        let header = source.as_ref().and_then(|key| header(prefix, key.value().expose_secret()));
        Self { source, prefix, held: Mutex::new(Held { header, written_at }) }
    }

    /// The header of the next request; `None`: no key is sent.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let source = self.source.as_ref()?;
        let written_at = source.written_at();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if written_at.is_some() && written_at != held.written_at {
            held.written_at = written_at;
            self.take(source, &mut held);
        }
        held.header.clone()
    }

    /// Looks at the file after a refusal; true if it holds another key than the one that was refused.
    pub(super) fn is_changed_since(&self, refused: Option<&HeaderValue>) -> bool {
        let Some(source) = &self.source else { return false };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(source, &mut held);
        held.header.is_some() && held.header.as_ref() != refused
    }

    /// A file that can't be used for the moment (half written, being replaced) leaves the key as it is.
    fn take(&self, source: &ApiKey, held: &mut Held) {
        if let Some(header) = source.read_again().and_then(|key| header(self.prefix, key.expose_secret())) {
            held.header = Some(header);
        }
    }
}

fn header(prefix: &str, key: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{prefix}{key}")).ok()?;
    // Libraries that print headers leave it out.
    value.set_sensitive(true);
    Some(value)
}
