//! User and group ids that are nobody's: the ranges that `/etc/subuid` and `/etc/subgid` lend to the serving user, and
//! the blocks of 16 that each live container gets out of them.
//!
//! Reads those files; never writes them (`provision` does) and maps nothing (`userns` does).

mod blocks;
mod subordinate;

pub use blocks::{BLOCK, IdBlock, IdBlocks, IdMapping};
pub use subordinate::{
    IdRange, Lent, Owner, RANGE, SubIdEntry, SubIds, SubIdsError, find_free, has, mapped, parse, range_for,
    subordinate, words,
};
