//! Where messages stand in their conversation: the order of the page, kept as numbers with gaps.

use std::collections::BTreeSet;

/// The distance between neighbours that were read together: room for twenty halvings.
pub const STEP: i64 = 1 << 20;

/// Gives each message of a reading its position, oldest first. `window` holds the positions of those
/// that are known, `known` all known positions of the conversation.
///
/// A known message keeps its position; those between two known ones are spread between them; those
/// after the last known one of the reading come after everything that is known.
pub fn assign(window: &[Option<i64>], known: &BTreeSet<i64>) -> Vec<i64> {
    let mut positions = Vec::with_capacity(window.len());
    let mut index = 0;
    let mut before: Option<i64> = None;
    while index < window.len() {
        if let Some(position) = window[index] {
            positions.push(position);
            before = Some(position);
            index += 1;
            continue;
        }
        let run = window[index..].iter().take_while(|position| position.is_none()).count();
        let after = window.get(index + run).copied().flatten();
        positions.extend(spread(run, before, after, known));
        index += run;
    }
    positions
}

fn spread(run: usize, before: Option<i64>, after: Option<i64>, known: &BTreeSet<i64>) -> Vec<i64> {
    let count = i64::try_from(run).unwrap_or(i64::MAX / STEP);
    match (before, after) {
        // News at the end, or a first reading.
        (_, None) => {
            let first = known.last().map_or(0, |last| last + STEP);
            (0..count).map(|n| first + n * STEP).collect()
        }
        (before, Some(after)) => {
            let floor = before.or_else(|| known.range(..after).next_back().copied());
            match floor {
                Some(floor) => (1..=count).map(|n| between(floor, after, n, count)).collect(),
                // Older than everything known.
                None => (0..count).map(|n| after - (count - n) * STEP).collect(),
            }
        }
    }
}

fn between(floor: i64, ceiling: i64, n: i64, count: i64) -> i64 {
    let share = i128::from(ceiling - floor) * i128::from(n) / i128::from(count + 1);
    floor + i64::try_from(share).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_four_places_where_news_can_stand() {
        let known = BTreeSet::from([0, STEP, 2 * STEP]);
        assert_eq!(assign(&[None, None], &BTreeSet::new()), [0, STEP]);
        assert_eq!(assign(&[Some(2 * STEP), None], &known), [2 * STEP, 3 * STEP]);
        assert_eq!(assign(&[None, Some(0)], &known), [-STEP, 0]);
        assert_eq!(assign(&[Some(0), None, Some(STEP)], &known), [0, STEP / 2, STEP]);
        // A reading that begins in the middle: what is new there comes after the known one before it.
        assert_eq!(assign(&[None, Some(STEP)], &known), [STEP / 2, STEP]);
    }

    proptest! {
        #[test]
        fn a_conversation_that_grows_anywhere_keeps_its_order(inserts in proptest::collection::vec((0usize..50, 1usize..4), 1..12)) {
            let mut positions: Vec<i64> = Vec::new();
            for (place, count) in inserts {
                let known: BTreeSet<i64> = positions.iter().copied().collect();
                let place = place.min(positions.len());
                let mut window: Vec<Option<i64>> = positions.iter().copied().map(Some).collect();
                window.splice(place..place, std::iter::repeat_n(None, count));
                positions = assign(&window, &known);
                prop_assert!(positions.is_sorted(), "{positions:?}");
                prop_assert_eq!(positions.iter().collect::<BTreeSet<_>>().len(), positions.len());
            }
        }
    }
}
