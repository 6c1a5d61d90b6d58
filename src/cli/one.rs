//! One job through the sandbox of this machine, without the server.

use std::error::Error;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::launch::{Inside, Launch};
use crate::model::{Invocation, Job, JobId, JobReport, Run, Streams, Watched};
use crate::server::{self, Definitions, StartError};
use crate::shutdown::{Shutdown, Signals};
use crate::worker::Live;

/// What became of it.
#[derive(Debug)]
pub(super) enum Carried {
    /// This is the process outside; the one inside has told everything.
    Outside(ExitCode),
    /// It was carried out.
    Done(Box<Done>),
}

/// A job that was carried out, and when.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) report: JobReport,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
}

/// The program in `file` with our standard input as its own. To be called before anything else has read from that.
pub(super) fn job(
    launch: &Launch,
    definitions: &Definitions,
    language: &str,
    file: &Path,
    watched: Watched,
) -> Result<Job, Box<dyn Error>> {
    let source = std::fs::read(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    let source = String::from_utf8(source).map_err(|_| format!("{} is not UTF-8", file.display()))?;
    let known = super::named(&definitions.languages, language)?;
    launch.ensure_scope()?;
    let mut stdin = Vec::new();
    io::stdin().read_to_end(&mut stdin)?;
    let patches = launch.settings.limits.get(&known.name).cloned().unwrap_or_default();
    Ok(Job {
        id: JobId::random(),
        source,
        compile: known.compile_limits().map(|limits| patches.compile.apply(limits)),
        runs: vec![Run::plain(stdin, patches.run.apply(known.run_limits()))],
        streams: Streams::Separate,
        project: None,
        invocation: Invocation::default(),
        several: None,
        collect: Vec::new(),
        checker: None,
        watched,
        language: known.name.clone(),
    })
}

/// Enters the namespaces and carries the job out; a signal cancels it.
pub(super) fn carry_out(
    launch: &Launch,
    definitions: Definitions,
    job: &Job,
    live: Live<'_>,
) -> Result<Carried, Box<dyn Error>> {
    let delegated = match launch.enter()? {
        Inside::Ended(status) => return Ok(Carried::Outside(status)),
        Inside::Serve(delegated) => delegated,
    };
    let done = server::run(async {
        let (cancel, shutdown) = (CancellationToken::new(), Shutdown::new());
        let signals = {
            let signals = Signals::listen().map_err(StartError::Signals)?;
            let (shutdown, deadline) = (shutdown.clone(), launch.settings.shutdown);
            tokio::spawn(async move { shutdown.watch(signals, deadline).await })
        };
        let ground = server::ground(&launch.settings, definitions, &delegated)?;
        let began = SystemTime::now();
        let (report, leftovers) = {
            let work = ground.sandbox.execute(job, &cancel, live);
            tokio::pin!(work);
            tokio::select! {
                done = &mut work => done,
                () = shutdown.stop_accepting().cancelled() => {
                    cancel.cancel();
                    work.await
                }
            }
        };
        let ended = SystemTime::now();
        leftovers.clear().await;
        signals.abort();
        Ok(Done { report, began, ended })
    })?;
    Ok(Carried::Done(Box::new(done)))
}
