//! From what a client says of each run to the run: its limits within the ceilings, its words within their bounds.

use super::checks::{bad, check_args};
use super::most::TEST_NAME;
use super::{Admission, ceilings};
use crate::model::{Compare, Expected, Limits, LimitsPatch, LimitsWanted, Refusal, Run, Test};

/// What a client sent of one run, decoded.
#[derive(Clone, Debug, Default)]
pub struct RunDraft {
    /// A name for it.
    pub name: Option<String>,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Arguments in place of those of the submission.
    pub args: Option<Vec<String>>,
    /// What it has to print.
    pub expected: Option<Vec<u8>>,
    /// What counts as that.
    pub compare: Option<Compare>,
    /// Whether the checker says so.
    pub checked: bool,
    /// Limits that differ from those of the submission.
    pub limits: Option<LimitsWanted>,
}

impl Admission {
    /// The runs; `tests` is whether the client gave tests, `general` what it wants of every run, `own` the language's limits, beside the
    /// ceilings.
    pub(super) fn runs(
        &self,
        drafts: Vec<RunDraft>,
        tests: bool,
        general: &LimitsWanted,
        (own, ceilings): (&Limits, &LimitsPatch),
    ) -> Result<Vec<Run>, Refusal> {
        // Also where every test names another: what is wrong is told by the field that it stands in.
        ceilings::within(general, "limits.run", own, ceilings)?;
        if drafts.is_empty() {
            return Err(bad("tests", Some("[]"), "it is empty", "give at least one test, or leave it out"));
        }
        if drafts.len() > self.tests {
            return Err(Refusal::too_many("tests", drafts.len(), self.tests, "tests"));
        }
        let runs = drafts.into_iter().enumerate().map(|(number, draft)| {
            let path = if tests { format!("tests[{number}].") } else { String::new() };
            let RunDraft { name, stdin, args, expected, compare, checked, limits } = draft;
            if let Some(name) = name.as_ref().filter(|name| name.len() > TEST_NAME) {
                let remedy = format!("give one of at most {TEST_NAME} bytes");
                return Err(bad(format!("{path}name"), Some(name), "the name is too long", remedy));
            }
            if let Some(args) = &args {
                check_args(&format!("{path}args"), args)?;
            }
            let wanted = limits.unwrap_or_default().over(general);
            let limits = ceilings::within(&wanted, &format!("{path}limits"), own, ceilings)?;
            let expected = expected.map(|bytes| Expected { bytes, compare: compare.unwrap_or_default() });
            Ok(Run { stdin, limits, test: Test { name, args, expected, checked } })
        });
        runs.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::{draft, refused};
    use super::super::tests::admission;
    use super::super::{Draft, Program};
    use super::*;
    use crate::model::Several;

    fn with(runs: Vec<RunDraft>) -> Draft {
        Draft { runs, several: Some(Several::default()), ..draft(Program::Source("x".into())) }
    }

    fn wall(wall_ms: u64) -> LimitsWanted {
        LimitsWanted { wall_ms: Some(wall_ms.into()), ..LimitsWanted::default() }
    }

    #[test]
    fn limits_of_a_test_stand_over_those_of_the_submission() {
        let own = LimitsWanted { memory_bytes: Some((20 << 20).into()), ..wall(70) };
        let runs = vec![RunDraft::default(), RunDraft { limits: Some(own), ..RunDraft::default() }];
        let job = admission().complete(None, Draft { run: Some(wall(1500)), ..with(runs) }).unwrap();
        let limits: Vec<_> = job.runs.iter().map(|run| (run.limits.wall.0, run.limits.memory.0 >> 20)).collect();
        assert_eq!((limits, job.several), (vec![(1500, 50), (70, 20)], Some(Several::default())));
    }

    #[test]
    fn what_is_expected_is_compared_without_its_ends_unless_it_says_otherwise() {
        let expected = Some(b"x".to_vec());
        let plain = RunDraft { expected: expected.clone(), ..RunDraft::default() };
        let exact = RunDraft { expected, compare: Some(Compare::Exact), ..RunDraft::default() };
        let job = admission().complete(None, with(vec![plain, exact, RunDraft::default()])).unwrap();
        let by: Vec<_> = job.runs.iter().map(|run| run.test.expected.as_ref().map(|e| e.compare)).collect();
        assert_eq!(by, [Some(Compare::Trailing), Some(Compare::Exact), None]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_test() {
        let second = |run: RunDraft| with(vec![RunDraft::default(), run]);
        let long = RunDraft { name: Some("x".repeat(257)), ..RunDraft::default() };
        assert_eq!(refused(second(long)).0, "tests[1].name");
        let args = |args: Vec<String>| RunDraft { args: Some(args), ..RunDraft::default() };
        assert_eq!(refused(second(args(vec!["a".into(), "\0".into()]))).0, "tests[1].args[1]");
        assert_eq!(refused(second(args(vec![String::new(); 257]))).0, "tests[1].args");
        assert_eq!(refused(with(Vec::new())).0, "tests");
        assert_eq!(refused(with(vec![RunDraft::default(); 1001])), ("tests".into(), "give at most 1000 tests".into()));
        let few = admission().with_tests(1).complete(None, with(vec![RunDraft::default(); 2]));
        assert!(matches!(few, Err(Refusal::BadValue { remedy, .. }) if remedy == "give at most 1 tests"));
        let above = second(RunDraft { limits: Some(wall(10_001)), ..RunDraft::default() });
        let field = "tests[1].limits.wall_ms".to_owned();
        let refusal = Refusal::OutOfRange { field, value: "10001".into(), least: 1, most: 10_000 };
        assert_eq!(admission().complete(None, above), Err(refusal));
        // That of the submission is told once, and as what it is.
        let general = Draft { run: Some(wall(10_001)), ..second(RunDraft::default()) };
        let Err(Refusal::OutOfRange { field, .. }) = admission().complete(None, general) else { panic!() };
        assert_eq!(field, "limits.run.wall_ms");
    }
}
