//! The store on disk: what it keeps, what a crash leaves, what it refuses to open, and a disk that fails.

mod failing;
mod faulty;
mod files;
mod format;
mod power;

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use redb::ReadableTableMetadata as _;
use tempfile::TempDir;

use self::faulty::Faulty;
use super::*;
use crate::model::{
    Captured, CpuTime, Enforcement, Evidence, Inodes, Invocation, JobReport, Limits, OpenFiles, Outcome, Pids, Run,
    State, StepReport, Streams, Verdict, WallTime,
};

const KEEP: Retention = Retention { age: Duration::from_secs(3600), bytes: Bytes::mib(64) };

/// Notes that may wait do so for ever, so that a test knows what is durable.
fn how() -> How {
    let (opener, forever) = (Arc::new(open::plainly), Duration::from_secs(3600));
    let (patience, again) = (Duration::from_millis(50), Duration::from_millis(10));
    How { opener, retention: KEEP, reserve: Bytes::mib(1), patience, lazy: forever, again }
}

/// A directory for stores that end in one way or another.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    generation: u32,
    /// Those that were abandoned hold on to their file, as it was.
    old: Vec<Arc<DiskStore>>,
}

impl Disk {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), generation: 0, old: Vec::new() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.generation.to_string())
    }

    fn file(&self) -> PathBuf {
        self.path().join(FILE)
    }

    /// The store in the present directory.
    pub fn open(&mut self) -> Arc<DiskStore> {
        self.open_as(how()).unwrap()
    }

    fn open_as(&mut self, how: How) -> Result<Arc<DiskStore>, OpenError> {
        let store = Arc::new(DiskStore::open_as(&self.path(), how)?);
        self.old.push(Arc::clone(&store));
        Ok(store)
    }

    /// What is in the file now is all that the next one finds.
    pub fn crash(&mut self) {
        let before = self.path();
        self.generation += 1;
        fs::create_dir(self.path()).unwrap();
        fs::copy(before.join(FILE), self.path().join(FILE)).unwrap();
    }
}

fn limits() -> Limits {
    Limits {
        memory: Bytes::mib(1),
        cpu_share: None,
        cpu_time: CpuTime::seconds(1),
        wall: WallTime::seconds(1),
        pids: Pids(1),
        open_files: OpenFiles(1),
        stack: Bytes::mib(1),
        file_size: Bytes::mib(1),
        output: Bytes::mib(8),
        tmp: Bytes::mib(1),
        tmp_inodes: Inodes(1),
    }
}

fn new(source: &str, key: Option<&str>) -> New {
    let id = JobId::random();
    let runs = vec![Run::plain(b"in\0".to_vec(), limits())];
    let (project, invocation, several) = (None, Invocation::default(), None);
    let (language, source, streams) = ("c".into(), source.into(), Streams::Merged);
    let job = Job {
        id,
        language,
        source,
        compile: None,
        runs,
        streams,
        project,
        invocation,
        several,
        collect: Vec::new(),
        checker: None,
        watched: crate::model::Watched::Nothing,
    };
    let submission = Submission {
        id,
        owner: None,
        language: "c".into(),
        state: State::Pending,
        queued_at: SystemTime::now(),
        started_at: None,
        completed_at: None,
        report: None,
    };
    let key = key.map(|name| IdempotencyKey { name: name.into(), body: [7; 32] });
    New { submission, job, key }
}

/// The ended form, `ago` in the past, with so many bytes of output.
fn ended(new: &New, output: usize, ago: Duration) -> Arc<Submission> {
    let end = SystemTime::now() - ago;
    let output = Captured { stdout: vec![b'o'; output], ..Captured::default() };
    let evidence = Evidence { output, ..Evidence::default() };
    let runs =
        vec![StepReport { verdict: Verdict::Ok, evidence, limits: limits(), enforcement: Enforcement::CgroupV2 }];
    let report = JobReport { outcome: Outcome::Ran, compile: None, runs, about: None };
    Arc::new(Submission {
        state: State::Completed,
        started_at: Some(end),
        completed_at: Some(end),
        report: Some(report),
        ..new.submission.clone()
    })
}

