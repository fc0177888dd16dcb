//! Log-format strings compiled to [`LogFormat`]: text, blanks, aliases and their flags.
//!
//! For `log-format`, `error-log-format` and the built-in formats. Sample expressions (`%[...]`) other than those of
//! the built-in formats and the JSON and CBOR encodings are refused until the expression language is there.
//! Source: configuration manual, "Custom log format"; the built-in strings are those of "HTTP log format" and
//! its neighbours.

use thiserror::Error;

use super::fields::{self, Row};
use crate::model::format::{Field, Flags, Item, LogFormat};

/// `option httplog`.
pub const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq \
                        %hr %hs %{+Q}r";
/// `option httpslog`.
pub const HTTPS: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq \
                         %hr %hs %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
                         %[ssl_fc_sni]/%sslv/%sslc";
/// `option httplog clf`.
pub const HTTP_CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac \
                            %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option tcplog`.
pub const TCP: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// `option tcplog clf`.
pub const TCP_CLF: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- %ac %fc \
                           %bc %sc %rc %sq %bq \"\" \"\" ";

/// Why a format is refused; the text is HAProxy's where HAProxy refuses it too.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// No alias of that name.
    #[error(
        "no such format alias '{0}'. If you wanted to emit the '%' character verbatim, you need to use '%%'"
    )]
    UnknownAlias(String),
    /// A lone percent sign before a blank or a digit.
    #[error(
        "unexpected alias name near '{found}' at position {position} line : '{format}'. Maybe you want to write a \
         single '%', use the syntax '%%'"
    )]
    LonePercent {
        /// The byte after the percent sign.
        found: char,
        /// Its place.
        position: usize,
        /// The whole format.
        format: String,
    },
    /// `%(name)` with a byte that names do not have.
    #[error("invalid character in custom name near '{found}' at position {position} line : '{format}'")]
    BadName {
        /// The byte.
        found: char,
        /// Its place.
        position: usize,
        /// The whole format.
        format: String,
    },
    /// `%(name` that nothing closes; HAProxy's message stops at the NUL it met.
    #[error("invalid character in custom name near '")]
    OpenName,
    /// `%(name:type)` with an unknown type.
    #[error(
        "unexpected output type '{found}' at position {position} line : '{format}'. Supported types are: str, sint, \
         bool, raw"
    )]
    BadType {
        /// The type.
        found: String,
        /// Its place.
        position: usize,
        /// The whole format.
        format: String,
    },
    /// `%{flags}` with nothing after it.
    #[error("parse argument modifier without alias name near '%{{{0}}}'")]
    FlagsAlone(String),
    /// The format ends in the middle of an alias.
    #[error("truncated line after '{0}'")]
    Truncated(String),
    /// `%[` without `]`.
    #[error("missing ']' after '{0}'")]
    MissingBracket(String),
    /// A sample expression.
    #[error("sample expressions in log formats are not supported yet ('%[{0}]')")]
    Expression(String),
    /// `+json` or `+cbor`.
    #[error("encoding '{0}' is not supported yet")]
    Encoding(&'static str),
}

/// A refused format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct FormatError {
    /// What is wrong.
    pub problem: Problem,
    /// Where: offset of the first byte concerned.
    pub at: usize,
}

/// Compiles a log format. Empty texts are printed as `-` unless flagged otherwise, as in every log format.
pub fn parse(text: &[u8]) -> Result<LogFormat, FormatError> {
    let defaults = Flags {
        mandatory: true,
        ..Flags::default()
    };
    let mut parser = Parser {
        text,
        at: 0,
        defaults,
        literal: Vec::new(),
        format: LogFormat::default(),
    };
    while let Some(byte) = parser.peek() {
        match byte {
            b'%' => parser.percent()?,
            b' ' => {
                parser.flush();
                parser.format.items.push(Item::Separator);
                while parser.peek() == Some(b' ') {
                    parser.at += 1;
                }
            }
            _ => {
                parser.literal.push(byte);
                parser.at += 1;
            }
        }
    }
    parser.flush();
    Ok(parser.format)
}

/// One of the built-in formats of this module, compiled.
pub fn builtin(text: &'static str) -> LogFormat {
    parse(text.as_bytes()).expect("the built-in formats parse: a test compiles each of them")
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    defaults: Flags,
    literal: Vec<u8>,
    format: LogFormat,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.format
                .items
                .push(Item::Text(std::mem::take(&mut self.literal).into_boxed_slice()));
        }
    }

    /// Takes bytes up to the first that is not `wanted`.
    fn take_while(&mut self, wanted: fn(u8) -> bool) -> (usize, usize) {
        let start = self.at;
        while self.peek().is_some_and(wanted) {
            self.at += 1;
        }
        (start, self.at)
    }

    fn slice(&self, (start, end): (usize, usize)) -> &[u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    fn lossy(&self, range: (usize, usize)) -> String {
        String::from_utf8_lossy(self.slice(range)).into_owned()
    }

    fn fail(&self, at: usize, problem: Problem) -> FormatError {
        FormatError { problem, at }
    }

    /// From a percent sign to the end of what it introduces.
    fn percent(&mut self) -> Result<(), FormatError> {
        let start = self.at;
        self.at += 1;
        if self.peek() == Some(b'(') {
            self.at += 1;
            self.custom_name()?;
        }
        match self.peek() {
            None => Err(self.fail(start, Problem::Truncated("%".into()))),
            Some(b'{') => self.with_flags(start),
            Some(b'[') => self.expression(start, self.defaults),
            Some(b'%') => {
                self.literal.push(b'%');
                self.at += 1;
                Ok(())
            }
            Some(byte) if byte.is_ascii_alphabetic() => self.alias(self.defaults),
            Some(byte) if byte.is_ascii_digit() || byte == b' ' || byte == b'\t' => {
                let problem = Problem::LonePercent {
                    found: byte.into(),
                    position: self.at,
                    format: self.lossy((0, self.text.len())),
                };
                Err(self.fail(start, problem))
            }
            // Any other byte stands for itself, without the percent sign.
            Some(_) => Ok(()),
        }
    }

    /// `name)` or `name:type)`: only the encodings make use of it.
    fn custom_name(&mut self) -> Result<(), FormatError> {
        let start = self.at;
        let mut kind = None;
        loop {
            match self.peek() {
                None => return Err(self.fail(start, Problem::OpenName)),
                Some(b')') => break,
                Some(b':') if kind.is_none() => kind = Some(self.at + 1),
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' => {}
                Some(byte) => {
                    let format = self.lossy((0, self.text.len()));
                    return Err(self.fail(
                        self.at,
                        Problem::BadName {
                            found: byte.into(),
                            position: self.at,
                            format,
                        },
                    ));
                }
            }
            self.at += 1;
        }
        if let Some(from) = kind {
            let found = self.lossy((from, self.at));
            if !matches!(found.as_str(), "raw" | "str" | "sint" | "bool") {
                let format = self.lossy((0, self.text.len()));
                return Err(self.fail(
                    from,
                    Problem::BadType {
                        found,
                        position: from,
                        format,
                    },
                ));
            }
        }
        self.at += 1;
        Ok(())
    }

    /// `{flags}alias` or `{flags}[expression]`.
    fn with_flags(&mut self, start: usize) -> Result<(), FormatError> {
        self.at += 1;
        let range = self.take_while(|byte| byte != b'}');
        if self.peek().is_none() {
            return Err(self.fail(start, Problem::Truncated(self.lossy(range))));
        }
        let flags = self.flags(range)?;
        self.at += 1;
        match self.peek() {
            Some(b'[') => self.expression(start, flags),
            Some(byte) if byte.is_ascii_alphanumeric() => self.alias(flags),
            _ => Err(self.fail(start, Problem::FlagsAlone(self.lossy(range)))),
        }
    }

    /// `+Q,-X`: what is not known is ignored.
    fn flags(&self, range: (usize, usize)) -> Result<Flags, FormatError> {
        let mut flags = self.defaults;
        let mut at = range.0;
        for word in self.slice(range).split(|byte| *byte == b',') {
            let sign = word.iter().rposition(|byte| matches!(byte, b'+' | b'-'));
            if let Some(sign) = sign {
                let on = word[sign] == b'+';
                match &word[sign + 1..] {
                    b"M" => flags.mandatory = on,
                    b"Q" => flags.quote = on,
                    b"X" => flags.hex = on,
                    b"E" => flags.escape = on,
                    b"json" if on => return Err(self.fail(at, Problem::Encoding("json"))),
                    b"cbor" if on => return Err(self.fail(at, Problem::Encoding("cbor"))),
                    _ => {}
                }
            }
            at += word.len() + 1;
        }
        Ok(flags)
    }

    fn alias(&mut self, flags: Flags) -> Result<(), FormatError> {
        let range = self.take_while(|byte| byte.is_ascii_alphanumeric());
        let Some(row) = fields::by_alias(self.slice(range)) else {
            return Err(self.fail(range.0, Problem::UnknownAlias(self.lossy(range))));
        };
        if row.field == Field::Options {
            self.flush();
            self.defaults = flags;
        } else {
            self.field(row, flags);
        }
        Ok(())
    }

    fn expression(&mut self, start: usize, flags: Flags) -> Result<(), FormatError> {
        self.at += 1;
        let range = self.take_while(|byte| byte != b']');
        if self.peek().is_none() {
            return Err(self.fail(start, Problem::MissingBracket(self.lossy(range))));
        }
        let Some(row) = fields::by_expression(self.slice(range)) else {
            return Err(self.fail(start, Problem::Expression(self.lossy(range))));
        };
        self.at += 1;
        self.field(row, flags);
        Ok(())
    }

    fn field(&mut self, row: &Row, flags: Flags) {
        self.flush();
        self.format.push_field(row.field, flags, row.needs);
        self.format.is_http |= row.is_http;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(text: &str) -> Vec<Item> {
        parse(text.as_bytes()).expect("a good format").items
    }

    fn text(text: &str) -> Item {
        Item::Text(text.as_bytes().into())
    }

    fn refusal(format: &str) -> String {
        parse(format.as_bytes()).expect_err("a bad format").to_string()
    }

    const PLAIN: Flags = Flags {
        mandatory: true,
        quote: false,
        hex: false,
        escape: false,
    };

    #[test]
    fn builtins_compile() {
        for format in [HTTP, HTTPS, HTTP_CLF] {
            let format = builtin(format);
            assert!(format.is_http && format.needs.end && format.needs.other && format.needs.request);
        }
        for format in [TCP, TCP_CLF] {
            let format = builtin(format);
            assert!(!format.is_http && format.needs.end && !format.needs.request);
        }
    }

    #[test]
    fn text_blanks_and_aliases() {
        assert_eq!(
            items("a  %ci:%{+Q}r%%x "),
            [
                text("a"),
                Item::Separator,
                Item::Field {
                    field: Field::ClientIp,
                    flags: PLAIN
                },
                text(":"),
                Item::Field {
                    field: Field::HttpRequest,
                    flags: Flags { quote: true, ..PLAIN }
                },
                text("%x"),
                Item::Separator,
            ]
        );
        assert_eq!(items("%\"x"), [text("\"x")]);
        assert_eq!(
            items("%(n:str)ci%(n)%"),
            [
                Item::Field {
                    field: Field::ClientIp,
                    flags: PLAIN
                },
                text("%")
            ]
        );
    }

    #[test]
    fn flags_of_o_hold_for_what_follows() {
        let hex = Flags { hex: true, ..PLAIN };
        let hex_quoted = Flags { quote: true, ..hex };
        assert_eq!(
            items("%{+X}o%cp%{+Q,zz,-M}o%{+M}ci%{-X,+E}fp"),
            [
                Item::Field {
                    field: Field::ClientPort,
                    flags: hex
                },
                Item::Field {
                    field: Field::ClientIp,
                    flags: hex_quoted
                },
                Item::Field {
                    field: Field::FrontendPort,
                    flags: Flags {
                        mandatory: false,
                        quote: true,
                        hex: false,
                        escape: true
                    }
                },
            ]
        );
    }

    #[test]
    fn earliest_moment() {
        let needs = |text: &str| parse(text.as_bytes()).expect("a good format").needs;
        assert!(needs("%f %t %r").met_by_request(false));
        assert!(!needs("%ci %r").met_by_request(false));
        assert!(!needs("%r %B").met_by_request(false) && needs("%r %B").met_by_request(true));
        assert!(needs("%ci %s").met_by_response(false) && !needs("%ci %Tt").met_by_response(false));
    }

    #[test]
    fn refusals_as_3_4_0() {
        // Each printed by 3.4.0 after "failed to parse log-format : ", but for the encoding and the expression, which it knows.
        for (format, message) in [
            (
                "%cip",
                "no such format alias 'cip'. If you wanted to emit the '%' character verbatim, you need to use '%%'",
            ),
            (
                "a% b",
                "unexpected alias name near ' ' at position 2 line : 'a% b'. Maybe you want to write a single '%', use the \
                 syntax '%%'",
            ),
            ("a%", "truncated line after '%'"),
            ("a%{+Q", "truncated line after '+Q'"),
            (
                "%{+Q} x",
                "parse argument modifier without alias name near '%{+Q}'",
            ),
            (
                "%(a/b)ci",
                "invalid character in custom name near '/' at position 3 line : '%(a/b)ci'",
            ),
            (
                "%(a:int)ci",
                "unexpected output type 'int' at position 4 line : '%(a:int)ci'. Supported types are: str, sint, bool, raw",
            ),
            ("%(a", "invalid character in custom name near '"),
            ("%(a)", "truncated line after '%'"),
            (
                "%[src]",
                "sample expressions in log formats are not supported yet ('%[src]')",
            ),
            ("%{+json}o %(a)ci", "encoding 'json' is not supported yet"),
            ("%[src", "missing ']' after 'src'"),
        ] {
            assert_eq!(refusal(format), message, "{format}");
        }
        assert_eq!(parse(b"ab %zz").expect_err("unknown").at, 4);
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_plain_text(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let parsed = parse(&bytes);
            if !bytes.contains(&b'%') {
                let mut out = Vec::new();
                for item in parsed.expect("text only").items {
                    match item {
                        Item::Text(text) => out.extend_from_slice(&text),
                        Item::Separator => out.push(b' '),
                        Item::Field { .. } => prop_assert!(false),
                    }
                }
                let words = |bytes: &[u8]| bytes.split(|b| *b == b' ').filter(|w| !w.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>();
                prop_assert_eq!(words(&out), words(&bytes));
            }
        }
    }
}
