//! Times: what is measured, and where the waiting goes. The formats are checked for every row of every table.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::{Runtime, Server, Settings, shape};
use crate::{needs, support::Need, under_both_runtimes};

fn execution_and_total(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 1));
    let client = server.client();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let code = "import time; time.sleep(1.5)";
    let (first, second) = (client.submit("python", code, None), client.submit("python", code, None));
    let deadline = Instant::now() + Duration::from_secs(30);
    for (id, waited) in [(first, 0), (second, 1500)] {
        let seen = client.finish(&id, deadline).expect("an end");
        let (execution, total) = (seen.execution_ms(), seen.result["totalTime"].as_u64().unwrap_or_default());
        assert!((1500..4000).contains(&execution), "{}", seen.result);
        assert!(total >= execution + waited && total < execution + waited + 3000, "waited {waited}: {}", seen.result);
        let queued = seen.result["queuedAt"].as_str().and_then(shape::parse_time).expect("a time");
        assert!((queued - i64::try_from(before).expect("a date")).abs() <= 2, "{}", seen.result);
    }
}

/// Compilation is part of the execution time, and a program that did not compile has all its times too.
fn compilation_counts(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    // The least of some: one that finds no container waiting has its container made first. No program is compiled twice.
    let least = |code: &str| {
        let each = (0..4).map(|n| client.run("cpp", &format!("{code}\n// {n}"), None).execution_ms());
        each.min().expect("some")
    };
    let (bare, heavy) = (least("int main() {}"), least("#include <bits/stdc++.h>\nint main() {}"));
    assert!(heavy > bare + 100, "{bare} and {heavy} ms");
    let broken = client.run("cpp", "#include <bits/stdc++.h>\nint main() { nothing; }", None);
    let wrong = shape::ended(broken.result["id"].as_str().unwrap_or_default(), "cpp", &broken);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(broken.execution_ms() > 100, "{}", broken.result);
}

under_both_runtimes!(execution_and_total, compilation_counts);
