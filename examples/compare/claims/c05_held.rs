//! C5: what a held request costs its server.

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::crowd::{self, Cost, Crowd, Kind, Seen};
use crate::lab::model::Model;
use crate::lab::samples::{grouped, short};
use crate::lab::{Lab, proc};

const THREADS: Quantity = Quantity { name: "threads per held request", unit: "" };
const USER: Quantity = Quantity { name: "user memory per held request", unit: "KiB" };
const KERNEL: Quantity = Quantity { name: "kernel memory per held request", unit: "KiB" };
const SWITCHES: Quantity = Quantity { name: "context switches to take and hold a request", unit: "" };
const CPU: Quantity = Quantity { name: "server CPU to take and hold a request", unit: "µs" };
/// How many of the wanted requests the server held.
const HELD: Quantity = Quantity { name: "held requests", unit: "" };

/// The numbers of held requests. A full run adds the largest number that the descriptors allow.
const QUICK: &[usize] = &[100, 1_000];
const FULL: &[usize] = &[100, 1_000, 5_000, 10_000];
/// "C10K": the number that Kegel's page is about.
const MANY: f64 = 10_000.0;
/// The requests that are held before counting begins. They use up the free memory that the kernel
/// and the allocator still have, and that the first counted requests would get without any growth.
const CUSHION: usize = 50;

