//! The `option` rows of proxies. Source: configuration manual, chapter 4.2.
//!
//! Most options are plain switches: one entry of [`PLAIN`] says what they set, on which side they belong, and
//! whether they need `mode http`; rows and the checks of a finished proxy are made from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{based_int, leading_int, negatable, refuse};
use crate::base::addr::Family;
use crate::conf::cursor::{Arg, ArgCursor, Modifier};
use crate::conf::diag::{Code, Diag, Form, nearest};
use crate::conf::row::{Arity, Keyword, Where};
use crate::model::proxy::{ForwardFor, Forwarded, HttpMode, Network, Proxy, RestrictNames};
use crate::policy::draft::{Draft, Kind, LogStyle, Side, argument_not_supported, close_form};

use super::unsupported;

const P: Where = Where::PROXY;
const ANY: Arity = Arity::ANY;

/// A plain switch.
pub struct Plain {
    /// `option <name>`.
    pub row: &'static str,
    /// The side it belongs to.
    pub side: Side,
    /// It has a meaning in `mode http` only.
    pub http: bool,
    /// What it sets.
    pub field: fn(&mut Proxy) -> &mut bool,
    /// For the reference.
    pub doc: &'static str,
}

impl Plain {
    /// Its name, without `option`.
    pub fn name(&self) -> &'static str {
        self.row.strip_prefix("option ").unwrap_or(self.row)
    }
}

/// Shortens the table below.
const fn plain(
    row: &'static str,
    side: Side,
    http: bool,
    field: fn(&mut Proxy) -> &mut bool,
    doc: &'static str,
) -> Plain {
    Plain {
        row,
        side,
        http,
        field,
        doc,
    }
}

