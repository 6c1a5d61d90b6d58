//! The service but for its containers, in a process of its own: this test binary, called for the one test below.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use casemate::config::{Defaults, Settings};
use casemate::health::Health;
use casemate::http::{Cors, Edge, listen, serve};
use casemate::model::{
    Bytes, Captured, CpuTime, Enforcement, Evidence, Inodes, JobReport, Limits, OpenFiles, Outcome, Pids, StepReport,
    Verdict, WallTime,
};
use casemate::service::{Admission, Capacity, Catalogue, Ledger, Taken};
use casemate::shutdown::Shutdown;
use casemate::store::disk::{DiskStore, Retention};

use crate::load::WORKERS;

const HOME: &str = "CMTEST_PRETENDER";

/// The process.
pub struct Pretender {
    child: Child,
    address: SocketAddr,
}

impl Pretender {
    /// Starts one on this home and waits until it listens: this program again, with the one test that begins by looking
    /// whether it is to serve.
    pub fn start(home: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "slow_killed_at_random_moments", "--nocapture"]).env(HOME, home);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("this program again");
        let said = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = said.filter_map(|line| line.strip_prefix("listening on ")?.parse().ok()).next();
        Self { child, address: address.expect("an address") }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("its end");
    }
}

#[derive(Debug)]
struct Python;

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
        output: Bytes::mib(1),
        tmp: Bytes::mib(1),
        tmp_inodes: Inodes(1),
    }
}

impl Catalogue for Python {
    fn limits(&self, name: &str) -> Option<(Option<Limits>, Limits)> {
        (name == "python").then(|| (None, limits()))
    }
}

/// What `job N` prints.
fn report(source: &str) -> JobReport {
    let stdout = source.replace("job", "done").into_bytes().into_iter().chain([b'\n']).collect();
    let evidence = Evidence { output: Captured { stdout, ..Captured::default() }, ..Evidence::default() };
    let step = StepReport { verdict: Verdict::Ok, evidence, limits: limits(), enforcement: Enforcement::CgroupV2 };
    JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step], about: None }
}

async fn run(home: &Path) {
    let settings = Settings::resolve(None, std::iter::empty(), Defaults { home: home.into() }).expect("settings");
    let retention = Retention { age: settings.store.age, bytes: settings.store.bytes };
    let store = DiskStore::open(&home.join("store"), retention, settings.store.reserve).expect("the store");
    let admission = Admission::new(Arc::new(Python), settings.default_language.clone(), BTreeMap::new());
    let capacity = Capacity {
        workers: NonZeroUsize::new(WORKERS).expect("some"),
        queue: settings.queue_size,
        waiting: settings.max_pending,
        waiting_bytes: settings.max_pending_bytes,
    };
    let ledger = Arc::new(Ledger::open(admission, capacity, Arc::new(store)).await.expect("a ledger"));
    for _ in 0..WORKERS {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            while let Some(Taken { job, .. }) = ledger.take().await {
                tokio::time::sleep(Duration::from_millis(crate::random(0, 8))).await;
                ledger.finish(job.id, report(&job.source)).await;
            }
        });
    }
    let listeners = listen(&["127.0.0.1".parse().expect("an address")], 0).await.expect("a port");
    println!("listening on {}", listeners.addresses()[0]);
    let health = Arc::new(Health::new(10));
    let edge = Edge::new(ledger, health, settings.http, Cors::new(&settings.cors_origins));
    serve(listeners, edge, Shutdown::new()).await;
}

/// In the process that [`Pretender::start`] has begun this is the service, for as long as it is left alive; in any other
/// it is nothing.
pub fn serve_if_asked() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run(Path::new(&home)));
}
