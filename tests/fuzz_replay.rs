//! Fuzzing on stable: every body of `tests/fuzz/bodies` on its seeds and on mutations of them.
//!
//! The mutator is seeded, so a failure comes again; the input is printed and kept in the test's temporary
//! directory. `FUZZ_SECONDS` bounds the time per body (3 by default; `make fuzz` gives it many minutes),
//! `FUZZ_SEED` chooses another sequence. The same bodies are targets of cargo-fuzz in `tests/fuzz`.
#![allow(clippy::disallowed_methods)] // the time bounds the loop, and nothing else

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "fuzz/bodies/chunked.rs"]
mod chunked;
#[path = "fuzz/bodies/conf.rs"]
mod conf;
#[path = "fuzz/bodies/h1_request.rs"]
mod h1_request;
#[path = "fuzz/bodies/h1_response.rs"]
mod h1_response;
#[path = "fuzz/bodies/proxyhdr.rs"]
mod proxyhdr;

/// Inputs that every run tries, however slow the machine.
const ROUNDS_MIN: u64 = 2_000;
/// Longest input that is made, bytes.
const INPUT_MAX: usize = 4_096;
const SECONDS_DEFAULT: u64 = 3;

/// One fuzz body.
struct Body {
    /// Its file, and the directory of its seeds.
    name: &'static str,
    run: fn(&[u8]),
    /// Pieces that mean something to it.
    words: &'static [&'static [u8]],
}

/// A xorshift generator: every run with the same seed is the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`, 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A range within `length` bytes, mostly short.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(8) == 0 { 256 } else { 8 };
        start..(start + self.below(most)).min(length)
    }
}

/// Changes an input in a few places.
fn mutate(random: &mut Random, seeds: &[&[u8]], words: &[&[u8]]) -> Vec<u8> {
    let mut input = random.pick(seeds).to_vec();
    for _ in 0..=random.below(6) {
        let range = random.range(input.len());
        match random.below(9) {
            0 => drop(input.drain(range)),
            1 if range.start < input.len() => input[range.start] ^= 1 << random.below(8),
            2 if range.start < input.len() => input[range.start] = random.byte(),
            // The first bytes choose settings in many bodies.
            3 if input.len() > 1 => {
                let at = random.below(2);
                input[at] = random.byte();
            }
            4 => input.insert(range.start, random.byte()),
            5 => {
                let copied = input[range].to_vec();
                let at = random.below(input.len() + 1);
                input.splice(at..at, copied);
            }
            6 => {
                let other = random.pick(seeds);
                let from = random.below(other.len() + 1);
                input.truncate(range.start);
                input.extend_from_slice(&other[from..]);
            }
            7 => {
                let repeated = input[range.clone()].repeat(1 + random.below(20));
                input.splice(range, repeated);
            }
            _ => {
                let word = random.pick(words).iter().copied();
                input.splice(range, word);
            }
        }
    }
    input.truncate(INPUT_MAX);
    input
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/seeds")
        .join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("every body has a directory of seeds")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seed for {name}");
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("readable"))
        .collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

/// Runs one input; when the body refuses it, tells which it was.
fn run(body: &Body, input: &[u8]) {
    let result = std::panic::catch_unwind(|| (body.run)(input));
    if let Err(panic) = result {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", body.name));
        let kept = std::fs::write(&file, input);
        let mut text = String::new();
        for byte in input {
            let _ = write!(text, "{}", byte.escape_ascii());
        }
        eprintln!(
            "fuzz body {} fails on b\"{text}\" ({}: {kept:?})",
            body.name,
            file.display()
        );
        std::panic::resume_unwind(panic);
    }
}

fn replay(body: &Body) {
    let kept = seeds(body.name);
    let seeds: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
    for seed in &seeds {
        for end in 0..=seed.len() {
            run(body, &seed[..end]);
        }
    }
    let limit = Duration::from_secs(setting("FUZZ_SECONDS", SECONDS_DEFAULT));
    let mut random = Random(setting("FUZZ_SEED", 0x9e37_79b9_7f4a_7c15).max(1));
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS_MIN || start.elapsed() < limit {
        for _ in 0..100 {
            run(body, &mutate(&mut random, &seeds, body.words));
        }
        rounds += 100;
    }
    println!(
        "{}: {rounds} inputs in {} s",
        body.name,
        start.elapsed().as_secs()
    );
}

