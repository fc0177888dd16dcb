//! The compatibility harness: what rproxy does beside what HAProxy does. Here is what every behaviour test needs: the
//! proxy under test as a child process, raw clients, scripted origins, log sinks, and the player of case files. All of
//! it is black-box: bytes in, bytes out.
//!
//! The program under test is `RPROXY_TEST_BINARY` when that is set (the real HAProxy 3.4.0 passes the same tests, which
//! is how their expectations are known to be true), else the `rproxy` that was built beside the running program.
//! Nothing here uses a fixed port, and every wait has a limit.

#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a harness has sockets and threads of its own
#![allow(clippy::new_without_default)] // what makes a directory or a socket is no default value

pub mod cli;
pub mod client;
pub mod dates;
pub mod examples;
pub mod gauges;
pub mod live;
pub mod mutate;
pub mod netns;
pub mod origin;
pub mod parallel;
pub mod play;
pub mod ports;
pub mod process;
pub mod program;
pub mod proxy;
pub mod scripts;
pub mod sink;
pub mod text;
pub mod verdicts;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The longest that any single wait of a test may last.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("RPROXY_TEST_BINARY").map_or_else(built, PathBuf::from)
}

/// The rproxy of the same build: beside this program, or one directory above for a test.
fn built() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let places = own.ancestors().skip(1).take(2).map(|place| place.join("rproxy"));
    let found = places.clone().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no rproxy beside {}: cargo build", own.display()))
}

/// A directory of its own for one test, removed at the end. The path is short: socket names have
/// room for 107 bytes only.
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes the directory, open to any user so that a worker that dropped its rights can use it.
    pub fn new() -> Self {
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
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as text for a configuration.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file in it and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("the temporary directory is writable");
        self.file(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

thread_local! {
    /// Whether a panic of this thread becomes a result.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Does some work that may panic, as assertions do; nothing is printed then.
///
/// # Errors
/// The text of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_caught() {
                usual(info);
            }
        }));
    });
    CAUGHT.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(false);
    done.map_err(|panic| match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => panic.downcast_ref::<&str>().copied().unwrap_or_default().into(),
    })
}

/// Whether a panic of this thread becomes a result, so that nothing need be printed.
fn is_caught() -> bool {
    CAUGHT.get()
}

/// Asks `ready` again and again until it gives a value; `None` once `limit` has passed.
pub fn wait_for<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
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
