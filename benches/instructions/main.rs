//! Counts the user-space instructions of the server for one operation, and compares the counts with a
//! baseline: `cargo bench -p pushlab-instructions`.
//!
//! The server runs under valgrind's tool callgrind. A count does not depend on the load of the machine,
//! and repeats to less than 1 %, so a change of 3 % is a change of the code. It says nothing about the
//! kernel, which takes most of the time of a small request.
//!
//! | File | Owns |
//! |---|---|
//! | `rows` | what is counted, and the load of each row |
//! | `growth` | whether an operation costs more as the work around it grows |
//! | `client` | the client's connections, and the gate that makes a load independent of time |
//! | `server` | the server's process |
//! | `count` | valgrind |
//! | `baseline` | the checked-in counts, `baseline.json` |

mod baseline;
mod client;
mod count;
mod growth;
mod rows;
mod server;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use pushlab::IoModel;

use baseline::{Baseline, Tools, Verdict};
use rows::{Row, Running};

const HELP: &str = "\
Counts the user-space instructions of the server for one operation, by valgrind, and compares them
with benches/instructions/baseline.json. The exit code is 1 if a row has grown by 3 % or more.

Usage: cargo bench -p pushlab-instructions [-- OPTIONS] [WORDS]

  WORDS      only the rows whose name or IO model has one of these words
  --update   write the counts to the baseline
  --growth   compare each operation with itself: among few and among very many connections,
             subscribers, topics and messages. The exit code is 1 if it costs more than 1.5 times
             as much
  --test     do each load once, without valgrind and without a count
  --help     print this text";

/// Where valgrind's files stay. Each row has its own number.
const PROFILES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/instructions");

#[derive(Default)]
struct Options {
    words: Vec<String>,
    action: Action,
    help: bool,
    /// Run as the server. The help does not list it: this program starts that process itself.
    serve: Option<IoModel>,
}

/// What to do with the rows.
#[derive(Default, PartialEq, Eq)]
enum Action {
    #[default]
    Compare,
    Update,
    Rehearse,
    Growth,
}

impl Options {
    fn read() -> Result<Self, lexopt::Error> {
        use lexopt::ValueExt as _;
        use lexopt::prelude::{Long, Short, Value};
        let mut options = Self::default();
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("update") => options.action = Action::Update,
                Long("test") => options.action = Action::Rehearse,
                Long("growth") => options.action = Action::Growth,
                Long("help") | Short('h') => options.help = true,
                Long("serve") => options.serve = Some(arguments.value()?.parse()?),
                // `cargo bench` gives this option to each benchmark.
                Long("bench") => {}
                Value(word) => options.words.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match Options::read().map_err(Into::into).and_then(|options| run(&options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    if options.help {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(model) = options.serve {
        return server::run(model);
    }
    if options.action == Action::Growth {
        return growth::compare(Path::new(PROFILES));
    }
    let mut rows = rows::rows();
    if !options.words.is_empty() {
        rows.retain(|row| options.words.iter().any(|word| row.name.contains(word) || row.model.to_string() == *word));
    }
    if rows.is_empty() {
        return Err(format!("no row has one of the words {:?} in its name or its IO model", options.words).into());
    }
    if options.action == Action::Rehearse {
        for row in &rows {
            count::rehearse(row.model, |server| Running::start(row, server))
                .map_err(|error| format!("{}, {}: {error}", row.model, row.name))?;
            println!("{}, {}: ok", row.model, row.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    compare(options, &rows)
}

/// Counts all rows, prints the table, and compares.
fn compare(options: &Options, rows: &[Row]) -> Result<ExitCode, Box<dyn Error>> {
    let (here, baseline) = (Tools::here(count::valgrind()?), Baseline::read()?);
    let mut counts = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        let count = count::count(row.model, row.batches, |server| Running::start(row, server), number, Path::new(PROFILES))
            .map_err(|error| format!("{}, {}: {error}", row.model, row.name))?;
        counts.push((row.model, row.name, count));
    }
    println!("{}", table(&baseline, &here, &counts));
    if options.action == Action::Update {
        baseline.update(&here, &counts, options.words.is_empty())?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(judge(&baseline, &here, &counts))
}

fn table(baseline: &Baseline, here: &Tools, counts: &[(IoModel, &str, f64)]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["Row", "Operation", "IO model", "Instructions", "Baseline", "Change", ""]);
    for (number, &(model, name, count)) in counts.iter().enumerate() {
        let before = baseline.count(model, name).map_or("none".to_owned(), |before| format!("{before:.0}"));
        let (change, remark) = match baseline.verdict(here, model, name, count) {
            Verdict::New => (String::new(), "new"),
            Verdict::Within(change) => (percent(change), ""),
            Verdict::Grown(change) => (percent(change), "GROWN"),
            Verdict::Shrunk(change) => (percent(change), "shrunk"),
        };
        table.add_row([&number.to_string(), name, &model.to_string(), &format!("{count:.0}"), &before, &change, remark]);
    }
    for column in [0, 3, 4, 5] {
        table.column_mut(column).expect("the header has it").set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn percent(change: f64) -> String {
    format!("{:+.1} %", change * 100.0)
}

fn judge(baseline: &Baseline, here: &Tools, counts: &[(IoModel, &str, f64)]) -> ExitCode {
    let bound = baseline.growth_max(here) * 100.0;
    let differences = baseline.differences(here);
    if !differences.is_empty() {
        // `.ci/run` repeats the lines that begin with this word at its end.
        println!("skipped: the bound of 3 % for the instructions of an operation: the baseline comes from other tools");
        for difference in &differences {
            println!("  {difference}");
        }
        println!(
            "Until the baseline is updated, the bound is {bound:.0} %. To update it, run `cargo bench -p pushlab-instructions -- --update` \
             without any change of the code, and commit benches/instructions/baseline.json."
        );
    }
    let verdicts = || counts.iter().map(|&(model, name, count)| baseline.verdict(here, model, name, count)).enumerate();
    let shrunk = verdicts().filter(|(_, verdict)| matches!(verdict, Verdict::Shrunk(_))).count();
    if shrunk > 0 {
        println!("{shrunk} rows have shrunk by {bound:.0} % or more. `-- --update` keeps the gain.");
    }
    let mut code = ExitCode::SUCCESS;
    for (number, verdict) in verdicts() {
        let complaint = match verdict {
            Verdict::Grown(change) => format!("has grown by {:.1} %, and the bound is {bound:.0} %", change * 100.0),
            Verdict::New => "is not in the baseline: run it with `-- --update`".to_owned(),
            Verdict::Within(_) | Verdict::Shrunk(_) => continue,
        };
        let (model, name, _) = counts[number];
        eprintln!("row {number}, {model}, {name}: {complaint}");
        eprintln!("  by function: callgrind_annotate {}", count::profile(number, Path::new(PROFILES)).display());
        code = ExitCode::from(1);
    }
    code
}
