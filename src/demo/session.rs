//! Login sessions of the sample site: a cookie that proves itself, so that a restarted site still knows its visitors.
//!
//! The key follows from the seed and the password is a constant: this protects sample chats, nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use jiff::Timestamp;

/// The one user.
pub(super) const USERNAME: &str = "alex";
/// The password of the one user.
pub(super) const PASSWORD: &str = "sample-Pw-1";
/// The one-time code that opens the site where it asks for one.
pub(super) const CODE: &str = "471 203";

const COOKIE: &str = "chatferry_demo_session";
const LIFETIME: i64 = 30 * 24 * 3600;

/// Issues and checks the session cookies.
#[derive(Debug)]
pub(super) struct Sessions {
    key: [u8; 32],
    limit: Option<u32>,
    used: Mutex<HashMap<String, u32>>,
}

impl Sessions {
    /// Sessions of the site with this seed, each good for so many API requests.
    pub(super) fn new(seed: u64, limit: Option<u32>) -> Self {
        let key = blake3::derive_key("chatferry sample site, session cookies, v1", &seed.to_le_bytes());
        Self { key, limit, used: Mutex::default() }
    }

    /// A `Set-Cookie` value that logs the user in.
    pub(super) fn issue(&self, now: Timestamp) -> String {
        let expiry = now.as_second() + LIFETIME;
        let token = format!("{USERNAME}.{expiry}.{}", self.sign(expiry).to_hex());
        // Two logins in one second give the same token: the later one starts its count anew.
        self.lock().insert(token.clone(), 0);
        format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LIFETIME}")
    }

    /// A `Set-Cookie` value that logs the user out.
    pub(super) fn end() -> String {
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
    }

    /// The session of a request, if it has a good one.
    pub(super) fn of(&self, headers: &HeaderMap, now: Timestamp) -> Option<String> {
        let token = cookie(headers)?;
        self.admits(token, now).then(|| token.to_owned())
    }

    /// Whether this token still opens the site.
    pub(super) fn admits(&self, token: &str, now: Timestamp) -> bool {
        let mut parts = token.splitn(3, '.');
        let (Some(user), Some(expiry), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let (Ok(expiry), Ok(signature)) = (expiry.parse::<i64>(), blake3::Hash::from_hex(signature)) else {
            return false;
        };
        let spent = self.limit.is_some_and(|limit| self.lock().get(token).is_some_and(|used| *used >= limit));
        user == USERNAME && expiry > now.as_second() && self.sign(expiry) == signature && !spent
    }

    /// Counts one API request of this session.
    pub(super) fn spend(&self, token: &str) {
        if self.limit.is_some() {
            *self.lock().entry(token.to_owned()).or_insert(0) += 1;
        }
    }

    fn sign(&self, expiry: i64) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("{USERNAME}.{expiry}").as_bytes())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(sessions: &Sessions, now: Timestamp) -> String {
        let set = sessions.issue(now);
        set.split_once('=').unwrap().1.split_once(';').unwrap().0.to_owned()
    }

    #[test]
    fn a_token_outlives_the_site_and_not_its_time_and_no_other_seed_takes_it() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let token = token(&Sessions::new(1, None), now);
        let late = Timestamp::from_second(now.as_second() + LIFETIME).unwrap();
        assert!(Sessions::new(1, None).admits(&token, now));
        assert!(!Sessions::new(1, None).admits(&token, late));
        assert!(!Sessions::new(2, None).admits(&token, now));
        assert!(!Sessions::new(1, None).admits(&token.replace("alex", "root"), now));
        assert!(!Sessions::new(1, None).admits("alex.99999999999.00", now));
    }

    #[test]
    fn a_session_ends_after_its_requests_and_a_login_begins_anew() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let sessions = Sessions::new(1, Some(2));
        let first = token(&sessions, now);
        sessions.spend(&first);
        assert!(sessions.admits(&first, now));
        sessions.spend(&first);
        assert!(!sessions.admits(&first, now));
        assert!(sessions.admits(&token(&sessions, now), now));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; chatferry_demo_session=x.y.z; c=d".parse().unwrap());
        assert_eq!(cookie(&headers), Some("x.y.z"));
    }
}
