//! Things to beware of, from a closed list of words. Few and conservative: each needs two things in
//! one message of the other side (what is wanted, and the asking for it), so that talk *about* gift
//! cards or WhatsApp raises nothing.

use super::reading::{Reading, Utterance};
use super::words::{Lexicon, Word};
use crate::domain::{Direction, Risk, RiskFlag};

/// The newest so many messages of the other side.
const WINDOW: usize = 500;

/// Of one risk, the newest so many messages are named.
const NAMED: usize = 20;

/// A message with the words of each of its sentences.
type Told<'a> = (&'a Utterance, Vec<&'a [Word]>);

/// The flags that apply, in the order of the list.
pub(super) fn flags(reading: &Reading) -> Vec<RiskFlag> {
    let newest = reading.utterances.iter().rev().filter(|utterance| utterance.direction == Direction::In).take(WINDOW);
    let messages: Vec<Told> =
        newest.map(|utterance| (utterance, utterance.sentences.iter().map(|s| s.words.as_slice()).collect())).collect();
    // These lists hold whole phrases, so that those of other languages do no harm: who begs in English
    // under a German chat is found too.
    let lexicon = Lexicon::of(None);
    let both = |sentences: &[&[Word]], thing: &str, asking: &str| {
        sentences.iter().any(|words| lexicon.finds(thing, words))
            && sentences.iter().any(|words| lexicon.finds(asking, words))
    };
    let money = |(_, sentences): &Told| both(sentences, "money_thing", "money_ask");
    let moves = |(utterance, sentences): &Told| {
        both(sentences, "application", "move_ask") || utterance.links.iter().any(|link| leads_to_messenger(link))
    };
    let secrets = |(_, sentences): &Told| both(sentences, "secret_thing", "secret_ask");
    let flag = |risk, shows: &dyn Fn(&Told) -> bool| {
        let mut shown: Vec<_> = messages.iter().filter(|m| shows(m)).map(|(u, _)| u.key).take(NAMED).collect();
        shown.reverse();
        (!shown.is_empty()).then_some(RiskFlag { risk, messages: shown })
    };
    let found =
        [flag(Risk::MoneyRequest, &money), flag(Risk::MovesOffSite, &moves), flag(Risk::AsksForSecrets, &secrets)];
    found.into_iter().flatten().collect()
}

/// Hosts whose only use is to open a chat with somebody.
const MESSENGERS: [&str; 4] = ["wa.me", "t.me", "api.whatsapp.com", "chat.whatsapp.com"];

fn leads_to_messenger(link: &str) -> bool {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    MESSENGERS.iter().any(|messenger| host.eq_ignore_ascii_case(messenger))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::extractive::tests::{me, request, said};

    #[test]
    fn flags_are_raised_by_asking_and_not_by_talking() {
        for (text, raised) in [
            ("Can you send me two Steam cards? I pay you back.", vec![Risk::MoneyRequest]),
            ("I need money for the ticket, please use Western Union.", vec![Risk::MoneyRequest]),
            ("Schick mir bitte das Geld per Überweisung.", vec![Risk::MoneyRequest]),
            ("Envoie-moi une carte cadeau stp", vec![Risk::MoneyRequest]),
            ("Necesito dinero, mándame una transferencia", vec![Risk::MoneyRequest]),
            ("Add me on Telegram, my name is sweet_mia", vec![Risk::MovesOffSite]),
            ("Schreib mir auf WhatsApp", vec![Risk::MovesOffSite]),
            ("write here https://wa.me/49170", vec![Risk::MovesOffSite]),
            ("Send me the verification code that you got", vec![Risk::AsksForSecrets]),
            ("My aunt gave me a gift card for my birthday.", vec![]),
            ("I deleted WhatsApp, too many groups.", vec![]),
            ("Bitcoin fell again, what a week.", vec![]),
            ("Send me the photos of the wedding!", vec![]),
            ("https://example.com/t.me", vec![]),
        ] {
            let request = request(vec![said("Mia", text)]);
            let flags = flags(&Reading::of(&request));
            assert_eq!(flags.iter().map(|flag| flag.risk).collect::<Vec<_>>(), raised, "{text}");
            assert!(flags.iter().all(|flag| flag.messages == [request.messages[0].key]), "{text}");
        }
        assert!(
            flags(&Reading::of(&request(vec![me("Send me money by Western Union"), said("Mia", "no")]))).is_empty()
        );
    }
}
