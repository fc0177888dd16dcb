//! How a start reads its files: what is said when they are refused under a master or in the background, the variables
//! that exist without anybody setting them, and the dump of what was read.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::cli::ask;
use haproxy_compat::client::Client;
use haproxy_compat::proxy::{Proxy, Setup, run};
use haproxy_compat::{PATIENCE, TempDir, wait_for};

const GLOBAL: &str = "global\n nbthread 1\n";
const PROXIES: &str = "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
                       frontend fe\n bind 127.0.0.1:1\n";

/// A configuration that is refused: the worker says so and its master, and whoever started either, says how it ended.
#[test]
fn refused_under_a_master_and_in_the_background() {
    let dir = TempDir::new();
    dir.write("bad.cfg", &format!("{GLOBAL}{PROXIES} frobnicate\n"));
    dir.write("env.cfg", &format!("{GLOBAL} setenv A\n{PROXIES}"));
    let worker = "[WARNING]  (";
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (
            &["-W", "-f", "bad.cfg"],
            &[
                ") : Initializing new worker (",
                worker,
                ") : Failed to load worker (",
                ") exited with code 1 (Exit)\n",
            ],
            &[") : Process "],
        ),
        (
            &["-Ws", "-f", "bad.cfg"],
            &[") : Initializing new worker (", ") : Failed to load worker ("],
            &[") : Process "],
        ),
        (
            &["-W", "-D", "-f", "bad.cfg"],
            &[
                ") : Initializing new worker (",
                ") : Failed to load worker (",
                ") : Process ",
                " exited with code 1 (Exit)\n",
            ],
            &[],
        ),
        (
            &["-D", "-f", "bad.cfg"],
            &["[ALERT]    (", ") : Process ", " exited with code 1 (Exit)\n"],
            &["Initializing new worker", "Failed to load worker"],
        ),
        // What the master reads itself stops it before there is a worker.
        (
            &["-W", "-f", "env.cfg"],
            &["'setenv' expects"],
            &["worker (", ") : Process "],
        ),
        (&["-W", "-c", "-f", "bad.cfg"], &["'frobnicate'"], &["worker ("]),
        (
            &["-W", "-f", "missing.cfg"],
            &[
                ") : config : Cannot open configuration file/directory missing.cfg : No such file or directory\n",
            ],
            &["worker ("],
        ),
        (
            &["-S", "m.sock", "-c", "-f", "bad.cfg"],
            &[") : a master CLI socket was defined, but master-worker mode (-W) is not enabled.\n"],
            &["frobnicate"],
        ),
    ];
    for (args, said, unsaid) in table {
        let end = run(&dir, args);
        let text = format!("{args:?}: code {:?}\n{}\n{}", end.code, end.stdout, end.stderr);
        assert_eq!(end.code, Some(1), "{text}");
        assert!(said.iter().all(|part| end.stderr.contains(part)), "{text}");
        assert!(!unsaid.iter().any(|part| end.stderr.contains(part)), "{text}");
    }
}

/// What the lines of a configuration see, by the kind of process.
#[test]
fn variables_of_the_program_while_files_are_read() {
    let dir = TempDir::new();
    let show = |names: &[&str]| -> String { names.iter().map(|name| format!("${{{name}-none}} ")).collect() };
    let notice = format!(
        ".notice \"<{}>\"\n",
        show(&[
            "HAPROXY_LOCALPEER",
            "HAPROXY_MWORKER",
            "HAPROXY_CFGFILES",
            "HAPROXY_BRANCH",
            "HAPROXY_CLI",
            "TWICE",
            "SEEN"
        ])
    );
    let text = |peer: &str| {
        format!(
            "{GLOBAL} {peer}\n setenv TWICE \"${{TWICE}}x\"\n presetenv SEEN \"${{HAPROXY_CFGFILES-unknown}}\"\n{PROXIES}{notice}"
        )
    };
    dir.write("peer.cfg", &text("localpeer me"));
    dir.write("plain.cfg", &text(""));
    // `localpeer` is read ahead, `setenv` in both readings, HAPROXY_CFGFILES is set between them.
    for (args, wanted) in [
        (
            &["-c", "-f", "peer.cfg"][..],
            "<me none peer.cfg 3.4 none xx unknown >",
        ),
        (
            &["-L", "you", "-c", "-f", "plain.cfg"],
            "<you none plain.cfg 3.4 none xx unknown >",
        ),
    ] {
        let end = run(&dir, args);
        assert!(end.stderr.contains(wanted), "{args:?}: {}", end.stderr);
    }
    let formats = [
        ("HTTP", "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta "),
        ("HTTP_CLF", "%{+Q}o %{-Q}ci - - [%trg] %r %ST "),
        ("HTTPS", "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta "),
        ("TCP", "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt "),
        ("TCP_CLF", "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 "),
        ("KEYLOG_FC", "CLIENT_RANDOM %[ssl_fc_client_random,hex] "),
        ("KEYLOG_BC", "CLIENT_RANDOM %[ssl_bc_client_random,hex] "),
    ];
    for (name, wanted) in formats {
        let text = format!("{GLOBAL}{PROXIES}.notice \"<${{HAPROXY_{name}_LOG_FMT}}>\"\n");
        dir.write("format.cfg", &text);
        let end = run(&dir, &["-c", "-f", "format.cfg"]);
        assert!(
            end.stderr.contains(&format!("<{wanted}")),
            "{name}: {}",
            end.stderr
        );
    }
}

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

