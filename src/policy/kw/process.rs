//! Rows of the process: modes, identity, files, environment, paths. Source: configuration manual, chapter 3.1.
//!
//! The words that `-W`, `-D`, `-q`, `-dW`, `-p` stand for on the command line are here too; the command line
//! wins when the draft is frozen.

use std::path::PathBuf;

use super::{already, forbidden_char, hint_unless_int, joined, leading_int, negatable, refuse, row};
use crate::conf::cursor::{ArgCursor, Modifier};
use crate::conf::diag::{Code, Diag};
use crate::conf::env::EnvFull;
use crate::conf::row::{Arity, Keyword, Where};
use crate::conf::units::parse_int;
use crate::model::global::{Chroot, Identity};
use crate::policy::draft::{DefaultPath, Draft};
use crate::policy::host::{HostError, PathKind};

const G: Where = Where::GLOBAL;

/// The rows.
pub const ROWS: &[Keyword<Draft>] = &[
    row(
        "daemon",
        G,
        Arity::NONE,
        daemon,
        "detach from the terminal after start; ignored under -Ws",
    ),
    row(
        "quiet",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.quiet = true;
            Ok(())
        },
        "print nothing at start but errors",
    ),
    row(
        "zero-warning",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.zero_warning = true;
            Ok(())
        },
        "refuse to start when there was a warning",
    ),
    row(
        "master-worker",
        G,
        Arity::at_most(1),
        master_worker,
        "supervise the serving process (deprecated: use -W or -Ws)",
    ),
    row(
        "mworker-max-reloads",
        G,
        Arity::at_most(1),
        max_reloads,
        "end a worker that survived so many reloads; without effect until reloads come",
    ),
    row(
        "pidfile",
        G,
        Arity::at_most(1),
        pidfile,
        "file for the process numbers, one per line, written at start",
    ),
    row(
        "chroot",
        G,
        Arity::at_most(1),
        chroot,
        "directory to confine the process to, or 'auto' for an empty anonymous one",
    ),
    row(
        "user",
        G,
        Arity::at_most(1),
        user,
        "user to become after start, by name",
    ),
    row(
        "uid",
        G,
        Arity::at_most(1),
        uid,
        "user to become after start, by number",
    ),
    row(
        "group",
        G,
        Arity::at_most(1),
        group,
        "group to become after start, by name",
    ),
    row(
        "gid",
        G,
        Arity::at_most(1),
        gid,
        "group to become after start, by number",
    ),
    row(
        "setcap",
        G,
        Arity::ANY,
        setcap,
        "capabilities to keep after the change of user, separated by commas",
    ),
    negatable(
        "set-dumpable",
        G,
        Arity::at_most(1),
        set_dumpable,
        "let the system write a core file: on, off or libs",
    ),
    negatable(
        "insecure-fork-wanted",
        G,
        Arity::NONE,
        |cursor, draft| {
            draft.global.settings.insecure_fork_wanted = cursor.modifier() != Modifier::No;
            Ok(())
        },
        "let the process start others",
    ),
    row(
        "insecure-setuid-wanted",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.settings.insecure_setuid_wanted = true;
            Ok(())
        },
        "let a program that is started gain rights by its file mode",
    ),
    row(
        "node",
        G,
        Arity::at_most(1),
        node,
        "name of this machine in reports",
    ),
    row(
        "description",
        G,
        Arity::ANY,
        description,
        "text about this instance in reports",
    ),
    row(
        "localpeer",
        G,
        Arity::at_most(1),
        localpeer,
        "name of this peer; -L wins",
    ),
    row(
        "default-path",
        G,
        Arity::at_most(2),
        default_path,
        "where relative paths start: current, config, parent, or origin and a directory",
    ),
    row(
        "expose-experimental-directives",
        G,
        Arity::NONE,
        |cursor, draft| {
            draft.global.experimental = Some(cursor.keyword_span());
            Ok(())
        },
        "allow keywords marked as experimental",
    ),
    row(
        "expose-deprecated-directives",
        G,
        Arity::NONE,
        |_, draft| {
            draft.global.deprecated = true;
            Ok(())
        },
        "accept deprecated keywords without a warning",
    ),
    row(
        "setenv",
        G,
        Arity::at_most(2),
        setenv,
        "set an environment variable for the lines below",
    ),
    row(
        "presetenv",
        G,
        Arity::at_most(2),
        setenv,
        "set an environment variable for the lines below unless it is set",
    ),
    row(
        "unsetenv",
        G,
        Arity::ANY,
        unsetenv,
        "remove environment variables for the lines below",
    ),
    row(
        "resetenv",
        G,
        Arity::ANY,
        |cursor, draft| {
            let keep = cursor.rest();
            draft
                .env
                .retain(|name| keep.iter().any(|word| word.bytes() == name));
            Ok(())
        },
        "remove all environment variables but those named, for the lines below",
    ),
];

