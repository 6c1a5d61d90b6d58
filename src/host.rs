//! The machine under us: subordinate ids, the namespaces of the service, and the set-up that mends what is missing.

pub mod confine;
pub mod ids;
pub mod provision;
pub mod rlimits;
pub mod stage;
pub mod userns;

use std::sync::LazyLock;

/// How many processors this process may use, as it was when this was asked for first: to find out reads several files of
/// the kernel's.
#[must_use]
pub fn processors() -> usize {
    static PROCESSORS: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *PROCESSORS
}
