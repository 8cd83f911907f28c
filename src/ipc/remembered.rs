//! The last so many of something.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// A set that forgets its oldest member where it would grow beyond its bound.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    bound: usize,
    members: HashSet<T>,
    order: VecDeque<T>,
}

impl<T: Eq + Hash + Clone> Remembered<T> {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, members: HashSet::new(), order: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, member: T) {
        if !self.members.insert(member.clone()) {
            return;
        }
        self.order.push_back(member);
        while self.order.len() > self.bound {
            if let Some(oldest) = self.order.pop_front() {
                self.members.remove(&oldest);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut few = Remembered::new(2);
        assert!(few.is_empty());
        for member in [1, 2, 1, 3] {
            few.insert(member);
        }
        assert_eq!([1, 2, 3].map(|member| few.contains(&member)), [false, true, true]);
        (0..1000).for_each(|member| few.insert(member));
        assert_eq!((few.members.len(), few.order.len()), (2, 2));
    }
}
