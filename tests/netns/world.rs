//! Three namespaces and what runs in them. Everything is removed at the end, also when a test fails.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::roles::ARGUMENTS;
use haproxy_compat::{PATIENCE, TempDir, wait_for};

/// The paths: a namespace with its device, another, and their network; the first has host 1 in it, the second host 2.
const PATHS: [[(&str, &str); 2]; 4] = [
    [("client", "c1"), ("proxy", "p1")],
    [("client", "c2"), ("proxy", "p2")],
    [("proxy", "p3"), ("origin", "o1")],
    [("proxy", "p4"), ("origin", "o2")],
];

/// The network of the path with that index in [`PATHS`].
fn net(path: usize) -> String {
    format!("10.77.{}", path + 1)
}

/// The namespaces with their processes.
pub(crate) struct World {
    tag: String,
    dir: TempDir,
    children: Vec<Child>,
}

/// A client that is still at work.
pub(crate) struct Transfer(Child);

impl Transfer {
    /// Waits for its end and gives its line.
    pub(crate) fn wait(self) -> String {
        let output = self.0.wait_with_output().expect("the client runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find_map(|l| l.split_once("RESULT ").map(|(_, r)| r.to_string()));
        line.unwrap_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl World {
    /// Makes namespaces, paths and MPTCP endpoints, or tells why that is not possible here.
    pub(crate) fn new() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if std::fs::read_to_string("/proc/sys/net/mptcp/enabled")
            .unwrap_or_default()
            .trim()
            != "1"
        {
            return Err("this kernel has no MPTCP, or it is switched off".into());
        }
        let tag = format!(
            "rpt{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let world = Self {
            tag,
            dir: TempDir::new(),
            children: Vec::new(),
        };
        for name in ["client", "proxy", "origin"] {
            world.ip(&format!("netns add {}", world.ns(name)))?;
            world.ip(&format!("-n {} link set lo up", world.ns(name)))?;
        }
        for (path, ends) in PATHS.iter().enumerate() {
            let [(near, a), (far, b)] = ends.map(|(name, device)| (world.ns(name), device));
            world.ip(&format!(
                "-n {near} link add {a} type veth peer name {b} netns {far}"
            ))?;
            for (ns, link, host) in [(&near, a, 1), (&far, b, 2)] {
                world.ip(&format!("-n {ns} addr add {}.{host}/24 dev {link}", net(path)))?;
                world.ip(&format!("-n {ns} link set {link} up"))?;
            }
        }
        for name in ["client", "proxy", "origin"] {
            world.ip(&format!(
                "-n {} mptcp limits set subflows 4 add_addr_accepted 4",
                world.ns(name)
            ))?;
        }
        // The accepting sides announce their second address, which lies on the peer's second path.
        world.ip(&format!(
            "-n {} mptcp endpoint add 10.77.2.2 dev p2 signal",
            world.ns("proxy")
        ))?;
        world.ip(&format!(
            "-n {} mptcp endpoint add 10.77.4.2 dev o2 signal",
            world.ns("origin")
        ))?;
        Ok(world)
    }

    fn ns(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    /// Runs the ip program.
    fn ip(&self, words: &str) -> Result<(), String> {
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

    /// A command inside a namespace.
    fn inside(&self, name: &str, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.ns(name)]).arg(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn role(&self, name: &str, role: &str, arguments: &str) -> Child {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = self.inside(name, &program);
        command
            .args(["--exact", role, "--ignored", "--nocapture"])
            .env(ARGUMENTS, arguments);
        command.spawn().expect("ip netns exec runs")
    }

    /// Starts the origin with a protocol and waits until it listens.
    pub(crate) fn start_origin(&mut self, protocol: &str) {
        let child = self.role("origin", "roles::role_origin", protocol);
        self.children.push(child);
        self.await_listener("origin", 4331);
    }

    /// Starts the proxy and waits until it listens.
    pub(crate) fn start_proxy(&mut self, config: &str) {
        let path = self.dir.write("cfg", config);
        let log = std::fs::File::create(self.dir.file("output")).expect("a file for the output");
        let mut command = self.inside("proxy", &haproxy_compat::binary());
        command.args(["-db", "-f", &path]);
        command.stdout(Stdio::null()).stderr(log);
        self.children.push(command.spawn().expect("ip netns exec runs"));
        self.await_listener("proxy", 5000);
    }

    /// What the proxy wrote.
    pub(crate) fn proxy_output(&self) -> String {
        std::fs::read_to_string(self.dir.file("output")).unwrap_or_default()
    }

    fn await_listener(&self, name: &str, port: u16) {
        let wanted = format!(":{port:04X} 00000000:0000 0A");
        let up = wait_for(PATIENCE, || {
            self.read(name, "/proc/net/tcp").contains(&wanted).then_some(())
        });
        assert!(up.is_some(), "nobody listens in {name}: {}", self.proxy_output());
    }

    /// Starts a client.
    pub(crate) fn start_client(&self, protocol: &str, addr: &str, target: &str) -> Transfer {
        Transfer(self.role(
            "client",
            "roles::role_client",
            &format!("{protocol} {addr} {target}"),
        ))
    }

    /// Runs a client to its end.
    pub(crate) fn client(&self, protocol: &str, addr: &str, target: &str) -> String {
        self.start_client(protocol, addr, target).wait()
    }

    /// A file as a namespace shows it.
    fn read(&self, name: &str, path: &str) -> String {
        let output = self
            .inside(name, std::path::Path::new("cat"))
            .arg(path)
            .output()
            .expect("cat runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An MPTCP counter of a namespace.
    pub(crate) fn counter(&self, name: &str, counter: &str) -> u64 {
        counter_of(&self.read(name, "/proc/net/netstat"), counter)
    }

    /// Takes one end of a path down.
    pub(crate) fn cut(&self, link: &str) {
        let ns = self.ns(if link.starts_with('c') { "client" } else { "origin" });
        self.ip(&format!("-n {ns} link set {link} down"))
            .expect("the link is there");
    }

    /// Makes a path lose everything without telling either end: both send to a neighbour that is not there.
    pub(crate) fn silence(&self, link: &str) {
        let has_link = |ends: &[(&str, &str); 2]| ends.iter().any(|(_, device)| *device == link);
        let path = PATHS.iter().position(has_link).expect("a device of a path");
        for ((name, device), peer) in PATHS[path].into_iter().zip([2, 1]) {
            let words = format!(
                "-n {} neigh replace {}.{peer} lladdr 02:00:00:00:00:99 dev {device} nud permanent",
                self.ns(name),
                net(path)
            );
            self.ip(&words).expect("the device is there");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.children {
            // `ip netns exec` becomes the program: its pid is the program's.
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in ["client", "proxy", "origin"] {
            let _ = self.ip(&format!("netns del {}", self.ns(name)));
        }
    }
}

/// An MPTCP counter of the namespace of this process.
pub(crate) fn counter_here(counter: &str) -> u64 {
    counter_of(
        &std::fs::read_to_string("/proc/net/netstat").unwrap_or_default(),
        counter,
    )
}

fn counter_of(text: &str, counter: &str) -> u64 {
    let mut lines = text.lines().filter_map(|l| l.strip_prefix("MPTcpExt:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pair = names
        .split_whitespace()
        .zip(values.split_whitespace())
        .find(|(n, _)| *n == counter);
    pair.and_then(|(_, v)| v.parse().ok()).unwrap_or(0)
}
