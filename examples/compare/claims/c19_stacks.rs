//! C19: the memory of a thread.

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::crowd::{Crowd, Kind, Seen};
use crate::lab::model::Model;
use crate::lab::samples::{median, short, spread};
use crate::server::Setup;

const MEMORY: Quantity = Quantity { name: "memory per thread", unit: "KiB" };
const ADDRESSES: Quantity = Quantity { name: "address space per thread", unit: "KiB" };
const USER: Quantity = Quantity { name: "user memory per thread", unit: "KiB" };
const KERNEL_STACK: Quantity = Quantity { name: "kernel stack per thread", unit: "KiB" };
const PAGE_TABLES: Quantity = Quantity { name: "page tables per thread", unit: "KiB" };

const LIBRARY: &str = "stack of 256 KiB";
const RUST: &str = "stack of 2 MiB";
const C: &str = "stack of 8 MiB";
/// The sizes: pushlab's default, the one of Rust's standard library, and the usual `ulimit -s`, from
/// which the C library takes its default. The model `pool` always has Rust's.
const SETTINGS: [(Model, &str, usize); 4] =
    [(Model::Threads, LIBRARY, 256), (Model::Threads, RUST, 2_048), (Model::Threads, C, 8_192), (Model::Pool, RUST, 2_048)];
/// The held requests of the server that is subtracted. Their threads are enough to have all arenas of
/// the C library's allocator, each of which takes 64 MiB of addresses.
const BASE: usize = 50;
const KIB: f64 = 1_024.0;

pub(crate) const CLAIM: Claim = Claim {
    id: "C19",
    sentence: "A thread costs 8 MB of memory.",
    source: "Textbook sentence, from the default size of a stack: pthread_create(3) of Linux takes it from `ulimit -s`, which is usually 8 MB; Dan \
             Kegel, \"The C10K problem\", section \"Serve one client with each server thread\", computes the same way with 2 MB.",
    setup: "200 held requests (1,000 in a full run) on `threads`, where each has one thread, with three sizes of the stack; and on `pool` \
            with the standard library's size, where each has one thread.",
    measured: "The growth of the address space and of memory for each thread. Memory is what the process has written and shares with no \
               other one, its page tables, and the kernel's stack of the thread. The memory of the connection itself is in it, too.",
    rule: "It holds if a thread of `threads` with a stack of 8 MiB takes at least 4 MiB of memory in every round. It does not hold if it \
           takes less than 1 MiB in every round. Otherwise nothing is shown.",
    needs: &[Model::Threads, Model::Pool],
    takes: &[],
    is_timed: false,
    chart: Chart::bars(MEMORY, "").log(),
    explanation: "A stack is a range of addresses. A page of it becomes memory when the thread first writes to it, and a thread that waits has \
                  written to a few pages. 32-bit systems had few addresses, so that the size of the stack was the limit there. \
                  On `pool`, each connection also has a buffer and a queue of 1,000 places.",
    file: "src/driver/thread_per_conn/mod.rs",
    seconds: [4.0, 8.5],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let count = lab.effort().pick(200, 1_000).min(lab.connections_max().saturating_sub(2 * BASE + 2));
    for (x, (model, at, stack_kib)) in SETTINGS.into_iter().enumerate() {
        let mut rounds = Vec::new();
        for round in 0..lab.effort().pick(1, 3) {
            lab.step(&format!("{model}, {at}, round {}", round + 1))?;
            rounds.push(one_round(lab, model, stack_kib, count).map_err(|error| format!("the {model} server: {error}"))?);
        }
        for (quantity, part) in [ADDRESSES, USER, KERNEL_STACK, PAGE_TABLES, MEMORY].into_iter().zip(0..) {
            findings.add(quantity, model, at, x as f64, rounds.iter().map(|round| round[part]).collect());
        }
    }
    Ok(findings)
}

/// The growth per thread in KiB: addresses, user memory, kernel stack, page tables, and the sum of
/// the last three.
fn one_round(lab: &Lab<'_>, model: Model, stack_kib: usize, count: usize) -> Result<[f64; 5]> {
    // The threads of a pool start with it. So the base is another server, which has fewer of them.
    // One thread more counts what is held.
    let start = |held: usize| -> Result<_> {
        let server = lab.start_with(&Setup { stack_kib, threads: held + 1, ..lab.setup(model) })?;
        let mut crowd = Crowd::new(Kind::Held, server.address)?;
        crowd.grow(held)?;
        Ok((Seen::now(&server), server, crowd))
    };
    let (base, all) = (start(BASE)?, start(BASE + count)?);
    let cost = base.0.cost(&all.0, count, 0.0);
    let each = |bytes: f64| bytes / cost.threads / KIB;
    let [user, kernel_stack, page_tables] = [cost.user_bytes, cost.kernel_stack_bytes, cost.page_table_bytes].map(each);
    Ok([each(cost.address_space_bytes), user, kernel_stack, page_tables, user + kernel_stack + page_tables])
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    const MANY_KIB: f64 = 4.0 * 1_024.0;
    const FEW_KIB: f64 = 1_024.0;
    let rounds = findings.rounds(MEMORY, Model::Threads, C);
    if rounds.is_empty() || rounds.iter().any(|kib| !kib.is_finite()) {
        return Ruling::missing("the memory of a thread with a stack of 8 MiB");
    }
    let (low, high) = spread(rounds);
    let verdict = if low >= MANY_KIB {
        Verdict::Holds
    } else if high < FEW_KIB {
        Verdict::DoesNotHold
    } else {
        Verdict::NotShown
    };
    let addresses = findings.median(ADDRESSES, Model::Threads, C).unwrap_or(f64::NAN);
    let part = |quantity| findings.median(quantity, Model::Threads, C).map_or_else(|| "n/a".to_owned(), short);
    let memory = short(median(rounds));
    let because = format!(
        "With a stack of 8 MiB, a thread takes {} KiB of addresses and {memory} KiB of memory: {} KiB of user memory, {} KiB of kernel stack and {} \
         KiB of page tables.",
        short(addresses),
        part(USER),
        part(KERNEL_STACK),
        part(PAGE_TABLES)
    );
    Ruling::new(verdict, because).beside("pthread_create(3): 8,192 KiB of stack", format!("{memory} KiB of memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |memory: [f64; 2]| {
            let mut findings = Findings::default();
            findings.add(MEMORY, Model::Threads, C, 0.0, memory.to_vec());
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([4_096.0, 8_300.0]), Verdict::Holds);
        assert_eq!(verdict([4_095.0, 8_300.0]), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([1_024.0, 30.0]), Verdict::NotShown);
        assert_eq!(verdict([1_023.0, 30.0]), Verdict::DoesNotHold);
        assert_eq!(verdict([f64::NAN, 30.0]), Verdict::NotShown);
    }
}
