//! Builds what runs inside containers and is not the library's, into `OUT_DIR`: the containers' init and the probe of the
//! self-test (`rootfs-build/init/`), static executables of a few KB, and the module of the Python kit
//! (`rootfs-build/kits/python/word.rs`). They need nothing but rustc and the linker that Rust itself uses.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

const INIT: &str = "rootfs-build/init";
const KITS: &str = "rootfs-build/kits";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={INIT}");
    println!("cargo::rerun-if-changed={KITS}");
    println!("cargo::rerun-if-changed=build.rs");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={}", message.trim().replace('\n', " | "));
            ExitCode::FAILURE
        }
    }
}

fn env(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("cargo did not set {name}"))
}

fn build() -> Result<(), String> {
    let arch = env("CARGO_CFG_TARGET_ARCH")?;
    if env("CARGO_CFG_TARGET_OS")? != "linux" || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        return Err(format!("casemate is written for Linux on x86_64 and aarch64, not for {}", env("TARGET")?));
    }
    // Static and at a fixed address: without a dynamic loader nobody would apply relocations.
    let fixed = ["-Crelocation-model=static", "-Ctarget-feature=+crt-static", "-Clink-arg=-static"];
    for name in ["init", "probe"] {
        compile(&format!("{INIT}/{name}.rs"), name, &["--crate-type=bin", "--crate-name", name], &fixed)?;
    }
    // What it calls is found in the interpreter that loads it.
    let module = ["--crate-type=cdylib", "--crate-name=word"];
    compile(&format!("{KITS}/python/word.rs"), "word.so", &module, &["-Crelocation-model=pic"])
}

fn compile(source: &str, made: &str, kind: &[&str], flags: &[&str]) -> Result<(), String> {
    let out = PathBuf::from(env("OUT_DIR")?).join(made);
    let mut rustc = Command::new(env("RUSTC")?);
    rustc.args(kind).args(["--edition=2024", "--target", &env("TARGET")?]).args(flags);
    rustc.args(["-Cpanic=abort", "-Copt-level=s", "-Cstrip=symbols"]);
    rustc.args(["-Coverflow-checks=off", "-Cdebug-assertions=off"]);
    for flag in ["-nostartfiles", "-nostdlib", "-Wl,--build-id=none", "-Wl,-z,noexecstack"] {
        rustc.arg(format!("-Clink-arg={flag}"));
    }
    if let Ok(linker) = env("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg("-o").arg(&out).arg(source);
    let output = rustc.output().map_err(|error| format!("cannot start rustc to build {source}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cannot build {source}; it needs rustc and a C linker (Debian: build-essential). rustc said: {said}"
        ));
    }
    Ok(())
}
