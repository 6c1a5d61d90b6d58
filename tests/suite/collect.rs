//! Files that a program leaves below `/tmp` and its client wants back: what comes back, and that nothing else does.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// The content of a file, or why there is none.
fn content(file: &Value) -> Result<Vec<u8>, String> {
    match (file["content"].as_str(), file["encoding"].as_str(), file["missing"].as_str()) {
        (Some(text), Some("utf-8"), None) => Ok(text.into()),
        (Some(text), Some("base64"), None) => Ok(BASE64.decode(text).expect("base64")),
        (None, None, Some(why)) => Err(why.to_owned()),
        _ => panic!("{file:#}"),
    }
}

/// Regular files, whatever their mode and however the program ended; a link, a directory, a pipe and a socket by name.
fn what_comes_back(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime)
        .set("CASEMATE_CEILINGS__RUN__FILE_MIB", 16_384)
        .set("CASEMATE_COLLECT__FILE_BYTES", 1000)
        .set("CASEMATE_COLLECT__BYTES", 2020);
    let server = Server::start(&settings);
    let rows: [(&str, Result<&[u8], &str>); 14] = [
        ("out.txt", Ok(b"text\n")),
        ("dir/deeper/a.png", Ok(b"\x89PNG\xff")),
        ("closed", Ok(b"closed")),
        ("hard", Ok(b"text\n")),
        ("link", Err("link")),
        ("inner", Err("link")),
        ("links/passwd", Err("link")),
        ("magic/passwd", Err("link")),
        ("dir", Err("no_file")),
        ("fifo", Err("no_file")),
        ("socket", Err("no_file")),
        ("device", Err("not_found")),
        ("nothing", Err("not_found")),
        ("out.txt/nothing", Err("not_found")),
    ];
    let mut paths: Vec<&str> = rows.iter().map(|(path, _)| *path).collect();
    paths.extend(["long", "sparse"]);
    let limits = json!({"run": {"file_bytes": 10_u64 << 30}});
    let body =
        json!({"language": "python", "source": program!("collect/leaves.py"), "collect": paths, "limits": limits});
    let began = Instant::now();
    let seen = server.client().judge(&body);
    assert!(began.elapsed() < scale::patience(Duration::from_secs(30)));
    assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("exit_status"), &json!("")), "{seen:#}");
    let files = seen["run"]["files"].as_array().expect("files");
    assert_eq!(files.iter().map(|file| file["path"].clone()).collect::<Vec<_>>(), paths);
    for ((path, wanted), file) in rows.iter().zip(files) {
        let wanted = wanted.map(<[u8]>::to_vec).map_err(str::to_owned);
        assert_eq!(content(file), wanted, "{path}: {file:#}");
        let size = wanted.ok().map(|bytes| bytes.len());
        assert_eq!((&file["size_bytes"], &file["truncated"]), (&json!(size), &json!(false)), "{path}: {file:#}");
    }
    // Cut off at the bound of one file, and at that of all of them: 21 bytes and 1000 were read before.
    for (file, kept, size) in [(&files[14], 1000, 5000), (&files[15], 999, 10_u64 << 30)] {
        assert_eq!(content(file).map(|bytes| bytes.len()), Ok(kept), "{file:#}");
        assert_eq!((&file["size_bytes"], &file["truncated"]), (&json!(size), &json!(true)), "{file:#}");
    }
    let plain = server.client().judge(&json!({"language": "python", "source": "open('/tmp/x', 'w')"}));
    assert!(plain["run"]["files"].is_null(), "{plain:#}");
}

/// What was left to change a file all the time is gone before it is read: the file's own content, or the name of what was
/// put in its place, and never what that leads to.
fn nothing_changes_while_it_is_read(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let body = json!({"language": "python", "source": program!("collect/swaps.py"), "tests": vec![json!({}); 20],
        "limits": {"run": {"cpu_percent": 100}}, "collect": ["out", "dir/out", "etc/passwd"]});
    let seen = client.judge(&body);
    assert_eq!(seen["verdict"], "accepted", "{seen:#}");
    for test in seen["tests"].as_array().expect("tests") {
        for file in test["files"].as_array().expect("files") {
            let fits = match content(file) {
                Ok(bytes) => bytes == b"own",
                Err(why) => why == "link" || why == "not_found",
            };
            assert!(fits, "{file:#}");
        }
    }
}

/// Each test has its own, in every language, whatever its end; of all together only so much.
fn files_of_each_test(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_COLLECT__BYTES", 10));
    let client = server.client();
    let python = "import sys, time\nword = sys.stdin.read()\nopen('/tmp/out', 'w').write(word)\ntime.sleep(60 if word == 'sleep' else 0)";
    let wall = scale::limit("WALL_MS", 1000);
    let tests = json!([{"stdin": "1"}, {"stdin": "sleep", "limits": {"wall_ms": wall}}, {"stdin": "", "expected": "x"}, {"stdin": "much"}, {"stdin": "z"}]);
    let seen = client.judge(&json!({"language": "python", "source": python, "tests": tests, "collect": ["out"]}));
    let of = |number: usize| &seen["tests"][number]["files"][0];
    let verdicts: Vec<_> = (0..5).map(|number| seen["tests"][number]["verdict"].clone()).collect();
    assert_eq!(verdicts, ["accepted", "time_limit", "wrong_answer", "accepted", "accepted"], "{seen:#}");
    let kept: Vec<_> = (0..5).map(|number| of(number)["content"].clone()).collect();
    assert_eq!(kept, ["1", "sleep", "", "much", ""], "{seen:#}");
    assert_eq!(
        (&of(3)["truncated"], &of(4)["truncated"], &of(4)["size_bytes"]),
        (&json!(false), &json!(true), &json!(1))
    );
    let c = "#include <stdio.h>\nint main(void) { fputs(\"left\", fopen(\"/tmp/out\", \"w\")); return 0; }";
    let cpp = "#include <fstream>\nint main() { std::ofstream(\"/tmp/out\") << \"left\"; }";
    let java = "public class A { public static void main(String[] a) throws Exception { \
                java.nio.file.Files.writeString(java.nio.file.Path.of(\"/tmp/out\"), \"left\"); } }";
    for (language, source) in [("c", c), ("cpp", cpp), ("java", java)] {
        let seen = client.judge(&json!({"language": language, "source": source, "collect": ["out"]}));
        assert_eq!(content(&seen["run"]["files"][0]), Ok(b"left".to_vec()), "{language}: {seen:#}");
    }
}

under_both_runtimes!(what_comes_back, nothing_changes_while_it_is_read, files_of_each_test);
