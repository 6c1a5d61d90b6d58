//! The resolved settings: complete and in range.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::near::nearest;
use super::{Mistake, Origin};
use crate::model::{Bytes, LimitsPatch};

/// Every setting. What each is for stands in the table of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Settings {
    pub home: PathBuf,
    pub images: PathBuf,
    pub mirror: Option<String>,
    pub port: u16,
    pub listen: Vec<IpAddr>,
    pub max_workers: NonZeroUsize,
    pub queue_size: usize,
    pub max_pending: usize,
    pub max_pending_bytes: Bytes,
    pub unready_after: usize,
    pub default_language: String,
    pub runtime: RuntimeChoice,
    pub runtime_path: Option<PathBuf>,
    pub unenforced_limits: UnenforcedLimits,
    pub http: HttpSettings,
    pub store: StoreSettings,
    pub cors_origins: Vec<String>,
    /// By name of the language.
    pub limits: BTreeMap<String, StepPatches>,
    /// What clients may ask for at most.
    pub ceilings: StepPatches,
    pub shutdown: Duration,
    pub launch: Duration,
    pub pool_least: usize,
    pub pool_most: usize,
    pub pool_memory: Bytes,
    pub compile_cache: Bytes,
    pub account: String,
    /// One of [`crate::telemetry::LEVELS`].
    pub log: String,
}

/// The bounds of the HTTP edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HttpSettings {
    pub body: Bytes,
    pub submission: Bytes,
    pub wait: Duration,
    pub bodies: Bytes,
    pub results: Bytes,
    pub rate: Bytes,
    pub idle_time: Duration,
    pub header_time: Duration,
    pub body_time: Duration,
    pub write_time: Duration,
    pub connections: usize,
    pub requests: usize,
    pub headers: usize,
    pub header_bytes: Bytes,
}

/// What the store keeps, and what it leaves of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StoreSettings {
    pub age: Duration,
    pub bytes: Bytes,
    pub reserve: Bytes,
}

/// Which OCI runtime to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// crun where it is installed, else runc.
    Auto,
    /// crun.
    Crun,
    /// runc.
    Runc,
}

/// What to do on a machine where no cgroup can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnenforcedLimits {
    /// Not start.
    Refuse,
    /// Do what can be done without, and say so in every report.
    Allow,
}

/// What the settings change of one language's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepPatches {
    /// The compile step.
    pub compile: LimitsPatch,
    /// Every run.
    pub run: LimitsPatch,
}

impl Settings {
    /// A mistake for every language that is named and is not among those that there are.
    /// `origin` knows where a key was set, or the first key below it.
    pub(super) fn unknown_languages(&self, known: &[&str], origin: impl Fn(&str) -> Origin) -> Vec<Mistake> {
        let default = ("default_language".to_owned(), &self.default_language);
        let limits = self.limits.keys().map(|name| (format!("limits.{name}"), name));
        limits
            .chain([default])
            .filter(|(_, name)| !known.contains(&name.as_str()))
            .map(|(key, name)| Mistake::Value {
                origin: origin(&key),
                value: name.clone(),
                accepts: match nearest(name, known.iter().copied()) {
                    Some(near) => format!("one of {} (did you mean {near}?)", known.join(", ")),
                    None => format!("one of {}", known.join(", ")),
                },
            })
            .collect()
    }
}
