//! A program in front of the runtime: a script that does something of its own at a call, and then becomes the runtime.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::{Runtime, Settings, account};

/// What a script of a test finds: its directory as `$here`; of the call the command as `$verb`, the values of `--bundle` and
/// `--pid-file` as `$bundle` and `$pid`; and the whole call of the runtime as `"$@"`.
const SCRIPT: &str = r#"#!/bin/bash
PATH=$PATH:/usr/sbin:/usr/bin
here=${0%/*}
verb= bundle= pid= before=
for word; do
    case $before in --bundle) bundle=$word ;; --pid-file) pid=$word ;; esac
    case $word in run | delete) verb=$word ;; esac
    before=$word
done
set -- RUNTIME "$@"
WORDS
exec "$@"
"#;

/// The program, gone with this, and a directory that belongs to whoever serves.
#[derive(Debug)]
pub struct Wrapper {
    runtime: Runtime,
    directory: TempDir,
}

impl Wrapper {
    /// Before each call these words are carried out; unless they exit, the runtime comes after them.
    pub fn of(runtime: Runtime, words: &str) -> Self {
        let wrapper = Self { runtime, directory: account::directory("runtime") };
        wrapper.say(words);
        wrapper
    }

    /// From now on these in place of the former.
    pub fn say(&self, words: &str) {
        // Not itself by way of PATH: the wrapper's directory is not on it.
        let real =
            self.runtime.named().map_or_else(|| self.runtime.name().to_owned(), |path| path.display().to_string());
        let aside = self.directory().join("new");
        fs::write(&aside, SCRIPT.replace("RUNTIME", &real).replace("WORDS", words)).expect("a script");
        fs::set_permissions(&aside, Permissions::from_mode(0o755)).expect("its mode");
        // Put in place whole: a script that is being written cannot be run.
        fs::rename(&aside, self.program()).expect("the script in its place");
    }

    /// From now on there is none.
    pub fn remove(&self) {
        fs::remove_file(self.program()).expect("the script");
    }

    /// These settings, with this as the runtime.
    pub fn before(&self, settings: &Settings) -> Settings {
        settings.clone().set("CASEMATE_RUNTIME_PATH", self.program().display())
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn program(&self) -> std::path::PathBuf {
        self.directory().join(self.runtime.name())
    }
}
