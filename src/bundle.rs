//! From a step to its `config.json`: a pure function of values. Built from nothing: what is not written here is not in
//! the container (`tests/golden/` holds the whole result for every language and step).

mod diff;
mod docker;
mod explain;
mod identity;
pub mod init;
mod keys;
pub mod kits;
mod limits;
mod mounts;
mod surface;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBuilder, LinuxCapabilitiesBuilder, LinuxSeccomp, ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use crate::language::Ahead;
use crate::model::Limits;

pub use diff::diff;
pub use docker::docker_default;
pub use explain::explain;
pub use identity::{Ids, JOB_UID};
pub use limits::cpu_seconds;
pub use surface::{Surface, SurfaceError};

/// Where the init stands in every container: in a layer over the image (`host::stage`).
pub const INIT_PATH: &str = "/casemate/init";

/// Where the kits stand in every container, each a directory, in the same layer.
pub const KIT_PATH: &str = "/casemate/kit";

/// The annotation by which crun takes a compiled filter (crun(1), `run.oci.seccomp_bpf_data`; since version 1.5).
const COMPILED_FILTER: &str = "run.oci.seccomp_bpf_data";

/// When the init starts the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// When it is told to, on file descriptor 4.
    OnWord,
    /// At once: the program itself takes from file descriptor 4 what it is to do.
    Warm,
}

/// What a container begins with while its job is not known yet.
#[derive(Clone, Debug)]
pub struct Started<'a> {
    /// When the program starts.
    pub begin: Begin,
    /// The program and its arguments.
    pub argv: &'a [String],
    /// What it needs beside its image, as [`Plan::binds`] has it.
    pub binds: Vec<(String, PathBuf)>,
    /// Processor time that it may take to come up before its job is there, in seconds.
    pub start_up: u64,
}

/// The most processor time that a costly command may take to come up, in seconds. Java's compiler takes about one.
const START_UP: u64 = 10;

impl<'a> Started<'a> {
    /// By what the language says of its step; the kits are directories below `kits`.
    #[must_use]
    pub fn of(ahead: &'a Ahead, kits: &Path) -> Self {
        let Some(kit) = &ahead.warm else {
            return Self { begin: Begin::OnWord, argv: &ahead.argv, binds: Vec::new(), start_up: 0 };
        };
        let dir = kits.join(&kit.name);
        let binds = kit.over.iter().map(|(path, name)| (path.clone(), dir.join(name))).collect();
        // What comes up in no time has the seconds that the limit of a process is above the group's.
        let start_up = if kit.on_demand { START_UP } else { 0 };
        Self { begin: Begin::Warm, argv: &kit.argv, binds, start_up }
    }
}

/// Everything that a container is made of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// When the program starts.
    pub begin: Begin,
    /// The program and its arguments; the init starts it as its child. The word to begin may bring others.
    pub argv: &'a [String],
    /// Its whole environment.
    pub env: &'a [(String, String)],
    /// Where it starts.
    pub cwd: &'a str,
    /// What it may use.
    pub limits: &'a Limits,
    /// Processor time that it may take to come up, in seconds, on top of that.
    pub start_up: u64,
    /// Its `RLIMIT_CORE` in bytes, 1 unless the service itself may have no more than 0 (`host::rlimits`).
    pub core: u64,
    /// The filter of system calls.
    pub seccomp: LinuxSeccomp,
    /// The filter as crun compiled it for an earlier container, in base64: an annotation that spares it the work. It counts in
    /// place of the rules of `seccomp`.
    pub compiled_filter: Option<&'a str>,
    /// The container's root file system, the init in it, seen by the service. No other live container has it.
    pub rootfs: &'a Path,
    /// What becomes `/code`, seen by the service; without it, the image's own directory is there, empty and read-only.
    pub code: Option<&'a Path>,
    /// Whether the step may write there.
    pub code_writable: bool,
    /// Further files, read-only: where they appear, and where the service sees them. Each place is in the
    /// image already.
    pub binds: &'a [(String, PathBuf)],
    /// The block of ids that is this container's alone.
    pub ids: Ids,
    /// Where on cgroup v2 the runtime makes the leaf and sets the limits; `None` on v1, where the service has done so.
    pub cgroup: Option<&'a str>,
}

/// The specification of `plan`.
///
/// # Errors
/// When `oci-spec` misses a value, which is a mistake in this file.
pub fn spec(plan: &Plan<'_>) -> Result<Spec, OciSpecError> {
    let begin = match plan.begin {
        Begin::OnWord => "wait",
        Begin::Warm => "warm",
    };
    let mut argv = vec![INIT_PATH.to_owned(), begin.to_owned()];
    argv.extend_from_slice(plan.argv);
    let process = ProcessBuilder::default()
        .terminal(false)
        .user(UserBuilder::default().uid(JOB_UID).gid(JOB_UID).additional_gids(Vec::new()).build()?)
        .args(argv)
        .env(plan.env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        .cwd(plan.cwd)
        .no_new_privileges(true)
        .capabilities(no_capabilities()?)
        .rlimits(limits::rlimits(plan.limits, plan.core, plan.start_up)?)
        .build()?;
    let mut linux = LinuxBuilder::default()
        .uid_mappings(identity::mappings(plan.ids)?)
        .gid_mappings(identity::mappings(plan.ids)?)
        .namespaces(identity::namespaces()?)
        .seccomp(plan.seccomp.clone())
        .build()?;
    linux.set_devices(None).set_resources(None).set_cgroups_path(None).set_masked_paths(None).set_readonly_paths(None);
    if let Some(path) = plan.cgroup {
        linux.set_cgroups_path(Some(PathBuf::from(path))).set_resources(Some(limits::resources(plan.limits)?));
    }
    let mut spec = SpecBuilder::default()
        .version("1.0.2")
        .root(RootBuilder::default().path(plan.rootfs).readonly(true).build()?)
        .mounts(mounts::mounts(plan)?)
        .process(process)
        .hostname("casemate")
        .linux(linux)
        .build()?;
    let annotation = plan.compiled_filter.map(|filter| (COMPILED_FILTER.to_owned(), filter.to_owned()));
    spec.set_annotations(annotation.map(|one| HashMap::from([one]))).set_hooks(None);
    Ok(spec)
}

fn no_capabilities() -> Result<oci_spec::runtime::LinuxCapabilities, OciSpecError> {
    let none = std::collections::HashSet::new;
    LinuxCapabilitiesBuilder::default()
        .bounding(none())
        .effective(none())
        .inheritable(none())
        .permitted(none())
        .ambient(none())
        .build()
}
