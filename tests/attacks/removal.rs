//! Takes layers away from a bundle: the text of its `config.json`, and lines of shell that a private mount namespace is
//! prepared with before the runtime starts. Nothing here reaches further than the one container.

use std::path::PathBuf;

use serde_json::{Value, json};

/// A bundle under change.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What `config.json` says.
    pub config: Value,
    /// The job's own directory on the stage, open to be passed through by all.
    pub place: PathBuf,
    /// Where on the stage the image lies that the root is laid over.
    pub image: Option<PathBuf>,
    /// A directory of the host that any user may write to; it has a device file `device`.
    pub host_tmp: PathBuf,
    /// Lines of shell, run as the service's root before the runtime, its arguments in `"$@"`.
    pub prepare: Vec<String>,
}

impl Bundle {
    fn mounts(&mut self) -> &mut Vec<Value> {
        self.config["mounts"].as_array_mut().expect("mounts")
    }

    fn mount(&mut self, destination: &str) -> &mut Value {
        let mounts = self.mounts();
        mounts.iter_mut().find(|mount| mount["destination"] == destination).expect("a mount of this destination")
    }

    /// Every option `from` becomes `to`, but not where the stage, which is bound there, has it already: a flag of the
    /// outer mount cannot be taken off inside.
    fn options(&mut self, from: &str, to: &str) {
        for mount in self.mounts().iter_mut().filter(|mount| mount["type"] == "tmpfs") {
            for option in mount["options"].as_array_mut().into_iter().flatten().filter(|option| **option == from) {
                *option = json!(to);
            }
        }
    }

    fn root(&self) -> String {
        self.config["root"]["path"].as_str().expect("a path").to_owned()
    }

    fn drop_namespace(&mut self, kind: &str) {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|namespace| namespace["type"] != kind);
    }

    fn drop_key(&mut self, pointer: &str, key: &str) {
        self.config.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(key);
    }

    fn rlimit(&mut self, kind: &str, value: u64) {
        let limits = self.config["process"]["rlimits"].as_array_mut().expect("rlimits");
        let limit = limits.iter_mut().find(|limit| limit["type"] == kind).expect("a limit of this type");
        *limit = json!({"type": kind, "soft": value, "hard": value});
    }

    /// A shell as process 1 in place of the init; `child` is what is redirected for the program.
    fn shell_init(&mut self, child: &str) {
        let script = format!(
            // Its word is the end of descriptor 4, and only that: the program is the one of the bundle.
            "cat <&4 >/dev/null; shift; \"$@\" {child} 4<&-\nstatus=$?\nif [ $status -gt 128 ]; then echo signaled $((status - 128)) 0 0 0 >&3\n\
             else echo exited $status 0 0 0 >&3; fi\nexit $status"
        );
        let args = self.config["process"]["args"].as_array_mut().expect("arguments");
        args.splice(0..1, ["/bin/sh", "-c", &script, "init"].map(Value::from));
    }
}

/// Ids of the job are then ids of the service's own namespace, the same for all.
pub fn user_namespace(bundle: &mut Bundle) {
    bundle.drop_namespace("user");
    bundle.drop_key("/linux", "uidMappings");
    bundle.drop_key("/linux", "gidMappings");
}

/// A copy of the service's tree of mounts in place of one that begins with the image. A user namespace of its own could
/// not mount anything in it, so that one goes as well.
pub fn mount_namespace(bundle: &mut Bundle) {
    user_namespace(bundle);
    bundle.drop_namespace("mount");
    bundle.prepare.push(":".to_owned());
}

/// With the service's `/proc`, since that of a namespace which is not one's own cannot be mounted anew.
pub fn pid_namespace(bundle: &mut Bundle) {
    bundle.drop_namespace("pid");
    let options = ["rbind", "nosuid", "nodev", "noexec"];
    *bundle.mount("/proc") = json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": options});
}

