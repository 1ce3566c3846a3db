//! Where our columns stand, found by their header texts. Pure.
//!
//! People put columns of their own before, between and behind ours, and that is fine: ours are found again by name. But
//! a header of ours that is gone, doubled or in another order than ours does not tell where its *column* went (a header
//! cell can be moved without its column, and back), and a guess would shift values under a wrong name. So that is a
//! [`Misfit`], and the mirror waits for a human.

use std::fmt;
use std::ops::Range;

use super::a1::column_name;
use crate::mirror::rows::{COLUMNS, Column};

/// Where each of our columns stands in the tab, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    at: [usize; COLUMNS.len()],
}

/// Why a header row is not ours. It names our headers and columns only, never what somebody else wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Nothing stands in the first row.
    Blank,
    /// A header of ours is not there.
    Missing(&'static str),
    /// A header of ours stands in two columns.
    Doubled(&'static str, usize, usize),
    /// A header of ours stands in another order than ours; the column where it is.
    Moved(&'static str, usize),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("its first row, which held the headers, is empty"),
            Self::Missing(header) => write!(f, "the header \"{header}\" is missing; it was renamed or deleted"),
            Self::Doubled(header, one, other) => {
                write!(
                    f,
                    "the header \"{header}\" stands twice, in columns {} and {}",
                    column_name(*one),
                    column_name(*other)
                )
            }
            Self::Moved(header, at) => {
                write!(f, "the header \"{header}\" was moved; it stands in column {} now", column_name(*at))
            }
        }
    }
}

/// Neighbouring columns of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first one's place in the tab.
    pub first: usize,
    /// Which of [`COLUMNS`] they are.
    pub columns: Range<usize>,
}

impl Block {
    /// The last one's place in the tab.
    pub const fn last(&self) -> usize {
        self.first + self.columns.end - self.columns.start - 1
    }
}

impl Layout {
    /// As a new tab has it: ours, from the first column on.
    pub fn fresh() -> Self {
        let mut at = [0; COLUMNS.len()];
        at.iter_mut().enumerate().for_each(|(index, place)| *place = index);
        Self { at }
    }

    /// Finds our columns in the texts of the first row.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn find<S: AsRef<str>>(header: &[S]) -> Result<Self, Misfit> {
        if header.iter().all(|text| text.as_ref().trim().is_empty()) {
            return Err(Misfit::Blank);
        }
        let mut at = [0; COLUMNS.len()];
        for (place, column) in at.iter_mut().zip(COLUMNS) {
            let mut found = header.iter().enumerate().filter(|(_, text)| text.as_ref().trim() == column.header());
            let (first, _) = found.next().ok_or(Misfit::Missing(column.header()))?;
            if let Some((second, _)) = found.next() {
                return Err(Misfit::Doubled(column.header(), first, second));
            }
            *place = first;
        }
        moved(&at).map_or(Ok(Self { at }), |index| Err(Misfit::Moved(COLUMNS[index].header(), at[index])))
    }

    /// Where a column stands.
    pub const fn of(&self, column: Column) -> usize {
        self.at[column as usize]
    }

    /// Where the keys stand.
    pub const fn key(&self) -> usize {
        self.of(Column::Key)
    }

    /// Ours, as runs of neighbours.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for (index, place) in self.at.into_iter().enumerate() {
            match blocks.last_mut() {
                Some(block) if block.last() + 1 == place => block.columns.end += 1,
                _ => blocks.push(Block { first: place, columns: index..index + 1 }),
            }
        }
        blocks
    }

    /// What is not ours in a tab of `width` columns, as runs: first and last place of each.
    pub fn others(&self, width: usize) -> Vec<(usize, usize)> {
        let mut others: Vec<(usize, usize)> = Vec::new();
        for place in (0..width).filter(|place| !self.at.contains(place)) {
            match others.last_mut() {
                Some((_, last)) if *last + 1 == place => *last = place,
                _ => others.push((place, place)),
            }
        }
        others
    }
}

