//! Finds the file and reads the real environment.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::resolve::{Given, PREFIX};
use super::{Defaults, Mistake, Origin, Settings};

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the settings file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it or in the environment is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
}

/// Settings, and where they came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where a file was looked for.
    pub file: PathBuf,
    /// Whether it was there.
    pub found: bool,
    pub(super) given: Given,
}

/// The settings of this process: `CASEMATE_CONFIG`, else `casemate.toml` in `CASEMATE_SETTINGS` or, without that, in
/// `settings_dir`, where it need not exist; over it the environment. `languages` are those that there are, where that
/// is known.
///
/// # Errors
/// [`LoadError`].
pub fn load(settings_dir: &Path, base: Defaults, languages: Option<&[&str]>) -> Result<Loaded, LoadError> {
    load_from(std::env::vars_os(), settings_dir, base, languages)
}

fn load_from(
    vars: impl Iterator<Item = (OsString, OsString)>,
    settings_dir: &Path,
    base: Defaults,
    languages: Option<&[&str]>,
) -> Result<Loaded, LoadError> {
    let mut ours = Vec::new();
    let mut mistakes = Vec::new();
    let (mut config, mut directory) = (None, settings_dir.to_owned());
    for (name, value) in vars {
        let Ok(name) = name.into_string() else { continue };
        match (name.as_str(), value.into_string()) {
            ("CASEMATE_CONFIG", value) => config = Some(path(value)),
            ("CASEMATE_SETTINGS", value) => directory = path(value),
            (_, Ok(value)) => ours.push((name, value)),
            (_, Err(value)) if name.starts_with(PREFIX) => mistakes.push(Mistake::Value {
                origin: Origin::Variable(name),
                value: value.to_string_lossy().into_owned(),
                accepts: "text in UTF-8".to_owned(),
            }),
            (_, Err(value)) => ours.push((name, value.to_string_lossy().into_owned())),
        }
    }
    let demanded = config.is_some();
    let path = config.unwrap_or_else(|| directory.join("casemate.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(source) if source.kind() == io::ErrorKind::NotFound && !demanded => None,
        Err(source) => return Err(LoadError::Read { path, source }),
    };
    let file = text.as_deref().map(|text| (path.as_path(), text));
    match Settings::resolve_among(file, ours.into_iter(), base, languages) {
        Ok((settings, given)) if mistakes.is_empty() => {
            Ok(Loaded { settings, found: text.is_some(), file: path, given })
        }
        Ok(_) => Err(LoadError::Mistakes(mistakes)),
        Err(more) => {
            mistakes.extend(more);
            Err(LoadError::Mistakes(mistakes))
        }
    }
}

fn path(value: Result<String, OsString>) -> PathBuf {
    value.map_or_else(PathBuf::from, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Defaults {
        Defaults { home: "/h".into() }
    }

    fn vars(list: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_file_is_looked_for_where_the_variables_say() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = Path::new("/nowhere");
        assert_eq!(load_from(vars(&[]), dir.path(), base(), None).unwrap().settings.port, 8080);
        std::fs::write(dir.path().join("casemate.toml"), "port = 1").unwrap();
        assert_eq!(load_from(vars(&[]), dir.path(), base(), None).unwrap().settings.port, 1);
        let name = dir.path().to_str().unwrap();
        assert_eq!(load_from(vars(&[("CASEMATE_SETTINGS", name)]), elsewhere, base(), None).unwrap().settings.port, 1);
        let file = format!("{name}/casemate.toml");
        assert_eq!(
            load_from(vars(&[("CASEMATE_CONFIG", &file), ("PORT", "2")]), elsewhere, base(), None)
                .unwrap()
                .settings
                .port,
            2
        );
        let missing = load_from(vars(&[("CASEMATE_CONFIG", "/nowhere/x.toml")]), dir.path(), base(), None).unwrap_err();
        assert!(matches!(missing, LoadError::Read { .. }), "{missing}");
    }

    #[test]
    fn a_variable_that_is_not_utf8_is_a_mistake_beside_the_others() {
        use std::os::unix::ffi::OsStringExt;
        let bad = ("CASEMATE_HOME".into(), OsString::from_vec(vec![b'/', 0xff]));
        let all = vars(&[("PORT", "x")]).chain([bad]);
        let Err(LoadError::Mistakes(mistakes)) = load_from(all, Path::new("/nowhere"), base(), None) else { panic!() };
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    }
}
