//! Filters of system calls as crun compiled them. Compiling one takes it longer than anything else that it does for a
//! container, and the result is the same each time: crun leaves it among its notes, and takes it back as an annotation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::runtime::{Kind, Runtime};

/// The file among crun's notes on a container, in the form of `struct sock_filter` (linux/filter.h), eight bytes each.
const NOTE: &str = "seccomp.bpf";
const INSTRUCTION: usize = 8;

/// By name of the profile, in base64.
#[derive(Debug, Default)]
pub(super) struct Filters {
    compiled: Mutex<HashMap<String, Arc<str>>>,
}

impl Filters {
    /// The filter of `profile`, once a container with it was made.
    pub(super) fn get(&self, profile: &str) -> Option<Arc<str>> {
        self.lock().get(profile).cloned()
    }

    /// Keeps what the runtime compiled for container `name`, whose bundle had the profile in full. runc leaves no such note.
    pub(super) fn learn(&self, profile: &str, runtime: &Runtime, name: &str) {
        if runtime.kind != Kind::Crun || self.lock().contains_key(profile) {
            return;
        }
        // A crun that leaves none compiles each time.
        let Ok(filter) = std::fs::read(runtime.state.join(name).join(NOTE)) else { return };
        if !filter.is_empty() && filter.len().is_multiple_of(INSTRUCTION) {
            self.lock().insert(profile.to_owned(), STANDARD.encode(filter).into());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<str>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
