//! Forms of known secrets: keys and tokens of services, private keys, passwords in addresses, and a text
//! after a word such as `password` that looks drawn at random.
//!
//! A pattern says how a secret is written; the entropy, in bits per character, that it is no example such as
//! `AKIAXXXXXXXXXXXXXXXX`. Chat is hostile input: the patterns are those of an automaton without look-around, in
//! linear time.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::pattern::pattern;

/// A form of secret.
struct Rule {
    /// What tests and readers call it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a name for readers and tests"))]
    name: &'static str,
    /// The secret is the first group, or all of it if there is none.
    pattern: &'static str,
    /// At least so many bits per character.
    entropy: f64,
}

const fn rule(name: &'static str, pattern: &'static str, entropy: f64) -> Rule {
    Rule { name, pattern, entropy }
}

/// The last two rules only guess.
const CERTAIN: usize = RULES.len() - 2;
/// The shortest text in which a rule could find something: an address with a password.
const SHORTEST: usize = 10;

/// The rules; long and certain forms before short and vague ones.
const RULES: [Rule; 51] = [
    rule("private-key", r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[\s\S]{64,}?KEY(?: BLOCK)?-----", 0.0),
    rule("private-key-cut", r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s]{64,}", 0.0),
    rule("gcp-service-account", r"\{[^{]+auth_provider_x509_cert_url[^}]+\}", 0.0),
    rule("aws-access-token", r"\b((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b", 3.0),
    rule("aws-bedrock", r"\b(ABSK[A-Za-z0-9+/]{109,269}={0,2})", 3.0),
    rule("gcp-api-key", r"\b(AIza[A-Za-z0-9_-]{35})", 4.0),
    rule("azure-ad-client-secret", r"(?:^|[^A-Za-z0-9_~.-])([a-zA-Z0-9_~.]{3}[0-9]Q~[a-zA-Z0-9_~.-]{31,34})", 3.0),
    rule("openai-project", r"\b(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200})", 3.0),
    rule("openai", r"\b(sk-[a-zA-Z0-9]{20}T3BlbkFJ[a-zA-Z0-9]{20})", 3.0),
    rule("anthropic", r"\b(sk-ant-api03-[A-Za-z0-9_-]{93}AA)", 0.0),
    rule("anthropic-admin", r"\b(sk-ant-admin01-[A-Za-z0-9_-]{93}AA)", 0.0),
    rule("openai-like", r"\b(sk-(?:[a-z0-9]{2,10}-)*[A-Za-z0-9_-]{32,200})", 3.5),
    rule("huggingface", r"\b(hf_[a-zA-Z]{34})\b", 2.0),
    rule("perplexity", r"\b(pplx-[a-zA-Z0-9]{48})\b", 4.0),
    rule(
        "cohere",
        r#"(?i)(?:cohere|co_api_key)[A-Za-z0-9_ .-]{0,20}['"]?\s?(?:[=:>]|is|\s)\s?['"]?([a-zA-Z0-9]{40})\b"#,
        4.0,
    ),
    rule("github-pat", r"\b(ghp_[0-9a-zA-Z]{36})\b", 3.0),
    rule("github-fine-grained", r"\b(github_pat_[A-Za-z0-9_]{82})\b", 3.0),
    rule("github-oauth", r"\b(gho_[0-9a-zA-Z]{36})\b", 3.0),
    rule("github-app", r"\b((?:ghu|ghs)_[0-9a-zA-Z]{36})\b", 3.0),
    rule("github-refresh", r"\b(ghr_[0-9a-zA-Z]{36})\b", 3.0),
    rule("gitlab-routable", r"\b(glpat-[A-Za-z0-9_-]{27,300}\.[0-9a-z]{2}[0-9a-z]{7})\b", 4.0),
    rule("gitlab-pat", r"\b(glpat-[A-Za-z0-9_-]{20})", 3.0),
    rule("gitlab-deploy", r"\b(gldt-[A-Za-z0-9_-]{20})", 3.0),
    rule("slack-bot", r"\b(xoxb-[0-9]{10,13}-[0-9]{10,13}[a-zA-Z0-9-]*)", 3.0),
    rule("slack-user", r"\b(xox[pe](?:-[0-9]{10,13}){3}-[a-zA-Z0-9-]{28,34})", 2.0),
    rule("slack-app", r"\b(xapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]+)", 2.0),
    rule("slack-webhook", r"(hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{43,56})", 0.0),
    rule(
        "telegram",
        r"(?i)(?:telegram|tgbot|bot)[A-Za-z0-9_ .-]{0,20}['\x22]?\s?(?:[=:/]|is|\s)\s?['\x22]?([0-9]{5,16}:(?-i:A)[A-Za-z0-9_-]{34})",
        0.0,
    ),
    rule("discord", r"(?i)discord[A-Za-z0-9_ .-]{0,20}['\x22]?\s?(?:[=:]|is|\s)\s?['\x22]?([a-f0-9]{64})\b", 0.0),
    rule("stripe", r"\b((?:sk|rk)_(?:test|live|prod)_[a-zA-Z0-9]{10,99})\b", 2.0),
    rule("twilio", r"\b(SK[0-9a-fA-F]{32})\b", 3.0),
    rule("sendgrid", r"\b(SG\.[A-Za-z0-9_=.-]{66})", 2.0),
    rule("npm", r"\b(npm_[a-zA-Z0-9]{36})\b", 2.0),
    rule("pypi", r"\b(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000})", 3.0),
    rule("digitalocean", r"\b(dop_v1_[a-f0-9]{64})\b", 3.0),
    rule("vault-service", r"\b(hvs\.[A-Za-z0-9_-]{90,120}|s\.[a-z0-9]{24})\b", 3.5),
    rule("vault-batch", r"\b(hvb\.[A-Za-z0-9_-]{138,300})", 4.0),
    rule("age", r"\b(AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})\b", 0.0),
    rule("grafana", r"\b(glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8})\b", 3.0),
    rule("sentry-org", r"\b(sntrys_eyJpYXQiO[A-Za-z0-9+/_-]{10,200}={0,2}(?:_[A-Za-z0-9+/]{43})?)", 4.5),
    rule("sentry-user", r"\b(sntryu_[a-f0-9]{64})\b", 3.5),
    rule("jwt", r"\b(ey[a-zA-Z0-9]{17,}\.ey[A-Za-z0-9_/\\-]{17,}\.[A-Za-z0-9_/\\-]{10,}={0,2})", 3.0),
    rule("connection-mongodb", r"\b(mongodb(?:\+srv)?://[^\s:/@]{1,100}:[^\s@]{1,200}@)", 0.0),
    rule("connection-amqp", r"\b(amqps?://[^\s:/@]{1,100}:[^\s@]{1,200}@)", 0.0),
    rule("connection-http", r"\b(https?://[^\s:/@]{1,100}:[^\s/@]{1,200}@)", 0.0),
    rule(
        "generic",
        r#"(?i)(?:access|auth|api|credential|creds|key|passw(?:or)?d|secret|token)[A-Za-z0-9_ .-]{0,20}['"]?\s?(?:=|:|:=|=>)\s?['"]?([A-Za-z0-9_.=-]{10,150})"#,
        3.5,
    ),
    rule(
        "kubernetes-secret",
        r"kind:[ \t]*['\x22]?Secret\b[\s\S]*?\b(?:data|stringData):[ \t]*\r?\n((?:[ \t]+[A-Za-z0-9._-]+:[ \t]*\S+[ \t]*(?:\r?\n|$))+)",
        0.0,
    ),
    rule(
        "authorization-header",
        r"(?i)authorization['\x22]?\s{0,3}[:=]\s{0,3}['\x22]?(?:bearer|basic|token)\s{1,3}([A-Za-z0-9._~+/=-]{8,500})",
        2.5,
    ),
    rule("curl-user", r"(?i)\bcurl\b[^\n]*\s(?:-u|--user)[ =]?['\x22]?([^\s:'\x22]{1,100}:[^\s'\x22]{3,100})", 0.0),
    // What looks drawn at random, whatever it is for.
    rule("random-hex", r"\b([a-fA-F0-9]{32,128})\b", 3.0),
    rule("random-base64", r"(?:^|[^A-Za-z0-9+/_-])([A-Za-z0-9+/_-]{32,200}={0,2})", 4.5),
];

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| RULES.iter().map(|rule| pattern(rule.pattern)).collect());

