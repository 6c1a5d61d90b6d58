//! Who has which 16 ids now. Counts inside the service's user namespace, where ids 1 to 65 536 are the lent range.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Ids in one block: container root, the job's user, and room for an image that needs a few more.
pub const BLOCK: u32 = 16;

/// The blocks that no live container holds. Clones share them; safe to use from several threads.
///
/// A block that comes back waits behind all the others, so that it rests as long as possible before the next container
/// gets its ids: whatever a dead job left behind under them meets no new owner soon.
#[derive(Clone, Debug)]
pub struct IdBlocks {
    resting: Arc<Mutex<VecDeque<u32>>>,
}

/// Sixteen ids of one live container; they go back when this is dropped.
#[derive(Debug)]
#[must_use = "the ids are free again as soon as this is dropped"]
pub struct IdBlock {
    first: u32,
    home: IdBlocks,
}

/// One line of an id map as `user_namespaces(7)` has it: `size` ids from `container` on are those from `host` on, where
/// "host" is the service's own user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMapping {
    /// First id inside the container.
    pub container: u32,
    /// First id outside it.
    pub host: u32,
    /// How many.
    pub size: u32,
}

impl IdBlocks {
    /// Blocks out of the `count` ids from `first` on. A rest too small for a block stays unused, and so does what would
    /// lie beyond the largest id, 2³² − 2 (2³² − 1 means "no id" to the kernel).
    #[must_use]
    pub fn new(first: u32, count: u32) -> Self {
        let end = first.saturating_add(count);
        let starts = (0..count / BLOCK).map_while(|n| first.checked_add(n * BLOCK));
        let resting = starts.take_while(|start| start.checked_add(BLOCK).is_some_and(|over| over <= end)).collect();
        Self { resting: Arc::new(Mutex::new(resting)) }
    }

    /// The block that has rested longest; `None` when every block is out.
    pub fn take(&self) -> Option<IdBlock> {
        let first = self.lock().pop_front()?;
        Some(IdBlock { first, home: self.clone() })
    }

    /// How many blocks are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.lock().len()
    }

    /// A thread that panicked in here cannot have left the queue half changed: push and pop are its only uses.
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u32>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdBlock {
    /// The job's user inside a container.
    pub const JOB: u32 = 1000;

    /// What container uid and gid 0 are outside.
    #[must_use]
    pub const fn root(&self) -> u32 {
        self.first
    }

    /// What container uid and gid [`Self::JOB`] are outside.
    #[must_use]
    pub const fn job(&self) -> u32 {
        self.first + 1
    }

    /// The id map of the container, for uids and gids alike: root and the job's user, nothing else.
    #[must_use]
    pub const fn mapping(&self) -> [IdMapping; 2] {
        [
            IdMapping { container: 0, host: self.root(), size: 1 },
            IdMapping { container: Self::JOB, host: self.job(), size: 1 },
        ]
    }
}

impl Drop for IdBlock {
    fn drop(&mut self) {
        self.home.lock().push_back(self.first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn the_whole_range_makes_4096_blocks_within_it() {
        let blocks = IdBlocks::new(1, 65_536);
        assert_eq!(blocks.free(), 4096);
        let all: Vec<_> = std::iter::from_fn(|| blocks.take()).collect();
        assert_eq!(all.iter().map(IdBlock::root).max(), Some(65_536 - 15));
        assert!(blocks.take().is_none());
        drop(all);
        assert_eq!(blocks.free(), 4096);
    }

    #[test]
    fn a_returned_block_rests_longest() {
        let blocks = IdBlocks::new(1, 48);
        let first = blocks.take().unwrap();
        let came_back = first.root();
        drop(first);
        let (a, b, c) = (blocks.take().unwrap(), blocks.take().unwrap(), blocks.take().unwrap());
        assert_eq!([a.root(), b.root(), c.root()], [17, 33, came_back]);
    }

    #[test]
    fn a_container_sees_two_ids_of_its_block() {
        let block = IdBlocks::new(1, 16).take().unwrap();
        assert_eq!((block.root(), block.job()), (1, 2));
        assert_eq!(
            block.mapping(),
            [IdMapping { container: 0, host: 1, size: 1 }, IdMapping { container: 1000, host: 2, size: 1 }]
        );
    }

    #[test]
    fn threads_never_share_a_block() {
        let blocks = IdBlocks::new(1, 64 * BLOCK);
        let live = Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let block = blocks.take().unwrap();
                        assert!(live.lock().unwrap().insert(block.root()), "given out twice");
                        live.lock().unwrap().remove(&block.root());
                    }
                });
            }
        });
        assert_eq!(blocks.free(), 64);
    }

    proptest! {
        #[test]
        fn live_blocks_never_overlap(
            first in prop_oneof![1u32..100_000, u32::MAX - 300..],
            count in 0u32..600,
            script in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
        ) {
            let blocks = IdBlocks::new(first, count);
            let total = blocks.free();
            prop_assert!(total <= (count / BLOCK) as usize);
            let mut live: Vec<IdBlock> = Vec::new();
            for (take, which) in script {
                if take {
                    live.extend(blocks.take());
                } else if !live.is_empty() {
                    drop(live.swap_remove(which.index(live.len())));
                }
                prop_assert_eq!(live.len() + blocks.free(), total);
                let mut ids = HashSet::new();
                for block in &live {
                    let end = u64::from(block.root()) + u64::from(BLOCK);
                    prop_assert!(block.root() >= first && end <= u64::from(first) + u64::from(count));
                    prop_assert!(end <= u64::from(u32::MAX));
                    for id in u64::from(block.root())..end {
                        prop_assert!(ids.insert(id), "{} is in two live blocks", id);
                    }
                }
            }
        }
    }
}