/// The plain switches.
pub const PLAIN: &[Plain] = &[
    plain(
        "option abortonclose",
        Side::Any,
        false,
        |p| &mut p.options.abortonclose,
        "drop a waiting request whose client left",
    ),
    plain(
        "option accept-unsafe-violations-in-http-request",
        Side::Front,
        true,
        |p| &mut p.options.unsafe_request,
        "let requests through that break the grammar in known harmful ways",
    ),
    plain(
        "option accept-unsafe-violations-in-http-response",
        Side::Back,
        true,
        |p| &mut p.options.unsafe_response,
        "let responses through that break the grammar in known harmful ways",
    ),
    plain(
        "option allbackups",
        Side::Back,
        false,
        |p| &mut p.options.allbackups,
        "use all backup servers at once instead of the first",
    ),
    plain(
        "option clitcpka",
        Side::Front,
        false,
        |p| &mut p.options.clitcpka,
        "TCP keep-alive probes towards clients",
    ),
    plain(
        "option contstats",
        Side::Front,
        false,
        |p| &mut p.options.contstats,
        "count bytes while they pass",
    ),
    plain(
        "option disable-h2-upgrade",
        Side::Front,
        true,
        |p| &mut p.options.disable_h2_upgrade,
        "never switch to HTTP/2 on a clear connection; it never is before HTTP/2 comes",
    ),
    plain(
        "option dontlog-normal",
        Side::Front,
        false,
        |p| &mut p.options.dontlog_normal,
        "log no request that went well",
    ),
    plain(
        "option dontlognull",
        Side::Front,
        false,
        |p| &mut p.options.dontlognull,
        "log no connection without data",
    ),
    plain(
        "option h1-case-adjust-bogus-client",
        Side::Front,
        false,
        |p| &mut p.options.case_adjust_client,
        "spell header names towards clients as h1-case-adjust says",
    ),
    plain(
        "option h1-case-adjust-bogus-server",
        Side::Back,
        false,
        |p| &mut p.options.case_adjust_server,
        "spell header names towards servers as h1-case-adjust says",
    ),
    plain(
        "option http-buffer-request",
        Side::Any,
        true,
        |p| &mut p.options.http_buffer_request,
        "wait for the body, up to a buffer, before going on",
    ),
    plain(
        "option http-drop-request-trailers",
        Side::Back,
        true,
        |p| &mut p.options.drop_request_trailers,
        "leave the trailers of requests out",
    ),
    plain(
        "option http-drop-response-trailers",
        Side::Front,
        true,
        |p| &mut p.options.drop_response_trailers,
        "leave the trailers of responses out",
    ),
    plain(
        "option http-ignore-probes",
        Side::Front,
        true,
        |p| &mut p.options.http_ignore_probes,
        "neither count nor answer connections that end before a request",
    ),
    plain(
        "option http-no-delay",
        Side::Any,
        true,
        |p| &mut p.options.http_no_delay,
        "send every piece at once; without effect: nothing is ever held back",
    ),
    plain(
        "option http-pretend-keepalive",
        Side::Back,
        true,
        |p| &mut p.options.pretend_keepalive,
        "announce keep-alive to the server although it will be closed",
    ),
    plain(
        "option http-use-proxy-header",
        Side::Front,
        true,
        |p| &mut p.options.use_proxy_header,
        "authenticate proxied requests as a proxy does; without effect until authentication comes",
    ),
    plain(
        "option idle-close-on-response",
        Side::Front,
        true,
        |p| &mut p.options.idle_close_on_response,
        "delay the closing of idle connections until after a response when stopping",
    ),
    plain(
        "option independent-streams",
        Side::Any,
        false,
        |p| &mut p.options.independent_streams,
        "data written does not extend the read timeout",
    ),
    plain(
        "option log-health-checks",
        Side::Back,
        false,
        |p| &mut p.options.log_health_checks,
        "log the results of checks; without effect until checks come",
    ),
    plain(
        "option log-separate-errors",
        Side::Front,
        false,
        |p| &mut p.options.log_separate_errors,
        "log failed requests as errors",
    ),
    plain(
        "option logasap",
        Side::Front,
        false,
        |p| &mut p.options.logasap,
        "log as soon as the response head is there",
    ),
    plain(
        "option nolinger",
        Side::Any,
        false,
        |p| &mut p.options.nolinger,
        "leave nothing behind when a connection is closed",
    ),
    plain(
        "option persist",
        Side::Back,
        false,
        |p| &mut p.options.persist,
        "follow a cookie even to a server that is down; without effect until cookies come",
    ),
    plain(
        "option prefer-last-server",
        Side::Back,
        true,
        |p| &mut p.options.prefer_last_server,
        "stay with the server of the last request of a connection",
    ),
    plain(
        "option socket-stats",
        Side::Front,
        false,
        |p| &mut p.options.socket_stats,
        "count per listening socket",
    ),
    plain(
        "option splice-auto",
        Side::Any,
        false,
        |p| &mut p.splice.auto,
        "splice where it pays, both directions",
    ),
    plain(
        "option splice-request",
        Side::Any,
        false,
        |p| &mut p.splice.request,
        "splice requests",
    ),
    plain(
        "option splice-response",
        Side::Any,
        false,
        |p| &mut p.splice.response,
        "splice responses",
    ),
    plain(
        "option srvtcpka",
        Side::Back,
        false,
        |p| &mut p.options.srvtcpka,
        "TCP keep-alive probes towards servers",
    ),
    plain(
        "option tcp-smart-accept",
        Side::Front,
        false,
        |p| &mut p.options.tcp_smart_accept,
        "do not acknowledge the request before the response",
    ),
    plain(
        "option tcp-smart-connect",
        Side::Back,
        false,
        |p| &mut p.options.tcp_smart_connect,
        "send the handshake's last packet along with the request",
    ),
    plain(
        "option transparent",
        Side::Back,
        false,
        |p| &mut p.transparent,
        "connect to the address the client aimed at (deprecated: use a server at 0.0.0.0)",
    ),
];

