//! `casemate bundle` against what the runtime is given for real, read by a program in front of it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::wrapper::Wrapper;
use crate::support::{Runtime, Server, Settings, account, command, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Keeps every configuration that it is given, whole or not at all.
const KEEPER: &str = r#"if [ "$verb" = run ]; then
    cp "$bundle/config.json" "$here/part-$$" && mv "$here/part-$$" "$here/seen-$$-$RANDOM.json" || exit 1
fi"#;

fn keeper(runtime: Runtime) -> (Wrapper, Settings) {
    let keeper = Wrapper::of(runtime, KEEPER);
    // What the service starts can write nowhere else.
    let settings = keeper.before(&Settings::new(runtime)).set("CASEMATE_HOME", keeper.directory().display());
    (keeper, settings)
}

/// Every configuration so far, with placeholders for what is one container's alone.
fn seen(directory: &Path) -> Vec<Value> {
    let entries = fs::read_dir(directory).expect("the directory").flatten().map(|entry| entry.path());
    let files = entries.filter(|path| path.extension().is_some_and(|e| e == "json"));
    files.map(|path| without_names(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())).collect()
}

fn without_names(mut config: Value) -> Value {
    let named = |path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        let at = parts.iter().position(|part| ["roots", "jobs"].contains(part)).expect("a path of the stage");
        let put = |(n, part): (usize, &&str)| if n == at + 1 { "{container}".to_owned() } else { (*part).to_owned() };
        parts.iter().enumerate().map(put).collect::<Vec<_>>().join("/")
    };
    config["root"]["path"] = json!(named(config["root"]["path"].as_str().unwrap()));
    for mount in config["mounts"].as_array_mut().unwrap() {
        if mount["destination"] == "/code" {
            mount["source"] = json!(named(mount["source"].as_str().unwrap()));
        }
    }
    for kind in ["uidMappings", "gidMappings"] {
        let (root, job) = (config["linux"][kind][0]["hostID"].clone(), config["linux"][kind][1]["hostID"].clone());
        assert_eq!(root.as_u64().unwrap() + 1, job.as_u64().unwrap(), "two ids of one block");
        (config["linux"][kind][0]["hostID"], config["linux"][kind][1]["hostID"]) = (json!(1), json!(2));
    }
    if let Some(path) = config["linux"]["cgroupsPath"].as_str() {
        config["linux"]["cgroupsPath"] = json!(named(path));
    }
    config
}

/// What is the same in all containers of a kind; and the rules of the filter, none where it was handed over compiled.
fn apart(mut config: Value) -> (Value, Option<Value>) {
    let rules = config["linux"]["seccomp"].as_object_mut().unwrap().remove("syscalls");
    let compiled = config.as_object_mut().unwrap().remove("annotations");
    assert_ne!(rules.is_some(), compiled.is_some_and(|of| !of["run.oci.seccomp_bpf_data"].is_null()), "{config:#}");
    (config, rules)
}

/// Whether a container was made as is shown, and one with the same rules.
fn was_made(seen: &[Value], shown: &Value) -> bool {
    let (config, rules) = apart(shown.clone());
    let seen: Vec<(Value, Option<Value>)> = seen.iter().cloned().map(apart).collect();
    rules.is_some() && seen.iter().any(|one| one.0 == config) && seen.iter().any(|one| one.1 == rules)
}

fn shown(settings: &Settings, arguments: &[&str]) -> Value {
    let said = command::casemate(settings, &[&["bundle"], arguments].concat(), b"");
    assert!(said.status.success(), "{arguments:?}: {said:?}");
    let config: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    // What is not in every container is named.
    assert!(String::from_utf8_lossy(&said.stderr).contains("with crun the rules"), "{said:?}");
    let core = String::from_utf8_lossy(&said.stderr).contains("RLIMIT_CORE]: depends on the hard limit");
    assert!(core, "the caller's limits are not the service's: {said:?}");
    without_names(config)
}