pub fn network_namespace(bundle: &mut Bundle) {
    bundle.drop_namespace("network");
}

pub fn ipc_namespace(bundle: &mut Bundle) {
    bundle.drop_namespace("ipc");
}

pub fn uts_namespace(bundle: &mut Bundle) {
    bundle.drop_namespace("uts");
    bundle.drop_key("", "hostname");
}

pub fn cgroup_namespace(bundle: &mut Bundle) {
    bundle.drop_namespace("cgroup");
}

pub fn seccomp(bundle: &mut Bundle) {
    bundle.drop_key("/linux", "seccomp");
}

/// A runtime then sets the filter while it still has its capabilities, and needs PR_SET_KEEPCAPS to give them up.
pub fn no_new_privileges(bundle: &mut Bundle) {
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    if let Some(rules) = bundle.config.pointer_mut("/linux/seccomp/syscalls").and_then(Value::as_array_mut) {
        let keepcaps = json!({"index": 0, "value": 8, "op": "SCMP_CMP_EQ"});
        rules.push(json!({"names": ["prctl"], "action": "SCMP_ACT_ALLOW", "args": [keepcaps]}));
    }
}

/// capabilities(7), those that every runtime knows.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ";

pub fn capabilities(bundle: &mut Bundle) {
    let all: Vec<String> = CAPABILITIES.split_whitespace().map(|name| format!("CAP_{name}")).collect();
    let sets = ["bounding", "effective", "inheritable", "permitted", "ambient"];
    bundle.config["process"]["capabilities"] = sets.iter().map(|set| ((*set).to_owned(), json!(all))).collect();
}

pub fn unprivileged_user(bundle: &mut Bundle) {
    bundle.config["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": []});
}

/// The same block for every job.
pub fn own_ids(bundle: &mut Bundle) {
    for kind in ["uidMappings", "gidMappings"] {
        let map = |inside, outside| json!({"containerID": inside, "hostID": outside, "size": 1});
        bundle.config["linux"][kind] = json!([map(0, 60_000), map(1000, 60_001)]);
    }
}

/// The host's own directories in place of the image.
pub fn own_root(bundle: &mut Bundle) {
    let place = bundle.place.join("host").display().to_string();
    let root = bundle.root();
    bundle.prepare.push(format!(
        "mkdir {place} && mount -t tmpfs -o mode=0755 tmpfs {place} && cd {place} && \
         mkdir proc dev tmp sys code casemate && cp {root}/casemate/init casemate/init && \
         for d in bin etc home lib lib32 lib64 libx32 opt sbin usr var; do \
         if [ -h /$d ]; then cp -P /$d .; elif [ -d /$d ]; then mkdir $d && mount --rbind /$d $d || exit 1; fi; done && cd /"
    ));
    bundle.config["root"]["path"] = json!(place);
}

pub fn read_only_root(bundle: &mut Bundle) {
    bundle.config["root"]["readonly"] = json!(false);
}

/// A copy of the image and of the init that anybody may write to, gone with the container. What the real ones are laid
/// over each other from belongs to an id that no job has, and has no layer that could be written.
pub fn protected_image(bundle: &mut Bundle) {
    let place = bundle.place.join("copy").display().to_string();
    let root = bundle.root();
    bundle.prepare.push(format!(
        "mkdir {place} && mount -t tmpfs -o mode=0755 tmpfs {place} && cd {place} && mkdir -m 0777 upper && \
         mkdir work root upper/casemate && cp {root}/casemate/init upper/casemate/init && chmod 0777 upper/casemate/init && \
         mount -t overlay -o lowerdir={root},upperdir=upper,workdir=work,userxattr overlay root && cd /"
    ));
    bundle.config["root"]["path"] = json!(format!("{place}/root"));
}

