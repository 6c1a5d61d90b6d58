//! From decoded fields to a complete job: after this nothing is optional and nothing is checked twice.

mod ceilings;
mod checker;
mod checks;
mod draft;
pub mod most;
mod runs;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::accounts::Accounts;
use crate::config::TokenEntry;
use crate::model::{Invocation, Job, JobId, Limits, LimitsPatch, Owner, Refusal, Run, Streams};

pub use ceilings::{Range, leasts};
pub use checker::CheckerDraft;
pub use draft::{Draft, Program};
pub use runs::RunDraft;

/// The languages, as far as admission needs them.
pub trait Catalogue: Debug + Send + Sync + 'static {
    /// The limits of the compile step, if the language has one, and of a run; `None` for an unknown name. The match
    /// is exact and case-sensitive.
    fn limits(&self, name: &str) -> Option<(Option<Limits>, Limits)>;

    /// The names of all languages, for people.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The extensions of which that file has to have one that a program of several files begins with, where it has to.
    fn sources(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
}

impl Catalogue for crate::language::Languages {
    fn limits(&self, name: &str) -> Option<(Option<Limits>, Limits)> {
        Self::limits(self, name)
    }

    fn names(&self) -> Vec<String> {
        Self::names(self).map(str::to_owned).collect()
    }

    fn sources(&self, name: &str) -> Vec<String> {
        self.get(name).map(|language| language.sources().to_vec()).unwrap_or_default()
    }
}

/// Settings that change the limits of one language.
pub use crate::config::StepPatches;

/// What a client sent, decoded. `None` is a field that was missing or null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The name of a language.
    pub language: Option<String>,
    /// The program.
    pub code: Option<String>,
    /// Standard input.
    pub input: Option<String>,
}

/// Tests of one submission, where nobody says otherwise.
const TESTS: usize = 1000;

/// The rules of admission.
#[derive(Clone, Debug)]
pub struct Admission {
    catalogue: Arc<dyn Catalogue>,
    default_language: String,
    patches: BTreeMap<String, StepPatches>,
    ceilings: StepPatches,
    pub(super) accounts: Arc<Accounts>,
    /// Tests of one submission.
    tests: usize,
    /// Whether clients may ask which system calls their programs are refused.
    diagnoses: bool,
}

impl Admission {
    /// Rules over these languages; `patches` are by name of the language.
    #[must_use]
    pub fn new(
        catalogue: Arc<dyn Catalogue>,
        default_language: String,
        patches: BTreeMap<String, StepPatches>,
    ) -> Self {
        let (ceilings, accounts) = (StepPatches::default(), Arc::default());
        Self { catalogue, default_language, patches, ceilings, accounts, tests: TESTS, diagnoses: true }
    }

    /// With these ceilings on the limits that a client may ask for; without, nobody may ask for more than there is.
    #[must_use]
    pub fn with_ceilings(self, ceilings: StepPatches) -> Self {
        Self { ceilings, ..self }
    }

    /// With at most so many tests in one submission.
    #[must_use]
    pub fn with_tests(self, tests: usize) -> Self {
        Self { tests, ..self }
    }

    /// Whether clients may ask which system calls their programs are refused; without this they may.
    #[must_use]
    pub fn with_diagnoses(self, diagnoses: bool) -> Self {
        Self { diagnoses, ..self }
    }

    /// With these tokens, each with its part and its ceilings.
    #[must_use]
    pub fn with_tokens(self, tokens: &[TokenEntry]) -> Self {
        Self { accounts: Arc::new(Accounts::new(tokens, false)), ..self }
    }

    /// The same where nobody can submit without one, so that nothing is kept for those.
    #[must_use]
    pub fn with_tokens_alone(self, tokens: &[TokenEntry]) -> Self {
        Self { accounts: Arc::new(Accounts::new(tokens, true)), ..self }
    }

    /// The ceilings of this owner.
    fn ceilings(&self, owner: Option<&Owner>) -> &StepPatches {
        self.accounts.of(owner).map_or(&self.ceilings, |account| &account.ceilings)
    }

    /// The limits of a language under the settings: of its compile step, if it has one, and of a run.
    fn limits(&self, language: &str) -> Option<(Option<Limits>, Limits)> {
        let (compile, run) = self.catalogue.limits(language)?;
        let unchanged = LimitsPatch::default();
        let patches = self.patches.get(language);
        let run = patches.map_or(&unchanged, |patches| &patches.run).apply(&run);
        let compile = compile.map(|limits| patches.map_or(&unchanged, |patches| &patches.compile).apply(&limits));
        Some((compile, run))
    }

