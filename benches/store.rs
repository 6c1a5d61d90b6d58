//! What durability costs: submissions accepted per second, and the time from a submission to its visible result, with the
//! store in memory and with the one on disk, in one run. Ledger and store alone, with a worker that only pretends.
//!
//! `cargo bench --bench store -- [DIRECTORY]`; the directory decides which disk is measured.

// A program that measures prints, and stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use casemate::model::{
    Bytes, Captured, CpuTime, Enforcement, Evidence, Inodes, JobReport, Limits, OpenFiles, Outcome, Pids, StepReport,
    Verdict, WallTime,
};
use casemate::service::{Admission, Capacity, Catalogue, Ledger, Request};
use casemate::store::Store;
use casemate::store::disk::{DiskStore, Retention};
use casemate::store::memory::MemoryStore;

const SUBMISSIONS: usize = 4000;
const LONE: usize = 500;

#[derive(Debug)]
struct Python;

fn limits() -> Limits {
    Limits {
        memory: Bytes::mib(100),
        cpu_share: None,
        cpu_time: CpuTime::seconds(10),
        wall: WallTime::seconds(10),
        pids: Pids(64),
        open_files: OpenFiles(64),
        stack: Bytes::mib(8),
        file_size: Bytes::mib(64),
        output: Bytes::mib(8),
        tmp: Bytes::mib(64),
        tmp_inodes: Inodes(4096),
    }
}

impl Catalogue for Python {
    fn limits(&self, _: &str) -> Option<(Option<Limits>, Limits)> {
        Some((None, limits()))
    }
}

fn request() -> Request {
    Request { language: None, code: Some("print('hello, world')\n".repeat(10)), input: Some("1 2 3\n".into()) }
}

fn report() -> JobReport {
    let output = Captured { stdout: b"hello, world\n".repeat(10), ..Captured::default() };
    let evidence = Evidence { output, ..Evidence::default() };
    let step = StepReport { verdict: Verdict::Ok, evidence, limits: limits(), enforcement: Enforcement::CgroupV2 };
    JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step], about: None }
}

async fn ledger(store: Arc<dyn Store>) -> Arc<Ledger> {
    let workers = NonZeroUsize::new(3).expect("some");
    let capacity = Capacity { workers, queue: 100, waiting: 1_000_000, waiting_bytes: Bytes::mib(1024) };
    let admission = Admission::new(Arc::new(Python), "python".into(), BTreeMap::new());
    Arc::new(Ledger::open(admission, capacity, store).await.expect("a ledger"))
}

/// Accepted per second by so many clients at once.
async fn accepted(ledger: &Arc<Ledger>, clients: usize) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let ledger = Arc::clone(ledger);
            tokio::spawn(async move {
                for _ in 0..SUBMISSIONS / clients {
                    ledger.admit(None, request(), None).await.expect("an id");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a client");
    }
    SUBMISSIONS as f64 / began.elapsed().as_secs_f64()
}

/// From a submission to its visible result, one after the other: the median.
async fn lone(ledger: &Arc<Ledger>) -> Duration {
    let mut times = Vec::new();
    for _ in 0..LONE {
        let began = Instant::now();
        let id = ledger.admit(None, request(), None).await.expect("an id");
        let taken = ledger.take().await.expect("the job");
        ledger.finish(taken.job.id, report()).await;
        assert!(ledger.lookup(id).await.expect("an answer").is_some_and(|seen| seen.state.ended()));
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[LONE / 2]
}

/// The memory of this process, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

async fn measure(name: &str, store: impl AsyncFn() -> Arc<dyn Store>) {
    let median = lone(&ledger(store().await).await).await;
    println!("{name}: from submission to result {median:?} (median of {LONE})");
    for clients in [1, 16, 64] {
        let ledger = ledger(store().await).await;
        let before = memory();
        let rate = accepted(&ledger, clients).await;
        let grown = memory().saturating_sub(before);
        println!("{name}: {rate:.0} accepted per second, {clients} clients; {SUBMISSIONS} wait in {grown} KiB more");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let directory = given.unwrap_or_else(std::env::temp_dir);
    measure("memory", async || Arc::new(MemoryStore::new()) as Arc<dyn Store>).await;
    let homes = std::cell::RefCell::new(Vec::new());
    measure("disk", async || {
        let home = tempfile::tempdir_in(&directory).expect("a directory");
        let retention = Retention { age: Duration::from_secs(3600), bytes: Bytes::mib(1024) };
        let store = DiskStore::open(&home.path().join("store"), retention, Bytes::mib(1)).expect("a store");
        homes.borrow_mut().push(home);
        Arc::new(store) as Arc<dyn Store>
    })
    .await;
}
