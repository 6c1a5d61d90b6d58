//! A submission of the second kind of route: what a client may say about a job, before it is known whether it may.

use std::collections::BTreeSet;

use super::{Admission, CheckerDraft, RunDraft, ceilings};
use crate::model::{
    Invocation, Job, JobId, LimitsPatch, LimitsWanted, Owner, Project, Refusal, Several, SourceFile, Streams, Watched,
};

/// Files of one program.
const FILES: usize = 256;
/// A file's path, in bytes; within what `/code` and every language's commands leave of a path (PATH_MAX).
const PATH: usize = 512;
/// Paths of all files together, in bytes: they are words of a command line.
const PATHS: usize = 32 << 10;
/// Names in one path.
const DEPTH: usize = 16;
/// The longest name of a file on Linux (path_resolution(7), NAME_MAX).
const NAME: usize = 255;
/// Arguments.
const ARGUMENTS: usize = 256;
/// Arguments together, and the environment together, in bytes: with a program of 128 KiB as an argument beside them they
/// fit into what a container takes (`rootfs-build/init/init.rs`).
const WORDS: usize = 32 << 10;
/// Files that are given back of each run.
const COLLECTED: usize = 64;
/// What a path has to be.
const NAMES: &str = "names between slashes, without `.`, `..` and control characters";
/// Variables of the environment.
const VARIABLES: usize = 128;

/// What a client sent, decoded.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The name of a language.
    pub language: String,
    /// The program.
    pub program: Program,
    /// At least one run; exactly one where there are no tests.
    pub runs: Vec<RunDraft>,
    /// Whether they are tests.
    pub several: Option<Several>,
    /// How it is called.
    pub invocation: Invocation,
    /// Limits of the compile step.
    pub compile: Option<LimitsWanted>,
    /// Limits of every run.
    pub run: Option<LimitsWanted>,
    /// How output is captured.
    pub streams: Streams,
    /// Paths below `/tmp` of files to be given back.
    pub collect: Vec<String>,
    /// Judges outputs.
    pub checker: Option<CheckerDraft>,
    /// Whether the report is to name the system calls that runs are refused.
    pub diagnose: bool,
}

/// A program, in one piece or in several.
#[derive(Clone, Debug)]
pub enum Program {
    /// In one.
    Source(String),
    /// In several files, by path. One alone need not be named as the one that the program begins with.
    Files(Vec<SourceFile>, Option<String>),
}

impl Admission {
    /// The complete job of this owner, with a new id.
    ///
    /// # Errors
    /// [`Refusal::BadValue`] and [`Refusal::OutOfRange`], naming the field.
    pub fn complete(&self, owner: Option<&Owner>, draft: Draft) -> Result<Job, Refusal> {
        let ceilings = self.ceilings(owner);
        let Draft { language, program, runs, several, invocation, compile, run, streams, collect, .. } = draft;
        let Draft { checker, diagnose, .. } = draft;
        let Some((own_compile, own_run)) = self.limits(&language) else {
            let remedy = format!("name one of {}", self.catalogue.names().join(", "));
            return Err(bad("language", &language, remedy));
        };
        let (source, project) = taken(program, "")?;
        check_args("args", &invocation.args)?;
        check_env(&invocation.env)?;
        check_collect(&collect)?;
        if diagnose && !self.diagnoses {
            let remedy =
                "leave it out: here nobody is told which system calls were refused (seccomp.name_refused is off)";
            return Err(bad("diagnose", "true", remedy));
        }
        let checker = checker.map(|checker| self.checker(checker, ceilings)).transpose()?;
        let within = |wanted: Option<LimitsWanted>, path: &str, own, ceilings: &LimitsPatch| {
            ceilings::within(&wanted.unwrap_or_default(), path, &own, ceilings)
        };
        let compile = match (compile, own_compile) {
            (Some(_), None) => {
                let remedy = format!("leave it out: {language} is not compiled");
                return Err(bad("limits.compile", "", remedy));
            }
            (wanted, own) => own.map(|own| within(wanted, "limits.compile", own, &ceilings.compile)).transpose()?,
        };
        let wanted = run.unwrap_or_default();
        let runs = self.runs(runs, several.is_some(), &wanted, (&own_run, &ceilings.run))?;
        Ok(Job {
            id: JobId::random(),
            language,
            source,
            compile,
            runs,
            streams,
            project,
            invocation,
            several,
            collect,
            checker,
            watched: if diagnose { Watched::Refused } else { Watched::Nothing },
        })
    }
}

