//! The resolved settings: complete and in range.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::near::nearest;
use super::{Mistake, Origin};
use crate::model::{Bytes, LimitsPatch};
use crate::telemetry::LogFormat;

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
    pub tests: TestSettings,
    pub collect_file: Bytes,
    pub collect_all: Bytes,
    /// Empty where none were named.
    pub cors_origins: Vec<String>,
    /// Empty where none were named.
    pub hosts: Vec<String>,
    pub tokens: Option<PathBuf>,
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
    pub name_refused: NameRefused,
    /// One of [`crate::telemetry::LEVELS`].
    pub log: String,
    pub log_format: LogFormat,
}

/// The bounds of the HTTP edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HttpSettings {
    pub body: Bytes,
    pub submission: Bytes,
    pub batch: usize,
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
    pub listeners: usize,
    pub heartbeat: Duration,
    pub page: bool,
    pub headers: usize,
    pub header_bytes: Bytes,
    pub guard_monaco: bool,
    pub guard_metrics: bool,
    pub allow_anonymous_from_network: bool,
    pub metrics: MetricsAt,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAt {
    /// At `/metrics` of every address of the service.
    Same,
    /// Nowhere.
    Off,
    /// At `/metrics` of this address, where nothing else is served.
    Apart(SocketAddr),
}

/// Bounds of a submission with tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TestSettings {
    pub most: usize,
    pub output: Bytes,
    pub wall: Duration,
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

/// When reports name the system calls that a program was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRefused {
    /// Never.
    Off,
    /// Where the submission asks for it.
    Asked,
}

/// What the settings change of one language's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepPatches {
    /// The compile step.
    pub compile: LimitsPatch,
    /// Every run.
    pub run: LimitsPatch,
}

/// Why a service does not start although each of its settings is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Anonymous {
    /// Other machines reach it, and it knows no tokens.
    #[error(
        "other machines reach {0}, and anybody could submit there: name a file of tokens with CASEMATE_TOKENS (in the file: \
         tokens), or allow it with CASEMATE_HTTP__ALLOW_ANONYMOUS_FROM_NETWORK=true (in the file: \
         http.allow_anonymous_from_network)"
    )]
    NoTokens(IpAddr),
    /// Other machines reach it, and the Monaco routes want no token.
    #[error(
        "other machines reach {0}, and anybody could submit there by /submit: guard it with CASEMATE_HTTP__GUARD_MONACO=true \
         (in the file: http.guard_monaco), or allow it with CASEMATE_HTTP__ALLOW_ANONYMOUS_FROM_NETWORK=true (in the file: \
         http.allow_anonymous_from_network)"
    )]
    OpenMonaco(IpAddr),
    /// There is nothing to guard with.
    #[error(
        "http.guard_monaco guards nothing without tokens: name a file of them with CASEMATE_TOKENS (in the file: tokens)"
    )]
    NoGuard,
}

impl Settings {
    /// Whether nobody from another machine can submit without a token, or that is allowed by name.
    ///
    /// # Errors
    /// [`Anonymous`].
    pub fn not_anonymous(&self) -> Result<(), Anonymous> {
        let tokens = self.tokens.is_some();
        if self.http.guard_monaco && !tokens {
            return Err(Anonymous::NoGuard);
        }
        let reached = self.listen.iter().copied().find(|ip| !ip.to_canonical().is_loopback());
        match reached.filter(|_| !self.http.allow_anonymous_from_network) {
            Some(ip) if !tokens => Err(Anonymous::NoTokens(ip)),
            Some(ip) if !self.http.guard_monaco => Err(Anonymous::OpenMonaco(ip)),
            _ => Ok(()),
        }
    }

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
