//! Conditions of `.if`, `.elif` and `-cc`: grammar and evaluation.
//!
//! For `conf/reader.rs` and the command line. The text is what is left after cooking, words joined by one space.
//! What is true about the program and its machine comes in as [`Facts`]. Sources: manual chapter 2.4; precedence,
//! messages and error places follow HAProxy 3.4.0 as tried.

use std::fmt;

use super::cook::{self, CookError, Scene};
use super::cursor::Arg;
use super::diag::{Code, Diag, Form, shown};
use super::env::Env;
use super::lex::{self, Fault, Syntax};
use super::source::{Sources, Span};

/// Deepest recursion of one expression: operands to the right of `&&` and `||` count as well as parentheses.
pub const MAX_DEPTH: usize = 1024;

/// Longest argument of a predicate, in bytes.
pub const MAX_ARG_BYTES: usize = 16_383;

/// What conditions may ask about the program.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Version that `version_atleast` compares with, `3.4.0`.
    pub version: String,
    /// Names of the features present.
    pub features: Vec<String>,
    /// Names of the options enabled at run time: POLL, EPOLL, SPLICE, GETADDRINFO, REUSEPORT, ...
    pub enabled: Vec<String>,
    /// Name of the TLS library, if there is one.
    pub tls_library: Option<String>,
}

/// Why a condition has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CondError {
    /// For people, as HAProxy words it.
    pub text: String,
    /// Offset in the text of the condition.
    pub at: usize,
}

impl fmt::Display for CondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Predicate {
    Defined,
    Feature,
    StrEq,
    StrNeq,
    StrStr,
    VersionAtLeast,
    VersionBefore,
    OpensslVersionAtLeast,
    OpensslVersionBefore,
    SslLibNameStartsWith,
    AwslcApiAtLeast,
    AwslcApiBefore,
    Enabled,
}

/// Predicates by name, with the number of their arguments.
const PREDICATES: [(&str, Predicate, usize); 13] = [
    ("defined", Predicate::Defined, 1),
    ("feature", Predicate::Feature, 1),
    ("streq", Predicate::StrEq, 2),
    ("strneq", Predicate::StrNeq, 2),
    ("strstr", Predicate::StrStr, 2),
    ("version_atleast", Predicate::VersionAtLeast, 1),
    ("version_before", Predicate::VersionBefore, 1),
    ("openssl_version_atleast", Predicate::OpensslVersionAtLeast, 1),
    ("openssl_version_before", Predicate::OpensslVersionBefore, 1),
    ("ssllib_name_startswith", Predicate::SslLibNameStartsWith, 1),
    ("awslc_api_atleast", Predicate::AwslcApiAtLeast, 1),
    ("awslc_api_before", Predicate::AwslcApiBefore, 1),
    ("enabled", Predicate::Enabled, 1),
];

/// A condition that was read.
#[derive(Debug)]
enum Expr {
    Constant(bool),
    Not(Box<Self>),
    /// True when all are, looked at from the left.
    All(Vec<Self>),
    /// True when one is, looked at from the left.
    Any(Vec<Self>),
    Call {
        name: &'static str,
        predicate: Predicate,
        args: Vec<Vec<u8>>,
    },
}

/// Value of a condition; the empty one is false.
pub fn evaluate(text: &[u8], env: &Env, facts: &Facts) -> Result<bool, CondError> {
    if text.is_empty() {
        return Ok(false);
    }
    let mut parser = Parser { text, at: 0 };
    let Some(expr) = parser.any(MAX_DEPTH)? else {
        return Err(parser.unparsable("expression", 0, parser.at));
    };
    parser.skip_blanks();
    let end = parser.at;
    if let Some(&byte) = text.get(end) {
        let text = format!(
            "unexpected character '{}' at the end of conditional expression '{}'",
            shown(byte),
            String::from_utf8_lossy(text)
        );
        return Err(CondError { text, at: end });
    }
    expr.value(env, facts).map_err(|text| CondError { text, at: end })
}

/// The words of a condition as the text that [`evaluate`] reads.
pub fn join(words: &[Arg]) -> Vec<u8> {
    words.iter().map(Arg::bytes).collect::<Vec<_>>().join(&b' ')
}

/// The place in the file of byte `at` of joined words.
pub fn locate(words: &[Arg], at: usize) -> Option<Span> {
    let mut left = at;
    for word in words {
        if left <= word.bytes().len() {
            return Some(word.span_at(left));
        }
        left -= word.bytes().len() + 1;
    }
    words.last().map(|word| word.span().after())
}

