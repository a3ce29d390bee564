//! The reader of the command line, for every example that has options.
//!
//! Owns the syntax of options and values, and the error messages. Leaves the options themselves to
//! the examples.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;

use super::terminal;

pub(crate) struct Arguments {
    parser: lexopt::Parser,
    /// The option that was read last, with its dashes.
    flag: String,
}

impl Arguments {
    /// The first argument is the program's name.
    pub(crate) fn new(arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { parser: lexopt::Parser::from_iter(arguments), flag: String::new() }
    }

    /// The next option, with its dashes. Returns `--help` for `-h`, and `--version` for `-V`.
    pub(crate) fn next_flag(&mut self) -> Result<Option<String>, String> {
        let argument = self.parser.next().map_err(|error| match error {
            lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
            error => error.to_string(),
        })?;
        self.flag = match argument {
            None => return Ok(None),
            Some(lexopt::Arg::Short('h')) => "--help".to_owned(),
            Some(lexopt::Arg::Short('V')) => "--version".to_owned(),
            Some(lexopt::Arg::Short(name)) => format!("-{name}"),
            Some(lexopt::Arg::Long(name)) => format!("--{name}"),
            Some(lexopt::Arg::Value(value)) => return Err(format!("`{}` was not expected: every option begins with --", value.display())),
        };
        Ok(Some(self.flag.clone()))
    }

    /// The option's value.
    pub(crate) fn value<T: FromStr>(&mut self, expected: &str) -> Result<T, String> {
        self.value_where(expected, |_| true)
    }

    /// The option's value, a number within `bounds`. `what` describes it, such as "a whole number
    /// of seconds".
    #[allow(dead_code, reason = "not every example has numbers")]
    pub(crate) fn number<T: FromStr + PartialOrd + Display>(&mut self, what: &str, bounds: RangeInclusive<T>) -> Result<T, String> {
        self.value_where(&format!("{what} from {} to {}", bounds.start(), bounds.end()), |number| bounds.contains(number))
    }

    /// All values up to the next option, at least one.
    #[allow(dead_code, reason = "not every example has an option with several values")]
    pub(crate) fn values<T: FromStr>(&mut self, expected: &str) -> Result<Vec<T>, String> {
        let flag = &self.flag;
        let texts = self.parser.values().map_err(|_| format!("{flag} needs a value: {expected}"))?;
        let parse = |text: OsString| {
            let parsed = text.to_str().and_then(|text| text.parse().ok());
            parsed.ok_or_else(|| format!("{flag} `{}` is not understood; expected {expected}", text.display()))
        };
        texts.map(parse).collect()
    }

    fn value_where<T: FromStr>(&mut self, expected: &str, is_good: impl Fn(&T) -> bool) -> Result<T, String> {
        let flag = &self.flag;
        let text = self.parser.value().map_err(|_| format!("{flag} needs a value: {expected}"))?;
        let parsed = text.to_str().and_then(|text| text.parse().ok()).filter(is_good);
        parsed.ok_or_else(|| format!("{flag} `{}` is not understood; expected {expected}", text.display()))
    }

    /// The error message for an option that does not exist.
    pub(crate) fn unknown(&self) -> String {
        format!("`{}` is not an option", self.flag)
    }
}

/// Ends a program whose command line is wrong: prints the reason, and returns exit code 2.
pub(crate) fn refuse(why: &str) -> ExitCode {
    terminal::fail(&format!("{why}\n`--help` lists every option"), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::new(["program"].iter().chain(words).map(OsString::from))
    }

    #[test]
    fn what_is_no_option_is_named() {
        let end = |words: &[&str]| {
            let mut arguments = arguments(words);
            while arguments.next_flag()?.is_some() {}
            Ok::<_, String>(())
        };
        assert_eq!(end(&["--one", "-t", "-h"]), Ok(()));
        assert_eq!(end(&["--one", "extra"]), Err("`extra` was not expected: every option begins with --".to_owned()));
        assert_eq!(end(&["--one=extra", "--two"]), Err("--one takes no value".to_owned()));
    }

    #[test]
    fn help_and_version_have_one_name() {
        assert_eq!(arguments(&["-h"]).next_flag(), Ok(Some("--help".to_owned())));
        assert_eq!(arguments(&["-V"]).next_flag(), Ok(Some("--version".to_owned())));
    }

    #[test]
    fn numbers_have_bounds() {
        let number = |text: &str| {
            let mut arguments = arguments(&["--seconds", text]);
            arguments.next_flag()?;
            arguments.number("a whole number of seconds", 1..=3_600)
        };
        assert_eq!(["1", "3600"].map(number), [Ok(1), Ok(3_600)]);
        for wrong in ["0", "3601", "-1", "1.5", "", "18446744073709551615"] {
            let why = format!("--seconds `{wrong}` is not understood; expected a whole number of seconds from 1 to 3600");
            assert_eq!(number(wrong), Err(why));
        }
    }

    #[test]
    fn a_value_that_is_missing_is_asked_for() {
        let mut arguments = arguments(&["--io"]);
        assert_eq!(arguments.next_flag(), Ok(Some("--io".to_owned())));
        assert_eq!(arguments.value::<String>("this or that"), Err("--io needs a value: this or that".to_owned()));
    }
}
