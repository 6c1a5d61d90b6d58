//! A job: complete, within every ceiling, checked once at the edge.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Checker, Limits, Several, Test, Watched};

/// The name of a submission on the wire: a UUID (RFC 9562), lower case, `8-4-4-4-12`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// A new random (version 4) id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// As one number.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0.as_u128()
    }

    /// The id of this number.
    #[must_use]
    pub const fn of(number: u128) -> Self {
        Self(Uuid::from_u128(number))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(s).map(Self)
    }
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Makes the program; may write to its directory.
    Compile,
    /// Executes it.
    Run,
}

/// Whether a step's two output streams are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// One pipe for both, so that what was printed keeps the order in which it was printed.
    #[default]
    Merged,
    /// A pipe each.
    Separate,
}

/// One execution of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Reaches standard input byte for byte, then end of file.
    #[serde(with = "serde_bytes")]
    pub stdin: Vec<u8>,
    /// What this run may use.
    pub limits: Limits,
    /// What else it has of its own.
    #[serde(default)]
    pub test: Test,
}

impl Run {
    /// A run that may print anything.
    #[must_use]
    pub fn plain(stdin: Vec<u8>, limits: Limits) -> Self {
        Self { stdin, limits, test: Test::default() }
    }

    /// Bytes of what a client sent for it.
    fn size(&self) -> usize {
        let Test { name, args, expected, .. } = &self.test;
        let words =
            args.iter().flatten().map(|arg| ENTRY + arg.len()).chain(name.as_ref().map(String::len)).sum::<usize>();
        self.stdin.len() + words + expected.as_ref().map_or(0, |expected| expected.bytes.len())
    }
}

/// What a run beyond the first counts for beside what a client sent for it, in bytes: it is kept with all its limits, however
/// little was said of it.
const RUN: usize = 330;

/// The same for a file, an argument, a variable and a path that is wanted back.
const ENTRY: usize = 24;

/// A file of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path below `/code`: plain names between slashes.
    pub path: String,
    /// What is in it.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// A program of several files, beside the one that it begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The path below `/code` of the file that it begins with; what is in that is the job's `source`.
    pub entry: String,
    /// All others, by path.
    pub files: Vec<SourceFile>,
}

/// How the program is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Further arguments on its command line.
    pub args: Vec<String>,
    /// Further variables of its environment; one of the language's own by the same name is replaced.
    pub env: Vec<(String, String)>,
}

/// What is to be executed: an optional compile step and one or more runs of what it made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The name of a language that was known when the job was accepted.
    pub language: String,
    /// The program.
    pub source: String,
    /// Limits of the compile step; `None` for a language that has none.
    pub compile: Option<Limits>,
    /// At least one; each starts from the same compiled program in a container of its own.
    pub runs: Vec<Run>,
    /// How output is captured, the same for every run. Of a compile step both streams are merged.
    pub streams: Streams,
    /// What the program has beside `source`; `None` for a program in one piece, whose file is named by the language.
    #[serde(default)]
    pub project: Option<Project>,
    /// How every run is called.
    #[serde(default)]
    pub invocation: Invocation,
    /// Present where the client gave tests, be it only one: each run is one of them.
    #[serde(default)]
    pub several: Option<Several>,
    /// Paths below `/tmp` of files that its client wants back from every run.
    #[serde(default)]
    pub collect: Vec<String>,
    /// Says whether an output is right.
    #[serde(default)]
    pub checker: Option<Checker>,
    /// What is kept of its system calls.
    #[serde(default, skip_serializing_if = "Watched::is_nothing")]
    pub watched: Watched,
}

impl Job {
    /// About the bytes that it is kept in: what a client sent, which is the program's files, arguments and environment, and
    /// every input and expected output; and a number for each of those of which there may be many.
    #[must_use]
    pub fn size(&self) -> u64 {
        let Self { source, runs, project, invocation: Invocation { args, env }, collect, checker, .. } = self;
        let own = checker.as_ref().and_then(|checker| checker.project.as_ref());
        let source = source.len() + checker.as_ref().map_or(0, |checker| checker.source.len());
        let files =
            project.iter().chain(own).flat_map(|project| &project.files).map(|file| file.path.len() + file.bytes.len());
        let words =
            args.iter().chain(collect).map(String::len).chain(env.iter().map(|(name, value)| name.len() + value.len()));
        let entries = files.chain(words).map(|bytes| ENTRY + bytes);
        let further = RUN * runs.len().saturating_sub(1);
        (source + further + entries.chain(runs.iter().map(Run::size)).sum::<usize>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bytes, CpuShare, CpuTime, Inodes, OpenFiles, Pids, WallTime};

    /// However little was said of each of many, it does not take up more than it counts for.
    #[test]
    fn many_that_say_nothing_count_for_what_they_are_kept_in() {
        let most = Bytes(u64::MAX);
        let limits = Limits {
            memory: most,
            cpu_share: Some(CpuShare(u32::MAX)),
            cpu_time: CpuTime(u64::MAX),
            wall: WallTime(u64::MAX),
            pids: Pids(u32::MAX),
            open_files: OpenFiles(u32::MAX),
            stack: most,
            file_size: most,
            output: most,
            tmp: most,
            tmp_inodes: Inodes(u64::MAX),
        };
        let run = |args: usize| Run {
            test: Test { args: Some(vec![String::new(); args]), ..Test::default() },
            ..Run::plain(Vec::new(), limits.clone())
        };
        let plain = Job {
            id: JobId::random(),
            language: "c".into(),
            source: String::new(),
            compile: None,
            runs: vec![run(0)],
            streams: Streams::Merged,
            project: None,
            invocation: Invocation::default(),
            several: None,
            collect: Vec::new(),
            checker: None,
            watched: Watched::Nothing,
        };
        let file = SourceFile { path: "a".into(), bytes: Vec::new() };
        let project = Project { entry: "b".into(), files: vec![file; 1000] };
        let invocation =
            Invocation { args: vec![String::new(); 1000], env: vec![(String::new(), String::new()); 1000] };
        for job in [
            Job { runs: vec![run(0); 1000], ..plain.clone() },
            Job { runs: vec![run(1000)], ..plain.clone() },
            Job { project: Some(project), ..plain.clone() },
            Job { invocation, ..plain.clone() },
            Job { collect: vec![String::new(); 1000], ..plain },
        ] {
            let kept = rmp_serde::to_vec_named(&job).unwrap().len() as u64;
            // What there is of every job is for the number that may wait.
            assert!(job.size() + 1000 >= kept, "{} for {kept} bytes", job.size());
        }
    }
}