/// The rows of the plain switches.
pub const PLAIN_ROWS: [Keyword<Draft>; PLAIN.len()] = {
    const EMPTY: Keyword<Draft> = negatable("", P, ANY, set_plain, "");
    let mut rows = [EMPTY; PLAIN.len()];
    let mut at = 0;
    while at < PLAIN.len() {
        rows[at] = negatable(PLAIN[at].row, P, Arity::NONE, set_plain, PLAIN[at].doc);
        at += 1;
    }
    rows
};

/// The rows of the others.
pub const ROWS: &[Keyword<Draft>] = &[
    negatable(
        "option httpclose",
        P,
        Arity::NONE,
        |cursor, draft| http_mode(cursor, draft, HttpMode::Close),
        "close both connections after each response",
    ),
    negatable(
        "option http-server-close",
        P,
        Arity::NONE,
        |cursor, draft| http_mode(cursor, draft, HttpMode::ServerClose),
        "close the server's connection after each response",
    ),
    negatable(
        "option http-keep-alive",
        P,
        Arity::NONE,
        |cursor, draft| http_mode(cursor, draft, HttpMode::KeepAlive),
        "keep both connections (default)",
    ),
    negatable(
        "option redispatch",
        P,
        ANY,
        redispatch,
        "let a retry choose another server: always, or at every so many retries",
    ),
    negatable(
        "option httplog",
        P,
        Arity::at_most(1),
        |cursor, draft| {
            let style = if clf(cursor)? {
                LogStyle::HttpClf
            } else {
                LogStyle::Http
            };
            log_style(cursor, draft, style)
        },
        "log requests in HAProxy's HTTP format, or in Apache's with 'clf'",
    ),
    negatable(
        "option tcplog",
        P,
        Arity::at_most(1),
        |cursor, draft| {
            let style = if clf(cursor)? {
                LogStyle::TcpClf
            } else {
                LogStyle::Tcp
            };
            log_style(cursor, draft, style)
        },
        "log connections in HAProxy's TCP format, or in one like Apache's with 'clf'",
    ),
    negatable(
        "option httpslog",
        P,
        ANY,
        |cursor, draft| {
            only_set(cursor)?;
            log_style(cursor, draft, LogStyle::Https)?;
            let _ = cursor.rest();
            Ok(())
        },
        "log requests in HAProxy's HTTPS format",
    ),
    negatable(
        "option tcpka",
        P,
        Arity::NONE,
        |cursor, draft| {
            only_set(cursor)?;
            let caps = draft.proxy.caps();
            draft.proxy.settings.options.clitcpka |= caps.frontend;
            draft.proxy.settings.options.srvtcpka |= caps.backend;
            Ok(())
        },
        "TCP keep-alive probes towards clients and servers",
    ),
    negatable(
        "option forwardfor",
        P,
        ANY,
        |cursor, draft| {
            only_set(cursor)?;
            draft.proxy.settings.forwardfor = Some(forward_for(cursor, draft, "X-Forwarded-For", true)?);
            Ok(())
        },
        "add the client's address to requests: except <network>, header <name>, if-none",
    ),
    negatable(
        "option originalto",
        P,
        ANY,
        |cursor, draft| {
            only_set(cursor)?;
            draft.proxy.settings.originalto = Some(forward_for(cursor, draft, "X-Original-To", false)?);
            Ok(())
        },
        "add the address the client aimed at to requests: except <network>, header <name>",
    ),
    negatable(
        "option forwarded",
        P,
        ANY,
        forwarded,
        "add an RFC 7239 Forwarded header: proto, host, by, by_port, for, for_port",
    ),
    negatable(
        "option http-restrict-req-hdr-names",
        P,
        Arity::at_most(1),
        |cursor, draft| {
            only_set(cursor)?;
            let Some(word) = cursor.next() else {
                let text = "missing parameter. option 'http-restrict-req-hdr-names' expects 'preserve', 'reject' or \
                        'delete' option.";
                return Err(cursor.error_here(Code::MissingArgument, text));
            };
            draft.proxy.settings.restrict_names = if word.is("preserve") {
                RestrictNames::Preserve
            } else if word.is("reject") {
                RestrictNames::Reject
            } else if word.is("delete") {
                RestrictNames::Delete
            } else {
                let text = format!(
                    "invalid parameter '{word}'. option 'http-restrict-req-hdr-names' expects 'preserve', 'reject' or \
                 'delete' option."
                );
                return Err(cursor.error_last(Code::BadChoice, text));
            };
            Ok(())
        },
        "what becomes of header names with other characters than letters, digits and '-': preserve, reject or delete",
    ),
    negatable(
        "option accept-invalid-http-request",
        P,
        Arity::NONE,
        |cursor, draft| {
            violations(cursor, draft, Side::Front, "request", |p| {
                &mut p.options.unsafe_request
            })
        },
        "deprecated name of accept-unsafe-violations-in-http-request",
    ),
    negatable(
        "option accept-invalid-http-response",
        P,
        Arity::NONE,
        |cursor, draft| {
            violations(cursor, draft, Side::Back, "response", |p| {
                &mut p.options.unsafe_response
            })
        },
        "deprecated name of accept-unsafe-violations-in-http-response",
    ),
    negatable(
        "option use-small-buffers",
        P,
        ANY,
        |cursor, draft| {
            if !draft.proxy.has_side(cursor, Side::Back, "use-small-buffers", "") {
                let _ = cursor.rest();
                return Ok(());
            }
            while let Some(word) = cursor.next() {
                if !["queue", "l7-retries", "check"]
                    .iter()
                    .any(|known| word.is(known))
                {
                    let text = format!(
                        "invalid parameter '{word}'. option 'use-small-buffers' expects 'queue', 'l7-retries' or 'check' \
                     value."
                    );
                    return Err(cursor.error_last(Code::BadChoice, text));
                }
            }
            Ok(())
        },
        "accepted without effect: waiting requests keep the part of a buffer they fill",
    ),
    negatable(
        "option forceclose",
        P,
        ANY,
        |cursor, _| {
            let text = "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, or use \
                    'option httpclose' if absolutely needed.";
            Err(cursor.error(Code::Deprecated, text))
        },
        "removed: use 'option httpclose'",
    ),
    negatable(
        "option http-tunnel",
        P,
        ANY,
        |cursor, _| {
            let text = "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it \
                    shouldn't be needed.";
            Err(cursor.error(Code::Deprecated, text))
        },
        "removed",
    ),
    negatable(
        "option http_proxy",
        P,
        ANY,
        |cursor, _| {
            let text = "option 'http_proxy' is not supported any more since HAProxy 2.5.";
            let help = "rules with 'http-request set-dst' and 'http-request set-uri' do the same";
            Err(cursor.error(Code::Deprecated, text).with_help(help))
        },
        "removed: use 'http-request set-dst'",
    ),
    negatable("option", P, ANY, unknown, "a setting by name"),
];