async fn insert(store: &DiskStore, source: &str) -> New {
    let new = new(source, None);
    assert_eq!(store.insert(new.clone()).await.unwrap(), Inserted::New);
    new
}

const RECENT: Duration = Duration::ZERO;

#[tokio::test]
async fn everything_outlives_the_process() {
    let mut disk = Disk::new();
    let store = disk.open();
    let large = "x".repeat(5 << 20);
    let (first, second) = (insert(&store, &large).await, insert(&store, "small").await);
    let third = new("keyed", Some("k"));
    store.insert(third.clone()).await.unwrap();
    // A report over the size of many chunks, and one of nothing.
    let (long, short) = (ended(&first, (8 << 20) + 1, RECENT), ended(&third, 0, RECENT));
    let at = SystemTime::now();
    store.started(Start { id: second.submission.id, at, attempt: 2 }, false).await.unwrap();
    store.begin(7).await.unwrap();
    store.ended(Arc::clone(&long)).await.unwrap();
    store.ended(Arc::clone(&short)).await.unwrap();
    disk.crash();
    for orderly in [false, true] {
        let store = disk.open();
        let inventory = store.inventory().await.unwrap();
        assert_eq!(inventory, Inventory { accepted: 3, unfinished: 1, size: 8, workers: 7, orderly });
        for ended in [&long, &short] {
            let kept = store.get(ended.id).await.unwrap().unwrap();
            assert_eq!((&kept.report, kept.completed_at), (&ended.report, ended.completed_at));
            let peeked = store.peek(ended.id).await.unwrap().unwrap().submission;
            assert_eq!((peeked.report, peeked.state, peeked.queued_at), (None, State::Completed, ended.queued_at));
            assert!(matches!(store.job(ended.id).await, Err(StoreError::Missing(_))));
        }
        let line = store.line(0, 9).await.unwrap();
        assert_eq!((line.len(), line[0].attempts, line[0].submission.started_at), (1, 2, Some(at)));
        assert_eq!(line[0].submission.id, second.submission.id);
        assert_eq!(store.job(second.submission.id).await.unwrap(), second.job);
        assert_eq!(store.find(third.key.clone().unwrap()).await.unwrap(), Some(Inserted::Known(third.submission.id)));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_first_ending_counts_and_what_is_not_there_is_missing() {
    let mut disk = Disk::new();
    let store = disk.open();
    let new = insert(&store, "x").await;
    assert!(matches!(store.insert(new.clone()).await, Err(StoreError::Duplicate(_))));
    store.ended(ended(&new, 3, RECENT)).await.unwrap();
    store.ended(ended(&new, 9, RECENT)).await.unwrap();
    let kept = store.get(new.submission.id).await.unwrap().unwrap();
    assert_eq!(kept.report.as_ref().unwrap().runs[0].evidence.output.stdout, b"ooo");
    store.put_back(new.submission.id, 0).await.unwrap();
    assert_eq!(store.peek(new.submission.id).await.unwrap().unwrap().submission.state, State::Completed);
    let nobody = JobId::random();
    assert!(store.get(nobody).await.unwrap().is_none());
    assert!(matches!(store.put_back(nobody, 0).await, Err(StoreError::Missing(_))));
    assert!(matches!(store.job(nobody).await, Err(StoreError::Missing(_))));
}

#[tokio::test]
async fn what_comes_together_is_one_transaction_in_its_order() {
    let mut disk = Disk::new();
    let store = disk.open();
    let mut book = metrics::Book::new();
    store.counts().enter(&mut book);
    let committed = || {
        let page = book.written(false);
        let line = page.lines().find_map(|line| line.strip_prefix("casemate_store_commit_seconds_count "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let first = new("k", Some("k"));
    store.insert(first.clone()).await.unwrap();
    let mut all: Vec<New> = (0..50).map(|_| new("y", None)).collect();
    all[20] = new("k", Some("k"));
    all[30] = all[10].clone();
    let before = committed();
    let answers = store.insert_all(all.clone()).await.unwrap();
    assert_eq!(committed() - before, 1);
    for (at, answer) in answers.into_iter().enumerate() {
        match at {
            20 => assert_eq!(answer.unwrap(), Inserted::Known(first.submission.id)),
            30 => assert!(matches!(answer, Err(StoreError::Duplicate(_)))),
            _ => assert_eq!(answer.unwrap(), Inserted::New),
        }
    }
    let kept: Vec<_> = store.line(1, 99).await.unwrap().into_iter().map(|kept| kept.submission.id).collect();
    let wanted: Vec<_> =
        all.iter().enumerate().filter(|(at, _)| ![20, 30].contains(at)).map(|(_, new)| new.submission.id).collect();
    assert_eq!(kept, wanted);
    assert!(store.insert_all(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writes_share_a_sync_and_a_lone_one_has_its_own() {
    let faulty = Faulty::default();
    let mut disk = Disk::new();
    let store = disk.open_as(faulty.how()).unwrap();
    let before = faulty.syncs();
    let new = insert(&store, "x").await;
    assert_eq!(faulty.syncs() - before, 1);
    // The note of a start has none, and rides with the ending.
    store.started(Start { id: new.submission.id, at: SystemTime::now(), attempt: 1 }, true).await.unwrap();
    store.ended(ended(&new, 0, RECENT)).await.unwrap();
    assert_eq!(faulty.syncs() - before, 2);
    faulty.slow_down();
    let before = faulty.syncs();
    let inserted: Vec<_> = (0..200)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { insert(&store, "y").await })
        })
        .collect();
    for one in inserted {
        one.await.unwrap();
    }
    let syncs = faulty.syncs() - before;
    assert!(syncs <= 20, "{syncs} syncs for 200 submissions at once");
    assert_eq!(store.inventory().await.unwrap().accepted, 201);
}

#[tokio::test]
async fn a_note_of_a_start_becomes_durable_by_itself() {
    let mut disk = Disk::new();
    let store = disk.open_as(How { lazy: Duration::from_millis(1), ..how() }).unwrap();
    let id = insert(&store, "x").await.submission.id;
    store.started(Start { id, at: SystemTime::now(), attempt: 1 }, true).await.unwrap();
    while store.peek(id).await.unwrap().unwrap().submission.state != State::Running {
        tokio::task::yield_now().await;
    }
    disk.crash();
    assert_eq!(disk.open().line(0, 1).await.unwrap()[0].attempts, 1);
}

#[tokio::test]
async fn old_results_go_and_the_count_stays() {
    let mut disk = Disk::new();
    let store =
        disk.open_as(How { retention: Retention { age: Duration::from_secs(60), bytes: Bytes(6000) }, ..how() });
    let store = store.unwrap();
    let gone = async |new: &New| store.peek(new.submission.id).await.unwrap().is_none();
    // One that ended too long ago goes with the next write, its key with it.
    let old = new("x", Some("k"));
    store.insert(old.clone()).await.unwrap();
    store.ended(ended(&old, 0, Duration::from_secs(61))).await.unwrap();
    let kept = insert(&store, "y").await;
    assert!(gone(&old).await && !gone(&kept).await);
    assert_eq!(store.find(old.key.clone().unwrap()).await.unwrap(), None);
    // Of those that take too much together the oldest go; the last one stays whatever it takes.
    store.ended(ended(&kept, 1000, Duration::from_secs(3))).await.unwrap();
    let (second, third) = (insert(&store, "z").await, insert(&store, "z").await);
    store.ended(ended(&second, 1500, Duration::from_secs(2))).await.unwrap();
    assert!(!gone(&kept).await && !gone(&second).await);
    store.ended(ended(&third, 100_000, Duration::from_secs(1))).await.unwrap();
    insert(&store, "z").await;
    assert!(gone(&kept).await && gone(&second).await && !gone(&third).await);
    let inventory = store.inventory().await.unwrap();
    assert_eq!((inventory.accepted, inventory.unfinished), (5, 1));
}

/// A great many of the same size later the file is no larger: what was thrown away is used again.
#[tokio::test]
async fn the_file_does_not_grow_without_bound() {
    let mut disk = Disk::new();
    let store = disk.open_as(How { retention: Retention { bytes: Bytes::mib(2), ..KEEP }, ..how() }).unwrap();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        for _ in 0..60 {
            let new = insert(&store, "x").await;
            store.ended(ended(&new, 100_000, RECENT)).await.unwrap();
        }
        sizes.push(fs::metadata(disk.file()).unwrap().len());
    }
    assert!(sizes[3] <= sizes[1] && sizes[3] < 16 << 20, "{sizes:?}");
    let first = store.line(0, 1).await.unwrap();
    assert!(first.is_empty());
    assert_eq!(store.inventory().await.unwrap().accepted, 240);
}

/// What is kept is counted with its record, its key and its places in the tables, so that many that print nothing do not take
/// room without bound.
#[tokio::test]
async fn many_small_results_are_bounded_with_all_that_is_kept_of_them() {
    let mut disk = Disk::new();
    let store = disk.open_as(How { retention: Retention { bytes: Bytes::mib(1), ..KEEP }, ..how() }).unwrap();
    for round in 0..30 {
        let mut all = tokio::task::JoinSet::new();
        for number in 0..100 {
            let (store, new) = (Arc::clone(&store), new("x", Some(&format!("{:0>200}", 100 * round + number))));
            all.spawn(async move {
                store.insert(new.clone()).await.unwrap();
                store.ended(ended(&new, 0, RECENT)).await.unwrap();
            });
        }
        all.join_all().await;
    }
    let kept = store.recent(None, Place::MAX, 3000).await.unwrap().len();
    store.close().await.unwrap();
    let database = redb::Builder::new().open(disk.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let stats = transaction.stats().unwrap();
    let used = stats.allocated_pages() * stats.page_size() as u64;
    transaction.abort().unwrap();
    assert!((300..1200).contains(&kept) && used < 2 << 20, "{kept} are kept and take {used} bytes");
}

/// By owner and of all, newest first, over a restart, and no longer than the submission itself is kept.
#[tokio::test]
async fn the_newest_are_listed_by_owner() {
    let mut disk = Disk::new();
    let store = disk.open();
    let [a, b] = ["a", "ab"].map(Owner::named);
    let mut places = Vec::new();
    for owner in [&a, &b, &None, &a, &a, &b] {
        let mut one = new("x", None);
        one.submission.owner.clone_from(owner);
        store.insert(one.clone()).await.unwrap();
        places.push(one);
    }
    let ids = |all: Vec<Kept>| all.iter().map(|kept| kept.submission.id).collect::<Vec<_>>();
    let of = |which: &[usize]| which.iter().map(|at| places[*at].submission.id).collect::<Vec<_>>();
    let store = {
        store.close().await.unwrap();
        drop(store);
        disk.crash();
        disk.open()
    };
    for (owner, before, most, expected) in [
        (None, Place::MAX, 9, &[5, 4, 3, 2, 1, 0][..]),
        (None, 4, 2, &[2, 1]),
        (a.clone(), Place::MAX, 9, &[4, 3, 0]),
        (a.clone(), 5, 9, &[3, 0]),
        (b.clone(), Place::MAX, 1, &[5]),
        (Owner::named("c"), Place::MAX, 9, &[]),
    ] {
        let found = store.recent(owner.clone(), before, most).await.unwrap();
        assert!(owner.is_none() || found.iter().all(|kept| kept.submission.owner == owner));
        assert_eq!(ids(found), of(expected), "{owner:?} {before} {most}");
    }
    // What has ended is listed until it is thrown away.
    store.ended(ended(&places[3], 10, RECENT)).await.unwrap();
    assert_eq!(ids(store.recent(a.clone(), Place::MAX, 9).await.unwrap()), of(&[4, 3, 0]));
    store.ended(ended(&places[0], 10, Duration::from_secs(7200))).await.unwrap();
    store.put_back(places[4].submission.id, 0).await.unwrap();
    assert_eq!(ids(store.recent(a, Place::MAX, 9).await.unwrap()), of(&[4, 3]));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.0.open_table(tables::OWNED).unwrap().len().unwrap(), 4, "what is gone is named by nothing");
}