/// The column that breaks the order: the one without which the others would stand in order, if one alone does.
fn moved(at: &[usize]) -> Option<usize> {
    let in_order = |skipped: Option<usize>| {
        let rest: Vec<usize> =
            at.iter().enumerate().filter(|(index, _)| Some(*index) != skipped).map(|(_, p)| *p).collect();
        rest.is_sorted()
    };
    if in_order(None) {
        return None;
    }
    let alone = (0..at.len()).find(|index| in_order(Some(*index)));
    alone.or_else(|| at.windows(2).position(|pair| pair[0] > pair[1]).map(|index| index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ours() -> Vec<String> {
        COLUMNS.map(|column| column.header().to_owned()).to_vec()
    }

    #[test]
    fn a_fresh_tab_is_one_block() {
        let layout = Layout::find(&ours()).unwrap();
        assert_eq!(layout, Layout::fresh());
        assert_eq!(layout.blocks(), [Block { first: 0, columns: 0..COLUMNS.len() }]);
        assert_eq!(layout.others(COLUMNS.len() + 3), [(COLUMNS.len(), COLUMNS.len() + 2)]);
    }

    #[test]
    fn columns_of_other_people_split_ours_and_stay_theirs() {
        let mut header = ours();
        header.insert(0, "my notes".to_owned());
        header.insert(5, String::new());
        header.insert(6, "follow-up".to_owned());
        header.push("Key".to_owned());
        let layout = Layout::find(&header).unwrap();
        assert_eq!(layout.key(), 1);
        let blocks = layout.blocks();
        assert_eq!(blocks, [Block { first: 1, columns: 0..4 }, Block { first: 7, columns: 4..COLUMNS.len() }]);
        assert_eq!(layout.others(header.len()), [(0, 0), (5, 6), (header.len() - 1, header.len() - 1)]);
    }

    #[test]
    fn a_header_that_is_not_where_it_belongs_is_named() {
        let with = |change: &dyn Fn(&mut Vec<String>)| {
            let mut header = ours();
            change(&mut header);
            Layout::find(&header).unwrap_err()
        };
        assert_eq!(with(&|h| h[9] = "prio".to_owned()), Misfit::Missing("priority"));
        assert_eq!(with(&|h| h[9] = "Priority".to_owned()), Misfit::Missing("priority"));
        assert_eq!(
            with(&|h| {
                h.remove(0);
            }),
            Misfit::Missing("key")
        );
        assert_eq!(with(&|h| h.push("summary".to_owned())), Misfit::Doubled("summary", 6, COLUMNS.len()));
        assert_eq!(
            with(&|h| {
                let moved = h.remove(9);
                h.insert(1, moved);
            }),
            Misfit::Moved("priority", 1)
        );
        assert_eq!(
            with(&|h| {
                let moved = h.remove(1);
                h.insert(12, moved);
            }),
            Misfit::Moved("site", 12)
        );
        assert_eq!(with(&|h| h.iter_mut().for_each(String::clear)), Misfit::Blank);
        assert_eq!(with(&|h| h.clear()), Misfit::Blank);
        let told = Misfit::Moved("priority", 1).to_string();
        assert_eq!(told, "the header \"priority\" was moved; it stands in column B now");
    }

    proptest! {
        #[test]
        fn every_column_is_in_one_block_and_every_other_place_is_not_ours(at in proptest::collection::vec(0usize..30, 0..12)) {
            let mut header = ours();
            for (number, place) in at.into_iter().enumerate() {
                header.insert(place.min(header.len()), format!("other {number}"));
            }
            let layout = Layout::find(&header).unwrap();
            let mut seen = vec![None; header.len()];
            for block in layout.blocks() {
                for (offset, column) in block.columns.clone().enumerate() {
                    prop_assert_eq!(&header[block.first + offset], COLUMNS[column].header());
                    seen[block.first + offset] = Some(column);
                }
            }
            for (first, last) in layout.others(header.len()) {
                prop_assert!((first..=last).all(|place| seen[place].is_none() && header[place].starts_with("other")));
            }
            prop_assert_eq!(seen.iter().flatten().count(), COLUMNS.len());
        }
    }
}
