//! Groups that could not be removed when their time had come, on a machine that is slow enough: they are tried again.

use std::sync::{Mutex, PoisonError};

use super::CgroupError;

/// Their names.
#[derive(Debug, Default)]
pub(super) struct Behind(Mutex<Vec<String>>);

impl Behind {
    /// What `removed` says of this group; if it is not gone, it is remembered.
    pub(super) fn note(&self, name: &str, removed: Result<(), CgroupError>) -> Result<(), CgroupError> {
        if removed.is_err() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        }
        removed
    }

    /// Tries each of them once more. How many are gone now, and how many still are not.
    pub(super) fn again(&self, remove: impl Fn(&str) -> Result<(), CgroupError>) -> (usize, usize) {
        let names = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let before = names.len();
        let left: Vec<String> = names.into_iter().filter(|name| remove(name).is_err()).collect();
        let counts = (before - left.len(), left.len());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
        counts
    }
}
