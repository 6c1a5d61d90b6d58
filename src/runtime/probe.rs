//! Finds the runtime that the setting asks for, and looks that it answers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use super::Kind;

/// Where distributions install runtimes. Not `PATH`: whoever sets that would choose what confines the jobs.
const PLACES: [&str; 5] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin"];

/// Why there is no runtime.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It is not installed.
    #[error("no {wanted} in {PLACES:?}: install it (`casemate setup` does) or set `runtime_path`")]
    Missing {
        /// What was asked for.
        wanted: &'static str,
    },
    /// It does not run.
    #[error("{} --version cannot be run", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{} --version says {said:?}, which is neither crun nor runc", program.display())]
    Unknown {
        /// The program.
        program: PathBuf,
        /// The first line it printed.
        said: String,
    },
}

/// The program and what it says of itself. `wanted` is the kind asked for, or either, crun first; `path` names the
/// program outright.
///
/// # Errors
/// When there is none or it does not answer as one.
pub fn find(wanted: Option<Kind>, path: Option<&Path>) -> Result<(Kind, PathBuf, String), ProbeError> {
    let kinds = wanted.map_or(vec![Kind::Crun, Kind::Runc], |kind| vec![kind]);
    let program = match path {
        Some(path) => path.to_owned(),
        None => kinds
            .iter()
            .flat_map(|kind| PLACES.iter().map(|place| Path::new(place).join(kind.name())))
            .find(|path| path.exists())
            .ok_or(ProbeError::Missing { wanted: wanted.map_or("crun or runc", Kind::name) })?,
    };
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|source| ProbeError::Start { program: program.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().next().unwrap_or_default().trim().to_owned();
    let kind = match said.split_whitespace().next() {
        Some("crun") => Kind::Crun,
        Some("runc") => Kind::Runc,
        _ => return Err(ProbeError::Unknown { program, said }),
    };
    Ok((kind, program, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_runtime_is_refused_by_name() {
        let error = find(None, Some(Path::new("/bin/cat"))).unwrap_err().to_string();
        assert!(error.contains("neither crun nor runc"), "{error}");
        let error = find(None, Some(Path::new("/nowhere/crun"))).unwrap_err().to_string();
        assert!(error.contains("cannot be run"), "{error}");
    }
}
