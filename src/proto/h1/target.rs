//! Request targets and authorities: forms, ports, and whether target and `Host` agree.
//!
//! The host that rules, logs and the server see must be one and the same, so that a request whose absolute
//! target and `Host` differ is refused; a default port on either side makes no difference.
//! Source: RFC 9112 sections 3.2 and 3.3, RFC 9110 section 4.2.3; verdicts as HAProxy 3.4.0 gives them.

/// Form of a request target, as far as its first byte tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing (HTTP/0.9 without a target).
    Empty,
    /// `*`
    Asterisk,
    /// `/path`
    Origin,
    /// `scheme://authority/path`, or an authority alone.
    AbsoluteOrAuthority,
}

impl Form {
    /// Tells the form of `target`.
    pub fn of(target: &[u8]) -> Self {
        match target.first() {
            None => Self::Empty,
            Some(b'*') => Self::Asterisk,
            Some(b'/') => Self::Origin,
            Some(_) => Self::AbsoluteOrAuthority,
        }
    }
}

/// The parts of a target of the form [`Form::AbsoluteOrAuthority`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// `scheme://`, or nothing for an authority alone.
    pub scheme: Option<&'a [u8]>,
    /// Host and port, without user information.
    pub authority: &'a [u8],
    /// What follows the authority: path, query.
    pub path: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits `target`.
    pub fn of(target: &'a [u8]) -> Self {
        let scheme_len = scheme_len(target);
        let (scheme, rest) = target.split_at(scheme_len);
        let path_at = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let host_at = authority
            .iter()
            .rposition(|&byte| byte == b'@')
            .map_or(0, |at| at + 1);
        Self {
            scheme: (scheme_len > 0).then_some(scheme),
            authority: authority.get(host_at..).unwrap_or_default(),
            path,
        }
    }
}

/// Length of `scheme://` at the front, 0 without one.
fn scheme_len(target: &[u8]) -> usize {
    if !target.first().is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    let name = target
        .iter()
        .position(|&byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
        .unwrap_or(target.len());
    if target.get(name..).is_some_and(|rest| rest.starts_with(b"://")) {
        name + 3
    } else {
        0
    }
}

/// Splits `host:port`. No port when there is no colon before the final digits; an empty one when the colon
/// comes last.
pub fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let digits = authority
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match authority.len().checked_sub(digits + 1) {
        Some(colon) if authority.get(colon) == Some(&b':') => {
            let (host, port) = authority.split_at(colon);
            (host, port.get(1..))
        }
        _ => (authority, None),
    }
}

/// Whether `port` goes without saying for this `scheme://` (for either of http and https without one).
pub fn is_default_port(scheme: Option<&[u8]>, port: &[u8]) -> bool {
    let https = scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(b"https://"));
    let http = scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(b"http://"));
    port.is_empty() || (https && port == b"443") || (http && port == b"80")
}

/// Whether an authority holds a byte that would make it mean different things to different readers. Brackets
/// may only enclose the whole host; a comma is refused since `Host` lists would be ambiguous.
pub fn has_forbidden_byte(authority: &[u8]) -> bool {
    let mut open = false;
    for (at, &byte) in authority.iter().enumerate() {
        let bad = match byte {
            0..=0x20 | 0x7f..=0xff | b',' | b'#' | b'/' | b'?' | b'@' | b'\\' => true,
            b'[' => at != 0,
            b']' => !matches!(authority.get(at + 1), None | Some(b':')),
            _ => false,
        };
        if bad {
            return true;
        }
        if matches!(byte, b'[' | b']') {
            open = !open;
        }
    }
    open
}

/// What is wrong with a target and its `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Target,
    Host,
}

