//! What a person at the terminal sees while a pass runs.
//!
//! Unlike a log line it may hold a conversation's title, because it goes to the owner's eye and
//! nowhere else: a sink draws, it never logs, stores or sends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccountId, Text};

/// One step on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// An account's pass begins: its browser is being started.
    Started {
        /// Which account.
        account: AccountId,
    },
    /// The site knows us.
    LoggedIn {
        /// Which account.
        account: AccountId,
    },
    /// The list of conversations was read.
    ListRead {
        /// Which account.
        account: AccountId,
        /// How many there are.
        conversations: usize,
    },
    /// A conversation was read.
    ConversationRead {
        /// Which account.
        account: AccountId,
        /// Its number in this pass, counted from 1.
        index: usize,
        /// How many are to be read.
        total: usize,
        /// As the page shows it.
        title: Text,
        /// How many messages it holds as far as seen.
        messages: usize,
    },
    /// The account's pass is complete.
    PassCompleted {
        /// Which account.
        account: AccountId,
        /// Conversations that were read.
        conversations: usize,
        /// Messages that were new.
        new_messages: u64,
        /// How long it took.
        duration: Duration,
    },
}

/// Where progress goes. The default is nowhere; clones share one target.
#[derive(Clone)]
pub struct ProgressSink(Arc<dyn Fn(Progress) + Send + Sync>);

impl ProgressSink {
    /// Progress goes to `tell`, which is called on the collector's task and must return at once.
    pub fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Passes one step on.
    pub fn tell(&self, progress: Progress) {
        (self.0)(progress);
    }
}

impl Default for ProgressSink {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for ProgressSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressSink")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_sink_hears_every_step_and_its_print_holds_no_title() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = ProgressSink::new({
            let heard = Arc::clone(&heard);
            move |step| heard.lock().unwrap().push(step)
        });
        let account: AccountId = "demo/default".parse().unwrap();
        let title = Text::new("canary");
        let step = Progress::ConversationRead { account, index: 1, total: 2, title, messages: 3 };
        sink.clone().tell(step.clone());
        ProgressSink::default().tell(step.clone());
        assert_eq!(*heard.lock().unwrap(), [step]);
        assert!(!format!("{heard:?}").contains("canary"));
    }
}
