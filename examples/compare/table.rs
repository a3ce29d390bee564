//! The figures as a table for people.
//!
//! Owns the table, the explanation of each kind of figure, and the notes. Leaves the figures to
//! `report`. The text has no colours, so that it is the same in a file.

use std::fmt::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use pushlab::IoModel;

use crate::idle::{self, CUSHION, DESCRIPTORS_RESERVED};
use crate::load::{self, Measured};
use crate::report::Report;

/// From this share of a processor on, the load generator itself may limit the throughput.
const BUSY: f64 = 0.9;

/// From this number of busy processors on, the notes warn of other programs.
const OTHERS_BUSY: f64 = 0.1;

/// The meaning and the source of each figure.
const EXPLANATIONS: &str = "\
ratio                 threads divided by event-loop
threads               threads of the server process (/proc/PID/stat), without the one that reads its standard input
user memory           growth of the server's Private_Dirty (/proc/PID/smaps_rollup) for each connection: the heap and the
                      stacks that it has written, not the program's text, not untouched address space. It includes the
                      pusher in the application's list. Up to 200 more connections than the row says are open, so that
                      the figure is an average over at least 200.
kernel memory         growth of Slab + KernelStack + PageTables of the whole system (/proc/meminfo) for each connection,
                      minus the client's end; n/a if the system's memory changes too much by itself: close other
                      programs, or measure more connections
requests/s, echoes/s  each connection has one in flight, and sends the next when the answer is complete; one client thread
                      serves all connections
latency               from before the send to after the receive, measured by the client, including the client's own queue
server CPU            user and system time of the server process (/proc/PID/stat) for each operation, including its side of
                      the network stack
