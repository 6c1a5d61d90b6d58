//! Settings: defaults, a file, the environment; one resolved value, every mistake at once.
//!
//! `table` has one row for each setting: its key, its default, what it accepts and what it is for. Defaults, both
//! sources and the reference page all come from there. Which languages there are the
//! caller says.

mod directory;
mod in_force;
mod load;
mod mistake;
mod near;
mod reference;
mod resolve;
mod settings;
mod table;
mod tokens;
mod value;

pub use directory::files_in;
pub use in_force::{InForce, Source, in_force, shown};
pub use load::{LoadError, Loaded, load};
pub use mistake::{Mistake, Origin};
pub use near::nearest;
pub use reference::{Description, describe, reference};
pub use resolve::Defaults;
pub use settings::{
    Anonymous, HttpSettings, MetricsAt, NameRefused, RuntimeChoice, Settings, StepPatches, StoreSettings, TestSettings,
    UnenforcedLimits,
};
pub use tokens::{Rate, TokenEntry, TokensError, tokens};
