//! Selector packs as the page shows them: which version reads each site, and why an edit is not used.

use jiff::Timestamp;
use serde::Serialize;

use super::rows::{Pill, Tone, prose};
use crate::fault::Code;
use crate::selectors::Standing;

/// One site's pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct PackRow {
    pub site: String,
    pub pill: Pill,
    /// The version in use, or a dash.
    pub active: String,
    pub since: Option<Timestamp>,
    /// How often another version came into use, ever.
    pub generation: u64,
    /// The version that was not taken.
    pub refused: Option<String>,
    pub refused_at: Option<Timestamp>,
    pub sentence: String,
    pub code: Option<&'static str>,
    pub action: Option<String>,
}

impl From<&Standing> for PackRow {
    fn from(standing: &Standing) -> Self {
        let Standing { site, active, since, generation, refused } = standing;
        let row = Self {
            site: site.to_string(),
            pill: Pill { label: "as in the folder".to_owned(), tone: Tone::Good },
            active: active.clone().unwrap_or_else(|| "–".to_owned()),
            since: *since,
            generation: *generation,
            sentence: "No edit waits.".to_owned(),
            ..Self::default()
        };
        let Some(refused) = refused else { return row };
        let version = if refused.hash.is_empty() { "The edited pack" } else { refused.hash.as_str() };
        let on = refused.account.as_ref().map_or_else(String::new, |account| format!(" on the page of {account}"));
        Self {
            pill: Pill { label: "edit refused".to_owned(), tone: Tone::Warn },
            refused: Some(refused.hash.clone()),
            refused_at: Some(refused.at),
            sentence: prose(&format!("{version} is not used{on}: {}.", refused.reasons.join("; "))),
            code: Some(Code::PackRefused.as_str()),
            action: Some(prose(Code::PackRefused.action())),
            ..row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selectors::versions::Refused;

    #[test]
    fn a_refused_edit_is_named_with_its_query_and_what_to_do() {
        let refused = Refused {
            hash: "abc".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            account: Some("demo/default".to_owned()),
            reasons: vec!["messages.row matches nothing".to_owned()],
        };
        let standing = Standing {
            site: "demo".parse().unwrap(),
            active: Some("def".to_owned()),
            since: None,
            generation: 2,
            refused: Some(refused),
        };
        let row = PackRow::from(&standing);
        assert_eq!(row.sentence, "abc is not used on the page of demo/default: messages.row matches nothing.");
        assert_eq!((row.active.as_str(), row.code, row.pill.tone), ("def", Some("pack-refused"), Tone::Warn));
        let row = PackRow::from(&Standing { refused: None, ..standing });
        assert_eq!((row.code, row.pill.tone), (None, Tone::Good));
    }
}
