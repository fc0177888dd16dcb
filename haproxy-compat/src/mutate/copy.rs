//! A copy of the sources that may be broken and built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::site::{Site, root};

/// What a build of the program needs.
const PARTS: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "haproxy-compat/Cargo.toml",
    "haproxy-compat/src",
    // A member of the workspace, without which cargo refuses the whole.
    "haproxy-compat/bench/Cargo.toml",
    "haproxy-compat/bench/src",
];

/// The copy with its build directory.
pub(super) struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Copies the sources into a directory, over what an earlier run left there.
    pub(super) fn new(directory: &Path) -> Self {
        let copy = Self {
            tree: directory.join("tree"),
            target: directory.join("target"),
        };
        for part in PARTS {
            copy_all(&root().join(part), &copy.tree.join(part));
        }
        copy
    }

    /// Takes over what another copy has built, if nothing was built here yet: what the program depends on need not be
    /// built once more. Times of files stay as they are, since cargo goes by them.
    pub(super) fn take_over(&self, other: &Self) {
        if !self.target.exists() {
            let _ = Command::new("cp")
                .arg("-a")
                .args([&other.target, &self.target])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Builds the unbroken program and keeps it beside those that are broken.
    pub(super) fn whole(&self) -> Result<PathBuf, ()> {
        let kept = self.target.join("whole");
        fs::copy(self.build()?, &kept).expect("the build directory is writable");
        Ok(kept)
    }

    /// Builds the program; `Err` when the compiler refuses.
    pub(super) fn build(&self) -> Result<PathBuf, ()> {
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--locked", "-q", "--bin", "rproxy"])
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_BUILD_JOBS", "1")
            // Nobody looks into these programs.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("RUSTFLAGS", "-Awarnings")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("cargo runs");
        if status.success() {
            Ok(self.target.join("debug/rproxy"))
        } else {
            Err(())
        }
    }

    /// Breaks the copy.
    pub(super) fn break_at(&self, site: &Site) {
        fs::write(self.tree.join(&site.file), site.broken()).expect("the copy is writable");
    }

    /// Makes it whole again.
    pub(super) fn mend(&self, site: &Site) {
        fs::write(self.tree.join(&site.file), &*site.text).expect("the copy is writable");
    }
}

/// Copies a file or a directory; a file that has not changed is left alone, so that it is not built again.
fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("the build directory is writable");
        let _ = fs::read_dir(to).map(|old| {
            old.flatten()
                .filter(|entry| !from.join(entry.file_name()).exists())
                .for_each(|entry| {
                    let _ = fs::remove_file(entry.path());
                });
        });
        for entry in fs::read_dir(from).expect("the sources are readable").flatten() {
            copy_all(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    let new = fs::read(from).expect("the sources are readable");
    if fs::read(to).ok().as_deref() != Some(&new[..]) {
        fs::create_dir_all(to.parent().unwrap_or(to)).expect("the build directory is writable");
        fs::write(to, new).expect("the build directory is writable");
    }
}
