//! Decides how wide each column of a table is, and which ones are left out.

/// What a column asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// Width of its widest cell.
    pub(crate) natural: usize,
    /// Width below which it is not worth showing; at most `natural`.
    pub(crate) min: usize,
    /// The column with the highest rank is left out first; those of rank 0 last, the rightmost of them first.
    pub(crate) rank: u8,
}

/// Widths of the columns, `None` for those that are left out, with `gap` between neighbours.
///
/// The sum exceeds `available` only where a single column of rank 0 does.
pub(crate) fn fit(wants: &[Want], available: usize, gap: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = wants.iter().map(|want| Some(want.min)).collect();
    while total(&widths, gap) > available {
        let kept: Vec<usize> = (0..wants.len()).filter(|i| widths[*i].is_some()).collect();
        // The last of several maxima is the rightmost one.
        let optional = kept.iter().filter(|i| wants[**i].rank > 0);
        let next = optional.max_by_key(|i| wants[**i].rank);
        let Some(next) = next.or_else(|| kept.iter().skip(1).last()) else {
            return widths;
        };
        widths[*next] = None;
    }
    let spare = available.saturating_sub(total(&widths, gap));
    grow(&mut widths, wants, spare);
    widths
}

/// Hands spare width to the columns that lack some: those of rank 0 grow twice as wide as the
/// others.
fn grow(widths: &mut [Option<usize>], wants: &[Want], mut spare: usize) {
    while spare > 0 {
        let share =
            |(width, want): &(&mut usize, &Want)| **width * if want.rank == 0 { 1 } else { 2 };
        let columns = widths.iter_mut().zip(wants);
        let shown = columns.filter_map(|(width, want)| width.as_mut().map(|width| (width, want)));
        let hungry = shown.filter(|(width, want)| **width < want.natural);
        let Some((smallest, _)) = hungry.min_by_key(share) else {
            return;
        };
        *smallest += 1;
        spare -= 1;
    }
}

fn total(widths: &[Option<usize>], gap: usize) -> usize {
    let shown = widths.iter().flatten().count();
    widths.iter().flatten().sum::<usize>() + gap * shown.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn want(natural: usize, min: usize, rank: u8) -> Want {
        Want { natural, min, rank }
    }

    #[test]
    fn where_there_is_room_everything_has_its_natural_width() {
        let wants = [want(30, 10, 0), want(6, 6, 1)];
        assert_eq!(fit(&wants, usize::MAX, 2), [Some(30), Some(6)]);
    }

    #[test]
    fn flexible_columns_shrink_before_any_is_left_out() {
        let wants = [want(30, 10, 0), want(6, 6, 1)];
        assert_eq!(fit(&wants, 20, 2), [Some(12), Some(6)]);
        assert_eq!(fit(&wants, 17, 2), [Some(17), None]);
    }

    #[test]
    fn the_highest_rank_is_left_out_first() {
        let wants = [want(5, 5, 0), want(5, 5, 2), want(5, 5, 1)];
        assert_eq!(fit(&wants, 12, 2), [Some(5), None, Some(5)]);
        assert_eq!(fit(&wants, 1, 2), [Some(5), None, None]);
    }

    #[test]
    fn a_column_that_finds_no_room_is_left_out_and_never_cut() {
        let wants = [want(20, 5, 0), want(5, 5, 0), want(9, 9, 0)];
        assert_eq!(fit(&wants, 21, 1), [Some(5), Some(5), Some(9)]);
        assert_eq!(fit(&wants, 20, 1), [Some(14), Some(5), None]);
    }

    proptest! {
        #[test]
        fn the_columns_fit_or_only_one_is_left(
            asked in proptest::collection::vec((0usize..80, 0usize..30, 0u8..5), 0..10),
            available in 0usize..200,
        ) {
            let wants = asked.iter().map(|(a, b, rank)| want(a + b, *b, *rank));
            let wants: Vec<Want> = wants.collect();
            let widths = fit(&wants, available, 2);
            let one_is_left = widths.iter().flatten().count() == 1;
            prop_assert!(total(&widths, 2) <= available || one_is_left);
        }
    }
}
