//! What the edge may ask for: admission and the ledger of every submission. Knows no HTTP and no container.

mod accounts;
mod admit;
mod ledger;

pub use admit::{Admission, Catalogue, Draft, Program, Range, Request, RunDraft, StepPatches};
pub use ledger::{Capacity, Ledger, Page, Stats, Taken};
