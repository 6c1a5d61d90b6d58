//! Languages as data: which image, which commands, which limits.