/// Where secrets stand, in bytes, from left to right and apart from each other.
pub fn find(text: &str) -> Vec<(usize, usize)> {
    find_by(text, &RULES)
}

/// The text with the secrets of known forms taken out; what only looks drawn at random stays, because ids and
/// hashes do too.
pub fn scrub(text: &str) -> Cow<'_, str> {
    // No rule finds anything shorter.
    if text.len() < SHORTEST {
        return Cow::Borrowed(text);
    }
    let found = find_by(text, RULES.split_at(CERTAIN).0);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
    for (from, to) in found {
        clean.push_str(&text[end..from]);
        clean.push_str("[secret]");
        end = to;
    }
    clean.push_str(&text[end..]);
    Cow::Owned(clean)
}

fn find_by(text: &str, rules: &[Rule]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (rule, form) in rules.iter().zip(COMPILED.iter()) {
        for captures in form.captures_iter(text) {
            let Some(secret) = captures.get(1).or_else(|| captures.get(0)) else { continue };
            let (from, to) = (secret.start(), secret.end());
            let is_apart = found.iter().all(|(a, b)| to <= *a || *b <= from);
            if is_apart && entropy(secret.as_str()) >= rule.entropy {
                found.push((from, to));
            }
        }
    }
    found.sort_unstable();
    found
}