pub(super) fn bad(field: impl Into<String>, value: &str, remedy: impl Into<String>) -> Refusal {
    Refusal::BadValue { field: field.into(), value: value.to_owned(), remedy: remedy.into() }
}

/// The program's text, and where everything lies of one in several files; its fields are below `path`.
pub(super) fn taken(program: Program, path: &str) -> Result<(String, Option<Project>), Refusal> {
    match program {
        Program::Source(source) => Ok((source, None)),
        Program::Files(files, entry) => {
            let (source, project) = project(files, entry, path)?;
            Ok((source, Some(project)))
        }
    }
}

fn project(mut files: Vec<SourceFile>, entry: Option<String>, above: &str) -> Result<(String, Project), Refusal> {
    check_paths(&files, above)?;
    let entry = match (entry, &files[..]) {
        (Some(entry), _) => entry,
        (None, [only]) => only.path.clone(),
        (None, _) => {
            return Err(bad(format!("{above}entry"), "", "name the path of the file that the program begins with"));
        }
    };
    let Some(at) = files.iter().position(|file| file.path == entry) else {
        return Err(bad(format!("{above}entry"), &entry, "name the path of one of `files`"));
    };
    let first = files.swap_remove(at);
    let Ok(source) = String::from_utf8(first.bytes) else {
        return Err(bad(format!("{above}files[{entry:?}]"), "", "the file that the program begins with must be UTF-8"));
    };
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((source, Project { entry, files }))
}

fn check_paths(files: &[SourceFile], above: &str) -> Result<(), Refusal> {
    let refuse = |path: &str, remedy: &str| Err(bad(format!("{above}files[{path:?}]"), path, remedy));
    if files.is_empty() {
        return Err(bad(format!("{above}files"), "{}", "give at least one file, or `source`"));
    }
    if files.len() > FILES {
        return Err(bad(format!("{above}files"), &files.len().to_string(), format!("give at most {FILES} files")));
    }
    let mut taken = BTreeSet::new();
    for SourceFile { path, .. } in files {
        if !is_plain(path) {
            return refuse(path, &format!("give a path below /code: {NAMES}"));
        }
        if path.len() > PATH || path.split('/').count() > DEPTH {
            return refuse(path, &format!("give a path of at most {PATH} bytes and {DEPTH} names"));
        }
        if !taken.insert(path.as_str()) {
            return refuse(path, "give each path once");
        }
    }
    let inside = |path: &&str| path.match_indices('/').any(|(at, _)| taken.contains(&path[..at]));
    if let Some(path) = taken.iter().find(|path| inside(path)) {
        return refuse(path, "another path is a file where this one needs a directory");
    }
    let all: usize = taken.iter().map(|path| path.len()).sum();
    if all > PATHS {
        return Err(bad(
            format!("{above}files"),
            &all.to_string(),
            format!("all paths together may have {PATHS} bytes"),
        ));
    }
    Ok(())
}

/// Paths below `/tmp`, to be opened beneath it.
fn check_collect(paths: &[String]) -> Result<(), Refusal> {
    if paths.len() > COLLECTED {
        return Err(bad("collect", &paths.len().to_string(), format!("give at most {COLLECTED} paths")));
    }
    let mut taken = BTreeSet::new();
    for (number, path) in paths.iter().enumerate() {
        let field = format!("collect[{number}]");
        if !is_plain(path) || path.len() > PATH {
            let remedy = format!("give a path below /tmp of at most {PATH} bytes, such as dir/out.txt: {NAMES}");
            return Err(bad(field, path, remedy));
        }
        if !taken.insert(path) {
            return Err(bad(field, path, "give each path once"));
        }
    }
    Ok(())
}

