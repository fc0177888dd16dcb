//! Three namespaces and what runs in them. Everything is removed at the end, also when a test fails.

use std::process::{Child, Stdio};

use haproxy_compat::TempDir;
use haproxy_compat::examples::role::ARGUMENTS;
use haproxy_compat::netns::Namespaces;

/// The paths: a namespace with its device, another, and their network; the first has host 1 in it, the second host 2.
const PATHS: [[(&str, &str); 2]; 4] = [
    [("client", "c1"), ("proxy", "p1")],
    [("client", "c2"), ("proxy", "p2")],
    [("proxy", "p3"), ("origin", "o1")],
    [("proxy", "p4"), ("origin", "o2")],
];

/// The namespaces.
const NAMES: [&str; 3] = ["client", "proxy", "origin"];

/// The network of the path with that index in [`PATHS`].
fn net(path: usize) -> String {
    format!("10.77.{}", path + 1)
}

/// The namespaces with their processes.
pub(crate) struct World {
    net: Namespaces,
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
        if std::fs::read_to_string("/proc/sys/net/mptcp/enabled")
            .unwrap_or_default()
            .trim()
            != "1"
        {
            return Err("this kernel has no MPTCP, or it is switched off".into());
        }
        let world = Self {
            net: Namespaces::new(&NAMES)?,
            dir: TempDir::new(),
            children: Vec::new(),
        };
        for (path, ends) in PATHS.iter().enumerate() {
            world.net.wire(*ends)?;
            for ((name, link), host) in ends.iter().zip([1, 2]) {
                let ns = world.net.name(name);
                let addr = format!("{}.{host}/24", net(path));
                world.net.ip(&format!("-n {ns} addr add {addr} dev {link}"))?;
            }
        }
        for name in NAMES {
            world.net.ip(&format!(
                "-n {} mptcp limits set subflows 4 add_addr_accepted 4",
                world.net.name(name)
            ))?;
        }
        // The accepting sides announce their second address, which lies on the peer's second path.
        world.net.ip(&format!(
            "-n {} mptcp endpoint add 10.77.2.2 dev p2 signal",
            world.net.name("proxy")
        ))?;
        world.net.ip(&format!(
            "-n {} mptcp endpoint add 10.77.4.2 dev o2 signal",
            world.net.name("origin")
        ))?;
        Ok(world)
    }

    fn role(&self, name: &str, role: &str, arguments: &str) -> Child {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = self.net.inside(name, &program);
        command
            .args(["--exact", role, "--ignored", "--nocapture"])
            .env(ARGUMENTS, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
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
        let mut command = self.net.inside("proxy", &haproxy_compat::binary());
        command.args(["-db", "-f", &path]);
        command.stderr(log);
        self.children.push(command.spawn().expect("ip netns exec runs"));
        self.await_listener("proxy", 5000);
    }

    /// What the proxy wrote.
    pub(crate) fn proxy_output(&self) -> String {
        std::fs::read_to_string(self.dir.file("output")).unwrap_or_default()
    }

    fn await_listener(&self, name: &str, port: u16) {
        let up = self.net.await_listener(name, port);
        assert!(up, "nobody listens in {name}: {}", self.proxy_output());
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

    /// An MPTCP counter of a namespace.
    pub(crate) fn counter(&self, name: &str, counter: &str) -> u64 {
        counter_of(&self.net.read(name, "/proc/net/netstat"), counter)
    }

    /// Takes one end of a path down.
    pub(crate) fn cut(&self, link: &str) {
        let ns = self
            .net
            .name(if link.starts_with('c') { "client" } else { "origin" });
        self.net
            .ip(&format!("-n {ns} link set {link} down"))
            .expect("the link is there");
    }

    /// Makes a path lose everything without telling either end: both send to a neighbour that is not there.
    pub(crate) fn silence(&self, link: &str) {
        let has_link = |ends: &[(&str, &str); 2]| ends.iter().any(|(_, device)| *device == link);
        let path = PATHS.iter().position(has_link).expect("a device of a path");
        for ((name, device), peer) in PATHS[path].into_iter().zip([2, 1]) {
            let words = format!(
                "-n {} neigh replace {}.{peer} lladdr 02:00:00:00:00:99 dev {device} nud permanent",
                self.net.name(name),
                net(path)
            );
            self.net.ip(&words).expect("the device is there");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
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
