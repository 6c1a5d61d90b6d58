//! One job after another, taking turns with the bare program, so that both meet the same machine. Between two jobs there
//! is time to spare: these are arrivals well below what the machine can take. Another build, where one is named, takes turns
//! as well.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bare::Shell;
use super::rootfs::rootfs;
use crate::support::{Client, Server};

/// How often a client asks that wants the result at once.
const PAUSE: Duration = Duration::from_micros(300);

/// One line of the table.
pub struct Row {
    name: &'static str,
    ours: Vec<Duration>,
    bare: Vec<Duration>,
    other: Vec<Duration>,
}

struct Kind {
    name: &'static str,
    language: &'static str,
    image: &'static str,
    file: &'static str,
    /// `@` in it makes each program another one.
    source: &'static str,
    /// What a shell has to run.
    bare: &'static str,
    /// The same program every time.
    again: bool,
    /// What containers made ahead need to be there again.
    rest: Duration,
}

const C: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; } /* @ */";
const CPP: &str =
    "#include <bits/stdc++.h>\nint main() { std::vector<int> v{1}; std::cout << \"hello\" << std::endl; } // @";
const JAVA: &str = "public class Hello { public static void main(String[] a) { System.out.println(\"hello\"); } } // @";
const GCC: &str = "gcc -pipe -o solution h.c -lm && ./solution";
/// In strict mode, so that the image's precompiled header does not fit: the bare compiler has none.
const GXX: &str = "g++ -std=c++17 -pipe -o solution h.cpp && ./solution";
const JAVAC: &str = "javac Hello.java && java -XX:+TieredCompilation -XX:TieredStopAtLevel=1 -Xverify:none -Xms64m -Xmx256m Hello 2>/dev/null";

