//! A run: measures the claims one after the other, and judges them.
//!
//! Owns the order, the noise (`event-loop` against itself), and the obstacles that no claim can
//! see: a debug build, other programs on the machine, an error of a server. Leaves the rules to
//! `claims`.

use std::time::Instant;

use crate::Result;
use crate::claims::Claim;
use crate::findings::{Findings, Noise, Ruling, Verdict};
use crate::interrupt;
use crate::lab::cores::{self, Cores};
use crate::lab::load::{Load, Round};
use crate::lab::model::Model;
use crate::lab::proc::DescriptorLimits;
use crate::lab::samples::Ratio;
use crate::lab::wire::Exchange;
use crate::lab::{Conditions, Lab, proc};
use crate::options::Options;
use crate::progress::Progress;
use crate::report::{DESCRIPTORS_FULL, Entry, Report};

/// From this number of busy processors on, other programs disturb a timed claim.
const OTHERS_BUSY: f64 = 0.15;
/// How long the noise is measured, in seconds: quick and full.
const NOISE_SECONDS: [f64; 2] = [2.0, 15.0];
/// The connections that the noise is measured with.
const NOISE_CONNECTIONS: usize = 64;
/// Where the build over poll(2) is expected, and how it is made.
const POLL_BINARY: &str = "target/poll/release/examples/compare";
pub(crate) const POLL_COMMAND: &str =
    "RUSTFLAGS=\"--cfg mio_unsupported_force_poll_poll\" cargo build --release --example compare --target-dir target/poll";

/// The descriptors that a claim needs for each model: the load of `c15_faster` is connected to all
/// models at once. Claims that want more connections ask for the limit.
const DESCRIPTORS_PER_MODEL: usize = 256;

