//! Three network namespaces on two wires: client, proxy, origin. All is removed at the end.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Place, Where};
use crate::TempDir;
use crate::netns::Namespaces;
use crate::program::Program;

/// The namespaces and what runs in them.
pub(super) struct World {
    net: Namespaces,
    dir: TempDir,
    servers: Vec<Child>,
    proxy: Option<Child>,
}

/// The namespace and the device of an end.
fn end_of(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::Client => ("client", "c0"),
        Place::Front => ("proxy", "p0"),
        Place::Back => ("proxy", "p1"),
        Place::Origin => ("origin", "o0"),
    }
}

impl World {
    /// Makes namespaces and wires, or tells why that is not possible here.
    pub(super) fn new() -> Result<Self, String> {
        let world = Self {
            net: Namespaces::new(&["client", "proxy", "origin"])?,
            dir: TempDir::new(),
            servers: Vec::new(),
            proxy: None,
        };
        for ends in [[Place::Client, Place::Front], [Place::Back, Place::Origin]] {
            world.net.wire(ends.map(end_of))?;
        }
        Ok(world)
    }

    /// This program in one of its roles.
    fn role(&self, name: &str, role: &str, addr: &str, proto: &str) -> Result<Command, String> {
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = self.net.inside(name, &own);
        command.args(["role", role, addr, proto]);
        Ok(command)
    }

    /// Gives an end an address.
    pub(super) fn address(&self, place: Place, addr: &str) -> Result<(), String> {
        let (name, device) = end_of(place);
        let nodad = if addr.contains(':') { " nodad" } else { "" };
        self.net.ip(&format!(
            "-n {} addr add {addr} dev {device}{nodad}",
            self.net.name(name)
        ))
    }

    /// Servers send to clients by the proxy, which takes all that comes from them for itself.
    pub(super) fn divert(&self, addr: &str) -> Result<(), String> {
        let (proxy, origin) = (self.net.name("proxy"), self.net.name("origin"));
        self.net
            .ip(&format!("-n {origin} route add default via {addr}"))?;
        self.net.ip(&format!("-n {proxy} rule add iif p1 lookup 100"))?;
        self.net
            .ip(&format!("-n {proxy} route add local 0.0.0.0/0 dev lo table 100"))
    }

    /// Starts a server and waits until it listens.
    pub(super) fn serve(&mut self, place: Where, addr: &str, proto: &str) -> Result<(), String> {
        let name = match place {
            Where::Origin => "origin",
            Where::Proxy => "proxy",
        };
        let told = File::create(self.dir.file(&format!("server{}", self.servers.len())))
            .map_err(|e| e.to_string())?;
        let mut command = self.role(name, "serve", addr, proto)?;
        command.stdout(told);
        self.servers.push(command.spawn().map_err(|e| e.to_string())?);
        self.await_listener(name, addr)
    }

    /// Starts the program and waits until it listens where it will be asked.
    pub(super) fn start(&mut self, program: &Program, example: &Path, addr: &str) -> Result<(), String> {
        let log = File::create(self.dir.file("output")).map_err(|e| e.to_string())?;
        let mut command = self.net.inside("proxy", &program.path);
        command.arg("-db").arg("-f").arg(example).stderr(log);
        self.proxy = Some(command.spawn().map_err(|e| e.to_string())?);
        self.await_listener("proxy", addr).map_err(|e| {
            let output = std::fs::read_to_string(self.dir.file("output")).unwrap_or_default();
            format!("{e}: {output}")
        })
    }

    fn await_listener(&self, name: &str, addr: &str) -> Result<(), String> {
        let addr: SocketAddr = addr.parse().map_err(|e| format!("{addr}: {e}"))?;
        let up = self.net.await_listener(name, addr.port());
        up.then_some(())
            .ok_or_else(|| format!("nobody listens at {addr}"))
    }

    /// Asks once; gives what the client saw.
    pub(super) fn ask(&self, addr: &str, proto: &str) -> Vec<String> {
        let output = self
            .role("client", "ask", addr, proto)
            .map(|mut command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).output());
        match output {
            Ok(Ok(output)) => {
                let mut lines: Vec<String> = lines_of(&output.stdout);
                lines.extend(lines_of(&output.stderr));
                lines
            }
            _ => vec![". the client did not run".into()],
        }
    }

    /// Ends the program; gives what the servers saw.
    pub(super) fn end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(mut proxy) = self.proxy.take() {
            if let Ok(Some(status)) = proxy.try_wait() {
                lines.push(format!("= the proxy ended: {status}"));
            }
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
        for number in 0..self.servers.len() {
            lines.push(format!("= server {number}"));
            let told = std::fs::read(self.dir.file(&format!("server{number}"))).unwrap_or_default();
            lines.extend(lines_of(&told));
        }
        lines
    }
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::to_string)
        .collect()
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.servers.iter_mut().chain(self.proxy.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
