//! "Did you mean ...?" for misspelt names.

/// The known name that `name` most likely stands for; `None` if none is near enough to be meant.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A third of the letters may be wrong, and two in a short name: more, and the guess misleads.
    within(name, known, (name.chars().count() / 3).max(2))
}

/// The known name that differs from `name` by at most two letters: for names that may be somebody
/// else's, where a long common ending must not count as likeness.
pub(super) fn slip<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    within(name, known, 2)
}

fn within<'k>(name: &str, known: impl IntoIterator<Item = &'k str>, limit: usize) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How to mend an unknown name: the nearest known one, or else to remove it.
pub(super) fn rename_or_remove<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(name, known).map_or_else(|| "remove it".to_owned(), |known| format!("did you mean {known}? else remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["analysis.quiet", "analysis.max_wait", "dry_run"];
        assert_eq!(nearest("analysis.quite", known), Some("analysis.quiet"));
        assert_eq!(nearest("analysis.maxwait", known), Some("analysis.max_wait"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("BUMBLEBEE_USERNAME", ["MEETME_USERNAME"]), Some("MEETME_USERNAME"));
        assert_eq!(slip("BUMBLEBEE_USERNAME", ["MEETME_USERNAME"]), None);
    }
}
