//! Requests by an operator: `analysis.requested` for conversations as they are, in any version of the
//! question. Which of them cost anything is found out where they are consumed.

use super::publish::publish;
use crate::domain::event::AnalysisRequested;
use crate::domain::{Conversation, Envelope, Event};
use crate::fault::AnyFault;
use crate::ports::{Bus, Clock};

/// How many are published together.
const BATCH: usize = 200;

/// Requests an analysis of each conversation up to its newest message; how many, which is fewer only by
/// those without a message.
///
/// # Errors
/// As the bus's; some may have been requested then, and to repeat it is harmless.
pub async fn ask_for_analyses(
    bus: &dyn Bus,
    clock: &dyn Clock,
    conversations: &[Conversation],
    prompt_version: &str,
) -> Result<u64, AnyFault> {
    let now = clock.now();
    let requests: Vec<Envelope> = conversations
        .iter()
        .filter_map(|conversation| {
            let request = AnalysisRequested {
                account: conversation.account.clone(),
                conversation: conversation.key,
                up_to: conversation.last_message?,
                prompt_version: prompt_version.to_owned(),
                edits: 0,
                reason: AnalysisRequested::OPERATOR.to_owned(),
            };
            Some(Envelope::new(Event::AnalysisRequested(request), now))
        })
        .collect();
    for batch in requests.chunks(BATCH) {
        publish(bus, batch).await?.into_iter().collect::<Result<(), AnyFault>>()?;
    }
    Ok(requests.len() as u64)
}
