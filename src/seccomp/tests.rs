//! What must hold of the format and of the two profiles that we carry. What the compiled filter does is seen in
//! containers, elsewhere.

use std::collections::BTreeSet;

use super::*;

fn ours() -> Vec<Profile> {
    let profiles = Profiles::load(None).unwrap();
    ["compile", "run"].iter().map(|name| profiles.get(name).unwrap().clone()).collect()
}

/// What becomes of a call with this first argument; the filters of our own profiles look at one argument each.
fn fate(profile: &Profile, name: &str, index: u32, value: u64) -> Action {
    let holds = |arg: &Arg| {
        assert!(matches!(arg.op, Op::Eq | Op::Ne | Op::MaskedEq), "{name}: {arg:?}");
        let got = if arg.index == index { value } else { 0 };
        match arg.op {
            Op::Eq => got == arg.value,
            Op::Ne => got != arg.value,
            _ => got & arg.mask.unwrap() == arg.value,
        }
    };
    let rules = profile.rules.iter().filter(|rule| rule.names.iter().any(|n| n == name));
    let actions: BTreeSet<String> =
        rules.clone().filter(|rule| rule.args.iter().all(holds)).map(|rule| format!("{:?}", rule.action)).collect();
    assert!(actions.len() <= 1, "{name}({value:#x}) has two fates: {actions:?}");
    rules
        .filter(|rule| rule.args.iter().all(holds))
        .map(|rule| rule.action)
        .next()
        .unwrap_or(Action::Errno(profile.default_errno))
}

