//! A program that has ended while its children go on spinning: under a share of the processor they can hold the end of
//! the container up for seconds, for process 1 waits with them for the group's next slice of time.

use std::time::Duration;

use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::time::sleep;

use crate::cgroup::Leaf;
use crate::sys::watch::watch;

/// Nobody has used up his share before, so that short programs are not looked at.
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// Lifts the share as soon as the program is over and ends whoever is left. Never resolves. Where the kernel cannot tell who the
/// program is (proc(5), `CONFIG_PROC_CHILDREN`) the end comes a little later.
pub(super) async fn not_held_up(init: Pid, leaf: &Leaf) {
    sleep(FIRST_LOOK).await;
    if let Some(program) = program(init)
        && let Ok(pidfd) = pidfd_open(program, PidfdFlags::NONBLOCK)
        && let Ok(pidfd) = watch(pidfd)
        && pidfd.readable().await.is_ok()
    {
        leaf.lift_cpu();
        // Process 1 would do it by its own end, if it got its turn among them.
        leaf.kill_but(init);
    }
    std::future::pending::<()>().await;
}

/// The first child of process 1. Orphans come to it later, and it ends itself once it has seen the program's end.
fn program(init: Pid) -> Option<rustix::process::Pid> {
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).ok()?;
    rustix::process::Pid::from_raw(children.split(' ').next()?.parse().ok()?)
}
