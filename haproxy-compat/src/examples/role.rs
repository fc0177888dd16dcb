//! The programs inside the namespaces: a server that says what it saw, and a client that says what it got. They are the
//! running program itself, started again with a role in its environment.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::client::{find, spoken};
use crate::text::escape;

/// The environment variable that holds a role and its arguments, separated by blanks.
pub const ARGUMENTS: &str = "RPROXY_NETNS_ROLE";

fn socket(addr: SocketAddr, protocol: &str) -> std::io::Result<Socket> {
    let protocol = if protocol == "mptcp" {
        Protocol::MPTCP
    } else {
        Protocol::TCP
    };
    Socket::new(Domain::for_address(addr), Type::STREAM, Some(protocol))
}

/// Plays the role that the environment names: `serve ADDR tcp|mptcp FILE` or `ask ADDR tcp|mptcp FILE`, with the file
/// that gets what it sees.
///
/// # Errors
/// That there is no such role, and those of sockets and of the file.
pub fn play() -> std::io::Result<()> {
    let words = std::env::var(ARGUMENTS).unwrap_or_default();
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["serve", addr, protocol, told] => serve(addr, protocol, told),
        ["ask", addr, protocol, told] => ask(addr, protocol, told),
        _ => Err(std::io::Error::other(format!("no role: {words}"))),
    }
}

fn tell(file: &str, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    // One write, so that lines of two connections do not mix.
    file.write_all(text.as_bytes())
}

/// Serves at an address until it is killed; tells every request.
fn serve(addr: &str, protocol: &str, told: &str) -> std::io::Result<()> {
    let addr: SocketAddr = addr.parse().map_err(std::io::Error::other)?;
    let listener = socket(addr, protocol)?;
    listener.set_reuse_address(true)?;
    listener.bind(&addr.into())?;
    listener.listen(64)?;
    loop {
        let (connection, peer) = listener.accept()?;
        let told = told.to_string();
        std::thread::spawn(move || {
            let from = peer
                .as_socket()
                .map_or_else(String::new, |a| a.ip().to_canonical().to_string());
            let _ = answer(connection, &from, &told);
        });
    }
}

fn answer(mut connection: Socket, from: &str, told: &str) -> std::io::Result<()> {
    let (mut request, mut buf) = (Vec::new(), [0u8; 4096]);
    let over = spoken(&connection);
    loop {
        match connection.read(&mut buf)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&buf[..n]),
        }
        while let Some(end) = find(&request, b"\r\n\r\n") {
            let head: Vec<u8> = request.drain(..end + 4).collect();
            let text = format!(". from {from} over {over}\n> {}\n", escape(&head));
            tell(told, &text)?;
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved")?;
        }
    }
}

/// Asks once; tells the answer, or what kept it away.
fn ask(addr: &str, protocol: &str, told: &str) -> std::io::Result<()> {
    let text = asked(addr, protocol).unwrap_or_else(|e| format!(". {e}\n"));
    tell(told, &text)
}

fn asked(addr: &str, protocol: &str) -> std::io::Result<String> {
    let addr: SocketAddr = addr.parse().map_err(std::io::Error::other)?;
    let mut socket = socket(addr, protocol)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.connect_timeout(&addr.into(), Duration::from_secs(5))?;
    socket.write_all(b"GET /tried HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let end = socket.read_to_end(&mut answer);
    let end = end.map_or_else(|e| format!(". {e}\n"), |_| String::new());
    Ok(format!(
        ". over {}\n< {}\n{end}",
        spoken(&socket),
        escape(&answer)
    ))
}
