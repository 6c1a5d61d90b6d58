//! The sets, one for each room that counts. Clones of a set are the same set.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::Book;
use crate::model::{JobReport, StepKind};

/// From half a millisecond, which a store or a container that waits takes, to what jobs wait for at most.
const SECONDS: [f64; 18] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// A number of ours as the library has them; more than it can hold is the largest that it can.
fn gauge(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waiting {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    language: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    language: String,
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u64,
}

/// What the ledger counts.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// Submissions that were accepted.
    pub accepted: Counter,
    ended: Family<Ended, Counter>,
    wait: Histogram,
    written: Histogram,
    waiting: Family<Waiting, Gauge>,
    running: Gauge,
    workers: Gauge,
    queue: Gauge,
    most_waiting: Gauge,
    bytes: Gauge,
    most_bytes: Gauge,
    writable: Gauge,
}

/// The moment's numbers of the ledger.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Line {
    pub queued: usize,
    pub pending: usize,
    pub running: usize,
    pub workers: usize,
    pub queue: usize,
    pub most_waiting: usize,
    pub bytes: u64,
    pub most_bytes: u64,
    pub writable: bool,
}

impl Default for Jobs {
    fn default() -> Self {
        let (wait, written) = (seconds(), seconds());
        let [running, workers, queue, most_waiting, bytes, most_bytes, writable] = Default::default();
        Self {
            accepted: Counter::default(),
            ended: Family::default(),
            wait,
            written,
            waiting: Family::default(),
            running,
            workers,
            queue,
            most_waiting,
            bytes,
            most_bytes,
            writable,
        }
    }
}

impl Jobs {
    /// A worker takes a submission that waited for so long.
    pub fn started(&self, waited: Duration) {
        self.wait.observe(waited.as_secs_f64());
    }

    /// A submission has ended, and writing that down took so long.
    pub fn ended(&self, language: &str, report: Option<&JobReport>, took: Duration) {
        self.written.observe(took.as_secs_f64());
        let verdict = report.map_or("internal_error", JobReport::verdict);
        self.ended.get_or_create(&Ended { language: language.to_owned(), verdict }).inc();
    }

    /// How things stand.
    pub fn look(&self, line: Line) {
        for (state, number) in [("queued", line.queued), ("pending", line.pending)] {
            self.waiting.get_or_create(&Waiting { state }).set(gauge(number));
        }
        self.running.set(gauge(line.running));
        self.workers.set(gauge(line.workers));
        self.queue.set(gauge(line.queue));
        self.most_waiting.set(gauge(line.most_waiting));
        self.bytes.set(gauge(line.bytes));
        self.most_bytes.set(gauge(line.most_bytes));
        self.writable.set(line.writable.into());
    }

    /// Enters all of it.
    pub fn enter(&self, book: &mut Book) {
        book.enter(
            "submissions_waiting",
            &["state"],
            "Submissions that wait in the queue (queued) or before it (pending)",
            &self.waiting,
        );
        book.enter("submissions_running", &[], "Submissions that a worker has", &self.running);
        book.enter("workers", &[], "Workers", &self.workers);
        book.enter("queue_capacity", &[], "Places of the queue (queue_size)", &self.queue);
        book.enter("waiting_capacity", &[], "Submissions that may wait (max_pending)", &self.most_waiting);
        book.enter("waiting_bytes", &[], "Programs and inputs of all that waits", &self.bytes);
        book.enter(
            "waiting_capacity_bytes",
            &[],
            "What programs and inputs of all that waits may be (max_pending_bytes)",
            &self.most_bytes,
        );
        book.enter("submissions_accepted", &[], "Submissions that were accepted", &self.accepted);
        book.enter("submissions_ended", &["language", "verdict"], "Submissions that have ended", &self.ended);
        book.enter("submission_wait_seconds", &[], "From the acceptance of a submission to its start", &self.wait);
        book.enter("ending_write_seconds", &[], "How long writing an ending to the store took", &self.written);
        book.enter("store_writable", &[], "1 while the store can be written, else 0", &self.writable);
    }
}

/// What the workers count.
#[derive(Clone, Debug)]
pub struct Work {
    made: Histogram,
    /// Containers that could not be made.
    pub failed: Counter,
    steps: Family<Step, Histogram>,
    waiting: Family<Step, Gauge>,
    /// Steps that found a container that waited, and those that did not.
    pub hits: Counter,
    /// See `hits`.
    pub misses: Counter,
    /// Compilations that were found in the cache, and those that were not.
    pub found: Counter,
    /// See `found`.
    pub compiled: Counter,
    cache: Gauge,
    most_cache: Gauge,
}

impl Default for Work {
    fn default() -> Self {
        let [failed, hits, misses, found, compiled] = Default::default();
        let [cache, most_cache] = Default::default();
        let steps = Family::new_with_constructor(seconds as fn() -> Histogram);
        Self {
            made: seconds(),
            failed,
            steps,
            waiting: Family::default(),
            hits,
            misses,
            found,
            compiled,
            cache,
            most_cache,
        }
    }
}

impl Work {
    /// A container was made in this time.
    pub fn made(&self, took: Duration) {
        self.made.observe(took.as_secs_f64());
    }

