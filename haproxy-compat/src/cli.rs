//! The stats socket from outside: one connection, some commands, the whole answer.

use super::PATIENCE;
use super::client::Client;
use super::proxy::Proxy;

/// Sends `commands` in one connection to `fd@${cli}`, ends the sending side as vtest does, and
/// returns the answer to its end.
pub fn ask(proxy: &Proxy, commands: &str) -> String {
    ask_as(proxy.client("cli"), commands)
}

/// The same as a client that is connected to a runtime socket.
pub fn ask_as(mut client: Client, commands: &str) -> String {
    client.send(commands.as_bytes());
    client.send(b"\n");
    client.shut();
    assert!(
        client.read_to_end(PATIENCE),
        "the answer to {commands:?} has no end: {:?}",
        client.got
    );
    String::from_utf8_lossy(&client.got).into_owned()
}

/// One value of `show info`.
pub fn info(proxy: &Proxy, name: &str) -> String {
    let answer = ask(proxy, "show info");
    let value = answer
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
    value
        .unwrap_or_else(|| panic!("show info has no {name}: {answer}"))
        .to_string()
}

/// One cell of `show stat` by proxy, server (or FRONTEND, BACKEND) and column name.
pub fn stat(proxy: &Proxy, pxname: &str, svname: &str, column: &str) -> String {
    let answer = ask(proxy, "show stat");
    let mut lines = answer.lines();
    let head = lines.next().unwrap_or_default();
    let names: Vec<&str> = head.trim_start_matches("# ").split(',').collect();
    let index = names
        .iter()
        .position(|n| *n == column)
        .unwrap_or_else(|| panic!("no column {column} in {head:?}"));
    let row = lines
        .map(|l| l.split(',').collect::<Vec<_>>())
        .find(|r| r.len() > index && r[0] == pxname && r[1] == svname);
    row.unwrap_or_else(|| panic!("no row {pxname}/{svname}: {answer}"))[index].to_string()
}

/// The same as a number, 0 for an empty cell.
pub fn count(proxy: &Proxy, pxname: &str, svname: &str, column: &str) -> u64 {
    stat(proxy, pxname, svname, column).parse().unwrap_or(0)
}
