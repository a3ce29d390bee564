//! The files that the program writes.
//!
//! Owns opening them before a run that takes minutes, so that a wrong path shows at once. An older
//! file keeps its content until there is a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::options::OUT;

pub(crate) struct Output {
    pub(crate) path: PathBuf,
    file: File,
    flag: &'static str,
}

/// Opens the page. Cargo may keep its files elsewhere, so the directory of the default is made.
pub(crate) fn open_page(path: &Path) -> Result<Output> {
    if let Some(directory) = path.parent().filter(|_| path == Path::new(OUT)) {
        // An error shows when the file is opened.
        let _ = fs::create_dir_all(directory);
    }
    Output::open("--out", path)
}

/// Writes each chart to a file of its own. The directory is made.
pub(crate) fn write_charts(directory: &Path, charts: &[(String, String)]) -> Result<()> {
    let write = || {
        fs::create_dir_all(directory)?;
        charts.iter().try_for_each(|(name, svg)| fs::write(directory.join(name), svg))
    };
    write().map_err(|error| format!("--charts: cannot write to {}: {error}", directory.display()).into())
}

impl Output {
    pub(crate) fn open(flag: &'static str, path: &Path) -> Result<Self> {
        let told = |why: &dyn std::fmt::Display| format!("{flag}: cannot write {}: {why}", path.display());
        match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file, flag }),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(told(&"its directory does not exist").into()),
            Err(error) if path.is_dir() => Err(told(&format!("it is a directory ({error})")).into()),
            Err(error) => Err(told(&error).into()),
        }
    }

    /// Replaces the content.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        let mut write = || {
            // A pipe or a terminal has no length.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            writeln!(self.file, "{text}")
        };
        write().map_err(|error| format!("{}: cannot write {}: {error}", self.flag, self.path.display()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_go_to_a_directory_that_is_made() {
        let directory = std::env::temp_dir().join(format!("pushlab-charts-{}", std::process::id()));
        let charts = [("c5.svg".to_owned(), "<svg/>".to_owned())];
        write_charts(&directory.join("new"), &charts).unwrap();
        assert_eq!(fs::read_to_string(directory.join("new/c5.svg")).unwrap(), "<svg/>");
        let error = write_charts(&directory.join("new/c5.svg"), &charts).unwrap_err().to_string();
        assert!(error.starts_with("--charts: cannot write to "), "{error}");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_file_keeps_its_content_until_there_is_a_new_one() {
        let directory = std::env::temp_dir().join(format!("pushlab-output-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("page.html");
        fs::write(&path, "an older and longer page").unwrap();
        let mut output = open_page(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "an older and longer page");
        output.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");

        let told = |path: &Path| Output::open("--out", path).err().map(|error| error.to_string()).unwrap_or_default();
        let missing = directory.join("no/page.html");
        assert_eq!(told(&missing), format!("--out: cannot write {}: its directory does not exist", missing.display()));
        assert!(told(&directory).contains("it is a directory"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