/// The environment that the runtime socket tells of is the one that the files made.
#[test]
fn environment_of_a_process() {
    let name = format!("t_{}", std::process::id());
    let proxy = with_sockets(&name, &["-db"]);
    let found = environment(&ask(&proxy, "show env"));
    let version = found
        .iter()
        .find_map(|line| line.strip_prefix("HAPROXY_STARTUP_VERSION=3.4.0"));
    assert!(version.is_some(), "{found:?}");
    let cli = format!(
        "HAPROXY_CLI=ipv4@{};unix@{};abns@{name}",
        proxy.addr("cli"),
        proxy.dir.file("s"),
    );
    let cfg = format!("HAPROXY_CFGFILES={}", proxy.dir.file("cfg"));
    let found: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|line| !line.contains("VERSION="))
        .collect();
    let (peer, found): (Vec<&str>, Vec<&str>) = found
        .iter()
        .partition(|line| line.starts_with("HAPROXY_LOCALPEER="));
    assert_eq!(peer.len(), 1);
    let (old, made) = found.split_at(2);
    // The order of the process's own variables is that of its parent.
    assert!(
        old.contains(&"T_KEPT=old") && old.contains(&"T_KEPT2=changed"),
        "{found:?}"
    );
    assert_eq!(
        made,
        ["HAPROXY_BRANCH=3.4", "T_SET=a b", "T_MADE=new", &cfg, &cli]
    );
    assert_eq!(ask(&proxy, "show env T_SET"), "T_SET=a b\n\n");
    assert_eq!(ask(&proxy, "show env T_GONE"), "Variable not found\n\n");
    proxy.stop();
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

/// The first lines of reports, as tools match them: each kind of check has its own.
#[test]
fn first_lines_of_reports() {
    let dir = TempDir::new();
    let table = [
        // Standard input is no socket; nobody has a descriptor of that number.
        (
            1,
            "",
            "bind fd@0",
            "config : parsing [c:11] : 'bind' : cannot use file descriptor '0' : Socket operation on non-socket.",
        ),
        (
            1,
            "",
            "bind sockpair@999",
            "config : parsing [c:11] : 'bind' : cannot use file descriptor '999' : Bad file descriptor.",
        ),
        (
            1,
            "stats socket fd@999",
            "",
            "config : parsing [c:3] : parsing [c:3] : 'stats socket' : cannot use file descriptor '999' : Bad file descriptor.",
        ),
        (
            1,
            "",
            "log-format %nothing",
            "Parsing [c:11]: failed to parse log-format : no such format alias 'nothing'",
        ),
        (
            1,
            "",
            "error-log-format %",
            "Parsing [c:11]: failed to parse error-log-format : truncated line after '%'.",
        ),
        (
            0,
            "",
            "mode tcp\n option httplog",
            "parsing [c:12] : 'option httplog' not usable with frontend 'fe' (needs 'mode http'). Falling back to 'option tcplog'.",
        ),
        (
            1,
            "ssl-dh-param-file no.pem",
            "",
            "config : parsing [c:3] : 'ssl-dh-param-file': unable to load DH parameters from file <no.pem>.",
        ),
        (
            0,
            "thread-hard-limit 1\n nbthread 2",
            "",
            "nbthread forced to a higher value (2) than the configured thread-hard-limit (1), enforcing the limit.",
        ),
        (
            1,
            "nbthread 1\n thread-groups 2",
            "",
            "More unassigned thread-groups (2) than threads (1). Please reduce thread-groups",
        ),
        (
            0,
            "tune.bufsize.large 1000",
            "",
            "tune.bufsize.large (1000) is lower than tune.bufsize (16384)",
        ),
    ];
    for (code, global, frontend, wanted) in table {
        let text = format!("{GLOBAL} {global}\n{PROXIES} {frontend}\n log 127.0.0.1:1 local0\n");
        dir.write("c", &text);
        let end = run(&dir, &["-c", "-f", "c"]);
        let said = format!("{global} {frontend}: code {:?}\n{}", end.code, end.stderr);
        assert_eq!(end.code, Some(code), "{said}");
        let found = end.stderr.lines().any(|line| {
            line.split_once(") : ")
                .is_some_and(|(_, text)| text.starts_with(wanted))
        });
        assert!(found, "{said}");
    }
}