pub(crate) const CLAIM: Claim = Claim {
    id: "C5",
    sentence: "A held request ties up its thread, so a thread per connection does not scale; non-blocking IO does.",
    source: "JSR 315, \"Java Servlet 3.0 Specification\" (2009), section 2.3.3.3: waiting within the servlet is \"a blocking operation that \
             consumes a thread\"; Dan Kegel, \"The C10K problem\" (since 1999).",
    setup: "Clients send requests that the server holds, without an answer: 100 and 1,000 of them, and in a full run also 5,000, 10,000, \
            and as many as the limits of the system allow. An eighth of the system's threads is left to other programs.",
    measured: "Threads, user memory, kernel memory, context switches and server CPU for each held request; and how many requests each model \
               holds.",
    rule: "It holds if a held request has at least 0.9 threads on `threads` and at most 0.1 on `event-loop`, and if `threads` holds at most \
           half as many requests as `event-loop`. It does not hold if a held request has less than 0.5 threads on `threads` or more than \
           0.5 on `event-loop`, or if `threads` holds at least 10,000 requests. Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads, Model::Pool],
    takes: &[Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::lines(THREADS, "held requests"),
    explanation: "With a thread per connection, the connection's thread waits for the answer. It sleeps, so it costs memory and no time. The \
                  event loop keeps a few hundred bytes. A bounded pool has its threads from the start, and holds as many requests as it \
                  has threads.",
    file: "src/driver/thread_per_conn/mod.rs",
    seconds: [4.5, 15.0],
    measure,
    judge,
};

fn name(count: usize) -> String {
    format!("{} held", grouped(count as f64))
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let descriptors = lab.connections_max().saturating_sub(1);
    let mut counts = lab.effort().pick(QUICK, FULL).to_vec();
    if lab.effort() == crate::lab::Effort::Full {
        counts.push(descriptors.max(FULL[FULL.len() - 1]));
    }
    lab.step("bare connections, for the kernel's memory")?;
    let client_bytes = crowd::client_bytes();
    for model in lab.models() {
        measure_model(lab, model, &counts, descriptors, client_bytes, &mut findings)?;
    }
    Ok(findings)
}

/// Opens more and more requests on one server, until it takes no more.
fn measure_model(
    lab: &mut Lab<'_>,
    model: Model,
    counts: &[usize],
    descriptors: usize,
    client_bytes: f64,
    findings: &mut Findings,
) -> Result<()> {
    let mut server = lab.start(model)?;
    let mut crowd = Crowd::new(Kind::Held, server.address)?;
    crowd.grow(CUSHION)?;
    let base = Seen::now(&server);
    // Read before this model's own threads count.
    let (threads, limit) = proc::threads_max();
    let most = match model {
        Model::Threads => descriptors.min(threads),
        _ => descriptors,
    };
    for &count in counts {
        lab.step(&format!("{}, {model}", name(count)))?;
        let grown = crowd.grow(count.min(most));
        lab.step("")?;
        server.check()?;
        findings.add(HELD, model, &name(count), count as f64, vec![crowd.len() as f64]);
        add(findings, model, crowd.len(), &base.cost(&Seen::now(&server), crowd.len() - CUSHION, client_bytes));
        if grown.is_err() || count > most {
            break;
        }
    }
    let asked = counts[counts.len() - 1];
    let end = if crowd.len() < asked.min(most) {
        "it takes no more".to_owned()
    } else if asked < most {
        "no more were asked for".to_owned()
    } else if most < descriptors {
        format!("{limit} allows no more threads")
    } else {
        "`ulimit -n` allows no more descriptors".to_owned()
    };
    findings.notes.push(format!("`{model}` holds {} requests: {end}.", grouped(crowd.len() as f64)));
    Ok(())
}

fn add(findings: &mut Findings, model: Model, count: usize, cost: &Cost) {
    let figures = [
        (THREADS, cost.threads),
        (USER, cost.user_bytes / 1024.0),
        (KERNEL, cost.kernel_bytes / 1024.0),
        (SWITCHES, cost.switches),
        (CPU, cost.cpu_us),
    ];
    for (quantity, figure) in figures {
        findings.add(quantity, model, &name(count), count as f64, vec![figure]);
    }
}

/// The last figure of a model, which is that of its largest number of held requests.
fn last(findings: &Findings, quantity: Quantity, model: Model) -> Option<f64> {
    let series = findings.series.iter().find(|series| series.quantity == quantity.name && series.column == model.name())?;
    series.points.last()?.rounds.first().copied().filter(|figure| figure.is_finite())
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let of = |quantity| last(findings, quantity, Model::EventLoop).zip(last(findings, quantity, Model::Threads));
    let (Some((loop_threads, threads)), Some((on_loop, on_threads))) = (of(THREADS), of(HELD)) else {
        return Ruling::missing("the threads of `event-loop` and `threads`");
    };
    let verdict = if threads < 0.5 || loop_threads > 0.5 || on_threads >= MANY {
        Verdict::DoesNotHold
    } else if threads >= 0.9 && loop_threads <= 0.1 && on_threads * 2.0 <= on_loop {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let memory = |model| last(findings, USER, model).map_or_else(|| "n/a".to_owned(), short);
    let pool = last(findings, HELD, Model::Pool).map_or_else(String::new, |held| format!(", and `pool` {}", grouped(held)));
    let because = format!(
        "A held request has {} threads and {} KiB on `threads`, and {} threads and {} KiB on `event-loop`. `event-loop` holds {} requests, `threads` \
         {}{pool}.",
        short(threads),
        memory(Model::Threads),
        short(loop_threads),
        memory(Model::EventLoop),
        grouped(on_loop),
        grouped(on_threads),
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |threads: [f64; 2], held: [f64; 2]| {
            let mut findings = Findings::default();
            for (at, model) in [Model::EventLoop, Model::Threads].into_iter().enumerate() {
                findings.add(THREADS, model, "first", 0.0, vec![0.7]);
                findings.add(THREADS, model, "last", 1.0, vec![threads[at]]);
                findings.add(HELD, model, "last", 1.0, vec![held[at]]);
            }
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([0.0, 1.0], [19_000.0, 9_500.0]), Verdict::Holds);
        assert_eq!(verdict([0.0, 1.0], [19_000.0, 9_501.0]), Verdict::NotShown);
        assert_eq!(verdict([0.0, 1.0], [1_000.0, 1_000.0]), Verdict::NotShown, "1,000 are too few");
        assert_eq!(verdict([0.0, 1.0], [19_000.0, 10_000.0]), Verdict::DoesNotHold, "threads scale");
        assert_eq!(verdict([0.0, 0.0], [19_000.0, 100.0]), Verdict::DoesNotHold, "no thread is tied up");
        assert_eq!(verdict([2.0, 2.0], [19_000.0, 100.0]), Verdict::DoesNotHold, "the event loop ties up threads, too");
        assert_eq!(verdict([0.0, f64::NAN], [19_000.0, 100.0]), Verdict::NotShown);
    }
}