    /// What a client may ask for of the limits of a language: of its compile step, if it has one, and of a run.
    #[must_use]
    pub fn ranges(&self, language: &str) -> Option<(Option<Vec<Range>>, Vec<Range>)> {
        let (compile, run) = self.limits(language)?;
        let compile = compile.map(|own| ceilings::ranges(&own, &self.ceilings.compile));
        Some((compile, ceilings::ranges(&run, &self.ceilings.run)))
    }

    /// The complete job, with a new id.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedLanguage`] before [`Refusal::CodeRequired`].
    pub fn job(&self, request: Request) -> Result<Job, Refusal> {
        let language =
            request.language.filter(|name| !name.is_empty()).unwrap_or_else(|| self.default_language.clone());
        let Some((compile, limits)) = self.limits(&language) else {
            return Err(Refusal::UnsupportedLanguage(language));
        };
        let source = request.code.filter(|code| !code.is_empty()).ok_or(Refusal::CodeRequired)?;
        let stdin = request.input.unwrap_or_default().into_bytes();
        let runs = vec![Run::plain(stdin, limits)];
        let (project, invocation, streams, several) = (None, Invocation::default(), Streams::Merged, None);
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
            collect: Vec::new(),
            checker: None,
            watched: crate::model::Watched::Nothing,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Bytes, CpuTime, Inodes, OpenFiles, Pids, WallTime};

    /// Knows `python` and `c`.
    #[derive(Debug)]
    pub struct Two;

    pub fn limits(memory_mib: u64) -> Limits {
        Limits {
            memory: Bytes::mib(memory_mib),
            cpu_share: None,
            cpu_time: CpuTime::seconds(10),
            wall: WallTime::seconds(10),
            pids: Pids(64),
            open_files: OpenFiles(64),
            stack: Bytes::mib(8),
            file_size: Bytes::mib(64),
            output: Bytes(100),
            tmp: Bytes::mib(64),
            tmp_inodes: Inodes(4096),
        }
    }

    impl Catalogue for Two {
        fn limits(&self, name: &str) -> Option<(Option<Limits>, Limits)> {
            match name {
                "python" => Some((None, limits(100))),
                "c" => Some((Some(limits(512)), limits(100))),
                _ => None,
            }
        }

        fn names(&self) -> Vec<String> {
            ["c", "python"].map(str::to_owned).to_vec()
        }

        fn sources(&self, name: &str) -> Vec<String> {
            if name == "c" { vec!["c".to_owned()] } else { Vec::new() }
        }
    }

    pub fn request(language: &str, code: &str) -> Request {
        Request { language: Some(language.into()), code: Some(code.into()), input: None }
    }

    pub fn admission() -> Admission {
        let run = LimitsPatch { memory_mib: Some(50), ..LimitsPatch::default() };
        let compile = LimitsPatch { memory_mib: Some(600), ..LimitsPatch::default() };
        let patches = BTreeMap::from([("c".to_owned(), StepPatches { run, compile })]);
        Admission::new(Arc::new(Two), "python".into(), patches)
    }

    #[test]
    fn language_and_code() {
        let table = [
            (None, Some("x"), Ok("python")),
            (Some(""), Some("x"), Ok("python")),
            (Some("c"), Some("x"), Ok("c")),
            (Some("c"), Some(" \n"), Ok("c")),
            (Some("C"), Some("x"), Err(Refusal::UnsupportedLanguage("C".into()))),
            (Some("py"), Some("x"), Err(Refusal::UnsupportedLanguage("py".into()))),
            (Some(" c"), Some("x"), Err(Refusal::UnsupportedLanguage(" c".into()))),
            (Some("ruby"), None, Err(Refusal::UnsupportedLanguage("ruby".into()))),
            (Some("c"), None, Err(Refusal::CodeRequired)),
            (None, Some(""), Err(Refusal::CodeRequired)),
        ];
        for (language, code, expected) in table {
            let request = Request { language: language.map(Into::into), code: code.map(Into::into), input: None };
            assert_eq!(
                admission().job(request.clone()).map(|job| job.language),
                expected.map(Into::into),
                "{request:?}"
            );
        }
    }

    #[test]
    fn settings_change_the_limits_of_their_language_only() {
        let c = admission().job(request("c", "x")).unwrap();
        assert_eq!((c.compile.unwrap().memory, c.runs[0].limits.memory), (Bytes::mib(600), Bytes::mib(50)));
        let python = admission().job(request("python", "x")).unwrap();
        assert_eq!((python.compile, python.runs[0].limits.memory), (None, Bytes::mib(100)));
    }
}
