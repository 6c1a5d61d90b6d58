//! The words every other room speaks: a job, its limits, what was seen of it, and how it ended.
//!
//! Values only. Nothing here opens a file, starts a process or knows of HTTP.

mod bounds;
mod calls;
mod collected;
mod evidence;
mod fault;
mod job;
mod key;
mod limits;
mod number;
mod owner;
mod refusal;
mod report;
mod submission;
mod test;
mod token;
mod units;
mod verdict;

pub use bounds::{Bound, Bounds, Enforcement, Enforcer};
pub use calls::{Call, Calls, Fate, Seen, Watched};
pub use collected::{Collected, NotCollected};
pub use evidence::{Captured, Evidence, Stop, WaitStatus};
pub use fault::Fault;
pub use job::{Invocation, Job, JobId, Project, Run, SourceFile, StepKind, Streams};
pub use key::IdempotencyKey;
pub use limits::{Limits, LimitsPatch, LimitsWanted};
pub use number::Number;
pub use owner::Owner;
pub use refusal::Refusal;
pub use report::{About, Beside, JobReport, Outcome, StepReport};
pub use submission::{State, Submission};
pub use test::{CHECKED, Checker, Compare, Expected, Several, Test, Tolerance};
pub use token::{NoDigest, Token, TokenDigest};
pub use units::{Bytes, CpuShare, CpuTime, Elapsed, Inodes, OpenFiles, Pids, WallTime};
pub use verdict::Verdict;

/// The job's directory in every container, and where every step starts.
pub const CODE_PATH: &str = "/code";
