//! Field masks as Google reads them: `a,b(c,d.e)` cuts an answer down to what was asked for, and a name that no answer
//! can have is refused.

use std::collections::BTreeMap;

use serde_json::Value;

/// What `spreadsheets.get` can answer, as far as this server knows it.
const KNOWN: &str = "spreadsheetId,sheets(properties(sheetId,title,index,sheetType,gridProperties(rowCount,columnCount,frozenRowCount)),\
                     bandedRanges(bandedRangeId,range,rowProperties),conditionalFormats(ranges,booleanRule(condition,format)),basicFilter(range))";

/// A mask: each name with what is asked below it; nothing below means all of it.
#[derive(Debug, Default)]
pub struct Mask(BTreeMap<String, Mask>);

impl Mask {
    /// Reads a mask.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mask = Self::list(&mut rest)?;
        if rest.is_empty() { Ok(mask) } else { Err(format!("Invalid field mask at {rest}")) }
    }

    /// The mask of everything that is known.
    pub fn known() -> Self {
        Self::parse(KNOWN).unwrap()
    }

    fn list(rest: &mut &str) -> Result<Self, String> {
        let mut mask = Self::default();
        loop {
            let end = rest.find([',', '(', ')']).unwrap_or(rest.len());
            let (path, tail) = rest.split_at(end);
            *rest = tail;
            let mut place = &mut mask;
            for name in path.trim().split(['.', '/']) {
                if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    return Err(format!("Invalid field {name:?}"));
                }
                place = place.0.entry(name.to_owned()).or_default();
            }
            if let Some(tail) = rest.strip_prefix('(') {
                *rest = tail;
                *place = Self::list(rest)?;
                *rest = rest.strip_prefix(')').ok_or("Unclosed parenthesis")?;
            }
            match rest.strip_prefix(',') {
                Some(tail) => *rest = tail,
                None => return Ok(mask),
            }
        }
    }

    /// The first name that `known` does not have.
    pub fn unknown(&self, known: &Self) -> Option<String> {
        self.0.iter().find_map(|(name, below)| match known.0.get(name) {
            None => Some(name.clone()),
            Some(known) if known.0.is_empty() => None,
            Some(known) => below.unknown(known),
        })
    }

    /// What of a value the mask asks for.
    pub fn cut(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::Array(values) => values.into_iter().map(|value| self.cut(value)).collect(),
            Value::Object(fields) => {
                let asked =
                    fields.into_iter().filter_map(|(name, value)| Some((name.clone(), self.0.get(&name)?.cut(value))));
                Value::Object(asked.collect())
            }
            other => other,
        }
    }
}
