//! Three network namespaces on two wires: client, proxy, origin. All is removed at the end.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

use super::role::ARGUMENTS;
use super::stage::{Place, Where};
use crate::netns::Namespaces;
use crate::program::Program;
use crate::proxy::finish;
use crate::{PATIENCE, TempDir};

/// The namespaces and what runs in them.
pub(super) struct World<'a> {
    /// The arguments with which the running program takes a role.
    launch: &'a [&'a str],
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

impl<'a> World<'a> {
    /// Makes namespaces and wires, or tells why that is not possible here.
    pub(super) fn new(launch: &'a [&'a str]) -> Result<Self, String> {
        let world = Self {
            launch,
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

    /// This program in one of its roles, which writes what it sees into a file of that name.
    fn role(&self, name: &str, words: &str, told: &str) -> Result<Command, String> {
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = self.net.inside(name, &own);
        command
            .args(self.launch)
            .env(ARGUMENTS, format!("{words} {}", self.dir.file(told)));
        Ok(command)
    }

    /// What a role wrote.
    fn told(&self, file: &str) -> Vec<String> {
        let bytes = std::fs::read(self.dir.file(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_string)
            .collect()
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
        let told = format!("server{}", self.servers.len());
        let mut command = self.role(name, &format!("serve {addr} {proto}"), &told)?;
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
        let _ = std::fs::remove_file(self.dir.file("client"));
        let command = self.role("client", &format!("ask {addr} {proto}"), "client");
        match command.and_then(|mut command| finish(&mut command, 4 * PATIENCE)) {
            Ok(_) => self.told("client"),
            Err(why) => vec![format!(". the client did not end: {why}")],
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
            lines.extend(self.told(&format!("server{number}")));
        }
        lines
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        for child in self.servers.iter_mut().chain(self.proxy.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
