//! Signals and the phases of going down.
