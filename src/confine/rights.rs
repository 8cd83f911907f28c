//! What a process of the cell holds no longer: capabilities, and core dumps.

use rustix::io::{Errno, Result};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Empties every set of the calling thread: effective, permitted, inheritable and ambient, and the bounding set where
/// the thread may. Where it may not, `no_new_privs` keeps any program from gaining what is left in there.
pub fn empty_capabilities() -> Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let held = rustix::thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for bit in 0..u64::BITS {
            match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(
                1 << bit,
            )) {
                Ok(()) => {}
                // Beyond the last one that this kernel knows.
                Err(Errno::INVAL) => break,
                Err(error) => return Err(error),
            }
        }
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )
}

/// No core dump, for good. The limit is 1 and not 0: the kernel takes 0 for no limit where it pipes dumps to a program
/// of the machine's, and 1 for none at all; no file would be that small.
pub fn core_limit() -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Core).maximum.map_or(1, |maximum| maximum.min(1));
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(limit), maximum: Some(limit) })
}