fn daemon(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if draft.global.systemd {
        let text = "'daemon' is not compatible with -Ws (master-worker mode for systemd), ignoring.";
        cursor.warn_plain(Code::Ignored, text);
    } else {
        draft.global.settings.daemon = true;
    }
    Ok(())
}

fn master_worker(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    match cursor.next() {
        None => {
            if draft.global.settings.master_worker {
                cursor.warn(Code::Overwritten, "master-worker mode is already configured.");
            }
            let text = "The 'master-worker' keyword is deprecated in 3.3 and will be removed in 3.5. Use -W or -Ws in the startup \
                 script instead.";
            cursor.warn_plain(Code::Deprecated, text);
        }
        Some(word) if word.is("no-exit-on-failure") => draft.global.settings.no_exit_on_failure = true,
        Some(_) => {
            let text = "'master-worker' only supports 'no-exit-on-failure' option";
            return Err(cursor.error_last(Code::BadChoice, text));
        }
    }
    draft.global.settings.master_worker = true;
    Ok(())
}

fn max_reloads(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let value = super::loose_int(cursor)?;
    match u32::try_from(value) {
        Ok(value) => draft.global.settings.mworker_max_reloads = Some(value),
        Err(_) if value > 0 => draft.global.settings.mworker_max_reloads = Some(u32::MAX),
        Err(_) => {
            let text = "'mworker-max-reloads' expects a positive value or zero.";
            return Err(cursor.error_last(Code::OutOfRange, text));
        }
    }
    Ok(())
}

fn pidfile(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let span = cursor.keyword_span();
    if draft.global.settings.pidfile.is_some() {
        let _ = cursor.rest();
        cursor.note(Diag::warning(
            Code::Overwritten,
            span,
            "'pidfile' already specified. Continuing.",
        ));
        return Ok(());
    }
    let word = cursor.expect_word("a file name")?;
    draft.global.settings.pidfile = Some(path_buf(&draft.path(word.bytes())));
    Ok(())
}

/// Bytes as the system's path.
fn path_buf(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

fn chroot(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let span = cursor.keyword_span();
    if draft.global.settings.chroot.is_some() {
        let _ = cursor.rest();
        cursor.note(Diag::warning(
            Code::Overwritten,
            span,
            "'chroot' is already specified. Continuing.",
        ));
        return Ok(());
    }
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, "'chroot' expects a directory as an argument."));
    };
    if word.is("auto") {
        draft.global.settings.chroot = Some(Chroot::Auto);
        return Ok(());
    }
    let path = draft.path(word.bytes());
    let trouble = match draft.host.path_kind(&path) {
        Ok(PathKind::Directory) => None,
        Ok(PathKind::File | PathKind::Other) => Some("it is not a directory".to_owned()),
        Err(HostError::Denied) => {
            Some("permission denied (changing the root needs root's rights)".to_owned())
        }
        Err(error) => Some(error.to_string()),
    };
    if let Some(trouble) = trouble {
        cursor.note(Diag::hint(
            Code::FileError,
            word.span(),
            format!("'chroot': '{word}': {trouble}."),
        ));
    }
    draft.global.settings.chroot = Some(Chroot::Dir(path_buf(&path)));
    Ok(())
}