/// Checks the authority of a CONNECT request. Gives the length to which `Host` is cut when its port goes
/// without saying.
pub(crate) fn check_connect(authority: &[u8], host: Option<&[u8]>) -> Result<Option<usize>, Mismatch> {
    let (uri_host, Some(uri_port)) = split_port(authority) else {
        return Err(Mismatch::Target);
    };
    if uri_port.is_empty() {
        return Err(Mismatch::Target);
    }
    let Some(field) = host else { return Ok(None) };
    let (name, port) = split_port(field);
    let default = is_default_port(None, uri_port);
    let same_port = match port {
        Some(port) if !port.is_empty() => port == uri_port,
        _ => default,
    };
    if !same_port || !name.eq_ignore_ascii_case(uri_host) {
        return Err(Mismatch::Host);
    }
    let cut = default && port.is_some_and(|port| !port.is_empty());
    Ok(cut.then_some(name.len()))
}

/// Whether `Host` names the authority of an absolute target.
pub(crate) fn same_authority(scheme: &[u8], authority: &[u8], host: &[u8]) -> bool {
    if authority.eq_ignore_ascii_case(host) {
        return true;
    }
    let (uri_host, uri_port) = split_port(authority);
    let (name, port) = split_port(host);
    if uri_port.is_none() && port.is_none() {
        return false;
    }
    let harmless = |port: Option<&[u8]>| port.is_none_or(|port| is_default_port(Some(scheme), port));
    harmless(uri_port) && harmless(port) && uri_host.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_absolute_targets() {
        let parts = Parts::of(b"http://user@h.example:80/p?q");
        assert_eq!(parts.scheme, Some(&b"http://"[..]));
        assert_eq!(parts.authority, b"h.example:80");
        assert_eq!(parts.path, b"/p?q");
        let parts = Parts::of(b"h.example:443");
        assert_eq!(
            (parts.scheme, parts.authority, parts.path),
            (None, &b"h.example:443"[..], &b""[..])
        );
        assert_eq!(Parts::of(b"1http://a").scheme, None);
        assert_eq!(Parts::of(b"http:/a").scheme, None);
    }

    #[test]
    fn ports() {
        assert_eq!(split_port(b"a:80"), (&b"a"[..], Some(&b"80"[..])));
        assert_eq!(split_port(b"a:"), (&b"a"[..], Some(&b""[..])));
        assert_eq!(split_port(b"80"), (&b"80"[..], None));
        assert_eq!(split_port(b""), (&b""[..], None));
        assert_eq!(split_port(b"[::1]"), (&b"[::1]"[..], None));
        assert!(is_default_port(None, b"443") && is_default_port(Some(b"HTTP://"), b"80"));
        assert!(!is_default_port(Some(b"http://"), b"443"));
    }

    #[test]
    fn authorities() {
        for good in [&b"a"[..], b"a:80", b"[::1]", b"[::1]:80", b""] {
            assert!(!has_forbidden_byte(good), "{good:?}");
        }
        for bad in [
            &b"a,b"[..],
            b"a/b",
            b"a b",
            b"[::1",
            b"::1]",
            b"[::1]a",
            b"a[",
            b"u@h",
            b"\x80",
        ] {
            assert!(has_forbidden_byte(bad), "{bad:?}");
        }
    }

    #[test]
    fn connect_wants_a_port_and_an_agreeing_host() {
        assert_eq!(check_connect(b"h", None), Err(Mismatch::Target));
        assert_eq!(check_connect(b"h:", None), Err(Mismatch::Target));
        assert_eq!(check_connect(b"h:443", Some(b"h")), Ok(None));
        assert_eq!(check_connect(b"h:443", Some(b"H:443")), Ok(Some(1)));
        assert_eq!(check_connect(b"h:8443", Some(b"h:8443")), Ok(None));
        assert_eq!(check_connect(b"h:8443", Some(b"h")), Err(Mismatch::Host));
        assert_eq!(check_connect(b"h:80", Some(b"h:443")), Err(Mismatch::Host));
    }

    #[test]
    fn absolute_targets_and_host() {
        assert!(same_authority(b"http://", b"h", b"H"));
        assert!(same_authority(b"http://", b"h:80", b"h"));
        assert!(same_authority(b"http://", b"h", b"h:80"));
        assert!(same_authority(b"http://", b"h:", b"h:80"));
        assert!(!same_authority(b"http://", b"h", b"h:443"));
        assert!(!same_authority(b"http://", b"h:8080", b"h"));
        assert!(!same_authority(b"http://", b"h", b"i"));
    }
}
