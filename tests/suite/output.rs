//! Output: both streams as they came, byte for byte, untrimmed; what is not UTF-8; and the cap.

use super::endings::java;
use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server, Settings};
use crate::{needs, program, support::Need, under_both_runtimes};

const CAP: usize = 8 << 20;

fn exact() -> Vec<Row> {
    let bytes = |name: &str, literal: &str, output: &str| {
        let code = format!("import sys; sys.stdout.buffer.write(b'{literal}')");
        row(name, "python", code).completes(output)
    };
    let interleaved: String = (0..500).map(|n| format!("out {n}\nerr {n}\n")).collect();
    vec![
        bytes("untrimmed", "  a \\n\\n\\t\\n ", "  a \n\n\t\n "),
        bytes("only blanks", "\\n \\n", "\n \n"),
        bytes("NUL", "a\\0b\\0", "a\0b\0"),
        bytes("escapes", "\\x1b[31mred\\x07\\x08\\x7f\\r", "\u{1b}[31mred\u{7}\u{8}\u{7f}\r"),
        bytes("bytes that are never UTF-8", "a\\xff\\xfeb", "a\u{fffd}\u{fffd}b"),
        bytes("three bytes cut to two", "\\xe2\\x82A", "\u{fffd}\u{fffd}A"),
        bytes("four bytes cut to three, at the end", "A\\xf0\\x9f\\x98", "A\u{fffd}\u{fffd}\u{fffd}"),
        bytes("a surrogate", "\\xed\\xa0\\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        bytes("an overlong NUL", "\\xc0\\x80", "\u{fffd}\u{fffd}"),
        bytes("lone continuations", "\\x80\\xbf", "\u{fffd}\u{fffd}"),
        bytes("whole characters", "\\xc3\\xa9\\xe2\\x9c\\x93\\xf0\\x9f\\x98\\x80", "é✓😀"),
        bytes("a byte-order mark", "\\xef\\xbb\\xbfx", "\u{feff}x"),
        row("JSON's own characters", "python", r#"print('"\\\u2028</script>')"#).completes("\"\\\u{2028}</script>\n"),
        row("Unicode", "python", "print('héllo ✓ 😀')").completes("héllo ✓ 😀\n"),
        row("the order of both streams", "python", program!("python/interleave.py")).completes(&interleaved),
        row("the order of both streams", "c", program!("c/interleave.c")).completes(&interleaved),
        row("the order of both streams", "cpp", program!("cpp/interleave.cpp")).completes(&interleaved),
        row(
            "the order of both streams",
            "java",
            java(
                "for (int n = 0; n < 500; n++) { System.out.println(\"out \" + n); System.err.println(\"err \" + n); }",
            ),
        )
        .completes(&interleaved),
        row("only standard error", "python", "import sys; print('x', file=sys.stderr)").completes("x\n"),
        row(
            "a child prints too",
            "python",
            "import os\nif os.fork() == 0:\n    os.write(1, b'child\\n'); os._exit(0)\nos.wait()\nprint('parent')",
        )
        .completes("child\nparent\n"),
        row("closed streams", "python", "import os\nos.close(1); os.close(2)").completes(""),
    ]
}

fn large() -> Vec<Row> {
    let end = format!("\noutput limit of {CAP} bytes exceeded");
    let over = move |name: &str, language, code: &str, prefix: char| {
        let end = end.clone();
        row(name, language, code).check(move |seen| {
            let output = seen.output();
            let kept = output.strip_suffix(&end);
            let fits = kept.is_some_and(|kept| kept.len() == CAP && kept.chars().all(|c| c == prefix || c == '\n'));
            let fits = fits && seen.state() == "failed";
            if fits { Ok(()) } else { Err(format!("{} bytes, {}", output.len(), crate::support::table::show(seen))) }
        })
    };
    vec![
        row("exactly the cap", "python", format!("import sys; sys.stdout.write('x' * {CAP})")).check(|seen| {
            let whole = seen.state() == "completed" && seen.output().len() == CAP;
            if whole { Ok(()) } else { Err(format!("{} {} bytes", seen.state(), seen.output().len())) }
        }),
        over("one byte over the cap", "python", &format!("import sys; sys.stdout.write('x' * {})", CAP + 1), 'x'),
        over(
            "without end",
            "c",
            "#include <stdio.h>\nint main(void) { for (;;) puts(\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"); }",
            'y',
        ),
        over("without end, no line feeds", "cpp", "#include <cstdio>\nint main() { for (;;) std::putchar('z'); }", 'z'),
        over(
            "without end, both streams",
            "python",
            "import os\nwhile True:\n    os.write(1, b'q' * 65536); os.write(2, b'q' * 65536)",
            'q',
        ),
    ]
}

fn streams_and_bytes(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(exact()).run(Server::shared(runtime));
}

fn default_cap(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(large()).run(Server::shared(runtime));
}

fn the_cap_is_a_setting(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let all = ["python", "java", "c", "cpp"];
    let server = Server::start(&Settings::new(runtime).limit(&all, "RUN", "OUTPUT_BYTES", 1000));
    let over = format!("{}\noutput limit of 1000 bytes exceeded", "x".repeat(1000));
    let c = |n: usize| format!("#include <stdio.h>\nint main(void) {{ for (int i = 0; i < {n}; i++) putchar('x'); }}");
    Table::of([
        row("exactly the cap", "python", "import sys; sys.stdout.write('x' * 1000)").completes("x".repeat(1000)),
        row("one over", "python", "import sys; sys.stdout.write('x' * 1001)").fails(&over),
        row("far over, then asleep", "python", "import time\nprint('x' * 5000, flush=True)\ntime.sleep(60)")
            .fails(&over),
        row("over with a status", "python", "import sys\nprint('x' * 5000, flush=True)\nsys.exit(3)").fails(&over),
        row("exactly the cap", "c", c(1000)).completes("x".repeat(1000)),
        row("one over", "c", c(1001)).fails(&over),
        row("one over", "java", java("System.out.print(\"x\".repeat(1001));")).fails(&over),
        row("cut inside a character", "python", "print('x' * 999 + 'é')")
            .fails(format!("{}\u{fffd}\noutput limit of 1000 bytes exceeded", "x".repeat(999))),
    ])
    .run(&server);
}

under_both_runtimes!(streams_and_bytes, default_cap, the_cap_is_a_setting);
