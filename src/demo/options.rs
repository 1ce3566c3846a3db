//! What the sample site looks like and how it misbehaves: every difficulty of a real site can be switched on alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Which of the two page designs is served: the same application, every name in the page different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `#conversations`, `.message`, times in `datetime`.
    #[default]
    A,
    /// `#chats`, `.bubble`, times in `data-ms`: what a redesign does to a selector pack.
    B,
}

impl Layout {
    /// The word that the page's script knows it by.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// What follows from the right user name and password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginMode {
    /// The application.
    #[default]
    Normal,
    /// A page that asks a question and never accepts an answer.
    Challenge,
    /// A page that wants a one-time code: [`super::Site::code`] opens the site.
    OneTimeCode,
    /// A page with a puzzle for people.
    Captcha,
    /// A page that wants a new password and takes none.
    PasswordChange,
    /// The login form again, saying that the account is locked.
    Locked,
}

/// The shape of one sample site.
#[derive(Debug, Clone)]
pub struct SiteOptions {
    /// Everything that is written, and the key of the session cookies, follows from this number.
    pub seed: u64,
    /// Conversations with messages, without `empty_conversation` and `long_conversation`.
    pub conversations: u32,
    /// Messages in those conversations together, exactly.
    pub messages: u32,
    /// Which page design is served.
    pub layout: Layout,
    /// The page keeps only about 60 rows around the viewport.
    pub virtualised: bool,
    /// The newest message comes first in the DOM (`column-reverse`; `scrollTop` counts down from 0).
    pub newest_first_dom: bool,
    /// Messages carry their id in the page.
    pub native_ids: bool,
    /// One more conversation, without any message.
    pub empty_conversation: bool,
    /// What follows from the right credentials.
    pub login: LoginMode,
    /// Added to each answer of the API.
    pub delay: Duration,
    /// Each so many-th answer of the API is a 500; counted over all sessions, 0 means never.
    pub fail_every: Option<u32>,
    /// A session ends after so many API requests.
    pub session_requests: Option<u32>,
    /// A message arrives by itself, this often.
    pub live_every: Option<Duration>,
    /// Older messages are loaded at the so many-th time that the reader reaches the top; 0 and 1 mean the first.
    pub history_nudges: u32,
    /// One more conversation, of exactly so many messages.
    pub long_conversation: Option<u32>,
    /// Most messages in one answer of the API.
    pub page_size: u32,
    /// The whole history of a conversation comes in one answer.
    pub inline_all: bool,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            conversations: 24,
            messages: 2400,
            layout: Layout::A,
            virtualised: false,
            newest_first_dom: false,
            native_ids: true,
            empty_conversation: false,
            login: LoginMode::Normal,
            delay: Duration::ZERO,
            fail_every: None,
            session_requests: None,
            live_every: None,
            history_nudges: 0,
            long_conversation: None,
            page_size: 50,
            inline_all: false,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}
