//! What is read of a page: the rows of the list and of the open conversation, and how the fields of the pack
//! matched.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::Text;

/// How a field of the pack matched, over all rows of one reading.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FieldMatch {
    /// How many rows each alternative supplied, in the order of the pack.
    pub by_alternative: Vec<u64>,
    /// How many rows had none.
    pub missing: u64,
}

impl FieldMatch {
    /// How many rows had a value.
    pub fn matched(&self) -> u64 {
        self.by_alternative.iter().sum()
    }

    /// The alternative that supplied most, if any did.
    pub fn best(&self) -> Option<usize> {
        let best =
            self.by_alternative.iter().enumerate().max_by_key(|(index, count)| (**count, std::cmp::Reverse(*index)));
        best.filter(|(_, count)| **count > 0).map(|(index, _)| index)
    }
}

/// How every field of a reading matched, by its key in the pack.
pub type Matches = BTreeMap<String, FieldMatch>;

/// One entry of the conversation list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListRow {
    /// The site's id of the conversation.
    pub id: Option<String>,
    /// The title.
    pub title: Option<Text>,
    /// When something last happened, as written.
    #[serde(default)]
    pub last_activity: Option<String>,
    /// The unread badge, as written.
    #[serde(default)]
    pub unread: Option<String>,
    /// All text of the row: changes when anything in it changes.
    pub digest: Text,
}

/// What was read of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ListReading {
    /// The entries, as the page orders them.
    pub rows: Vec<ListRow>,
    /// How the fields matched.
    pub matches: Matches,
}

/// One row of the open conversation, before carrying and times are resolved.
///
/// In the page's answer a row is a list in this order, cut off after its last value: of ten thousand
/// rows the names of the fields would be a tenth of all that crosses the DevTools socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct ThreadRow {
    /// The site's id of the message.
    pub native_id: Option<String>,
    /// Who wrote it.
    pub author: Option<Text>,
    /// What was written.
    pub text: Option<Text>,
    /// When, as written.
    pub sent_at: Option<String>,
    /// True if a rule of the page says that it is the owner's.
    pub own: bool,
    /// Addresses of attachments.
    pub attachments: Vec<Text>,
    /// The text of a date separator; then nothing else is set.
    pub separator: Option<Text>,
}

/// What was read of the open conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ThreadReading {
    /// Which conversation the page says is open.
    pub opened: Option<String>,
    /// The rows, oldest first.
    pub rows: Vec<ThreadRow>,
    /// How the fields matched.
    pub matches: Matches,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_page_is_a_list_that_ends_with_its_last_value() {
        let answer = r#"{"opened":"7","rows":[["1","Mia","hello"],[null,null,"own",null,true],
            [],[null,"Mia",null,null,false,["/a.png"]],[null,null,null,null,false,[],"Today"]],"matches":{}}"#;
        let rows = serde_json::from_str::<ThreadReading>(answer).unwrap().rows;
        let expected = [
            ThreadRow {
                native_id: Some("1".to_owned()),
                author: Some("Mia".into()),
                text: Some("hello".into()),
                ..ThreadRow::default()
            },
            ThreadRow { text: Some("own".into()), own: true, ..ThreadRow::default() },
            ThreadRow::default(),
            ThreadRow { author: Some("Mia".into()), attachments: vec!["/a.png".into()], ..ThreadRow::default() },
            ThreadRow { separator: Some("Today".into()), ..ThreadRow::default() },
        ];
        assert_eq!(rows, expected);
    }
}
