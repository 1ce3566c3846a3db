//! The sample chats before anybody speaks live: a pure function of the seed.
//!
//! Messages are numbered from the newest, so that a longer history only adds older messages: the id, text, author and
//! time of one message depend on (seed, conversation number, message number) and on nothing else, not on the options
//! and not on the clock.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::cast::{cast, language, sizes};
use super::dice::{Dice, base36, stream};
use super::options::SiteOptions;
use super::talk::{Talk, Topic, Words};

/// How the owner of the account is called in the chats.
pub(super) const OWNER: &str = "Alex";

/// 2026-11-19 20:47:13 UTC: nothing is newer before somebody speaks live.
const NEWEST: i64 = 1_795_121_233;

/// One message on the site.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) id: String,
    pub(super) author: String,
    pub(super) own: bool,
    pub(super) text: String,
    pub(super) sent_at: Timestamp,
    pub(super) edited: bool,
    pub(super) file: Option<&'static str>,
    /// Something of the site itself, shown above the message and no message.
    pub(super) notice: Option<&'static str>,
}

/// One conversation on the site, oldest message first.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) peers: Vec<String>,
    pub(super) posts: Vec<Post>,
    pub(super) unread: u32,
    /// When something last happened: the newest message, or the beginning of an empty conversation.
    pub(super) activity: Timestamp,
    /// Counts what was said live on the whole site: decides between two of the same second.
    pub(super) turn: u64,
    /// The language, as an index into [`Talk::all`].
    pub(super) language: usize,
}

/// A message before it has an id and a time.
struct Draft {
    own: bool,
    author: usize,
    text: String,
    edited: bool,
    file: Option<&'static str>,
    notice: Option<&'static str>,
    /// Seconds since the message before.
    pause: i64,
}

/// All conversations of a site with these options, by number.
pub(super) fn threads(options: &SiteOptions, talks: &[Talk]) -> Vec<Thread> {
    let mut sizes = sizes(options.seed, options.conversations, options.messages);
    sizes.extend(options.empty_conversation.then_some(0));
    sizes.extend(options.long_conversation);
    (0u64..).zip(sizes).map(|(number, size)| thread(options.seed, number, size as usize, talks)).collect()
}

fn thread(seed: u64, number: u64, size: usize, talks: &[Talk]) -> Thread {
    let language = language(number);
    let talk = &talks[language];
    let (title, peers) = cast(seed, number, talk);
    let mut end = Dice::new(seed, &[stream::END, number]);
    let end = NEWEST - (number * 7 * 3600) as i64 - end.below(22 * 3600) as i64 - i64::from(number > 0) * 60;
    let posts = posts(seed, number, size, end, talk, &peers);
    let waiting = posts.iter().rev().take_while(|post| !post.own).count() as u32;
    let unread = if Dice::new(seed, &[stream::UNREAD, number]).per_mille(850) { waiting } else { 0 };
    Thread {
        id: format!("{}-{number}", &base36(Dice::new(seed, &[stream::ID, number]).next(), 13)[9..]),
        title,
        peers,
        unread,
        activity: posts.last().map_or(at(end), |post| post.sent_at),
        posts,
        turn: 0,
        language,
    }
}

/// The id of the message with this number, which is opaque and has no order.
pub(super) fn post_id(seed: u64, conversation: u64, number: u64) -> String {
    format!("m{}", base36(Dice::new(seed, &[stream::ID, conversation, number]).next(), 13))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}

/// The newest `size` messages, oldest first.
fn posts(seed: u64, conversation: u64, size: usize, end: i64, talk: &Talk, peers: &[String]) -> Vec<Post> {
    let mut posts = Vec::with_capacity(size);
    let mut time = waking(end);
    for block in 0u64.. {
        if posts.len() >= size {
            break;
        }
        let mut dice = Dice::new(seed, &[stream::DIALOGUE, conversation, block]);
        let Some(topic) = topic(seed, conversation, block, talk, peers.len() > 1) else { break };
        let mut drafts = dialogue(topic, talk, peers, &mut dice);
        if block == 0 {
            // The newest dialogue is still going on, so that either side may owe an answer.
            drafts.truncate(drafts.len() / 2 + dice.index(drafts.len() / 2));
        }
        for draft in drafts.into_iter().rev() {
            if posts.len() == size {
                break;
            }
            posts.push(Post {
                id: post_id(seed, conversation, posts.len() as u64),
                author: if draft.own { OWNER.to_owned() } else { peers[draft.author].clone() },
                own: draft.own,
                text: draft.text,
                sent_at: at(time),
                edited: draft.edited,
                file: draft.file,
                notice: draft.notice,
            });
            time -= draft.pause;
        }
        time = waking(time);
    }
    posts.reverse();
    posts
}

/// The dialogue with this number, counted from the newest: the special one of the first few English conversations comes
/// second, so that even a short history has it and no list of conversations shows it.
fn topic(seed: u64, conversation: u64, block: u64, talk: &Talk, group: bool) -> Option<&Topic> {
    let special = talk.specials().get(conversation as usize).copied();
    if block == 1 && special.is_some() {
        return special;
    }
    let mut topics = talk.topics(group);
    if block == 0 && group {
        return topics.first().copied();
    }
    let round = block / topics.len().max(1) as u64;
    Dice::new(seed, &[stream::TOPICS, conversation, round]).shuffle(&mut topics);
    topics.get((block % topics.len().max(1) as u64) as usize).copied()
}

