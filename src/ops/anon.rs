//! `-dC` with a key: what a line of configuration may tell somebody else.
//!
//! Names and addresses become hashes that a dump of the runtime socket under the same key shares, what may be
//! confidential is cut. Source: management manual, "Starting HAProxy" (`-dC`) and "set anon"; runs of 3.4.0 for the
//! keywords.

use std::net::IpAddr;

use crate::base::addr::Target;
use crate::base::hash::xxh32;
use crate::conf::addr::{Names, PortRule, Rules, Sockets, parse};
use crate::conf::env::Env;

/// What becomes of an argument.
#[derive(Clone, Copy)]
enum Show {
    /// It stays.
    Word,
    /// `ID(hash)`.
    Id,
    /// `PATH(hash)`.
    Path,
    /// The hash alone.
    Hash,
    /// An address: what stands for this machine stays.
    Addr,
}

/// What becomes of a line.
struct Rule {
    keyword: &'static [&'static str],
    args: &'static [Show],
    /// Further arguments leave no trace.
    ends: bool,
}

const fn open(keyword: &'static [&'static str], args: &'static [Show]) -> Rule {
    Rule {
        keyword,
        args,
        ends: false,
    }
}

const fn closed(keyword: &'static [&'static str], args: &'static [Show]) -> Rule {
    Rule {
        keyword,
        args,
        ends: true,
    }
}

use Show::{Addr, Hash, Id, Path, Word};

/// The first that matches counts. Other lines show three words.
const RULES: &[Rule] = &[
    closed(&["maxconn"], &[Word]),
    closed(&["stats", "timeout"], &[Word]),
    closed(&["stats", "maxconn"], &[Word]),
    open(&["stats", "socket"], &[Addr]),
    closed(&["stats", "auth"], &[Hash]),
    closed(&["timeout"], &[Word, Word]),
    closed(&["mode"], &[Word]),
    open(&["user"], &[Id]),
    open(&["bind"], &[Addr]),
    open(&["server"], &[Id, Addr]),
    open(&["redirect", "prefix"], &[Path]),
    open(&["redirect", "location"], &[Path]),
    open(&["redirect"], &[Word, Word]),
    open(&["acl"], &[Id, Word]),
    open(&["log", "global"], &[]),
    open(&["log"], &[Addr]),
    open(&["peer"], &[Id, Addr]),
    open(&["use_backend"], &[Id]),
    closed(&["default_backend"], &[Id]),
    open(&["source"], &[Addr]),
    open(&["nameserver"], &[Id, Addr]),
    open(&["http-request"], &[Word]),
    open(&["http-response"], &[Word]),
    open(&["http-after-response"], &[Word]),
    open(&["filter"], &[Word]),
    closed(&["errorfile"], &[Word, Path]),
    open(&["cookie"], &[Id, Word]),
    open(&["anonkey"], &[]),
];

/// Words shown of a line that no rule is for.
const SHOWN: usize = 3;
const CUT: &[u8] = b"[...]";

/// Any address, whatever the statement would take.
const ANY: Rules = Rules {
    names: Names::Later,
    port: PortRule::Optional,
    port_range: true,
    port_offset: true,
    fd: true,
    sockets: Sockets::StreamOrDatagram,
};

fn hash(key: u32, bytes: &[u8]) -> String {
    format!("{:06x}", xxh32(bytes, key) & 0x00ff_ffff)
}

/// The hash within a name of its kind; nothing stays nothing.
fn hidden(key: u32, bytes: &[u8], kind: &str) -> Vec<u8> {
    match (bytes, kind) {
        (b"" | b" ", _) => bytes.to_vec(),
        (_, "") => hash(key, bytes).into_bytes(),
        _ => format!("{kind}({})", hash(key, bytes)).into_bytes(),
    }
}

fn address(key: u32, bytes: &[u8]) -> Vec<u8> {
    let stays = [&b"localhost"[..], b"stdout", b"stderr"].contains(&bytes)
        || bytes.starts_with(b"fd@")
        || bytes.starts_with(b"sockpair@");
    if stays {
        return bytes.to_vec();
    }
    let Ok(addr) = parse(bytes, &ANY, b"", &Env::new()) else {
        return hidden(key, bytes, "");
    };
    let (ip, ports) = match &addr.target {
        Target::Ip { ip, ports } => (*ip, *ports),
        // The name of this machine tells nothing; others are not looked up.
        Target::Name { host, .. } if &**host == "localhost" => return bytes.to_vec(),
        _ => return hidden(key, bytes, ""),
    };
    let text = ip.to_string();
    let (kind, local) = match ip {
        IpAddr::V4(ip) => (
            "IPV4",
            matches!(ip.octets()[0], 127 | 255) || text.starts_with('0'),
        ),
        IpAddr::V6(ip) => ("IPV6", ip.is_loopback()),
    };
    if local {
        return bytes.to_vec();
    }
    let port = match ports {
        crate::base::addr::Ports::Offset(offset) => offset,
        other => i32::from(other.low()),
    };
    let mut shown = hidden(key, text.as_bytes(), kind);
    if port != 0 {
        shown.extend_from_slice(format!(":{port}").as_bytes());
    }
    shown
}

