//! Where a program stands: its directories, what it may write, what it finds of the host (nothing), and no network.

use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Prints the error number of an attempt, or `allowed`.
fn attempt(python: &str) -> String {
    format!(
        "import os, socket\ntry:\n    {python}\n    print('allowed')\nexcept OSError as error:\n    print('refused')"
    )
}

fn rows() -> Vec<Row> {
    let refused = |name: &str, python: &str| row(name, "python", attempt(python)).completes("refused\n");
    let allowed = |name: &str, python: &str| row(name, "python", attempt(python)).completes("allowed\n");
    let mut rows = vec![
        row("working directory", "python", "import os; print(os.getcwd(), os.environ['HOME'])").completes("/code /tmp\n"),
        row("working directory", "c", program!("c/where.c")).completes("/code /tmp\n"),
        row("working directory", "cpp", program!("c/where.c").replace("<stdio.h>", "<cstdio>")).completes("/code /tmp\n"),
        row("working directory", "java", program!("java/Where.java")).completes("/code /tmp\n"),
        row("/code is read-only in the run", "c", program!("c/write_code.c")).completes("refused\n"),
        row("/code is read-only in the run", "java", program!("java/WriteCode.java")).completes("refused\n"),
        refused("/code is read-only", "open('x', 'w')"),
        refused("/ is read-only", "open('/x', 'w')"),
        refused("/usr is read-only", "open('/usr/x', 'w')"),
        refused("/etc is read-only", "open('/etc/x', 'w')"),
        refused("/dev is read-only", "open('/dev/x', 'w')"),
        allowed("/tmp is not", "open('/tmp/x', 'w')"),
        allowed("HOME is not", "open(os.path.expanduser('~/x'), 'w')"),
        allowed("/dev/null", "open('/dev/null', 'w').write('x')"),
        allowed("/dev/urandom", "open('/dev/urandom', 'rb').read(8)"),
        row("/tmp is empty", "python", "import os; print(os.listdir('/tmp'))").completes("[]\n"),
        row("60 MiB in /tmp", "python", "with open('/tmp/x', 'wb') as f:\n    for _ in range(60): f.write(b'x' * (1 << 20))\nprint('fits')")
            .completes("fits\n"),
        row("65 MiB in /tmp", "python", program!("python/full_tmp.py")).completes("refused after 64\n"),
        row("4 096 inodes in /tmp", "python", program!("python/many_files.py")).prints_between(4000.0, 4096.0),
        row("an ordinary user", "python", "import os; print(os.getuid() != 0, os.getgid() != 0, os.geteuid() == os.getuid())")
            .completes("True True True\n"),
        row("no variables of the host", "python", program!("python/environment.py")).completes("[]\n"),
        row("only its own processes", "python", "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]) <= 2)")
            .completes("True\n"),
        row("only three open files", "python", "import os; print([n for n in range(3, 64) if os.path.exists(f'/proc/self/fd/{n}')])")
            .check(|seen| {
                // The listing itself opens nothing; what the interpreter holds, if it holds anything, is no file of the host.
                let fits = seen.state() == "completed" && seen.output() == "[]\n";
                if fits { Ok(()) } else { Err(crate::support::table::show(seen)) }
            }),
        row("no new privileges", "python", "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp:'))])")
            .completes("['0000000000000000', '0000000000000000', '1', '2']\n"),
    ];
    for address in ["('127.0.0.1', 80)", "('192.168.0.1', 80)", "('169.254.169.254', 80)"] {
        rows.push(refused("no network", &format!("socket.create_connection({address}, 2)")));
    }
    rows.push(refused("no raw sockets", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"));
    rows
}

fn surroundings(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(rows()).run(Server::shared(runtime));
}

/// No reply about a job names a path of the host, whatever it did.
fn no_path_of_the_host_leaks(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::shared(runtime);
    let client = server.client();
    let home = server.home().display().to_string();
    for (language, code) in [
        ("python", program!("python/snoop.py")),
        ("c", "int main(void) { return nothing; }"),
        ("java", "public class A { int x = nothing; }"),
    ] {
        let seen = client.run(language, code, None);
        let text = format!("{} {}", seen.status, seen.result);
        for secret in [&home, "/var/lib/casemate", "cmtest-", "/run/"] {
            assert!(!text.contains(secret), "{language}: {secret} in {text}");
        }
    }
}

under_both_runtimes!(surroundings, no_path_of_the_host_leaks);
