//! The command line.
//!
//! Owns the options and the help. Leaves reading options and values to `common/arguments.rs`. The
//! defaults are the same on every machine.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use pushlab::push::SharedLog;

use crate::arguments::Arguments;
use crate::claims::{CLAIMS, Claim};
use crate::lab::Effort;
use crate::lab::model::Model;
use crate::server::{Defect, Setup};

pub(crate) const HELP: &str = "\
Tests what textbooks say about server push, and about blocking and non-blocking IO, on this
machine. Each claim has a source, and a rule that was written before the run. The verdict is
`holds`, `does not hold`, or `not shown`.

Usage: compare [OPTIONS]

  --quick              all claims in less than 90 s, with rough figures (default)
  --full               all claims in about 15 min
  --claims C5,C6       only these claims
  --models A,B         the IO models to measure, beside those that a claim needs: event-loop,
                       threads, pool, loops, workers, poll   [event-loop,threads]
  --out FILE           the page to write   [target/compare.html]
  --json FILE          also write all figures to FILE
  --charts DIR         also write each chart to a file of its own in DIR, as c5.svg
  --count              also count instructions (valgrind) and system calls (strace), if installed
  --poll-binary FILE   a build of this program over poll(2), for the model `poll`
  --server HOST:PORT   also measure a server that is not pushlab's
  --log ADDRESS        the broker that servers share in C24, such as RabbitMQ:
                       stomp+stream://USER:PASSWORD@HOST:PORT; the lab makes new streams there
                       [a small broker of the lab's own]
  --defect NAME        break the model event-loop on purpose, to see the claims notice: `sleeps` for
                       1 ms in each handler, or `loses` every tenth published message
  --merge A.json B.json
                       show the figures of several machines side by side, without a run; the
                       files are of --json, and the page goes to --out
  --techniques A.json  print a table of all techniques, in Markdown, with the figures of a file that
                       --json of a full run has written
  --list               print all claims
  --explain C8         print how a claim is measured and judged, without a run
  --help               print this text
  --version            print the name and the version

Without --release the figures mean nothing. Ctrl-C keeps the finished claims and ends with exit
code 130; a second Ctrl-C ends at once.";

/// Where the page goes if the command line does not say.
pub(crate) const OUT: &str = "target/compare.html";

/// What the command line asks for.
pub(crate) enum Command {
    Compare(Options),
    /// Run as the measured server. The help does not list it: this program starts that process
    /// itself.
    Serve(Setup),
    /// Run as the broker of servers that share a log. As above.
    ServeBroker(PathBuf),
    Merge(Merge),
    /// Print the table of techniques of this file.
    Techniques(PathBuf),
    List,
    Explain(&'static Claim),
    Help,
    Version,
}

/// The figures of several machines, to show side by side.
pub(crate) struct Merge {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) out: PathBuf,
    /// Where the charts of the first file go.
    pub(crate) charts: Option<PathBuf>,
}

/// What to measure, and where to write it.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) effort: Effort,
    pub(crate) claims: Vec<&'static Claim>,
    pub(crate) models: Vec<Model>,
    pub(crate) out: PathBuf,
    pub(crate) json: Option<PathBuf>,
    pub(crate) charts: Option<PathBuf>,
    pub(crate) count: bool,
    pub(crate) defect: Defect,
    pub(crate) poll_binary: Option<PathBuf>,
    pub(crate) server: Option<SocketAddr>,
    pub(crate) log: Option<String>,
}

