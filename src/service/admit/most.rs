//! How much a client may say of one submission, whoever the operator is: the bounds of what a container can be told.

/// Files of one program.
pub const FILES: usize = 256;
/// A file's path, in bytes; within what `/code` and every language's commands leave of a path (PATH_MAX).
pub const PATH: usize = 512;
/// Paths of all files together, in bytes: they are words of a command line.
pub const PATHS: usize = 32 << 10;
/// Names in one path.
pub const DEPTH: usize = 16;
/// The longest name of a file on Linux (path_resolution(7), NAME_MAX).
pub const NAME: usize = 255;
/// Arguments.
pub const ARGUMENTS: usize = 256;
/// Arguments together, and the environment together, in bytes: with a program of 128 KiB as an argument beside them they
/// fit into what a container takes (`rootfs-build/init/init.rs`).
pub const WORDS: usize = 32 << 10;
/// Variables of the environment.
pub const VARIABLES: usize = 128;
/// Files that are given back of each run.
pub const COLLECTED: usize = 64;
/// The longest name of a test, in bytes.
pub const TEST_NAME: usize = 256;
