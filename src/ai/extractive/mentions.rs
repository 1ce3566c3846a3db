//! Links and amounts of money in a text.
//!
//! Links are found, listed and taken out of everything else: a summary that a viewer clicks on must
//! not carry somebody else's link. None is ever fetched.

use std::sync::LazyLock;

use regex::Regex;

use crate::telemetry::pattern::pattern;

/// Of links and of amounts the newest so many are kept.
const MOST: usize = 20;
/// Longer addresses are cut off the list, not shortened: half a link is a wrong one.
const LONGEST_LINK: usize = 2_000;
/// Stands in a text where a link was. A control character, so that no message can hold it.
pub(in crate::ai) const LINK: char = '\u{1}';

/// Any scheme, `www.`, and bare `name.tld/path`: more than counts as a link, since all of it is taken
/// out of summaries.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?i)(?:[a-z0-9+.-]{0,24}://|www\.[\p{L}\p{N}]|\b(?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24}/)"#,
        r#"[^\s<>"`{}|\\^、。，」』】》]*"#,
        r"|\b(?:javascript:|mailto:|data:[a-z]+/)\S+",
    ))
});

/// The text with [`LINK`] in place of every address, and the links among them (http, https, www) in
/// order of appearance.
pub(in crate::ai) fn without_links(text: &str) -> (String, Vec<String>) {
    let mut links = Vec::new();
    let mut rest = String::with_capacity(text.len());
    let mut end = 0;
    for found in ADDRESS.find_iter(text) {
        let address = trimmed(found.as_str());
        rest.push_str(&text[end..found.start()]);
        rest.push(LINK);
        end = found.start() + address.len();
        let begins = |prefix: &str| address.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        let is_link =
            ["http://", "https://", "www."].iter().any(|prefix| begins(prefix) && address.len() > prefix.len());
        if is_link && address.chars().count() <= LONGEST_LINK {
            links.push(address.to_owned());
        }
    }
    rest.push_str(&text[end..]);
    (rest, links)
}

/// The address without the punctuation of the sentence around it; a closing bracket stays if it was
/// opened within.
fn trimmed(address: &str) -> &str {
    let mut address = address;
    while let Some(last) = address.chars().last() {
        let loose = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '"' | '*' | '_' | '~' | '»' | '”' | '’' | '…' => true,
            ')' => address.matches(')').count() > address.matches('(').count(),
            ']' => address.matches(']').count() > address.matches('[').count(),
            _ => false,
        };
        if !loose {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    address
}

/// Amounts: a number with a currency's sign, code or name before or after it. `TRY` only after the
/// number, since before one it is an English verb.
static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"\d{1,3}(?:[ .,'’]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?";
    let sign = r"(?:US|CA|A|C|R|HK|NZ|S)?\$|[€£¥₽₹₺₴₩₪₫₱₦₸₾฿₿]";
    let code = "EUR|USD|GBP|CHF|JPY|CNY|RUB|INR|UAH|PLN|CZK|SEK|NOK|DKK|CAD|AUD|NZD|BRL|MXN|ZAR|KRW|ILS|HUF|RON|BGN|AED|SAR|THB|SGD|HKD|BTC|ETH|USDT|USDC";
    let name = r"(?i:euros?|dollars?|bucks|quid|franken|rubles?|roubles?|rupees?|złotych|zł|kč|kr|руб)";
    pattern(&format!(
        r"(?:(?:{sign}|\b(?:{code})) ?(?:{number})(?:[kKmM]\b)?)|(?:\b(?:{number})[kK]? ?(?:{sign}|(?:{code}|TRY|{name})\b))"
    ))
});

/// The amounts in a text, as written, in order of appearance.
pub(in crate::ai) fn money(text: &str) -> impl Iterator<Item = String> {
    let digit = move |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    AMOUNT
        .find_iter(text)
        .filter(move |found| {
            // Part of a longer number, which the pattern can't know without looking around.
            let (before, after) = (text[..found.start()].chars().last(), text[found.end()..].chars().next());
            let begins_inside =
                digit(before) || (digit(found.as_str().chars().next()) && matches!(before, Some('.' | ',')));
            let ends_inside = digit(after) && digit(found.as_str().chars().last());
            !begins_inside && !ends_inside
        })
        .map(|found| found.as_str().to_owned())
}

