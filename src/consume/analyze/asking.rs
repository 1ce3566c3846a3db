//! Asking the analyst, and what becomes of its answer or of its silence.

use super::case::Case;
use super::purse::SetAside;
use super::waiting::Halt;
use super::{Analyze, Answer, Answered, is_overtaken, kept, plan};
use crate::consume::error::ServiceAway;
use crate::domain::{Analysis, Reading, Usage};
use crate::fault::{AnyFault, Scope};
use crate::lifecycle::{CrashPoint, crash_point};
use crate::ports::{AnalystRequest, Memory};
use crate::telemetry::Occurrence;
use crate::telemetry::occurrences::{AnalysisStored, AnalystAsked};

impl Analyze {
    /// Asks, within the budgets. `None` if there is nothing left for it, and a later request will ask: of
    /// all that a conversation asks for in a month one waits.
    pub(super) async fn ask(&self, case: &Case<'_>, question: &AnalystRequest) -> Result<Option<Answer>, Halt> {
        let most = self.analyst.most(question);
        let purses = self.purses.as_ref().filter(|_| most != Usage::default());
        let set_aside = match purses {
            None => None,
            Some(purses) => match purses.reserve(case.request, most, case.read_at, &self.counters).await {
                Ok(set_aside) => Some(set_aside),
                Err(Halt::NotYet(_)) if is_overtaken(case.request, &case.conversation) => return Ok(None),
                Err(halt) => return Err(halt),
            },
        };
        let reply = self.analyst.analyse(question).await;
        let answered = reply.verdict.is_ok();
        if reply.usage != Usage::default() {
            let (account, conversation) = (&case.request.account, case.request.conversation);
            AnalystAsked { account, conversation, usage: reply.usage, answered }.emit(&self.counters);
        }
        match reply.verdict {
            Ok(verdict) => {
                self.troubles.answered();
                crash_point(CrashPoint::AnalyzeAnswered);
                Ok(Some(Answer { verdict, usage: reply.usage, set_aside }))
            }
            Err(fault) => {
                if let (Some(purses), Some(set_aside)) = (purses, &set_aside) {
                    purses.settle(set_aside, reply.usage, None, &self.counters).await?;
                }
                let may_pass = fault.class().is_retryable() && self.analyst.memory() == Memory::Rolling;
                Err(match fault.scope() {
                    Scope::Event if may_pass => Halt::Unanswered(fault),
                    Scope::Event => Halt::Failed(fault),
                    _ => Halt::Failed(ServiceAway(fault).into()),
                })
            }
        }
    }

    /// Keeps an analysis, and counts what it consumed.
    pub(super) async fn keep(
        &self,
        case: &Case<'_>,
        analysis: Analysis,
        set_aside: Option<SetAside>,
        left_out: usize,
    ) -> Result<Answered, AnyFault> {
        let saved = match (&self.purses, &set_aside) {
            (Some(purses), Some(set_aside)) => {
                purses.settle(set_aside, analysis.usage, Some(&analysis), &self.counters).await?
            }
            _ => self.store.save_analysis(&analysis).await?,
        };
        crash_point(CrashPoint::AnalyzeSaved);
        if saved {
            AnalysisStored {
                account: &analysis.account,
                conversation: analysis.conversation,
                analysis: analysis.id,
                messages: analysis.messages,
                left_out: left_out as u64,
                duration: case.begun.elapsed(),
            }
            .emit(&self.counters);
        }
        Ok(Answered { id: analysis.id, new: true })
    }

    /// Shows that these messages could not be described, and asks about them no more: what comes after them
    /// is asked about without them.
    pub(super) async fn give_up(
        &self,
        case: &Case<'_>,
        last: Option<&Analysis>,
        fault: &AnyFault,
    ) -> Result<(), AnyFault> {
        let verdict = kept::undescribed(last.map(|last| &last.verdict), &case.messages, fault.code());
        let reading = Reading { content: Some(plan::content(&case.messages)), ..Reading::default() };
        let updates = last.map_or(0, |last| last.updates);
        let analysis = Analysis { updates, reading, ..self.signed(case, verdict, Usage::default()) };
        self.store.save_analysis(&analysis).await?;
        self.tell(case.request, analysis.id).await
    }
}
