//! Things to beware of, from a closed list of words. Few and conservative: each needs two things in
//! one message of the other side (what is wanted, and the asking for it), so that talk *about* gift
//! cards or WhatsApp raises nothing.

use super::reading::{Reading, Utterance};
use super::words::{Lexicon, Word};
use crate::domain::Direction;

/// The newest so many messages of the other side.
const WINDOW: usize = 500;

/// Asks for money, gift cards, a transfer, cryptocurrency.
const MONEY_REQUEST: &str = "money_request";
/// Wants to go on in another program.
const MOVES_OFF_SITE: &str = "moves_off_site";
/// Asks for a password, a PIN, a code that was sent.
const ASKS_FOR_SECRETS: &str = "asks_for_secrets";

/// The flags that apply, in the order of the list.
pub(super) fn flags(reading: &Reading) -> Vec<&'static str> {
    let newest = reading.utterances.iter().rev().filter(|utterance| utterance.direction == Direction::In).take(WINDOW);
    let messages: Vec<(&Utterance, Vec<&[Word]>)> =
        newest.map(|utterance| (utterance, utterance.sentences.iter().map(|s| s.words.as_slice()).collect())).collect();
    // These lists hold whole phrases, so that those of other languages do no harm: who begs in English
    // under a German chat is found too.
    let lexicon = Lexicon::of(None);
    let both = |sentences: &[&[Word]], thing: &str, asking: &str| {
        sentences.iter().any(|words| lexicon.finds(thing, words))
            && sentences.iter().any(|words| lexicon.finds(asking, words))
    };
    let money = |(_, sentences): &(&Utterance, Vec<&[Word]>)| both(sentences, "money_thing", "money_ask");
    let moves = |(utterance, sentences): &(&Utterance, Vec<&[Word]>)| {
        both(sentences, "application", "move_ask") || utterance.links.iter().any(|link| leads_to_messenger(link))
    };
    let secrets = |(_, sentences): &(&Utterance, Vec<&[Word]>)| both(sentences, "secret_thing", "secret_ask");
    [
        (MONEY_REQUEST, messages.iter().any(money)),
        (MOVES_OFF_SITE, messages.iter().any(moves)),
        (ASKS_FOR_SECRETS, messages.iter().any(secrets)),
    ]
    .into_iter()
    .filter_map(|(flag, raised)| raised.then_some(flag))
    .collect()
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
            ("Can you send me two Steam cards? I pay you back.", vec![MONEY_REQUEST]),
            ("I need money for the ticket, please use Western Union.", vec![MONEY_REQUEST]),
            ("Schick mir bitte das Geld per Überweisung.", vec![MONEY_REQUEST]),
            ("Envoie-moi une carte cadeau stp", vec![MONEY_REQUEST]),
            ("Necesito dinero, mándame una transferencia", vec![MONEY_REQUEST]),
            ("Add me on Telegram, my name is sweet_mia", vec![MOVES_OFF_SITE]),
            ("Schreib mir auf WhatsApp", vec![MOVES_OFF_SITE]),
            ("write here https://wa.me/49170", vec![MOVES_OFF_SITE]),
            ("Send me the verification code that you got", vec![ASKS_FOR_SECRETS]),
            ("My aunt gave me a gift card for my birthday.", vec![]),
            ("I deleted WhatsApp, too many groups.", vec![]),
            ("Bitcoin fell again, what a week.", vec![]),
            ("Send me the photos of the wedding!", vec![]),
            ("https://example.com/t.me", vec![]),
        ] {
            assert_eq!(flags(&Reading::of(&request(vec![said("Mia", text)]))), raised, "{text}");
        }
        assert!(
            flags(&Reading::of(&request(vec![me("Send me money by Western Union"), said("Mia", "no")]))).is_empty()
        );
    }
}
