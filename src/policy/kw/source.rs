//! `source`: the local address of connections to servers, for a proxy and for one server.
//!
//! Source: configuration manual, `source` in chapters 4.2 and 5.2; the wording of the refusals differs between the
//! two places as it does in HAProxy 3.4.0.

use std::net::SocketAddr;
use std::sync::Arc;

use super::bind::resolve_now;
use super::server_options::ServerLine;
use super::words::Fault;
use crate::base::addr::{Addr, Ports, Target};
use crate::conf::addr::{Rules, parse};
use crate::conf::cursor::{Arg, ArgCursor};
use crate::conf::diag::{Code, Diag};
use crate::model::server::{Source, UseSrc};
use crate::policy::draft::{Draft, Side};

/// An IP address with one port, or with none and a range.
struct Fixed {
    addr: SocketAddr,
    ports: Option<(u16, u16)>,
}

/// What is wrong with one of the arguments.
enum Wrong<'c> {
    /// The address that follows is none.
    Address(&'c Arg, Code, String),
    /// Nothing follows `usesrc`.
    NoUseSrc,
    /// `usesrc hdr_ip(...)`.
    Header,
    /// Nothing follows `interface`.
    NoInterface,
}

/// `source` of a proxy.
pub(super) fn of_proxy(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if !draft.proxy.has_side(cursor, Side::Back, "source", "") {
        let _ = cursor.rest();
        return Ok(());
    }
    let Some(word) = cursor.next() else {
        let text =
            "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>.";
        return Err(cursor.error_here(Code::MissingArgument, text));
    };
    let read = address(word, &Rules::SOURCE, draft)
        .map_err(|(code, text)| Wrong::Address(word, code, format!("'source {word}' : {text}")))
        .and_then(|mut source| options(cursor, draft, &mut source).map(|()| source));
    let source = read.map_err(|wrong| match wrong {
        Wrong::Address(word, code, text) => Diag::alert(code, word.span(), text),
        Wrong::NoUseSrc => {
            let text = "'usesrc' expects <addr>[:<port>], 'client', or 'clientip' as argument.";
            cursor.error_here(Code::MissingArgument, text)
        }
        Wrong::Header => cursor.error_last(Code::NotSupported, "'usesrc hdr_ip' is not supported yet."),
        Wrong::NoInterface => cursor.error_here(Code::MissingArgument, "'source' : missing interface name."),
    })?;
    if let Some(word) = cursor.next() {
        let text = "'source' only supports optional keywords 'interface' and 'usesrc'.";
        return Err(Diag::alert(Code::UnexpectedArgument, word.span(), text));
    }
    draft.proxy.settings.source = Some(source);
    Ok(())
}

/// `source` of a server: also takes a range of ports; what is no argument of it is the next option.
pub(super) fn of_server(line: &mut ServerLine<'_, '_>) -> Result<(), Fault> {
    let word = line.words.word(|name| {
        format!(
            "'{name}' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as \
             argument."
        )
    })?;
    let mut source = address(word, &Rules::SERVER_SOURCE, line.draft)
        .map_err(|(code, text)| line.words.fault(code, format!("'source {word}' : {text}")))?;
    options(line.words.cursor(), line.draft, &mut source).map_err(|wrong| {
        let (code, text) = match wrong {
            Wrong::Address(_, code, text) => (code, text),
            Wrong::NoUseSrc => (
                Code::MissingArgument,
                "'usesrc' expects <addr>[:<port>], 'client', 'clientip', or 'hdr_ip(name,#)' as argument."
                    .to_owned(),
            ),
            Wrong::Header => (
                Code::NotSupported,
                "'usesrc hdr_ip' is not supported yet.".to_owned(),
            ),
            Wrong::NoInterface => (
                Code::MissingArgument,
                "'server' : missing interface name.".to_owned(),
            ),
        };
        Fault {
            ended: true,
            ..line.words.fault(code, text)
        }
    })?;
    line.made.server.source = Some(source);
    Ok(())
}

/// `usesrc` and `interface`, in any order, up to a word that is neither.
fn options<'c>(cursor: &mut ArgCursor<'c>, draft: &Draft, source: &mut Source) -> Result<(), Wrong<'c>> {
    loop {
        if cursor.accept("usesrc") {
            let word = cursor.next().ok_or(Wrong::NoUseSrc)?;
            source.usesrc = Some(match word.bytes() {
                b"client" => UseSrc::Client,
                b"clientip" => UseSrc::ClientIp,
                bytes if bytes.starts_with(b"hdr_ip(") => return Err(Wrong::Header),
                _ => UseSrc::Fixed(
                    fixed(word, &Rules::SOURCE, draft)
                        .map_err(|(code, text)| {
                            Wrong::Address(word, code, format!("'usesrc {word}' : {text}"))
                        })?
                        .addr,
                ),
            });
        } else if cursor.accept("interface") {
            let word = cursor.next().ok_or(Wrong::NoInterface)?;
            let name: Arc<str> = word.text().into();
            source.interface = Some(name);
        } else {
            return Ok(());
        }
    }
}

fn address(word: &Arg, rules: &Rules, draft: &Draft) -> Result<Source, (Code, String)> {
    let Fixed { addr, ports } = fixed(word, rules, draft)?;
    Ok(Source {
        addr: Some(addr),
        ports,
        usesrc: None,
        interface: None,
    })
}

fn fixed(word: &Arg, rules: &Rules, draft: &Draft) -> Result<Fixed, (Code, String)> {
    let mut addr = parse(word.bytes(), rules, b"", &draft.env).map_err(|error| (error.code, error.text))?;
    resolve_now(&mut addr, draft).map_err(|host| {
        (
            Code::UnresolvedName,
            format!("invalid address: '{host}' in '{word}'"),
        )
    })?;
    let Addr {
        target: Target::Ip { ip, ports },
        ..
    } = addr
    else {
        return Err((
            Code::BadAddress,
            format!("an IP address is needed here, got '{word}'"),
        ));
    };
    Ok(match ports {
        Ports::Range(low, high) if low != high => Fixed {
            addr: SocketAddr::new(ip, 0),
            ports: Some((low, high)),
        },
        ports => Fixed {
            addr: SocketAddr::new(ip, ports.low()),
            ports: None,
        },
    })
}
