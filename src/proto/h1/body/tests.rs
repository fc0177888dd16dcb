//! Tests of body decoders and the chunk writer: any split of any input.

use proptest::prelude::*;

use super::*;

/// Everything that a decoder says of `input` given in pieces, trailers taken as they are up to their end.
fn read(body: Body, input: &[u8], cuts: &[usize]) -> (Vec<u8>, Step, usize) {
    let mut decoder = Decoder::new(body);
    let (mut at, mut data) = (0, Vec::new());
    let mut last = Step::NeedMore;
    for end in cuts.iter().copied().chain([input.len()]) {
        let end = end.min(input.len());
        loop {
            last = decoder.decode(input.get(at..end).unwrap_or_default());
            match last {
                Step::Skip(count) => at += count,
                Step::Data(count) => {
                    data.extend_from_slice(&input[at..at + count]);
                    at += count;
                }
                Step::Trailers => match input[at..end].starts_with(b"\r\n") {
                    true => {
                        at += 2;
                        decoder.trailers_done();
                    }
                    false => break,
                },
                Step::End | Step::NeedMore | Step::Error(_) => break,
            }
        }
        if matches!(last, Step::End | Step::Error(_)) {
            break;
        }
    }
    (data, last, at)
}

fn encode(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        out.extend_from_slice(ChunkHead::new(chunk.len() as u64).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(CHUNK_END);
    }
    out.extend_from_slice(LAST_CHUNK);
    out
}

#[test]
fn chunk_heads() {
    for (len, text) in [(1, "1\r\n"), (10, "A\r\n"), (0x1c, "1C\r\n"), (16384, "4000\r\n")] {
        assert_eq!(ChunkHead::new(len).as_bytes(), text.as_bytes());
    }
    assert_eq!(ChunkHead::new(u64::MAX).as_bytes(), b"FFFFFFFFFFFFFFFF\r\n");
}

#[test]
fn broken_chunks() {
    use BodyError::{ChunkEnd, ChunkExtension, ChunkSize, ChunkTooLarge};
    for (input, error) in [
        (&b"x"[..], ChunkSize),
        (b"\r\n", ChunkSize),
        (b" 3\r\n", ChunkSize),
        (b"+3\r\n", ChunkSize),
        (b"0x3\r\n", ChunkSize),
        (b"3\nabc", ChunkSize),
        (b"3\rx", ChunkSize),
        (b"3 x", ChunkSize),
        (b"3\r\nabcd", ChunkEnd),
        (b"3\r\nabc\n", ChunkEnd),
        (b"3\r\nabc\rx", ChunkEnd),
        (b"10000000000000\r\n", ChunkTooLarge),
        (b"3;x\n", ChunkExtension),
        (b"3;x=\"\r\n", ChunkExtension),
        (b"3;x=\"\\\"\r\n", ChunkExtension),
        (b"3;\\", ChunkExtension),
        (b"3;\x01", ChunkExtension),
    ] {
        let (_, step, _) = read(Body::Chunked, input, &[]);
        assert_eq!(step, Step::Error(error), "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn good_chunks() {
    let input = b"0003;x=y;z=\"q;\\\"r\" \t\r\nabc\r\n2 \t\r\nde\r\nfffffffffffff\r\nrest";
    let (data, step, at) = read(Body::Chunked, input, &[]);
    assert_eq!(
        (&data[..], step, at),
        (&b"abcderest"[..], Step::NeedMore, input.len())
    );
    let (data, step, at) = read(Body::Chunked, b"00;a\r\n\r\nnext", &[]);
    assert_eq!((&data[..], step, at), (&b""[..], Step::End, 8));
}

#[test]
fn ends() {
    for (body, input, early, whole) in [
        (Body::Length(3), &b"abc"[..], Err(BodyError::Truncated), Ok(())),
        (Body::Chunked, b"0\r\n\r\n", Err(BodyError::Truncated), Ok(())),
        (Body::UntilClose, b"abc", Ok(()), Ok(())),
        (Body::None, b"", Ok(()), Ok(())),
    ] {
        assert_eq!(Decoder::new(body).close(), early, "{body:?}");
        let mut decoder = Decoder::new(body);
        let mut at = 0;
        while at < input.len() {
            match decoder.decode(&input[at..]) {
                Step::Skip(count) | Step::Data(count) => at += count,
                Step::Trailers => {
                    at += 2;
                    decoder.trailers_done();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(decoder.close(), whole, "{body:?}");
    }
}

proptest! {
    #[test]
    fn round_trip_in_any_pieces(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
        mut cuts in prop::collection::vec(0_usize..400, 0..10), tail in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        cuts.sort_unstable();
        let coded = encode(&chunks);
        let input = [&coded[..], &tail].concat();
        let (data, step, at) = read(Body::Chunked, &input, &cuts);
        prop_assert_eq!((data, step, at), (chunks.concat(), Step::End, coded.len()));
    }

    #[test]
    fn any_bytes_in_any_pieces(
        input in prop::collection::vec(prop::sample::select(&b"0123aF;\"\\ \t\r\nx\x00"[..]), 0..40),
        mut cuts in prop::collection::vec(0_usize..40, 0..10), len in 0_u64..50, kind in 0..3,
    ) {
        cuts.sort_unstable();
        let body = [Body::Chunked, Body::Length(len), Body::UntilClose][kind as usize];
        let (data, step, at) = read(body, &input, &[]);
        let pieces = read(body, &input, &cuts);
        // After an error only the verdict counts: how many bytes were dropped before depends on the pieces.
        let at = if matches!(step, Step::Error(_)) { pieces.2 } else { at };
        prop_assert_eq!(pieces, (data, step, at));
    }

    #[test]
    fn bytes_that_pass_unseen_count_like_seen_ones(len in 1_u64..40, passed in 1_u64..40, kind in 0..3) {
        let mut seen = Decoder::new([Body::Chunked, Body::Length(len), Body::UntilClose][kind as usize]);
        if kind == 0 {
            let head = ChunkHead::new(len);
            prop_assert_eq!(seen.decode(head.as_bytes()), Step::Skip(head.as_bytes().len()));
        }
        let mut unseen = seen;
        let passed = passed.min(seen.left());
        let bytes = vec![b'z'; passed as usize];
        prop_assert_eq!(seen.decode(&bytes), Step::Data(bytes.len()));
        unseen.take(passed);
        prop_assert_eq!(unseen, seen);
    }

    #[test]
    fn bytes_given_back_come_again(len in 1_usize..40, back in 0_usize..40, chunked: bool) {
        let input = vec![b'z'; 40];
        let mut decoder = Decoder::new(if chunked { Body::Chunked } else { Body::Length(len as u64) });
        if chunked {
            let head = ChunkHead::new(len as u64);
            prop_assert_eq!(decoder.decode(head.as_bytes()), Step::Skip(head.as_bytes().len()));
        }
        prop_assert_eq!(decoder.decode(&input), Step::Data(len));
        let back = back.min(len);
        decoder.untake(back);
        prop_assert_eq!(decoder.seen(), (len - back) as u64);
        if back > 0 {
            prop_assert_eq!((decoder.left(), decoder.decode(&input)), (back as u64, Step::Data(back)));
        }
    }
}
