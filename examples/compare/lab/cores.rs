//! On which cores the server and the load run.
//!
//! Owns the division of the cores: the server gets the first one and the load the second one, so
//! that neither takes time from the other. On a machine with one core, and where the platform
//! cannot pin, the system decides.

/// The cores that this process may use.
pub(crate) fn available() -> Vec<usize> {
    imp::available()
}

/// Pins this thread, and those that it starts from now on, to some cores. An empty list, an
/// error, and a platform that cannot pin change nothing.
pub(crate) fn pin(cores: &[usize]) {
    if !cores.is_empty() {
        imp::pin(cores);
    }
}

/// The cores of a server, and the core of the load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) all: Vec<usize>,
    /// The one core of a server. Empty if there is only one core, or if none can be pinned.
    pub(crate) server: Vec<usize>,
    pub(crate) load: Vec<usize>,
}

impl Cores {
    pub(crate) fn divide(all: Vec<usize>) -> Self {
        match *all {
            [server, load, ..] => Self { server: vec![server], load: vec![load], all },
            _ => Self { all, ..Self::default() },
        }
    }

    pub(crate) const fn is_divided(&self) -> bool {
        !self.server.is_empty()
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    const THIS_THREAD: Pid = Pid::from_raw(0);

    pub(super) fn available() -> Vec<usize> {
        let Ok(set) = sched_getaffinity(THIS_THREAD) else { return Vec::new() };
        (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
    }

    pub(super) fn pin(cores: &[usize]) {
        let mut set = CpuSet::new();
        if cores.iter().all(|core| set.set(*core).is_ok()) {
            let _ = sched_setaffinity(THIS_THREAD, &set);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn available() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn pin(_: &[usize]) {}
}

#[cfg(test)]
mod tests {
    use super::Cores;

    #[test]
    fn two_cores_are_divided_and_one_is_not() {
        let cores = Cores::divide(vec![3, 5, 7]);
        assert_eq!((cores.server, cores.load, cores.all), (vec![3], vec![5], vec![3, 5, 7]));
        assert!(!Cores::divide(vec![0]).is_divided());
        assert!(!Cores::divide(Vec::new()).is_divided());
    }
}
