//! What a container leaves behind, and how it goes.

use std::path::PathBuf;

use super::workdir::Workdir;
use crate::cgroup::Leaf;
use crate::host::ids::IdBlock;
use crate::host::stage::Root;
use crate::runtime::{Container, RuntimeError};
use crate::telemetry::{carried, chain};

/// To be cleared once the result of the step is known. The order of going: the container first, then its root and its
/// directory, and then the ids may be given to somebody else.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) container: Option<Container>,
    pub(super) leaf: Option<Leaf>,
    pub(super) root: Option<Root>,
    pub(super) workdir: Option<Workdir>,
    pub(super) block: Option<IdBlock>,
    /// The container's name, and that of its leaf.
    pub(super) name: String,
}

impl Remains {
    /// Kills what still lives and removes everything.
    pub(super) async fn clear(mut self) {
        if let Some(leaf) = &self.leaf {
            leaf.lift_cpu();
        }
        let mut gone = true;
        if let Some(container) = self.container.take() {
            gone = told(&container.clear().await);
        }
        // Unmounting and removing cgroups may wait for the kernel. Should the thread be refused, dropping does it here.
        let _ = tokio::task::spawn_blocking(carried(move || self.remove(gone))).await;
    }

    /// The directory for the bundle.
    pub(super) fn bundle(&self) -> Option<PathBuf> {
        self.workdir.as_ref().map(Workdir::bundle)
    }

    /// `gone` is whether the container certainly is.
    fn remove(&mut self, mut gone: bool) {
        if let Some(leaf) = self.leaf.take() {
            leaf.kill();
            if let Err(error) = leaf.remove() {
                gone = false;
                tracing::error!("a cgroup stays behind for now: {}", chain(&error));
            }
        }
        if let Some(root) = self.root.take().filter(|_| gone) {
            root.give_back();
        }
        drop(self.workdir.take());
        drop(self.block.take());
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(container) = self.container.take() {
            told(&container.abandon());
            self.remove(false);
        } else {
            self.remove(true);
        }
    }
}

/// Whether the container's notes are gone; if not, the log says why.
fn told(removed: &Result<(), RuntimeError>) -> bool {
    if let Err(error) = removed {
        tracing::error!("a container's notes stay behind: {}", chain(error));
    }
    removed.is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::runtime::container::tests::pretended;

    #[test]
    fn nothing_is_left_of_a_container_that_was_dropped_half_way() {
        let state = tempfile::tempdir().unwrap();
        let (container, mut process) = pretended(state.path(), "c0");
        let name = "c0".to_owned();
        drop(Remains { container: Some(container), leaf: None, root: None, workdir: None, block: None, name });
        assert_eq!(process.wait().unwrap().signal(), Some(9));
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "the runtime's notes");
    }
}
