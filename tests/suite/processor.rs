//! A program inside the compiler of Java: a processor of annotations, which comes compiled with the submission, named by a
//! line of `META-INF/services`. What it can see, and what it can leave for the service to look through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Its class, in base64: a job compiles it and prints it.
fn class(client: Client) -> String {
    let seen = client.judge(&json!({"language": "java", "source": program!("java/Processor.java")}));
    assert_eq!(seen["verdict"], "accepted", "{seen:#}");
    seen["run"]["stdout"].as_str().expect("its class").to_owned()
}

/// A program whose compiler runs it.
fn with(class: &str, what: &str) -> Value {
    let main = "public class Main { public static void main(String[] words) { System.out.println(\"well\"); } }";
    json!({"language": "java", "entry": "Main.java", "files": {
        "Main.java": main, "what": what, "Processor.class": {"base64": class},
        "META-INF/services/javax.annotation.processing.Processor": "Processor\n"}})
}

fn well(client: Client, class: &str) {
    let seen = client.judge(&with(class, "nothing"));
    assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("well\n")), "{seen:#}");
}

/// No more than a run would see: the image's accounts, the compiler and the init, no network.
fn it_sees_nothing_of_the_host(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let seen = client.judge(&with(&class(client), "look"));
    assert_eq!(seen["verdict"], "compile_error", "{seen:#}");
    let told = seen["compile"]["stdout"].as_str().expect("its words");
    let told: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let wanted = ["accounts: 3", "shadow: false", "machine id: false", "processes: 2", "network: none", "socket: none"];
    assert_eq!(told, wanted, "{seen:#}");
}

/// The most descriptors that the service had while `during` ran.
fn most_descriptors<T>(service: Process, during: impl FnOnce() -> T) -> (usize, T) {
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let looking = std::thread::spawn(move || {
        let mut most = 0;
        while !seen.load(Ordering::Relaxed) {
            most = most.max(service.files());
            std::thread::sleep(Duration::from_millis(1));
        }
        most
    });
    let value = during();
    done.store(true, Ordering::Relaxed);
    (looking.join().expect("a number"), value)
}

/// However many directories, files or links it leaves: the service looks through them with few descriptors, what was compiled
/// runs, and the next job is well.
fn what_it_leaves_is_looked_through(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root);
    let settings = Settings::new(runtime).limit(&["java"], "COMPILE", "TMP_INODES", 40_000);
    let server = Server::start(&settings.limit(&["java"], "RUN", "TMP_INODES", 40_000));
    let client = server.client();
    let class = class(client);
    let service = Process::child_of(server.pid());
    let (usual, ()) = most_descriptors(service, || well(client, &class));
    for what in ["directories 20000", "files 5000", "links 20000"] {
        let (most, seen) = most_descriptors(service, || client.judge(&with(&class, what)));
        assert_eq!(
            (&seen["verdict"], &seen["run"]["stdout"]),
            (&json!("accepted"), &json!("well\n")),
            "{what}: {seen:#}"
        );
        // Containers that wait for jobs have some too, and there may be more of them now.
        assert!(most <= usual + 100, "{what}: {most} descriptors, {usual} as a rule");
        well(client, &class);
    }
}

/// With the limits that it has as a rule there is no room for so many, nor for what the compiler writes then.
fn what_it_leaves_has_a_bound(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let class = class(client);
    let seen = client.judge(&with(&class, "directories 20000"));
    assert_eq!(seen["verdict"], "compile_error", "{seen:#}");
    assert!(seen["compile"]["stdout"].as_str().is_some_and(|words| words.contains("No space left")), "{seen:#}");
    well(client, &class);
}

under_both_runtimes!(it_sees_nothing_of_the_host, what_it_leaves_is_looked_through, what_it_leaves_has_a_bound);
