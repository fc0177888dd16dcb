//! The field names that the proxy acts on, as small numbers.
//!
//! A parser names each field once; look-ups then compare one byte.

use crate::base::ascii::lower8;

/// Header field names on which the proxy itself acts, so that a look-up compares one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Known {
    /// None of the names below.
    #[default]
    Other,
    /// `connection`
    Connection,
    /// `content-length`
    ContentLength,
    /// `expect`
    Expect,
    /// `forwarded`
    Forwarded,
    /// `host`
    Host,
    /// `proxy-authenticate`
    ProxyAuthenticate,
    /// `sec-websocket-accept`
    SecWebsocketAccept,
    /// `sec-websocket-key`
    SecWebsocketKey,
    /// `te`
    Te,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `www-authenticate`
    WwwAuthenticate,
}

impl Known {
    /// The names of this length: seldom more than three.
    pub(super) const fn of_len(len: usize) -> &'static [(Folded, Self)] {
        match len {
            2 => const { &[(Folded::of(b"te"), Self::Te)] },
            4 => const { &[(Folded::of(b"host"), Self::Host)] },
            6 => const { &[(Folded::of(b"expect"), Self::Expect)] },
            7 => const { &[(Folded::of(b"upgrade"), Self::Upgrade)] },
            9 => const { &[(Folded::of(b"forwarded"), Self::Forwarded)] },
            10 => const { &[(Folded::of(b"connection"), Self::Connection)] },
            14 => const { &[(Folded::of(b"content-length"), Self::ContentLength)] },
            16 => const { &[(Folded::of(b"www-authenticate"), Self::WwwAuthenticate)] },
            17 => {
                const {
                    &[
                        (Folded::of(b"sec-websocket-key"), Self::SecWebsocketKey),
                        (Folded::of(b"transfer-encoding"), Self::TransferEncoding),
                    ]
                }
            }
            18 => const { &[(Folded::of(b"proxy-authenticate"), Self::ProxyAuthenticate)] },
            20 => const { &[(Folded::of(b"sec-websocket-accept"), Self::SecWebsocketAccept)] },
            _ => &[],
        }
    }

    /// Whether parsers look at the value: it says how the message is framed, or where it goes.
    pub(in crate::proto) const fn frames(self) -> bool {
        matches!(
            self,
            Self::TransferEncoding | Self::ContentLength | Self::Connection | Self::Upgrade | Self::Host
        )
    }

    /// Recognises a field name, ignoring case.
    pub fn from_name(name: &[u8]) -> Self {
        let candidates = Self::of_len(name.len());
        if candidates.is_empty() {
            return Self::Other;
        }
        let folded = Folded::of(name);
        candidates
            .iter()
            .find(|(known, _)| *known == folded)
            .map_or(Self::Other, |&(_, id)| id)
    }
}

/// A name of at most 24 bytes as three words, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folded([u64; 3]);

impl Folded {
    /// Folds a name; what it has beyond 24 bytes is left out.
    const fn of(name: &[u8]) -> Self {
        let len = if name.len() < 24 { name.len() } else { 24 };
        let mut bytes = [0; 24];
        bytes.split_at_mut(len).0.copy_from_slice(name.split_at(len).0);
        match bytes.as_chunks().0 {
            [a, b, c] => Self([
                lower8(u64::from_le_bytes(*a)),
                lower8(u64::from_le_bytes(*b)),
                lower8(u64::from_le_bytes(*c)),
            ]),
            _ => Self([0; 3]),
        }
    }

    /// The name, as a test compares it.
    #[cfg(test)]
    pub(super) fn text(self) -> Vec<u8> {
        let bytes = self.0.iter().flat_map(|word| word.to_le_bytes());
        bytes.filter(|byte| *byte != 0).collect()
    }
}
