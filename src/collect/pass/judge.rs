//! Judging what was read: the right page, the right conversation, fields that match.

use std::time::Duration;

use super::{Pass, list, login};
use crate::collect::error::CollectError;
use crate::collect::history::History;
use crate::collect::verdict::{self, Drift};
use crate::domain::event::SelectorsDrifted;
use crate::domain::{Envelope, Event, GapReason};
use crate::ports::page::{Glance, Matches, PageVerdict, Until};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::SelectorFellBack;

impl Pass<'_> {
    /// The endings that are no page of ours.
    pub(super) fn refuse(&self, glance: &Glance) -> Result<(), CollectError> {
        let site = self.account.id.site().to_string();
        if glance.login {
            return Err(CollectError::LoggedOut { site });
        }
        if glance.wants_a_human() {
            return login::outcome(glance, &site, Duration::ZERO);
        }
        Ok(())
    }

    pub(super) async fn judge_list(&self, list: &list::ConversationList) -> Result<(), CollectError> {
        let glance = self.page.wait(Until::List, Duration::ZERO).await?;
        self.refuse(&glance)?;
        if verdict::of_list(&glance, list.rows.len()) == PageVerdict::Broken {
            let problem = "matches nothing in a list that does not say it is empty".to_owned();
            return Err(CollectError::LayoutBroken { field: "conversations.row".to_owned(), problem });
        }
        if list.conflicts > 0 {
            let problem = format!("gives {} entries the id of another", list.conflicts);
            return Err(CollectError::LayoutBroken { field: "conversations.id".to_owned(), problem });
        }
        self.judge_fields(&list.matches).await?;
        Ok(())
    }

    /// The fault of a list that was not seen to its end. What was there is read all the same.
    pub(super) fn cut_list(&self, cut: GapReason) -> CollectError {
        let scroll = self.account.pack.pack.conversations.scroll.as_ref();
        match (cut, scroll) {
            (GapReason::HistoryLimit, Some(scroll)) => CollectError::ListTooLong { steps: scroll.max_steps },
            (_, scroll) => CollectError::NotRendered {
                what: "the rest of the conversation list",
                waited: scroll.map_or(Duration::ZERO, |scroll| scroll.wait),
            },
        }
    }

    /// Judges after the reading: the page may have changed under it.
    pub(super) async fn judge_thread(&self, proof: &str, history: &History) -> Result<(), CollectError> {
        let glance = self.page.wait(Until::Thread(proof), Duration::ZERO).await?;
        self.refuse(&glance)?;
        if glance.opened.as_deref() != Some(proof) {
            let problem = "changed while the conversation was read".to_owned();
            return Err(CollectError::LayoutBroken { field: "conversations.opened.at".to_owned(), problem });
        }
        let messages = history.rows.iter().filter(|row| row.separator.is_none()).count();
        if verdict::of_thread(&glance, messages) == PageVerdict::Broken {
            let problem = "matches nothing in a conversation that does not say it is empty".to_owned();
            return Err(CollectError::LayoutBroken { field: "messages.row".to_owned(), problem });
        }
        self.judge_fields(&history.matches).await
    }

    /// Tells each drift once, until the field matches again; a missing required field ends the pass.
    async fn judge_fields(&self, matches: &Matches) -> Result<(), CollectError> {
        let pack = &self.account.pack;
        let mut drifts = verdict::drifts(&pack.pack, matches);
        let told = self.spool.told_drifts(&self.account.id).await?;
        for field in told.keys().filter(|field| matches.contains_key(*field)) {
            if !drifts.iter().any(|drift| drift.field() == field) {
                self.spool.drift_ended(&self.account.id, field).await?;
            }
        }
        for field in matches.keys() {
            if !drifts.iter().any(|drift| drift.field() == field) {
                self.misses.found(field);
            }
        }
        for drift in &drifts {
            // A page may be caught in the middle of drawing itself.
            if matches!(drift, Drift::Missing { .. }) && !self.misses.missed(drift.field()) {
                continue;
            }
            let event = SelectorsDrifted {
                account: self.account.id.clone(),
                pack: pack.hash.clone(),
                field: drift.field().to_owned(),
                verdict: drift.word().to_owned(),
                matched: drift.alternative(),
            };
            let envelope = Envelope::new(Event::SelectorsDrifted(event), self.clock.now());
            if told.get(drift.field()) != Some(&envelope.id) {
                self.spool.enqueue_drift(&self.account.id, drift.field(), &envelope).await?;
                if let Some(alternative) = drift.alternative() {
                    SelectorFellBack { account: &self.account.id, field: drift.field(), alternative }
                        .emit(self.counters);
                }
            }
        }
        drifts.retain(|drift| matches!(drift, Drift::Missing { .. }));
        match drifts.into_iter().next() {
            Some(Drift::Missing { field, missing, rows }) => {
                Err(CollectError::LayoutBroken { field, problem: format!("is missing in {missing} of {rows} rows") })
            }
            Some(Drift::Fallback { .. }) | None => Ok(()),
        }
    }
}
