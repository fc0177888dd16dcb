//! A program that is compared: rproxy, or a haproxy of some version.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::PATIENCE;
use crate::proxy::finish;

/// A program with what it says of itself.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// The first line of its `-v`.
    pub version: String,
}

impl Program {
    /// Asks a program who it is; panics when it does not run.
    pub fn new(path: PathBuf) -> Self {
        let shown = path.display().to_string();
        Self::try_new(path).unwrap_or_else(|| panic!("{shown} -v does not tell a version"))
    }

    /// Asks a program who it is; `None` when it does not run or says nothing.
    pub fn try_new(path: PathBuf) -> Option<Self> {
        let said = finish(Command::new(&path).arg("-v"), PATIENCE).ok()?;
        let version = said.stdout.lines().next()?.to_string();
        Some(Self { path, version })
    }

    /// The errors in a configuration file, if it has any for this program.
    pub fn refuses(&self, file: &Path) -> Option<Vec<String>> {
        let mut command = Command::new(&self.path);
        let said = match finish(command.arg("-c").arg("-f").arg(file), PATIENCE) {
            Ok(said) => said,
            Err(text) => return Some(vec![format!("no end: {text}")]),
        };
        let alert = |line: &str| Some(line.strip_prefix("[ALERT]")?.split_once(" : ")?.1.to_string());
        (said.code != Some(0)).then(|| said.stderr.lines().filter_map(alert).collect())
    }

    /// Whether it is rproxy, whose version line names the HAProxy that it stands in for.
    pub fn is_rproxy(&self) -> bool {
        self.version.contains("rproxy")
    }

    /// Whether it is the program that all recordings are from: HAProxy 3.4.0.
    pub fn is_reference(&self) -> bool {
        !self.is_rproxy() && self.version.starts_with("HAProxy version 3.4.0")
    }

    /// Major and minor number of its version.
    pub fn numbers(&self) -> Option<(u32, u32)> {
        two_numbers(self.version.split_whitespace().nth(2)?)
    }
}

/// A program on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|place| place.join(name))
        .find(|program| program.is_file())
}

/// The first two numbers of a version.
pub fn two_numbers(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Where this package lies.
pub fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_version_line_names() {
        let program = |version: &str| Program {
            path: PathBuf::new(),
            version: version.into(),
        };
        let real = program("HAProxy version 3.4.0-64a335366 2026/06/03 - https://haproxy.org/");
        assert!(real.is_reference() && !real.is_rproxy());
        assert_eq!(real.numbers(), Some((3, 4)));
        let own = program("HAProxy version 3.4.0-rproxy 2026/06/03");
        assert!(own.is_rproxy() && !own.is_reference());
        let old = program("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/");
        assert!(!old.is_reference());
        assert_eq!(old.numbers(), Some((2, 6)));
        assert_eq!(program("").numbers(), None);
    }
}
