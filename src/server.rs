//! The composition root: builds every layer from the settings and drains them in reverse.

mod images;
mod metrics;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::bundle::init::INIT;
use crate::bundle::kits::KITS;
use crate::cgroup::{CgroupError, Delegation, Hierarchies};
use crate::config::{HttpSettings, NameRefused, RuntimeChoice, Settings, TokenEntry, UnenforcedLimits};
use crate::health::Health;
use crate::host::ids::IdBlocks;
use crate::host::processors;
use crate::host::provision::Delegated;
use crate::host::rlimits::{self, RlimitError};
use crate::host::stage::{Stage, StageError};
use crate::host::userns::SUBORDINATE_IDS;
use crate::http::{self, Cors, Edge, Guard, Hosts, ListenError};
use crate::image::{Image, ImageError, Recipes, VerifyError};
use crate::language::Languages;
use crate::model::JobId;
use crate::runtime::reaper::Reaper;
use crate::runtime::{Kind, ProbeError, Runtime, Sealed, find};
use crate::seccomp::Profiles;
use crate::service::{Admission, Capacity, Ledger};
use crate::shutdown::{Shutdown, Signals};
use crate::store::StoreError;
use crate::store::disk::{DiskStore, OpenError, Retention};
use crate::telemetry::{Tag, chain};
use crate::worker::selftest::{self, SelfTestError};
use crate::worker::{Bounds, CollectBounds, Pool, Sandbox, Stock, TestBounds};

/// Where cgroups are mounted, for the service and for what it launches.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What storing gets at the end, where the disk is full or broken.
const PUT_BACK: Duration = Duration::from_secs(5);

