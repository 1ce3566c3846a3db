//! Rules of a pack that types can't hold.
//!
//! The one that matters most stands in [`super::forbidden`] and is applied here to every selector.

use jiff::tz::TimeZone;
use url::Url;

use super::error::PackProblem;
use super::forbidden::forbidden_word;
use super::moment::check_format;
use super::pack::{Credential, LoginStep, Pack};
use super::query::{Alternative, Query};
use super::scroll::Scroll;

/// The pack format that this version reads.
pub const PACK_VERSION: u32 = 1;

/// Everything in a pack that breaks a rule; lines are filled in by the reader.
pub fn lint(pack: &Pack) -> Vec<PackProblem> {
    let mut found = Findings::default();
    if pack.version != PACK_VERSION {
        found.add("version", format!("this chatferry reads version {PACK_VERSION}, not {}", pack.version));
    }
    lint_site(pack, &mut found);
    lint_login(pack, &mut found);
    for (key, query) in queries(pack) {
        lint_query(&key, query, &mut found);
    }
    lint_messages(pack, &mut found);
    lint_conversations(pack, &mut found);
    lint_scroll("history", &pack.history, &mut found);
    if let Some(scroll) = &pack.conversations.scroll {
        lint_scroll("conversations.scroll", scroll, &mut found);
    }
    found.0
}

#[derive(Default)]
struct Findings(Vec<PackProblem>);

impl Findings {
    fn add(&mut self, key: &str, sentence: impl Into<String>) {
        self.0.push(PackProblem { key: key.to_owned(), line: None, sentence: sentence.into() });
    }
}

fn lint_site(pack: &Pack, found: &mut Findings) {
    match Url::parse(&pack.site.base_url) {
        Ok(url) => {
            if let Err(sentence) = check_base_url(&url) {
                found.add("site.base_url", sentence);
            }
        }
        Err(error) => found.add("site.base_url", format!("{:?} is no address: {error}", pack.site.base_url)),
    }
    for host in &pack.site.allowed_hosts {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        if !plain || (host.starts_with("*.") && !name.contains('.')) {
            found.add(
                "site.allowed_hosts",
                format!("{host:?} is no host name; write chat.example.org or *.example.org"),
            );
        }
    }
    if TimeZone::get(&pack.site.time_zone).is_err() {
        found.add("site.time_zone", format!("{:?} is no IANA time zone such as Europe/Paris", pack.site.time_zone));
    }
    let locale_fits = !pack.site.locale.is_empty()
        && pack
            .site
            .locale
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !locale_fits {
        found.add("site.locale", format!("{:?} is no language tag such as en-US", pack.site.locale));
    }
}

/// An address that credentials may be sent to.
///
/// # Errors
/// One sentence that says what would be right.
pub fn check_base_url(url: &Url) -> Result<(), String> {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err(format!("{url} has no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            return Err(
                "plain http would send the password readable; use https (http is for this machine only)".to_owned()
            );
        }
        other => return Err(format!("{other}: is no web address; use https://")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address holds no user name and no password; these belong to the account".to_owned());
    }
    Ok(())
}

fn lint_login(pack: &Pack, found: &mut Findings) {
    if pack.login.steps.is_empty() {
        found.add("login.steps", "a login has at least one step");
    }
    for (credential, word) in [(Credential::Username, "username"), (Credential::Password, "password")] {
        let fills =
            pack.login.steps.iter().filter(|step| matches!(step, LoginStep::Fill(fill) if fill.with == credential));
        if fills.count() != 1 {
            found.add(
                "login.steps",
                format!("exactly one step fills the {word}: {{ fill = {{ with = \"{word}\", into = … }} }}"),
            );
        }
    }
}

fn lint_query(key: &str, query: &Query, found: &mut Findings) {
    if query.alternatives.is_empty() {
        found.add(key, "a query has at least one alternative");
    }
    for (index, alternative) in query.alternatives.iter().enumerate() {
        lint_alternative(&format!("{key}[{index}]"), alternative, found);
    }
}

fn lint_alternative(key: &str, alternative: &Alternative, found: &mut Findings) {
    let Alternative { css, xpath, text, attr, regex, read: _ } = alternative;
    let places = [css, xpath, text];
    if places.iter().filter(|place| place.is_some()).count() > 1 {
        found.add(key, "css, xpath and text exclude each other; write two alternatives");
    }
    if places.iter().all(|place| place.is_none()) && attr.is_none() && regex.is_none() {
        found.add(key, "an alternative names css, xpath, text or attr");
    }
    for value in [css, xpath, text, attr].into_iter().flatten() {
        if value.trim().is_empty() {
            found.add(key, "an empty selector matches nothing");
        }
    }
    for selector in [css, xpath].into_iter().flatten() {
        if let Some(sentence) = forbidden_word(selector) {
            found.add(key, sentence);
        }
        if let Some(bracket) = unbalanced(selector) {
            found.add(key, format!("{bracket:?} is not closed in {selector:?}"));
        }
    }
    if let Some(regex) = regex
        && let Err(error) = regex::Regex::new(regex)
    {
        let reason = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        found.add(key, format!("/{regex}/ is no regular expression: {reason}"));
    }
}

