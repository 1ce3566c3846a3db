//! What the pipeline needs from the outside, as traits in domain words.
//!
//! One trait per part that has an embedded and a real form. Each has one contract suite
//! (`tests/contract`) that every adapter passes, so that a fast test on the embedded form may be
//! trusted. No adapter's own error or type appears here: errors are [`crate::fault::AnyFault`].

pub mod analyst;
pub mod backlog;
pub mod budgets;
pub mod bus;
pub mod clock;
pub mod control;
pub mod leases;
pub mod live;
pub mod mirror;
pub mod page;
pub mod session;
pub mod steady;
pub mod store;

pub use analyst::{Analyst, AnalystRequest, Memory, Reply};
pub use backlog::Backlog;
pub use budgets::{Budgets, Draw, Reservation, Reserved};
pub use bus::{Bus, BusState, DeadLetter, Deliveries, Delivery, Outgoing, Queue, QueueDepth, Settlement};
pub use clock::{Clock, SystemClock};
pub use leases::{Lease, Leases};
pub use mirror::{
    Mirror, MirrorFault, MirrorOutcome, MirrorRow, MirrorState, MirrorStatus, Projection, Shown, WORKBOOK,
};
pub use session::SessionState;
pub use steady::Steady;
pub use store::{Archived, ConversationFilter, Counts, DueConversation, DueRule, MessageRange, Store, StoredMessage};