context switches      of all threads of the server (/proc/PID/task/*/status) for each operation
client CPU            the share of one processor that the load generator used. From 90 % on (marked *) the client may limit
                      the throughput; then compare the server CPU.
";

pub(crate) fn text(report: &Report) -> String {
    let mut table = Table::new();
    let [first, second] = IoModel::ALL.map(|model| model.to_string());
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(["", "", &first, &second, "ratio"]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for group in &report.idle.groups {
        add_rows(&mut table, &format!("{} idle: {}", grouped(group.asked as f64), group.kind), &idle_rows(group));
    }
    for load in &report.load.points {
        let Measured { point, models } = load;
        add_rows(&mut table, &format!("{}, {} connections", point.name, point.connections), &load_rows(point.unit, models));
    }
    let mut text = format!("{table}\n\n{EXPLANATIONS}");
    add_notes(&mut text, report);
    text
}

/// A name, both models' values, and how to write one.
type Row = (String, [Option<f64>; 2], fn(f64) -> String);

/// Adds one scenario as one row with a line for each figure, so that the table's rules separate the
/// scenarios.
fn add_rows(table: &mut Table, scenario: &str, rows: &[Row]) {
    let column = |cell: &dyn Fn(&Row) -> String| rows.iter().map(cell).collect::<Vec<_>>().join("\n");
    let value = |value: Option<f64>, write: fn(f64) -> String| value.map_or_else(|| "n/a".to_owned(), write);
    table.add_row([
        scenario.to_owned(),
        column(&|(name, ..)| name.clone()),
        column(&|(_, values, write)| value(values[0], *write)),
        column(&|(_, values, write)| value(values[1], *write)),
        column(&|(_, values, _)| ratio(*values)),
    ]);
}

fn idle_rows(group: &idle::Group) -> Vec<Row> {
    let both = |figure: fn(&idle::Figures) -> Option<f64>| [0, 1].map(|at: usize| group.models[at].as_ref().and_then(figure));
    let reached = both(|figures| Some(figures.connections as f64));
    let mut rows: Vec<Row> = Vec::new();
    if reached != [Some(group.asked as f64); 2] {
        rows.push(("connections reached".to_owned(), reached, grouped));
    }
    if reached == [None; 2] {
        return rows;
    }
    rows.push(("threads".to_owned(), both(|figures| figures.threads.map(|threads| threads as f64)), grouped));
    rows.push(("user memory".to_owned(), both(|figures| figures.user_bytes), bytes));
    rows.push(("kernel memory".to_owned(), both(|figures| figures.kernel_bytes), bytes));
    rows
}

fn load_rows(unit: &str, models: &[load::Figures; 2]) -> Vec<Row> {
    let both = |figure: fn(&load::Figures) -> Option<f64>| [figure(&models[0]), figure(&models[1])];
    vec![
        (format!("{unit}/s"), both(|figures| Some(figures.per_second)), grouped),
        ("latency p50".to_owned(), both(|figures| Some(figures.p50_us)), micros),
        ("latency p99".to_owned(), both(|figures| Some(figures.p99_us)), micros),
        ("latency p99.9".to_owned(), both(|figures| Some(figures.p999_us)), micros),
        ("server CPU".to_owned(), both(|figures| figures.server_cpu_us), micros),
        ("context switches".to_owned(), both(|figures| figures.context_switches), |number| format!("{number:.2}")),
        ("client CPU".to_owned(), both(|figures| figures.client_busy), |share| {
            format!("{}{:.0} %", if share >= BUSY { "* " } else { "" }, share * 100.0)
        }),
    ]
}

fn add_notes(text: &mut String, report: &Report) {
    let mut note = |line: String| writeln!(text, "{line}").expect("a string takes all text");
    let (machine, limits, settings) = (&report.machine, report.limits, &report.settings);
    note(String::new());
    if report.is_interrupted {
        note("Interrupted: unfinished figures are missing or n/a.".to_owned());
    }
    note(format!("Measured on {}, {} processors, {}, over the loopback interface.", machine.cpu, machine.cores, machine.system));
    note(format!(
        "Load: {} s for each point and model, in {} alternating rounds; medians of throughput and latency, sums of costs; {} s of warm-up before each.",
        settings.seconds,
        settings.rounds,
        settings.warm_up.as_secs_f64()
    ));
    note(report.idle.end_bytes.map_or_else(
        || "Kernel memory: the client's end could not be measured, because the system's memory changes too much by itself.".to_owned(),
        |end_bytes| format!("Kernel memory of a bare socket, subtracted for the client's end: {}.", bytes(end_bytes)),
    ));
    if cfg!(debug_assertions) {
        note("This is a debug build: its figures mean nothing. Add --release.".to_owned());
    }
    if let Some(busy) = report.load.others_busy.filter(|busy| *busy >= OTHERS_BUSY) {
        note(format!("Other programs kept {busy:.1} processors busy during the load: close them and measure again."));
    }
    let for_idle = report.settings.idle.last().map_or(0, |most| most + DESCRIPTORS_RESERVED + CUSHION);
    let wanted = for_idle.max(load::DESCRIPTORS);
    if wanted > limits.soft {
        let way = if wanted <= limits.hard { "run" } else { "raise the hard limit (as an administrator), then run" };
        note(format!(
            "A process may have only {} descriptors, and this run needs {wanted}: first {way} `ulimit -n {wanted}`.",
            limits.soft
        ));
    }
    for line in &report.idle.notes {
        note(line.clone());
    }
}

fn ratio([first, second]: [Option<f64>; 2]) -> String {
    match (first, second) {
        (Some(first), Some(second)) if first > 0.0 => match second / first {
            ratio if ratio >= 100.0 => grouped(ratio),
            ratio if ratio >= 10.0 => format!("{ratio:.1}"),
            ratio => format!("{ratio:.2}"),
        },
        _ => "n/a".to_owned(),
    }
}

/// A whole number with commas between the thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(number: f64) -> String {
    if number < 1024.0 { format!("{number:.0} B") } else { format!("{:.1} KiB", number / 1024.0) }
}

fn micros(number: f64) -> String {
    if number < 100.0 { format!("{number:.1} µs") } else { format!("{} µs", grouped(number)) }
}