/// Any option without a row of its own.
fn unknown(cursor: &mut ArgCursor<'_>, _: &mut Draft) -> Result<(), Diag> {
    let Some(word) = cursor.next() else {
        return Err(cursor.error_here(Code::MissingArgument, "'option' expects an option name."));
    };
    if unsupported::OPTIONS.iter().any(|known| word.is(known)) {
        return Err(argument_not_supported(cursor, &format!("option '{word}'")));
    }
    let names = ROWS
        .iter()
        .map(|row| row.name)
        .chain(PLAIN.iter().map(|plain| plain.row));
    let names = names.filter_map(|name| name.strip_prefix("option "));
    let text = match nearest(word.bytes(), names.chain(unsupported::OPTIONS.iter().copied())) {
        Some(best) => format!("unknown option '{word}'; did you mean '{best}' maybe ?"),
        None => format!("unknown option '{word}'."),
    };
    Err(cursor.error_last(Code::UnknownKeyword, text))
}

/// Sets, refuses or forgets a plain switch.
fn set_plain(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let plain = PLAIN.iter().find(|plain| plain.row == keyword);
    let plain = plain.expect("rows of this fn are made from the same table");
    let proxy = &mut draft.proxy;
    if !plain.side.within(proxy.caps()) {
        // HAProxy does not find the option there, and says so.
        let text = format!(
            "unknown option '{}' in {} '{}'.",
            plain.name(),
            proxy.kind.noun(),
            proxy.name()
        );
        let side = if plain.side == Side::Back {
            "backend"
        } else {
            "frontend"
        };
        let help = format!("it needs a section with {side} capability");
        return Err(cursor.error(Code::WrongSection, text).with_help(help));
    }
    *(plain.field)(&mut proxy.settings) = cursor.modifier() == Modifier::Set;
    let refused = cursor.modifier() == Modifier::No;
    match plain.name() {
        "abortonclose" => proxy.settings.options.no_abortonclose = refused,
        "tcp-smart-accept" => proxy.refused.tcp_smart_accept = refused,
        "transparent" if !draft.global.deprecated => {
            let text = "option 'transparent' is deprecated in 3.3 and will be removed in 3.5.";
            let help = "a server with address 0.0.0.0 does the same; 'expose-deprecated-directives' in 'global' \
                        silences this";
            cursor.note(close_form(
                Diag::warning(Code::Deprecated, cursor.keyword_span(), text).with_help(help),
            ));
        }
        _ => {}
    }
    Ok(())
}

