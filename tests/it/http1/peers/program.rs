//! A reader in another process: a line with a connection's bytes in base64 goes in, a line of JSON with the requests comes out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Reader, Reading, Seen};

pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Its own words, with its version.
    pub name: String,
}

impl Program {
    /// Starts it by its command line, whose words have no spaces.
    pub fn start(command: &str) -> Self {
        let mut words = command.split(' ');
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut program = Self { child, input, output, name: String::new() };
        program.name = text(&program.line()["name"]);
        program
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line:?}", self.name))
    }
}

impl Reader for Program {
    fn read(&mut self, input: &[u8]) -> Reading {
        writeln!(self.input.as_mut().unwrap(), "{}", STANDARD.encode(input)).unwrap();
        let reading = self.line();
        let requests = reading["requests"].as_array().unwrap().iter().map(seen).collect();
        Reading { requests, stopped: reading["stopped"].as_str().map(str::to_owned) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn seen(request: &Value) -> Seen {
    let fields = request["fields"].as_array().unwrap().iter().map(|field| (text(&field[0]), bytes(&field[1])));
    Seen::new(&text(&request["method"]), &text(&request["target"]), fields, bytes(&request["body"]))
}
