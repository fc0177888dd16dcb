//! Fuzz body of the configuration floor: any bytes are read, printed back, cooked and reported without a panic.
//!
//! Included by the cargo-fuzz target and by the replay on stable, hence a plain function over bytes.

use rproxy::conf::addr::{self, Rules};
use rproxy::conf::ast::Document;
use rproxy::conf::cond::{self, Facts};
use rproxy::conf::diag::Sink;
use rproxy::conf::env::Env;
use rproxy::conf::reader::{Pass, Reader};
use rproxy::conf::render;
use rproxy::conf::source::Sources;
use rproxy::conf::units::{self, TimeUnit};

/// One input: a configuration file, and each of its words as an address, a condition, a time and a size.
pub(crate) fn fuzz_conf(data: &[u8]) {
    let mut sources = Sources::new();
    let Ok(file) = sources.add(b"fuzz.cfg", data.to_vec()) else {
        return;
    };
    let document = Document::parse(&sources, file);
    assert_eq!(document.print(&sources), data, "printing back");
    let facts = Facts {
        version: "3.4.0".into(),
        features: Vec::new(),
        enabled: Vec::new(),
        tls_library: None,
    };
    for pass in [Pass::Discover, Pass::Full] {
        let mut env = Env::new();
        let _ = env.set(b"A", b" x  y ");
        let mut sink = Sink::new();
        let mut reader = Reader::new(&sources, &document, pass);
        while let Some(statement) = reader.statement(&env, &facts, &mut sink) {
            assert!(!statement.args.is_empty(), "a statement has words");
            for arg in &statement.args {
                let (bytes, span) = (arg.bytes(), arg.span());
                for at in 0..bytes.len().min(64) {
                    let place = arg.span_at(at);
                    assert!(
                        span.start <= place.start && place.end <= span.end,
                        "places stay within the word"
                    );
                }
                for rules in [&Rules::BIND, &Rules::SERVER, &Rules::LOG] {
                    if let Err(error) = addr::parse_list(bytes, rules, b"", &env) {
                        assert!(error.at.end <= bytes.len(), "places stay within the address");
                    }
                }
                let _ = cond::evaluate(bytes, &env, &facts);
                let _ = units::parse_time(bytes, TimeUnit::Ms);
                let _ = units::parse_size(bytes, u64::MAX, true);
                let _ = units::parse_int(bytes);
            }
            // Lines act on those below them, as `setenv` does.
            if let [_, name, value, ..] = statement.args.as_slice() {
                let _ = env.set(name.bytes(), value.bytes());
            }
        }
        for diag in sink.reports() {
            let text = render::render(diag, &sources, 1);
            assert!(text.lines().count() <= 4, "a report has at most four lines");
        }
    }
    let _ = cond::evaluate_argument(data, &Env::new(), &facts);
}
