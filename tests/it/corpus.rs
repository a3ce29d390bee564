//! Every committed input of the fuzz targets, through the properties that the fuzzer checks:
//! `fuzz/corpus` holds seeds, `fuzz/regressions` holds inputs that once broke a property.
//!
//! The published package does not contain `fuzz/`: there these tests say that they are skipped.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../properties/lib.rs"]
mod properties;

use properties::{PROPERTIES, property};

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The directory of the fuzz targets; `None` in an unpacked package, which cargo marks with
/// `Cargo.toml.orig`.
fn fuzz() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("Cargo.toml.orig").exists() {
        println!("skipped: the package does not contain fuzz/, with its inputs and targets");
        return None;
    }
    Some(root.join("fuzz"))
}

/// Panics with the file's name in the output, behind which the property's own message stands.
fn replay(kind: &str) {
    let Some(fuzz) = fuzz() else { return };
    let directories = entries(&fuzz.join(kind));
    assert!(!directories.is_empty(), "fuzz/{kind} has no directories");
    for directory in directories {
        let target = name(&directory);
        let property = property(&target);
        for file in entries(&directory) {
            println!("fuzz/{kind}/{target}/{}", name(&file));
            property(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_seed_keeps_its_property() {
    replay("corpus");
}

#[test]
fn what_was_found_once_stays_mended() {
    replay("regressions");
}

#[test]
fn every_target_has_seeds() {
    let Some(root) = fuzz() else { return };
    for (target, _) in PROPERTIES {
        assert!(!entries(&root.join("corpus").join(target)).is_empty(), "fuzz/corpus/{target} has no seeds");
        assert!(root.join("fuzz_targets").join(format!("{target}.rs")).exists(), "{target} has no target");
    }
    let targets: Vec<_> = entries(&root.join("fuzz_targets")).iter().map(|path| name(path).replace(".rs", "")).collect();
    assert_eq!(targets, PROPERTIES.map(|(target, _)| target), "each target has a property, in alphabetical order");
}
