//! The sample site: a small but complete chat application that chatferry logs in to in its demo and in every
//! end-to-end test. It knows the truth about its chats, so that a test can count what was lost, invented or doubled.
//!
//! | file | what it is |
//! |---|---|
//! | `options` | the shape of a site: design, difficulties, failures |
//! | `dice`, `talk`, `cast`, `history` | the chats, a pure function of the seed |
//! | `state` | the chats while the site runs; the truth; who listens |
//! | `session`, `pages`, `api`, `push` | login, HTML, JSON, WebSocket |
//! | `site` | starting and stopping |
//! | `assets/page` | the application in the browser: no framework, nothing from elsewhere |
//!
//! Architecture invariant: nothing else in chatferry knows this module except the command `demo` and the tests; it
//! knows the collector only as a browser.

mod api;
mod cast;
mod dice;
mod error;
mod history;
mod options;
mod pages;
mod push;
mod session;
mod site;
mod state;
mod talk;
#[cfg(test)]
mod tests;

pub use error::DemoError;
pub use options::{Layout, LoginMode, SiteOptions};
pub use site::Site;
pub use state::{Request, TruthMessage};