/// The first bracket or quote of a selector that is never closed.
fn unbalanced(selector: &str) -> Option<char> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for c in selector.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[') => open.push(c),
            (None, ')') if open.pop() != Some('(') => return Some(')'),
            (None, ']') if open.pop() != Some('[') => return Some(']'),
            (None, _) => {}
        }
    }
    quote.or_else(|| open.pop())
}

fn lint_messages(pack: &Pack, found: &mut Findings) {
    let messages = &pack.messages;
    let direction = &messages.direction;
    if direction.own.is_none() && direction.own_authors.is_empty() && direction.own_side.is_none() {
        found.add("messages.direction", "say how own messages are told: own, own_authors or own_side");
    }
    if !direction.own_authors.is_empty() && messages.author.is_none() {
        found.add("messages.direction.own_authors", "telling own messages by author needs messages.author");
    }
    let times = messages.sent_at.iter().map(|sent_at| ("messages.sent_at.formats", &sent_at.formats));
    let dates = messages.separator.iter().map(|separator| ("messages.separator.formats", &separator.formats));
    for (key, formats) in times.chain(dates) {
        if formats.is_empty() {
            found.add(key, "name at least one format, such as rfc3339");
        }
        for sentence in formats.iter().filter_map(|format| check_format(format).err()) {
            found.add(key, sentence);
        }
    }
}

fn lint_conversations(pack: &Pack, found: &mut Findings) {
    let open = &pack.conversations.open;
    match (&open.address, &open.click) {
        (None, None) => found.add("conversations.open", "say how a conversation is opened: address, click or both"),
        (Some(address), _) if !address.contains("{id}") => {
            found.add("conversations.open.address", "the address holds {id}, the place of the conversation's id");
        }
        _ => {}
    }
}

fn lint_scroll(key: &str, scroll: &Scroll, found: &mut Findings) {
    if scroll.click_more && scroll.more.is_none() {
        found.add(&format!("{key}.click_more"), "clicking needs `more`, the thing to click");
    }
    if scroll.max_steps == 0 {
        found.add(&format!("{key}.max_steps"), "at least 1");
    }
}

