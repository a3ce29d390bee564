//! Every committed input of the fuzz targets, through the properties that the fuzzer checks: `fuzz/corpus` are seeds, `fuzz/regressions` what
//! once broke a property.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
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

/// Panics with the file's name in the output, behind which the property's own message stands.
fn replay(kind: &str) {
    for directory in entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind)) {
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (target, _) in PROPERTIES {
        assert!(!entries(&root.join("corpus").join(target)).is_empty(), "fuzz/corpus/{target} has no seeds");
        assert!(root.join("fuzz_targets").join(format!("{target}.rs")).exists(), "{target} has no target");
    }
    let targets: Vec<_> = entries(&root.join("fuzz_targets")).iter().map(|path| name(path).replace(".rs", "")).collect();
    assert_eq!(targets, PROPERTIES.map(|(target, _)| target), "each target has a property, in alphabetical order");
}
