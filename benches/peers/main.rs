//! Other servers beside pushlab, under the same load:
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`.
//!
//! Each server is a process of its own, which is pinned to one core, and the load to another. A figure
//! is the processor time of the server for one operation, in user space and in the system. So a server
//! that waits does not count as slow, and the load does not count at all. A figure depends on the
//! machine; its ratio to pushlab's event loop, in the same run, depends on it less.
//!
//! | File | Owns |
//! |---|---|
//! | `scenarios` | what is measured |
//! | `server/` | the peers |
//! | `client` | a connection's first answer, which is checked whole |
//! | `load` | the load, and the check of each answer's length |
//! | `measure` | the rounds, and the figures |
//! | `process` | the process of a server, the cores, and what the system tells |
//! | `table` | the table |

#[cfg(not(target_os = "linux"))]
compile_error!("This needs Linux: it pins processes to cores, and reads /proc.");

mod client;
mod load;
mod measure;
mod process;
mod scenarios;
mod server;
mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use process::Cores;
use scenarios::Scenario;
use server::Peer;

const HELP: &str = "\
Measures pushlab and other servers under the same load, and prints one table: the processor time of
the server for one operation in microseconds, the memory of an idle connection in bytes, and the
ratio to pushlab's event loop. It takes less than 4 minutes, and needs Linux. Nothing else should
run on the machine.

Usage: cargo run --release --manifest-path benches/peers/Cargo.toml [-- OPTIONS] [WORDS]

  WORDS    only the rows whose name has one of these words
  --test   do each row once with each peer, without measuring
  --help   print this text";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    words: Vec<String>,
    test: bool,
    help: bool,
    /// Run as this peer, on this core. The help does not list them: this program starts these processes.
    serve: Option<Peer>,
    core: Option<usize>,
}

impl Options {
    fn read(mut arguments: lexopt::Parser) -> Result<Self, lexopt::Error> {
        use lexopt::ValueExt as _;
        use lexopt::prelude::{Long, Short, Value};
        let mut options = Self::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("test") => options.test = true,
                Long("help") | Short('h') => options.help = true,
                Long("serve") => options.serve = Some(arguments.value()?.parse()?),
                Long("core") => options.core = Some(arguments.value()?.parse()?),
                Value(word) => options.words.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match Options::read(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("peers: {error}; `--help` lists the options");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    if options.help {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(peer) = options.serve {
        options.core.map_or(Ok(()), process::pin)?;
        peer.serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut scenarios = scenarios::scenarios(options.test);
    if !options.words.is_empty() {
        scenarios.retain(|scenario| options.words.iter().any(|word| scenario.name.contains(word)));
    }
    if scenarios.is_empty() {
        eprintln!("peers: no row has one of the words {:?} in its name", options.words);
        return Ok(ExitCode::from(2));
    }
    if !options.test {
        process::allow_open_files(scenarios::OPEN_FILES)?;
    }
    let cores = Cores::divide()?;
    if let Some(cores) = cores {
        process::pin(cores.load)?;
    }
    let act = if options.test { rehearse } else { compare };
    act(&scenarios, cores)?;
    Ok(ExitCode::SUCCESS)
}

fn rehearse(scenarios: &[Scenario], cores: Option<Cores>) -> Result<(), Box<dyn Error>> {
    for scenario in scenarios {
        for peer in measure::rehearse(scenario, cores).map_err(|error| format!("{}: {error}", scenario.name))? {
            println!("{}, {peer}: ok", scenario.name);
        }
    }
    Ok(())
}

fn compare(scenarios: &[Scenario], cores: Option<Cores>) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::with_capacity(scenarios.len());
    for (number, scenario) in (1..).zip(scenarios) {
        eprintln!("{number} of {}: {}", scenarios.len(), scenario.name);
        let figures = measure::measure(scenario, cores).map_err(|error| format!("{}: {error}", scenario.name))?;
        rows.push((scenario, figures));
    }
    println!("{}\n", table::table(&rows));
    println!("µs: processor time of the server for one operation. In brackets: the ratio to pushlab's event loop.");
    if let Some(spread) = table::spread(&rows) {
        println!("{spread}");
    }
    println!("{}", versions(include_str!("Cargo.lock")));
    match cores {
        Some(Cores { server, load }) => println!("The servers ran on core {server}, and the load on core {load}."),
        None => println!("The servers and the load shared a core, because this process may use only one."),
    }
    Ok(())
}

/// The versions of the peers, as the lock file has them.
fn versions(lock: &str) -> String {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
        Some((value("name")?, value("version")?))
    });
    let is_peer = |name: &str| Peer::ALL.iter().any(|peer| peer.name() == name);
    // The file is sorted, so the newest version of a name comes last. axum has an older tokio-tungstenite.
    let versions: BTreeMap<_, _> = packages.filter(|(name, _)| is_peer(name)).collect();
    versions.into_iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Options, Peer, versions};

    fn read(arguments: &[&str]) -> Result<Options, String> {
        Options::read(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read() {
        let options = Options { words: vec!["echo".to_owned()], test: true, ..Options::default() };
        assert_eq!(read(&["--test", "echo"]), Ok(options));
        assert_eq!(read(&["--serve", "axum"]).map(|options| options.serve), Ok(Some(Peer::Axum)));
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(read(&["--tset"]), Err("invalid option '--tset'".to_owned()));
        let error = read(&["--serve", "nginx"]).expect_err("it is no peer");
        assert!(error.contains("no peer is called \"nginx\"; there are pushlab, pushlab-threads, tiny_http"), "{error}");
    }

    #[test]
    fn the_lock_file_has_the_version_of_each_peer() {
        let versions = versions(include_str!("Cargo.lock"));
        for peer in Peer::ALL.into_iter().filter(|peer| *peer != Peer::PushlabThreads) {
            assert!(versions.split(", ").any(|version| version.starts_with(&format!("{peer} "))), "{peer} in {versions}");
        }
    }
}