fn what_is_shown_is_what_the_runtime_is_given(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (keeper, settings) = keeper(runtime);
    // Another limit than the language's, which has to be in both.
    let settings = settings.limit(&["c"], "RUN", "OPEN_FILES", 77).set("CASEMATE_POOL__LEAST", 1);
    let server = Server::start(&settings);
    let client = server.client();
    for (language, code) in [
        ("python", "print('hello')"),
        ("c", program!("c/hello.c")),
        ("cpp", program!("cpp/hello.cpp")),
        ("java", program!("java/Hello.java")),
    ] {
        assert_eq!(client.run(language, code, None).output(), "hello\n", "{language}");
    }
    let steps = [
        &["python"][..],
        &["c"],
        &["cpp", "--step", "run"],
        &["java"],
        &["c", "--step", "compile"],
        &["cpp", "--step", "compile"],
        &["java", "--step", "compile"],
    ];
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    for arguments in steps {
        let shown = shown(&settings, arguments);
        // What waits for the next job is made after one.
        while !was_made(&seen(keeper.directory()), &shown) {
            assert!(Instant::now() < deadline, "{arguments:?}: no container was made of {shown:#}");
            thread::sleep(Duration::from_millis(50));
        }
    }
    assert_eq!(shown(&settings, &["c"])["process"]["rlimits"][3]["hard"], 77);
    assert_eq!(shown(&settings, &["python"])["process"]["args"][1], "warm");
}

/// Where no container is made ahead, every job finds none.
fn cold_steps_are_shown_too(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (keeper, settings) = keeper(runtime);
    let settings = settings.set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0);
    let server = Server::start(&settings);
    let client = server.client();
    for (language, code) in [("python", "print('hello')"), ("java", program!("java/Hello.java"))] {
        assert_eq!(client.run(language, code, None).output(), "hello\n", "{language}");
    }
    let seen = seen(keeper.directory());
    for arguments in [&["python", "--cold"][..], &["java", "--step", "compile", "--cold"]] {
        let shown = shown(&settings, arguments);
        assert!(was_made(&seen, &shown), "{arguments:?}: no container was made of {shown:#}");
    }
}

fn a_job_that_finds_no_container_is_shown_cold(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (keeper, settings) = keeper(runtime);
    let programs = account::directory("programs");
    let file = programs.path().join("hello.py");
    fs::write(&file, "print('hello')").expect("a program");
    account::give(&file);
    let ran = command::casemate(&settings, &["run", &file.display().to_string()], b"");
    assert_eq!(ran.stdout, b"hello\n", "{ran:?}");
    let seen = seen(keeper.directory());
    assert_eq!(seen, [shown(&settings, &["python", "--cold"])], "that one container");
}

/// Of one file, and of several.
fn several_files_are_shown_too(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (keeper, settings) = keeper(runtime);
    let settings = settings.set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0);
    let server = Server::start(&settings);
    let several = |language: &str, files: Value, entry: &str| {
        let seen = server.client().judge(&json!({"language": language, "files": files, "entry": entry}));
        assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("hello\n")), "{seen:#}");
    };
    several("python", json!({"main.py": "import other", "other.py": "print('hello')"}), "main.py");
    several(
        "c",
        json!({"main.c": "void f(void);\nint main(void) { f(); }", "f.c": "#include <stdio.h>\nvoid f(void) { puts(\"hello\"); }"}),
        "main.c",
    );
    let seen = seen(keeper.directory());
    let code =
        |config: &Value| config["mounts"].as_array().unwrap().iter().any(|mount| mount["destination"] == "/code");
    for arguments in [&["python"][..], &["c"], &["c", "--step", "compile"]] {
        let shown = shown(&settings, &[arguments, &["--files"]].concat());
        assert!(code(&shown) && was_made(&seen, &shown), "{arguments:?}: no container was made of {shown:#}");
    }
    assert!(!code(&shown(&settings, &["python"])) && !code(&shown(&settings, &["python", "--cold"])));
}

under_both_runtimes!(
    several_files_are_shown_too,
    what_is_shown_is_what_the_runtime_is_given,
    cold_steps_are_shown_too,
    a_job_that_finds_no_container_is_shown_cold
);