/// Every query of a pack with its key, in the order of the file. The probe walks the same list.
pub fn queries<'a>(pack: &'a Pack) -> Vec<(String, &'a Query)> {
    let mut list: Vec<(String, &Query)> = Vec::new();
    let mut add = |key: &str, query: Option<&'a Query>| {
        if let Some(query) = query {
            list.push((key.to_owned(), query));
        }
    };
    let outcomes = &pack.login.outcomes;
    add("login.outcomes.logged_in", Some(&outcomes.logged_in));
    add("login.outcomes.bad_credentials", outcomes.bad_credentials.as_ref());
    add("login.outcomes.challenge", outcomes.challenge.as_ref());
    add("login.outcomes.captcha", outcomes.captcha.as_ref());
    add("login.outcomes.one_time_code", outcomes.one_time_code.as_ref());
    add("login.outcomes.password_change", outcomes.password_change.as_ref());
    add("login.outcomes.locked", outcomes.locked.as_ref());
    add("login.answer.fill", pack.login.answer.as_ref().map(|answer| &answer.fill));
    add("login.answer.click", pack.login.answer.as_ref().map(|answer| &answer.click));
    add("pages.login", Some(&pack.pages.login));
    add("pages.loading", pack.pages.loading.as_ref());
    add("pages.list.positive", Some(&pack.pages.list.positive));
    add("pages.list.empty", pack.pages.list.empty.as_ref());
    add("pages.thread.positive", Some(&pack.pages.thread.positive));
    add("pages.thread.empty", pack.pages.thread.empty.as_ref());
    let conversations = &pack.conversations;
    add("conversations.row", Some(&conversations.row));
    add("conversations.skip", conversations.skip.as_ref());
    add("conversations.id", Some(&conversations.id));
    add("conversations.title", Some(&conversations.title));
    add("conversations.last_activity", conversations.last_activity.as_ref());
    add("conversations.unread", conversations.unread.as_ref());
    add("conversations.open.click", conversations.open.click.as_ref());
    add("conversations.opened.at", Some(&conversations.opened.at));
    let messages = &pack.messages;
    add("messages.row", Some(&messages.row));
    add("messages.skip", messages.skip.as_ref());
    add("messages.native_id", messages.native_id.as_ref());
    add("messages.author", messages.author.as_ref());
    add("messages.direction.own", messages.direction.own.as_ref());
    add("messages.text", Some(&messages.text));
    add("messages.sent_at.at", messages.sent_at.as_ref().map(|s| &s.at));
    add("messages.separator.row", messages.separator.as_ref().map(|s| &s.row));
    add("messages.separator.date", messages.separator.as_ref().map(|s| &s.date));
    add("messages.attachments", messages.attachments.as_ref());
    for (key, scroll) in [("conversations.scroll", conversations.scroll.as_ref()), ("history", Some(&pack.history))] {
        let Some(scroll) = scroll else { continue };
        add(&format!("{key}.container"), Some(&scroll.container));
        add(&format!("{key}.more"), scroll.more.as_ref());
        add(&format!("{key}.loading"), scroll.loading.as_ref());
        add(&format!("{key}.end"), scroll.end.as_ref());
    }
    for (index, step) in pack.login.steps.iter().enumerate() {
        match step {
            LoginStep::Open(_) => {}
            LoginStep::Fill(fill) => add(&format!("login.steps[{index}].fill"), Some(&fill.into)),
            LoginStep::Click(query) => add(&format!("login.steps[{index}].click"), Some(query)),
            LoginStep::WaitFor(query) => add(&format!("login.steps[{index}].wait_for"), Some(query)),
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selectors::pack::AnswerForm;

    fn demo() -> Pack {
        toml::from_str(include_str!("../../selectors/demo.toml")).unwrap()
    }

    #[test]
    fn no_pack_can_name_a_control_that_writes() {
        for selector in [
            "#compose",
            ".messageComposer",
            "form .send-button",
            "button[aria-label='Send']",
            "textarea",
            "[contenteditable=true]",
            "//textarea",
            "div[role=textbox]",
            "#replyBox .x",
        ] {
            let mut pack = demo();
            pack.conversations.open.click = Some(Query::css(selector));
            let problems = lint(&pack);
            assert_eq!(problems.len(), 1, "{selector}: {problems:?}");
            assert_eq!(problems[0].key, "conversations.open.click[0]");
            let mut pack = demo();
            pack.login.answer = Some(AnswerForm { fill: Query::css("#code"), click: Query::css(selector) });
            let keys: Vec<String> = lint(&pack).into_iter().map(|problem| problem.key).collect();
            assert_eq!(keys, ["login.answer.click[0]"], "{selector}");
        }
    }

    #[test]
    fn passwords_go_over_https_only() {
        let check = |text: &str| check_base_url(&Url::parse(text).unwrap());
        assert!(check("https://chat.example.org").is_ok());
        assert!(check("http://127.0.0.1:8080").is_ok());
        assert!(check("http://localhost").is_ok());
        assert!(check("http://[::1]:1").is_ok());
        for bad in ["http://chat.example.org", "http://127.0.0.1.example.org", "file:///etc", "https://a:b@example.org"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_rule_finds_its_breach() {
        type Break = fn(&mut Pack);
        let breaks: [(&str, Break); 12] = [
            ("version", |p| p.version = 2),
            ("site.base_url", |p| p.site.base_url = "chat.example.org".into()),
            ("site.allowed_hosts", |p| p.site.allowed_hosts = vec!["https://x".into()]),
            ("site.locale", |p| p.site.locale = "en_US.utf8".into()),
            ("login.steps", |p| {
                drop(p.login.steps.pop_if(|s| matches!(s, LoginStep::Click(_))).map(|_| p.login.steps.remove(1)))
            }),
            ("messages.direction", |p| p.messages.direction = super::super::pack::DirectionRule::default()),
            ("messages.sent_at.formats", |p| p.messages.sent_at.as_mut().unwrap().formats = vec!["iso".into()]),
            ("conversations.open.address", |p| p.conversations.open.address = Some("/c/".into())),
            ("messages.text[0]", |p| p.messages.text = Query::css(".a[b='c'")),
            ("messages.text", |p| p.messages.text.alternatives.clear()),
            ("messages.text[0]", |p| {
                p.messages.text.alternatives =
                    vec![Alternative { regex: Some("(?=x)".into()), ..Alternative::css("a") }]
            }),
            ("history.click_more", |p| {
                p.history.click_more = true;
                p.history.more = None;
            }),
        ];
        assert_eq!(lint(&demo()), []);
        for (key, break_it) in breaks {
            let mut pack = demo();
            break_it(&mut pack);
            let keys: Vec<String> = lint(&pack).into_iter().map(|problem| problem.key).collect();
            assert_eq!(keys, [key]);
        }
    }
}
