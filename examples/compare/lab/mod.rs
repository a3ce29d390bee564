//! The measuring tools, which know of no claim.
//!
//! Owns what a claim measures with: [`Lab`], which starts servers, takes turns between models, and
//! knows how much effort the user allows. Each tool is a file. Leaves sentences and verdicts to
//! `claims`.
//!
//! - The subjects: `model` (what is compared), `process` (a server), `cores` (where it runs), `nginx`
//!   (a proxy in front of it), `certificate` (for TLS), `broker` (what several servers share).
//! - The figures: `proc` (of a process and the system), `count` (instructions and system calls),
//!   `samples` (medians and ratios).
//! - The loads: `load` (a closed loop), `open_loop` (a fixed rate), `exchange_rounds` (one load on
//!   several models), `deliveries` (a closed loop through the hub), `crowd` (many connections that
//!   wait), `sockets` (subscribers over TLS, or compressed), `browser` (a limit of connections),
//!   `returning` (clients that reconnect).
//! - The techniques: `subscribers` (their clients), `publisher`, `plan` (what they do), `technique`
//!   (their requests), `decode` (their wire forms), `tally` (counts), `account` (each message once).
//! - `wire`: the client's bytes.

pub(crate) mod account;
pub(crate) mod broker;
pub(crate) mod browser;
pub(crate) mod certificate;
pub(crate) mod cores;
pub(crate) mod count;
pub(crate) mod crowd;
pub(crate) mod decode;
pub(crate) mod deliveries;
pub(crate) mod exchange_rounds;
pub(crate) mod load;
pub(crate) mod model;
pub(crate) mod nginx;
pub(crate) mod open_loop;
pub(crate) mod plan;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod publisher;
pub(crate) mod returning;
pub(crate) mod samples;
pub(crate) mod sockets;
pub(crate) mod subscribers;
pub(crate) mod tally;
pub(crate) mod technique;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::interrupt;
use crate::progress::Progress;
use crate::server::{Defect, Setup};
use cores::Cores;
use model::Model;
use proc::DescriptorLimits;
use process::ServerProcess;

/// The descriptors that this process needs for other purposes.
pub(crate) const DESCRIPTORS_RESERVED: usize = 64;

/// How much time the user gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effort {
    /// About 4 s for each claim: rough figures.
    Quick,
    /// About a minute for each claim.
    Full,
}

impl Effort {
    /// One value for a quick run, and one for a full run.
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// How many times each model is measured, in turn with the others.
    pub(crate) fn rounds(self) -> usize {
        self.pick(3, 5)
    }

    /// The measured time of one round of a load.
    pub(crate) fn round_time(self) -> Duration {
        Duration::from_millis(self.pick(100, 1_000))
    }

    /// The load before it, whose figures do not count.
    pub(crate) fn warm_up(self) -> Duration {
        Duration::from_millis(self.pick(30, 200))
    }
}

/// What the command line says about all measurements.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) effort: Effort,
    /// The models that the user wants to see beside those that a claim needs.
    pub(crate) chosen: Vec<Model>,
    /// This program.
    pub(crate) binary: PathBuf,
    /// A build of this program over poll(2).
    pub(crate) poll_binary: Option<PathBuf>,
    /// A server that is not pushlab's.
    pub(crate) foreign: Option<SocketAddr>,
    /// A broker that the user runs, for servers that share a log.
    pub(crate) log: Option<String>,
    /// Whether instructions and system calls are counted where they decide.
    pub(crate) count: bool,
    /// What is broken in the model `event-loop`.
    pub(crate) defect: Defect,
    pub(crate) cores: Cores,
    pub(crate) limits: DescriptorLimits,
}

/// What a claim measures with.
pub(crate) struct Lab<'a> {
    pub(crate) conditions: &'a Conditions,
    progress: &'a mut Progress,
    models: Vec<Model>,
}

impl<'a> Lab<'a> {
    pub(crate) fn new(conditions: &'a Conditions, models: Vec<Model>, progress: &'a mut Progress) -> Self {
        Self { conditions, progress, models }
    }

    pub(crate) fn effort(&self) -> Effort {
        self.conditions.effort
    }

    /// The models to measure, in the order of the report.
    pub(crate) fn models(&self) -> Vec<Model> {
        self.models.clone()
    }

    /// The most connections that this process can have at once, and each server too.
    pub(crate) fn connections_max(&self) -> usize {
        self.conditions.limits.soft.saturating_sub(DESCRIPTORS_RESERVED)
    }

    /// The usual setup of a model: on one core, or on all cores if it needs them.
    pub(crate) fn setup(&self, model: Model) -> Setup {
        let cores = &self.conditions.cores;
        let on = if model == Model::Loops { &cores.all } else { &cores.server };
        let defect = if model == Model::EventLoop { self.conditions.defect } else { Defect::None };
        Setup { cores: on.clone(), loops: cores.all.len().max(1), defect, ..Setup::new(model) }
    }

    pub(crate) fn start(&self, model: Model) -> Result<ServerProcess> {
        self.start_with(&self.setup(model))
    }

    pub(crate) fn start_with(&self, setup: &Setup) -> Result<ServerProcess> {
        match setup.model {
            Model::Foreign => Ok(ServerProcess::foreign(self.conditions.foreign.ok_or("no foreign server was given")?)),
            model => ServerProcess::start(self.binary(model)?, setup),
        }
    }

    /// The program that has this model.
    fn binary(&self, model: Model) -> Result<&Path> {
        match (model, &self.conditions.poll_binary) {
            (Model::Poll, None) => Err("there is no build over poll(2)".into()),
            (Model::Poll, Some(binary)) => Ok(binary),
            _ => Ok(&self.conditions.binary),
        }
    }

    /// Shows what is measured now.
    ///
    /// # Errors
    /// If the user has asked for the end.
    pub(crate) fn step(&mut self, what: &str) -> Result<()> {
        if interrupt::is_asked() {
            return Err("interrupted".into());
        }
        self.progress.step(what);
        Ok(())
    }

    /// Measures several subjects in turn, `rounds` times each. The order changes in each round, so
    /// that no subject is always measured first, and other work on the machine affects all alike.
    /// Returns the figures of each subject, by round.
    pub(crate) fn in_turn<S, T>(
        &mut self,
        rounds: usize,
        subjects: &mut [S],
        mut measure: impl FnMut(&mut Self, &mut S, usize) -> Result<T>,
    ) -> Result<Vec<Vec<T>>> {
        let mut figures: Vec<Vec<T>> = subjects.iter().map(|_| Vec::with_capacity(rounds)).collect();
        for round in 0..rounds {
            for turn in 0..subjects.len() {
                let at = (round + turn) % subjects.len();
                figures[at].push(measure(self, &mut subjects[at], round)?);
            }
        }
        Ok(figures)
    }
}
