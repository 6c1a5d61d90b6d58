//! Exit statuses and uncaught errors, in every language.

use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server};
use crate::{needs, program, support::Need, under_both_runtimes};

/// A Java program around the body of `main`.
pub fn java(body: &str) -> String {
    format!(
        "public class Solution {{\n    public static void main(String[] args) throws Exception {{\n{body}\n    }}\n}}\n"
    )
}

fn hello() -> Vec<Row> {
    vec![
        row("hello", "python", "print('hello')").completes("hello\n"),
        row("hello", "c", program!("c/hello.c")).completes("hello\n"),
        row("hello", "cpp", program!("cpp/hello.cpp")).completes("hello\n"),
        row("hello", "java", program!("java/Hello.java")).completes("hello\n"),
        row("the specification's example", "java", program!("java/Specification.java"))
            .completes("Hello, World!\nNumber: 0\nNumber: 1\nNumber: 2\nNumber: 3\nNumber: 4\n"),
    ]
}

fn statuses() -> Vec<Row> {
    let mut rows = vec![
        row("exit 0", "python", "import sys; sys.exit(0)").completes(""),
        row("os._exit 3", "python", "import os; os._exit(3)").fails("\nexit status 3"),
        row("exit with a text", "python", "import sys; sys.exit('no luck')").fails("no luck\n\nexit status 1"),
        row("exit 256 is 0", "c", "int main(void) { return 256; }").completes(""),
        row("exit -1", "c", "int main(void) { return -1; }").fails("\nexit status 255"),
        row("Runtime.halt", "java", java("Runtime.getRuntime().halt(3);")).fails("\nexit status 3"),
        row(
            "exit status without a line feed before it",
            "c",
            r#"#include <stdio.h>
int main(void) { printf("no line feed"); return 2; }"#,
        )
        .fails("no line feed\nexit status 2"),
    ];
    for status in [1, 7, 126, 127, 137, 139, 255] {
        let end = format!("\nexit status {status}");
        let printed = format!("printed\n{end}");
        rows.push(row(format!("exit {status}"), "python", format!("import sys; sys.exit({status})")).fails(&end));
        rows.push(row(format!("exit {status}"), "c", format!("int main(void) {{ return {status}; }}")).fails(&end));
        let cpp = format!("#include <cstdio>\nint main() {{ std::puts(\"printed\"); return {status}; }}");
        rows.push(row(format!("exit {status}"), "cpp", cpp).fails(printed));
    }
    rows.push(
        row("exit 7", "java", java("System.out.println(\"printed\"); System.exit(7);"))
            .fails("printed\n\nexit status 7"),
    );
    rows.push(row("exit 255", "java", java("System.exit(255);")).fails("\nexit status 255"));
    rows
}

fn uncaught() -> Vec<Row> {
    vec![
        row("division by zero", "python", "1/0").fails(
            "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n\
             ZeroDivisionError: division by zero\n\nexit status 1",
        ),
        row(
            "an exception in a function",
            "python",
            "def f():\n    raise ValueError('x')\nprint('before', flush=True)\nf()",
        )
        .fails(
            "before\nTraceback (most recent call last):\n  File \"<string>\", line 4, in <module>\n  \
             File \"<string>\", line 2, in f\nValueError: x\n\nexit status 1",
        ),
        row("a syntax error", "python", "print(").fails_with(
            "  File \"<string>\", line 1\n",
            &["SyntaxError: "],
            "\nexit status 1",
        ),
        row("a C++ exception", "cpp", program!("cpp/throw.cpp")).fails(
            "terminate called after throwing an instance of 'std::runtime_error'\n  what():  boom\n\nexit status 134",
        ),
        row("a failed assert", "c", program!("c/assert.c")).fails_with(
            "",
            &["main: Assertion `1 + 1 == 3' failed.\n"],
            "\nexit status 134",
        ),
        row("a failed assert", "cpp", "#include <cassert>\nint main() { assert(1 + 1 == 3); }").fails_with(
            "",
            &["Assertion `1 + 1 == 3' failed.\n"],
            "\nexit status 134",
        ),
        row("a Java exception", "java", java("throw new IllegalStateException(\"boom\");")).fails(
            "Exception in thread \"main\" java.lang.IllegalStateException: boom\n\
             \tat Solution.main(Solution.java:3)\n\nexit status 1",
        ),
        row("a Java stack overflow", "java", program!("java/StackOverflow.java")).fails_with(
            "Exception in thread \"main\" java.lang.StackOverflowError\n",
            &[],
            "\nexit status 1",
        ),
        row("a Java heap that is full", "java", program!("java/HeapFull.java")).fails_with(
            "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space\n",
            &[],
            "\nexit status 1",
        ),
        row("a Python recursion", "python", "def f():\n    f()\nf()").fails_with(
            "Traceback (most recent call last):\n",
            &["RecursionError: maximum recursion depth exceeded"],
            "\nexit status 1",
        ),
    ]
}

fn every_hello(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(hello()).run(Server::shared(runtime));
}

fn exit_statuses(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(statuses()).run(Server::shared(runtime));
}

fn uncaught_errors(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(uncaught()).run(Server::shared(runtime));
}

under_both_runtimes!(every_hello, exit_statuses, uncaught_errors);
