//! How a start reads its files, as far as HAProxy is no measure: the dump of what was read, which it prints twice, the
//! program's own libraries. All else is in `tests/process.rs`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::client::Client;
use haproxy_compat::proxy::{Proxy, Setup, run};
use haproxy_compat::{PATIENCE, TempDir, wait_for};

const GLOBAL: &str = "global\n nbthread 1\n";
const PROXIES: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
                       frontend fe\n bind 127.0.0.1:1\n";

/// `show env` without the variables of the test's own process, in order.
fn environment(answer: &str) -> Vec<String> {
    let of_interest = |line: &&str| line.starts_with("HAPROXY_") || line.starts_with("T_");
    // Key logs have lines of their own, and a first line that is of no interest here.
    let lines = answer
        .lines()
        .filter(of_interest)
        .filter(|line| !line.contains("KEYLOG"));
    lines.map(str::to_owned).collect()
}

/// A proxy with runtime sockets of all kinds; the abstract one has a name of this test alone.
fn with_sockets(name: &str, args: &[&str]) -> Proxy {
    Setup::new(format!(
        "{GLOBAL} stats socket fd@${{cli}} level admin\n stats socket {{tmp}}/s level admin\n stats socket abns@{{name}} level user\n \
         setenv T_SET \"a b\"\n presetenv T_KEPT new\n presetenv T_MADE new\n unsetenv T_GONE\n setenv HAPROXY_TCP_LOG_FMT x\n \
         setenv T_KEPT2 changed\n{PROXIES}"
    )
    .replace("{name}", name)
    .replace("127.0.0.1:1\n", "fd@${fe}\n"))
    .args(args)
    .env("T_KEPT", "old")
    .env("T_GONE", "old")
    .env("T_KEPT2", "old")
    .no_wait()
    .start()
}

/// The same of a worker and of its master.
#[test]
fn environment_of_master_and_worker() {
    let name = format!("tw_{}", std::process::id());
    let mut proxy = with_sockets(&name, &["-W", "-S", "{tmp}/m"]);
    let path = proxy.dir.file("m");
    let ask = |commands: &str| -> String {
        let mut client = Client::unix(&path).expect("the master's socket");
        client.send(commands.as_bytes());
        client.shut();
        assert!(client.read_to_end(PATIENCE));
        String::from_utf8_lossy(&client.got).into_owned()
    };
    let ready = wait_for(PATIENCE, || {
        proxy.output().contains("Loading success.").then_some(())
    });
    assert!(ready.is_some(), "{}", proxy.output());
    let master = environment(&ask("show env\n"));
    let worker = environment(&ask("@1 show env\n"));
    let has = |found: &[String], line: &str| found.iter().any(|other| other == line);
    let cli = |found: &[String]| found.iter().any(|line| line.starts_with("HAPROXY_CLI=ipv4@"));
    let peer = |found: &[String]| found.iter().any(|line| line.starts_with("HAPROXY_LOCALPEER="));
    let files = format!("HAPROXY_CFGFILES={}", proxy.dir.file("cfg"));
    for (found, is_master) in [(&master, true), (&worker, false)] {
        assert!(has(found, "T_SET=a b") && has(found, "T_KEPT=old"), "{found:?}");
        assert!(has(found, "HAPROXY_MWORKER=1") && has(found, &files), "{found:?}");
        assert_eq!(
            has(found, &format!("HAPROXY_MASTER_CLI=unix@{path}")),
            is_master,
            "{found:?}"
        );
        assert_eq!((cli(found), peer(found)), (!is_master, !is_master), "{found:?}");
    }
    proxy.signal("TERM");
    assert_eq!(
        proxy.wait(PATIENCE).and_then(|status| status.code()),
        Some(0),
        "{}",
        proxy.output()
    );
}