/// Warnings about proxies come in HAProxy's order: step by step for each proxy, and header fields that tell of the client
/// after all of them.
#[test]
fn order_of_warnings() {
    let dir = TempDir::new();
    let text = "defaults\n mode tcp\n timeout client 1s\n option forwardfor\n option forwarded\nlisten a\n \
                bind 127.0.0.1:1\n option disable-h2-upgrade\n option http-no-delay\n option httplog\n \
                option http-buffer-request\n option prefer-last-server\n \
                option accept-unsafe-violations-in-http-response\n option http-pretend-keepalive\n \
                option http-use-proxy-header\n option accept-unsafe-violations-in-http-request\n monitor-uri /x\n \
                balance roundrobin\n dispatch 127.0.0.1:3\n server s 127.0.0.1:1 tfo\nfrontend b\n option http-no-delay\n\
                backend c\n server s 127.0.0.1:1\n";
    dir.write("c", text);
    let end = run(&dir, &["-c", "-f", "c"]);
    let ignored = |what: &str, proxy: &str| format!("{what} ignored for {proxy} as it requires HTTP mode.");
    let wanted = [
        "'dispatch' is deprecated".to_owned(),
        "'option httplog' not usable with proxy 'a'".into(),
        "dispatch address of proxy 'a' will be ignored in balance mode.".into(),
        "missing timeouts for proxy 'a'.".into(),
        "'server a/s' : server has tfo activated".into(),
        "log format ignored for proxy 'a'".into(),
        ignored("'monitor-uri' statement", "proxy 'a'"),
        ignored("'option http-buffer-request'", "proxy 'a'"),
        ignored("'option prefer-last-server'", "proxy 'a'"),
        ignored("'option accept-unsafe-violations-in-http-request'", "proxy 'a'"),
        ignored("'option accept-unsafe-violations-in-http-response'", "proxy 'a'"),
        ignored("'option http-use-proxy-header'", "proxy 'a'"),
        ignored("'option http-pretend-keepalive'", "proxy 'a'"),
        ignored("'option http-no-delay'", "proxy 'a'"),
        ignored("'option disable-h2-upgrade'", "proxy 'a'"),
        "frontend 'b' has no 'bind' directive.".into(),
        ignored("'option http-no-delay'", "frontend 'b'"),
        "missing timeouts for backend 'c'.".into(),
        ignored("'option forwarded'", "proxy 'a'"),
        ignored("'option forwardfor'", "proxy 'a'"),
        ignored("'option forwardfor'", "frontend 'b'"),
        ignored("'option forwarded'", "backend 'c'"),
        ignored("'option forwardfor'", "backend 'c'"),
    ];
    let said: Vec<&str> = end
        .stderr
        .lines()
        .filter(|line| line.starts_with("[WARNING]"))
        .collect();
    let ordered =
        said.len() == wanted.len() && said.iter().zip(&wanted).all(|(line, part)| line.contains(part));
    assert!(ordered, "wanted {wanted:#?}, got {said:#?}");
}
