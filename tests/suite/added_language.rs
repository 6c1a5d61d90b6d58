//! A language is data: one more file in the settings directory and the service speaks it.

use std::fs;

use crate::support::table::{Table, row};
use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, program, support::Need, under_both_runtimes};

fn bash_from_a_file(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let directory = account::directory("settings");
    let languages = directory.path().join("languages");
    fs::create_dir(&languages).expect("a directory");
    account::give(&languages);
    let file = languages.join("bash.toml");
    fs::write(&file, program!("languages/bash.toml")).expect("a language file");
    account::give(&file);
    let settings = Settings::new(runtime).set("CASEMATE_SETTINGS", directory.path().display());
    let server = Server::start(&settings);
    Table::of([
        row("hello", "bash", "echo hello").completes("hello\n"),
        row("input", "bash", "while read -r line; do echo \"[$line]\"; done").input("a\nb\n").completes("[a]\n[b]\n"),
        row("status", "bash", "echo before; exit 9").fails("before\n\nexit status 9"),
        row("signal", "bash", "kill -SEGV $$").fails("\nexit status 139"),
        row("where", "bash", "pwd; echo $HOME; : > /code/x || echo refused").check(|seen| {
            let (output, state) = (seen.output(), seen.state());
            let fits = state == "completed" && output.starts_with("/code\n/tmp\n") && output.ends_with("refused\n");
            if fits { Ok(()) } else { Err(format!("{state} {output:?}")) }
        }),
        row("the others are still there", "python", "print('python')").completes("python\n"),
        row("the others are still there", "c", program!("c/hello.c")).completes("hello\n"),
    ])
    .run(&server);
}

fn a_broken_file_stops_the_start(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    for (text, word) in [("image = 5", "image"), ("no_such_key = 1", "no_such_key"), ("image = [", "bash.toml")] {
        let directory = account::directory("settings");
        let languages = directory.path().join("languages");
        fs::create_dir(&languages).expect("a directory");
        account::give(&languages);
        fs::write(languages.join("bash.toml"), text).expect("a language file");
        let settings = Settings::new(runtime).set("CASEMATE_SETTINGS", directory.path().display());
        let place = crate::support::machine::Place::shared();
        let failed = Server::try_start(&settings, place).expect_err("a broken language file");
        assert!(failed.status.is_some_and(|status| !status.success()), "{text}: {:?}", failed.status);
        assert!(failed.log.contains(word) && failed.log.contains("bash"), "{text}: {}", failed.log);
    }
}

under_both_runtimes!(bash_from_a_file, a_broken_file_stops_the_start);