/// What is said in one sitting, oldest first.
fn dialogue(topic: &Topic, talk: &Talk, peers: &[String], dice: &mut Dice) -> Vec<Draft> {
    let mut words = Words::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for line in &topic.lines {
        let text = talk.say(line, &mut words, dice);
        // Who says the same again in the same second must be the same person.
        let author = match drafts.last() {
            Some(before) if line.same_second => before.author,
            _ => dice.index(peers.len()),
        };
        let pause = match (drafts.is_empty(), line.same_second) {
            (_, true) => 0,
            (true, _) => 6 * 3600 + dice.below(30 * 3600) as i64,
            (false, _) if dice.per_mille(60) => 600 + dice.below(5400) as i64,
            (false, _) => dice.below(150) as i64,
        };
        let edited = line.edited || dice.per_mille(15);
        let notice = (!line.same_second && dice.per_mille(12)).then_some("Missed voice call");
        drafts.push(Draft { own: line.own, author, text, edited, file: line.file, notice, pause });
        if !topic.is_special() {
            season(line.own, author, talk, peers, &mut drafts, dice);
        }
    }
    drafts
}

/// Now and then a short answer comes in between, or somebody sends the same thing twice.
fn season(own: bool, author: usize, talk: &Talk, peers: &[String], drafts: &mut Vec<Draft>, dice: &mut Dice) {
    let small = talk.list("small");
    if dice.per_mille(130) {
        let text = small[dice.index(small.len())].to_owned();
        let (own, author) = (!own, dice.index(peers.len()));
        let draft = |pause| Draft { own, author, text: text.clone(), edited: false, file: None, notice: None, pause };
        drafts.push(draft(2 + dice.below(60) as i64));
        if dice.per_mille(120) {
            drafts.push(draft(dice.below(3) as i64));
        }
    } else if dice.per_mille(40) {
        let text = small[dice.index(small.len())].to_owned();
        drafts.push(Draft { own, author, text, edited: false, file: None, notice: None, pause: dice.below(9) as i64 });
    }
}

/// Nobody writes between midnight and seven: such a time moves back to the evening before.
fn waking(second: i64) -> i64 {
    let hour = at(second).to_zoned(TimeZone::UTC).hour();
    let back = if hour < 7 { SignedDuration::from_hours(i64::from(hour) + 3) } else { SignedDuration::ZERO };
    second - back.as_secs()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn sample(options: &SiteOptions) -> Vec<Thread> {
        threads(options, &Talk::all())
    }

    #[test]
    fn the_same_seed_tells_the_same_and_a_longer_history_only_adds_older_messages() {
        let short = SiteOptions { messages: 300, ..SiteOptions::default() };
        let (once, again) = (sample(&short), sample(&short));
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
        let long = sample(&SiteOptions { messages: 3000, ..SiteOptions::default() });
        for (short, long) in once.iter().zip(&long) {
            let tail = &long.posts[long.posts.len() - short.posts.len()..];
            assert_eq!(format!("{:?}", short.posts), format!("{tail:?}"));
        }
        let other = sample(&SiteOptions { seed: 2, messages: 300, ..SiteOptions::default() });
        assert_ne!(format!("{once:?}"), format!("{other:?}"));
    }

    #[test]
    fn times_are_whole_seconds_in_order_and_before_the_twentieth() {
        let end: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        for thread in sample(&SiteOptions { long_conversation: Some(5000), ..SiteOptions::default() }) {
            assert!(thread.posts.is_sorted_by_key(|post| post.sent_at));
            assert!(thread.posts.iter().all(|post| post.sent_at.subsec_nanosecond() == 0 && post.sent_at < end));
            assert_eq!(thread.activity, thread.posts.last().unwrap().sent_at);
        }
    }

    #[test]
    fn ids_are_unique_and_exactly_two_titles_are_the_same() {
        for seed in [1, 2, 99] {
            let threads = sample(&SiteOptions { seed, ..SiteOptions::default() });
            let ids: HashSet<&str> = threads.iter().flat_map(|t| &t.posts).map(|post| post.id.as_str()).collect();
            assert_eq!(ids.len(), 2400);
            let of = |part: fn(&Thread) -> &str| threads.iter().map(part).collect::<HashSet<_>>().len();
            assert_eq!((of(|t| &t.id), of(|t| &t.title)), (24, 23));
            assert_eq!(threads[1].title, threads[4].title);
        }
    }

    #[test]
    fn everything_awkward_is_told() {
        let threads = sample(&SiteOptions::default());
        let posts = || threads.iter().flat_map(|thread| &thread.posts);
        let said = |part: &str| posts().any(|post| post.text.contains(part));
        for part in
            ["👨‍👩‍👧‍👦", "😂", "\n", "https://", "€", "<script>alert(1)</script> & \"quotes\"", "two  sinks", "شقة", "דירה"]
        {
            assert!(said(part), "{part}");
        }
        for start in ["=SUM", "+41", "-5", "@Alex"] {
            assert!(posts().any(|post| post.text.starts_with(start)), "{start}");
        }
        assert!(posts().any(|post| post.text.len() >= 20_000));
        assert!(posts().any(|post| post.edited) && posts().any(|post| post.file.is_some()));
        assert!(posts().any(|post| post.notice.is_some()));
        assert!(threads[0].posts.iter().map(|post| &post.author).collect::<HashSet<_>>().len() > 3);
        let twice = |pair: &[Post]| {
            pair[0].text == pair[1].text && pair[0].author == pair[1].author && pair[0].sent_at == pair[1].sent_at
        };
        for start in ["Yes!", "I counted"] {
            let told = |pair: &[Post]| pair[0].text.starts_with(start) && twice(pair);
            assert!(threads[0].posts.windows(2).any(told), "{start} twice in one second");
        }
    }
}
