//! What lies beside `casemate.toml` in the settings directory: files that add to what the binary has, or replace it.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The files with this extension in a folder of the settings directory, by their names without it, in the order of the
/// names. Hidden files are none of them. Without a settings directory or without the folder there are none.
///
/// # Errors
/// When the folder is there and cannot be listed; with its path.
pub fn files_in(
    settings_dir: Option<&Path>,
    folder: &str,
    extension: &str,
) -> Result<Vec<(String, PathBuf)>, (PathBuf, io::Error)> {
    let Some(dir) = settings_dir.map(|dir| dir.join(folder)) else { return Ok(Vec::new()) };
    match list(&dir, extension) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err((dir, error)),
        Ok(found) => Ok(found),
    }
}

fn list(dir: &Path, extension: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.extension().is_some_and(|is| is == extension) && !name.starts_with('.') {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_the_extension_are_found_in_order_and_hidden_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        for name in ["b.toml", "a.toml", ".c.toml", "d.json", "e", ".toml"] {
            fs::write(dir.path().join("images").join(name), "").unwrap();
        }
        fs::write(dir.path().join("seccomp"), "a file").unwrap();
        let names = |found: Vec<(String, PathBuf)>| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(files_in(Some(dir.path()), "images", "toml").unwrap()), ["a", "b"]);
        assert!(files_in(Some(dir.path()), "languages", "toml").unwrap().is_empty());
        assert!(files_in(None, "images", "toml").unwrap().is_empty());
        let (path, _) = files_in(Some(dir.path()), "seccomp", "json").unwrap_err();
        assert_eq!(path, dir.path().join("seccomp"));
    }
}