fn said(arguments: &[&str]) -> (bool, String, String) {
    let said = command::casemate(&Settings::new(Runtime::Crun), arguments, b"");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (said.status.success(), text(&said.stdout), text(&said.stderr))
}

#[test]
fn each_part_has_its_reason_and_what_is_wrong_its_remedy() {
    needs!(Need::Runtime(Runtime::Crun));
    let (fine, words, _) = said(&["bundle", "c", "--step", "compile", "--explain"]);
    for part in ["The process", "Namespaces", "What it sees of files", "Limits", "System calls", "What is not there"] {
        assert!(fine && words.contains(part), "{part}:\n{words}");
    }
    let (_, one, _) = said(&["bundle", "python", "--explain"]);
    let (_, several, _) = said(&["bundle", "python", "--files", "--explain"]);
    assert!(one.contains("(nothing on /code)\n") && !one.contains("/code from"), "{one}");
    assert!(
        several.contains("/code from /") && several.contains("with every file that it was submitted with"),
        "{several}"
    );
    for (arguments, words) in [
        (&["bundle", "cobol"][..], "language \"cobol\" is unknown; known are c, cpp, java, python"),
        (&["bundle", "python", "--step", "compile"], "language python has no compile step; leave out `--step compile`"),
        (&["bundle", "c", "--diff", "/nowhere/config.json"], "/nowhere/config.json cannot be read"),
        (&["bundle", "c", "--step", "link"], "possible values: compile, run"),
        (&["bundle", "c", "--explain", "--diff", "docker-default"], "cannot be used with"),
    ] {
        let (fine, out, err) = said(arguments);
        assert!(!fine && out.is_empty() && err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn it_is_held_against_docker_and_against_a_file() {
    needs!(Need::Runtime(Runtime::Crun));
    let (fine, docker, _) = said(&["bundle", "python", "--diff", "docker-default"]);
    let (we, they) = docker.split_once("docker-default leaves open").expect("both directions");
    assert!(fine && they.contains("the capability NET_RAW") && they.contains("ptrace"), "{docker}");
    assert!(!we.contains("capability"), "{we}");

    // Its own configuration.
    let (_, config, _) = said(&["bundle", "python"]);
    let directory = account::directory("config");
    let file = directory.path().join("config.json");
    fs::write(&file, &config).expect("a file");
    account::give(&file);
    let (fine, text, _) = said(&["bundle", "python", "--diff", &file.display().to_string()]);
    assert!(fine && text.matches(" does not:\n  nothing\n").count() == 2, "{text}");
    assert!(text.matches(" does not: 0\n").count() == 2 && text.contains("is not said\n  in nothing\n"), "{text}");

    // With one thing opened.
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["root"]["readonly"] = json!(false);
    config["linux"]["seccomp"]["syscalls"]
        .as_array_mut()
        .unwrap()
        .retain(|rule| rule["names"] != json!(["mknod", "mknodat"]));
    fs::write(&file, config.to_string()).expect("a file");
    let (fine, text, _) = said(&["bundle", "python", "--diff", &file.display().to_string()]);
    assert!(fine && text.contains("does not:\n  writing to the root file system\n"), "{text}");
    assert!(text.contains("casemate") && text.contains("mknod mknodat"), "{text}");

    // What is read and told although nobody says which of two is wider, and what is not read.
    config["mounts"].as_array_mut().unwrap().iter_mut().filter(|mount| mount["destination"] == "/tmp").for_each(
        |mount| {
            *mount = json!({"destination": "/tmp", "type": "bind", "source": "/", "options": ["rbind", "rw"]});
        },
    );
    config["process"]["oomScoreAdj"] = json!(-1000);
    config["process"]["apparmorProfile"] = json!("unconfined");
    fs::write(&file, config.to_string()).expect("a file");
    let (fine, text, _) = said(&["bundle", "python", "--diff", &file.display().to_string()]);
    assert!(fine && text.contains("/tmp: kind: tmpfs | bind") && text.contains("oomScoreAdj: none | -1000"), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("not compared: ") && last.contains("process.apparmorProfile"), "{text}");
}
