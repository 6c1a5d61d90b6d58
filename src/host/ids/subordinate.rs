//! `/etc/subuid` and `/etc/subgid` (subuid(5)): what is lent to whom, and where there is room. Reads text; edits nothing.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Ids that the service needs: 4 096 blocks, and what one entry of the files holds by custom.
pub const RANGE: u32 = 65_536;

/// `count` ids from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdRange {
    /// The lowest id.
    pub first: u32,
    /// How many ids; never so many that the last would not be an id.
    pub count: u32,
}

/// One line of either file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubIdEntry {
    /// A login name, or a numeric uid in decimal (in the file of group ids too).
    pub owner: String,
    /// What is lent.
    pub range: IdRange,
}

/// The user whose entries count.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Login name.
    pub name: &'a str,
    /// Uid, where the account exists already.
    pub uid: Option<u32>,
}

/// The ranges of one user that the service will map: [`RANGE`] ids each, outside any user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubIds {
    /// From `/etc/subuid`.
    pub uids: IdRange,
    /// From `/etc/subgid`.
    pub gids: IdRange,
}

/// Why a user has no usable ranges.
#[derive(Debug, Error)]
pub enum SubIdsError {
    /// The file exists and cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No entry of at least [`RANGE`] ids, or all of them reach into another user's.
    #[error("{path} lends `{user}` no range of {RANGE} ids of its own; `casemate setup` adds one")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The serving user.
        user: String,
    },
    /// There are such ids, elsewhere: a container has fewer, or in other pieces.
    #[error("{path} lends `{user}` {}, and {}", words(*lent), has(map))]
    Beyond {
        /// The file.
        path: PathBuf,
        /// The serving user.
        user: String,
        /// The range.
        lent: IdRange,
        /// What the user namespace has.
        map: Vec<IdRange>,
    },
}

/// What is found in one file for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lent {
    /// A range that can be mapped.
    Range(IdRange),
    /// One that cannot be, for the user namespace that this is in has not all of its ids in one piece.
    Beyond(IdRange),
    /// None.
    Nothing,
}

impl Lent {
    /// The range, where it can be mapped.
    #[must_use]
    pub const fn range(&self) -> Option<IdRange> {
        match self {
            Self::Range(range) => Some(*range),
            Self::Beyond(_) | Self::Nothing => None,
        }
    }
}

impl IdRange {
    /// One past the last id.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }

    /// Whether all ids of `other` are in this one.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        self.first <= other.first && other.end() <= self.end()
    }

    /// Whether an id is in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.count > 0 && other.count > 0 && u64::from(self.first) < other.end() && u64::from(other.first) < self.end()
    }
}

impl Owner<'_> {
    fn is(&self, text: &str) -> bool {
        // getsubids(3) and newuidmap(1) accept both spellings.
        text == self.name || self.uid.is_some_and(|uid| text == uid.to_string())
    }
}

/// The entries of one file. A line that subuid(5) does not allow is passed over, as newuidmap(1) does.
#[must_use]
pub fn parse(text: &str) -> Vec<SubIdEntry> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
            let range = IdRange { first: first.parse().ok()?, count: count.parse().ok()? };
            let sound = fields.next().is_none() && !owner.is_empty() && !owner.starts_with('#') && range.count > 0;
            (sound && range.end() <= u64::from(u32::MAX)).then(|| SubIdEntry { owner: owner.to_owned(), range })
        })
        .collect()
}

/// The ids that a user namespace has, out of the text of its `uid_map` or `gid_map` (user_namespaces(7)). Nothing for what is
/// no map.
#[must_use]
pub fn mapped(text: &str) -> Vec<IdRange> {
    let piece = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, _outside, count) = (words.next()?, words.next()?, words.next()?);
        Some(IdRange { first: first.parse().ok()?, count: count.parse().ok()? })
    };
    text.lines().filter_map(piece).collect()
}

/// The first [`RANGE`] ids of the first entry of `owner` that has as many and that can be mapped. Several smaller entries do
/// not count: the service maps one piece, which the kernel takes out of one piece of the `map` that this process is in
/// alone; an empty one has everything. Nor does an entry count that reaches into another user's: his processes would have
/// our jobs' ids.
#[must_use]
pub fn range_for(entries: &[SubIdEntry], owner: Owner<'_>, map: &[IdRange]) -> Lent {
    let own = entries
        .iter()
        .filter(|entry| owner.is(&entry.owner) && entry.range.count >= RANGE)
        .map(|entry| IdRange { first: entry.range.first, count: RANGE })
        .filter(|range| !entries.iter().any(|other| !owner.is(&other.owner) && other.range.overlaps(*range)));
    let mut beyond = Lent::Nothing;
    for range in own {
        if map.is_empty() || map.iter().any(|piece| piece.holds(range)) {
            return Lent::Range(range);
        }
        if beyond == Lent::Nothing {
            beyond = Lent::Beyond(range);
        }
    }
    beyond
}

