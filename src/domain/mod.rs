//! The words of the house as types: ids, accounts, conversations, messages, analyses, events.
//!
//! Pure: no tokio, no I/O, no clock. Everything that names a thing in the store, on the bus or in the
//! sheet is defined here once.

pub mod account;
pub mod analysis;
pub mod budget;
pub mod conversation;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod gap;
pub mod ids;
pub mod message;
pub mod text;

pub use account::{AccountState, AccountStatus, Trouble};
pub use analysis::{Analysis, AnalysisId, Priority, Reading, Risk, RiskFlag, Sentiment, Usage, Verdict};
pub use budget::{Allowance, Balance, BudgetLimits, Owner, Period, Purse};
pub use conversation::Conversation;
pub use digest::Digest;
pub use envelope::{Envelope, EnvelopeError};
pub use event::{Event, EventType};
pub use gap::{Gap, GapReason};
pub use ids::{AccountId, ConversationKey, EventId, IdError, MessageKey, SiteId};
pub use message::{Attachment, Direction, Message, Origin, Precision};
pub use text::Text;
