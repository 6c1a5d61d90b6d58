//! What a container is made from before its job is known, and how to tell whether it suits one.

use std::path::Path;
use std::sync::Arc;

use oci_spec::OciSpecError;
use oci_spec::runtime::Spec;

use crate::bundle::{self, Ids, Plan, Started};
use crate::language::{Ahead, Language};
use crate::model::{Limits, LimitsPatch, StepKind, Streams};
use crate::seccomp::Profile;

/// One kind of container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blueprint {
    /// The language.
    pub(super) language: String,
    /// Its image.
    pub(super) image: String,
    /// The step.
    pub(super) kind: StepKind,
    /// The command as far as it is known.
    pub(super) ahead: Ahead,
    /// What the step may use.
    pub(super) limits: Limits,
    /// How its output is captured.
    pub(super) streams: Streams,
    /// Whether there will be files in `/code`.
    pub(super) code: bool,
}

/// What is one container's alone, and where what it shares stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) rootfs: &'a Path,
    pub(super) kits: &'a Path,
    pub(super) code: Option<&'a Path>,
    pub(super) ids: Ids,
    /// The `RLIMIT_CORE` of jobs, in bytes.
    pub(super) core: u64,
    pub(super) cgroup: Option<&'a str>,
    pub(super) compiled_filter: Option<&'a str>,
}

impl Blueprint {
    /// The configuration of a container of this kind in this place, under the filter of `profile`.
    pub(super) fn spec(&self, profile: &Profile, place: &Place<'_>) -> Result<Spec, OciSpecError> {
        let Started { begin, argv, binds, start_up } = Started::of(&self.ahead, place.kits);
        bundle::spec(&Plan {
            begin,
            argv,
            env: &self.ahead.env,
            cwd: &self.ahead.cwd,
            limits: &self.limits,
            start_up,
            core: place.core,
            // Most of the configuration is rules, which the runtime would read to no end.
            seccomp: if place.compiled_filter.is_some() { Profile::without_rules()? } else { profile.to_oci()? },
            compiled_filter: place.compiled_filter,
            rootfs: place.rootfs,
            code: place.code,
            code_writable: self.kind == StepKind::Compile,
            binds: &binds,
            ids: place.ids,
            cgroup: place.cgroup,
        })
    }

    /// A container for one step under these limits. Without `warm` nothing of the language's runs in it while it waits.
    /// `None` for the compile step of a language that has none.
    pub(super) fn of(
        language: &Language,
        kind: StepKind,
        limits: &Limits,
        streams: Streams,
        warm: bool,
    ) -> Option<Self> {
        let mut ahead = match kind {
            StepKind::Compile => language.compile_ahead()?,
            StepKind::Run => language.run_ahead(),
        };
        if !warm {
            ahead.cool();
        }
        let code = !ahead.warm.as_ref().is_some_and(|kit| kit.takes_source);
        Some(Self {
            code,
            language: language.name.clone(),
            image: language.image.clone(),
            kind,
            ahead,
            limits: limits.clone(),
            streams,
        })
    }

    /// The containers that submissions ask for that name no limits of their own: those worth making ahead.
    pub(super) fn usual(language: &Language, compile: &LimitsPatch, run: &LimitsPatch) -> Vec<Arc<Self>> {
        let steps = [
            (StepKind::Compile, language.compile_limits(), compile, Streams::Merged),
            (StepKind::Run, Some(language.run_limits()), run, Streams::Merged),
            (StepKind::Run, Some(language.run_limits()), run, Streams::Separate),
        ];
        let each = steps.into_iter().filter_map(|(kind, limits, patch, streams)| {
            Self::of(language, kind, &patch.apply(limits?), streams, true).map(Arc::new)
        });
        each.collect()
    }

    /// For a step that brings no files: a mount less.
    pub(super) fn without_files(mut self) -> Self {
        self.code = self.kind == StepKind::Compile;
        self
    }

    /// Whether a container of this kind serves where `wanted` is asked for: one of the same step under the same limits.
    pub(super) fn serves_as(&self, wanted: &Self) -> bool {
        let Self { language, kind, limits, streams, .. } = wanted;
        self.kind == *kind && self.language == *language && self.streams == *streams && self.limits == *limits
    }
}
