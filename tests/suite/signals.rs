//! Deaths by signal: each reads as it would outside a container, by whatever way it came.

use crate::support::signals::DEADLY;
use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server};
use crate::{needs, program, support::Need, under_both_runtimes};

fn raised() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, number) in DEADLY {
        let end = format!("before\n\nexit status {}", 128 + u32::from(number));
        let c = program!("c/raise.c").replace("SIGNAL", &format!("SIG{name}"));
        rows.push(row(format!("raise(SIG{name})"), "c", c).fails(&end));
        // The interpreter ignores PIPE and XFSZ and turns INT into an exception.
        if !matches!(name, "PIPE" | "XFSZ" | "INT") {
            let code = format!("import os\nprint('before', flush=True)\nos.kill(os.getpid(), {number})");
            rows.push(row(format!("os.kill {name}"), "python", code).fails(&end));
        }
    }
    rows
}

fn caused() -> Vec<Row> {
    let c = |body: &str| format!("{}\nint main(void) {{ {body} return 0; }}", program!("c/includes.h"));
    vec![
        row("a null pointer", "c", c("*(volatile int *)0 = 1;")).fails("\nexit status 139"),
        row("a null pointer", "cpp", "int main() { *(volatile int *)0 = 1; }").fails("\nexit status 139"),
        row("a null pointer", "python", "import ctypes; ctypes.string_at(0)").fails("\nexit status 139"),
        row("a division by zero", "c", c("volatile int zero = 0; return 10 / zero;")).fails("\nexit status 136"),
        row("a division by zero", "cpp", "int main() { volatile int z = 0; return 10 / z; }")
            .fails("\nexit status 136"),
        row("abort()", "c", c("abort();")).fails("\nexit status 134"),
        row("abort()", "cpp", "#include <cstdlib>\nint main() { std::abort(); }").fails("\nexit status 134"),
        row("os.abort()", "python", "import os; os.abort()").fails("\nexit status 134"),
        row("a pipe without a reader", "c", c("int p[2]; pipe(p); close(p[0]); write(p[1], \"x\", 1);"))
            .fails("\nexit status 141"),
        row("an alarm", "c", c("alarm(1); for (;;) pause();")).fails("\nexit status 142"),
        row("SIGTERM from a child", "c", c("if (!fork()) { kill(getppid(), SIGTERM); _exit(0); } for (;;) pause();"))
            .fails("\nexit status 143"),
        row("unbuffered output is lost as it would be outside", "c", c("printf(\"lost\"); raise(SIGKILL);"))
            .fails("\nexit status 137"),
        row("an uncaught interrupt", "python", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)").fails_with(
            "Traceback (most recent call last):\n",
            &["KeyboardInterrupt"],
            "\nexit status 130",
        ),
        // What does not end a program.
        row("a caught signal", "c", c("signal(SIGTERM, SIG_IGN); raise(SIGTERM); puts(\"alive\");"))
            .completes("alive\n"),
        row("a handled signal", "python", program!("python/handled_signal.py")).completes("caught 15\n"),
        row("a child that was killed", "c", c("if (!fork()) raise(SIGKILL); wait(0); puts(\"alive\");"))
            .completes("alive\n"),
    ]
}

fn raised_signals(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(raised()).run(Server::shared(runtime));
}

fn deaths_with_a_cause(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(caused()).run(Server::shared(runtime));
}

under_both_runtimes!(raised_signals, deaths_with_a_cause);