/// Refuses `no` and `default`.
fn only_set(cursor: &ArgCursor<'_>) -> Result<(), Diag> {
    if cursor.modifier() == Modifier::Set {
        return Ok(());
    }
    let keyword = cursor.keyword();
    let name = keyword.strip_prefix("option ").unwrap_or(&keyword);
    let text = format!("negation/default is not supported for option '{name}'.");
    Err(cursor.error(Code::BadModifier, text))
}

fn http_mode(cursor: &ArgCursor<'_>, draft: &mut Draft, mode: HttpMode) -> Result<(), Diag> {
    let settings = &mut draft.proxy.settings;
    match cursor.modifier() {
        Modifier::Set => settings.http_mode = mode,
        Modifier::No if settings.http_mode == mode => settings.http_mode = HttpMode::default(),
        Modifier::No => {}
        Modifier::Default => only_set(cursor)?,
    }
    Ok(())
}

fn redispatch(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let interval = cursor.next().map(|word| leading_int(word.bytes()));
    let _ = cursor.rest();
    if !draft.proxy.has_side(cursor, Side::Back, "redispatch", "") {
        return Ok(());
    }
    let bounds = i64::from(i32::MIN)..=i64::from(i32::MAX);
    draft.proxy.settings.redispatch_interval = match (cursor.modifier(), interval) {
        (Modifier::Set, None) => Some(-1),
        (Modifier::Set, Some(0)) | (Modifier::No | Modifier::Default, _) => None,
        // Within i32 by the clamp.
        (Modifier::Set, Some(interval)) => Some(interval.clamp(*bounds.start(), *bounds.end()) as i32),
    };
    Ok(())
}

/// Whether the argument `clf` follows.
fn clf(cursor: &mut ArgCursor<'_>) -> Result<bool, Diag> {
    only_set(cursor)?;
    match cursor.next() {
        None => Ok(false),
        Some(word) if word.is("clf") => Ok(true),
        Some(_) => {
            let keyword = cursor.keyword();
            let name = keyword.strip_prefix("option ").unwrap_or(&keyword);
            let text = format!("keyword '{name}' only supports option 'clf'.");
            Err(cursor.error_last(Code::BadChoice, text))
        }
    }
}

/// Sets the format of log lines, with the warnings about the one it replaces and about backends.
pub(super) fn log_style(cursor: &mut ArgCursor<'_>, draft: &mut Draft, style: LogStyle) -> Result<(), Diag> {
    let proxy = &mut draft.proxy;
    let span = cursor.line_span();
    if let Some((old, _)) = proxy.log_style.as_ref().filter(|_| proxy.kind == Kind::Defaults) {
        let text = format!(
            "'{}' overrides previous '{}' in 'defaults' section.",
            style.statement(),
            old.statement()
        );
        cursor.note(Diag::warning(Code::Overwritten, span, text).with_form(Form::Reader));
    }
    proxy.log_style = Some((style, span));
    if !proxy.caps().frontend {
        let text = format!(
            "backend '{}' : '{}' directive is ignored in backends.",
            proxy.name(),
            cursor.keyword()
        );
        cursor.note(Diag::warning(Code::Ignored, span, text));
    }
    Ok(())
}