/// Each once, in the order of the last appearance, the newest [`MOST`].
pub(in crate::ai) fn newest(found: impl Iterator<Item = String>) -> Vec<String> {
    let all: Vec<String> = found.collect();
    let mut seen = std::collections::HashSet::new();
    let mut newest: Vec<String> = all.into_iter().rev().filter(|one| seen.insert(one.clone())).take(MOST).collect();
    newest.reverse();
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_are_found_trimmed_and_taken_out() {
        for (text, rest, links) in [
            ("see https://a.example/x?y=1#z.", "see \u{1}.", vec!["https://a.example/x?y=1#z"]),
            ("(HTTP://A.example/b_(c)), ok", "(\u{1}), ok", vec!["HTTP://A.example/b_(c)"]),
            ("www.example.com!", "\u{1}!", vec!["www.example.com"]),
            ("<a href=\"http://e.example/\">x</a>", "<a href=\"\u{1}\">x</a>", vec!["http://e.example/"]),
            ("t.me/someone and ftp://f.example/x", "\u{1} and \u{1}", vec![]),
            ("javascript:alert(1) now", "\u{1} now", vec![]),
            ("see http://, and www.", "see \u{1}, and www.", vec![]),
            ("見て https://例え.jp/道。はい", "見て \u{1}。はい", vec!["https://例え.jp/道"]),
            ("éhttp://e.example ://x", "é\u{1} \u{1}", vec!["http://e.example"]),
            ("Awww... éwww.e.example", "Awww... é\u{1}", vec!["www.e.example"]),
            ("1.5/2 and and/or 3.50", "1.5/2 and and/or 3.50", vec![]),
        ] {
            let (left, found) = without_links(text);
            assert_eq!((left.as_str(), found), (rest, links.into_iter().map(String::from).collect()), "{text}");
        }
    }

    #[test]
    fn money_is_found_on_both_sides_of_the_number() {
        for (text, found) in [
            ("it is € 12,50 now", vec!["€ 12,50"]),
            ("12.50 EUR please", vec!["12.50 EUR"]),
            ("$1,200 or $1,200.50", vec!["$1,200", "$1,200.50"]),
            ("1.200 € und 50€", vec!["1.200 €", "50€"]),
            ("£5, CHF 30 and CHF 1'200", vec!["£5", "CHF 30", "CHF 1'200"]),
            ("2 000 ₽ and 20 euros", vec!["2 000 ₽", "20 euros"]),
            ("US$ 40k and R$ 3,50", vec!["US$ 40k", "R$ 3,50"]),
            ("0.05 BTC", vec!["0.05 BTC"]),
            ("TRY 5 times, 3 eur, room 12, at 7:30, 50 %", vec![]),
            ("5 EUROPE, kr, 100 krakens", vec![]),
            ("2026€ is 20261€", vec!["2026€", "20261€"]),
        ] {
            assert_eq!(money(text).collect::<Vec<_>>(), found, "{text}");
        }
    }

    #[test]
    fn each_is_kept_once_and_the_newest_stand_last() {
        let many = (0..30).chain([25]).map(|n| n.to_string());
        let kept = newest(many);
        assert_eq!(kept.len(), 20);
        assert_eq!(kept.last().map(String::as_str), Some("25"));
        assert_eq!(kept.iter().filter(|one| *one == "25").count(), 1);
        assert_eq!(kept[0], "10");
    }

    proptest! {
        #[test]
        fn no_address_is_left(path in "[a-z0-9/?=.()!,]{0,20}", before in "\\PC{0,5}") {
            let (rest, _) = without_links(&format!("{before} https://x{path} www.y{path}"));
            prop_assert!(!rest.contains("://x") && !rest.contains("www.y"), "{}", rest);
        }
    }
}
