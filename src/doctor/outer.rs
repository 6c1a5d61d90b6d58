//! A filter of system calls that was there before casemate, as container engines have one: which calls it refuses of those
//! that no launch can do without.

use std::io::{self, Read, Write};

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;

use crate::host::provision::{Finding, Problem};
use crate::seccomp::Call;
use crate::sys::fork::{Side, fork};
use crate::sys::probe::errno_of;

/// To arguments that mean nothing the kernel says that they do (EINVAL, EFAULT), whoever asks.
const ANYBODY: [&str; 5] = ["clone", "mount", "seccomp", "umount2", "unshare"];
/// Here it asks for a capability first, which whoever made the namespace has.
const PRIVILEGED: [&str; 2] = ["pivot_root", "sethostname"];

/// What is refused, if anything is. Asked in a child, which is in a user namespace afterwards; to be called while there is one
/// thread, and before a filter of our own.
///
/// # Errors
/// What the kernel refused of a pipe or a child.
pub fn outer_filter() -> io::Result<Option<Finding>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let filtered = status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]));
    if !filtered {
        return Ok(None);
    }
    let (mut from, mut to) = io::pipe()?;
    let child = match fork()? {
        Side::Child => {
            drop(from);
            let mut refused: Vec<&str> = ANYBODY.into_iter().filter(|name| refuses(name)).collect();
            let own = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
            if unshare(own).is_ok() {
                refused.extend(PRIVILEGED.into_iter().filter(|name| refuses(name)));
            }
            // Whoever would read it is gone, then.
            let _ = to.write_all(refused.join(", ").as_bytes());
            std::process::exit(0);
        }
        Side::Parent(child) => child,
    };
    drop(to);
    let mut refused = String::new();
    from.read_to_string(&mut refused)?;
    waitpid(child, None)?;
    Ok((!refused.is_empty()).then(|| finding(&refused)))
}

/// Filters say EPERM, or that there is no such call.
fn refuses(name: &str) -> bool {
    let number = Call::of(name).ok().and_then(|call| call.number);
    number.is_some_and(|number| matches!(errno_of(number), libc::EPERM | libc::ENOSYS))
}

fn finding(refused: &str) -> Finding {
    Finding::missing(
        Problem::OuterFilter,
        "outer filter",
        format!("a filter of system calls that was there before casemate refuses {refused}"),
        "give the container another one: podman's own with two calls more (docs/CONTAINERS.md); docker run --security-opt \
         seccomp=unconfined; Kubernetes seccompProfile: Unconfined, or one of type Localhost; systemd: SystemCallFilter=",
    )
}
