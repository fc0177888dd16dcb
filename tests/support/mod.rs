//! What every behaviour test needs: the proxy under test as a child process, raw clients, scripted
//! origins, log sinks, and the player of case files. All of it is black-box: bytes in, bytes out.
//!
//! The program under test is `RPROXY_TEST_BINARY` when that is set (the real HAProxy 3.4.0 passes the
//! same tests, which is how their expectations are known to be true), else this package's `rproxy`.
//! Nothing here uses a fixed port, and every wait has a limit.

// Each test program includes this module and uses a part of it.
#![allow(dead_code)]

pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod origin;
pub(crate) mod play;
pub(crate) mod ports;
pub(crate) mod proxy;
pub(crate) mod sink;
pub(crate) mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The longest that any single wait of a test may last.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// The program under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("RPROXY_TEST_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_rproxy")), PathBuf::from)
}

/// A directory of its own for one test, removed at the end. The path is short: socket names have
/// room for 107 bytes only.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// Makes the directory, open to any user so that a worker that dropped its rights can use it.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "rpt{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as text for a configuration.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file in it and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("the temporary directory is writable");
        self.file(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Asks `ready` again and again until it gives a value; `None` once `limit` has passed.
pub(crate) fn wait_for<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
