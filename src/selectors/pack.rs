//! The sections of a pack, version 1.
//!
//! Every field's sentence is also what editors show (the JSON Schema is generated from here). Times
//! are written like `500ms`, `15s`, `2m`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scroll::Scroll;
use super::{Query, duration};

/// A selector pack: everything chatferry knows about one site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// The version of the pack format: 1.
    pub version: u32,
    /// The site itself.
    pub site: Site,
    /// How to log in, and how to see what came of it.
    pub login: Login,
    /// Markers that tell what kind of page this is.
    pub pages: Pages,
    /// The list of conversations.
    pub conversations: Conversations,
    /// The messages of the open conversation.
    pub messages: Messages,
    /// How older messages are loaded.
    pub history: Scroll,
    /// How gently to go about it.
    #[serde(default)]
    pub pace: Pace,
}

/// `[site]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The name that people know.
    pub name: String,
    /// The address that all others are relative to: `https://…`; plain `http` only for this machine.
    pub base_url: String,
    /// Further hosts that the page needs (pictures, sockets). Nothing else is reachable. A leading
    /// `*.` allows all names below.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// The IANA time zone that the browser pretends to be in, so that times in words mean one thing.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The BCP 47 language that the browser asks for.
    #[serde(default = "english")]
    pub locale: String,
    /// Whether somebody has tried this pack on the real site.
    #[serde(default)]
    pub verified: bool,
    /// Where the guesses come from, what to know about the site.
    #[serde(default)]
    pub notes: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn english() -> String {
    "en-US".to_owned()
}

/// `[login]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// What to do, in order.
    pub steps: Vec<LoginStep>,
    /// How to see what came of it.
    pub outcomes: Outcomes,
    /// How a one-time code that a person gives is handed in; without it the person logs in by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerForm>,
    /// How long an outcome may take.
    #[serde(default = "login_timeout", with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

const fn login_timeout() -> Duration {
    Duration::from_secs(30)
}

/// One step of a login: exactly one of its kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum LoginStep {
    /// Open an address of the site.
    Open(String),
    /// Fill the user name or the password into a field.
    Fill(Fill),
    /// Click something.
    Click(Query),
    /// Wait until something is there.
    WaitFor(Query),
}

/// What to fill in where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// Which of the account's two values.
    pub with: Credential,
    /// The input field.
    pub into: Query,
}

/// The values that an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// The user name or e-mail address.
    Username,
    /// The password.
    Password,
}

/// `[login.answer]`: the form for a one-time code, filled in once for each code that a person gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerForm {
    /// The field that takes the code.
    pub fill: Query,
    /// What hands it in.
    pub click: Query,
}

/// `[login.outcomes]`: what proves each ending of a login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// We are in.
    pub logged_in: Query,
    /// User name or password were refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_credentials: Option<Query>,
    /// The site wants another proof than those below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Query>,
    /// The site shows a CAPTCHA. Without it: a visible frame of one of the common makers of CAPTCHAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captcha: Option<Query>,
    /// The site wants a one-time code. Without it: a visible field with `autocomplete=one-time-code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time_code: Option<Query>,
    /// The site wants a new password to be chosen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_change: Option<Query>,
    /// The site has locked the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Query>,
}

/// `[pages]`: markers of the five verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// The login form: seeing it means that we are logged out.
    pub login: Query,
    /// While one of these can be seen the page is not yet rendered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Query>,
    /// The conversation list.
    pub list: Markers,
    /// The open conversation.
    pub thread: Markers,
    /// How long a page may take to show a marker.
    #[serde(default = "page_timeout", with = "duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

const fn page_timeout() -> Duration {
    Duration::from_secs(20)
}

/// How to tell that a part of the page is there, and whether there is nothing in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Markers {
    /// The part is there.
    pub positive: Query,
    /// The part is there and says that it has nothing to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<Query>,
}

/// `[conversations]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversations {
    /// The address that shows the list, relative to the base.
    #[serde(default = "root")]
    pub address: String,
    /// One entry of the list.
    pub row: Query,
    /// Entries that are no conversations: news of the site, the owner's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Query>,
    /// The site's lasting id of the conversation. Never a counter, never a display name that changes.
    pub id: Query,
    /// The title: mostly the other person's name.
    pub title: Query,
    /// When something last happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<Query>,
    /// The number or badge of unread messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Query>,
    /// True if the row always changes when the conversation has news, so that an unchanged row need
    /// not be opened again by the daemon (`collect --once` opens every one).
    #[serde(default)]
    pub row_shows_news: bool,
    /// How the list is scrolled to its end; without it the list is complete at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scroll: Option<Scroll>,
    /// How a conversation is opened.
    pub open: Open,
    /// What proves which conversation is open.
    pub opened: Opened,
}

fn root() -> String {
    "/".to_owned()
}

/// How a conversation is opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Go to this address, `{id}` being the conversation's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Click the row, or this part of it. With an address too: the click comes first, and the address
    /// if the row is not in the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<Query>,
}

/// What proves that the open conversation is the one asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Where the page says which conversation is open.
    pub at: Query,
    /// What must stand there.
    #[serde(default)]
    pub equals: Proof,
}

/// What the open page must repeat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The conversation's id.
    #[default]
    Id,
    /// The conversation's title: weaker, two people can have one name.
    Title,
}

/// `[messages]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// One message.
    pub row: Query,
    /// Rows that look like messages and are none: status lines, calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Query>,
    /// Which end of the page holds the oldest message.
    #[serde(default)]
    pub order: Order,
    /// The site's lasting id of the message. A counter of the server process is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_id: Option<Query>,
    /// Who wrote it. Without it: the conversation's title for incoming, `me` for own messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Query>,
    /// How own messages are told from others.
    pub direction: DirectionRule,
    /// What was written.
    pub text: Query,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<SentAt>,
    /// Lines between the messages that carry the date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<Separator>,
    /// Files and pictures: links or images, as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Query>,
}

/// Which way the rows run in the page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The oldest row is first in the page.
    #[default]
    OldestFirst,
    /// The newest row is first in the page (containers that count downward).
    NewestFirst,
}

/// How own messages are told: the first rule that applies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectionRule {
    /// The row is, or holds, one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Query>,
    /// The author is one of these; `{username}` is the account's user name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_authors: Vec<String>,
    /// The row's content stands at this side of its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_side: Option<Side>,
}

/// A side of the message column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Left half.
    Left,
    /// Right half.
    Right,
}

/// `[messages.sent_at]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentAt {
    /// Where the time stands.
    pub at: Query,
    /// How it is written, tried in order: `rfc3339`, `unix-s`, `unix-ms`, `unix` (seconds or
    /// milliseconds by magnitude), or a pattern such as `%d %B %Y, %H:%M:%S`. A pattern without a date
    /// takes it from the separator before, or from the message before.
    pub formats: Vec<String>,
}

/// `[messages.separator]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Separator {
    /// One separator.
    pub row: Query,
    /// Where the date stands in it.
    pub date: Query,
    /// How it is written, as in `sent_at.formats`.
    pub formats: Vec<String>,
    /// Words for the current day in the site's time zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub today: Vec<String>,
    /// Words for the day before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yesterday: Vec<String>,
}

/// `[pace]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Shortest time between two conversations.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub between_conversations: Duration,
    /// Shortest time between two steps of a history.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub between_steps: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { between_conversations: Duration::from_secs(2), between_steps: Duration::from_millis(500) }
    }
}
