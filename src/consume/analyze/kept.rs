//! What outlives an answer: pure.
//!
//! A reading of the newest messages alone knows nothing of what was found in older ones. A warning that
//! was raised there stays: nobody may get rid of it by chatting on. And a conversation that a model won't
//! or can't describe must not go on showing what it said before as if nothing had come.

use std::collections::HashSet;

use crate::domain::{Direction, Message, MessageKey, Priority, RiskFlag, Sentiment, Text, Verdict};
use crate::fault::Code;

/// Of one risk, the newest so many messages are named.
const NAMED: usize = 20;
/// The newest so many links, and amounts.
const MENTIONS: usize = 20;

/// The verdict with what an earlier one had found in `unread`, the messages that this one is not made from.
pub(super) fn with_findings(mut verdict: Verdict, earlier: &Verdict, unread: &[Message]) -> Verdict {
    if unread.is_empty() {
        return verdict;
    }
    let unread: HashSet<MessageKey> = unread.iter().map(|message| message.key).collect();
    for flag in &earlier.risk_flags {
        let known: Vec<MessageKey> = flag.messages.iter().filter(|key| unread.contains(key)).copied().collect();
        if known.is_empty() && !flag.messages.is_empty() {
            continue;
        }
        match verdict.risk_flags.iter_mut().find(|found| found.risk == flag.risk) {
            Some(found) => {
                let mut all = known;
                all.extend(found.messages.iter().filter(|key| !unread.contains(key)));
                found.messages = all.split_off(all.len().saturating_sub(NAMED));
            }
            None => verdict.risk_flags.push(RiskFlag { risk: flag.risk, messages: known }),
        }
    }
    verdict.links = joined(&earlier.links, verdict.links);
    verdict.money = joined(&earlier.money, verdict.money);
    verdict
}

/// The newest mentions, each once.
fn joined(earlier: &[Text], found: Vec<Text>) -> Vec<Text> {
    let mut all: Vec<Text> = earlier.iter().filter(|text| !found.contains(text)).cloned().collect();
    all.extend(found);
    all.split_off(all.len().saturating_sub(MENTIONS))
}

/// What is shown of a conversation whose newest messages could not be described: that a person must look,
/// and what was known before. Nothing of the answer.
pub(super) fn undescribed(earlier: Option<&Verdict>, new: &[Message], code: Code) -> Verdict {
    let notice = format!("The newest messages could not be analysed ({code}): read them yourself.");
    let direction = new.last().map(|message| message.direction);
    let mut verdict = earlier.cloned().unwrap_or_else(|| Verdict {
        summary: Text::default(),
        topics: Vec::new(),
        language: None,
        sentiment: Sentiment::Unknown,
        priority: Priority::High,
        last_speaker: direction,
        needs_reply: false,
        needs_reply_reason: None,
        links: Vec::new(),
        money: Vec::new(),
        risk_flags: Vec::new(),
        open_questions: Vec::new(),
        follow_up: None,
    });
    let before = verdict.summary.expose();
    // Said once, however many messages go this way.
    let before = before.rsplit_once("read them yourself.").map_or(before, |(_, before)| before).trim();
    let before = before.strip_prefix("Before: ").unwrap_or(before);
    verdict.summary = Text::from(if before.is_empty() { notice } else { format!("{notice} Before: {before}") });
    verdict.priority = Priority::High;
    verdict.last_speaker = direction.or(verdict.last_speaker);
    if direction == Some(Direction::In) {
        verdict.needs_reply = true;
        verdict.needs_reply_reason = Some("not analysed".to_owned());
    }
    verdict
}

/// Whether the service has answered, and there is nothing to be had of it for these messages.
pub(super) const fn is_undescribable(code: Code) -> bool {
    matches!(code, Code::AiQuarantined | Code::AiRefused | Code::AiInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume::tests::remembering::said;
    use crate::domain::Risk;

    fn messages(range: std::ops::RangeInclusive<u32>) -> Vec<Message> {
        range.map(|number| said(1, number).message).collect()
    }

    fn verdict(flags: &[(Risk, &[Message])]) -> Verdict {
        let flag = |(risk, shown): &(Risk, &[Message])| RiskFlag {
            risk: *risk,
            messages: shown.iter().map(|message| message.key).collect(),
        };
        let mut verdict = undescribed(None, &[], Code::AiRefused);
        verdict.summary = Text::from("About a boat.");
        verdict.risk_flags = flags.iter().map(flag).collect();
        verdict
    }

    #[test]
    fn a_warning_in_messages_that_are_not_read_again_stays() {
        let all = messages(1..=9);
        let mut earlier =
            verdict(&[(Risk::Minor, &all[1..2]), (Risk::Scam, &all[7..8]), (Risk::MoneyRequest, &all[2..3])]);
        earlier.links = vec!["https://a.test".into(), "https://b.test".into()];
        let mut found = verdict(&[(Risk::MoneyRequest, &all[8..9])]);
        found.links = vec!["https://b.test".into()];
        let kept = with_findings(found.clone(), &earlier, &all[..6]);
        assert_eq!(
            kept.risk_flags,
            verdict(&[(Risk::MoneyRequest, &[all[2].clone(), all[8].clone()]), (Risk::Minor, &all[1..2])]).risk_flags,
            "what was read again and not found is gone"
        );
        assert_eq!(kept.links, earlier.links);
        assert_eq!(with_findings(kept.clone(), &earlier, &all[..6]), kept, "again it changes nothing");
        assert_eq!(with_findings(found.clone(), &earlier, &[]), found);
    }

    #[test]
    fn what_can_not_be_described_is_for_a_person_to_look_at() {
        let all = messages(1..=3);
        let earlier = verdict(&[(Risk::Minor, &all[..1])]);
        let shown = undescribed(Some(&earlier), &all[1..], Code::AiQuarantined);
        assert_eq!((shown.priority, &shown.risk_flags), (Priority::High, &earlier.risk_flags));
        let text =
            "The newest messages could not be analysed (ai-quarantined): read them yourself. Before: About a boat.";
        assert_eq!(shown.summary.expose(), text);
        assert_eq!(undescribed(Some(&shown), &all[2..], Code::AiQuarantined).summary.expose(), text);
    }
}
