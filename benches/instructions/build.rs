//! Tells the tool which compiler built it.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").expect("cargo names the compiler");
    let output = Command::new(rustc).arg("--version").output().expect("the compiler starts");
    println!("cargo:rustc-env=COMPILER={}", String::from_utf8_lossy(&output.stdout).trim());
}