/// The entropy of the characters of a text, in bits per character.
fn entropy(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    for c in text.chars() {
        *counts.entry(c).or_insert(0u32) += 1;
    }
    let total = f64::from(counts.values().sum::<u32>());
    counts.values().map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scrubbed_is_the_secret_alone_and_ids_stay() {
        let id = "event 4fdb0c2d9a1e4b7f8c3d5e6f7a8b9c0d of c1-0123456789abcdef0123456789abcdef";
        assert!(matches!(scrub(id), Cow::Borrowed(_)), "{}", scrub(id));
        let address = "no answer from amqp://ferry:s3cret-word@broker:5672/%2f in time";
        assert_eq!(scrub(address), "no answer from [secret]broker:5672/%2f in time");
        assert!(matches!(scrub("pass completed"), Cow::Borrowed(_)));
    }

    /// Characters without a pattern, of the given alphabet.
    fn random(alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        (0..length).map(|_| letters[(next() >> 33) as usize % letters.len()]).collect()
    }

    const ALL: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const HEX: &str = "0123456789abcdef";
    const DIGITS: &str = "0123456789";

    /// For each rule something that it finds, and something close to it that it must not take for it.
    fn samples() -> Vec<(&'static str, String, String)> {
        let any = |n| random(ALL, n);
        let hex = |n| random(HEX, n);
        let number = |n| random(DIGITS, n);
        let upper = |n| random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", n);
        let lower = |n| random("abcdefghijklmnopqrstuvwxyz0123456789", n);
        let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", any(100));
        vec![
            ("private-key", key.clone(), key.replace("PRIVATE", "PUBLIC")),
            (
                "private-key-cut",
                format!("-----BEGIN PRIVATE KEY-----\n{}", any(80)),
                format!("-----BEGIN PRIVATE KEY-----\n{}", any(40)),
            ),
            (
                "gcp-service-account",
                r#"{"type":"service_account","auth_provider_x509_cert_url":"x"}"#.into(),
                r#"{"type":"service_account","cert_url":"x"}"#.into(),
            ),
            ("aws-access-token", format!("AKIA{}", upper(16)), format!("AKIA{}", "A".repeat(16))),
            ("aws-bedrock", format!("ABSK{}", any(120)), format!("ABSK{}", any(60))),
            ("gcp-api-key", format!("AIza{}", any(35)), format!("AIza{}", "a".repeat(35))),
            ("azure-ad-client-secret", format!("ab18Q~{}", any(32)), format!("ab1xQ~{}", any(32))),
            (
                "openai-project",
                format!("sk-proj-{}T3BlbkFJ{}", any(24), any(24)),
                format!("sk-proj-{}T3BlbkFJ", any(4)),
            ),
            ("openai", format!("sk-{}T3BlbkFJ{}", any(20), any(20)), format!("sk-{}T3Blbk", any(10))),
            ("anthropic", format!("sk-ant-api03-{}AA", any(93)), format!("sk-ant-api03-{}", any(6))),
            ("anthropic-admin", format!("sk-ant-admin01-{}AA", any(93)), format!("sk-ant-admin01-{}", any(4))),
            ("openai-like", format!("sk-{}", any(40)), format!("sk-{}", "a".repeat(40))),
            (
                "huggingface",
                format!("hf_{}", random("abcdefghijklmnopqrstuvwxyz", 34)),
                format!("hf_{}", "a".repeat(34)),
            ),
            ("perplexity", format!("pplx-{}", any(48)), format!("pplx-{}", any(30))),
            ("cohere", format!("cohere key: {}", any(40)), format!("cohere key: {}", "ab".repeat(20))),
            ("github-pat", format!("ghp_{}", any(36)), format!("ghp_{}", any(35))),
            ("github-fine-grained", format!("github_pat_{}", any(82)), format!("github_pat_{}", any(70))),
            ("github-oauth", format!("gho_{}", any(36)), format!("gho_{}", "a".repeat(36))),
            ("github-app", format!("ghs_{}", any(36)), format!("ghx_{}", any(36))),
            ("github-refresh", format!("ghr_{}", any(36)), format!("ghr_{}", any(30))),
            ("gitlab-routable", format!("glpat-{}.0a{}", any(30), lower(7)), format!("glpat-{}", "a".repeat(30))),
            ("gitlab-pat", format!("glpat-{}", any(20)), format!("glpat-{}", any(15))),
            ("gitlab-deploy", format!("gldt-{}", any(20)), format!("gldt-{}", any(15))),
            ("slack-bot", format!("xoxb-{}-{}-{}", number(12), number(12), any(24)), format!("xoxb-{}", number(12))),
            (
                "slack-user",
                format!("xoxp-{}-{}-{}-{}", number(12), number(12), number(12), any(30)),
                format!("xoxp-{}-{}", number(12), any(30)),
            ),
            ("slack-app", format!("xapp-1-{}-{}-{}", upper(10), number(12), lower(40)), "xapp-x-1".into()),
            (
                "slack-webhook",
                format!("hooks.slack.com/services/{}", any(44)),
                format!("hooks.slack.com/services/{}", any(20)),
            ),
            ("telegram", format!("telegram bot: {}:A{}", number(10), any(34)), format!("{}:A{}", number(10), any(20))),
            ("discord", format!("discord token = {}", hex(64)), format!("discord said {}", hex(20))),
            ("stripe", format!("sk_live_{}", any(24)), format!("sk_alive_{}", any(24))),
            ("twilio", format!("SK{}", hex(32)), format!("SK{}", "0".repeat(32))),
            ("sendgrid", format!("SG.{}", any(66)), format!("SG.{}", any(20))),
            ("npm", format!("npm_{}", any(36)), format!("npm_{}", "a".repeat(36))),
            ("pypi", format!("pypi-AgEIcHlwaS5vcmc{}", any(60)), format!("pypi-{}", any(60))),
            ("digitalocean", format!("dop_v1_{}", hex(64)), format!("dop_v2_{}", hex(64))),
            ("vault-service", format!("hvs.{}", any(95)), format!("hvs.{}", any(20))),
            ("vault-batch", format!("hvb.{}", any(140)), format!("hvb.{}", any(100))),
            (
                "age",
                format!("AGE-SECRET-KEY-1{}", random("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
                format!("AGE-PUBLIC-KEY-1{}", random("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)),
            ),
            ("grafana", format!("glsa_{}_{}", any(32), hex(8)), format!("glsa_{}", any(32))),
            ("sentry-org", format!("sntrys_eyJpYXQiO{}", any(120)), format!("sntrys_{}", any(20))),
            ("sentry-user", format!("sntryu_{}", hex(64)), format!("sntryu_{}", "0".repeat(64))),
            ("jwt", format!("eyJ{}.eyJ{}.{}", any(20), any(40), any(30)), format!("eyJ{}.{}", any(20), any(30))),
            ("connection-mongodb", "mongodb://u:p4ss@h/db".into(), "mongodb://h/db".into()),
            ("connection-amqp", "amqps://u:p4ss@h/v".into(), "amqps://h/v".into()),
            ("connection-http", "https://u:p4ss@h/x".into(), "https://h/x:1@y".into()),
            ("generic", format!("password: {}", any(16)), "password: aaaaaaaaaaaa".into()),
            (
                "kubernetes-secret",
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n  password: czNjcmV0\n".into(),
                "kind: ConfigMap\ndata:\n  colour: blue\n".into(),
            ),
            (
                "authorization-header",
                format!("Authorization: Bearer {}", any(20)),
                "authorization: none needed, just come".into(),
            ),
            ("curl-user", "curl -s https://h -u anna:s3cret".into(), "curl your hair -u know: nice".into()),
            ("random-hex", hex(40), "0".repeat(40)),
            ("random-base64", any(48), "Rindfleischetikettierungsueberwachungsaufgaben".into()),
        ]
    }

    #[test]
    fn every_rule_finds_its_secret_and_lets_its_neighbour_be() {
        let samples = samples();
        assert_eq!(samples.iter().map(|sample| sample.0).collect::<Vec<_>>(), RULES.map(|rule| rule.name));
        for (index, (name, secret, neighbour)) in samples.iter().enumerate() {
            let rule = &COMPILED[index];
            let by_rule = |text: &str| {
                rule.captures_iter(text).any(|captures| {
                    entropy(captures.get(1).or_else(|| captures.get(0)).unwrap().as_str()) >= RULES[index].entropy
                })
            };
            assert!(by_rule(secret), "{name} does not find {secret}");
            assert!(!by_rule(neighbour), "{name} takes {neighbour} for one");
            let text = format!("look: {secret} !");
            assert!(!find(&text).is_empty(), "{name}");
            assert!(find(&format!("look: {neighbour} !")).len() <= 1, "{name}");
        }
    }

    #[test]
    fn a_plain_chat_holds_no_secret() {
        for text in [
            "The key: you have to believe in yourself!",
            "What is the secret? love and patience",
            "token of appreciation: flowers",
            "password please?",
            "Tom's key: under the mat behind the house",
            "https://news.example/2026/11/why-the-harbour-of-our-town-is-frozen-again-this-winter",
            "hahahahahahahahahahahahahahahahahahahahaha",
            "Donaudampfschifffahrtsgesellschaftskapitaenswitwe",
        ] {
            assert_eq!(find(text), [], "{text}");
        }
    }
}