/// The error is a sentence for the person at the terminal.
pub(crate) fn parse(mut arguments: Arguments) -> Result<Command, String> {
    let mut options = Options {
        effort: Effort::Quick,
        claims: CLAIMS.to_vec(),
        models: vec![Model::EventLoop, Model::Threads],
        out: PathBuf::from(OUT),
        json: None,
        charts: None,
        count: false,
        defect: Defect::None,
        poll_binary: None,
        server: None,
        log: None,
    };
    let mut merged = Vec::new();
    while let Some(flag) = arguments.next_flag()? {
        match &*flag {
            "--quick" => options.effort = Effort::Quick,
            "--full" => options.effort = Effort::Full,
            "--claims" => options.claims = arguments.value::<Claims>("names from --list, as in C5,C6")?.0,
            "--models" => options.models = arguments.value::<Models>(MODELS)?.0,
            "--out" => options.out = arguments.value("a file")?,
            "--json" => options.json = Some(arguments.value("a file")?),
            "--charts" => options.charts = Some(arguments.value("a directory")?),
            "--count" => options.count = true,
            "--defect" => options.defect = arguments.value("sleeps or loses")?,
            "--poll-binary" => options.poll_binary = Some(arguments.value("a file")?),
            "--server" => options.server = Some(arguments.value::<Address>("HOST:PORT or http://HOST:PORT, which must exist")?.0),
            "--log" => options.log = Some(arguments.value::<Log>("stomp+stream://USER:PASSWORD@HOST:PORT")?.0),
            "--merge" => merged = arguments.values("two or more JSON files")?,
            "--techniques" => return Ok(Command::Techniques(arguments.value("a JSON file")?)),
            "--list" => return Ok(Command::List),
            "--explain" => return Ok(Command::Explain(arguments.value::<OneClaim>("a name from --list, as in C8")?.0)),
            "--help" => return Ok(Command::Help),
            "--version" => return Ok(Command::Version),
            "--serve" => {
                let settings: String = arguments.value("settings")?;
                let settings: Vec<String> = settings.lines().map(str::to_owned).collect();
                return Ok(Command::Serve(Setup::parse(&settings)?));
            }
            "--serve-broker" => return Ok(Command::ServeBroker(arguments.value("a directory")?)),
            _ => return Err(arguments.unknown()),
        }
    }
    if !merged.is_empty() {
        return Ok(Command::Merge(Merge { files: merged, out: options.out, charts: options.charts }));
    }
    if options.json.as_ref() == Some(&options.out) {
        return Err(format!("--json and --out name the same file, {}", options.out.display()));
    }
    if options.server.is_some() {
        options.models.push(Model::Foreign);
    }
    Ok(Command::Compare(options))
}

const MODELS: &str = "names of models, as in event-loop,threads,pool,loops,workers,poll";

struct Models(Vec<Model>);

impl FromStr for Models {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut models = text.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<Model>, ()>>()?;
        models.sort_unstable();
        models.dedup();
        Ok(Self(models))
    }
}

struct OneClaim(&'static Claim);

impl FromStr for OneClaim {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        CLAIMS.iter().find(|claim| claim.id.eq_ignore_ascii_case(text.trim())).map(|claim| Self(claim)).ok_or(())
    }
}

struct Claims(Vec<&'static Claim>);

impl FromStr for Claims {
    type Err = ();

    /// The claims come in the order of the report, each one once.
    fn from_str(text: &str) -> Result<Self, ()> {
        let wanted = text.split(',').map(|id| id.parse().map(|OneClaim(claim)| claim.id)).collect::<Result<Vec<_>, ()>>()?;
        Ok(Self(CLAIMS.iter().copied().filter(|claim| wanted.contains(&claim.id)).collect()))
    }
}

/// The address of a stream without the stream's name.
struct Log(String);

impl FromStr for Log {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let base = text.trim_end_matches('/');
        let is_stream = base.starts_with("stomp+stream://") && format!("{base}/compare").parse::<SharedLog>().is_ok();
        if is_stream { Ok(Self(base.to_owned())) } else { Err(()) }
    }
}

struct Address(SocketAddr);

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).map(Self).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn options(words: &[&str]) -> Result<Options, String> {
        match parse(Arguments::new(["compare"].iter().chain(words).map(OsString::from)))? {
            Command::Compare(options) => Ok(options),
            _ => Err("no run".to_owned()),
        }
    }

    #[test]
    fn claims_and_models_are_sorted_and_single() {
        let options = options(&["--claims", "c15,C8,C15", "--models", "threads,pool,threads"]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(options.claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), ["C8", "C15"]);
        assert_eq!(options.models, [Model::Threads, Model::Pool]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |words: &[&str]| options(words).err().unwrap_or_default();
        assert_eq!(told(&["--claims", "C5,C99"]), "--claims `C5,C99` is not understood; expected names from --list, as in C5,C6");
        assert_eq!(told(&["--models", "epoll"]), format!("--models `epoll` is not understood; expected {MODELS}"));
        assert_eq!(told(&["--fast"]), "`--fast` is not an option");
        assert_eq!(told(&["--merge"]), "--merge needs a value: two or more JSON files");
        assert_eq!(told(&["--json", "a", "--out", "a"]), "--json and --out name the same file, a");
        let of_log = "stomp+stream://USER:PASSWORD@HOST:PORT";
        for wrong in ["stomp://host:1", "host:1", "stomp+stream://", "stomp+stream://host:1/name/x"] {
            assert_eq!(told(&["--log", wrong]), format!("--log `{wrong}` is not understood; expected {of_log}"));
        }
        assert!(told(&["--server", "nowhere"]).starts_with("--server `nowhere` is not understood"));
    }
}
