//! Who watches a registry: told of each request, when it arrives and when it is served, and able to cut it.

use std::fmt;
use std::sync::Arc;

use super::fault::Asked;

/// Somebody to tell, or nobody. The registry waits until he has been told.
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<Watcher>>);

type Watcher = dyn Fn(&Seen<'_>) -> Verdict + Send + Sync;

/// What there is to tell.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The request's number, from 1 in the order in which they arrive.
    pub number: u64,
    /// The request.
    pub asked: &'a Asked,
    /// How far it is.
    pub moment: Moment<'a>,
}

/// How far a request is.
#[derive(Debug, Clone, Copy)]
pub enum Moment<'a> {
    /// Its head was read, and nothing is done.
    Arrived,
    /// It is done, and nothing is answered.
    Served {
        /// The status of the answer; `None` if the connection is cut before it.
        status: Option<u16>,
        /// The faults that it met, as they were written.
        met: &'a [String],
    },
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Go,
    /// The connection ends here.
    Cut,
}

impl Watch {
    /// Tells this one.
    pub fn new(watch: impl Fn(&Seen<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    /// Tells whoever watches.
    pub(super) fn tell(&self, seen: &Seen<'_>) -> Verdict {
        match &self.0 {
            // He may take his time; the other requests go on.
            Some(watch) => tokio::task::block_in_place(|| watch(seen)),
            None => Verdict::Go,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(somebody)" } else { "Watch(nobody)" })
    }
}
