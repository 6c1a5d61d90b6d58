//! What a configuration leaves open, in a form in which two can be held against each other: one of ours, one of a file,
//! and what Docker does by default.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use thiserror::Error;

use super::{INIT_PATH, keys};
use crate::cgroup::{CPU_PERIOD_US, quota_us, with_init};
use crate::model::Limits;
use crate::seccomp::{ForeignError, Policy, read_foreign};

/// The kernel's period of a share of the processor where a configuration names none (cgroups(7), cpu.max).
const USUAL_PERIOD_US: u64 = 100_000;

/// Why a file cannot be compared.
#[derive(Debug, Error)]
pub enum SurfaceError {
    /// It cannot be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no configuration.
    #[error("{file}: {message}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// Its filter is none.
    #[error(transparent)]
    Filter(#[from] ForeignError),
}

/// What a mount is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mounted {
    pub(super) kind: String,
    /// `None` where it is not known.
    pub(super) source: Option<String>,
    pub(super) options: BTreeSet<String>,
}

/// The parts of a configuration that decide what a program can reach.
#[derive(Clone, Debug)]
pub struct Surface {
    pub(super) name: String,
    /// Of any set, without `CAP_`.
    pub(super) capabilities: BTreeSet<String>,
    pub(super) new_privileges: bool,
    pub(super) uid: u64,
    pub(super) terminal: bool,
    pub(super) root_writable: bool,
    /// Kinds of namespaces that are its own.
    pub(super) namespaces: BTreeSet<String>,
    pub(super) mounts: BTreeMap<String, Mounted>,
    pub(super) hooks: bool,
    /// Device files beyond those that every runtime makes.
    pub(super) devices: usize,
    pub(super) masked: BTreeSet<String>,
    pub(super) read_only: BTreeSet<String>,
    /// Without `RLIMIT_`; the hard values.
    pub(super) rlimits: BTreeMap<String, u64>,
    /// Limits of the group: memory, processes, share of a processor. `None` where they are not in the file.
    pub(super) group: Option<BTreeMap<String, u64>>,
    pub(super) filter: Policy,
    /// What can be read and held against another without knowing which is wider, by its key; `None` where nothing is known.
    pub(super) facts: Option<BTreeMap<String, String>>,
    /// Keys that decide something, perhaps, and that nothing here looks at.
    pub(super) uncompared: Vec<String>,
}

impl Surface {
    /// Of a `config.json` (OCI runtime specification 1.0 and later).
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Result<Self, SurfaceError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| SurfaceError::Read { file: file.clone(), source })?;
        let wrong = |message: String| SurfaceError::Format { file: file.clone(), message };
        let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if !value["process"].is_object() {
            let message =
                "no config.json of an OCI runtime: it has no `process`; for a filter alone, `casemate seccomp diff`";
            return Err(wrong(message.to_owned()));
        }
        let filter = read_foreign(path)?;
        Ok(Self::of(&file, &value, filter))
    }

    /// Of one of ours: the configuration, its filter, and the limits, of which cgroup v1 leaves no trace in it.
    #[must_use]
    pub fn ours(config: &Value, filter: Policy, limits: &Limits) -> Self {
        let mut surface = Self::of("casemate", config, filter);
        let (memory, pids) = (Some(limits.memory.0), Some(with_init(limits.pids).0.into()));
        surface.group = Some(named(memory, pids, quota_us(limits.cpu_share)));
        surface
    }

    pub(super) fn of(name: &str, config: &Value, filter: Policy) -> Self {
        let (process, linux) = (&config["process"], &config["linux"]);
        let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let strings = |value: &Value| -> BTreeSet<String> {
            items(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let sets = process["capabilities"].as_object().into_iter().flatten();
        let capabilities = sets.flat_map(|(_, held)| strings(held)).map(|name| bare(&name, "CAP_")).collect();
        // A namespace with a path is one that is entered, not made.
        let own = items(&linux["namespaces"]).into_iter().filter(|one| one["path"].as_str().is_none_or(str::is_empty));
        let namespaces = own.filter_map(|one| one["type"].as_str().map(str::to_owned)).collect();
        let mounts = items(&config["mounts"]).iter().map(mounted).collect();
        let rlimits = items(&process["rlimits"]).iter().filter_map(rlimit).collect();
        let resources = &linux["resources"];
        let limit = |place: &str| resources.pointer(place)?.as_i64().filter(|value| *value > 0).map(i64::unsigned_abs);
        let period = limit("/cpu/period").unwrap_or(USUAL_PERIOD_US);
        let share = limit("/cpu/quota").map(|quota| quota.saturating_mul(CPU_PERIOD_US) / period);
        // One of our own from cgroup v1, where the service sets them itself, beside the file.
        let elsewhere = process["args"][0] == INIT_PATH && resources.is_null();
        let group = (!elsewhere).then(|| named(limit("/memory/limit"), limit("/pids/limit"), share));
        Self {
            name: name.to_owned(),
            capabilities,
            new_privileges: process["noNewPrivileges"] != true,
            uid: process["user"]["uid"].as_u64().unwrap_or(0),
            terminal: process["terminal"] == true,
            root_writable: config["root"]["readonly"] != true,
            namespaces,
            mounts,
            hooks: config["hooks"].as_object().is_some_and(|hooks| !hooks.is_empty()),
            devices: items(&linux["devices"]).len(),
            masked: strings(&linux["maskedPaths"]),
            read_only: strings(&linux["readonlyPaths"]),
            rlimits,
            group,
            filter,
            facts: Some(keys::facts(config)),
            uncompared: keys::uncompared(config),
        }
    }
}

fn named(memory: Option<u64>, pids: Option<u64>, cpu: Option<u64>) -> BTreeMap<String, u64> {
    let all = [("memory", memory), ("pids", pids), ("cpu (µs a second)", cpu)];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn mounted(mount: &Value) -> (String, Mounted) {
    let text = |key: &str| mount[key].as_str().unwrap_or_default().to_owned();
    let options = mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let options: BTreeSet<String> = options.map(str::to_owned).collect();
    let bind = options.contains("bind") || options.contains("rbind");
    (
        text("destination"),
        Mounted { source: Some(text("source")), kind: if bind { "bind".to_owned() } else { text("type") }, options },
    )
}

fn rlimit(limit: &Value) -> Option<(String, u64)> {
    Some((bare(limit["type"].as_str()?, "RLIMIT_"), limit["hard"].as_u64()?))
}

fn bare(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}
