//! Host names of servers to addresses, once all sections are read.
//!
//! `init-addr` says in which order the ways are tried. The system's resolver gives its first answer, of the family
//! that the address forces (`ipv4@`, `mptcp6@`, ...) if it forces one; `-4` and `resolve-prefer` concern name servers
//! at run time only. Source: configuration manual, `init-addr`; messages and order are those of HAProxy 3.4.0.

use std::net::IpAddr;

use crate::base::addr::Family;
use crate::conf::addr::is_host_name;
use crate::conf::diag::{Code, Diag, Form, Sink};
use crate::model::server::Target;
use crate::policy::draft::{Draft, InitMethod, ProxyDraft, ServerDraft};

use super::CommandLine;

/// Tried where a server has no `init-addr`.
const DEFAULT: [InitMethod; 2] = [InitMethod::Last, InitMethod::Libc];

/// Most methods that are tried.
const MAX_METHODS: usize = 10;

/// How the search for an address ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// With an address.
    Ip(IpAddr),
    /// With the address of `init-addr`; a resolver failed before if so.
    Configured(IpAddr, bool),
    /// With none, which `init-addr` allows; a resolver failed before if so.
    Nothing(bool),
    /// With none, which is an error; a resolver failed before if so.
    Error(bool),
}

/// Gives every server of `proxies` its address, or reports why it has none.
pub fn run(draft: &Draft, proxies: &mut [ProxyDraft], cmdline: &CommandLine, sink: &mut Sink) {
    let mut failed = false;
    for proxy in proxies.iter_mut().filter(|proxy| !proxy.settings.disabled) {
        let proxy_name = proxy.name().clone();
        for made in &mut proxy.servers {
            let Some(host) = made.server.hostname.clone() else {
                continue;
            };
            let found = search(made, &host, draft, cmdline);
            let declared = &made.server.declared;
            let subject = format!(
                "[{}:{}] : 'server {proxy_name}/{}' : ",
                declared.file, declared.line, made.server.name
            );
            let notice = |end: &str| {
                let text = format!("{subject}could not resolve address '{host}', {end}");
                Diag::notice(Code::UnresolvedName, made.span, text).with_form(Form::Bare)
            };
            let alert = |text: String| {
                let diag = Diag::alert(Code::UnresolvedName, made.span, format!("{subject}{text}"));
                diag.with_form(Form::Bare)
            };
            let mut resolved = None;
            match found {
                Found::Ip(ip) => resolved = Some(ip),
                Found::Configured(ip, after_failure) => {
                    resolved = Some(ip);
                    if after_failure {
                        sink.push(notice("falling back to configured address."));
                    }
                }
                Found::Nothing(true) => sink.push(notice("disabling server.")),
                Found::Nothing(false) => {}
                Found::Error(true) => sink.push(alert(format!("could not resolve address '{host}'."))),
                Found::Error(false) => {
                    sink.push(alert(format!("no method found to resolve address '{host}'.")))
                }
            }
            failed |= matches!(found, Found::Error(_));
            if let Target::Inet { ip, .. } = &mut made.server.target {
                *ip = resolved;
            }
        }
    }
    if failed {
        let text = "Failed to initialize server(s) addr.";
        sink.push(Diag::alert(Code::UnresolvedName, None, text).with_form(Form::Bare));
    }
}

fn search(made: &ServerDraft, host: &str, draft: &Draft, cmdline: &CommandLine) -> Found {
    let given = if made.init_addr.is_empty() {
        &DEFAULT[..]
    } else {
        &made.init_addr
    };
    // `-dr`: no server without an address keeps the process from starting.
    let tolerant = cmdline.ignore_unresolved.then_some(&InitMethod::None);
    let mut failure = false;
    for method in given.iter().chain(tolerant).take(MAX_METHODS) {
        match method {
            // No state file tells the address of a previous process.
            InitMethod::Last => {}
            InitMethod::Libc if is_service(host) => {}
            InitMethod::Libc => match resolve(made, host, draft) {
                Some(ip) => return Found::Ip(ip),
                None => failure = true,
            },
            InitMethod::None => return Found::Nothing(failure),
            InitMethod::Ip(ip) => return Found::Configured(*ip, failure),
        }
    }
    Found::Error(failure)
}

/// Names of services (`_http._tcp.example`) are for name servers, not for the system's resolver.
fn is_service(host: &str) -> bool {
    host.starts_with('_')
}

