//! What a job leaves is gone with it: the next one finds none of it, and neither does the machine.

use std::fs;

use crate::support::{Runtime, Server, Settings};
use crate::{needs, program, support::Need, under_both_runtimes};

/// The key of the program's System V objects, as /proc/sysvipc has it.
const KEY: i32 = 0x636d_7466;

/// A System V object of this key that the machine has.
fn on_the_machine() -> Vec<String> {
    let all = ["msg", "sem", "shm"].map(|kind| fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default());
    let key = KEY.to_string();
    all.iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.split_whitespace().next() == Some(&key))
        .map(str::to_owned)
        .collect()
}

fn objects_are_gone_with_their_job(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 1));
    for _ in 0..4 {
        let seen = server.client().run("c", program!("c/leaves_objects.c"), None);
        assert_eq!((seen.state(), seen.output()), ("completed", "nothing\n"), "{}", server.log());
        assert_eq!(on_the_machine(), Vec::<String>::new());
    }
}

under_both_runtimes!(objects_are_gone_with_their_job);