/// Whether a path has names between slashes alone.
fn is_plain(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name != "." && name != ".." && name.len() <= NAME;
    path.split('/').all(plain) && !path.chars().any(char::is_control)
}

/// What a command line can hold (execve(2)): no NUL, a bounded size.
pub(super) fn check_args(path: &str, args: &[String]) -> Result<(), Refusal> {
    if args.len() > ARGUMENTS {
        return Err(bad(path, &args.len().to_string(), format!("give at most {ARGUMENTS} arguments")));
    }
    if let Some(at) = args.iter().position(|word| word.contains('\0')) {
        return Err(bad(format!("{path}[{at}]"), &args[at], "an argument cannot contain a NUL"));
    }
    check_size(path, args.iter().map(|word| word.len() + 1).sum())
}

/// The same of an environment.
fn check_env(env: &[(String, String)]) -> Result<(), Refusal> {
    if env.len() > VARIABLES {
        return Err(bad("env", &env.len().to_string(), format!("give at most {VARIABLES} variables")));
    }
    for (name, value) in env {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(bad(format!("env[{name:?}]"), name, "a name has ASCII letters, digits and _, no digit first"));
        }
        if value.contains('\0') {
            return Err(bad(format!("env[{name:?}]"), value, "a value cannot contain a NUL"));
        }
    }
    check_size("env", env.iter().map(|(name, value)| name.len() + value.len() + 2).sum())
}