fn user(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if draft.global.settings.user.is_some() {
        already(cursor, "user/uid already specified. Continuing.");
        return Ok(());
    }
    let name = cursor
        .next()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    match draft.host.user_id(&name) {
        Ok(id) => {
            draft.global.settings.user = Some(Identity { id, name: Some(name) });
            Ok(())
        }
        Err(_) => Err(refuse(cursor, format!("cannot find user id for '{name}'"))),
    }
}

fn group(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if draft.global.settings.group.is_some() {
        already(cursor, "gid/group was already specified. Continuing.");
        return Ok(());
    }
    let name = cursor
        .next()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    match draft.host.group_id(&name) {
        Ok(id) => {
            draft.global.settings.group = Some(Identity { id, name: Some(name) });
            Ok(())
        }
        Err(_) => Err(refuse(cursor, format!("cannot find group id for '{name}'"))),
    }
}

/// A numeric identity; HAProxy only warns about what is no number, and goes on without one.
fn number(cursor: &mut ArgCursor<'_>, instead: &str) -> Result<Option<Identity>, Diag> {
    let keyword = cursor.keyword();
    let Some(word) = cursor.next() else {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects an integer argument."),
        ));
    };
    match parse_int(word.bytes()).ok().and_then(|id| i32::try_from(id).ok()) {
        // A negative number changes nothing.
        Some(id) => Ok(u32::try_from(id).ok().map(|id| Identity { id, name: None })),
        None => {
            let text = format!("{keyword}: string '{word}' is not a number.");
            let help = format!("use '{instead}' to give a name");
            cursor.note(Diag::warning(Code::BadNumber, word.span(), text).with_help(help));
            Ok(None)
        }
    }
}

fn uid(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if draft.global.settings.user.is_some() {
        already(cursor, "user/uid already specified. Continuing.");
        return Ok(());
    }
    draft.global.settings.user = number(cursor, "user")?;
    Ok(())
}

fn gid(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if draft.global.settings.group.is_some() {
        already(cursor, "group/gid already specified. Continuing.");
        return Ok(());
    }
    draft.global.settings.group = number(cursor, "group")?;
    Ok(())
}

/// Capabilities that may be kept.
const CAPABILITIES: &[&str] = &[
    "cap_net_raw",
    "cap_net_admin",
    "cap_net_bind_service",
    "cap_sys_admin",
];

fn setcap(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, "'setcap' : missing capability name(s).")
            .with_nearest(b"", CAPABILITIES.iter().copied()));
    };
    let list = word.bytes().strip_suffix(b",").unwrap_or_else(|| word.bytes());
    for name in list.split(|&byte| byte == b',') {
        let Some(known) = CAPABILITIES.iter().find(|known| known.as_bytes() == name) else {
            let text = format!("'setcap' : unsupported capability '{word}'.");
            return Err(cursor
                .error_last(Code::BadChoice, text)
                .with_nearest(name, CAPABILITIES.iter().copied()));
        };
        let kept = &mut draft.global.settings.setcap;
        if !kept.iter().any(|kept| kept == known) {
            kept.push((*known).to_owned());
        }
    }
    // Further words are ignored by HAProxy.
    let _ = cursor.rest();
    Ok(())
}

fn set_dumpable(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if cursor.modifier() == Modifier::No {
        let _ = cursor.rest();
        draft.global.settings.set_dumpable = false;
        return Ok(());
    }
    let Some(word) = cursor.next() else {
        draft.global.settings.set_dumpable = true;
        return Ok(());
    };
    draft.global.settings.set_dumpable = if word.is("on") || word.is("libs") {
        true
    } else if word.is("off") {
        false
    } else {
        let text = format!("'set-dumpable' only supports 'on' and 'off' as an argument, found '{word}'.");
        return Err(cursor.error_last(Code::BadChoice, text));
    };
    Ok(())
}

fn node(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let name = cursor
        .next()
        .map(|word| word.text().into_owned())
        .unwrap_or_default();
    if name.is_empty() || forbidden_char(name.as_bytes()).is_some() || name.contains(':') {
        let text = "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), \
                    dot(.), hyphen(-) or underscore(_).";
        return Err(refuse(cursor, text));
    }
    draft.global.settings.node = name;
    Ok(())
}

