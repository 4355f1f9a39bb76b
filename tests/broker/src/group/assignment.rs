//! Sharing partitions out among the members of a group: evenly, and moving as few as that allows.

use crate::names::ConsumerId;

/// The new owner of each partition. `owners` are the present ones by partition, `members` the consumers that take
/// part, in the order in which they joined. Every member gets the same number of partitions, give or take one; a
/// partition moves only where its owner has left or has more than its share.
pub(crate) fn share(owners: &[Option<ConsumerId>], members: &[ConsumerId]) -> Vec<Option<ConsumerId>> {
    if members.is_empty() {
        return vec![None; owners.len()];
    }
    let owned = |member: &ConsumerId| owners.iter().filter(|owner| **owner == Some(*member)).count();
    let mut quotas: Vec<Quota> =
        members.iter().map(|member| Quota { member: *member, owned: owned(member), left: 0 }).collect();
    // The partitions that do not divide evenly go to those who own most already: fewer have to move.
    quotas.sort_by_key(|quota| std::cmp::Reverse(quota.owned));
    let (each, over) = (owners.len() / members.len(), owners.len() % members.len());
    for (place, quota) in quotas.iter_mut().enumerate() {
        quota.left = each + usize::from(place < over);
    }

    let mut shared: Vec<Option<ConsumerId>> = owners
        .iter()
        .map(|owner| {
            let quota = quotas.iter_mut().find(|quota| Some(quota.member) == *owner && quota.left > 0)?;
            quota.left -= 1;
            Some(quota.member)
        })
        .collect();
    let mut free = quotas.iter().flat_map(|quota| std::iter::repeat_n(quota.member, quota.left));
    for owner in shared.iter_mut().filter(|owner| owner.is_none()) {
        *owner = free.next();
    }
    shared
}

struct Quota {
    member: ConsumerId,
    owned: usize,
    left: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(numbers: &[u64]) -> Vec<ConsumerId> {
        numbers.iter().copied().map(ConsumerId).collect()
    }

    fn owners(numbers: &[u64]) -> Vec<Option<ConsumerId>> {
        numbers.iter().map(|&number| (number > 0).then_some(ConsumerId(number))).collect()
    }

    #[test]
    fn shares() {
        // (present owners, members, new owners); 0 is nobody.
        let table: [(&[u64], &[u64], &[u64]); 7] = [
            (&[0, 0, 0, 0], &[1], &[1, 1, 1, 1]),
            (&[1, 1, 1, 1], &[1, 2], &[1, 1, 2, 2]),
            (&[1, 1, 2, 2], &[1, 2, 3], &[1, 1, 2, 3]),
            (&[1, 1, 2, 3], &[2, 3], &[2, 3, 2, 3]),
            (&[1, 2], &[1, 2, 3], &[1, 2]),
            (&[1, 2], &[], &[0, 0]),
            (&[0, 0, 0], &[5, 4], &[5, 5, 4]),
        ];
        for (before, members, after) in table {
            assert_eq!(share(&owners(before), &ids(members)), owners(after), "{before:?} {members:?}");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_even_complete_and_moves_little(
            before in prop::collection::vec(0_u64..6, 0..40),
            members in prop::collection::btree_set(1_u64..6, 1..6),
        ) {
            let members: Vec<ConsumerId> = members.into_iter().map(ConsumerId).collect();
            let before = owners(&before);
            let after = share(&before, &members);
            let count = |owners: &[Option<ConsumerId>], id| owners.iter().filter(|owner| **owner == Some(id)).count();
            let (each, over) = (before.len() / members.len(), before.len() % members.len());
            let mut larger = 0;
            for &member in &members {
                let share = count(&after, member);
                prop_assert!(share == each || share == each + 1);
                larger += usize::from(share == each + 1);
                let kept = before.iter().zip(&after).filter(|(was, is)| **was == Some(member) && was == is).count();
                prop_assert_eq!(kept, share.min(count(&before, member)), "it keeps all that its share has room for");
            }
            prop_assert_eq!(larger, over);
            prop_assert_eq!(share(&after, &members), after, "sharing again moves nothing");
        }
    }
}
