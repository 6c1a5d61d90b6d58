//! How a group is kept from passing its limit of memory by being swapped out. Decides; writes nothing.

use super::CgroupError;

/// What does it on cgroup v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Memory and swap together have the limit (`memory.memsw.limit_in_bytes`, which needs swap accounting).
    Together,
    /// Nothing of the group is swapped out when the group reaches its limit (`memory.swappiness`).
    Never,
    /// There is nothing to swap to. Looked at again for each group: that can change while the service runs.
    Nowhere,
}

impl Guard {
    /// The strongest that there is: `together` and `never` say whether its file can be set, `swaps` is `/proc/swaps`.
    pub(super) fn choose(together: bool, never: bool, swaps: &str) -> Result<Self, CgroupError> {
        match (together, never) {
            (true, _) => Ok(Self::Together),
            (false, true) => Ok(Self::Never),
            (false, false) if none(swaps) => Ok(Self::Nowhere),
            (false, false) => Err(CgroupError::Swap),
        }
    }
}

/// Fails where the machine has where to swap to; also when that cannot be read.
pub(super) fn expect_none() -> Result<(), CgroupError> {
    match std::fs::read_to_string("/proc/swaps") {
        Ok(swaps) if none(&swaps) => Ok(()),
        // A kernel without support for swap has no such file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(CgroupError::Swap),
    }
}

/// `/proc/swaps` has a line of headings, and one for each place to swap to (proc(5)).
fn none(swaps: &str) -> bool {
    swaps.lines().count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
    const SOME: &str = "Filename Type Size Used Priority\n/dev/sda2 partition 1048572 0 -2\n";

    #[test]
    fn the_strongest_that_there_is_or_none_at_all() {
        for (together, never, swaps, expected) in [
            (true, true, SOME, Some(Guard::Together)),
            (true, false, SOME, Some(Guard::Together)),
            (false, true, SOME, Some(Guard::Never)),
            (false, false, NONE, Some(Guard::Nowhere)),
            (false, false, "", Some(Guard::Nowhere)),
            (false, false, SOME, None),
        ] {
            let chosen = Guard::choose(together, never, swaps);
            assert_eq!(chosen.as_ref().ok(), expected.as_ref(), "{together} {never} {swaps}");
            assert!(expected.is_some() || matches!(chosen, Err(CgroupError::Swap)));
        }
    }
}
