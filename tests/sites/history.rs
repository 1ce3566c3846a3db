//! A past for a chat site that nobody here wrote: the same at every call, with everything that is hard to read.

use jiff::{SignedDuration, Timestamp};

/// One message as the site must show it and the store must hold it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// The site's id of the conversation.
    pub conversation: String,
    /// Who wrote it.
    pub author: String,
    /// `in` or `out`.
    pub direction: String,
    /// What.
    pub text: String,
    /// When: full seconds, since the page shows no more.
    pub sent_at: Timestamp,
}

/// Who the account belongs to.
pub const OWNER: &str = "alice";

/// Texts that a reader of pages can get wrong.
const HARD: [&str; 12] = [
    "👋😀 family 👨‍👩‍👧‍👦 flag 🇫🇷 thumbs 👍🏽 heart ❤️",
    "🎉",
    "<b>not bold</b> & \"quoted\" 'twice' &amp; &lt;i&gt; <script>alert(1)</script>",
    "<img src=x onerror=alert(1)> 3 < 5 && 7 > 2",
    "日本語のテスト, Русский текст, عربي עברית, Éèüßø; e\u{301} is not \u{e9}",
    "see https://example.com/orders/4711?ref=chat&lang=fr#top and www.example.org/path",
    "+33 6 12 34 56 78, someone@example.net, 12,50 €, 14:05, 100 %",
    "{\"id\": 1, \"text\": \"hello\\nworld\", \"ok\": null}",
    "#team is a channel and alice a name; *stars* _lines_ `code` ~tilde~",
    "two  spaces and a no-break\u{a0}space",
    "10 October 2026, 02:12:09",
    "=HYPERLINK(\"https://example.com\")",
];

/// Everything that was said before the site was started, each conversation from its oldest message on.
///
/// The first view of a conversation holds a hundred messages: two need more than one page of history, one
/// holds exactly as many, and one holds a single message.
pub fn past() -> Vec<Said> {
    let conversations = [
        ("bob", ["bob", OWNER].as_slice(), 134),
        ("carol", &["carol", OWNER], 100),
        ("farid", &["farid", OWNER], 21),
        ("grace", &["grace", OWNER], 1),
        ("#team", &["bob", "carol", "dmitri", OWNER], 250),
    ];
    conversations
        .iter()
        .enumerate()
        .flat_map(|(n, (name, people, count))| conversation(n, name, people, *count))
        .collect()
}

fn conversation(seed: usize, name: &str, people: &[&str], count: usize) -> Vec<Said> {
    let mut at: Timestamp = "2026-09-30T21:40:00Z".parse().unwrap();
    let mut said = Vec::with_capacity(count);
    let mut dice = Dice(seed as u64 + 1);
    let mut author = people[0];
    for n in 0..count {
        if dice.roll(2) == 0 {
            author = people[dice.roll(people.len())];
        }
        let text = match n % 9 {
            3 => HARD[(n / 9 + seed) % HARD.len()].to_owned(),
            // The same words again, in the same second or later: two messages, not one.
            5 | 6 => "ok".to_owned(),
            7 if n < 9 => "long ".repeat(700).trim_end().to_owned(),
            _ => format!("{name} says number {n}, and asks about order {}", dice.roll(9000)),
        };
        let direction = if author == OWNER { "out" } else { "in" };
        said.push(Said {
            conversation: name.to_owned(),
            author: author.to_owned(),
            direction: direction.to_owned(),
            text,
            sent_at: at,
        });
        // Some seconds hold several messages; now and then a night or a week passes.
        let seconds = match dice.roll(8) {
            0 | 1 => 0,
            7 => 3_600 * (1 + dice.roll(30)),
            _ => 1 + dice.roll(90),
        };
        at += SignedDuration::from_secs(i64::try_from(seconds).unwrap());
    }
    said
}

/// Numbers that look like chance and are the same at every call.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}
