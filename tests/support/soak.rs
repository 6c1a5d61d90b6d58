//! A soak: round after round of mixed jobs, and after each round a look at what the server holds. Every job's end is
//! checked too. Only this server is looked at, so that others may work beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::process::Process;
use super::{Client, Seen, Server, Settings};
use crate::program;

/// What the server held after so many jobs.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub jobs: usize,
    pub seconds: f64,
    /// In the order of [`NAMES`].
    pub values: [u64; 6],
}

/// What is looked at.
pub const NAMES: [&str; 6] = ["memory, KiB", "open files", "cgroups", "mounts", "processes", "files on the stage"];

/// Programs, the state and the end of the output of each.
const MIX: [(&str, &str, &str, &str); 12] = [
    ("python", "print('hello')", "completed", "hello\n"),
    ("c", program!("c/hello.c"), "completed", "\n"),
    ("python", "import sys; sys.exit(3)", "failed", "\nexit status 3"),
    ("python", "print(sum(map(int, input().split())))", "completed", "6\n"),
    ("c", "int main(void) { return nothing; }", "failed", ""),
    ("python", "x = b'x' * (200 << 20)", "failed", "\nexit status 137"),
    ("python", "while True: print('x' * 100000)", "failed", "bytes exceeded"),
    ("python", "import os; os.kill(os.getpid(), 11)", "failed", "\nexit status 139"),
    ("python", "open('/tmp/x', 'wb').write(b'x' * 1000000); print('kept')", "completed", "kept\n"),
    ("python", "import time; time.sleep(30)", "failed", "\nexecution timed out after 5 seconds"),
    ("python", program!("python/daemon.py"), "completed", ""),
    ("python", "import os\nfor _ in range(20): os.fork() or os._exit(0)\nprint('forked')", "completed", "forked\n"),
];

/// Short limits, and no share of a processor: a soak is about what is left, not about how long it takes.
pub fn settings(settings: Settings) -> Settings {
    let all = ["python", "c"];
    let settings = settings.limit(&all, "RUN", "CPU_PERCENT", 0).limit(&all, "RUN", "WALL_MS", 5000);
    // As many containers wait at every look, whatever was asked for lately.
    let settings = settings.set("CASEMATE_POOL__LEAST", 1).set("CASEMATE_POOL__MOST", 1);
    settings.limit(&all, "RUN", "OUTPUT_BYTES", 10_000)
}

/// The `n`-th of the mix. The one that waits for its time limit is rare: it would take most of the time.
fn nth(n: usize) -> (&'static str, &'static str, &'static str, &'static str) {
    let one = MIX[n % MIX.len()];
    if one.3.contains("timed out") && !n.is_multiple_of(10) { MIX[0] } else { one }
}

/// Runs `rounds` rounds of `jobs` jobs each; what was held at first, after the warm-up, and after each round.
pub fn soak(server: &Server, jobs: usize, rounds: usize) -> Vec<Sample> {
    let watch = Watch::over(server);
    let (client, began) = (server.client(), Instant::now());
    round(client, MIX.len() * 5);
    fill_cache(client);
    let mut samples = vec![watch.settled(0, began)];
    for number in 1..=rounds {
        round(client, jobs);
        samples.push(watch.settled(number * jobs, began));
    }
    samples
}

/// The store's cache takes 16 MiB and is filled by whatever is stored: before the first look, so that what grows after it
/// grows for another reason.
pub fn fill_cache(client: Client) {
    let (input, deadline) = (format!("{}\n", "x".repeat(900_000)), Instant::now() + Duration::from_secs(120));
    let ids: Vec<_> = (0..30).map(|_| client.submit("python", "print(len(input()))", Some(&input))).collect();
    for id in &ids {
        assert_eq!(client.finish(id, deadline).expect("an end").output(), "900000\n");
    }
}

fn round(client: Client, jobs: usize) {
    let ids: Vec<_> = (0..jobs).map(|n| client.submit(nth(n).0, nth(n).1, Some("1 2 3\n"))).collect();
    let deadline = Instant::now() + Duration::from_secs(60 + jobs as u64 * 5);
    for (n, id) in ids.iter().enumerate() {
        let seen: Seen = client.finish(id, deadline).expect("an end");
        let (_, code, state, end) = nth(n);
        assert!(seen.state() == state && seen.output().ends_with(end), "{code}: {}", seen.result);
    }
}

/// More containers than the three workers, what each has cleared away, and what waits or is being made for two languages.
const AT_ONCE: usize = 24;

/// What a server holds, and where to look for it.
pub struct Watch {
    outer: u32,
    service: Process,
    cgroups: Vec<PathBuf>,
    stage: Option<PathBuf>,
}