/// The image itself, which other jobs have as well, in place of an overlay over it.
pub fn own_inodes(bundle: &mut Bundle) {
    let place = bundle.place.join("shared").display().to_string();
    let root = bundle.root();
    let image = bundle.image.as_ref().expect("the image below the overlay").display();
    bundle.prepare.push(format!(
        "mkdir {place} && mount --bind {image} {place} && mount --bind {root}/casemate {place}/casemate"
    ));
    bundle.config["root"]["path"] = json!(place);
}

pub fn read_only_code(bundle: &mut Bundle) {
    for option in bundle.mount("/code")["options"].as_array_mut().expect("options") {
        if *option == "ro" {
            *option = json!("rw");
        }
    }
}

/// The runtime binds the device files with what their mount has.
pub fn read_only_devices(bundle: &mut Bundle) {
    bundle.prepare.push("mount -o remount,bind,rw /dev".to_owned());
}

pub fn read_only_proc(bundle: &mut Bundle) {
    bundle.mount("/proc")["options"].as_array_mut().expect("options").retain(|option| option != "ro");
}

pub fn nosuid(bundle: &mut Bundle) {
    bundle.options("nosuid", "suid");
}

pub fn nodev(bundle: &mut Bundle) {
    bundle.options("nodev", "dev");
}

pub fn noexec(bundle: &mut Bundle) {
    bundle.options("noexec", "exec");
}

/// A directory of the host as `/tmp`, where whoever has the right can leave device files. Read-only, because crun 1.8
/// sets the other flags of a bind mount only then.
pub fn fresh_tmp(bundle: &mut Bundle) {
    let source = bundle.host_tmp.display().to_string();
    let tmp = bundle.mount("/tmp");
    let flag = |option: &&Value| FLAGS.iter().any(|flag| *option == flag);
    let kept = tmp["options"].as_array().into_iter().flatten().filter(flag).cloned();
    let options: Vec<Value> = ["bind", "ro"].map(Value::from).into_iter().chain(kept).collect();
    *tmp = json!({"destination": "/tmp", "type": "bind", "source": source, "options": options});
}

/// Options of any mount, as they are and as they are when taken away.
const FLAGS: [&str; 6] = ["nosuid", "suid", "nodev", "dev", "noexec", "exec"];

/// All of `/proc`, not only what belongs to processes.
pub fn proc_of_processes(bundle: &mut Bundle) {
    let options = bundle.mount("/proc")["options"].as_array_mut().expect("options");
    options.retain(|option| option != "subset=pid");
}

pub fn no_sysfs(bundle: &mut Bundle) {
    bundle.mounts().push(json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]}));
}

/// The service's own variables as well.
pub fn clean_environment(bundle: &mut Bundle) {
    let own = std::fs::read("/proc/1/environ").unwrap_or_default();
    let own = own.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let variables = bundle.config["process"]["env"].as_array_mut().expect("variables");
    variables.extend(own.filter(|word| word.contains('=')).map(Value::from));
}

/// A file of the host stays open as descriptors 4 and 5, and process 1 does not close them.
pub fn closed_descriptors(bundle: &mut Bundle) {
    bundle.shell_init("3>&-");
    bundle.prepare.push(
        "exec 5</etc/passwd 6</etc/passwd\nfor word; do shift; \
         [ \"$word\" = --preserve-fds=2 ] && word=--preserve-fds=4; set -- \"$@\" \"$word\"; done"
            .to_owned(),
    );
}

/// A process 1 that can be looked into.
pub fn hidden_init(bundle: &mut Bundle) {
    bundle.shell_init("3>&-");
}

/// A process 1 that hands the pipe of its report on.
pub fn closed_report(bundle: &mut Bundle) {
    bundle.shell_init("");
}

pub fn core_size(bundle: &mut Bundle) {
    bundle.rlimit("RLIMIT_CORE", 1 << 30);
}

/// A process 1 that does not limit them.
pub fn queued_signals(bundle: &mut Bundle) {
    bundle.shell_init("3>&-");
}

/// The same.
pub fn message_queues(bundle: &mut Bundle) {
    bundle.shell_init("3>&-");
}
