//! All results of a run.
//!
//! Owns the figures and their form as JSON: plain numbers, the unit at the end of each name, null
//! for a missing figure. Leaves the table to `table`.

use pushlab::IoModel;
use serde_json::{Map, Value, json};

use crate::idle::{self, Idle};
use crate::load::{self, Load, Measured};
use crate::options::Options;
use crate::proc::{DescriptorLimits, Machine};

pub(crate) struct Report {
    /// Ctrl-C ended the run, and some figures are missing.
    pub(crate) is_interrupted: bool,
    pub(crate) machine: Machine,
    pub(crate) limits: DescriptorLimits,
    pub(crate) settings: Options,
    pub(crate) idle: Idle,
    pub(crate) load: Load,
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let idle = self.idle.groups.iter().map(|group| {
            let models = by_model(&group.models, |figures| figures.as_ref().map_or(Value::Null, idle_json));
            json!({ "kind": group.kind, "asked_connections": group.asked, "models": models })
        });
        let load = self.load.points.iter().map(|load| {
            let Measured { point, models } = load;
            json!({ "kind": point.name, "connections": point.connections, "models": by_model(models, load_json) })
        });
        json!({
            "interrupted": self.is_interrupted,
            "machine": { "cpu": self.machine.cpu, "cores": self.machine.cores, "system": self.machine.system },
            "settings": {
                "seconds_per_load_point": self.settings.seconds,
                "rounds": self.settings.rounds,
                "warm_up_seconds": self.settings.warm_up.as_secs_f64(),
                "idle_connections": self.settings.idle,
                "descriptors": self.limits.soft,
                "release_build": !cfg!(debug_assertions),
            },
            "bare_socket_kernel_bytes": self.idle.end_bytes,
            "other_programs_busy_processors": self.load.others_busy,
            "notes": self.idle.notes,
            "idle": idle.collect::<Vec<_>>(),
            "load": load.collect::<Vec<_>>(),
        })
    }
}

fn by_model<T>(models: &[T; 2], json: impl Fn(&T) -> Value) -> Map<String, Value> {
    IoModel::ALL.iter().zip(models).map(|(model, figures)| (model.to_string(), json(figures))).collect()
}

fn idle_json(figures: &idle::Figures) -> Value {
    json!({
        "connections": figures.connections,
        "threads": figures.threads,
        "user_bytes_per_connection": figures.user_bytes,
        "kernel_bytes_per_connection": figures.kernel_bytes,
    })
}

fn load_json(figures: &load::Figures) -> Value {
    json!({
        "operations_per_second": figures.per_second,
        "p50_us": figures.p50_us,
        "p99_us": figures.p99_us,
        "p999_us": figures.p999_us,
        "server_cpu_us_per_operation": figures.server_cpu_us,
        "server_context_switches_per_operation": figures.context_switches,
        "client_busy_share": figures.client_busy,
    })
}
