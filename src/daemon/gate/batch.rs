//! How the kernel gives the gate its turns.

/// Has the calling thread, and what it starts, wait for its turn when it is woken, instead of cutting in on who is at
/// work (`SCHED_BATCH` in sched(7)). Where a processor is free that changes nothing; where none is, the gate's threads and
/// workers find several words at once and wake one another less often. Where the kernel says no, it is as it was.
#[expect(unsafe_code, reason = "nothing safe that is linked here makes this call")]
pub(super) fn take_turns() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the parameters, which outlive the call, and changes the calling thread's policy alone.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    /// The 41st field of `proc_pid_stat(5)`; 3 is `SCHED_BATCH`.
    fn policy() -> String {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().nth(38).unwrap().to_owned()
    }

    #[test]
    fn the_thread_that_asks_waits_for_its_turn() {
        let (before, after) = thread::spawn(|| {
            let before = policy();
            super::take_turns();
            (before, policy())
        })
        .join()
        .unwrap();
        assert_eq!(after, "3", "it was {before}");
    }
}
