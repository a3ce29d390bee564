//! Devices that are added or removed.
//!
//! Owns the lists of network interfaces and block devices in `/sys/class`, and the changes between
//! two readings. Leaves the pace of the readings to `app`. The kernel also announces devices by
//! netlink, but the standard library has no netlink socket.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const KINDS: [&str; 2] = ["net", "block"];

pub(crate) struct Devices {
    class: PathBuf,
    seen: BTreeSet<Device>,
}

/// The kind and the name of a device.
type Device = (&'static str, String);

impl Devices {
    /// `None` where there is no `sys/class/net`.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        let class = root.join("sys/class");
        class.join("net").is_dir().then(|| Self { seen: list(&class), class })
    }

    /// The devices that were removed and added since the last reading.
    pub(crate) fn changes(&mut self) -> Vec<Value> {
        let now = list(&self.class);
        let gone = self.seen.difference(&now).map(|device| change("remove", device));
        let come = now.difference(&self.seen).map(|device| change("add", device));
        let changes = gone.chain(come).collect();
        self.seen = now;
        changes
    }
}

fn list(class: &Path) -> BTreeSet<Device> {
    let names = |kind| {
        let entries = fs::read_dir(class.join(kind)).into_iter().flatten().flatten();
        entries.map(move |entry| (kind, entry.file_name().to_string_lossy().into_owned()))
    };
    KINDS.into_iter().flat_map(names).collect()
}

fn change(action: &str, (kind, name): &Device) -> Value {
    json!({ "action": action, "kind": kind, "name": name })
}
