//! The runtime socket: conversations, rights, what is told and what can be changed. The cases and what the reference
//! does with them are in `haproxy-compat/cases/runtime/`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a test has sockets and threads of its own

use haproxy_compat::play::play;

#[test]
fn conversations() {
    play("runtime/talk.case");
}

#[test]
fn facts_of_the_process() {
    play("runtime/info.case");
}

#[test]
fn statistics() {
    play("runtime/stat.case");
}

#[test]
fn streams() {
    play("runtime/sess.case");
}

#[test]
fn refused_messages() {
    play("runtime/errors.case");
}

#[test]
fn changes() {
    play("runtime/set.case");
}
