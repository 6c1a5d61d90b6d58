//! What compilations made, by what they were made from, so that the same program is compiled once.
//!
//! The key is a digest over everything that a compile step depends on: the image's own digest, command, environment,
//! profile, limits and sources. Only the service writes entries, from steps that ended well. An entry whose content does
//! not match the digest taken when it was made is dropped, not used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::workdir::CodeFile;
use crate::metrics::Work;
use crate::model::{Bytes, StepReport};
use crate::telemetry::carried;

/// What each file takes beside its name and content, and each entry beside its files, in bytes: generously.
const OVERHEAD: u64 = 256;

/// More than this is not digested on a thread that serves others meanwhile, in bytes: a millisecond of work.
const AT_ONCE: u64 = 256 << 10;

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
    counts: Work,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Sum, Entry>,
    bytes: u64,
    clock: u64,
}

impl Cache {
    /// An empty cache; with no capacity it keeps nothing.
    pub(super) fn new(capacity: Bytes, counts: Work) -> Self {
        Self { capacity: capacity.0, inner: Mutex::default(), counts }
    }

    /// What was made from this, if it is there and unchanged.
    pub(super) async fn get(self: &Arc<Self>, key: Sum) -> Option<Compiled> {
        let bytes = self.lock().entries.get(&key).map(|entry| entry.bytes);
        let own = Arc::clone(self);
        let found = match bytes {
            Some(bytes) => aside(bytes, move || own.find(&key)).await.flatten(),
            None => None,
        };
        let counter = if found.is_some() { &self.counts.found } else { &self.counts.compiled };
        counter.inc();
        found
    }

    /// Tells how much it holds.
    pub(super) fn look(&self) {
        self.counts.holds(self.lock().bytes, self.capacity);
    }

    /// Keeps it, and forgets what there is no room for any more. What is larger than the whole cache is not kept.
    pub(super) async fn put(self: &Arc<Self>, key: Sum, compiled: Compiled) {
        let own = Arc::clone(self);
        aside(size_of(&compiled), move || own.keep(key, compiled)).await;
    }

    fn find(&self, key: &Sum) -> Option<Compiled> {
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

    fn keep(&self, key: Sum, compiled: Compiled) {
        let bytes = size_of(&compiled);
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

/// What it takes in memory: a compiler may leave thousands of empty files with long names.
fn size_of(compiled: &Compiled) -> u64 {
    let output = &compiled.report.evidence.output;
    let files = compiled.files.iter().map(|file| (file.path.as_os_str().len() + file.bytes.len()) as u64 + OVERHEAD);
    files.sum::<u64>() + (output.stdout.len() + output.stderr.len()) as u64 + 4 * OVERHEAD
}

/// Does work over so many bytes, in a thread that may be busy with it if it is much; `None` when there is none to be had.
async fn aside<T: Send + 'static>(bytes: u64, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if bytes <= AT_ONCE { Some(work()) } else { tokio::task::spawn_blocking(carried(work)).await.ok() }
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
        let cache = Cache::new(Bytes(10_000), Work::default());
        let keys = [1u8, 2, 3].map(|n| key([&[n][..]]));
        cache.keep(keys[0], compiled("a", 3500));
        cache.keep(keys[1], compiled("b", 2500));
        assert!(cache.find(&keys[0]).is_some());
        cache.keep(keys[2], compiled("c", 2500));
        assert!(cache.find(&keys[0]).is_some() && cache.find(&keys[1]).is_none() && cache.find(&keys[2]).is_some());
        cache.keep(keys[1], compiled("large", 10_001));
        assert!(cache.find(&keys[1]).is_none());
        assert!(cache.lock().bytes <= 10_000);
        let nothing = Cache::new(Bytes(0), Work::default());
        nothing.keep(keys[0], compiled("a", 0));
        assert!(nothing.find(&keys[0]).is_none());
    }

    /// Empty files cost what their names do.
    #[test]
    fn names_and_numbers_of_files_count() {
        let cache = Cache::new(Bytes(1 << 20), Work::default());
        let file = |name: String| CodeFile { path: name.into(), mode: 0o444, bytes: Vec::new() };
        let long = (0..400).map(|n| file(format!("{n:03000}"))).collect();
        let many = (0..5000).map(|n| file(n.to_string())).collect();
        for (n, files) in [(1_u8, long), (2, many)] {
            let key = key([&[n][..]]);
            cache.keep(key, Compiled { files, ..compiled("", 0) });
            assert!(cache.find(&key).is_none(), "{n}");
        }
        assert_eq!(cache.lock().bytes, 0);
    }

    /// Others are served while a large program is digested.
    #[tokio::test]
    async fn a_large_program_is_looked_at_on_another_thread() {
        let cache = Arc::new(Cache::new(Bytes::mib(64), Work::default()));
        for (name, bytes, waits) in [("small", 100, false), ("large", 8 << 20, true)] {
            let key = key([name.as_bytes()]);
            for step in ["put", "get"] {
                let mut done = std::pin::pin!(async {
                    if step == "put" {
                        cache.put(key, compiled(name, bytes)).await;
                    }
                    cache.get(key).await.expect("what was put there");
                });
                let first =
                    std::future::poll_fn(|context| std::task::Poll::Ready(done.as_mut().poll(context).is_pending()));
                if first.await {
                    assert!(waits, "{name}: {step} went to another thread");
                    done.await;
                } else {
                    assert!(!waits, "{name}: {step} kept this thread busy");
                }
            }
        }
    }

    #[test]
    fn a_changed_or_truncated_entry_is_noticed() {
        let spoil: [fn(&mut CodeFile); 3] =
            [|file| file.bytes[0] ^= 1, |file| file.bytes.truncate(3), |file| file.mode = 0o444];
        for spoil in spoil {
            let cache = Cache::new(Bytes(10_000), Work::default());
            let key = key([&b"x"[..]]);
            cache.keep(key, compiled("a", 100));
            assert!(cache.find(&key).is_some());
            if let Some(entry) = cache.lock().entries.get_mut(&key) {
                let mut files = entry.compiled.files.to_vec();
                spoil(&mut files[0]);
                entry.compiled.files = files.into();
            }
            assert!(cache.find(&key).is_none());
            assert_eq!(cache.lock().bytes, 0);
        }
    }

    #[test]
    fn where_a_part_ends_counts() {
        assert_ne!(key([&b"ab"[..], b"c"]), key([&b"a"[..], b"bc"]));
    }
}