fn violations(
    cursor: &mut ArgCursor<'_>,
    draft: &mut Draft,
    side: Side,
    message: &str,
    field: fn(&mut Proxy) -> &mut bool,
) -> Result<(), Diag> {
    only_set(cursor)?;
    let name = format!("accept-invalid-http-{message}");
    if !draft.proxy.has_side(cursor, side, &name, "") {
        return Ok(());
    }
    let text = format!(
        "option '{name}' is deprecated. please use 'option accept-unsafe-violations-in-http-{message}' if absolutely \
         needed."
    );
    cursor.note(close_form(Diag::warning(
        Code::Deprecated,
        cursor.keyword_span(),
        text,
    )));
    *field(&mut draft.proxy.settings) = true;
    Ok(())
}

/// The arguments of `forwardfor` and `originalto`.
fn forward_for(
    cursor: &mut ArgCursor<'_>,
    draft: &Draft,
    header: &str,
    if_none_allowed: bool,
) -> Result<ForwardFor, Diag> {
    let keyword = cursor.keyword();
    let mut found = ForwardFor {
        header: header.into(),
        except: None,
        if_none: false,
    };
    while let Some(word) = cursor.next() {
        if word.is("except") {
            let text = || format!("'{keyword} except' expects <address>[/mask] as argument.");
            let Some(argument) = cursor.next() else {
                return Err(cursor.error_here(Code::MissingArgument, text()));
            };
            match network(argument, draft) {
                Ok(network) => found.except = Some(network),
                Err(Gap) => return Err(argument_not_supported(cursor, "a mask with gaps")),
                Err(Wrong) => return Err(cursor.error_last(Code::BadAddress, text())),
            }
        } else if word.is("header") {
            let Some(name) = cursor.next() else {
                let text = format!("'{keyword} header' expects <header_name> as argument.");
                return Err(cursor.error_here(Code::MissingArgument, text));
            };
            found.header = name.text().into();
        } else if if_none_allowed && word.is("if-none") {
            found.if_none = true;
        } else {
            let list = if if_none_allowed {
                "'except', 'header' and 'if-none'"
            } else {
                "'except' and 'header'"
            };
            let text = format!("'{keyword}' only supports optional values: {list}.");
            return Err(cursor.error_last(Code::BadChoice, text));
        }
    }
    Ok(found)
}

/// Why a text is no network.
enum BadNetwork {
    /// Its mask is none that a prefix length can say.
    Gap,
    /// Anything else.
    Wrong,
}
use BadNetwork::{Gap, Wrong};

/// `<address or name>[/<bits or IPv4 mask>]`; only the bits under the mask are kept.
fn network(word: &Arg, draft: &Draft) -> Result<Network, BadNetwork> {
    let text = word.as_str().ok_or(Wrong)?;
    let (host, mask) = match text.rsplit_once('/') {
        Some((host, mask)) => (host, Some(mask)),
        None => (text, None),
    };
    let bits_up_to = |max: u8, mask: &str| match based_int(mask.as_bytes()) {
        Ok(bits) if !mask.is_empty() && (0..=i64::from(max)).contains(&bits) => Ok(bits as u8),
        _ => Err(Wrong),
    };
    if let Ok(ip) = host.parse::<Ipv6Addr>() {
        let prefix_bits = mask.map_or(Ok(128), |mask| bits_up_to(128, mask))?;
        let bits = u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
        return Ok(Network {
            ip: IpAddr::V6(Ipv6Addr::from(bits)),
            prefix_bits,
        });
    }
    let ip = match host.parse::<Ipv4Addr>() {
        Ok(ip) => ip,
        Err(_) => match draft.host.resolve(host, Family::V4, true).first() {
            Some(IpAddr::V4(ip)) => *ip,
            _ => return Err(Wrong),
        },
    };
    let prefix_bits = match mask {
        None => 32,
        Some(mask) if mask.contains('.') => {
            let mask = u32::from(mask.parse::<Ipv4Addr>().map_err(|_| Wrong)?);
            if mask.leading_ones() != mask.count_ones() {
                return Err(Gap);
            }
            // At most 32.
            mask.count_ones() as u8
        }
        Some(mask) => bits_up_to(32, mask)?,
    };
    let bits = u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
    Ok(Network {
        ip: IpAddr::V4(Ipv4Addr::from(bits)),
        prefix_bits,
    })
}

