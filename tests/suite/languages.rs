//! `GET /v1/languages` against what the service does: the examples do what they say, the versions are those that programs
//! see, and the limits are those that requests may ask for.

use std::fs;

use serde_json::{Map, Value, json};

use crate::support::{Client, Runtime, Server, Settings, account, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

fn languages(client: Client) -> Vec<Value> {
    let reply = client.get("/v1/languages");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["languages"].as_array().expect("a list").clone()
}

fn every_example_does_what_it_says(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let all = languages(client);
    let names: Vec<_> = all.iter().map(|language| language["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["c", "cpp", "java", "python"]);
    for language in &all {
        let example = &language["example"];
        let body = json!({"language": language["name"], "source": example["source"], "stdin": example["stdin"]});
        let seen = client.judge(&body);
        assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &example["stdout"]), "{seen:#}");
        assert_eq!(seen["image"], language["image"], "{seen:#}");
        assert_eq!(seen["compile"].is_null(), language["compiled"] == false, "{seen:#}");
        for step in ["compile", "run"] {
            for (name, limit) in seen[step]["limits"].as_object().into_iter().flatten() {
                let told = &language["limits"][step][name]["default"];
                // Requests have no names for the sizes of `/tmp`.
                assert!(name.starts_with("tmp_") || limit["limit"] == *told, "{step} {name}: {limit} {language:#}");
            }
        }
    }
}

fn versions_are_those_that_programs_see(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let c = "#include <stdio.h>\nint main(void) { puts(__VERSION__); return 0; }";
    let java = "class A { public static void main(String[] a) { System.out.println(Runtime.version()); } }";
    for (language, source) in
        [("c", c), ("cpp", c), ("java", java), ("python", "import platform; print(platform.python_version())")]
    {
        let seen = client.judge(&json!({"language": language, "source": source}));
        let all = languages(client);
        let told = all.iter().find(|one| one["name"] == language).expect("the language");
        let (version, own) = (told["version"].as_str().unwrap_or("none"), seen["run"]["stdout"].as_str().unwrap_or(""));
        // Java says after it who built it.
        let same = own.trim() == version || own.starts_with(&format!("{version}-"));
        assert!(same && version.contains('.'), "{language}: {version}, the program sees {own}");
    }
}

fn limits_may_be_asked_for_as_it_says(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // Below what Java has anyway.
    let settings = Settings::new(runtime).set("CASEMATE_CEILINGS__RUN__WALL_MS", scale::limit("WALL_MS", 12_000));
    let server = Server::start(&settings);
    let client = server.client();
    for language in languages(client) {
        for step in ["compile", "run"] {
            let Some(limits) = language["limits"][step].as_object() else { continue };
            let most: Map<String, Value> =
                limits.iter().map(|(name, one)| (name.clone(), one["most"].clone())).collect();
            let example = &language["example"];
            let with = |limits: Value| {
                json!({"language": language["name"], "source": example["source"], "stdin": example["stdin"],
                    "limits": {step: limits}})
            };
            let seen = client.judge(&with(json!(most)));
            assert_eq!(seen["verdict"], "accepted", "{seen:#}");
            for (name, bounds) in limits {
                let [least, most] = ["least", "most"].map(|word| bounds[word].as_u64().expect("a number"));
                for beyond in [Some(most + 1), least.checked_sub(1)].into_iter().flatten() {
                    let body = with(json!({name: beyond}));
                    let reply = client.post("/v1/submissions", body.to_string().as_bytes());
                    let told = reply.json();
                    let expected = (422, &json!(least), &json!(most));
                    assert_eq!((reply.status, &told["least"], &told["ceiling"]), expected, "{body}: {told:#}");
                }
            }
        }
    }
}

/// One that the operator adds is there with what its file says; a package that its image does not have is no version.
fn an_added_language_is_listed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let directory = account::directory("settings");
    let languages_of = directory.path().join("languages");
    fs::create_dir(&languages_of).expect("a directory");
    account::give(&languages_of);
    let plain = program!("languages/bash.toml");
    let told = format!(
        "title = \"Bourne again\"\npackage = \"bash\"\nextensions = [\"sh\"]\n{plain}\n[example]\nsource = \"cat\"\nstdin = \"x\"\nstdout = \"x\"\n"
    );
    let wrong = format!("package = \"no-such-package\"\n{plain}");
    for (name, text) in [("bash", &told), ("plain", &plain.to_owned()), ("wrong", &wrong)] {
        let file = languages_of.join(format!("{name}.toml"));
        fs::write(&file, text).expect("a language file");
        account::give(&file);
    }
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_SETTINGS", directory.path().display()));
    let client = server.client();
    let all = languages(client);
    let named = |name: &str| all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let (bash, plain, wrong) = (named("bash"), named("plain"), named("wrong"));
    assert_eq!((&bash["title"], &bash["extensions"]), (&json!("Bourne again"), &json!(["sh"])), "{bash:#}");
    assert!(bash["version"].as_str().is_some_and(|version| version.starts_with("5.")), "{bash:#}");
    let seen = client.judge(&json!({"language": "bash", "source": bash["example"]["source"], "stdin": "x"}));
    assert_eq!(seen["run"]["stdout"], bash["example"]["stdout"], "{seen:#}");
    assert_eq!(
        (&plain["title"], &plain["version"], &plain["example"]),
        (&json!("plain"), &Value::Null, &Value::Null),
        "{plain:#}"
    );
    assert_eq!((&wrong["version"], &wrong["package"]), (&Value::Null, &Value::Null), "{wrong:#}");
    assert!(server.log().contains("no-such-package"), "{}", server.log());
}

under_both_runtimes!(
    every_example_does_what_it_says,
    versions_are_those_that_programs_see,
    limits_may_be_asked_for_as_it_says,
    an_added_language_is_listed,
);