fn resolve(made: &ServerDraft, host: &str, draft: &Draft) -> Option<IpAddr> {
    if !is_host_name(host) {
        return None;
    }
    let family = match &made.server.addr.target {
        crate::base::addr::Target::Name { family, .. } => *family,
        _ => Family::Any,
    };
    let found = draft.host.resolve(host, family, draft.global.no_getaddrinfo);
    found.first().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::rc::Rc;

    use super::*;
    use crate::conf::diag::Severity;
    use crate::policy::draft::Kind;
    use crate::policy::host::MemHost;
    use crate::policy::kw::testing::read;

    /// Runs server lines of a backend named `b` on a machine that knows two names.
    fn resolve_all(lines: &[&str], cmdline: &CommandLine) -> (Vec<Option<IpAddr>>, Vec<(Severity, String)>) {
        let mut outcome = read(Some(Kind::Backend), lines);
        assert_eq!(outcome.alert(), None);
        let (v6, v4) = (
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
            IpAddr::from([127, 0, 0, 1]),
        );
        let names = HashMap::from([
            ("both.test".to_owned(), vec![v6, v4]),
            ("six.test".to_owned(), vec![v6]),
        ]);
        outcome.draft.host = Rc::new(MemHost {
            names,
            ..MemHost::default()
        });
        let span = outcome.draft.proxy.span;
        let empty = ProxyDraft::new(
            Kind::Backend,
            "e",
            span,
            crate::model::config::Declared::default(),
        );
        let mut proxies = vec![std::mem::replace(&mut outcome.draft.proxy, empty)];
        let mut sink = Sink::new();
        run(&outcome.draft, &mut proxies, cmdline, &mut sink);
        let ips = proxies[0].servers.iter().map(|made| match &made.server.target {
            Target::Inet { ip, .. } => *ip,
            other => panic!("an address: {other:?}"),
        });
        let reports = sink
            .drain()
            .into_iter()
            .map(|diag| (diag.severity, diag.text))
            .collect();
        (ips.collect(), reports)
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("literal"))
    }

    #[test]
    fn first_answer_of_the_family_asked_for() {
        let lines = [
            "server a both.test:80",
            "server b both.test:80 resolve-prefer ipv4",
            "server c ipv4@both.test:80",
            "server d mptcp6@both.test:80",
            "server e six.test:80",
            "server f 10.0.0.1:80",
            "server g nohost.invalid:80 init-addr 9.9.9.9",
            "server h both.test:80 init-addr none",
        ];
        let ipv4_only = CommandLine {
            ipv4_only: true,
            ..CommandLine::default()
        };
        for cmdline in [CommandLine::default(), ipv4_only] {
            let (ips, reports) = resolve_all(&lines, &cmdline);
            let expected = [
                ip("::1"),
                ip("::1"),
                ip("127.0.0.1"),
                ip("::1"),
                ip("::1"),
                ip("10.0.0.1"),
                ip("9.9.9.9"),
                None,
            ];
            assert_eq!(ips, expected);
            assert_eq!(reports, []);
        }
    }

    #[test]
    fn what_3_4_0_says_without_an_address() {
        let end = (Severity::Alert, "Failed to initialize server(s) addr.".to_owned());
        let could_not = (
            Severity::Alert,
            "[t.cfg:1] : 'server b/s' : could not resolve address 'nohost.invalid'.".to_owned(),
        );
        for (line, first) in [
            ("server s nohost.invalid:80", could_not.clone()),
            ("server s nohost.invalid:80 disabled", could_not.clone()),
            (
                "server s ho!st:80",
                (
                    Severity::Alert,
                    "[t.cfg:1] : 'server b/s' : could not resolve address 'ho!st'.".to_owned(),
                ),
            ),
            (
                "server s nohost.invalid:80 init-addr last",
                (
                    Severity::Alert,
                    "[t.cfg:1] : 'server b/s' : no method found to resolve address 'nohost.invalid'."
                        .to_owned(),
                ),
            ),
            (
                "server s _http._tcp.x init-addr libc",
                (
                    Severity::Alert,
                    "[t.cfg:1] : 'server b/s' : no method found to resolve address '_http._tcp.x'."
                        .to_owned(),
                ),
            ),
        ] {
            let (ips, reports) = resolve_all(&[line], &CommandLine::default());
            assert_eq!((ips, reports), (vec![None], vec![first, end.clone()]), "{line}");
        }
        let both = [
            "server s nohost.invalid:80",
            "server t both.test:80",
            "server u nohost.invalid:80",
        ];
        let (ips, reports) = resolve_all(&both, &CommandLine::default());
        assert_eq!((ips, reports.len()), (vec![None, ip("::1"), None], 3));
    }

    #[test]
    fn ways_out() {
        let notice = |end: &str| {
            let text =
                format!("[t.cfg:1] : 'server b/s' : could not resolve address 'nohost.invalid', {end}");
            vec![(Severity::Notice, text)]
        };
        let tolerant = CommandLine {
            ignore_unresolved: true,
            ..CommandLine::default()
        };
        let plain = CommandLine::default();
        for (line, cmdline, expected) in [
            (
                "server s nohost.invalid:80 init-addr libc,none",
                &plain,
                (None, notice("disabling server.")),
            ),
            (
                "server s nohost.invalid:80 init-addr none,libc",
                &plain,
                (None, vec![]),
            ),
            (
                "server s nohost.invalid:80 init-addr libc,127.0.0.9",
                &plain,
                (ip("127.0.0.9"), notice("falling back to configured address.")),
            ),
            (
                "server s nohost.invalid:80",
                &tolerant,
                (None, notice("disabling server.")),
            ),
            (
                "server s nohost.invalid:80 init-addr libc",
                &tolerant,
                (None, notice("disabling server.")),
            ),
            ("server s _x._tcp.y:80", &tolerant, (None, vec![])),
        ] {
            let (ips, reports) = resolve_all(&[line], cmdline);
            assert_eq!((ips[0], reports), expected, "{line}");
        }
    }

    #[test]
    fn disabled_proxies_are_left_alone() {
        let (ips, reports) = resolve_all(
            &["disabled", "server s nohost.invalid:80"],
            &CommandLine::default(),
        );
        assert_eq!((ips, reports), (vec![None], vec![]));
    }
}