/// A range, for people.
#[must_use]
pub fn words(range: IdRange) -> String {
    format!("{} to {}", range.first, range.end().saturating_sub(1))
}

/// What a user namespace has, for people.
#[must_use]
pub fn has(map: &[IdRange]) -> String {
    let pieces: Vec<String> = map.iter().map(|piece| words(*piece)).collect();
    format!("of all ids this container has {}: none of its pieces has the whole range", pieces.join(", "))
}

/// The lowest [`RANGE`] ids within `min..=max` that touch nothing in `taken`.
#[must_use]
pub fn find_free(taken: &[IdRange], min: u32, max: u32) -> Option<IdRange> {
    let mut taken: Vec<_> = taken.iter().filter(|range| range.count > 0).collect();
    taken.sort_unstable();
    let mut start = u64::from(min);
    for range in taken {
        if start + u64::from(RANGE) <= u64::from(range.first) {
            break;
        }
        start = start.max(range.end());
    }
    // 2³² − 1 is no id but "no change" (chown(2)), so the range ends before it.
    let ceiling = (u64::from(max) + 1).min(u64::from(u32::MAX));
    let fits = start + u64::from(RANGE) <= ceiling;
    fits.then(|| u32::try_from(start).ok().map(|first| IdRange { first, count: RANGE })).flatten()
}