fn description(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if cursor.peek().is_none() {
        return Err(refuse(cursor, "'description' expects a string argument."));
    }
    draft.global.settings.description = Some(joined(cursor));
    Ok(())
}

fn localpeer(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let Some(word) = cursor.next() else {
        return Err(refuse(cursor, "'localpeer' expects a name as an argument."));
    };
    if draft.global.localpeer_fixed {
        let text = "'localpeer' ignored since it is already set by using the '-L' command line argument.";
        return Err(cursor.error(Code::Conflict, text));
    }
    draft.global.settings.localpeer = word.text().into_owned();
    Ok(())
}

fn default_path(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let word = cursor.next();
    let is = |name: &str| word.is_some_and(|word| word.is(name));
    draft.default_path = if is("current") {
        DefaultPath::Current
    } else if is("config") {
        DefaultPath::Config
    } else if is("parent") {
        DefaultPath::Parent
    } else if is("origin") {
        let Some(origin) = cursor.next() else {
            return Err(refuse(
                cursor,
                "'default-path origin' expects a directory as an argument.",
            ));
        };
        DefaultPath::Origin(origin.bytes().to_vec())
    } else {
        let (state, got) = match word {
            Some(word) => ("unsupported", word.text().into_owned()),
            None => ("missing", String::new()),
        };
        let text = format!(
            "{state} default-path mode '{got}' for 'default-path', supported modes include 'current', 'config', \
             'parent', and 'origin'."
        );
        return Err(refuse(cursor, text));
    };
    // A second word after the other modes is ignored by HAProxy.
    let _ = cursor.rest();
    let base = draft.path(b".");
    if draft.default_path != DefaultPath::Current && draft.host.path_kind(&base) != Ok(PathKind::Directory) {
        let mode = word.map(|word| word.text().into_owned()).unwrap_or_default();
        let text = format!(
            "couldn't set 'default-path' to '{mode}': '{}' is no directory that can be entered.",
            String::from_utf8_lossy(&base)
        );
        return Err(cursor.error(Code::FileError, text));
    }
    Ok(())
}

fn setenv(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    let keyword = cursor.keyword();
    let Some(name) = cursor.next() else {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects environment variable name."),
        ));
    };
    let Some(value) = cursor.next() else {
        return Err(refuse(
            cursor,
            format!("'{keyword}' expects environment variable value for '{name}'."),
        ));
    };
    if name.bytes().contains(&b'=') {
        let text = format!("'{keyword}' failed on variable '{name}' : Invalid argument.");
        return Err(cursor.error(Code::BadName, text));
    }
    let done = if keyword == "setenv" {
        draft.env.set(name.bytes(), value.bytes())
    } else {
        draft.env.preset(name.bytes(), value.bytes())
    };
    done.map_err(|error| no_room(cursor, error))
}

/// The report for an environment that has no room left.
fn no_room(cursor: &ArgCursor<'_>, error: EnvFull) -> Diag {
    cursor.error(
        Code::OutOfRange,
        format!("'{}' failed : {error}.", cursor.keyword()),
    )
}

fn unsetenv(cursor: &mut ArgCursor<'_>, draft: &mut Draft) -> Result<(), Diag> {
    if cursor.peek().is_none() {
        return Err(refuse(cursor, "'unsetenv' expects at least one variable name."));
    }
    for name in cursor.rest() {
        if name.bytes().contains(&b'=') {
            let text = format!("'unsetenv' failed on variable '{name}' : Invalid argument.");
            return Err(cursor.error(Code::BadName, text));
        }
        draft.env.unset(name.bytes());
    }
    Ok(())
}

/// `unix-bind` and others give numbers without checking them: the leading integer, clamped.
pub(super) fn loose_u32(cursor: &mut ArgCursor<'_>) -> u32 {
    match cursor.next() {
        Some(word) => {
            hint_unless_int(cursor, word);
            super::clamp_u32(leading_int(word.bytes()))
        }
        None => 0,
    }
}
