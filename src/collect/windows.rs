//! Joins the overlapping windows of a virtualised list into one sequence.
//!
//! Such a page holds only the rows near the viewport. Reading goes from the newest toward the oldest in
//! steps smaller than a window, so two windows share rows; where they do is found by the rows
//! themselves, since the page's nodes are used again for other rows.

use crate::ports::page::ThreadRow;

/// Two windows that follow each other share no row: the step was too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoOverlap;

/// The rows seen so far, oldest first.
#[derive(Debug, Default)]
pub struct Windows {
    rows: Vec<ThreadRow>,
}

impl Windows {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a window that begins at the same row or at an older one than all before. Gives the number
    /// of rows that are new.
    ///
    /// The longest overlap wins: of several ways to join, the one that invents the fewest rows.
    ///
    /// # Errors
    /// [`NoOverlap`]; the sequence is as it was.
    pub fn add_older(&mut self, window: Vec<ThreadRow>) -> Result<usize, NoOverlap> {
        if self.rows.is_empty() {
            self.rows = window;
            return Ok(self.rows.len());
        }
        if window.is_empty() {
            return Ok(0);
        }
        let head = &self.rows[..self.rows.len().min(window.len())];
        // Either the window ends inside what is known, or it lies inside it as a whole.
        if let Some(overlap) = (1..=head.len()).rev().find(|n| window[window.len() - n..] == head[..*n]) {
            let fresh = window.len() - overlap;
            self.rows.splice(0..0, window.into_iter().take(fresh));
            return Ok(fresh);
        }
        let lies_inside = self.rows.windows(window.len()).any(|part| part == window.as_slice());
        if lies_inside { Ok(0) } else { Err(NoOverlap) }
    }

    /// The rows, oldest first.
    pub fn rows(&self) -> &[ThreadRow] {
        &self.rows
    }

    /// Gives the rows away.
    pub fn into_rows(self) -> Vec<ThreadRow> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(text: &str) -> ThreadRow {
        ThreadRow {
            separator: None,
            native_id: None,
            author: Some("a".into()),
            own: false,
            text: Some(text.into()),
            sent_at: None,
            attachments: Vec::new(),
        }
    }

    fn rows(texts: &[u8]) -> Vec<ThreadRow> {
        texts.iter().map(|text| row(&text.to_string())).collect()
    }

    #[test]
    fn windows_without_a_common_row_are_refused() {
        let mut windows = Windows::new();
        windows.add_older(rows(&[5, 6, 7])).unwrap();
        assert_eq!(windows.add_older(rows(&[1, 2, 3])), Err(NoOverlap));
        assert_eq!(windows.add_older(rows(&[3, 4, 5])), Ok(2));
        assert_eq!(windows.rows(), rows(&[3, 4, 5, 6, 7]));
    }

    proptest! {
        #[test]
        fn any_steps_with_overlap_give_the_whole(
            texts in proptest::collection::vec(any::<u8>(), 1..200),
            size in 8usize..30,
            steps in proptest::collection::vec(1usize..7, 200),
        ) {
            // Distinct rows: with ids, or as good as.
            let whole: Vec<ThreadRow> = texts.iter().enumerate().map(|(n, t)| row(&format!("{n}:{t}"))).collect();
            let mut windows = Windows::new();
            let mut begin = whole.len().saturating_sub(size);
            let mut steps = steps.into_iter();
            loop {
                windows.add_older(whole[begin..(begin + size).min(whole.len())].to_vec()).unwrap();
                if begin == 0 { break }
                begin = begin.saturating_sub(steps.next().unwrap_or(3));
            }
            prop_assert_eq!(windows.into_rows(), whole);
        }

        #[test]
        fn equal_rows_in_a_run_are_not_multiplied(copies in 1usize..20, others in 20usize..40) {
            let mut texts: Vec<u8> = (0..u8::try_from(others).unwrap()).collect();
            texts.splice(10..10, std::iter::repeat_n(200, copies));
            let whole = rows(&texts);
            let size = copies + 8;
            let mut windows = Windows::new();
            let mut begin = whole.len().saturating_sub(size);
            loop {
                windows.add_older(whole[begin..(begin + size).min(whole.len())].to_vec()).unwrap();
                if begin == 0 { break }
                begin = begin.saturating_sub(3);
            }
            prop_assert_eq!(windows.into_rows(), whole);
        }
    }
}
