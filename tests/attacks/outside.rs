//! The contrast: the same programs as root on the host, where nothing of ours is between them and what they are after.
//! All of them are bounded in what they take. They see the image's files (a copy that goes away), so that neither Python
//! nor Java has to be on the host.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::bait::Bait;
use super::collection::{Attack, attacks};
use super::header::{Outside, breached};
use crate::support::table::brief;
use crate::support::{Runtime, Server, Settings, account, needs};
use crate::{needs, support::Need};

/// `$1` the program's file, `$2` the image; standard input goes to the program.
const SCRIPT: &str = r#"
set -e
image=$1 source=$2 command=$3
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$image,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
cd /mnt/root
mount --rbind /proc proc; mount --rbind /sys sys; mount --rbind /dev dev
mount -t tmpfs tmpfs tmp; mount -t tmpfs tmpfs code
cp "$source" code/
ulimit -c unlimited || :
ulimit -s 1048576 -n 16384
exec env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin HOME=/tmp LANG=C.UTF-8 CMTEST_SECRET=1 timeout -s KILL 60 chroot . /bin/sh -c "cd /code; $command"
"#;

fn command(attack: &Attack) -> &'static str {
    match attack.language {
        "c" => "gcc -pipe -o solution solution.c -lm && exec ./solution",
        "java" if attack.header.compiling => {
            "javac -proc:none -d /tmp /code/Main.java && javac -processorpath /tmp -processor Main -d . /code/Main.java && \
             exec java -cp . Main"
        }
        "java" => "javac -d . *.java && exec java -cp . Main",
        "python" => "exec python3 -c \"$(cat solution.py)\"",
        _ => "exec /bin/sh solution.sh",
    }
}

fn image(language: &str) -> PathBuf {
    let wanted = if matches!(language, "c" | "sh") { "gcc-" } else { language };
    let all = fs::read_dir(account::images()).expect("images").map(|entry| entry.expect("an entry").path());
    let mut fitting: Vec<PathBuf> =
        all.filter(|path| path.display().to_string().contains(&format!("/{wanted}"))).collect();
    fitting.sort();
    fitting.pop().expect("an image").join("rootfs")
}

/// What it prints.
fn run(attack: &Attack, directory: &Path, port: u16) -> String {
    let name = match attack.language {
        "c" => "solution.c",
        "java" => "Main.java",
        "python" => "solution.py",
        _ => "solution.sh",
    };
    let source = directory.join(name);
    fs::write(&source, &attack.source).expect("a program");
    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--", "/bin/bash", "-c", SCRIPT, "outside"])
        .args([image(attack.language).as_os_str(), source.as_os_str()])
        .arg(command(attack))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare");
    let input = if attack.header.port { port.to_string() } else { String::new() };
    // A program that does not read may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its end");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A static program of the image's compiler, and then the host.
fn run_on_the_host(attack: &Attack, directory: &Path) -> String {
    assert_eq!(attack.language, "c", "{}: only C can be run on any host", attack.name);
    fs::write(directory.join("solution.c"), &attack.source).expect("a program");
    let program = directory.join("solution");
    let built = Command::new("gcc").arg("-o").arg(&program).arg(directory.join("solution.c")).output().expect("gcc");
    assert!(built.status.success(), "{}: {}", attack.name, String::from_utf8_lossy(&built.stderr));
    let output = Command::new(&program).env("CMTEST_SECRET", "1").stdin(Stdio::null()).output().expect("the program");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn cores_may_be_left() -> bool {
    let status = Command::new("/bin/bash").args(["-c", "ulimit -c unlimited"]).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn every_attack_works_outside() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun));
    let server = Server::start(&Settings::new(Runtime::Crun));
    let port = server.addresses[0].port();
    let _bait = Bait::lay(port);
    let (mut wrong, mut shown) = (Vec::new(), 0);
    let cores = cores_may_be_left();
    if !cores {
        needs::left_out("core_*: sudo sets the hard limit of core files to 0, and this root may not raise it");
    }
    for attack in attacks().into_iter().filter(|attack| cores || !attack.name.contains("/core_")) {
        let directory = tempfile::tempdir().expect("a directory");
        let said = match &attack.header.outside {
            Outside::Nowhere(_) => continue,
            Outside::InTheImage => run(&attack, directory.path(), port),
            Outside::OnTheHost => run_on_the_host(&attack, directory.path()),
        };
        shown += 1;
        if !breached(&said) {
            wrong.push(format!("  {}: {}", attack.name, brief(&said)));
        }
    }
    println!("{shown} attacks were shown to work");
    assert!(
        wrong.is_empty(),
        "they do not work outside either, so that being held says nothing:\n{}",
        wrong.join("\n")
    );
}