/// Why the service cannot start.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("an asynchronous runtime cannot be started")]
    Tokio(#[source] io::Error),
    #[error("limits cannot be enforced")]
    Cgroup(#[from] CgroupError),
    #[error("cgroup v2 cannot be mounted for the service")]
    CgroupMount(#[source] Errno),
    #[error("jobs cannot have their limits")]
    Rlimit(#[from] RlimitError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Changed(#[from] VerifyError),
    #[error("image {name} of language {language} is not there: run `casemate setup`, or `casemate image build {name}`")]
    NoImage { name: String, language: String },
    #[error(
        "language {language} names image {name}, which was not imported and has no recipe; the recipes are: {known}"
    )]
    NoRecipe { name: String, language: String, known: String },
    #[error("language {language} names seccomp profile {name}, which there is not")]
    NoProfile { name: String, language: String },
    #[error(transparent)]
    Runtime(#[from] ProbeError),
    #[error("limits do not hold here, so that nothing is served")]
    SelfTest(#[from] SelfTestError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(
        "metrics cannot be served at {address}: {why}; give http.metrics (CASEMATE_HTTP__METRICS) another address, same or off"
    )]
    Metrics { address: SocketAddr, why: &'static str },
    #[error(transparent)]
    OpenStore(#[from] OpenError),
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
}

/// What was read from files before any privilege was dropped.
#[derive(Debug)]
pub struct Definitions {
    /// Languages, with the settings' limits applied.
    pub languages: Languages,
    /// Seccomp profiles.
    pub profiles: Profiles,
    /// Images.
    pub recipes: Recipes,
}

/// A sandbox and what must live as long as it does.
#[derive(Debug)]
pub struct Ground {
    /// The sandbox.
    pub sandbox: Arc<Sandbox>,
    /// Held so that nobody removes an image under us.
    images: Vec<Image>,
}

/// Builds the sandbox. To be called as process 1 of the service's namespaces, within a tokio runtime.
///
/// # Errors
/// When anything is missing. Nothing is skipped: what cannot be enforced stops the start.
pub fn ground(settings: &Settings, definitions: Definitions, delegated: &Delegated) -> Result<Ground, StartError> {
    let delegation = limits(settings, delegated)?;
    let stage = Stage::build(INIT, KITS, &[&settings.home, &settings.images])?;
    let images = images::stage(settings, &definitions, &stage)?;
    let (kind, program, version) = find(wanted(settings.runtime), settings.runtime_path.as_deref())?;
    let sealed = Sealed::copy(&program).unwrap_or_else(|error| {
        tracing::warn!("{} makes a copy of itself at every launch: {error}", kind.name());
        None
    });
    let runtime = Runtime {
        kind,
        program,
        sealed,
        version,
        state: stage.state(),
        makes_cgroup: matches!(delegation, Delegation::V2(_)),
        limit: settings.launch,
    };
    // After the probe, whose own child must not be waited for by anybody else.
    let reaper = Reaper::start().map_err(StartError::Signals)?;
    tracing::info!("{}, limits by {}", runtime.version, delegation.enforcement().name());
    let digests = images.iter().map(|image| (image.name.clone(), image.digest.to_string())).collect();
    let (least, most, memory) = (settings.pool_least, settings.pool_most, settings.pool_memory);
    let bounds = Bounds { least, most, memory };
    let core = rlimits::core_limit()?;
    for language in definitions.languages.iter() {
        let patches = settings.limits.get(&language.name).cloned().unwrap_or_default();
        let compile = language.compile_limits().map(|limits| patches.compile.apply(limits));
        for limits in compile.into_iter().chain([patches.run.apply(language.run_limits())]) {
            rlimits::check(&language.name, &limits)?;
        }
    }
    let stock = Stock::new(&definitions.languages, &settings.limits, digests, bounds, settings.compile_cache);
    let sandbox = Sandbox {
        stock,
        runtime,
        reaper,
        delegation,
        stage,
        ids: IdBlocks::new(1, SUBORDINATE_IDS),
        languages: definitions.languages,
        profiles: definitions.profiles,
        core,
        launched: AtomicU64::new(0),
        collect: CollectBounds { file: settings.collect_file, all: settings.collect_all },
        tests: TestBounds { output: settings.tests.output, wall: settings.tests.wall },
    };
    Ok(Ground { sandbox: Arc::new(sandbox), images })
}

/// The kind of runtime that is asked for, or either.
#[must_use]
pub const fn wanted(choice: RuntimeChoice) -> Option<Kind> {
    match choice {
        RuntimeChoice::Auto => None,
        RuntimeChoice::Crun => Some(Kind::Crun),
        RuntimeChoice::Runc => Some(Kind::Runc),
    }
}

/// What the limits are enforced by. Nothing is the last resort, and only where it was asked for.
fn limits(settings: &Settings, delegated: &Delegated) -> Result<Delegation, StartError> {
    let taken = match delegated {
        Delegated::V1 { memory, pids, cpu, cpuacct } => {
            let [memory, pids, cpu, cpuacct] = [memory, pids, cpu, cpuacct].map(Clone::clone);
            let instance = JobId::random().to_string();
            let taken = Delegation::v1(&Hierarchies { memory, pids, cpu, cpuacct }, &instance);
            // crun refuses to work where it sees a hybrid hierarchy.
            mount_cgroup2()?;
            taken
        }
        Delegated::V2 { .. } => {
            mount_cgroup2()?;
            Delegation::v2(Path::new(CGROUPS))
        }
        Delegated::Nothing => {
            mount_cgroup2()?;
            Ok(Delegation::Sampled)
        }
    };
    let delegation = match taken {
        Err(error) if settings.unenforced_limits == UnenforcedLimits::Allow => {
            tracing::warn!("no cgroup: {}", chain(&error));
            Delegation::Sampled
        }
        taken => taken?,
    };
    if matches!(delegation, Delegation::Sampled) {
        tracing::warn!(
            "LIMITS ARE NOT ENFORCED: memory and processor time are only looked at from time to time, and nobody enforces \
             the share of the processor; every report says so"
        );
    }
    Ok(delegation)
}

fn mount_cgroup2() -> Result<(), StartError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let none: Option<&str> = None;
    // The kernel refuses to mount cgroup2 upon itself; with something in between it does not.
    mount(Some("tmpfs"), CGROUPS, Some("tmpfs"), flags, Some("size=4096")).map_err(StartError::CgroupMount)?;
    mount(Some("cgroup2"), CGROUPS, Some("cgroup2"), flags, none).map_err(StartError::CgroupMount)
}

/// Descriptors that the service itself needs: sockets, the store, the stage, the log.
const OWN_FILES: u64 = 128;

/// Descriptors that one running job holds at most: pipes, its cgroup's files, the calls of the runtime, what it compiled to
/// while that is read. A container that waits for a job's next run holds fewer, and has as many reckoned.
const FILES_OF_A_JOB: u64 = 32;

/// The connections that are served at once: the setting, or what the limit of open files leaves beside the jobs. Raises
/// that limit as far as it goes; what may be had without asking is often a thousand.
fn connections(settings: &Settings) -> usize {
    let wanted = settings.http.connections;
    let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        tracing::warn!("the limit of open files cannot be raised to {most}: {error}");
    }
    let left = beside_jobs(most, settings.max_workers.get() + processors());
    if left < wanted {
        tracing::warn!(
            "{left} connections at once instead of {wanted}: open files are limited to {most}, and jobs need theirs; \
             raise that limit (RLIMIT_NOFILE) or lower http.connections"
        );
    }
    left.min(wanted)
}

/// How many of `files` descriptors are for connections; some in any case. `jobs` are those that run, and the containers that
/// wait for next runs of theirs.
fn beside_jobs(files: u64, jobs: usize) -> usize {
    let jobs = FILES_OF_A_JOB.saturating_mul(jobs as u64);
    usize::try_from(files.saturating_sub(OWN_FILES).saturating_sub(jobs)).unwrap_or(usize::MAX).max(LEAST)
}

/// Connections that are served however few files may be open.
const LEAST: usize = 16;

/// Serves until it is told to stop. `ready` learns the addresses once jobs are taken.
///
/// # Errors
/// When the service cannot start.
pub fn serve(
    settings: &Settings,
    definitions: Definitions,
    tokens: &[TokenEntry],
    delegated: &Delegated,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), StartError> {
    let edge_settings = HttpSettings { connections: connections(settings), ..settings.http };
    run(async {
        // Before anything that takes time: a start can be called off too.
        let shutdown = Shutdown::new();
        let signals = {
            let signals = Signals::listen().map_err(StartError::Signals)?;
            let (shutdown, deadline) = (shutdown.clone(), settings.shutdown);
            tokio::spawn(async move { shutdown.watch(signals, deadline).await })
        };
        let catalogue = Arc::new(definitions.languages.clone());
        // First: whoever had it is gone once we have it, and what he left can be swept.
        let store = open_store(settings)?;
        let Ground { sandbox, images } = ground(settings, definitions, delegated)?;
        // Before anybody can submit, and with no way around it.
        tokio::select! {
            tested = selftest::run(&sandbox) => tested?,
            () = shutdown.stop_accepting().cancelled() => {
                tracing::info!("stopped before anything was served");
                return Ok(());
            }
        }
        let admission =
            Admission::new(Arc::clone(&catalogue) as _, settings.default_language.clone(), settings.limits.clone());
        let admission = admission.with_ceilings(settings.ceilings.clone()).with_tests(settings.tests.most);
        let admission = admission.with_diagnoses(settings.name_refused == NameRefused::Asked);
        let admission = match settings.http.guard_monaco {
            true => admission.with_tokens_alone(tokens),
            false => admission.with_tokens(tokens),
        };
        let manifests: Vec<_> = images.iter().map(Image::manifest).collect();
        let languages = http::languages(&catalogue, &manifests, &admission);
        let capacity = Capacity {
            workers: settings.max_workers,
            queue: settings.queue_size,
            waiting: settings.max_pending,
            waiting_bytes: settings.max_pending_bytes,
        };
        let counts = store.counts().clone();
        let ledger = Arc::new(Ledger::open(admission, capacity, store).await?);
        let listeners = http::listen(&settings.listen, settings.port).await?;
        let addresses = listeners.addresses();
        let apart = metrics::listen(settings.http.metrics).await?;

        let health = Arc::new(Health::new(settings.unready_after));
        let pool = Pool::start(settings.max_workers, &sandbox, &ledger, &health);
        let edge = Edge::new(Arc::clone(&ledger), health, edge_settings, Cors::new(&settings.cors_origins));
        let edge =
            edge.guarded(Guard::new(tokens, settings.http.guard_monaco).with_metrics(settings.http.guard_metrics));
        let edge = edge.called(Hosts::new(
            &settings.hosts,
            &settings.listen,
            !tokens.is_empty() && settings.http.guard_monaco,
        ));
        let edge = edge.with_languages(languages);
        let book = metrics::book(settings.http.metrics, &ledger, &sandbox, &counts);
        let (edge, apart) = metrics::place(edge, book, apart);
        let (stop, own) = (CancellationToken::new(), Arc::clone(&sandbox));
        let keeper = {
            let stop = stop.clone();
            tokio::spawn(async move { own.keep_ready(&stop).await })
        };
        let serving = tokio::spawn(http::serve(listeners, edge, shutdown.clone()));
        let measured = apart.map(|(listeners, edge)| tokio::spawn(http::serve(listeners, edge, shutdown.clone())));
        for address in &addresses {
            tracing::info!(tag = %Tag::Http, "listening on http://{address}");
        }
        ready(&addresses);

        shutdown.stop_accepting().cancelled().await;
        tracing::info!("stopping: nothing new is accepted");
        ledger.close();
        drain(&pool, &ledger, &shutdown).await;
        stop.cancel();
        // One that ended by a panic keeps nothing any more.
        let _ = keeper.await;
        shutdown.leave();
        // An edge that ended by a panic has nothing left to drain.
        let _ = serving.await;
        if let Some(measured) = measured {
            let _ = measured.await;
        }
        signals.abort();
        if let Err(error) = ledger.shut().await {
            tracing::error!("the store was not closed in order: {}", chain(&error));
        }
        drop(images);
        tracing::info!("stopped");
        Ok(())
    })
}

fn open_store(settings: &Settings) -> Result<Arc<DiskStore>, OpenError> {
    let retention = Retention { age: settings.store.age, bytes: settings.store.bytes };
    DiskStore::open(&settings.home.join("store"), retention, settings.store.reserve).map(Arc::new)
}

/// Waits for the workers. From [`Shutdown::stop_now`] on what runs is put back.
async fn drain(pool: &Pool, ledger: &Ledger, shutdown: &Shutdown) {
    tokio::select! {
        () = pool.drained() => return,
        () = shutdown.stop_now().cancelled() => {}
    }
    tracing::info!("stopping: what still runs is put back");
    ledger.interrupt();
    if tokio::time::timeout(PUT_BACK, pool.drained()).await.is_err() {
        ledger.give_up();
        pool.drained().await;
    }
}

/// Runs `future` on a runtime of our own, which is gone afterwards.
///
/// # Errors
/// When the runtime cannot be started, and what the future fails with.
pub fn run<T>(future: impl Future<Output = Result<T, StartError>>) -> Result<T, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(StartError::Tokio)?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_jobs_their_files() {
        for (files, workers, connections) in [(1024, 3, 800), (524_288, 3, 524_064), (1024, 64, LEAST), (0, 1, LEAST)] {
            assert_eq!(beside_jobs(files, workers), connections, "{files} {workers}");
        }
    }
}
