//! From what a model said to a verdict: found, checked, unmasked, and joined with what is counted here and
//! what was known before.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::error::{AiError, Flaw};
use super::super::extractive::clean::one_line;
use super::super::extractive::mentioned;
use super::super::extractive::mentions::newest;
use super::dialect::{Completion, Finish};
use super::mask::Mask;
use super::question::Question;
use super::verify::Answer;
use super::{contain, parse, verify};
use crate::domain::{RiskFlag, Text, Verdict};
use crate::ports::AnalystRequest;

/// The longest text that is looked at, in bytes: ten times the longest answer that fits.
const LONGEST: usize = 128 * 1024;
/// Of one risk, the newest so many messages are named.
const NAMED: usize = 20;

/// The verdict.
///
/// # Errors
/// [`AiError::Refused`], [`AiError::CutOff`]; [`AiError::Quarantined`] if it gives something away, which is
/// looked at before anything else; [`AiError::Invalid`] if it does not fit.
pub(super) fn of(
    said: &Completion,
    question: &Question,
    request: &AnalystRequest,
    mask: &Mask,
    limit: u32,
) -> Result<Verdict, AiError> {
    if said.finish == Finish::Refused {
        return Err(AiError::Refused);
    }
    let text = parse::without_thinking(&said.text);
    if text.len() > LONGEST {
        return Err(AiError::Invalid(Flaw::Endless));
    }
    let object = parse::object(&text, verify::MARK);
    let shown = object.as_ref().map(verify::texts).unwrap_or_default();
    if let Some(leak) = contain::leak(question, &text, &shown) {
        return Err(AiError::Quarantined(leak));
    }
    if said.finish == Finish::Cut {
        return Err(AiError::CutOff { limit });
    }
    if text.trim().is_empty() {
        return Err(AiError::Invalid(Flaw::Empty));
    }
    let object = object.ok_or(AiError::Invalid(Flaw::NoObject))?;
    let answer = verify::answer(&object, question, newest_day(request)).map_err(AiError::Invalid)?;
    Ok(joined(answer, request, mask))
}

/// The day of the newest message.
fn newest_day(request: &AnalystRequest) -> Date {
    let at = request.messages.last().map(|message| message.sent_at.unwrap_or(message.observed_at));
    at.unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

fn joined(answer: Answer, request: &AnalystRequest, mask: &Mask) -> Verdict {
    let shown = |text: &str| Text::from(revealed(text, mask));
    let all = |texts: &[String]| texts.iter().map(|text| shown(text)).collect();
    let (links, money) = mentioned(&request.messages);
    let (known_links, known_money) =
        request.previous.as_ref().map(|known| (known.links.clone(), known.money.clone())).unwrap_or_default();
    let kept = |known: Vec<Text>, found: Vec<String>| {
        let known = known.into_iter().map(Text::into_inner);
        newest(known.chain(found)).into_iter().map(Text::from).collect()
    };
    Verdict {
        summary: shown(&answer.summary),
        topics: all(&answer.topics),
        language: answer.language,
        sentiment: answer.sentiment,
        priority: answer.priority,
        last_speaker: request.messages.last().map(|message| message.direction),
        needs_reply: answer.needs_reply,
        needs_reply_reason: answer
            .needs_reply_reason
            .filter(|_| answer.needs_reply)
            .map(|why| shown(&why).into_inner()),
        links: kept(known_links, links),
        money: kept(known_money, money),
        risk_flags: flags(request, answer.risk_flags),
        open_questions: all(&answer.open_questions),
        follow_up: answer.follow_up,
    }
}

/// The text with the real values. What was masked as a secret may hold anything between its two ends: a link
/// or markup is not let in by that door, and then the placeholders stay.
fn revealed(text: &str, mask: &Mask) -> String {
    let revealed = one_line(&mask.reveal(text), usize::MAX);
    match contain::flaw(verify::MARK, &revealed) {
        Some(Flaw::Link(_) | Flaw::Markup(_)) => text.to_owned(),
        _ => revealed,
    }
}

/// The flags that were raised before, with their messages, and the new ones: no later message can talk a
/// risk away.
fn flags(request: &AnalystRequest, found: Vec<RiskFlag>) -> Vec<RiskFlag> {
    let mut flags = request.previous.as_ref().map(|known| known.risk_flags.clone()).unwrap_or_default();
    for flag in found {
        match flags.iter_mut().find(|known| known.risk == flag.risk) {
            Some(known) => {
                let new: Vec<_> = flag.messages.into_iter().filter(|key| !known.messages.contains(key)).collect();
                known.messages.extend(new);
            }
            None => flags.push(flag),
        }
    }
    for flag in &mut flags {
        let too_many = flag.messages.len().saturating_sub(NAMED);
        flag.messages.drain(..too_many);
    }
    flags
}
