//! A web site seen through a browser, in the words of a pack.
//!
//! The collector says *what* it wants (the list, the open conversation, the next older messages); how
//! a page is driven is the browser's affair. Everything here reads; the only thing that is ever filled
//! in is a login form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::live::PageEvents;
use crate::domain::{AccountId, Text};
use crate::fault::AnyFault;
use crate::ports::SessionState;
use crate::selectors::{LoadedPack, Query};

mod rows;

pub use rows::{FieldMatch, ListReading, ListRow, Matches, ThreadReading, ThreadRow};

/// What kind of page this is: one of five, never a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageVerdict {
    /// It shows what it should.
    Ok,
    /// It says that there is nothing to show.
    Empty,
    /// It shows nothing that the pack knows: still loading, an error page.
    NotRendered,
    /// It shows the login form.
    LoggedOut,
    /// It shows the right place without the things that belong there: the layout has changed.
    Broken,
}

/// What a copy of a page may keep word for word: what the pack itself says, which is no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vocabulary {
    /// Words in attributes.
    pub words: BTreeSet<String>,
    /// Whole texts and values.
    pub phrases: BTreeSet<String>,
    /// Words in texts.
    pub text_words: BTreeSet<String>,
    /// Times as written, each with the one to write instead; longer ones first.
    pub times: Vec<(String, String)>,
    /// Whether it matters at which side something stands.
    pub keep_sides: bool,
}

/// Everything that the markers of a pack say about the page at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // one per marker of the pack; they are independent
#[serde(default)]
pub struct Glance {
    /// The login form can be seen.
    pub login: bool,
    /// Something says that the page is loading.
    pub loading: bool,
    /// The conversation list can be seen.
    pub list: bool,
    /// The list says that it is empty.
    pub list_empty: bool,
    /// The open conversation can be seen.
    pub thread: bool,
    /// The open conversation says that it is empty.
    pub thread_empty: bool,
    /// The open conversation says that it has older messages.
    pub more: bool,
    /// Proof that we are logged in.
    pub logged_in: bool,
    /// The site refused the credentials.
    pub bad_credentials: bool,
    /// The site wants another proof.
    pub challenge: bool,
    /// The site shows a CAPTCHA.
    pub captcha: bool,
    /// The site wants a one-time code.
    pub one_time_code: bool,
    /// The site wants a new password to be chosen.
    pub password_change: bool,
    /// The site has locked the account.
    pub locked: bool,
    /// Which conversation the page says is open.
    pub opened: Option<String>,
    /// HTTP status of the document, 0 if unknown.
    pub status: u16,
}

impl Glance {
    /// True if the site wants from a human what no program may give.
    pub fn wants_a_human(&self) -> bool {
        self.locked || self.challenge || self.captcha || self.one_time_code || self.password_change
    }
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until<'a> {
    /// The list, or anything that says why it is not coming: login form, challenge, lock.
    List,
    /// Any declared outcome of a login.
    Outcome,
    /// What came of a one-time code: an outcome, or the form for it anew.
    Answered,
    /// The conversation whose page proof is this, loaded; or the login form.
    Thread(&'a str),
}

/// Which scrolling part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scroller {
    /// The conversation list.
    List,
    /// The history of the open conversation.
    History,
}

/// What one step toward more rows did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // four independent observations of one step
pub struct Step {
    /// The rows in the page are others, or more, than before.
    pub changed: bool,
    /// The page proves that there is nothing further.
    pub end: bool,
    /// The page says that there is more.
    pub more: bool,
    /// The scroll container is in the page.
    pub present: bool,
}

/// One query of a pack, tried on a page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProbeRow {
    /// The key in the pack.
    pub key: String,
    /// How many elements each alternative matched.
    pub counts: Vec<u64>,
    /// The first value of the first alternative that matched, unmasked.
    #[serde(default)]
    pub sample: Option<Text>,
    /// What is wrong with an alternative, by its number: an invalid selector.
    #[serde(default)]
    pub errors: BTreeMap<usize, String>,
}

/// What a pack that is not in use finds on the page as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrialReport {
    /// Every query of the pack; if one can't be used as written, nothing else was read.
    pub probe: Vec<ProbeRow>,
    /// What its markers say.
    pub glance: Glance,
    /// The conversation list.
    pub list: ListReading,
    /// The open conversation.
    pub thread: ThreadReading,
}

/// Everything a session in a browser needs to know.
#[derive(Debug, Clone)]
pub struct SessionRequest {
    /// Whose session.
    pub account: AccountId,
    /// How to read the site.
    pub pack: Arc<LoadedPack>,
    /// The address that all others are relative to.
    pub base_url: Url,
    /// What was kept of an earlier login, to be restored.
    pub session: Option<SessionState>,
    /// Only for a moment, beside the account's own page: for trying whether a session holds.
    pub scratch: bool,
}

/// Starts browsers.
#[async_trait]
pub trait Browser: Send + Sync {
    /// One blank page in a context of the account's own; the browser around it may be shared with other
    /// accounts of the site. Browsers that a killed process left behind are ended first.
    ///
    /// # Errors
    /// `chromium-missing`, `chromium-failed`, `sandbox-unavailable`: permanent, process scope.
    async fn open(&self, request: SessionRequest) -> Result<Box<dyn SitePage>, AnyFault>;
}

