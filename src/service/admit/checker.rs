//! From what a client says of its checker to one that can be compiled and run.

use super::checks::{bad, member};
use super::draft::taken;
use super::{Admission, Program, StepPatches, ceilings};
use crate::model::{CHECKED, Checker, LimitsWanted, Refusal};

/// Where it stands in a submission.
const PATH: &str = "compare.checker.";

/// What a client sent of its checker, decoded.
#[derive(Clone, Debug)]
pub struct CheckerDraft {
    /// The name of a language.
    pub language: String,
    /// The program.
    pub program: Program,
    /// Limits of the compile step.
    pub compile: Option<LimitsWanted>,
    /// Limits of every run.
    pub run: Option<LimitsWanted>,
}

impl Admission {
    /// The checker, its limits within these ceilings.
    pub(super) fn checker(&self, draft: CheckerDraft, most: &StepPatches) -> Result<Checker, Refusal> {
        let CheckerDraft { language, program, compile, run } = draft;
        let Some((own_compile, own_run)) = self.limits(&language) else {
            let remedy = format!("name one of {}", self.catalogue.names().join(", "));
            return Err(bad(format!("{PATH}language"), Some(&language), "there is no such language", remedy));
        };
        let (source, project) = taken(program, PATH, &self.catalogue.sources(&language))?;
        let paths = project
            .iter()
            .flat_map(|project| std::iter::once(&project.entry).chain(project.files.iter().map(|file| &file.path)));
        let own = |path: &&String| CHECKED.contains(&path.split('/').next().unwrap_or_default());
        if let Some(path) = paths.clone().find(own) {
            let wrong = format!("the checker finds {} there", CHECKED.join(", "));
            return Err(bad(member(&format!("{PATH}files"), path), Some(path), wrong, "give it another name"));
        }
        let path = |step: &str| format!("{PATH}limits.{step}");
        let compile = match (compile, own_compile) {
            (Some(_), None) => {
                return Err(bad(path("compile"), None, format!("{language} is not compiled"), "leave it out"));
            }
            (wanted, own) => own
                .map(|own| ceilings::within(&wanted.unwrap_or_default(), &path("compile"), &own, &most.compile))
                .transpose()?,
        };
        let limits = ceilings::within(&run.unwrap_or_default(), &path("run"), &own_run, &most.run)?;
        Ok(Checker { language, source, project, compile, limits })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Draft;
    use super::super::draft::tests::{draft, refused};
    use super::super::tests::admission;
    use super::*;
    use crate::model::SourceFile;

    fn checker(language: &str, program: Program) -> CheckerDraft {
        CheckerDraft { language: language.into(), program, compile: None, run: None }
    }

    fn with(checker: CheckerDraft) -> Draft {
        Draft { checker: Some(checker), ..draft(Program::Source("x".into())) }
    }

    fn files(paths: &[&str]) -> Program {
        let file = |path: &&str| SourceFile { path: (*path).into(), bytes: b"x".to_vec() };
        Program::Files(paths.iter().map(file).collect(), Some(paths[0].into()))
    }

    #[test]
    fn a_checker_has_limits_of_its_own() {
        let wanted = LimitsWanted { wall_ms: Some(70.into()), ..LimitsWanted::default() };
        let own = CheckerDraft { run: Some(wanted), ..checker("c", files(&["a.c", "lib/b.h"])) };
        let job = admission().complete(None, with(own)).unwrap();
        let made = job.checker.unwrap();
        assert_eq!(
            (made.limits.wall.0, made.limits.memory.0 >> 20, made.compile.unwrap().memory.0 >> 20),
            (70, 50, 600)
        );
        assert_eq!((made.source.as_str(), made.project.unwrap().files[0].path.as_str()), ("x", "lib/b.h"));
        assert_eq!((job.runs[0].limits.wall.0, job.runs[0].test.checked), (10_000, false));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_checker() {
        let source = || Program::Source("x".into());
        assert_eq!(refused(with(checker("ruby", source()))).0, "compare.checker.language");
        let compiled = CheckerDraft { compile: Some(LimitsWanted::default()), ..checker("python", source()) };
        assert_eq!(refused(with(compiled)).0, "compare.checker.limits.compile");
        for path in ["output", "answer", "input/x"] {
            assert_eq!(
                refused(with(checker("c", files(&["a.c", path])))).0,
                format!("compare.checker.files[{path:?}]")
            );
        }
        assert_eq!(refused(with(checker("c", files(&["../a"])))).0, "compare.checker.files[\"../a\"]");
        let wanted = LimitsWanted { wall_ms: Some(10_001.into()), ..LimitsWanted::default() };
        let above = CheckerDraft { run: Some(wanted), ..checker("c", source()) };
        let Err(Refusal::OutOfRange { field, .. }) = admission().complete(None, with(above)) else { panic!() };
        assert_eq!(field, "compare.checker.limits.run.wall_ms");
    }
}