/// Value of the argument of `-cc`, which is cut into words like a line, but has no comments.
pub fn evaluate_argument(argument: &[u8], env: &Env, facts: &Facts) -> Result<bool, Diag> {
    let error = |text: String| Diag::alert(Code::CondBadExpr, None, text).with_form(Form::Bare);
    let raw = lex::line(argument, Syntax::Condition);
    if let Some(fault) = raw.error {
        return Err(error(match fault.fault {
            Fault::Quote => "Syntax Error in condition: Unmatched quote.".into(),
            Fault::Hex => "Syntax Error in condition: Truncated or invalid hexadecimal sequence.".into(),
            Fault::Brace | Fault::Name | Fault::Expansion => {
                format!(
                    "Syntax Error in condition: {} at position {}.",
                    fault.fault,
                    fault.at + 1
                )
            }
        }));
    }
    let mut sources = Sources::new();
    let file = sources
        .add(b"-cc", Vec::new())
        .map_err(|refused| error(refused.to_string()))?;
    let words = raw.words.iter().map(|word| {
        let bytes = argument.get(word.start..word.end).unwrap_or(&[]);
        (bytes, Span::new(file, word.start as u32, word.end as u32))
    });
    let scene = Scene {
        file: b"",
        line: 0,
        section: None,
    };
    match cook::cook(words, Syntax::Condition, env, scene) {
        Ok(cooked) => evaluate(&join(&cooked.args), env, facts)
            .map_err(|failed| error(format!("Failed to evaluate condition: {failed}"))),
        Err(CookError::TooManyWords(..)) => Err(error("Error in condition: Too many words.".into())),
        Err(CookError::TooLong | CookError::Lex(_)) => {
            Err(error("Error in condition: Line too long.".into()))
        }
    }
}

