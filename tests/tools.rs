//! `rproxy check` and `rproxy fmt`, as a shell calls them.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has files and processes of its own

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A directory of its own for a test, gone with it.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rproxy-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, "")
    }

    fn run_with(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(haproxy_compat::binary())
            .args(words)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const GOOD: &str = "defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s\n\n\
    listen l\n    bind 127.0.0.1:8080\n    server s 127.0.0.1:1\n";

#[test]
fn check_tells_the_verdict_by_its_code() {
    let room = Room::new("check");
    room.file("good.cfg", GOOD);
    room.file("bad.cfg", "global\n maxcon 5\nfrontend f\n bind :8a\n");
    let good = room.run(&["check", "-f", "good.cfg"]);
    assert_eq!((good.status.code(), text(&good.stdout)), (Some(0), String::new()));
    let bad = room.run(&["check", "-f", "bad.cfg"]);
    let said = text(&bad.stdout);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        said.contains("[bad.cfg:2]") && said.contains("[bad.cfg:4]"),
        "{said}"
    );
    let bad = room.run(&["check", "--format=github", "-f", "bad.cfg"]);
    let said = text(&bad.stdout);
    assert!(
        said.starts_with("::error file=bad.cfg,line=2,endLine=2,col=2,"),
        "{said}"
    );
    assert_eq!(room.run(&["check", "--format", "xml"]).status.code(), Some(2));
    assert_eq!(room.run(&["check", "-cc", "1"]).status.code(), Some(2));
    // Flags mean what they mean with `-c`.
    let root = room.0.to_string_lossy().into_owned();
    let there = room.run(&["check", "-C", &root, "--", "good.cfg"]);
    assert_eq!(there.status.code(), Some(0), "{}", text(&there.stdout));
    assert_eq!(
        room.run(&["check", "-C", "nowhere", "-f", "good.cfg"])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(room.run(&["check", "-f", "none.cfg"]).status.code(), Some(1));
}

#[test]
fn check_heeds_warnings_where_they_refuse() {
    let room = Room::new("check-warnings");
    room.file(
        "lax.cfg",
        &GOOD.replace("mode http", "mode tcp\n    option httplog"),
    );
    let json = |words: &[&str]| {
        let output = room.run(words);
        let said = text(&output.stdout);
        let verdict = ["accepted", "refused"]
            .into_iter()
            .find(|verdict| said.contains(&format!("\"verdict\": \"{verdict}\"")));
        (output.status.code(), verdict)
    };
    assert_eq!(
        json(&["check", "--format", "json", "-f", "lax.cfg"]),
        (Some(0), Some("accepted"))
    );
    assert_eq!(
        json(&["check", "--format", "json", "-dW", "-f", "lax.cfg"]),
        (Some(1), Some("refused"))
    );
}

#[test]
fn fmt_writes_files_and_keeps_what_they_mean() {
    let room = Room::new("fmt");
    let ugly = "defaults\n  mode   http # all\n timeout client 1s\n";
    let neat = "defaults\n    mode http  # all\n    timeout client 1s\n";
    let path = room.file("a.cfg", ugly);
    room.file("b.cfg", neat);
    let check = room.run(&["fmt", "--check", "a.cfg", "b.cfg"]);
    assert_eq!(
        (check.status.code(), text(&check.stdout)),
        (Some(1), "a.cfg\n".into())
    );
    assert_eq!(fs::read_to_string(&path).expect("there"), ugly);
    let done = room.run(&["fmt", "a.cfg", "b.cfg"]);
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), String::new()));
    assert_eq!(fs::read_to_string(&path).expect("there"), neat);
    assert_eq!(room.run(&["fmt", "--check", "a.cfg"]).status.code(), Some(0));
    // One that is not there does not keep the others from their turn.
    room.file("c.cfg", ugly);
    let some = room.run(&["fmt", "none.cfg", "c.cfg"]);
    assert_eq!(some.status.code(), Some(1));
    assert!(text(&some.stderr).contains("none.cfg"));
    assert_eq!(fs::read_to_string(room.0.join("c.cfg")).expect("there"), neat);
    assert_eq!(fs::read_dir(&room.0).expect("there").count(), 3);
}

#[test]
fn fmt_is_a_filter_without_files() {
    let room = Room::new("fmt-filter");
    let done = room.run_with(&["fmt"], "global\nmaxconn 5\n");
    assert_eq!(
        (done.status.code(), text(&done.stdout)),
        (Some(0), "global\n    maxconn 5\n".into())
    );
    assert_eq!(
        room.run_with(&["fmt", "--check"], "global\nmaxconn 5\n")
            .status
            .code(),
        Some(1)
    );
    assert_eq!(room.run(&["fmt", "-x"]).status.code(), Some(2));
}
