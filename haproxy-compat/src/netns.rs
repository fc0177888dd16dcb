//! Network namespaces with wires between them, by the `ip` program; all is removed at the end. Needs root or what
//! amounts to it: where namespaces are not permitted, `new` says why.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::ports::{is_listening, listening_in};
use crate::{PATIENCE, wait_for};

/// A set of namespaces, each with its loopback up. Programs that run in them must be ended before this is dropped.
pub struct Namespaces {
    tag: String,
    names: Vec<String>,
}

impl Namespaces {
    /// Makes the namespaces, or tells why that is not possible here.
    ///
    /// # Errors
    /// What the `ip` program says, or that there is none.
    pub fn new(names: &[&str]) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut made = Self {
            tag: format!(
                "rpt{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ),
            names: Vec::new(),
        };
        for name in names {
            made.ip(&format!("netns add {}", made.name(name)))?;
            made.names.push((*name).to_string());
            made.ip(&format!("-n {} link set lo up", made.name(name)))?;
        }
        Ok(made)
    }

    /// What the machine calls one of them.
    pub fn name(&self, of: &str) -> String {
        format!("{}-{of}", self.tag)
    }

    /// Runs the `ip` program with words separated by blanks.
    ///
    /// # Errors
    /// The words and what the program said against them.
    pub fn ip(&self, words: &str) -> Result<(), String> {
        let output = Command::new("ip")
            .args(words.split(' '))
            .output()
            .map_err(|e| format!("ip: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "ip {words}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }

    /// Lays a wire between two namespaces, each end with the name of its device, and takes both ends up.
    ///
    /// # Errors
    /// Those of `ip`.
    pub fn wire(&self, [(near, a), (far, b)]: [(&str, &str); 2]) -> Result<(), String> {
        let (near, far) = (self.name(near), self.name(far));
        self.ip(&format!(
            "-n {near} link add {a} type veth peer name {b} netns {far}"
        ))?;
        self.ip(&format!("-n {near} link set {a} up"))?;
        self.ip(&format!("-n {far} link set {b} up"))
    }

    /// A program inside a namespace, silent. `ip netns exec` becomes the program: its pid is the program's.
    pub fn inside(&self, name: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(name)]).arg(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A file as a namespace shows it; empty where it has none.
    pub fn read(&self, name: &str, path: &str) -> String {
        let output = self
            .inside(name, Path::new("cat"))
            .arg(path)
            .stdout(Stdio::piped())
            .output();
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).into_owned(),
        )
    }

    /// Waits until somebody in a namespace listens on a TCP port, of whatever address; gives whether anybody does.
    pub fn await_listener(&self, name: &str, port: u16) -> bool {
        let listens = |path: &str| {
            let lines = listening_in(self.read(name, path).as_bytes());
            is_listening(&lines, &format!(":{port:04X}"))
        };
        let up = wait_for(PATIENCE, || {
            ["/proc/net/tcp", "/proc/net/tcp6"]
                .into_iter()
                .any(listens)
                .then_some(())
        });
        up.is_some()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = self.ip(&format!("netns del {}", self.name(name)));
        }
    }
}
