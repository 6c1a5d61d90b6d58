//! What layers make together, as a value: every path with what it is and which layer brought it. Says where a path leads
//! and what a layer takes away; nothing here looks at a disk.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound::{Excluded, Included};

use crate::image::digest::Digest;
use crate::image::error::UnpackError;
use crate::image::extract::MAX_PATH;
use crate::image::headers::show;
use crate::image::import::bounds::Bounds;

/// As many links as the kernel follows in one path (path_resolution(7)).
const HOPS: usize = 40;

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// With its time, in seconds since 1970.
    Directory(u64),
    /// With the digest of its content.
    File(Digest),
    /// With its target, word for word.
    Symlink(Vec<u8>),
}

#[derive(Debug)]
struct Node {
    layer: usize,
    kind: Kind,
}

/// Something that is to be removed from the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) path: Vec<u8>,
    pub(super) directory: bool,
}

/// The tree so far. Paths are relative to the root of the image, their components parted by `/`.
#[derive(Debug)]
pub(super) struct Merged {
    nodes: BTreeMap<Vec<u8>, Node>,
    /// Bytes of all paths and targets.
    names: u64,
    /// What the layer at hand has hidden: to look there again would be work for nothing, without end.
    hidden: HashSet<(Vec<u8>, bool)>,
    hiding: usize,
    bounds: Bounds,
}

impl Merged {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { nodes: BTreeMap::new(), names: 0, hidden: HashSet::new(), hiding: 0, bounds }
    }

    /// What lies at this very path.
    pub(super) fn get(&self, path: &[u8]) -> Option<&Kind> {
        self.nodes.get(path).map(|node| &node.kind)
    }

    /// Everything, a directory before what is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Kind)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), &node.kind))
    }

    /// Where `parts` lead when every link above the last of them is followed, as a path without links. Links are followed
    /// as in a container: an absolute one begins at the root of the image. None leads out of it.
    pub(super) fn resolve(&self, parts: &[&[u8]]) -> Result<Vec<u8>, UnpackError> {
        let refused = |reason| UnpackError::Path { path: show(&parts.join(&b'/')), reason };
        let Some((last, above)) = parts.split_last() else { return Err(refused("it is the root of the image")) };
        let mut ahead: Vec<&[u8]> = above.iter().rev().copied().collect();
        let mut at: Vec<&[u8]> = Vec::new();
        let mut hops = 0;
        while let Some(part) = ahead.pop() {
            match part {
                b"" | b"." => continue,
                b".." if at.pop().is_none() => return Err(refused("a link in it leads out of the image")),
                b".." => continue,
                part => at.push(part),
            }
            match self.get(&at.join(&b'/')) {
                Some(Kind::File(_)) => return Err(refused("a directory in it is a file")),
                Some(Kind::Symlink(target)) => {
                    hops += 1;
                    if hops > HOPS {
                        return Err(refused("links in it lead in a circle"));
                    }
                    at.pop();
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    ahead.extend(target.split(|&byte| byte == b'/').rev());
                }
                Some(Kind::Directory(_)) | None => {}
            }
        }
        if at.len() > self.bounds.depth {
            return Err(refused("it lies too deep"));
        }
        at.push(last);
        let path = at.join(&b'/');
        if path.len() > MAX_PATH { Err(refused("it leads to one of over 4095 bytes")) } else { Ok(path) }
    }

    /// Makes room for something of `layer` at `path`. What has to go is returned, what is in a directory before it. A
    /// directory stays where another comes.
    pub(super) fn replace(&mut self, path: &[u8], by_directory: bool) -> Vec<Gone> {
        match self.get(path) {
            None => Vec::new(),
            Some(Kind::Directory(_)) if by_directory => Vec::new(),
            Some(_) => self.remove(path, true, |_| true),
        }
    }

    /// Puts something at `path`, where nothing is but perhaps a directory, and makes its directories known.
    pub(super) fn insert(&mut self, path: &[u8], layer: usize, kind: Kind) -> Result<(), UnpackError> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for above in slashes.map(|(at, _)| &path[..at]).collect::<Vec<_>>() {
            if !self.nodes.contains_key(above) {
                self.put(above, Node { layer, kind: Kind::Directory(0) })?;
            }
        }
        self.put(path, Node { layer, kind })
    }

    /// A layer says that what lower ones brought at `path` is not there any more, or, where `within`, what they brought
    /// below it. What `layer` itself brought stays, whether it came before or comes after (OCI image specification 1.1,
    /// "Whiteouts"). Returns what has to go.
    pub(super) fn hide(&mut self, path: &[u8], within: bool, layer: usize) -> Vec<Gone> {
        if self.hiding != layer {
            self.hidden.clear();
            self.hiding = layer;
        }
        // What is not there costs nothing to look for, and could be named without end.
        let there = self.nodes.contains_key(path) || self.nodes.range(below(path)).next().is_some();
        if !there || !self.hidden.insert((path.to_vec(), within)) {
            return Vec::new();
        }
        self.remove(path, !within, |node| node.layer < layer)
    }

    fn put(&mut self, path: &[u8], node: Node) -> Result<(), UnpackError> {
        self.names += cost(path, &node.kind);
        if let Some(before) = self.nodes.insert(path.to_vec(), node) {
            self.names -= cost(path, &before.kind);
        }
        if self.names > self.bounds.names {
            return Err(UnpackError::TooLarge { limit: self.bounds.names, unit: "bytes of names" });
        }
        Ok(())
    }

    /// Removes what `goes` at and below `path`. A directory in which something stays, stays.
    fn remove(&mut self, path: &[u8], itself: bool, goes: impl Fn(&Node) -> bool) -> Vec<Gone> {
        let below = below(path);
        let mut doomed: Vec<Vec<u8>> =
            self.nodes.range(below).filter(|(_, n)| goes(n)).map(|(p, _)| p.clone()).collect();
        if itself && self.nodes.get(path).is_some_and(&goes) {
            doomed.insert(0, path.to_vec());
        }
        let mut gone = Vec::new();
        for path in doomed.into_iter().rev() {
            let directory = matches!(self.get(&path), Some(Kind::Directory(_)));
            if directory && self.nodes.range(self::below(&path)).next().is_some() {
                continue;
            }
            if let Some(node) = self.nodes.remove(&path) {
                self.names -= cost(&path, &node.kind);
                gone.push(Gone { path, directory });
            }
        }
        gone
    }
}

/// The range of all paths below `path`, of everything for the root: in the order of bytes `0` follows `/`.
fn below(path: &[u8]) -> (std::ops::Bound<Vec<u8>>, std::ops::Bound<Vec<u8>>) {
    match path {
        [] => (Included(Vec::new()), std::ops::Bound::Unbounded),
        path => (Included([path, b"/"].concat()), Excluded([path, b"0"].concat())),
    }
}

fn cost(path: &[u8], kind: &Kind) -> u64 {
    let target = if let Kind::Symlink(target) = kind { target.len() } else { 0 };
    (path.len() + target) as u64
}

#[cfg(test)]
mod tests;
