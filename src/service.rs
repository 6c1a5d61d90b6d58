//! What the edge may ask for: admission and the ledger of every submission. Knows no HTTP and no container.

mod accounts;
mod admit;
mod feed;
mod ledger;

pub use admit::{
    Admission, Catalogue, CheckerDraft, Draft, Program, Range, Request, RunDraft, StepPatches, leasts, most,
};
pub use feed::{Begun, Feed, Printed, StepAt, Stream};
pub use ledger::{Capacity, Followed, Ledger, Page, Stats, Taken, Watch};