fn shown(key: u32, bytes: &[u8], how: Show) -> Vec<u8> {
    match how {
        Word => bytes.to_vec(),
        Id => hidden(key, bytes, "ID"),
        Path => hidden(key, bytes, "PATH"),
        Hash => hidden(key, bytes, ""),
        Addr => address(key, bytes),
    }
}

/// A line that opens a section, without LF.
pub(super) fn header(key: u32, words: &[&[u8]]) -> Vec<u8> {
    let shown: Vec<Vec<u8>> = (words.iter().take(2).enumerate())
        .map(|(index, word)| shown(key, word, if index == 0 { Word } else { Id }))
        .collect();
    shown.join(&b' ')
}

/// Another line, without LF.
pub(super) fn line(key: u32, words: &[&[u8]]) -> Vec<u8> {
    let is_for = |rule: &&Rule| {
        rule.keyword.len() <= words.len()
            && rule
                .keyword
                .iter()
                .zip(words)
                .all(|(name, word)| name.as_bytes() == *word)
    };
    let rule = RULES.iter().find(is_for);
    let (keyword, args, ends) = rule.map_or((SHOWN, &[][..], false), |rule| {
        (rule.keyword.len(), rule.args, rule.ends)
    });
    let hows = std::iter::repeat_n(Word, keyword).chain(args.iter().copied());
    let mut out: Vec<Vec<u8>> = words
        .iter()
        .zip(hows)
        .map(|(word, how)| shown(key, word, how))
        .collect();
    if !ends {
        out.push(if words.len() > keyword + args.len() {
            CUT.to_vec()
        } else {
            Vec::new()
        });
    }
    out.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> String {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        String::from_utf8(line(77, &words)).unwrap()
    }

    /// Recorded from HAProxy 3.4.0 under `-dC77`.
    #[test]
    fn as_haproxy_hides_them() {
        for (line, expected) in [
            ("log 10.0.0.1:514 local0", "log IPV4(076036):514 [...]"),
            ("log stdout format raw local0", "log stdout [...]"),
            ("bind 10.1.2.3:80,:81 name x", "bind eb8d8a [...]"),
            ("bind 127.0.0.1:443", "bind 127.0.0.1:443 "),
            ("bind [::1]:80", "bind [::1]:80 "),
            ("bind [2001:db8::1]:80", "bind IPV6(e78f13):80 "),
            ("bind mptcp@10.1.2.3:80", "bind IPV4(fe0374):80 "),
            ("bind *:80", "bind *:80 "),
            ("bind /tmp/s", "bind 7740be "),
            ("bind abns@x", "bind a86eaa "),
            ("bind :8000-8010", "bind :8000-8010 "),
            ("default_backend b", "default_backend ID(d05201)"),
            ("acl x path a b", "acl ID(7e9e96) path [...]"),
            ("errorfile 503 /etc/x", "errorfile 503 PATH(c8955e)"),
            ("stats auth a:b", "stats auth 6fa1a1"),
            ("stats timeout 3s", "stats timeout 3s"),
            (
                "redirect prefix /a code 301",
                "redirect prefix PATH(30d6bf) [...]",
            ),
            ("cookie SRV insert indirect", "cookie ID(a3734e) insert [...]"),
            ("server s1 10.0.0.1 check", "server ID(bf704a) IPV4(076036) [...]"),
            ("server s2 localhost:80", "server ID(f5744f) localhost:80 "),
            ("server s3 www.example.com:80", "server ID(bc52d1) 8dbede "),
            ("server s4 10.0.0.2:+80", "server ID(edce93) IPV4(221dc9):80 "),
            ("source 0.0.0.0 usesrc clientip", "source 0.0.0.0 [...]"),
            ("option httpchk GET / a b", "option httpchk GET [...]"),
            ("timeout connect 4s extra", "timeout connect 4s"),
            ("user joe password x", "user ID(8caf03) [...]"),
            (
                "nameserver dns 10.0.0.4:53",
                "nameserver ID(2f8548) IPV4(4e4de7):53 ",
            ),
            ("frobnicate a b c d", "frobnicate a b [...]"),
        ] {
            assert_eq!(text(line), expected, "{line}");
        }
        assert_eq!(header(77, &[b"frontend", b"f"]), b"frontend ID(3880f5)");
        assert_eq!(header(77, &[b"defaults"]), b"defaults");
    }
}