    /// A step ran for so long.
    pub fn ran(&self, language: &str, kind: StepKind, took: Duration) {
        self.steps.get_or_create(&step(language, kind)).observe(took.as_secs_f64());
    }

    /// So many containers wait for this step.
    pub fn waits(&self, language: &str, kind: StepKind, number: usize) {
        self.waiting.get_or_create(&step(language, kind)).set(gauge(number));
    }

    /// What the cache holds, and what it may, in bytes.
    pub fn holds(&self, bytes: u64, most: u64) {
        self.cache.set(gauge(bytes));
        self.most_cache.set(gauge(most));
    }

    /// Enters all of it.
    pub fn enter(&self, book: &mut Book) {
        let labels = &["language", "step"];
        book.enter("container_make_seconds", &[], "How long making a container took, ahead or for a job", &self.made);
        book.enter("containers_failed", &[], "Containers that could not be made", &self.failed);
        book.enter("step_seconds", labels, "How long the programs of a step ran", &self.steps);
        book.enter("pool_containers", labels, "Containers that wait for jobs", &self.waiting);
        book.enter("pool_hits", &[], "Steps that found a container that waited for them", &self.hits);
        book.enter("pool_misses", &[], "Steps that had to have their container made", &self.misses);
        book.enter("compile_cache_hits", &[], "Compilations that were found in the cache", &self.found);
        book.enter("compile_cache_misses", &[], "Compilations that were not", &self.compiled);
        book.enter("compile_cache_bytes", &[], "What compiled programs hold in memory", &self.cache);
        book.enter("compile_cache_capacity_bytes", &[], "What they may hold (compile_cache_mib)", &self.most_cache);
    }
}

fn step(language: &str, kind: StepKind) -> Step {
    let step = match kind {
        StepKind::Compile => "compile",
        StepKind::Run => "run",
    };
    Step { language: language.to_owned(), step }
}

/// What the store on disk counts.
#[derive(Clone, Debug)]
pub struct Store {
    commits: Histogram,
    changes: Histogram,
    failures: Counter,
    bytes: Gauge,
}

impl Default for Store {
    fn default() -> Self {
        let changes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];
        let (commits, changes) = (seconds(), Histogram::new(changes));
        Self { commits, changes, failures: Counter::default(), bytes: Gauge::default() }
    }
}

impl Store {
    /// So many changes were written and synced in this time, or could not be.
    pub fn committed(&self, changes: usize, took: Duration, well: bool) {
        if !well {
            self.failures.inc();
            return;
        }
        self.commits.observe(took.as_secs_f64());
        // Far below the numbers that are not exact.
        self.changes.observe(f64::from(u32::try_from(changes).unwrap_or(u32::MAX)));
    }

    /// The size of its file.
    pub fn size(&self, bytes: u64) {
        self.bytes.set(gauge(bytes));
    }

    /// Enters all of it.
    pub fn enter(&self, book: &mut Book) {
        book.enter(
            "store_commit_seconds",
            &[],
            "How long a transaction of the store took, its sync included",
            &self.commits,
        );
        book.enter("store_commit_changes", &[], "Changes that shared a transaction and its sync", &self.changes);
        book.enter("store_failures", &[], "Transactions that could not be written", &self.failures);
        book.enter("store_bytes", &[], "The size of the file of the store", &self.bytes);
    }
}

/// What the HTTP edge counts.
#[derive(Clone, Debug, Default)]
pub struct Http {
    requests: Family<Answered, Counter>,
    refused: Family<Kind, Counter>,
    connections: Gauge,
    bodies: Gauge,
    results: Gauge,
    ready: Gauge,
}

/// A connection, for as long as this lives.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Http {
    /// A connection is open.
    #[must_use]
    pub fn open(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// A request was answered.
    pub fn answered(&self, route: &'static str, method: &'static str, status: u16) {
        self.requests.get_or_create(&Answered { route, method, status: status.into() }).inc();
    }

    /// A submission was refused.
    pub fn refused(&self, kind: &'static str) {
        self.refused.get_or_create(&Kind { kind }).inc();
    }

    /// What is held of bodies and for results, in bytes, and whether the service is ready.
    pub fn look(&self, bodies: u64, results: u64, ready: bool) {
        self.bodies.set(gauge(bodies));
        self.results.set(gauge(results));
        self.ready.set(ready.into());
    }

    /// Enters all of it.
    pub fn enter(&self, book: &mut Book) {
        book.enter(
            "submissions_refused",
            &["kind"],
            "Submissions that were refused, by kind of problem",
            &self.refused,
        );
        book.enter(
            "http_requests",
            &["route", "method", "status"],
            "Requests that were answered; routes and methods that are not known are one each",
            &self.requests,
        );
        book.enter("http_connections", &[], "Connections that are open", &self.connections);
        book.enter("http_bodies_bytes", &[], "What is held of request bodies", &self.bodies);
        book.enter("http_results_bytes", &[], "What is held of results that are being read", &self.results);
        book.enter("ready", &[], "1 while /readyz says 200, else 0", &self.ready);
    }
}
