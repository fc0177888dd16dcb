//! Hostile and ambiguous messages: each case sends bytes that parsers disagree on, and the proxy must
//! answer, forward, log and close as the reference does. The recordings are in `haproxy-compat/cases/hostile/`.
//!
//! `RPROXY_TEST_BINARY=.../haproxy cargo test --test hostile` shows that the recordings are true,
//! `RECORD=1` with it makes them anew, `CASE=part-of-a-name` plays some of them.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::play::play;

#[test]
fn transfer_encoding_against_content_length() {
    play("hostile/te-cl.case");
}

#[test]
fn transfer_encoding_spellings() {
    play("hostile/te-forms.case");
}

#[test]
fn content_length() {
    play("hostile/content-length.case");
}

#[test]
fn request_chunks() {
    play("hostile/chunks.case");
}

#[test]
fn line_ends_and_stray_bytes() {
    play("hostile/lines.case");
}

#[test]
fn header_names() {
    play("hostile/names.case");
}

#[test]
fn targets_and_host() {
    play("hostile/targets.case");
}

#[test]
fn versions_and_methods() {
    play("hostile/versions.case");
}

#[test]
fn pipelined() {
    play("hostile/pipelined.case");
}

#[test]
fn response_status_lines() {
    play("hostile/res-status.case");
}

#[test]
fn response_framing() {
    play("hostile/res-framing.case");
}

#[test]
fn response_chunks() {
    play("hostile/res-chunks.case");
}

#[test]
fn bodiless_and_interim_responses() {
    play("hostile/res-bodiless.case");
}

#[test]
fn early_responses_and_aborts() {
    play("hostile/res-early.case");
}

#[test]
fn tolerated_violations() {
    play("hostile/lenient.case");
}
