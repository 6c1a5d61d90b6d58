//! A submission of the second kind of route: what a client may say about a job, before it is known whether it may.

use super::checks::{bad, check_args, check_collect, check_env, check_paths, member};
use super::{Admission, CheckerDraft, RunDraft, ceilings};
use crate::model::{
    Invocation, Job, JobId, LimitsPatch, LimitsWanted, Owner, Project, Refusal, Several, SourceFile, Streams, Watched,
};

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
            return Err(bad("language", Some(&language), "there is no such language", remedy));
        };
        let (source, project) = taken(program, "", &self.catalogue.sources(&language))?;
        check_args("args", &invocation.args)?;
        check_env(&invocation.env)?;
        check_collect(&collect)?;
        if diagnose && !self.diagnoses {
            let wrong = "here nobody is told which system calls were refused (seccomp.name_refused is off)";
            return Err(bad("diagnose", Some("true"), wrong, "leave it out"));
        }
        let checker = checker.map(|checker| self.checker(checker, ceilings)).transpose()?;
        let within = |wanted: Option<LimitsWanted>, path: &str, own, ceilings: &LimitsPatch| {
            ceilings::within(&wanted.unwrap_or_default(), path, &own, ceilings)
        };
        let compile = match (compile, own_compile) {
            (Some(_), None) => {
                return Err(bad("limits.compile", None, format!("{language} is not compiled"), "leave it out"));
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

/// The program's text, and where everything lies of one in several files; its fields are below `path`. `kinds` are the
/// extensions of which the file that it begins with has to have one; any will do where there are none.
pub(super) fn taken(program: Program, path: &str, kinds: &[String]) -> Result<(String, Option<Project>), Refusal> {
    match program {
        Program::Source(source) => Ok((source, None)),
        Program::Files(files, entry) => {
            let (source, project) = project(files, entry, path, kinds)?;
            Ok((source, Some(project)))
        }
    }
}

fn project(
    mut files: Vec<SourceFile>,
    entry: Option<String>,
    above: &str,
    kinds: &[String],
) -> Result<(String, Project), Refusal> {
    check_paths(&files, above)?;
    let entry = match (entry, &files[..]) {
        (Some(entry), _) => entry,
        (None, [only]) => only.path.clone(),
        (None, _) => {
            let wrong = "of several files one has to be named";
            return Err(bad(
                format!("{above}entry"),
                None,
                wrong,
                "name the path of the file that the program begins with",
            ));
        }
    };
    let Some(at) = files.iter().position(|file| file.path == entry) else {
        return Err(bad(format!("{above}entry"), Some(&entry), "none of `files` has this path", "name one that has"));
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| entry.rsplit_once('.').is_some_and(|(_, end)| end == kind)) {
        let ends = kinds.iter().map(|kind| format!(".{kind}")).collect::<Vec<_>>().join(", ");
        let wrong = "it is no source of the language";
        return Err(bad(format!("{above}entry"), Some(&entry), wrong, format!("name a file that ends with {ends}")));
    }
    let first = files.swap_remove(at);
    let Ok(source) = String::from_utf8(first.bytes) else {
        let wrong = "the file that the program begins with is not UTF-8";
        return Err(bad(member(&format!("{above}files"), &entry), None, wrong, "encode it in UTF-8"));
    };
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((source, Project { entry, files }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::most::WORDS;
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
            Err(Refusal::BadValue { field, wrong, remedy, .. }) => {
                assert!(
                    !wrong.is_empty() && !remedy.is_empty() && !remedy.contains(&wrong),
                    "{field}: {wrong}: {remedy}"
                );
                (field, remedy)
            }
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
            assert!(refused(files(paths, Some("a"))).0.starts_with("files["));
        }
        // A name of the client's own is not repeated at any length.
        let (field, _) = refused(files(&["ok.c", &"y".repeat(100_000)], Some("ok.c")));
        assert!(field.starts_with("files[\"yyy") && field.ends_with("…\"]") && field.len() < 200, "{}", field.len());
        for entry in [None, Some("x"), Some("/code/a.c")] {
            assert_eq!(refused(files(&["a.c", "b.c"], entry)).0, "entry");
        }
        // What the compiler would not take for a source.
        let remedy = "name a file that ends with .c".to_owned();
        for (paths, entry) in [
            (&["a.c", "b.h"][..], Some("b.h")),
            (&["Makefile", "a.c"], Some("Makefile")),
            (&["a.cc"], None),
            (&["c"], None),
        ] {
            assert_eq!(refused(files(paths, entry)), ("entry".into(), remedy.clone()), "{paths:?}");
        }
        let python = Draft { language: "python".into(), ..files(&["run"], None) };
        assert_eq!(admission().complete(None, python).unwrap().project.unwrap().entry, "run");
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
            assert!(field == "collect[1]" && remedy.contains("dir/out.txt"), "{path:?}: {field} {remedy}");
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
            (with(&[], &[("A", "1"), ("B", "1"), ("A", "1")]), "env[\"A\"]"),
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
            Err(Refusal::BadValue { field, value, wrong, remedy }) => {
                assert_eq!((field.as_str(), value.as_deref()), ("diagnose", Some("true")));
                assert!(remedy == "leave it out" && wrong.contains("seccomp.name_refused"), "{wrong}");
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
