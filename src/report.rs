//! From evidence to verdicts: a pure table.
