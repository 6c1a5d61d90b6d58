//! What compilations made, by what they were made from, so that the same program is compiled once.
//!
//! The key is a digest over everything that a compile step depends on: the image's own digest, command, environment,
//! profile, limits and sources. Only the service writes entries, from steps that ended well. An entry whose content does
//! not match the digest taken when it was made is dropped, not used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::workdir::CodeFile;
use crate::model::{Bytes, StepReport};

/// A digest.
pub(super) type Sum = [u8; 32];

/// What one compilation made.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    /// What was seen of the step.
    pub(super) report: StepReport,
    /// Everything that lay in `/code` afterwards.
    pub(super) files: Arc<[CodeFile]>,
}

#[derive(Debug)]
struct Entry {
    compiled: Compiled,
    sum: Sum,
    bytes: u64,
    used: u64,
}

/// A cache of at most so many bytes; what was not used for longest goes first.
#[derive(Debug)]
pub(super) struct Cache {
    capacity: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Sum, Entry>,
    bytes: u64,
    clock: u64,
}

impl Cache {
    /// An empty cache; with no capacity it keeps nothing.
    pub(super) fn new(capacity: Bytes) -> Self {
        Self { capacity: capacity.0, inner: Mutex::default() }
    }

    /// What was made from this, if it is there and unchanged.
    pub(super) fn get(&self, key: &Sum) -> Option<Compiled> {
        let mut inner = self.lock();
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.entries.get_mut(key)?;
        entry.used = now;
        let (compiled, sum) = (entry.compiled.clone(), entry.sum);
        drop(inner);
        if sum_of(&compiled.files) == sum {
            return Some(compiled);
        }
        tracing::error!("a compiled program in the cache is not what was put there; it is compiled anew");
        self.lock().remove(key);
        None
    }

    /// Keeps it, and forgets what there is no room for any more. What is larger than the whole cache is not kept.
    pub(super) fn put(&self, key: Sum, compiled: Compiled) {
        let output = compiled.report.evidence.output.stdout.len() + compiled.report.evidence.output.stderr.len();
        let bytes = compiled.files.iter().map(|file| file.bytes.len()).sum::<usize>() + output + 1024;
        let bytes = bytes as u64;
        if bytes > self.capacity {
            return;
        }
        let sum = sum_of(&compiled.files);
        let mut inner = self.lock();
        inner.remove(&key);
        while inner.bytes + bytes > self.capacity {
            let Some(oldest) = inner.entries.iter().min_by_key(|(_, e)| e.used).map(|(key, _)| *key) else { break };
            inner.remove(&oldest);
        }
        inner.clock += 1;
        let used = inner.clock;
        inner.bytes += bytes;
        inner.entries.insert(key, Entry { compiled, sum, bytes, used });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, key: &Sum) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

/// The digest of a sequence of byte strings; where one ends and the next begins counts.
pub(super) fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Sum {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn sum_of(files: &[CodeFile]) -> Sum {
    use std::os::unix::ffi::OsStrExt;
    let modes: Vec<[u8; 4]> = files.iter().map(|file| file.mode.to_le_bytes()).collect();
    key(files.iter().zip(&modes).flat_map(|(file, mode)| [file.path.as_os_str().as_bytes(), &mode[..], &file.bytes]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Enforcement, Evidence, Verdict};

    fn compiled(name: &str, bytes: usize) -> Compiled {
        let languages = crate::language::Languages::load(None).unwrap();
        let limits = languages.get("c").unwrap().compile_limits().unwrap().clone();
        let enforcement = Enforcement::CgroupV2;
        let report = StepReport { verdict: Verdict::Ok, evidence: Evidence::default(), limits, enforcement };
        Compiled { report, files: [CodeFile { path: name.into(), mode: 0o555, bytes: vec![7; bytes] }].into() }
    }

    #[test]
    fn what_was_used_last_stays_within_the_bound() {
        let cache = Cache::new(Bytes(10_000));
        let keys = [1u8, 2, 3].map(|n| key([&[n][..]]));
        cache.put(keys[0], compiled("a", 4000));
        cache.put(keys[1], compiled("b", 3000));
        assert!(cache.get(&keys[0]).is_some());
        cache.put(keys[2], compiled("c", 3000));
        assert!(cache.get(&keys[0]).is_some() && cache.get(&keys[1]).is_none() && cache.get(&keys[2]).is_some());
        cache.put(keys[1], compiled("large", 10_001));
        assert!(cache.get(&keys[1]).is_none());
        assert!(cache.lock().bytes <= 10_000);
        Cache::new(Bytes(0)).put(keys[0], compiled("a", 0));
    }

    #[test]
    fn a_changed_or_truncated_entry_is_noticed() {
        let spoil: [fn(&mut CodeFile); 3] =
            [|file| file.bytes[0] ^= 1, |file| file.bytes.truncate(3), |file| file.mode = 0o444];
        for spoil in spoil {
            let cache = Cache::new(Bytes(10_000));
            let key = key([&b"x"[..]]);
            cache.put(key, compiled("a", 100));
            assert!(cache.get(&key).is_some());
            if let Some(entry) = cache.lock().entries.get_mut(&key) {
                let mut files = entry.compiled.files.to_vec();
                spoil(&mut files[0]);
                entry.compiled.files = files.into();
            }
            assert!(cache.get(&key).is_none());
            assert_eq!(cache.lock().bytes, 0);
        }
    }

    #[test]
    fn where_a_part_ends_counts() {
        assert_ne!(key([&b"ab"[..], b"c"]), key([&b"a"[..], b"bc"]));
    }
}