/// The ranges of `owner` on the machine whose file system starts at `root` (`/`, except in tests).
///
/// # Errors
/// A file that cannot be read; no range of [`RANGE`] ids in one of the two.
pub fn subordinate(root: &Path, owner: Owner<'_>) -> Result<SubIds, SubIdsError> {
    let read = |file: &str| {
        let path = root.join(file);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(SubIdsError::Read { path, source }),
        }
    };
    let lent = |file: &str, map: &str| {
        let (path, user) = (root.join(file), owner.name.to_owned());
        let map = mapped(&read(map)?);
        match range_for(&parse(&read(file)?), owner, &map) {
            Lent::Range(range) => Ok(range),
            Lent::Beyond(lent) => Err(SubIdsError::Beyond { path, user, lent, map }),
            Lent::Nothing => Err(SubIdsError::Missing { path, user }),
        }
    };
    Ok(SubIds { uids: lent("etc/subuid", "proc/self/uid_map")?, gids: lent("etc/subgid", "proc/self/gid_map")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANN: Owner<'_> = Owner { name: "ann", uid: Some(1001) };

    fn lent(text: &str) -> Option<u32> {
        range_for(&parse(text), ANN, &[]).range().map(|range| range.first)
    }

    #[test]
    fn what_counts_as_a_range_of_ones_own() {
        let cases: [(&str, &str, Option<u32>); 11] = [
            ("nothing", "", None),
            ("by name", "ann:100000:65536\n", Some(100_000)),
            ("by uid", "1001:100000:65536\n", Some(100_000)),
            ("larger", "ann:100000:200000", Some(100_000)),
            ("too small", "ann:100000:65535", None),
            ("two small ones", "ann:100000:32768\nann:132768:32768", None),
            ("the second is large enough", "ann:100000:10\nann:200000:65536", Some(200_000)),
            ("somebody else's", "bob:100000:65536", None),
            ("overlaps somebody else's", "ann:100000:65536\nbob:165535:65536", None),
            ("own entries may overlap", "ann:100000:65536\n1001:100000:65536", Some(100_000)),
            ("broken lines", "ann:x:65536\nann:100000\n#ann:1:65536\nann:4294967000:65536\nann:1:65536:9\n", None),
        ];
        for (name, text, want) in cases {
            assert_eq!(lent(text), want, "{name}");
        }
    }

    #[test]
    fn what_a_container_has_not_in_one_piece_cannot_be_mapped() {
        const HOST: &str = "         0          0 4294967295\n";
        // One entry of 131 072 ids in /etc/subuid outside, and two of 65 536.
        const ONE: &str = "0 1000 1\n1 100000 131072\n";
        const TWO: &str = "0 1000 1\n1 100000 65536\n65537 300000 65536\n";
        const PLAIN: &str = "0 1000 1\n1 100000 65536\n";
        let of = |entries: &str, map: &str| range_for(&parse(entries), ANN, &mapped(map));
        let range = |first| IdRange { first, count: RANGE };
        let both = "ann:65536:65536\nann:65537:65536\n";
        for (entries, map, want) in [
            ("ann:100000:65536", HOST, Lent::Range(range(100_000))),
            ("ann:100000:65536", PLAIN, Lent::Beyond(range(100_000))),
            ("ann:1:65536", PLAIN, Lent::Range(range(1))),
            ("ann:2:65536", PLAIN, Lent::Beyond(range(2))),
            (both, "0 500000 131072\n", Lent::Range(range(65_536))),
            (both, ONE, Lent::Range(range(65_536))),
            (both, TWO, Lent::Range(range(65_537))),
            (both, PLAIN, Lent::Beyond(range(65_536))),
            ("", PLAIN, Lent::Nothing),
        ] {
            assert_eq!(of(entries, map), want, "{entries} in {map}");
        }
    }

    #[test]
    fn room_is_found_before_between_and_behind() {
        let range = |first, count| IdRange { first, count };
        let cases = [
            (vec![], Some(100_000)),
            (vec![range(100_000, 65_536)], Some(165_536)),
            (vec![range(165_536, 65_536)], Some(100_000)),
            (vec![range(165_535, 1)], Some(165_536)),
            (vec![range(300_000, 9), range(100_000, 65_536)], Some(165_536)),
            (vec![range(0, 4_000_000_000)], None),
        ];
        for (taken, want) in cases {
            assert_eq!(find_free(&taken, 100_000, 600_100_000).map(|range| range.first), want, "{taken:?}");
        }
        assert_eq!(find_free(&[], u32::MAX - 65_536, u32::MAX).map(|range| range.first), Some(u32::MAX - 65_536));
        assert_eq!(find_free(&[], u32::MAX - 65_535, u32::MAX), None, "the last id is none");
    }

    #[test]
    fn both_files_must_lend() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("etc")).unwrap();
        std::fs::write(tree.path().join("etc/subuid"), "ann:100000:65536\n").unwrap();
        let error = subordinate(tree.path(), ANN).unwrap_err();
        assert!(error.to_string().contains("etc/subgid lends `ann` no range"), "{error}");
        std::fs::write(tree.path().join("etc/subgid"), "1001:300000:65536\n").unwrap();
        let found = subordinate(tree.path(), ANN).unwrap();
        assert_eq!((found.uids.first, found.gids.first), (100_000, 300_000));
        std::fs::create_dir_all(tree.path().join("proc/self")).unwrap();
        std::fs::write(tree.path().join("proc/self/gid_map"), "0 1000 1\n1 100000 65536\n").unwrap();
        let error = subordinate(tree.path(), ANN).unwrap_err().to_string();
        assert!(
            error.contains("etc/subgid lends `ann` 300000 to 365535") && error.contains("has 0 to 0, 1 to 65536"),
            "{error}"
        );
    }

    fn ranges() -> impl Strategy<Value = Vec<IdRange>> {
        let one = (prop_oneof![90_000u32..2_000_000, any::<u32>()], 0u32..400_000)
            .prop_map(|(first, count)| IdRange { first, count: count.min(u32::MAX - first) });
        prop::collection::vec(one, 0..24)
    }

    proptest! {
        #[test]
        fn a_free_range_touches_nothing_and_does_not_depend_on_order(
            taken in ranges(), min in 0u32..400_000, max in prop_oneof![Just(600_100_000u32), any::<u32>()]
        ) {
            let found = find_free(&taken, min, max);
            let reversed: Vec<_> = taken.iter().rev().copied().collect();
            prop_assert_eq!(found, find_free(&reversed, min, max));
            if let Some(range) = found {
                prop_assert_eq!(range.count, RANGE);
                prop_assert!(range.first >= min && range.end() <= u64::from(max) + 1);
                prop_assert!(!taken.iter().any(|other| other.overlaps(range)));
            } else {
                // Nothing was overlooked at the places where a gap can begin.
                let starts = std::iter::once(u64::from(min)).chain(taken.iter().map(|range| range.end()));
                for start in starts.filter(|start| *start >= u64::from(min)) {
                    let Ok(first) = u32::try_from(start) else { continue };
                    let gap = IdRange { first, count: RANGE };
                    let inside = gap.end() <= (u64::from(max) + 1).min(u64::from(u32::MAX));
                    prop_assert!(!inside || taken.iter().any(|other| other.overlaps(gap)));
                }
            }
        }

        #[test]
        fn a_written_entry_is_read_back(owner in "[a-z][a-z0-9-]{0,8}", first in 0u32..4_000_000_000, count in 1u32..200_000) {
            let entries = parse(&format!("\n{owner}:{first}:{count}\n"));
            prop_assert_eq!(entries, vec![SubIdEntry { owner, range: IdRange { first, count } }]);
        }
    }
}