fn forwarded(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    match cursor.modifier() {
        Modifier::No => {
            let _ = cursor.rest();
            draft.proxy.settings.forwarded = None;
            return Ok(());
        }
        Modifier::Default => only_set(cursor)?,
        Modifier::Set => {}
    }
    if !draft.proxy.has_side(cursor, Side::Back, "option forwarded", "") {
        let _ = cursor.rest();
        return Ok(());
    }
    let mut found = Forwarded::default();
    if cursor.peek().is_none() {
        (found.proto, found.for_) = (true, true);
    }
    while let Some(word) = cursor.next() {
        let field = match &*word.text() {
            "proto" => &mut found.proto,
            "host" => &mut found.host,
            "by" => &mut found.by,
            "by_port" => &mut found.by_port,
            "for" => &mut found.for_,
            "for_port" => &mut found.for_port,
            "host-expr" | "by-expr" | "by_port-expr" | "for-expr" | "for_port-expr" => {
                return Err(argument_not_supported(
                    cursor,
                    &format!("'option forwarded {word}'"),
                ));
            }
            _ => {
                let text = "'option forwarded' only supports optional values: 'proto', 'host', 'host-expr', 'by', \
                            'by-expr', 'by_port', 'by_port-expr', 'for', 'for-expr', 'for_port' and 'for_port-expr'.";
                return Err(refuse(cursor, text));
            }
        };
        *field = true;
    }
    for (port, node, name) in [
        (&mut found.by_port, found.by, "by"),
        (&mut found.for_port, found.for_, "for"),
    ] {
        if *port && !node {
            *port = false;
            let text = format!(
                "'option forwarded' : '{name}_port' will be ignored because both '{name}' and '{name}-expr' are unset"
            );
            cursor.note(Diag::warning(Code::Ignored, cursor.line_span(), text));
        }
    }
    draft.proxy.settings.forwarded = Some(found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::source::{Sources, Span};
    use crate::policy::draft::tests::draft;

    fn net(text: &str) -> Option<(String, u8)> {
        let mut sources = Sources::new();
        let file = sources.add(b"t.cfg", text.as_bytes().to_vec()).expect("small");
        let word = Arg::plain(text.as_bytes(), Span::new(file, 0, text.len() as u32));
        let network = network(&word, &draft()).ok()?;
        Some((network.ip.to_string(), network.prefix_bits))
    }

    #[test]
    fn networks() {
        assert_eq!(net("10.1.2.3/8"), Some(("10.0.0.0".into(), 8)));
        assert_eq!(net("10.1.2.3"), Some(("10.1.2.3".into(), 32)));
        assert_eq!(net("10.1.2.3/255.255.0.0"), Some(("10.1.0.0".into(), 16)));
        assert_eq!(net("10.1.2.3/255.0.255.0"), None);
        assert_eq!(net("10.1.2.3/33"), None);
        assert_eq!(net("10.1.2.3/0"), Some(("0.0.0.0".into(), 0)));
        assert_eq!(net("fe80::1/10"), Some(("fe80::".into(), 10)));
        assert_eq!(net("localhost/24"), Some(("127.0.0.0".into(), 24)));
        assert_eq!(net("nowhere"), None);
    }
}