#[test]
fn every_mistake_is_named() {
    let group = |action: &str, rules: &str| {
        format!(
            r#"{{"about":"x","default_errno":"ENOSYS","groups":[{{"group":"g","action":{action},"rules":[{rules}]}}]}}"#
        )
    };
    let allow = |names: &str, args: &str| {
        group(r#""allow""#, &format!(r#"{{"names":[{names}],"comment":"c","args":[{args}]}}"#))
    };
    for (text, wanted) in [
        ("{", "EOF"),
        (r#"{"about":"x","default_errno":"ENOSYS","groups":[],"more":1}"#, "unknown field `more`"),
        (r#"{"about":"x","default_errno":"ENOSYS","groups":[]} 1"#, "trailing characters"),
        (r#"{"about":" ","default_errno":"ENOSYS","groups":[]}"#, "about is empty"),
        (r#"{"about":"x","default_errno":"EIEIO","groups":[]}"#, "at default_errno"),
        (&group(r#""kill""#, ""), "at groups[0].action"),
        (&group(r#""ENOSYS","stops":"s""#, ""), "does what the default does"),
        (&group(r#""EPERM""#, ""), "`stops` belongs"),
        (&group(r#""allow","stops":"s""#, ""), "`stops` belongs"),
        (&group(r#""allow""#, r#"{"names":["read"],"comment":""}"#), "groups[0].rules[0].comment is empty"),
        (&group(r#""allow""#, r#"{"names":["read"]}"#), "missing field `comment`"),
        (&allow("", ""), "groups[0].rules[0].names is empty"),
        (&allow(r#""Read""#, ""), r#""Read" is no name"#),
        (&allow(r#""read","read""#, ""), "read has a rule without `args` and another rule"),
        (&allow(r#""read""#, r#"{"index":6,"op":"eq","value":"0x0"}"#), "there are only 0 to 5"),
        (&allow(r#""read""#, r#"{"index":0,"op":"eq","value":7}"#), "invalid type: integer"),
        (&allow(r#""read""#, r#"{"index":0,"op":"eq","value":"7"}"#), "no hexadecimal number"),
        (&allow(r#""read""#, r#"{"index":0,"op":"eq","value":"0x+7"}"#), "no hexadecimal number"),
        (&allow(r#""read""#, r#"{"index":0,"op":"eq","value":"0x7","mask":"0x7"}"#), "only `masked_eq` has"),
        (&allow(r#""read""#, r#"{"index":0,"op":"masked_eq","value":"0x7"}"#), "needs a `mask`"),
        (&allow(r#""read""#, r#"{"index":0,"op":"masked_eq","value":"0x7","mask":"0x3"}"#), "can never hold"),
        (&allow(r#""read""#, r#"{"index":0,"op":"masked_eq","value":"0x0","mask":"0x0"}"#), "always holds"),
        (
            &allow(r#""read""#, r#"{"index":0,"op":"ne","value":"0x1"},{"index":0,"op":"ne","value":"0x2"}"#),
            "compared twice",
        ),
    ] {
        let errors = Profile::parse("p", text).expect_err(text);
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(shown.iter().any(|error| error.contains(wanted)), "{text}\n{shown:?} lacks {wanted}");
        assert!(shown.iter().all(|error| error.starts_with("seccomp profile p: ")), "{shown:?}");
    }
    let two = allow(r#""Read""#, r#"{"index":9,"op":"eq","value":"0x0"}"#);
    assert_eq!(Profile::parse("p", &two).unwrap_err().len(), 2, "both mistakes at once");
}

/// Runtimes ignore a name that they do not know, so a slip of the pen would open or close nothing, in silence.
#[test]
fn every_name_is_one_of_the_kernels() {
    let headers = ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"];
    let Some(header) = headers.iter().find_map(|path| std::fs::read_to_string(path).ok()) else {
        eprintln!("skipped: no kernel headers for x86-64 (Debian: linux-libc-dev)");
        return;
    };
    let known: BTreeSet<&str> =
        header.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.split_whitespace().next()).collect();
    for profile in ours() {
        for name in profile.rules.iter().flat_map(|rule| &rule.names) {
            assert!(known.contains(name.as_str()), "{}: {name}", profile.name);
        }
    }
}

#[test]
fn the_attack_surface_is_refused_and_not_merely_unknown() {
    let refused = "io_uring_setup io_uring_enter io_uring_register userfaultfd perf_event_open bpf fanotify_init \
        fanotify_mark kexec_load kexec_file_load init_module finit_module delete_module quotactl quotactl_fd acct swapon \
        swapoff reboot add_key request_key keyctl ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd unshare \
        setns mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree mount_setattr \
        open_by_handle_at name_to_handle_at syslog";
    for profile in ours() {
        for name in refused.split_whitespace() {
            assert_eq!(fate(&profile, name, 0, 0), Action::Errno(Errno::Perm), "{}: {name}", profile.name);
        }
        for name in ["clone3", "seccomp", "a_call_of_next_year"] {
            assert_eq!(fate(&profile, name, 0, 0), Action::Errno(Errno::Nosys), "{}: {name}", profile.name);
        }
    }
}

#[test]
fn filtered_calls_have_the_fate_that_is_written() {
    let (allow, perm, nosys) = (Action::Allow, Action::Errno(Errno::Perm), Action::Errno(Errno::Nosys));
    const HIGH: u64 = 1 << 32;
    for profile in ours() {
        for (name, index, value, wanted) in [
            ("clone", 0, 17, allow),
            ("clone", 0, 0x3d_0f00, allow),
            ("clone", 0, HIGH | 17, allow),
            ("clone", 0, 0x2_0011, perm),
            ("clone", 0, 0x1000_0011, perm),
            ("clone", 0, HIGH | 0x1000_0011, perm),
            ("clone", 0, 0x7e02_0011, perm),
            ("ioctl", 1, 0x5401, allow),
            ("ioctl", 1, HIGH | 0x5401, allow),
            ("ioctl", 1, 0x5412, perm),
            ("ioctl", 1, HIGH | 0x5412, perm),
            ("ioctl", 1, 0x541c, perm),
            ("ioctl", 1, 0xffff_ffff_0000_541c, perm),
            ("ioctl", 1, 0x1234, nosys),
            ("socket", 0, 1, allow),
            ("socket", 0, 2, perm),
            ("socket", 0, 38, perm),
            ("socket", 0, HIGH | 1, perm),
            ("socket", 0, HIGH | 38, perm),
            ("socketpair", 0, 16, perm),
            ("personality", 0, 0, allow),
            ("personality", 0, 0xffff_ffff, allow),
            ("personality", 0, u64::MAX, allow),
            ("personality", 0, 8, nosys),
            ("prlimit64", 0, 0, allow),
            ("prlimit64", 0, 1, perm),
            ("prctl", 0, 15, allow),
            ("prctl", 0, 22, nosys),
            ("prctl", 0, 35, nosys),
            ("mknodat", 2, 0x11a4, allow),
            ("mknodat", 2, 0x21a4, nosys),
        ] {
            assert_eq!(fate(&profile, name, index, value), wanted, "{}: {name}({value:#x})", profile.name);
        }
    }
}

/// Two self-contained files, so that a reviewer reads one; this keeps them from drifting apart.
#[test]
fn compiling_may_do_little_more_than_running() {
    let [compile, run] = &ours()[..] else { panic!() };
    let more: Vec<_> = compile.rules.iter().filter(|rule| !run.rules.contains(rule)).collect();
    let less: Vec<_> = run.rules.iter().filter(|rule| !compile.rules.contains(rule)).collect();
    assert_eq!(less, Vec::<&Rule>::new());
    assert_eq!(more.iter().flat_map(|rule| &rule.names).collect::<Vec<_>>(), ["personality"]);
    assert_eq!(fate(compile, "personality", 0, 0x4_0000), Action::Allow);
    assert_eq!(fate(run, "personality", 0, 0x4_0000), Action::Errno(Errno::Nosys));
}

#[test]
fn the_runtimes_form_says_the_same() {
    let text = r#"{"about":"x","default_errno":"ENOSYS","groups":[
        {"group":"a","action":"allow","rules":[{"names":["read","write"],"comment":"c"}]},
        {"group":"b","action":"EPERM","stops":"s","rules":[
            {"names":["ioctl"],"comment":"c","args":[{"index":1,"op":"masked_eq","mask":"0xff","value":"0x12"}]}]}]}"#;
    let oci = serde_json::to_value(Profile::parse("p", text).unwrap().to_oci()).unwrap();
    let arch = if cfg!(target_arch = "aarch64") { "SCMP_ARCH_AARCH64" } else { "SCMP_ARCH_X86_64" };
    let wanted = serde_json::json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": [arch],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
             "args": [{"index": 1, "value": 0xff, "valueTwo": 0x12, "op": "SCMP_CMP_MASKED_EQ"}]}
        ]
    });
    assert_eq!(oci, wanted);
}

#[test]
fn files_replace_and_add_and_every_wrong_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"about":"x","default_errno":"EPERM","groups":[]}"#;
    std::fs::write(dir.path().join("run.json"), text).unwrap();
    std::fs::write(dir.path().join("mine.json"), text).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "not looked at").unwrap();
    let profiles = Profiles::load(Some(dir.path())).unwrap();
    assert_eq!(profiles.names().collect::<Vec<_>>(), ["compile", "mine", "run"]);
    assert_eq!(profiles.get("run").unwrap().default_errno, Errno::Perm);
    assert_eq!(profiles.get("compile").unwrap().default_errno, Errno::Nosys);

    std::fs::write(dir.path().join("a.json"), "{").unwrap();
    std::fs::create_dir(dir.path().join("b.json")).unwrap();
    let errors = Profiles::load(Some(dir.path())).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(Profiles::load(Some(&dir.path().join("none"))).is_ok());
}