/// Measures the claims, and judges them.
///
/// # Errors
/// If the run cannot begin, or if the noise cannot be measured. An error of a claim is a part of
/// the report.
pub(crate) fn run(options: &Options, conditions: &Conditions) -> Result<Report> {
    let effort = options.effort;
    let is_timed = options.claims.iter().any(|claim| claim.is_timed);
    let [quick, full] = NOISE_SECONDS;
    let noise_seconds = if is_timed { effort.pick(quick, full) } else { 0.0 };
    let seconds = |claim: &Claim| effort.pick(claim.seconds[0], claim.seconds[1]);
    let mut progress = Progress::new(noise_seconds + options.claims.iter().map(|claim| seconds(claim)).sum::<f64>());

    let begin = Instant::now();
    let mut report = Report::new(proc::Machine::this(), effort);
    cores::pin(&conditions.cores.load);
    report.is_pinned = conditions.cores.is_divided();
    report.descriptors = conditions.limits.soft;
    if is_timed {
        progress.part("noise: event-loop against itself", noise_seconds);
        match measure_noise(&mut Lab::new(conditions, vec![Model::EventLoop], &mut progress)) {
            Err(_) if interrupt::is_asked() => {}
            noise => report.noise = Some(noise?),
        }
    }
    for claim in &options.claims {
        if interrupt::is_asked() {
            break;
        }
        progress.part(&format!("{} {}", claim.id, claim.sentence), seconds(claim));
        let entry = measure(claim, conditions, report.noise, &mut progress);
        // What was being measured when the interrupt came is incomplete, and is not reported.
        if !interrupt::is_asked() {
            report.entries.push(entry);
        }
    }
    progress.finish();
    report.is_interrupted = interrupt::is_asked();
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// What the command line and the machine allow.
///
/// # Errors
/// If something is missing that the run needs. The error says what to type.
pub(crate) fn conditions(options: &Options) -> Result<Conditions> {
    let limits = proc::descriptor_limits();
    let models = options.claims.iter().map(|claim| claim.models(&options.models).len()).max().unwrap_or(0);
    check_descriptors(limits, models * DESCRIPTORS_PER_MODEL)?;
    let binary = std::env::current_exe()?;
    let poll_binary = match &options.poll_binary {
        Some(path) if !path.is_file() => return Err(format!("--poll-binary: {} is not a file", path.display()).into()),
        Some(path) => Some(path.clone()),
        None => Some(POLL_BINARY.into()).filter(|path: &std::path::PathBuf| path.is_file()),
    };
    if options.models.contains(&Model::Poll) && poll_binary.is_none() {
        return Err(format!("the model `poll` needs a build of its own, which is not there. Make it with:\n  {POLL_COMMAND}").into());
    }
    Ok(Conditions {
        effort: options.effort,
        chosen: options.models.clone(),
        binary,
        poll_binary,
        foreign: options.server,
        log: options.log.clone(),
        count: options.count,
        defect: options.defect,
        cores: Cores::divide(cores::available()),
        limits,
    })
}

fn check_descriptors(limits: DescriptorLimits, least: usize) -> Result<()> {
    if limits.soft >= least {
        return Ok(());
    }
    let advice = if limits.hard >= least {
        format!("type `ulimit -n {}` first", limits.hard.min(DESCRIPTORS_FULL))
    } else {
        format!("the hard limit is {}, so an administrator must raise it; or measure fewer models with --models", limits.hard)
    };
    Err(format!("a process may have only {} descriptors here, and this run needs {least}: {advice}", limits.soft).into())
}

fn measure(claim: &Claim, conditions: &Conditions, noise: Option<Noise>, progress: &mut Progress) -> Entry {
    let mut models = claim.models(&conditions.chosen);
    let mut note = None;
    if models.contains(&Model::Poll) && conditions.poll_binary.is_none() {
        models.retain(|model| *model != Model::Poll);
        note = Some(format!("The model `poll` needs a build of its own: `{POLL_COMMAND}`."));
    }
    let (begin, others_before) = (Instant::now(), others_cpu_seconds());
    let measured = (claim.measure)(&mut Lab::new(conditions, models, progress));
    let seconds = begin.elapsed().as_secs_f64();
    // The system and a process count their time in different ways: the difference may be slightly
    // negative.
    let others_busy = others_cpu_seconds().zip(others_before).map(|(after, before)| ((after - before) / seconds).max(0.0));
    let (mut findings, error) = match measured {
        Ok(findings) => (findings, None),
        Err(error) => (Findings::default(), Some(error.to_string())),
    };
    findings.notes.extend(note);
    if let Some(error) = error {
        findings.obstacles.push(format!("The measurement failed: {error}."));
    }
    if claim.is_timed {
        if cfg!(debug_assertions) {
            findings.obstacles.push("This is a debug build, whose times mean nothing.".to_owned());
        }
        if let Some(busy) = others_busy.filter(|busy| *busy >= OTHERS_BUSY) {
            findings.obstacles.push(format!("Other programs kept {busy:.1} processors busy meanwhile."));
        }
    }
    let ruling = rule(claim, &findings, noise);
    Entry { others_busy, seconds, ..Entry::new(claim, findings, ruling) }
}

/// The claim's own rule, unless an obstacle was in the way.
fn rule(claim: &Claim, findings: &Findings, noise: Option<Noise>) -> Ruling {
    let Some(noise) = noise.or((!claim.is_timed).then_some(Noise { rate: 1.0, cpu: 1.0, latency: 1.0 })) else {
        return Ruling::missing("the noise");
    };
    let mut ruling = (claim.judge)(findings, &noise);
    if !findings.obstacles.is_empty() {
        let figures = if findings.series.is_empty() { String::new() } else { format!(" {}", ruling.because) };
        ruling.verdict = Verdict::NotShown;
        ruling.because = format!("{}{figures}", findings.obstacles.join(" "));
    }
    ruling
}

/// The processor time of the whole system, without this process and its servers. All servers must
/// have ended.
fn others_cpu_seconds() -> Option<f64> {
    Some(proc::system_cpu_seconds()? - proc::family_cpu_seconds()?)
}

/// Measures two servers of the same model, which should not differ.
fn measure_noise(lab: &mut Lab<'_>) -> Result<Noise> {
    let servers = [lab.start(Model::EventLoop)?, lab.start(Model::EventLoop)?];
    let (warm_up, time) = (lab.effort().warm_up(), lab.effort().round_time());
    let mut subjects = Vec::new();
    for server in &servers {
        subjects.push((server, Load::connect(Exchange::Requests, server.address, NOISE_CONNECTIONS)?));
    }
    let rounds = lab.in_turn(lab.effort().rounds(), &mut subjects, |lab, (server, load), round| {
        lab.step(&format!("round {}", round + 1))?;
        load.round(server, warm_up, time)
    })?;
    let noise = |figure: fn(&Round) -> f64| {
        let [a, b] = [0, 1].map(|at: usize| rounds[at].iter().map(figure).collect::<Vec<_>>());
        // The system may not tell a figure. The claims will miss it, too.
        Ratio::of(&a, &b).map_or(1.0, |ratio| ratio.high.max(1.0 / ratio.low))
    };
    Ok(Noise { rate: noise(|round| round.per_second), cpu: noise(|round| round.server_cpu_us), latency: noise(|round| round.p50_us) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::CLAIMS;

    #[test]
    fn too_few_descriptors_are_refused_with_advice() {
        let told = |soft, hard| check_descriptors(DescriptorLimits { soft, hard }, 1_024).err().map(|error| error.to_string());
        assert_eq!(told(1_024, 1_024), None);
        assert!(told(1_023, 1_048_576).is_some_and(|told| told.ends_with("this run needs 1024: type `ulimit -n 20000` first")));
        assert!(told(256, 4_096).is_some_and(|told| told.ends_with("type `ulimit -n 4096` first")));
        assert!(told(256, 512).is_some_and(|told| told.contains("the hard limit is 512")));
    }

    #[test]
    fn an_obstacle_hides_a_verdict_and_not_its_figures() {
        let claim = CLAIMS[0];
        let mut findings = Findings::default();
        findings.obstacles.push("Other programs kept 1.0 processors busy meanwhile.".to_owned());
        let ruling = rule(claim, &findings, Some(Noise::NONE));
        assert_eq!((ruling.verdict, &*ruling.because), (Verdict::NotShown, "Other programs kept 1.0 processors busy meanwhile."));
    }
}