/// Recursive descent over the text. A level answers `None` when there is nothing left for it to read, which the
/// level above turns into an error of its own.
struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self, from: usize) -> &[u8] {
        self.text.get(from..).unwrap_or(&[])
    }

    fn skip_blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes `operator` and the blanks around it.
    fn operator(&mut self, operator: &[u8]) -> bool {
        self.skip_blanks();
        let found = self.rest(self.at).starts_with(operator);
        if found {
            self.at += operator.len();
            self.skip_blanks();
        }
        found
    }

    /// The error for text that makes no sense from `from` on, pointing at `at`.
    fn unparsable(&self, what: &str, from: usize, at: usize) -> CondError {
        let text = String::from_utf8_lossy(self.rest(from));
        CondError {
            text: format!("unparsable conditional {what} '{text}'"),
            at,
        }
    }

    /// Alternatives: `a || b`.
    fn any(&mut self, mut depth: usize) -> Result<Option<Expr>, CondError> {
        let mut list = Vec::new();
        // Where to point when nothing follows an operator: at the operator.
        let mut before = self.at;
        loop {
            if self.at >= self.text.len() {
                self.at = before;
                return Ok(None);
            }
            if depth == 0 {
                return Err(self.unparsable("expression", self.at, self.at));
            }
            match self.all(depth - 1)? {
                Some(expr) => list.push(expr),
                None => return Err(self.unparsable("expression", self.at, self.at)),
            }
            self.skip_blanks();
            before = if list.len() == 1 { self.at } else { before };
            if !self.operator(b"||") {
                return Ok(Some(one_or(list, Expr::Any)));
            }
            depth -= 1;
        }
    }

    /// Conjunctions: `a && b`.
    fn all(&mut self, mut depth: usize) -> Result<Option<Expr>, CondError> {
        let mut list = Vec::new();
        let mut before = self.at;
        loop {
            if self.at >= self.text.len() {
                self.at = before;
                return Ok(None);
            }
            if depth == 0 {
                return Err(self.unparsable("sub-expression", self.at, self.at));
            }
            let start = self.at;
            match self.term(depth - 1)? {
                Some(expr) => list.push(expr),
                None => return Err(self.unparsable("sub-expression", start, start)),
            }
            self.skip_blanks();
            before = if list.len() == 1 { self.at } else { before };
            if !self.operator(b"&&") {
                return Ok(Some(one_or(list, Expr::All)));
            }
            depth -= 1;
        }
    }

    /// A number, a parenthesis or a predicate, negated by any number of `!`.
    fn term(&mut self, depth: usize) -> Result<Option<Expr>, CondError> {
        let start = self.at;
        self.skip_blanks();
        if self.at >= self.text.len() {
            self.at = start;
            return Ok(None);
        }
        if depth == 0 {
            return Err(self.unparsable("expression", start, start));
        }
        let mut negated = false;
        while self.byte() == Some(b'!') {
            negated = !negated;
            self.at += 1;
            self.skip_blanks();
        }
        let expr = if let Some(value) = self.number() {
            Expr::Constant(value)
        } else if self.byte() == Some(b'(') {
            self.at += 1;
            self.skip_blanks();
            let Some(inner) = self.any(depth - 1)? else {
                return Err(self.unparsable("expression", start, start));
            };
            self.skip_blanks();
            if self.byte() != Some(b')') {
                let text = String::from_utf8_lossy(self.rest(start));
                let text = format!("expected ')' after conditional expression '{text}'");
                return Err(CondError { text, at: start });
            }
            self.at += 1;
            self.skip_blanks();
            inner
        } else {
            let rest = self.rest(self.at);
            let name = rest
                .split(|byte| matches!(byte, b' ' | b'('))
                .next()
                .unwrap_or(rest);
            let Some(&(name, predicate, arity)) = PREDICATES.iter().find(|row| row.0.as_bytes() == name)
            else {
                return Err(self.unparsable("expression", start, start));
            };
            self.at += name.len();
            let args = self.arguments(arity).map_err(|(text, arg)| CondError {
                text: format!(
                    "{text} in argument {arg} of predicate '{name}' used in conditional expression"
                ),
                at: self.at,
            })?;
            Expr::Call {
                name,
                predicate,
                args,
            }
        };
        Ok(Some(if negated { Expr::Not(Box::new(expr)) } else { expr }))
    }

    /// An integer as C's `strtol` reads it with base 0: decimal, `0x` hexadecimal or `0` octal,
    /// blanks and a sign in front. Tells whether it is not zero.
    fn number(&mut self) -> Option<bool> {
        let rest = self.rest(self.at);
        let blanks = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b)
            .count();
        let sign = usize::from(matches!(rest.get(blanks), Some(b'+' | b'-')));
        let digits = rest.get(blanks + sign..).unwrap_or(&[]);
        let (prefix, base) = match digits {
            [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (2, 16),
            [b'0', ..] => (0, 8),
            _ => (0, 10),
        };
        let digits = digits.get(prefix..).unwrap_or(&[]);
        let count = digits
            .iter()
            .take_while(|&&byte| char::from(byte).is_digit(base))
            .count();
        if count == 0 {
            return None;
        }
        let value = digits.iter().take(count).any(|&digit| digit != b'0');
        self.at += blanks + sign + prefix + count;
        Some(value)
    }

    /// Arguments in parentheses, at least and at most `arity`; without parentheses there is one empty argument.
    /// An error comes with the number of the argument, and leaves `at` where it is.
    fn arguments(&mut self, arity: usize) -> Result<Vec<Vec<u8>>, (String, usize)> {
        let mut args = Vec::new();
        let opened = self.byte() == Some(b'(');
        if !opened {
            args.push(Vec::new());
        } else {
            self.at += 1;
            loop {
                args.push(self.argument(args.len() + 1)?);
                if args.len() >= arity || self.byte() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        if args.len() < arity {
            let text = format!(
                "missing arguments (got {}/{arity}), type 'string' expected",
                args.len()
            );
            return Err((text, args.len()));
        }
        if opened && self.byte() != Some(b')') {
            let rest = self.rest(self.at);
            let text = match rest {
                [] => String::from("expected ')'"),
                _ => format!("expected ')' before '{}'", String::from_utf8_lossy(rest)),
            };
            return Err((
                text,
                if args.len() > 1 {
                    args.len() - 1
                } else {
                    args.len()
                },
            ));
        }
        self.at += usize::from(opened);
        Ok(args)
    }

    /// One argument up to its comma or closing parenthesis, without its quotes and escapes.
    fn argument(&mut self, number: usize) -> Result<Vec<u8>, (String, usize)> {
        let mut out = Vec::new();
        let mut quote = None;
        while let Some(byte) = self.byte() {
            if out.len() >= MAX_ARG_BYTES {
                if matches!(byte, b',' | b')') {
                    break;
                }
                let text =
                    format!("too small buffer size to store decoded argument {number}, increase bufsize ?");
                return Err((text, number - 1));
            }
            match (byte, quote) {
                (b'"' | b'\'', None) => quote = Some(byte),
                (_, Some(open)) if open == byte => quote = None,
                (b'\\', None | Some(b'"')) => {
                    let Some(&next) = self.text.get(self.at + 1) else {
                        let text = format!(
                            "failed to parse '\\' after '{}' as type 'string' at position {number}",
                            String::from_utf8_lossy(&out)
                        );
                        return Err((text, number - 1));
                    };
                    let escaped = match next {
                        b'\\' | b' ' | b'"' | b'\'' => Some(next),
                        b'r' => Some(b'\r'),
                        b'n' => Some(b'\n'),
                        b't' => Some(b'\t'),
                        _ => None,
                    };
                    out.push(escaped.unwrap_or(byte));
                    self.at += usize::from(escaped.is_some());
                }
                (b',' | b')', None) => break,
                _ => out.push(byte),
            }
            self.at += 1;
        }
        Ok(out)
    }
}

/// A list of one is that one.
fn one_or(mut list: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        Some(last) => {
            list.push(last);
            many(list)
        }
        None => many(list),
    }
}

