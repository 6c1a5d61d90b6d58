//! From a step to its `config.json`: a pure function of values.

pub mod init;
