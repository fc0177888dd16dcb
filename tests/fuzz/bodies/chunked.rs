//! Fuzz body: any bytes as a chunked body with its trailers.
//!
//! What must hold: no panic; a split anywhere changes nothing; what was decoded, encoded again and decoded
//! again is the same.

use rproxy::proto::h1::Body;
use rproxy::proto::h1::body::{CHUNK_END, ChunkHead, Decoder, LAST_CHUNK, Step};
use rproxy::proto::h1::parse::{Parsed, Parser, Rules};
use rproxy::proto::head::Head;

/// Decodes `input`, of which only `cut` bytes are there at first. Gives the data, the verdict, and where the
/// message ends.
fn decode(input: &[u8], cut: usize) -> (Vec<u8>, &'static str, usize) {
    let mut decoder = Decoder::new(Body::Chunked);
    let mut store = input.to_vec();
    let mut trailers = Head::with_capacity(101);
    let mut parser = Parser::trailers(Rules::default());
    let (mut at, mut end, mut data) = (0, cut.min(input.len()), Vec::new());
    loop {
        match decoder.decode(&input[at..end]) {
            Step::Skip(count) => at += count,
            Step::Data(count) => {
                data.extend_from_slice(&input[at..at + count]);
                at += count;
            }
            Step::Trailers => match parser.parse(&mut store, at as u32..end as u32, false, &mut trailers) {
                Parsed::Done { body_at, .. } => {
                    at = body_at as usize;
                    decoder.trailers_done();
                }
                Parsed::Error(_) => return (data, "error", 0),
                Parsed::NeedMore if end == input.len() => return (data, "more", 0),
                Parsed::NeedMore => end = input.len(),
            },
            Step::End => return (data, "end", at),
            Step::Error(_) => return (data, "error", 0),
            Step::NeedMore if end == input.len() => return (data, "more", 0),
            Step::NeedMore => end = input.len(),
        }
    }
}

/// Runs one input. The first byte says where to split.
pub(crate) fn run(data: &[u8]) {
    let [split, input @ ..] = data else { return };
    let whole = decode(input, input.len());
    assert_eq!(whole, decode(input, usize::from(*split)));
    assert!(whole.2 <= input.len());
    let mut coded = Vec::new();
    for chunk in whole.0.chunks(usize::from(*split).max(1)) {
        coded.extend_from_slice(ChunkHead::new(chunk.len() as u64).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(CHUNK_END);
    }
    coded.extend_from_slice(LAST_CHUNK);
    assert_eq!(decode(&coded, usize::from(*split)), (whole.0, "end", coded.len()));
}