const fn kind(
    name: &'static str,
    (language, image, file): (&'static str, &'static str, &'static str),
    (source, bare): (&'static str, &'static str),
    again: bool,
    rest: u64,
) -> Kind {
    Kind { name, language, image, file, source, bare, again, rest: Duration::from_millis(rest) }
}

/// The program alone, compiled beforehand: what one more run of it takes.
const RUN: &str = "test -x solution || gcc -pipe -o solution h.c -lm && ./solution";

const KINDS: [Kind; 8] = [
    kind("Python hello", ("python", "python", "h.py"), ("print('hello')", "python3 -c \"print('hello')\""), true, 40),
    kind("C, compile and run", ("c", "gcc", "h.c"), (C, GCC), false, 80),
    kind("C, the same again", ("c", "gcc", "h.c"), (C, GCC), true, 80),
    kind("C, one more run of it", ("c", "gcc", "h.c"), (C, RUN), true, 80),
    kind("C++ <bits/stdc++.h>", ("cpp", "gcc", "h.cpp"), (CPP, GXX), false, 100),
    kind("C++, the same again", ("cpp", "gcc", "h.cpp"), (CPP, GXX), true, 100),
    kind("Java, compile and run", ("java", "java", "Hello.java"), (JAVA, JAVAC), false, 1500),
    kind("Java, the same again", ("java", "java", "Hello.java"), (JAVA, JAVAC), true, 200),
];

/// Runs in a submission whose further runs are measured.
const RUNS: u32 = 20;

/// After each of them: containers for as many are made ahead, where two processors have nothing else to do.
const REST: Duration = Duration::from_millis(400);

pub fn measure(server: &Server, other: Option<&Server>, times: usize) -> Vec<Row> {
    let (client, other) = (server.client(), other.map(Server::client));
    let mut rows: Vec<Row> = KINDS.iter().map(|kind| one(client, other, kind, times)).collect();
    rows.insert(4, further(client, other, times));
    rows
}

/// Each run of a submission with many, beyond its first: what twenty take above one, divided by nineteen.
fn further(client: Client, other: Option<Client>, times: usize) -> Row {
    let mut shell = Shell::of(&rootfs("gcc"));
    shell.write("h.c", C);
    let mut row = Row { name: "C, a further run of twenty", ours: Vec::new(), bare: Vec::new(), other: Vec::new() };
    let each = |client| {
        let one = tests(client, 1);
        sleep(REST);
        let many = tests(client, RUNS);
        sleep(REST);
        many.saturating_sub(one) / (RUNS - 1)
    };
    for turn in 0..times + 3 {
        let bare = shell.run(RUN, "hello");
        let (ours, other) = (each(client), other.map(each));
        if turn >= 3 {
            row.bare.push(bare);
            row.ours.push(ours);
            row.other.extend(other);
        }
    }
    row.sorted()
}

/// One submission of this many runs, with the reply when all are over.
fn tests(client: Client, runs: u32) -> Duration {
    let tests: Vec<Value> = (0..runs).map(|_| json!({"expected": "hello\n"})).collect();
    let body = json!({"language": "c", "source": C, "tests": tests}).to_string();
    let began = Instant::now();
    let reply = client.post("/v1/submissions?wait=60", body.as_bytes());
    let took = began.elapsed();
    assert_eq!(reply.json()["verdict"], "accepted", "{}", reply.text());
    took
}

fn one(client: Client, other: Option<Client>, kind: &Kind, times: usize) -> Row {
    let mut shell = Shell::of(&rootfs(kind.image));
    shell.write(kind.file, kind.source);
    let times = if kind.rest > Duration::from_secs(1) { times.div_ceil(3) } else { times };
    let mut row = Row { name: kind.name, ours: Vec::new(), bare: Vec::new(), other: Vec::new() };
    // Not counted: files come into the page cache, and containers are made ahead of what is asked for.
    for turn in 0..times + 3 {
        let bare = shell.run(kind.bare, "hello");
        sleep(kind.rest);
        let source = if kind.again { kind.source.to_owned() } else { kind.source.replace('@', &turn.to_string()) };
        let ours = submit(client, kind.language, &source);
        sleep(kind.rest);
        let other = other.map(|other| {
            let took = submit(other, kind.language, &source);
            sleep(kind.rest);
            took
        });
        if turn >= 3 {
            row.ours.push(ours);
            row.bare.push(bare);
            row.other.extend(other);
        }
    }
    row.sorted()
}

fn submit(client: Client, language: &str, source: &str) -> Duration {
    let began = Instant::now();
    let id = client.submit(language, source, None);
    loop {
        let result = client.result(&id);
        if matches!(result["status"].as_str(), Some("completed" | "failed")) {
            let took = began.elapsed();
            assert_eq!(result["output"], "hello\n");
            return took;
        }
        sleep(PAUSE);
    }
}

impl Row {
    fn sorted(mut self) -> Self {
        for times in [&mut self.ours, &mut self.bare, &mut self.other] {
            times.sort_unstable();
        }
        self
    }

    fn at(sorted: &[Duration], percent: usize) -> f64 {
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    fn figures(&self) -> [f64; 4] {
        [Self::at(&self.ours, 50), Self::at(&self.ours, 95), Self::at(&self.bare, 50), Self::at(&self.bare, 95)]
    }

    pub fn print(&self) {
        let [ours, ours95, bare, bare95] = self.figures();
        let other = if self.other.is_empty() {
            String::new()
        } else {
            format!("{:.2} ({:.2})", Self::at(&self.other, 50), Self::at(&self.other, 95))
        };
        println!(
            "{:<28}{:>4}{:>18}{:>18}{:>7.2}{:>8.2}{other:>18}",
            self.name,
            self.ours.len(),
            format!("{ours:.2} ({ours95:.2})"),
            format!("{bare:.2} ({bare95:.2})"),
            ours / bare,
            ours95 / bare95,
        );
    }

    pub fn json(&self) -> Value {
        let [ours, ours95, bare, bare95] = self.figures();
        json!({
            "what": self.name, "n": self.ours.len(), "ours_ms": [ours, ours95], "bare_ms": [bare, bare95],
            "ratio": [ours / bare, ours95 / bare95],
            "other_ms": (!self.other.is_empty()).then(|| [Self::at(&self.other, 50), Self::at(&self.other, 95)]),
        })
    }
}
