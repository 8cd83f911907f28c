//! A place for each connection, with a key that nobody else's connection ever has.

/// Names a connection, also to the kernel and to the daemon. Places are used again, keys are not, within reason: after
/// some hundred thousand others in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    place: u16,
    /// 15 bits.
    turn: u16,
}

/// Bits of a token below which the connection's two sides are told apart.
const SIDE_BITS: u32 = 1;

impl Key {
    /// What the daemon calls it. Never `u32::MAX`.
    pub(super) const fn id(self) -> u32 {
        ((self.turn as u32) << 16) | self.place as u32
    }

    /// What the kernel calls one of its two sockets.
    pub(super) fn token(self, is_upstream: bool) -> u64 {
        (u64::from(self.id()) << SIDE_BITS) | u64::from(is_upstream)
    }

    /// Whether a token is that of the server's side.
    pub(super) const fn is_upstream(token: u64) -> bool {
        token & 1 == 1
    }

    const fn from_id(id: u32) -> Self {
        Self { place: (id & 0xffff) as u16, turn: (id >> 16) as u16 }
    }
}

impl From<u64> for Key {
    fn from(token: u64) -> Self {
        Self::from_id(u32::try_from(token >> SIDE_BITS).unwrap_or(u32::MAX))
    }
}

/// Places.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<(u16, Option<T>)>,
    free: Vec<u16>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes a place. There are fewer connections than 65,536, which is for the caller to see to.
    pub(super) fn insert(&mut self, value: T) -> Key {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u16::try_from(self.places.len() - 1).unwrap_or(u16::MAX)
        });
        let (turn, held) = &mut self.places[usize::from(place)];
        *held = Some(value);
        Key { place, turn: *turn }
    }

    /// Who has a key, if he is still there.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut T> {
        let (turn, held) = self.places.get_mut(usize::from(key.place))?;
        if *turn == key.turn { held.as_mut() } else { None }
    }

    /// Who has what the daemon calls so.
    pub(super) fn with_id(&mut self, id: u32) -> Option<(Key, &mut T)> {
        let key = Key::from_id(id);
        self.get(key).map(|value| (key, value))
    }

    /// Gives a place back.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let (turn, held) = self.places.get_mut(usize::from(key.place))?;
        if *turn != key.turn {
            return None;
        }
        let value = held.take()?;
        *turn = (*turn + 1) & 0x7fff;
        self.free.push(key.place);
        Some(value)
    }

    /// All that are there, for a change.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|(_, held)| held.as_mut())
    }

    /// All that are there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(place, (turn, held))| {
            let place = u16::try_from(place).ok()?;
            held.as_ref().map(|value| (Key { place, turn: *turn }, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_for_one_connection() {
        let mut slots = Slots::default();
        let first = slots.insert("a");
        let second = slots.insert("b");
        assert_ne!(first.id(), second.id());
        assert_eq!(Key::from(first.token(true)), first);
        assert!(Key::is_upstream(first.token(true)) && !Key::is_upstream(first.token(false)));
        assert_eq!(slots.remove(first), Some("a"));
        let third = slots.insert("c");
        assert_eq!((third.place, slots.len()), (first.place, 2));
        assert!(slots.get(first).is_none() && slots.remove(first).is_none());
        assert_eq!(slots.with_id(third.id()).map(|(key, held)| (key, *held)), Some((third, "c")));
        assert_eq!(slots.iter().count(), 2);
        assert_eq!(slots.get(Key::from_id(u32::MAX)), None);
    }
}