impl Expr {
    /// Its value, or what is wrong with an argument that had to be looked at.
    fn value(&self, env: &Env, facts: &Facts) -> Result<bool, String> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Not(inner) => inner.value(env, facts).map(|value| !value),
            Self::All(list) => {
                for expr in list {
                    if !expr.value(env, facts)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(list) => {
                for expr in list {
                    if expr.value(env, facts)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Call {
                name,
                predicate,
                args,
            } => {
                let arg = |index: usize| args.get(index).map_or(&[][..], Vec::as_slice);
                call(name, *predicate, arg(0), arg(1), env, facts)
            }
        }
    }
}

/// Value of a predicate.
fn call(
    name: &str,
    predicate: Predicate,
    first: &[u8],
    second: &[u8],
    env: &Env,
    facts: &Facts,
) -> Result<bool, String> {
    let listed = |names: &[String]| names.iter().any(|name| name.as_bytes() == first);
    match predicate {
        Predicate::Defined => Ok(env.value(first).is_some()),
        Predicate::Feature => Ok(listed(&facts.features)),
        Predicate::Enabled => Ok(listed(&facts.enabled)),
        Predicate::StrEq => Ok(first == second),
        Predicate::StrNeq => Ok(first != second),
        Predicate::StrStr => Ok(second.is_empty() || first.windows(second.len()).any(|part| part == second)),
        Predicate::VersionAtLeast => Ok(!is_newer(first, &facts.version)),
        Predicate::VersionBefore => Ok(is_newer(first, &facts.version)),
        Predicate::SslLibNameStartsWith => Ok(facts
            .tls_library
            .as_ref()
            .is_some_and(|library| library.as_bytes().starts_with(first))),
        // There is no OpenSSL and no C library of AWS-LC here whose number could be compared; HAProxy built
        // without them says the same.
        Predicate::OpensslVersionAtLeast
        | Predicate::OpensslVersionBefore
        | Predicate::AwslcApiAtLeast
        | Predicate::AwslcApiBefore => Err(format!(
            "invalid argument to conditional expression predicate '{name}': '{}'",
            String::from_utf8_lossy(first)
        )),
    }
}

/// True when `wanted` is a version above `current`; text that is no version never is.
fn is_newer(wanted: &[u8], current: &str) -> bool {
    match (version(wanted), version(current.as_bytes())) {
        (Some(wanted), Some(current)) => wanted > current,
        _ => false,
    }
}

/// Splits `a.b.c.d-devN-hash-commits` into numbers that compare in order; `-dev` is before `-rc`, `-rc` before
/// the release.
fn version(text: &[u8]) -> Option<[i64; 7]> {
    const DEV: i64 = 1;
    const CANDIDATE: i64 = 2;
    const RELEASE: i64 = 3;
    let mut value = [0, 0, 0, 0, RELEASE, 0, 0];
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    for (index, slot) in value.iter_mut().take(4).enumerate() {
        let (number, after) = leading_number(rest);
        *slot = number;
        match (after.split_first(), index) {
            (None, _) => return Some(value),
            (Some((b'-', after)), _) => {
                rest = after;
                break;
            }
            (Some((b'.', after)), 0..3) => rest = after,
            _ => return None,
        }
    }
    let tags: [(&[u8], i64); 3] = [(b"dev", DEV), (b"rc", CANDIDATE), (b"pre", CANDIDATE)];
    if let Some((after, tag)) = tags
        .iter()
        .find_map(|&(tag, rank)| Some((rest.strip_prefix(tag)?, rank)))
    {
        value[4] = tag;
        let (number, after) = leading_number(after);
        value[5] = number;
        match after.split_first() {
            None => return Some(value),
            Some((b'-', after)) => rest = after,
            Some(_) => return None,
        }
    }
    if let Some(dash) = rest.iter().rposition(|&byte| byte == b'-') {
        rest = rest.get(dash + 1..).unwrap_or(&[]);
        if rest.is_empty() {
            return None;
        }
    }
    if let (number, []) = leading_number(rest) {
        value[6] = number;
    }
    Some(value)
}

/// Decimal digits in front, saturated, and what follows them.
fn leading_number(text: &[u8]) -> (i64, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    let add = |value: i64, digit: &u8| value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    (digits.iter().fold(0, add), rest)
}

#[cfg(test)]
mod tests;
