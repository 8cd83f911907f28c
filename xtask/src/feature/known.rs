//! Which properties a kind of metadata may have: every other one is told.

use super::json::{Json, Object};
use super::problem::Problems;

/// The properties that a kind of metadata may have, each with the shape of its value.
pub(crate) struct Known<S: 'static> {
    /// What the kind is called, of more than one: `Features`.
    pub(crate) of: &'static str,
    /// Names and shapes.
    pub(crate) properties: &'static [(&'static str, S)],
    /// What is said of names that belong somewhere else.
    pub(crate) misplaced: &'static [(&'static str, &'static str)],
}

impl<S: Copy> Known<S> {
    /// Has the shape of every known property checked, and tells every other.
    pub(crate) fn check(
        &self,
        metadata: &Object,
        problems: &mut Problems<'_>,
        check_shape: impl Fn(&str, S, &Json, &mut Problems<'_>),
    ) {
        for (name, value) in metadata.iter() {
            match self.properties.iter().find(|(known, _)| *known == name) {
                Some((_, shape)) => check_shape(name, *shape, value, problems),
                None => problems.add(self.unknown(name)),
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        if let Some((_, sentence)) = self.misplaced.iter().find(|(misplaced, _)| *misplaced == name) {
            return (*sentence).to_owned();
        }
        match self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((known, _)) => format!("unknown property \"{name}\"; write \"{known}\""),
            None => {
                format!("unknown property \"{name}\"; the specification of {} has none of that name", self.of)
            }
        }
    }
}
