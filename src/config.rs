//! Settings: defaults, a file, the environment; one resolved value, every mistake at once.