impl Watch {
    /// Runs a job, to see where its cgroups are.
    pub fn over(server: &Server) -> Self {
        let service = Process::child_of(server.pid());
        let client = server.client();
        let id = client.submit("python", "import time; time.sleep(1)", None);
        let deadline = Instant::now() + Duration::from_secs(30);
        // The groups of the instance are one above that of any of its containers.
        let cgroups = loop {
            let all = Process::of(server.pid()).descendants();
            let found: Vec<_> = all.iter().flat_map(|process| process.cgroups()).collect();
            let mut above: Vec<_> = found.iter().filter_map(|path| path.parent()).map(Path::to_path_buf).collect();
            above.retain(|path| path.to_string_lossy().contains("casemate/"));
            if !above.is_empty() || Instant::now() > deadline {
                above.sort();
                above.dedup();
                break above;
            }
        };
        assert!(!cgroups.is_empty(), "no cgroup of a job was seen");
        client.finish(&id, deadline).expect("an end");
        let places = ["mnt", "media", "srv", "opt"].map(|place| service.root().join(place));
        let stage = places.into_iter().find(|place| place.join("jobs").is_dir());
        Self { outer: server.pid(), service, cgroups, stage }
    }

    /// What is held now beside memory, by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        NAMES.into_iter().zip(self.values()).skip(1).collect()
    }

    /// Waits until no more is held than `before`; what is more, when that is not to be.
    pub fn more_than(&self, before: &BTreeMap<&'static str, u64>, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        loop {
            let now = self.counts();
            let more: Vec<_> = now.iter().filter(|(name, count)| **count > before[*name]).collect();
            if more.is_empty() || Instant::now() > deadline {
                return more.iter().map(|(name, count)| format!("{name}: {count}, before {}", before[*name])).collect();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn values(&self) -> [u64; 6] {
        let cgroups: usize = self.cgroups.iter().map(|path| directories(path)).sum();
        // Jobs, containers and what the runtime notes of them are one deep; deeper down lie the images.
        let stage = self.stage.as_deref().map(|stage| entries(stage, 2)).unwrap_or_default();
        // Roots stay mounted for the next container: as many as there ever were containers at once, whenever that was.
        let roots = self.stage.as_deref().map(|stage| entries(&stage.join("roots"), 1)).unwrap_or_default();
        assert!(roots <= AT_ONCE, "{roots} roots are kept");
        let mounts = self.service.mounts().saturating_sub(roots);
        let counts =
            [self.service.files(), cgroups, mounts, Process::of(self.outer).descendants().len(), stage - roots];
        let mut values = [self.service.rss_kib(); 6];
        values[1..].iter_mut().zip(counts).for_each(|(value, count)| *value = count as u64);
        values
    }

    /// Once no count has changed for a while: an answer is there before what is left of its job is cleared away.
    fn settled(&self, jobs: usize, began: Instant) -> Sample {
        let deadline = Instant::now() + Duration::from_secs(10);
        let (mut last, mut same) = (self.values(), 0);
        while same < 10 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            let now = self.values();
            same = if now[1..] == last[1..] { same + 1 } else { 0 };
            last = now;
        }
        Sample { jobs, seconds: began.elapsed().as_secs_f64(), values: last }
    }
}

/// What lies in a directory and in its directories, so many deep.
fn entries(directory: &Path, deep: usize) -> usize {
    let mut found = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        found += 1;
        if deep > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found += entries(&entry.path(), deep - 1);
        }
    }
    found
}

/// Directories below one.
fn directories(at: &Path) -> usize {
    let below = fs::read_dir(at).into_iter().flatten().flatten();
    let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.map(|entry| 1 + directories(&entry.path())).sum()
}

/// What is not flat: a count that is higher at the end than at any time of the first half, or memory that grows by more than
/// `kib_a_job` KiB with each job, by a straight line through the later three quarters.
pub fn grown(samples: &[Sample], kib_a_job: f64) -> Vec<String> {
    let last = samples[samples.len() - 1];
    let before = |which: usize| samples[..samples.len().div_ceil(2)].iter().map(|sample| sample.values[which]).max();
    let counts = NAMES.iter().enumerate().skip(1).map(|(which, name)| (name, before(which), last.values[which]));
    let mut wrong: Vec<_> = counts
        .filter(|(_, before, after)| before.is_some_and(|before| *after > before))
        .map(|(name, before, after)| {
            format!("{name}: {} before, {after} after {} jobs", before.unwrap_or(0), last.jobs)
        })
        .collect();
    let slope = slope(&samples[samples.len() / 4..]);
    if slope > kib_a_job {
        wrong.push(format!("memory grows by {slope:.2} KiB with each job"));
    }
    wrong
}

/// KiB of memory for each job, by least squares.
pub fn slope(samples: &[Sample]) -> f64 {
    let n = samples.len() as f64;
    let points = || samples.iter().map(|sample| (sample.jobs as f64, sample.values[0] as f64));
    let (x, y) = points().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    let (over, under) = points()
        .fold((0.0, 0.0), |sum, point| (sum.0 + (point.0 - x) * (point.1 - y), sum.1 + (point.0 - x) * (point.0 - x)));
    if under > 0.0 { over / under } else { 0.0 }
}
