//! Temperatures and voltages (the kernel's Documentation/hwmon/sysfs-interface and
//! thermal/sysfs-api).
//!
//! Owns reading `/sys/class/hwmon`, and `/sys/class/thermal` if the first has no temperature.
//! Leaves out fans, and values that are set instead of measured.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A large server has a few dozen sensors.
const SENSORS_MAX: usize = 64;

pub(crate) fn read(root: &Path) -> Vec<Value> {
    let class = root.join("sys/class");
    let mut found = Vec::new();
    for chip in entries(&class.join("hwmon")) {
        let chip_name = text(&chip.join("name")).unwrap_or_default();
        for input in entries(&chip) {
            let Some(name) = input.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix("_input")) else {
                continue;
            };
            let kind = if name.starts_with("temp") { "temperature" } else { "voltage" };
            if kind == "voltage" && !name.starts_with("in") {
                continue;
            }
            let label = text(&chip.join(format!("{name}_label"))).unwrap_or_else(|| name.to_owned());
            found.extend(sensor(&format!("{chip_name} {label}"), kind, &input));
        }
    }
    if !found.iter().any(|sensor| sensor["kind"] == "temperature") {
        for zone in entries(&class.join("thermal")) {
            found.extend(sensor(&text(&zone.join("type")).unwrap_or_default(), "temperature", &zone.join("temp")));
        }
    }
    found.truncate(SENSORS_MAX);
    found
}

/// Reads one sensor. The kernel reports thousandths of a degree Celsius or of a volt. `None` if the
/// sensor cannot be read now.
fn sensor(name: &str, kind: &str, input: &Path) -> Option<Value> {
    let thousandths: i32 = text(input)?.parse().ok()?;
    Some(json!({ "name": name, "kind": kind, "value": f64::from(thousandths) / 1_000.0 }))
}

/// The entries of a directory, sorted by name.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
