//! What makes an account logged in: its cookies and its pages' storage, written down and restored.
//!
//! Cookies are those of the account's own context. Storage is that of the origins that the page itself has
//! shown; databases of pages (IndexedDB) and other frames' storage are not carried over. Whether that is enough
//! for a site is tried once after each login (`collect::session`), never assumed.

use std::collections::BTreeMap;

use chromiumoxide::cdp::browser_protocol::browser::BrowserContextId;
use chromiumoxide::cdp::browser_protocol::network::{Cookie, CookieParam, TimeSinceEpoch};
use chromiumoxide::cdp::browser_protocol::storage::SetCookiesParams;
use serde::{Deserialize, Serialize};

use super::error::BrowserError;
use crate::ports::SessionState;

/// More than this is not kept: it is a cache and no session.
const STORAGE_LIMIT: usize = 4 << 20;

/// Read in the agent's world: which origin it is, and its storage. `null` where there is none to read.
pub const READ_STORAGE: &str = r"(() => {
  try {
    return JSON.stringify([location.origin, { ...localStorage }, { ...sessionStorage }]);
  } catch {
    return JSON.stringify(null);
  }
})()";

/// A session as it is written down: JSON, in an order that depends on its content only.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Stored {
    cookies: Vec<Cookie>,
    storage: BTreeMap<String, OriginStorage>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct OriginStorage {
    local: BTreeMap<String, String>,
    session: BTreeMap<String, String>,
}

impl Stored {
    /// Reads what [`Stored::state`] wrote.
    ///
    /// # Errors
    /// [`BrowserError::Session`]: it was written by something else. The parser's words could quote it.
    pub fn parse(state: &SessionState) -> Result<Self, BrowserError> {
        serde_json::from_slice(state.expose()).map_err(|_| BrowserError::Session)
    }

    /// Writes it down.
    pub fn state(&self) -> SessionState {
        SessionState::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Takes over the cookies that the context has now.
    pub fn set_cookies(&mut self, mut cookies: Vec<Cookie>) {
        cookies.sort_by(|a, b| (&a.domain, &a.path, &a.name).cmp(&(&b.domain, &b.path, &b.name)));
        self.cookies = cookies;
    }

    /// Takes over what [`READ_STORAGE`] told. Other origins keep what they had.
    pub fn set_storage(&mut self, told: &str) {
        if told.len() > STORAGE_LIMIT {
            return;
        }
        type Told = Option<(String, BTreeMap<String, String>, BTreeMap<String, String>)>;
        if let Ok(Some((origin, local, session))) = serde_json::from_str::<Told>(told)
            && origin.starts_with("http")
        {
            self.storage.insert(origin, OriginStorage { local, session });
        }
    }

    /// The command that gives a context these cookies; `None` if there are none, which DevTools would refuse.
    pub fn cookies(&self, context: &BrowserContextId) -> Option<SetCookiesParams> {
        let mut command = SetCookiesParams::new(self.cookies.iter().map(restored).collect::<Vec<_>>());
        command.browser_context_id = Some(context.clone());
        (!command.cookies.is_empty()).then_some(command)
    }

    /// The script that gives the first document of each origin its storage, before the page's own scripts;
    /// `None` if there is none to give.
    pub fn script(&self) -> Option<String> {
        let storage: BTreeMap<_, _> = self.storage.iter().filter(|(_, held)| !held.is_empty()).collect();
        if storage.is_empty() {
            return None;
        }
        let storage = serde_json::to_string(&storage).ok()?;
        Some(format!(
            "(() => {{
  const held = {storage}[location.origin];
  if (!held || window !== window.top) return;
  try {{
    for (const [name, value] of Object.entries(held.local)) localStorage.setItem(name, value);
    for (const [name, value] of Object.entries(held.session)) sessionStorage.setItem(name, value);
  }} catch {{}}
}})()"
        ))
    }
}

impl OriginStorage {
    fn is_empty(&self) -> bool {
        self.local.is_empty() && self.session.is_empty()
    }
}

fn restored(cookie: &Cookie) -> CookieParam {
    let mut param = CookieParam::new(&cookie.name, &cookie.value);
    param.domain = Some(cookie.domain.clone());
    param.path = Some(cookie.path.clone());
    param.secure = Some(cookie.secure);
    param.http_only = Some(cookie.http_only);
    param.same_site = cookie.same_site.clone();
    param.priority = Some(cookie.priority.clone());
    param.source_scheme = Some(cookie.source_scheme.clone());
    param.source_port = Some(cookie.source_port);
    param.partition_key = cookie.partition_key.clone();
    // One without an end lasts as long as its browser; ours lasts as long as the account is collected.
    param.expires = (!cookie.session).then(|| TimeSinceEpoch::new(cookie.expires));
    param
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stored({} cookies, {} origins)", self.cookies.len(), self.storage.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(name: &str) -> Cookie {
        serde_json::from_value(serde_json::json!({
            "name": name, "value": "canary", "domain": ".example.org", "path": "/", "expires": -1.0, "size": 9,
            "httpOnly": true, "secure": true, "session": true, "sameSite": "Lax", "priority": "Medium",
            "sourceScheme": "Secure", "sourcePort": 443
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_down_is_read_back_and_in_one_order() {
        let mut one = Stored::default();
        one.set_cookies(vec![cookie("b"), cookie("a")]);
        one.set_storage(r#"["https://example.org",{"token":"canary"},{}]"#);
        let mut other = Stored::default();
        other.set_storage(r#"["https://example.org",{"token":"canary"},{}]"#);
        other.set_cookies(vec![cookie("a"), cookie("b")]);
        assert_eq!(one.state(), other.state());
        let read = Stored::parse(&one.state()).unwrap();
        assert_eq!(read.state(), one.state());
        assert!(!format!("{read:?}").contains("canary"));
        let command = read.cookies(&BrowserContextId::new("c")).unwrap();
        assert_eq!(command.cookies.len(), 2);
        assert_eq!((command.cookies[0].expires.as_ref(), command.cookies[0].http_only), (None, Some(true)));
        assert!(
            read.script().unwrap().contains(r#"{"https://example.org":{"local":{"token":"canary"},"session":{}}}"#)
        );
    }

    #[test]
    fn no_storage_needs_no_script_and_nonsense_is_refused_without_quoting_it() {
        let mut stored = Stored::default();
        stored.set_storage(r#"["null",{"a":"b"},{}]"#);
        stored.set_storage("null");
        stored.set_storage(r#"["https://example.org",{},{}]"#);
        assert_eq!(stored.script(), None);
        assert!(stored.cookies(&BrowserContextId::new("c")).is_none());
        let error = Stored::parse(&SessionState::new(b"canary".to_vec())).unwrap_err();
        assert!(!format!("{error:?}").contains("canary"));
    }
}