/// `-dC` prints the words of the files, with the variables of the process, and runs nothing. HAProxy prints them once
/// per reading, which makes two.
#[test]
fn dump_of_the_configuration() {
    let dir = TempDir::new();
    let text = "global\n  nbthread   1 # c\n setenv T_A x\n.if defined(T_B)\n nonsense \"a  b\" 2 3 4\n.endif\n\
                frontend 'f'\n bind \"${T_HOST-10.1.2.3}:80\" name y\n bind [::1]:80\n default_backend \"b$T_A\"\n timeout client 3s\n\
                backend b\n server s1 10.0.0.1 check\n stats auth a:b\n";
    dir.write("a.cfg", text);
    dir.write("bad.cfg", "global\n setenv A \"b\n");
    let plain = "global \n\tnbthread 1 \n\tsetenv T_A x \n\t.if defined(T_B) \n\tnonsense a  b 2 3 4 \n\t.endif \n\
                 frontend f \n\tbind 10.1.2.3:80 name y \n\tbind [::1]:80 \n\tdefault_backend b \n\ttimeout client 3s \n\
                 backend b \n\tserver s1 10.0.0.1 check \n\tstats auth a:b \n";
    let hidden = "global\n\tnbthread 1 \n\tsetenv T_A x \n\t.if defined(T_B) \n\tnonsense a  b 2 [...]\n\t.endif \n\
                  frontend ID(3880f5)\n\tbind IPV4(fe0374):80 [...]\n\tbind [::1]:80 \n\tdefault_backend ID(d05201)\n\ttimeout client 3s\n\
                  backend ID(d05201)\n\tserver ID(bf704a) IPV4(076036) [...]\n\tstats auth 6fa1a1\n";
    let numbered: String = (1..)
        .zip(plain.lines())
        .map(|(n, line)| format!("{n}\t{line}\n"))
        .collect();
    for (flag, wanted) in [("-dC", plain), ("-dC77", hidden), ("-dC,line", &numbered)] {
        let end = run(&dir, &[flag, "-f", "a.cfg"]);
        assert_eq!(end.code, Some(0), "{flag}: {}", end.stderr);
        assert!(
            end.stdout == wanted || end.stdout == wanted.repeat(2),
            "{flag}:\n{}",
            end.stdout
        );
    }
    let end = run(&dir, &["-dC", "-f", "bad.cfg"]);
    assert_eq!(end.code, Some(1));
    assert!(
        end.stderr.contains("parsing [bad.cfg:2]: unmatched quote"),
        "{}",
        end.stderr
    );
}

/// `-dL` lists the program and its libraries, `-dA` packs them too, once the configuration is good.
#[test]
fn loaded_objects_are_listed_and_packed() {
    let dir = TempDir::new();
    dir.write("good.cfg", &format!("{GLOBAL}{PROXIES}"));
    dir.write("bad.cfg", &format!("{GLOBAL}{PROXIES} frobnicate\n"));
    let listed = run(&dir, &["-dL", "-c", "-f", "good.cfg"]);
    let mut lines = listed.stdout.lines();
    assert_eq!(
        (listed.code, lines.next()),
        (Some(0), Some("List of loaded object files:"))
    );
    let objects: Vec<&str> = lines.collect();
    assert!(
        objects.len() > 1 && objects.iter().all(|path| path.starts_with('/')),
        "{objects:?}"
    );
    let packed = run(&dir, &["-dAobjects.tar", "-c", "-f", "good.cfg"]);
    assert_eq!(
        (packed.code, &packed.stdout),
        (Some(0), &listed.stdout),
        "{}",
        packed.stderr
    );
    let archive = std::fs::read(dir.file("objects.tar")).expect("the archive");
    let field = |from: usize, to: usize| {
        let text = String::from_utf8_lossy(archive.get(from..to).unwrap_or_default()).into_owned();
        text.trim_end_matches('\0').to_owned()
    };
    let name = format!("{}/{}", field(345, 500), field(0, 100));
    assert!(
        name.trim_start_matches("/").starts_with("core-") && name.ends_with(objects[0]),
        "{name}"
    );
    let size = std::fs::metadata(objects[0]).expect("the program").len();
    assert!(archive.len() as u64 > size && archive.len().is_multiple_of(512));
    let end = run(&dir, &["-dL", "-c", "-f", "bad.cfg"]);
    assert_eq!((end.code, end.stdout.as_str()), (Some(1), ""));
    let end = run(&dir, &["-dA/no/such/place.tar", "-c", "-f", "good.cfg"]);
    assert_eq!(end.code, Some(1));
    let said = ") : Cannot create output file to dump dependencies: No such file or directory.";
    assert!(end.stderr.contains(said), "{}", end.stderr);
}
