//! What a container leaves behind, and how it goes.

use std::path::PathBuf;

use super::workdir::Workdir;
use crate::cgroup::Leaf;
use crate::host::ids::IdBlock;
use crate::host::stage::Root;
use crate::runtime::Container;

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
        if let Some(container) = self.container.take()
            && let Err(error) = container.clear().await
        {
            gone = false;
            tracing::error!(error = &error as &dyn std::error::Error, "a container's notes stay behind");
        }
        // Unmounting and removing cgroups may wait for the kernel. Should the thread be refused, dropping does it here.
        let _ = tokio::task::spawn_blocking(move || self.remove(gone)).await;
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
                tracing::error!(error = &error as &dyn std::error::Error, "a cgroup stays behind");
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
            container.kill();
            self.remove(false);
        } else {
            self.remove(true);
        }
    }
}