fn check_size(path: &str, size: usize) -> Result<(), Refusal> {
    if size <= WORDS {
        return Ok(());
    }
    Err(bad(path, &size.to_string(), format!("all of it together may have {WORDS} bytes")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::admission;
    use super::*;

    pub fn draft(program: Program) -> Draft {
        let (invocation, streams) = (Invocation::default(), Streams::Separate);
        let runs = vec![RunDraft { stdin: b"in".to_vec(), ..RunDraft::default() }];
        let language = "c".into();
        Draft {
            language,
            program,
            runs,
            several: None,
            invocation,
            compile: None,
            run: None,
            streams,
            collect: vec![],
            checker: None,
            diagnose: false,
        }
    }

    fn files(paths: &[&str], entry: Option<&str>) -> Draft {
        let files = paths.iter().map(|path| SourceFile { path: (*path).into(), bytes: b"x".to_vec() }).collect();
        draft(Program::Files(files, entry.map(Into::into)))
    }

    pub fn refused(draft: Draft) -> (String, String) {
        match admission().complete(None, draft) {
            Err(Refusal::BadValue { field, remedy, .. }) => (field, remedy),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_draft_becomes_a_job_with_the_limits_of_the_settings() {
        let wanted = LimitsWanted { wall_ms: Some(1500.into()), ..LimitsWanted::default() };
        let job =
            admission().complete(None, Draft { run: Some(wanted), ..draft(Program::Source("x".into())) }).unwrap();
        assert_eq!((job.runs[0].limits.wall.0, job.runs[0].stdin.as_slice()), (1500, &b"in"[..]));
        // As the settings have it.
        assert_eq!(job.runs[0].limits.memory.0, 50 << 20);
        let job = admission().complete(None, files(&["b.c", "a.c"], Some("b.c"))).unwrap();
        let project = job.project.unwrap();
        assert_eq!((job.source.as_str(), project.entry.as_str(), project.files[0].path.as_str()), ("x", "b.c", "a.c"));
        assert_eq!(admission().complete(None, files(&["only.c"], None)).unwrap().project.unwrap().entry, "only.c");
    }

    #[test]
    fn paths() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(16) + "x";
        for path in ["", "/a", "a/", "a//b", ".", "a/../b", "..", "./a", "a\nb", "a\0", &long, &deep] {
            let (field, remedy) = refused(files(&["ok.c", path], Some("ok.c")));
            assert!(field.starts_with("files[") && !remedy.is_empty(), "{path:?}: {field} {remedy}");
        }
        for paths in [&["a", "a"][..], &["a", "a/b"], &["a", "a-b", "a/b/c"]] {
            refused(files(paths, Some("a")));
        }
        for entry in [None, Some("x"), Some("/code/a.c")] {
            assert_eq!(refused(files(&["a.c", "b.c"], entry)).0, "entry");
        }
        assert_eq!(refused(files(&[], None)).0, "files");
        let many: Vec<String> = (0..257).map(|n| n.to_string()).collect();
        assert_eq!(refused(files(&many.iter().map(String::as_str).collect::<Vec<_>>(), Some("1"))).0, "files");
        let latin = SourceFile { path: "a.c".into(), bytes: b"\xff".to_vec() };
        assert!(refused(draft(Program::Files(vec![latin], None))).1.contains("UTF-8"));
    }

    #[test]
    fn paths_to_collect() {
        let with = |paths: &[&str]| {
            let collect = paths.iter().map(|&path| path.to_owned()).collect();
            Draft { collect, ..draft(Program::Source("x".into())) }
        };
        let job = admission().complete(None, with(&["a", "b/c.png", "..d", "ä"])).unwrap();
        assert_eq!(job.collect, ["a", "b/c.png", "..d", "ä"]);
        let long = "x/".repeat(256) + "x";
        for path in ["", "/etc/passwd", "..", "../a", "a/../../b", "a/./b", "a//b", "a/", "a\0", "a\nb", &long] {
            let (field, remedy) = refused(with(&["ok", path]));
            assert!(field == "collect[1]" && remedy.contains("below /tmp"), "{path:?}: {field} {remedy}");
        }
        assert_eq!(refused(with(&["a", "b", "a"])).0, "collect[2]");
        let many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
        assert_eq!(refused(with(&many.iter().map(String::as_str).collect::<Vec<_>>())).0, "collect");
    }

    #[test]
    fn words_of_a_command_line() {
        let with = |args: &[&str], env: &[(&str, &str)]| {
            let args = args.iter().map(|&word| word.to_owned()).collect();
            let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            Draft { invocation: Invocation { args, env }, ..draft(Program::Source("x".into())) }
        };
        assert!(admission().complete(None, with(&["", "-x", "ä\n"], &[("_A1", "x=y")])).is_ok());
        let long = "x".repeat(WORDS);
        for (draft, field) in [
            (with(&["a\0"], &[]), "args[0]"),
            (with(&[&long], &[]), "args"),
            (with(&["x"; 257], &[]), "args"),
            (with(&[], &[("1A", "")]), "env[\"1A\"]"),
            (with(&[], &[("", "")]), "env[\"\"]"),
            (with(&[], &[("A=B", "")]), "env[\"A=B\"]"),
            (with(&[], &[("A", "\0")]), "env[\"A\"]"),
            (with(&[], &[("A", &long)]), "env"),
        ] {
            assert_eq!(refused(draft).0, field);
        }
    }

    #[test]
    fn who_asks_what_was_refused_is_told_unless_the_operator_says_otherwise() {
        let plain = draft(Program::Source("x".into()));
        let asks = Draft { diagnose: true, ..plain.clone() };
        let watched =
            |admission: &Admission, draft: &Draft| admission.complete(None, draft.clone()).map(|job| job.watched);
        assert_eq!(watched(&admission(), &plain), Ok(Watched::Nothing));
        assert_eq!(watched(&admission(), &asks), Ok(Watched::Refused));
        let off = admission().with_diagnoses(false);
        assert_eq!(watched(&off, &plain), Ok(Watched::Nothing));
        match watched(&off, &asks) {
            Err(Refusal::BadValue { field, value, remedy }) => {
                assert_eq!((field.as_str(), value.as_str()), ("diagnose", "true"));
                assert!(remedy.starts_with("leave it out") && remedy.contains("seccomp.name_refused"), "{remedy}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_language_has_not() {
        let python = Draft {
            language: "python".into(),
            compile: Some(LimitsWanted::default()),
            ..draft(Program::Source("x".into()))
        };
        assert_eq!(refused(python).0, "limits.compile");
        let ruby = Draft { language: "ruby".into(), ..draft(Program::Source("x".into())) };
        assert_eq!(refused(ruby), ("language".into(), "name one of c, python".into()));
    }
}