const CONF_WORDS: &[&[u8]] = &[
    b"\n",
    b" ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"\\\n",
    b"#",
    b"$",
    b"${",
    b"}",
    b"${A[*]}",
    b"\"$A\"",
    b"\\x41",
    b"\0",
    b"\xff",
    b"(",
    b")",
    b"&&",
    b"||",
    b"!",
    b",",
    b"global\n",
    b"defaults\n",
    b"backend b\n",
    b"listen l from d\n",
    b".if ",
    b".elif ",
    b".else\n",
    b".endif\n",
    b".diag ",
    b"defined(A)",
    b"streq(a,b)",
    b"version_atleast(3.4)",
    b"no ",
    b"default ",
    b"setenv A ",
    b"bind ",
    b"server s ",
    b"mptcp@",
    b"unix@/",
    b"fd@${x}",
    b"[::]",
    b":80-90",
    b"1.2.3.4",
    b"10s",
    b"99999999999999999999",
    b"-1",
    b"16k",
    b"option httplog",
    b"log 127.0.0.1 local0",
];

#[test]
fn conf_body() {
    replay(&Body {
        name: "conf",
        run: conf::fuzz_conf,
        words: CONF_WORDS,
    });
}

const HTTP_WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\"",
    b"\\",
    b"\0",
    b"\x80",
    b"\xff",
    b"#",
    b"%00",
    b"0",
    b"-1",
    b"18446744073709551616",
    b"7fffffffffffffff",
    b"chunked",
    b"gzip, chunked",
    b"identity",
    b"close",
    b"keep-alive",
    b"upgrade",
    b"h2c",
    b"trailers",
    b"100-continue",
    b"Host: a\r\n",
    b"Content-Length: 1\r\n",
    b"Content-Length: 1, 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: ",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n ",
    b"http://a:80",
    b"//",
    b"/../",
    b"[::1]",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"CONNECT a:443 ",
    b"HEAD / ",
    b"100 ",
    b"101 ",
    b"204 ",
    b"304 ",
];

#[test]
fn h1_request_body() {
    replay(&Body {
        name: "h1_request",
        run: h1_request::run,
        words: HTTP_WORDS,
    });
}

#[test]
fn h1_response_body() {
    replay(&Body {
        name: "h1_response",
        run: h1_response::run,
        words: HTTP_WORDS,
    });
}

const CHUNK_WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"0",
    b"0\r\n",
    b"0\r\n\r\n",
    b"1\r\na\r\n",
    b"A",
    b"g",
    b"x",
    b"ffffffff",
    b"80000000",
    b"00000000000000000",
    b"ffffffffffffffff",
    b";",
    b";a=b",
    b";a=\"b\\\"\"",
    b"\"",
    b"=",
    b" ",
    b"\t",
    b"\0",
    b"X: y\r\n",
    b"Content-Length: 1\r\n",
    b" folded\r\n",
    b"+1",
    b"-1",
];

#[test]
fn chunked_body() {
    replay(&Body {
        name: "chunked",
        run: chunked::run,
        words: CHUNK_WORDS,
    });
}

const PROXY_WORDS: &[&[u8]] = &[
    b"PROXY ",
    b"TCP4 ",
    b"TCP6 ",
    b"UNKNOWN",
    b" ",
    b"\r\n",
    b"\r",
    b"0",
    b"00",
    b"65536",
    b"256",
    b".",
    b":",
    b"::",
    b"::ffff:1.2.3.4",
    b"-",
    b"\0",
    b"\x20",
    b"\x21",
    b"\x11",
    b"\x12",
    b"\x31",
    b"\0\x0c",
    b"\xff\xff",
    b"\x03\0\x04",
    b"\x20\0\x05\x01\0\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n",
];

#[test]
fn proxyhdr_body() {
    replay(&Body {
        name: "proxyhdr",
        run: proxyhdr::run,
        words: PROXY_WORDS,
    });
}
