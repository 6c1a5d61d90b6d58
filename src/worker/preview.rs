//! The `config.json` that a job's container would get, without making one: the same blueprint and the same code as at a
//! launch. What only a launch knows has a placeholder.

use std::path::Path;

use oci_spec::OciSpecError;
use oci_spec::runtime::Spec;
use thiserror::Error;

use super::blueprint::{Blueprint, Place};
use crate::bundle::Ids;
use crate::config::StepPatches;
use crate::host::stage::Stage;
use crate::language::Language;
use crate::model::{Limits, StepKind, Streams};
use crate::seccomp::Profiles;

/// What stands in paths for the name of the container.
const CONTAINER: &str = "{container}";

/// Where a placeholder stands, and what a real container has there.
pub const PER_CONTAINER: [(&str, &str); 6] = [
    ("root.path", "a number of its own for {container}"),
    ("mounts[/code].source", "the container's name for {container}"),
    (
        "linux.uidMappings[].hostID, linux.gidMappings[].hostID",
        "two ids of a block that no other live container has; shown is the first block",
    ),
    ("linux.cgroupsPath", "on cgroup v2: the container's name for {container}"),
    (
        "process.rlimits[RLIMIT_CORE]",
        "depends on the hard limit that the service is started with; shown is the caller's",
    ),
    (
        "annotations, linux.seccomp.syscalls",
        "with crun the rules are the first container's of each profile; later ones have the filter that crun compiled of them",
    ),
];

/// Why there is nothing to show.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum PreviewError {
    #[error("language {0} has no compile step; leave out `--step compile`")]
    NoCompile(String),
    #[error("language {language} names seccomp profile {name}, which there is not")]
    NoProfile { name: String, language: String },
    #[error("the configuration cannot be written")]
    Oci(#[from] OciSpecError),
}

/// A configuration and what it was made of.
#[derive(Debug)]
pub struct Previewed {
    /// The `config.json`.
    pub spec: Spec,
    /// The limits of the step, those that no field of the configuration holds included.
    pub limits: Limits,
    /// The name of the profile behind its filter.
    pub profile: String,
}

/// What kind of container of a step.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// One that is made ahead, else one that is made when its job comes.
    pub warm: bool,
    /// One for a submission of several files.
    pub files: bool,
}

/// The configuration of one step. `v2` says whether the runtime sets the limits; `core` is the `RLIMIT_CORE` of jobs, in bytes;
/// the stage stands at `stage`.
///
/// # Errors
/// See [`PreviewError`].
pub fn preview(
    (language, kind, patches): (&Language, StepKind, &StepPatches),
    which: Which,
    profiles: &Profiles,
    stage: &Path,
    (v2, core): (bool, u64),
) -> Result<Previewed, PreviewError> {
    let limits = match kind {
        StepKind::Compile => language.compile_limits().map(|limits| patches.compile.apply(limits)),
        StepKind::Run => Some(patches.run.apply(language.run_limits())),
    };
    // A command that is up takes a program in one piece (`language::plan`).
    let warm = which.warm && !(which.files && kind == StepKind::Run);
    let blueprint = limits.and_then(|limits| Blueprint::of(language, kind, &limits, Streams::Merged, warm));
    let blueprint = blueprint.ok_or_else(|| PreviewError::NoCompile(language.name.clone()))?;
    // A job whose program is an argument of its command brings no files.
    let files = which.files || language.brings_files();
    let blueprint = if files { blueprint } else { blueprint.without_files() };
    let name = blueprint.ahead.profile.clone();
    let Some(profile) = profiles.get(&name) else {
        return Err(PreviewError::NoProfile { name, language: language.name.clone() });
    };
    let code = stage.join("jobs").join(CONTAINER).join("code");
    let cgroup = format!("/jobs/{CONTAINER}");
    let place = Place {
        rootfs: &stage.join("roots").join(CONTAINER),
        kits: &Stage::kits_in(stage),
        code: blueprint.code.then_some(&code),
        ids: Ids { root: 1, job: 2 },
        core,
        cgroup: v2.then_some(&cgroup),
        compiled_filter: None,
    };
    Ok(Previewed { spec: blueprint.spec(profile, &place)?, limits: blueprint.limits, profile: name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Languages;

    fn shown(language: &str, kind: StepKind, warm: bool) -> Result<serde_json::Value, PreviewError> {
        of(language, kind, Which { warm, files: false })
    }

    fn of(language: &str, kind: StepKind, which: Which) -> Result<serde_json::Value, PreviewError> {
        let (languages, profiles) = (Languages::load(None).unwrap(), Profiles::load(None).unwrap());
        let language = languages.get(language).unwrap();
        let found = preview((language, kind, &StepPatches::default()), which, &profiles, Path::new("/mnt"), (true, 1))?;
        Ok(serde_json::to_value(found.spec).unwrap())
    }

    #[test]
    fn placeholders_stand_where_they_are_said_to() {
        let text = shown("c", StepKind::Compile, true).unwrap();
        assert_eq!(text["root"]["path"], "/mnt/roots/{container}");
        assert_eq!(text["linux"]["cgroupsPath"], "/jobs/{container}");
        let mounts = text["mounts"].as_array().unwrap();
        assert!(mounts.iter().any(|mount| mount["source"] == "/mnt/jobs/{container}/code"), "{mounts:?}");
        assert!(text["annotations"].is_null() && text["linux"]["seccomp"]["syscalls"].as_array().unwrap().len() > 50);
    }

    #[test]
    fn several_files_lie_where_a_program_in_one_piece_is_an_argument() {
        let code = |config: &serde_json::Value| {
            let mounts = config["mounts"].as_array().unwrap().iter();
            mounts.filter(|mount| mount["destination"] == "/code").map(|mount| mount["options"].clone()).next()
        };
        for warm in [false, true] {
            assert_eq!(code(&shown("python", StepKind::Run, warm).unwrap()), None);
            let several = of("python", StepKind::Run, Which { warm, files: true }).unwrap();
            assert_eq!(code(&several), Some(serde_json::json!(["bind", "nosuid", "nodev", "ro"])));
            assert_eq!(several["process"]["args"][1], "wait");
            // Where every program is a file, there is nothing in it that is not there otherwise.
            for (language, kind) in [("c", StepKind::Run), ("java", StepKind::Run), ("java", StepKind::Compile)] {
                let several = of(language, kind, Which { warm, files: true }).unwrap();
                assert_eq!(several, shown(language, kind, warm).unwrap(), "{language} {kind:?}");
            }
        }
    }

    #[test]
    fn a_container_made_ahead_and_one_made_on_demand_differ_where_the_language_waits_warm() {
        let args = |warm| shown("python", StepKind::Run, warm).unwrap()["process"]["args"].clone();
        assert_eq!((args(true)[1].clone(), args(false)[1].clone()), ("warm".into(), "wait".into()));
        assert_eq!(shown("c", StepKind::Run, true).unwrap(), shown("c", StepKind::Run, false).unwrap());
        let error = shown("python", StepKind::Compile, true).unwrap_err().to_string();
        assert!(error.contains("python has no compile step"), "{error}");
    }
}
