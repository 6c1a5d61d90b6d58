//! The programs of the load: a sum of two numbers read from standard input, in each language.

use crate::program;

pub const LANGUAGES: [&str; 4] = ["python", "java", "c", "cpp"];

/// The `n`-th submission in `language`: the program, its input, what it prints.
pub fn program(language: &str, n: usize) -> (&'static str, String, String) {
    let code = match language {
        "python" => "a, b = map(int, input().split())\nprint(a + b)",
        "java" => program!("java/Scanned.java"),
        "c" => program!("c/sum.c"),
        _ => program!("cpp/sum.cpp"),
    };
    (code, format!("{n} 1\n"), format!("{}\n", n + 1))
}
