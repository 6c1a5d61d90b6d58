//! Builds the containers' init (`rootfs-build/init/init.rs`) into `OUT_DIR/init`: a static executable of a few KB that
//! needs nothing but rustc and the linker that Rust itself uses.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

const SOURCE: &str = "rootfs-build/init/init.rs";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={}", message.trim().replace('\n', " | "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let env = |name: &str| std::env::var(name).map_err(|_| format!("cargo did not set {name}"));
    let arch = env("CARGO_CFG_TARGET_ARCH")?;
    if env("CARGO_CFG_TARGET_OS")? != "linux" || !matches!(arch.as_str(), "x86_64" | "aarch64") {
        return Err(format!("{SOURCE} is written for Linux on x86_64 and aarch64, not for {}", env("TARGET")?));
    }
    let out = PathBuf::from(env("OUT_DIR")?).join("init");
    let mut rustc = Command::new(env("RUSTC")?);
    rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name=init", "--target", &env("TARGET")?]);
    // Static and at a fixed address: without a dynamic loader nobody would apply relocations.
    rustc.args(["-Cpanic=abort", "-Copt-level=s", "-Cstrip=symbols", "-Crelocation-model=static"]);
    rustc.args(["-Ctarget-feature=+crt-static", "-Coverflow-checks=off", "-Cdebug-assertions=off"]);
    for flag in ["-nostartfiles", "-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack"] {
        rustc.arg(format!("-Clink-arg={flag}"));
    }
    if let Ok(linker) = env("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg("-o").arg(&out).arg(SOURCE);
    let output = rustc.output().map_err(|error| format!("cannot start rustc to build {SOURCE}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cannot build the containers' init from {SOURCE}; it needs rustc and a C linker (Debian: build-essential). \
             rustc said: {said}"
        ));
    }
    Ok(())
}
