//! Builds the containers' init and the probe of the self-test (`rootfs-build/init/`) into `OUT_DIR`: static executables
//! of a few KB that need nothing but rustc and the linker that Rust itself uses.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

const SOURCES: &str = "rootfs-build/init";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={SOURCES}");
    println!("cargo::rerun-if-changed=build.rs");
    match ["init", "probe"].into_iter().try_for_each(build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={}", message.trim().replace('\n', " | "));
            ExitCode::FAILURE
        }
    }
}

fn build(name: &str) -> Result<(), String> {
    let source = format!("{SOURCES}/{name}.rs");
    let env = |name: &str| std::env::var(name).map_err(|_| format!("cargo did not set {name}"));
    let arch = env("CARGO_CFG_TARGET_ARCH")?;
    if env("CARGO_CFG_TARGET_OS")? != "linux" || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        return Err(format!("{source} is written for Linux on x86_64 and aarch64, not for {}", env("TARGET")?));
    }
    let out = PathBuf::from(env("OUT_DIR")?).join(name);
    let mut rustc = Command::new(env("RUSTC")?);
    rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name", name, "--target", &env("TARGET")?]);
    // Static and at a fixed address: without a dynamic loader nobody would apply relocations.
    rustc.args(["-Cpanic=abort", "-Copt-level=s", "-Cstrip=symbols", "-Crelocation-model=static"]);
    rustc.args(["-Ctarget-feature=+crt-static", "-Coverflow-checks=off", "-Cdebug-assertions=off"]);
    for flag in ["-nostartfiles", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack"] {
        rustc.arg(format!("-Clink-arg={flag}"));
    }
    if let Ok(linker) = env("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg("-o").arg(&out).arg(&source);
    let output = rustc.output().map_err(|error| format!("cannot start rustc to build {source}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cannot build {source}; it needs rustc and a C linker (Debian: build-essential). \
             rustc said: {said}"
        ));
    }
    Ok(())
}
