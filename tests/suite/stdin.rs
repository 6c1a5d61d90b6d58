//! Standard input: byte for byte, then the end; without any, the end at once.

use super::endings::java;
use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Programs that print exactly what they read, one a language.
fn echoes() -> [(&'static str, String); 4] {
    [
        ("python", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())".to_owned()),
        ("c", program!("c/echo.c").to_owned()),
        ("cpp", program!("cpp/echo.cpp").to_owned()),
        ("java", java("System.in.transferTo(System.out); System.out.flush();")),
    ]
}

fn every_byte_arrives() -> Vec<Row> {
    // Every character of one byte but those that UTF-8 has no single byte for, then some of two, three and four.
    let odd: String = (0..=127u8).map(char::from).chain("é\u{7ff}✓\u{ffff}😀\u{10ffff}".chars()).collect();
    let inputs = [
        ("a line", "one line\n".to_owned()),
        ("no line feed at the end", "no line feed".to_owned()),
        ("CRLF", "a\r\nb\r\n\r\n".to_owned()),
        ("every ASCII character and some others", odd),
        ("blank", "  \n\t\n  ".to_owned()),
        ("nothing", String::new()),
        ("1 MiB", "0123456789abcde\n".repeat(1 << 16)),
    ];
    let rows = echoes().into_iter().flat_map(|(language, code)| {
        inputs.clone().map(|(name, input)| row(name, language, code.clone()).input(input.clone()).completes(input))
    });
    rows.collect()
}

fn without_input() -> Vec<Row> {
    let mut rows: Vec<_> =
        echoes().into_iter().map(|(language, code)| row("an echo of nothing", language, code).completes("")).collect();
    let eof = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n\
               EOFError: EOF when reading a line\n\nexit status 1";
    rows.extend([
        row("input()", "python", "input()").fails(eof),
        row("input() with an empty input", "python", "input()").input("").fails(eof),
        row("getchar()", "c", "#include <stdio.h>\nint main(void) { printf(\"%d\\n\", getchar()); }").completes("-1\n"),
        row("getline()", "cpp", program!("cpp/getline.cpp")).completes("0 lines\n"),
        row("read()", "java", java("System.out.println(System.in.read());")).completes("-1\n"),
        row("no terminal", "python", "import sys; print(sys.stdin.isatty(), sys.stdout.isatty())")
            .completes("False False\n"),
    ]);
    rows
}

fn as_people_read_it() -> Vec<Row> {
    let big = "x".repeat(1 << 20);
    vec![
        row("two numbers", "python", "a, b = map(int, input().split())\nprint(a + b)")
            .input("2 40\n")
            .completes("42\n"),
        row(
            "two numbers",
            "c",
            "#include <stdio.h>\nint main(void) { int a, b; scanf(\"%d %d\", &a, &b); printf(\"%d\\n\", a + b); }",
        )
        .input("2 40\n")
        .completes("42\n"),
        row(
            "two numbers",
            "cpp",
            "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }",
        )
        .input("2 40")
        .completes("42\n"),
        row("two numbers", "java", program!("java/Scanned.java")).input("2\n40\n").completes("42\n"),
        row("lines", "cpp", program!("cpp/getline.cpp")).input("a\nb\nc").completes("3 lines\n"),
        row("then the end", "python", "print(input())\nprint(input())\ninput()").input("a\nb\n").fails_with(
            "a\nb\nTraceback",
            &["EOFError"],
            "\nexit status 1",
        ),
        row("a prompt", "python", "n = input('name? ')\nprint('hi', n)").input("Zoë\n").completes("name? hi Zoë\n"),
        row("input that nobody reads", "python", "print('done')").input(big.clone()).completes("done\n"),
        row("input that nobody reads", "c", program!("c/hello.c")).input(big.clone()).completes("hello\n"),
        row("closed, not read", "python", "import os\nos.close(0)\nprint('done')")
            .input(big.clone())
            .completes("done\n"),
        row("read and written at once", "c", program!("c/echo_slowly.c")).input(big.clone()).completes(big),
    ]
}

fn byte_for_byte(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(every_byte_arrives()).run(Server::shared(runtime));
}

fn empty(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(without_input()).run(Server::shared(runtime));
}

fn usual(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(as_people_read_it()).run(Server::shared(runtime));
}

under_both_runtimes!(byte_for_byte, empty, usual);
