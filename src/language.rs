//! Languages as data: which image, which commands, which limits.
//!
//! A language is a TOML file: ours stand in `rootfs-build/languages/` and are part of the binary; files in the settings
//! directory's `languages/` add to them or, under the same name, replace them. Only finding the name of a Java class
//! takes code.

mod definition;
mod java_class;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::files_in;
use crate::model::Limits;

pub use definition::{Example, Language};
pub use plan::{Ahead, Kit, Plan, Program, StepPlan};

const BUILT_IN: [(&str, &str); 4] = [
    ("c", include_str!("../rootfs-build/languages/c.toml")),
    ("cpp", include_str!("../rootfs-build/languages/cpp.toml")),
    ("java", include_str!("../rootfs-build/languages/java.toml")),
    ("python", include_str!("../rootfs-build/languages/python.toml")),
];

/// What is wrong with a language file.
#[derive(Debug, Error)]
pub enum LanguageError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or has a key that is not known, or lacks one.
    #[error("{file}: {message}")]
    Format {
        /// The file.
        file: String,
        /// What the parser says, with the place.
        message: String,
    },
    /// A value makes no sense.
    #[error("{file}: `{key}` is {value:?}: {remedy}")]
    Value {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        remedy: &'static str,
    },
}

/// Every language that there is, by name.
#[derive(Clone, Debug)]
pub struct Languages(BTreeMap<String, Language>);

impl Languages {
    /// Ours, and those of `<overrides>/languages/*.toml`.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(overrides: Option<&Path>) -> Result<Self, Vec<LanguageError>> {
        let mut languages = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, text) in BUILT_IN {
            match Language::parse(name, &format!("languages/{name}.toml"), text) {
                Ok(language) => drop(languages.insert(name.to_owned(), language)),
                Err(more) => errors.extend(more),
            }
        }
        let added = files_in(overrides, "languages", "toml").unwrap_or_else(|(path, source)| {
            errors.push(LanguageError::Read { path, source });
            Vec::new()
        });
        for (name, path) in added {
            match std::fs::read_to_string(&path) {
                Ok(text) => match Language::parse(&name, &path.to_string_lossy(), &text) {
                    Ok(language) => drop(languages.insert(name, language)),
                    Err(more) => errors.extend(more),
                },
                Err(source) => errors.push(LanguageError::Read { path, source }),
            }
        }
        if errors.is_empty() { Ok(Self(languages)) } else { Err(errors) }
    }

    /// The language of this name; the match is exact and case-sensitive.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Language> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Language> {
        self.0.values()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The limits of a language's compile step, if it has one, and of its runs.
    #[must_use]
    pub fn limits(&self, name: &str) -> Option<(Option<Limits>, Limits)> {
        let language = self.get(name)?;
        Some((language.compile_limits().cloned(), language.run_limits().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bytes, CpuShare, OpenFiles, Pids, WallTime};

    #[test]
    fn the_contract_s_table() {
        let all = Languages::load(None).unwrap();
        let rows = [
            // name, MiB, CPU %, open files, processes, stack MiB, seconds
            ("python", 100, 10, 64, 64, 8, 10),
            ("java", 400, 50, 256, 128, 8, 15),
            ("c", 100, 10, 256, 64, 100, 10),
            ("cpp", 100, 10, 256, 64, 100, 10),
        ];
        assert_eq!(all.names().count(), rows.len());
        for (name, memory, cpu, files, pids, stack, wall) in rows {
            let limits = all.get(name).unwrap().run_limits();
            assert_eq!(limits.memory, Bytes::mib(memory), "{name}");
            assert_eq!(limits.cpu_share, Some(CpuShare(cpu)), "{name}");
            assert_eq!(limits.open_files, OpenFiles(files), "{name}");
            assert_eq!(limits.pids, Pids(pids), "{name}");
            assert_eq!(limits.stack, Bytes::mib(stack), "{name}");
            assert_eq!(limits.wall, WallTime::seconds(wall), "{name}");
            assert_eq!((limits.tmp, limits.tmp_inodes.0), (Bytes::mib(64), 4096), "{name}");
            assert_eq!((limits.file_size, limits.output), (Bytes::mib(64), Bytes::mib(8)), "{name}");
        }
        for (name, pids) in [("java", 128), ("c", 64), ("cpp", 64)] {
            let limits = all.get(name).unwrap().compile_limits().unwrap();
            assert_eq!((limits.memory, limits.pids), (Bytes::mib(512), Pids(pids)), "{name}");
            assert_eq!((limits.cpu_time.0, limits.wall), (20_000_000, WallTime::seconds(30)), "{name}");
            assert_eq!((limits.output, limits.cpu_share), (Bytes::mib(1), None), "{name}");
        }
        assert!(all.get("python").unwrap().compile_limits().is_none());
    }

    #[test]
    fn a_program_of_several_files_begins_with_a_source_where_it_is_compiled() {
        let all = Languages::load(None).unwrap();
        for (name, sources) in [("python", &[][..]), ("java", &["java"]), ("c", &["c"]), ("cpp", &["cpp", "cc", "cxx"])]
        {
            assert_eq!(all.get(name).unwrap().sources(), sources, "{name}");
        }
    }

    #[test]
    fn a_file_in_the_settings_directory_adds_a_language_and_every_mistake_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let languages = dir.path().join("languages");
        std::fs::create_dir(&languages).unwrap();
        let bash = "image = \"python\"\nsource = \"s.sh\"\n[run]\nargv = [\"/bin/bash\", \"/code/s.sh\"]\n";
        std::fs::write(languages.join("bash.toml"), bash).unwrap();
        assert!(Languages::load(Some(dir.path())).unwrap().get("bash").is_some());

        std::fs::write(languages.join("bash.toml"), bash.replace("/bin/bash", "bash")).unwrap();
        std::fs::write(languages.join("perl.toml"), format!("no_such_key = 1\n{bash}")).unwrap();
        let errors = Languages::load(Some(dir.path())).unwrap_err();
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 2, "{text:?}");
        assert!(text[0].contains("bash.toml") && text[0].contains("argv"), "{text:?}");
        assert!(text[1].contains("perl.toml") && text[1].contains("no_such_key"), "{text:?}");
    }
}