/// One page of one account.
///
/// Every call ends: with a value, a fault, or `page-timeout` at its deadline. A crashed renderer is
/// `page-crashed`, a browser that is gone `browser-gone`; both are retryable and end the page's life.
#[async_trait]
pub trait SitePage: Send + Sync {
    /// Opens an address relative to the base, as typed into the address bar.
    ///
    /// # Errors
    /// `site-unreachable` if the site does not answer or answers 5xx.
    async fn open(&self, address: &str) -> Result<(), AnyFault>;

    /// Waits until the page shows what was asked for, at most `timeout`; gives what it shows then,
    /// whether it was that or not.
    ///
    /// # Errors
    /// Those of every call.
    async fn wait(&self, until: Until<'_>, timeout: Duration) -> Result<Glance, AnyFault>;

    /// Waits for a query of the login.
    ///
    /// # Errors
    /// `page-timeout` if it does not come.
    async fn wait_for(&self, query: &Query, timeout: Duration) -> Result<(), AnyFault>;

    /// Fills a login field as a keyboard would.
    ///
    /// # Errors
    /// `layout-broken` if the field is not there or is no input.
    async fn fill(&self, query: &Query, value: &str) -> Result<(), AnyFault>;

    /// Clicks a control of the login.
    ///
    /// # Errors
    /// `layout-broken` if it is not there.
    async fn click(&self, query: &Query) -> Result<(), AnyFault>;

    /// Reads the conversation list as far as it is in the page.
    ///
    /// # Errors
    /// Those of every call.
    async fn list(&self) -> Result<ListReading, AnyFault>;

    /// Opens a conversation by clicking its row or by address, as the pack says. Does not wait.
    ///
    /// # Errors
    /// `layout-broken` if it can't be opened in any declared way.
    async fn open_conversation(&self, id: &str) -> Result<(), AnyFault>;

    /// Reads the open conversation as far as it is in the page: one call into the page, however many
    /// messages.
    ///
    /// # Errors
    /// Those of every call.
    async fn thread(&self) -> Result<ThreadReading, AnyFault>;

    /// Goes back to the end where reading begins: the newest message, the top of the list.
    ///
    /// # Errors
    /// Those of every call.
    async fn rewind(&self, scroller: Scroller) -> Result<(), AnyFault>;

    /// One step toward more rows: scrolls or clicks, then waits for the page to change.
    ///
    /// # Errors
    /// Those of every call.
    async fn step(&self, scroller: Scroller) -> Result<Step, AnyFault>;

    /// Tries every query of the pack on the page as it is.
    ///
    /// # Errors
    /// Those of every call.
    async fn probe(&self) -> Result<Vec<ProbeRow>, AnyFault>;

    /// Replaces the page by saved HTML, without running its scripts and without any network.
    ///
    /// # Errors
    /// Those of every call.
    async fn show_html(&self, html: &str) -> Result<(), AnyFault>;

    /// A copy of the page as HTML: its structure, every text in it replaced by another of the same shape but
    /// for what is named in `keep`. No script, no style, no address, no picture.
    ///
    /// # Errors
    /// Those of every call.
    async fn scrubbed(&self, keep: &Vocabulary) -> Result<String, AnyFault>;

    /// Ends the browser the hard way, with every page in it. For tests of recovery.
    fn kill(&self);

    /// Closes the page and its context; if they were the last of their browser, waits until all its
    /// processes are gone.
    async fn close(self: Box<Self>);

    /// Reads the page as it is with another pack, beside the one in use, which goes on undisturbed. Only
    /// reads, and waits for nothing to appear.
    ///
    /// # Errors
    /// Those of every call; `layout-broken` if a selector of that pack is none.
    async fn trial(&self, pack: &LoadedPack) -> Result<TrialReport, AnyFault>;

    /// The page's elements as HTML with classes, roles and the names of attributes, and without any text,
    /// address or value: safe to show.
    ///
    /// # Errors
    /// Those of every call.
    async fn skeleton(&self) -> Result<String, AnyFault>;

    /// The visible part of the page as a PNG. `masked`: every text as dots, pictures and fields hidden, so
    /// that it is safe to show.
    ///
    /// # Errors
    /// Those of every call; `browser-protocol` if a text would stay readable.
    async fn screenshot(&self, masked: bool) -> Result<Vec<u8>, AnyFault>;

    /// What makes the account logged in now: cookies, and the storage of the origin that is shown.
    ///
    /// # Errors
    /// Those of every call.
    async fn session(&self) -> Result<SessionState, AnyFault>;

    /// Cancelled once the browser has served long enough: close the page at the end of the pass and open
    /// another, which comes in a fresh browser.
    fn retiring(&self) -> CancellationToken;

    /// From now on the page tells by itself what changes in it, on this document and on every one that
    /// takes its place. First it tells what it shows: nothing between a reading and this is missed.
    ///
    /// # Errors
    /// Those of every call.
    async fn observe(&self) -> Result<PageEvents, AnyFault>;

    /// Ends that: what we do in the page ourselves is no news.
    ///
    /// # Errors
    /// Those of every call.
    async fn unobserve(&self) -> Result<(), AnyFault>;
}
