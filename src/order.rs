//! The order of a few things of any kind, by code that is there once: a sort of the standard library's is 7 KiB of
//! WebAssembly for each kind that it sorts, all of which Envoy compiles before the filter serves.

use core::cmp::Ordering;

/// The indexes of `count` things in the order of `compare`, which is given two of them. Things that are equal keep their
/// order. For what is sorted once for a policy, since each comparison is a call.
pub fn order(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| compare(*one, *other));
    order
}

/// `things` in the order of `compare`, as [`order`] puts them.
pub fn ordered<T>(things: Vec<T>, mut compare: impl FnMut(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(things.len(), &mut |one, other| match (things.get(one), things.get(other)) {
        (Some(one), Some(other)) => compare(one, other),
        _ => Ordering::Equal,
    });
    let mut things: Vec<Option<T>> = things.into_iter().map(Some).collect();
    order.into_iter().filter_map(|index| things.get_mut(index)?.take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_order_and_equal_ones_as_they_were() {
        let things = vec![("b", 1), ("a", 2), ("b", 3), ("", 4), ("a", 5)];
        let ordered = ordered(things, |one, other| one.0.cmp(other.0));
        assert_eq!(ordered, [("", 4), ("a", 2), ("a", 5), ("b", 1), ("b", 3)]);
    }
}
