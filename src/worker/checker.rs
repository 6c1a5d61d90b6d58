//! The program that judges outputs in a client's stead: compiled once for a job, run for each output in a container of its
//! own. What it is to judge reaches it as files and no other way.

use std::sync::Arc;

use super::capture::Live;
use super::error::StepError;
use super::sandbox::{Here, Subject};
use super::step::Handover;
use super::workdir::CodeFile;
use crate::language::{Program, StepPlan};
use crate::model::{CHECKED, Checker, Invocation, StepKind, StepReport, Streams, Verdict, Watched};

/// What is kept of a checker's words, in bytes.
const WORDS: u64 = 4096;

/// A checker that can be run.
pub(super) struct Ready<'a> {
    subject: Subject<'a>,
    checker: &'a Checker,
    plan: StepPlan,
    /// Its own, and while it judges what it is given.
    files: Vec<CodeFile>,
    /// How many are its own.
    own: usize,
}

/// A checker that may be one.
pub(super) enum Prepared<'a> {
    /// It can be run.
    Ready(Ready<'a>),
    /// It does not compile.
    Broken(Box<StepReport>),
}

impl<'a> Here<'a> {
    /// Compiles a checker.
    pub(super) async fn prepare(&mut self, checker: &'a Checker) -> Result<Prepared<'a>, StepError> {
        let language = self.sandbox.languages.get(&checker.language).ok_or(StepError::Without("language"))?;
        let subject = Subject { language, streams: Streams::Separate, own_env: false, watched: Watched::Nothing };
        let invocation = Invocation { args: CHECKED.map(str::to_owned).into(), env: Vec::new() };
        let Checker { source, project, compile, .. } = checker;
        let plan = language.plan(Program { source, project: project.as_ref(), invocation: &invocation });
        let sources = plan.files.into_iter().map(|(name, bytes)| CodeFile::source(name, bytes));
        let mut files: Arc<[CodeFile]> = sources.collect();
        if let (Some(limits), Some(step)) = (compile, &plan.compile) {
            let compiled = self.compile(subject, step, limits, &files, Live::default()).await?;
            if compiled.report.verdict != Verdict::Ok {
                return Ok(Prepared::Broken(Box::new(compiled.report)));
            }
            files = compiled.files;
        }
        // What its compiler left under these names is not what it is to read.
        let free = |file: &&CodeFile| CHECKED.iter().all(|name| !file.path.starts_with(name));
        let files: Vec<CodeFile> = files.iter().filter(free).cloned().collect();
        let own = files.len();
        Ok(Prepared::Ready(Ready { subject, checker, plan: plan.run, files, own }))
    }

    /// Has it judge one output.
    pub(super) async fn check(&mut self, ready: &mut Ready<'_>, given: [Vec<u8>; 3]) -> Result<StepReport, StepError> {
        let Ready { subject, checker, plan, files, own } = ready;
        files.extend(CHECKED.into_iter().zip(given).map(|(name, bytes)| CodeFile::source(name.to_owned(), bytes)));
        let handover = Handover { keep: WORDS, ..Handover::of(plan, files) };
        let (kind, limits) = (StepKind::Run, &checker.limits);
        // What it prints is no output of the program, for whoever follows that.
        let done = self.step(*subject, kind, limits, &handover, Live::default()).await;
        files.truncate(*own);
        Ok(done?.0)
    }
}
