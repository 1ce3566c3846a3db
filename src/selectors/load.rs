//! Reading a pack: TOML → types → lint, with the line of whatever is wrong.

use toml_edit::{Document, Item};

use super::error::{PackError, PackProblem};
use super::forbidden::forbidden_word;
use super::lint;
use super::pack::Pack;
use crate::domain::SiteId;

/// A pack that was read and keeps every rule.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPack {
    /// The site that it describes: the file's stem.
    pub site: SiteId,
    /// The file, as the operator knows it.
    pub name: String,
    /// What it says.
    pub pack: Pack,
    /// The first 12 hex digits of the content's BLAKE3 hash: the pack's version.
    pub hash: String,
    /// The file's content, so that a version that proved itself can be kept.
    pub text: String,
}

/// The version of a pack's text.
pub fn version_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..12].to_owned()
}

/// Reads the text of a pack.
///
/// # Errors
/// [`PackError::Invalid`] with everything that is wrong: one problem where the TOML or the types do
/// not fit, all of them where rules are broken.
pub fn parse_pack(site: SiteId, name: &str, text: &str) -> Result<LoadedPack, PackError> {
    let invalid = |problems| PackError::Invalid { name: name.to_owned(), problems };
    let pack: Pack = toml::from_str(text).map_err(|error| invalid(vec![type_problem(text, &error)]))?;
    let mut problems = lint::lint(&pack);
    if !problems.is_empty() {
        // The types have read it, so it parses; a document is only needed to find the lines.
        if let Ok(document) = Document::parse(text) {
            for problem in &mut problems {
                problem.line = line_of_key(text, document.as_item(), &problem.key);
            }
        }
        return Err(invalid(problems));
    }
    Ok(LoadedPack { site, name: name.to_owned(), pack, hash: version_of(text), text: text.to_owned() })
}

fn type_problem(text: &str, error: &toml::de::Error) -> PackProblem {
    let line = error.span().map(|span| line_at(text, span.start));
    PackProblem { key: String::new(), line, sentence: with_nearest(error.message()) }
}

/// The line of a byte offset, counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Turns serde's "unknown field `rwo`, expected one of `row`, `skip`" into a sentence that names the
/// nearest key first.
fn with_nearest(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let Some(rest) = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))
    else {
        return message;
    };
    let Some((unknown, expected)) = rest.split_once('`') else { return message };
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    if let Some(what) = forbidden_word(unknown) {
        return format!("`{unknown}` is refused: {what}");
    }
    let nearest = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min();
    match nearest {
        Some((_, nearest)) => {
            format!("unknown key `{unknown}`; did you mean `{nearest}`? Known here: {}", names.join(", "))
        }
        None => format!("unknown key `{unknown}`; known here: {}", names.join(", ")),
    }
}

/// Follows `messages.row[1]` into the document and gives the line of the deepest part that exists.
fn line_of_key(text: &str, root: &Item, key: &str) -> Option<usize> {
    let mut item = root;
    let mut span = None;
    for part in key.split('.') {
        let name = part.split('[').next().unwrap_or(part);
        let Some(next) = item.get(name) else { break };
        let key_span = item.as_table_like().and_then(|table| table.key(name)).and_then(toml_edit::Key::span);
        span = key_span.or_else(|| next.span()).or(span);
        item = next;
    }
    span.map(|span| line_at(text, span.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = include_str!("../../selectors/demo.toml");

    fn refusal(text: &str) -> String {
        parse_pack("demo".parse().unwrap(), "demo.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_pack_reads_and_its_hash_is_its_version() {
        let one = parse_pack("demo".parse().unwrap(), "demo.toml", DEMO).unwrap();
        let two = parse_pack("demo".parse().unwrap(), "demo.toml", &format!("{DEMO}\n# changed")).unwrap();
        assert_ne!(one.hash, two.hash);
        assert_eq!(one.pack, two.pack);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_name() {
        let text = DEMO.replace("[conversations.opened]\nat", "[conversations.opened]\nequal = \"id\"\nat");
        let line = text.lines().position(|l| l.starts_with("equal =")).unwrap() + 1;
        let refusal = refusal(&text);
        assert!(refusal.contains(&format!("line {line}: ")), "{refusal}");
        assert!(refusal.contains("unknown key `equal`; did you mean `equals`?"), "{refusal}");
    }

    #[test]
    fn a_compose_control_is_refused_by_its_key_too() {
        let refusal = refusal(&format!("{DEMO}\n[compose]\nbutton = \"x\""));
        assert!(refusal.contains("`compose` is refused: chatferry only reads"), "{refusal}");
    }

    #[test]
    fn every_broken_rule_is_listed_with_its_line() {
        let text =
            DEMO.replace("time_zone = \"UTC\"", "time_zone = \"Mars/Olympus\"").replace("version = 1", "version = 9");
        let line = text.lines().position(|l| l.starts_with("time_zone")).unwrap() + 1;
        let refusal = refusal(&text);
        assert!(refusal.contains("version: this chatferry reads version 1"), "{refusal}");
        assert!(refusal.contains(&format!("line {line}: site.time_zone")), "{refusal}");
    }
}
