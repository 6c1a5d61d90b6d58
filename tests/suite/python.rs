//! Python as `python3 -c` would run it: names, arguments, tracebacks, any length, the standard library.

use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server};
use crate::{needs, program, support::Need, under_both_runtimes};

fn rows() -> Vec<Row> {
    let long = format!("{}print('end', x)", "x = 1  # a line of no use\n".repeat(12_000));
    let long_line = format!("print(len('{}'))", "x".repeat(600_000));
    vec![
        row("version", "python", "import sys; print(sys.version_info[:2])").completes("(3, 9)\n"),
        row("sys.argv", "python", "import sys; print(sys.argv)").completes("['-c']\n"),
        row("__name__", "python", "print(__name__)").completes("__main__\n"),
        row("the usual guard", "python", "def main():\n    print('main')\nif __name__ == '__main__':\n    main()")
            .completes("main\n"),
        row("no __file__", "python", "print('__file__' in globals())").completes("False\n"),
        row("names in __main__", "python", "print(sorted(globals()))").completes(
            "['__annotations__', '__builtins__', '__doc__', '__loader__', '__name__', '__package__', '__spec__']\n",
        ),
        row("sys.path begins with the working directory", "python", "import sys; print(repr(sys.path[0]))")
            .completes("''\n"),
        row("a long program", "python", long).completes("end 1\n"),
        row("a long line", "python", long_line).completes("600000\n"),
        row("an error far down", "python", format!("{}1/0", "pass\n".repeat(40_000))).fails_with(
            "Traceback (most recent call last):\n  File \"<string>\", line 40001, in <module>\n",
            &["ZeroDivisionError"],
            "\nexit status 1",
        ),
        row("quotes and backslashes", "python", r#"print('\'', "\"", '\\', r"\n", """'""")"#)
            .completes("' \" \\ \\n '\n"),
        row("no line feed at the end", "python", "if True:\n    print('x')").completes("x\n"),
        row("CRLF", "python", "if True:\r\n    print('x')\r\n").completes("x\n"),
        row("tabs", "python", "if True:\n\tprint('x')").completes("x\n"),
        row("an indented first line", "python", "  print('x')").fails_with(
            "  File \"<string>\", line 1\n",
            &["IndentationError: unexpected indent"],
            "\nexit status 1",
        ),
        row("Unicode names", "python", "größe = 3\nprint(größe)").completes("3\n"),
        row(
            "a future statement",
            "python",
            "from __future__ import annotations\ndef f(x: y): pass\nprint(f.__annotations__)",
        )
        .completes("{'x': 'y'}\n"),
        row("atexit", "python", "import atexit\natexit.register(print, 'bye')\nprint('hi')").completes("hi\nbye\n"),
        row(
            "a thread",
            "python",
            "import threading\nt = threading.Thread(target=print, args=('x',))\nt.start(); t.join()",
        )
        .completes("x\n"),
        row(
            "asyncio",
            "python",
            "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    print('x')\nasyncio.run(f())",
        )
        .completes("x\n"),
        row("multiprocessing", "python", program!("python/multiprocess.py")).completes("[1, 4, 9]\n"),
        row("the standard library", "python", program!("python/standard_library.py")).completes("ok\n"),
        row("nothing else", "python", "import numpy").fails_with(
            "Traceback (most recent call last):\n",
            &["ModuleNotFoundError: No module named 'numpy'"],
            "\nexit status 1",
        ),
        row("nothing is kept", "python", "open('/tmp/kept', 'x').close(); print('first')").completes("first\n"),
        row("nothing is kept", "python", "open('/tmp/kept', 'x').close(); print('second')").completes("second\n"),
    ]
}

fn as_with_dash_c(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(rows()).run(Server::shared(runtime));
}

under_both_runtimes!(as_with_dash_c);
