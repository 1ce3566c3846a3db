//! Scrubbed copies of the live pages: what `selectors record` keeps as fixtures.
//!
//! A copy must never hold anything that somebody wrote. It keeps what the pack itself says, because a query
//! that looks for a word needs to find it again.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::collector::Collector;
use super::reading::{PageReading, read_page};
use crate::fault::AnyFault;
use crate::ports::page::{ProbeRow, SitePage, Until, Vocabulary};
use crate::selectors::moment::Frame;
use crate::selectors::{Pack, lint};

/// A copy of one page.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Which page: `login`, `list` or `thread`.
    pub name: String,
    /// The copy.
    pub html: String,
    /// What every query of the pack matched on the page itself.
    pub probe: Vec<ProbeRow>,
}

impl Collector {
    /// Logs in, opens the first conversation, and copies each page on the way. Keeps nothing.
    ///
    /// # Errors
    /// What kept it from getting there.
    pub async fn record(&self) -> Result<Vec<Recording>, AnyFault> {
        self.record_for(&[]).await
    }

    /// The same, so that these packs too find what they look for in the copies.
    ///
    /// # Errors
    /// As [`Collector::record`].
    pub async fn record_for(&self, others: &[&Pack]) -> Result<Vec<Recording>, AnyFault> {
        self.refuse_resting(true).await?;
        let page = self.open().await?;
        let outcome = self.record_pages(page.as_ref(), others).await;
        page.close().await;
        outcome
    }

    async fn record_pages(&self, page: &dyn SitePage, others: &[&Pack]) -> Result<Vec<Recording>, AnyFault> {
        let pack = &self.account.pack.pack;
        let copy = async |page, name: &str| copy_for(page, pack, others, name).await;
        let mut copies = Vec::new();
        page.open(&pack.conversations.address).await?;
        if page.wait(Until::List, pack.pages.timeout).await?.login {
            copies.push(copy(page, "login").await?);
        }
        self.ensure_login(page).await?;
        page.wait(Until::List, pack.pages.timeout).await?;
        copies.push(copy(page, "list").await?);
        if self.open_first(page).await? {
            copies.push(copy(page, "thread").await?);
        }
        Ok(copies)
    }
}

/// Copies the page as it is now.
///
/// # Errors
/// Those of the page.
pub async fn copy(page: &dyn SitePage, pack: &Pack, name: &str) -> Result<Recording, AnyFault> {
    copy_for(page, pack, &[], name).await
}

async fn copy_for(page: &dyn SitePage, pack: &Pack, others: &[&Pack], name: &str) -> Result<Recording, AnyFault> {
    // What the site still loads belongs to the page.
    page.wait(Until::List, Duration::ZERO).await?;
    let reading = read_page(page, pack).await?;
    let probe = page.probe().await?;
    let mut keep = vocabulary(pack, &reading, fastrand::i64(1..=500));
    for other in others {
        keep_words(other, &mut keep);
    }
    let html = page.scrubbed(&keep).await?;
    Ok(Recording { name: name.to_owned(), html, probe })
}

/// What a copy may keep, and which times stand in for those of the page: all of them so many weeks earlier.
fn vocabulary(pack: &Pack, reading: &PageReading, weeks: i64) -> Vocabulary {
    let mut vocabulary = Vocabulary::default();
    keep_words(pack, &mut vocabulary);
    let messages = &pack.messages;
    let frame = Frame::new(TimeZone::get(&pack.site.time_zone).unwrap_or(TimeZone::UTC), Timestamp::now());
    let rows = &reading.thread.rows;
    let dates = messages.separator.iter().flat_map(|separator| {
        rows.iter().filter_map(|row| Some((row.separator.as_ref()?.expose(), separator.formats.as_slice())))
    });
    let times = messages
        .sent_at
        .iter()
        .flat_map(|sent_at| rows.iter().filter_map(|row| Some((row.sent_at.as_deref()?, sent_at.formats.as_slice()))));
    let found: BTreeSet<(String, String)> = dates
        .chain(times)
        .filter_map(|(raw, formats)| Some((raw.trim().to_owned(), frame.earlier(raw, formats, weeks)?)))
        .filter(|(raw, _)| !raw.is_empty())
        .collect();
    vocabulary.times = found.into_iter().collect();
    vocabulary.times.sort_by_key(|(raw, _)| std::cmp::Reverse(raw.len()));
    vocabulary
}

/// What a pack itself says.
fn keep_words(pack: &Pack, vocabulary: &mut Vocabulary) {
    vocabulary.keep_sides |= pack.messages.direction.own_side.is_some();
    for (_, query) in lint::queries(pack) {
        for alternative in &query.alternatives {
            for source in [&alternative.css, &alternative.xpath, &alternative.regex].into_iter().flatten() {
                vocabulary.words.extend(words(source));
            }
            vocabulary.text_words.extend(alternative.regex.iter().flat_map(|regex| words(regex)));
            vocabulary.phrases.extend(alternative.text.clone());
        }
    }
    let messages = &pack.messages;
    vocabulary.phrases.extend(messages.direction.own_authors.iter().cloned());
    if let Some(separator) = &messages.separator {
        vocabulary.phrases.extend(separator.today.iter().chain(&separator.yesterday).cloned());
    }
}

/// The words of a selector or pattern as the copy counts them: runs of letters, runs of digits.
fn words(source: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for c in source.chars().chain([' ']) {
        let is_same_kind = word.chars().next_back().is_some_and(|last| last.is_numeric() == c.is_numeric());
        if !c.is_alphanumeric() || !is_same_kind {
            words.insert(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.push(c);
        }
    }
    words.remove("");
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_or_of_digits() {
        let found: Vec<String> = words("#chat .msg-2[data-type=\"message\"]").into_iter().collect();
        assert_eq!(found, ["2", "chat", "data", "message", "msg", "type"]);
        assert_eq!(words("a1b"), ["1", "a", "b"].map(str::to_owned).into());
    }
}
