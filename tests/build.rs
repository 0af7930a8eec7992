//! Says which versions of codex are installed, so that the tests that run them are reported as ignored without them.
//!
//! The tests of a real codex-manager are ignored unless one is given. Where `CI` is set no other is ignored: there a
//! version that is missing fails its tests.

#[allow(unreachable_pub, reason = "a part of the library as well")]
#[path = "src/codex/versions.rs"]
mod versions;

use std::{env, fs};

/// The address of a real codex-manager.
const MANAGER: &str = "CODEX_SKILLS_MANAGER";

fn main() {
    for variable in ["CI", "CARGO_TARGET_DIR", MANAGER, versions::OVERRIDE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    // It is watched, and what does not exist counts as changed each time.
    let folder = versions::folder();
    if fs::create_dir_all(&folder).is_ok() {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    println!("cargo::rustc-check-cfg=cfg(manager_given)");
    if env::var_os(MANAGER).is_some() {
        println!("cargo::rustc-cfg=manager_given");
    }
    let all_must_run = env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    for (cfg, version) in [
        ("codex_installed", versions::CURRENT),
        ("previous_codex_installed", versions::PREVIOUS),
        ("old_codex_installed", versions::OLD),
    ] {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if all_must_run || versions::binary(version).is_some() {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
