//! The command line: one row per flag, with what it takes, what it means, and what it does.
//!
//! Flags are HAProxy's: single-dash, known by their first letters (`-dbx` is `-db`), values apart except where
//! attached. `-h` lists the rows; one without effect here says why. Source: management manual, "Starting
//! HAProxy", and runs of 3.4.0.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::version::{self, Switches};
use crate::load::CommandLine;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing; letters after its own are ignored.
    Nothing,
    /// What is attached to it.
    Attached,
    /// The next word.
    Word,
    /// What is attached, else the next word unless that is a flag.
    AttachedOrWord,
    /// All next words up to a flag.
    Pids,
    /// All words to the end.
    Files,
}

/// One flag.
pub struct Flag {
    /// Its letters, without the dash.
    pub letters: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// How its value is named in help.
    pub value: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Why it does nothing here, if so.
    pub no_effect: Option<&'static str>,
    apply: fn(&mut Invocation, &[OsString]) -> Result<(), Stop>,
}

/// What ends the reading of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Print this on the standard output and leave with code 0.
    Print(String),
    /// Say so and leave with code 1.
    Refuse(String),
    /// Print the help and leave with code 1, after this if anything.
    Usage(Option<String>),
}

/// What `-dC` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpConfig {
    /// Each line with its number (`line`).
    pub with_place: bool,
    /// Names and addresses are hashed with this key, 0 for none.
    pub key: u32,
}

/// Processes to tell once this one serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldProcesses {
    /// Their numbers.
    pub pids: Vec<i32>,
    /// End at once (`-st`) instead of finishing (`-sf`).
    pub terminate: bool,
}

/// The command line, read.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The name that the program was called by.
    pub program: OsString,
    /// Configuration files and directories, in order.
    pub files: Vec<OsString>,
    /// What wins over the files.
    pub load: CommandLine,
    /// `-cc`
    pub condition: Option<OsString>,
    /// `-C`
    pub directory: Option<OsString>,
    /// `-V`
    pub verbose: bool,
    /// `-d`
    pub debug: bool,
    /// `-db`, `-Ws`
    pub foreground: bool,
    /// `-Ws`: tell systemd.
    pub systemd: bool,
    /// `-dD`
    pub diagnose: bool,
    /// `-dC`
    pub dump_config: Option<DumpConfig>,
    /// `-dK`
    pub dump_keywords: Option<String>,
    /// `-dL`, `-dA`
    pub dump_libs: bool,
    /// `-dA`: the archive to pack them into.
    pub pack_libs: Option<std::path::PathBuf>,
    /// `-sf`, `-st`
    pub old: OldProcesses,
    /// `-x`
    pub old_socket: Option<OsString>,
    /// `-S`, in order.
    pub master_sockets: Vec<OsString>,
    /// Switched off by `-dS`, `-dG`, `-dR`, `-dV`.
    pub switches: Switches,
    /// Said while the command line was read.
    pub warnings: Vec<String>,
}

use Takes::{Attached, AttachedOrWord, Files, Nothing, Pids, Word};

type Apply = fn(&mut Invocation, &[OsString]) -> Result<(), Stop>;

const fn flag(
    letters: &'static str,
    takes: Takes,
    value: &'static str,
    doc: &'static str,
    apply: Apply,
) -> Flag {
    Flag {
        letters,
        takes,
        value,
        doc,
        no_effect: None,
        apply,
    }
}

/// A flag that is read and does nothing here.
const fn idle(
    letters: &'static str,
    takes: Takes,
    value: &'static str,
    doc: &'static str,
    why: &'static str,
) -> Flag {
    Flag {
        letters,
        takes,
        value,
        doc,
        no_effect: Some(why),
        apply: |_, _| Ok(()),
    }
}

/// Every flag, in the order of help. The longest letters that a word begins with win.
pub static FLAGS: &[Flag] = &[
    flag(
        "f",
        Word,
        "<file|dir>",
        "reads this file, or the *.cfg files of this directory; may be repeated",
        |i, v| {
            i.files.extend(v.iter().cloned());
            Ok(())
        },
    ),
    flag(
        "-",
        Files,
        "<file>*",
        "reads these files, the rest of the command line",
        |i, v| {
            i.files.extend(v.iter().cloned());
            Ok(())
        },
    ),
    flag(
        "C",
        Word,
        "<dir>",
        "goes to this directory before anything is read",
        |i, v| {
            i.directory = v.first().cloned();
            Ok(())
        },
    ),
    flag("c", Nothing, "", "checks the configuration and leaves", |i, _| {
        i.load.check = true;
        Ok(())
    }),
    flag(
        "cc",
        Word,
        "<condition>",
        "evaluates a condition and leaves: 0 true, 1 false, 2 error",
        |i, v| {
            i.condition = v.first().cloned();
            Ok(())
        },
    ),
    flag("v", Nothing, "", "prints the version", |_, _| {
        Err(Stop::Print(version::short()))
    }),
    flag(
        "vv",
        Nothing,
        "",
        "prints the version and what was built",
        |_, _| Err(Stop::Print(version::short() + &version::build())),
    ),
    flag("vq", Nothing, "", "prints the bare version", |_, _| {
        Err(Stop::Print(format!("{}\n", version::VERSION)))
    }),
    flag("vqs", Nothing, "", "prints the version without suffix", |_, _| {
        Err(Stop::Print(format!("{}\n", version::COMPATIBLE)))
    }),
    flag("vqb", Nothing, "", "prints the branch", |_, _| {
        Err(Stop::Print(format!("{}\n", version::BRANCH)))
    }),
    flag("V", Nothing, "", "says more, also when quiet", |i, _| {
        i.verbose = true;
        Ok(())
    }),
    flag("q", Nothing, "", "says nothing", |i, _| {
        i.load.quiet = true;
        Ok(())
    }),
    flag(
        "d",
        Nothing,
        "",
        "stays in the foreground and says more; traffic is not printed",
        |i, _| {
            i.debug = true;
            Ok(())
        },
    ),
    flag("db", Nothing, "", "stays in the foreground", |i, _| {
        i.foreground = true;
        Ok(())
    }),
    flag("D", Nothing, "", "goes to the background", |i, _| {
        i.load.daemon = true;
        Ok(())
    }),
    flag(
        "W",
        Nothing,
        "",
        "runs a master process that watches a worker",
        |i, _| {
            i.load.master_worker = true;
            Ok(())
        },
    ),
    flag(
        "Ws",
        Nothing,
        "",
        "the same in the foreground, and tells systemd",
        |i, _| {
            i.load.master_worker = true;
            i.load.systemd = true;
            i.systemd = true;
            i.foreground = true;
            Ok(())
        },
    ),
    flag(
        "S",
        Word,
        "<bind>[,<option>...]",
        "opens a runtime socket of the master",
        |i, v| {
            i.master_sockets.extend(v.iter().cloned());
            Ok(())
        },
    ),
    flag(
        "p",
        Word,
        "<file>",
        "writes the process number to this file",
        |i, v| {
            i.load.pidfile = v.first().map(|file| file.as_bytes().to_vec());
            Ok(())
        },
    ),
    flag(
        "sf",
        Pids,
        "[<pid>]*",
        "lets these processes finish once this one serves",
        |i, v| old(i, v, false),
    ),
    flag(
        "st",
        Pids,
        "[<pid>]*",
        "ends these processes once this one serves",
        |i, v| old(i, v, true),
    ),
    flag(
        "x",
        Word,
        "<socket>",
        "takes listening sockets from another process; they are opened anew for now",
        |i, v| {
            if i.old_socket.is_some() {
                i.warnings
                    .push("-x option already set, overwriting the value".to_owned());
            }
            i.old_socket = v.first().cloned();
            Ok(())
        },
    ),
    flag("n", Word, "<number>", "maxconn of the process", |i, v| {
        i.load.maxconn = Some(number(v)).filter(|n| *n > 0);
        Ok(())
    }),
    flag(
        "N",
        Word,
        "<number>",
        "maxconn of frontends that set none",
        |i, v| {
            i.load.proxy_maxconn = Some(number(v)).filter(|n| *n > 0);
            Ok(())
        },
    ),
    flag("m", Word, "<MiB>", "limits the memory of the process", |i, v| {
        i.load.memory_max_mib = number(v);
        Ok(())
    }),
    flag(
        "L",
        Word,
        "<name>",
        "sets the local peer's name; the machine's otherwise",
        |i, v| {
            i.load.localpeer = v.first().map(|name| name.to_string_lossy().into_owned());
            Ok(())
        },
    ),
    flag(
        "4",
        Nothing,
        "",
        "resolves host names to IPv4 addresses only",
        |i, _| {
            i.load.ipv4_only = true;
            Ok(())
        },
    ),
    flag(
        "dr",
        Nothing,
        "",
        "starts although a server's name has no address",
        |i, _| {
            i.load.ignore_unresolved = true;
            Ok(())
        },
    ),
    flag("dW", Nothing, "", "refuses to start after any warning", |i, _| {
        i.load.zero_warning = true;
        Ok(())
    }),
    flag("dD", Nothing, "", "points at suspicious statements", |i, _| {
        i.diagnose = true;
        Ok(())
    }),
    flag(
        "dC",
        Attached,
        "[<key>][,line]",
        "prints the configuration as it was read",
        |i, v| {
            let words = v
                .first()
                .map(|words| words.to_string_lossy().into_owned())
                .unwrap_or_default();
            let (key, rest) = words.split_once(',').unwrap_or((&words, ""));
            let Ok(key) = (if matches!(key, "" | "line") { "0" } else { key }).parse() else {
                // Printing names that were to be hidden would be worse than not printing.
                return Err(Stop::Refuse(format!(
                    "-dC: '{key}' is no key, which is a number of 32 bits"
                )));
            };
            i.dump_config = Some(DumpConfig {
                with_place: words == "line" || rest.split(',').any(|word| word == "line"),
                key,
            });
            Ok(())
        },
    ),
    flag(
        "dK",
        Attached,
        "<class>[,<class>]*",
        "lists the keywords of these classes; 'help' lists the classes",
        |i, v| {
            i.dump_keywords = v.first().map(|classes| classes.to_string_lossy().into_owned());
            Ok(())
        },
    ),
    flag("dS", Nothing, "", "never splices", |i, _| {
        i.load.nosplice = true;
        i.switches.no_splice = true;
        Ok(())
    }),
    flag(
        "dG",
        Nothing,
        "",
        "resolves without getaddrinfo: IPv4 addresses only",
        |i, _| {
            i.load.nogetaddrinfo = true;
            i.switches.no_getaddrinfo = true;
            Ok(())
        },
    ),
    flag("dR", Nothing, "", "binds without SO_REUSEPORT", |i, _| {
        i.load.noreuseport = true;
        i.switches.no_reuseport = true;
        Ok(())
    }),
    flag(
        "dV",
        Nothing,
        "",
        "does not verify servers' certificates (there is no TLS yet)",
        |i, _| {
            i.switches.no_server_verify = true;
            Ok(())
        },
    ),
    flag("dI", Nothing, "", "lets the process start others", |i, _| {
        i.load.insecure_fork = true;
        Ok(())
    }),
    flag(
        "dL",
        Nothing,
        "",
        "lists the loaded object files after the check",
        |i, _| {
            i.dump_libs = true;
            Ok(())
        },
    ),
    flag(
        "dA",
        Attached,
        "<file>",
        "packs the loaded object files into an archive",
        |i, v| {
            i.dump_libs = true;
            match v.first() {
                Some(file) if !file.is_empty() => {
                    i.pack_libs = Some(file.into());
                    Ok(())
                }
                _ => Err(Stop::Refuse("-dA: missing output file name".to_owned())),
            }
        },
    ),
    idle(
        "dM",
        Attached,
        "[<byte>][,<option>]*",
        "memory debugging",
        "memory is safe by construction",
    ),
    idle(
        "dt",
        AttachedOrWord,
        "[<trace>,...]",
        "traces on the standard error",
        "there are no traces yet",
    ),
    idle("de", Nothing, "", "no epoll", "epoll is the only poller"),
    idle("dp", Nothing, "", "no poll", "epoll is the only poller"),
    idle(
        "dF",
        Nothing,
        "",
        "no fast-forward",
        "bodies always go straight to the other side's buffer",
    ),
    idle(
        "dZ",
        Nothing,
        "",
        "no zero-copy forwarding",
        "bodies are never copied between buffers",
    ),
    idle("dT", Nothing, "", "no kernel TLS", "there is no TLS yet"),
    idle(
        "dc",
        Nothing,
        "",
        "tells the processors in use",
        "there is one loop, wherever the system runs it",
    ),
];

fn number(values: &[OsString]) -> u32 {
    let text = values
        .first()
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default();
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let digits = text.get(..digits).unwrap_or_default();
    digits
        .parse()
        .unwrap_or(if digits.is_empty() { 0 } else { u32::MAX })
}

fn old(invocation: &mut Invocation, values: &[OsString], terminate: bool) -> Result<(), Stop> {
    invocation.old.terminate = terminate;
    let flag = if terminate { "-st" } else { "-sf" };
    for value in values {
        let text = value.to_string_lossy();
        let number = text.trim_start();
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = number.split_at(digits);
        let rest = rest.trim_start();
        if !rest.is_empty() {
            return Err(Stop::Refuse(format!(
                "{flag} option: some bytes unconsumed in PID list {{{rest}}}"
            )));
        }
        match number.parse() {
            Ok(pid) if pid > 0 => invocation.old.pids.push(pid),
            _ => return Err(Stop::Usage(None)),
        }
    }
    Ok(())
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// What to print and how to leave, when there is nothing to start.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Stop> {
    let mut args = args.into_iter();
    let mut invocation = Invocation {
        program: args.next().unwrap_or_default(),
        ..Invocation::default()
    };
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        let Some(text) = arg.as_bytes().strip_prefix(b"-") else {
            return Err(Stop::Usage(None));
        };
        let Some(flag) = find(text) else {
            return Err(Stop::Usage(None));
        };
        let attached = || OsStr::from_bytes(text.get(flag.letters.len()..).unwrap_or_default()).to_owned();
        let is_flag = |next: &OsString| next.as_bytes().starts_with(b"-");
        let values = match flag.takes {
            Nothing => Vec::new(),
            Attached => vec![attached()],
            AttachedOrWord => match args.next_if(|next| attached().is_empty() && !is_flag(next)) {
                Some(next) => vec![next],
                None => vec![attached()],
            },
            Word => match args.next() {
                Some(next) => vec![next],
                None => {
                    return Err(Stop::Usage(Some(format!(
                        "-{} expects {}",
                        flag.letters, flag.value
                    ))));
                }
            },
            Pids => std::iter::from_fn(|| args.next_if(|next| !is_flag(next))).collect(),
            Files => args.by_ref().collect(),
        };
        (flag.apply)(&mut invocation, &values)?;
    }
    invocation.load.facts = version::facts(invocation.switches);
    if invocation.files.is_empty() && invocation.condition.is_none() {
        return Err(Stop::Usage(None));
    }
    Ok(invocation)
}

/// The flag that a word (without its dash) begins with. `--` and `-vq...` must be whole, and words that end
/// otherwise fall back to shorter letters (`-vqx` is `-v`, `--x` is none).
fn find(text: &[u8]) -> Option<&'static Flag> {
    let whole = |flag: &Flag| flag.letters == "-" || flag.letters.starts_with("vq");
    FLAGS
        .iter()
        .filter(|flag| {
            if whole(flag) {
                text == flag.letters.as_bytes()
            } else {
                text.starts_with(flag.letters.as_bytes())
            }
        })
        .max_by_key(|flag| flag.letters.len())
}

/// The help.
pub fn usage(program: &str) -> String {
    let mut text = format!(
        "Usage : {program} [-f <file|dir>]* [ -vdVD ] [ -n <maxconn> ] [ -N <maxpconn> ]\n\
         \x20       [ -p <pidfile> ] [ -m <megabytes> ] [ -C <dir> ] [-- <file>*]\n\
         \x20       {program} check [--format text|json|sarif|github] [-f <file|dir>]*\n\
         \x20       {program} fmt [--check] [<file>]*\n"
    );
    for flag in FLAGS {
        let gap = if flag.takes == Attached || flag.value.is_empty() {
            ""
        } else {
            " "
        };
        let name = format!("-{}{gap}{}", flag.letters, flag.value);
        text.push_str(&format!("        {name} : {}", flag.doc));
        if let Some(why) = flag.no_effect {
            text.push_str(&format!(" (no effect here: {why})"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Invocation, Stop> {
        parse(
            std::iter::once("haproxy")
                .chain(line.split_whitespace())
                .map(OsString::from),
        )
    }

    #[test]
    fn the_test_driver_line() {
        let line = "-d -W -S fd@7 -dM -dI -dW -f /tmp/h1/cfg -p /tmp/h1/pid";
        let invocation = read(line).unwrap();
        assert!(invocation.debug && invocation.load.master_worker && invocation.load.zero_warning);
        assert_eq!(invocation.master_sockets, ["fd@7"]);
        assert_eq!(invocation.files, ["/tmp/h1/cfg"]);
        assert_eq!(invocation.load.pidfile.as_deref(), Some(&b"/tmp/h1/pid"[..]));
        assert!(invocation.load.insecure_fork);
    }

    #[test]
    fn the_packaged_unit_line() {
        let line = "-Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock";
        let invocation = read(line).unwrap();
        assert!(invocation.systemd && invocation.foreground && invocation.load.systemd);
    }

    #[test]
    fn letters_are_matched_from_the_front() {
        assert!(read("-dbx -f a").unwrap().foreground);
        assert!(read("-dq -f a").unwrap().debug);
        assert!(read("-cz -f a").unwrap().load.check);
        assert_eq!(read("-dMbyte,tag -dt -f a").unwrap().files, ["a"]);
        assert_eq!(read("-dt h1:user -f a").unwrap().files, ["a"]);
        assert_eq!(
            read("-dC,line -f a").unwrap().dump_config,
            Some(DumpConfig {
                with_place: true,
                key: 0
            })
        );
        assert_eq!(
            read("-dC42,line -f a").unwrap().dump_config,
            Some(DumpConfig {
                with_place: true,
                key: 42
            })
        );
        assert_eq!(read("-dKall -f a").unwrap().dump_keywords.as_deref(), Some("all"));
    }

    #[test]
    fn files_and_pids() {
        let invocation = read("-f a -sf 1 22 333 -f b -- c -d").unwrap();
        assert_eq!(invocation.files, ["a", "b", "c", "-d"]);
        assert_eq!(
            invocation.old,
            OldProcesses {
                pids: vec![1, 22, 333],
                terminate: false
            }
        );
        assert!(read("-f a -st").unwrap().old.terminate);
        assert_eq!(read("-f a -sf 0").unwrap_err(), Stop::Usage(None));
        assert!(matches!(read("-f a -sf x").unwrap_err(), Stop::Refuse(_)));
    }

    #[test]
    fn versions_come_first() {
        assert_eq!(
            read("-vqs --nonsense").unwrap_err(),
            Stop::Print("3.4.0\n".to_owned())
        );
        assert_eq!(read("-vqb").unwrap_err(), Stop::Print("3.4\n".to_owned()));
        assert!(
            matches!(read("-v").unwrap_err(), Stop::Print(text) if text.starts_with("HAProxy version 3.4.0"))
        );
        assert!(matches!(read("-vqx").unwrap_err(), Stop::Print(text) if text.lines().count() == 3));
    }

    #[test]
    fn unknown_flags_and_nothing_print_the_help() {
        for line in ["", "file", "-f", "--long", "-Z", "-z 1", "-sx", "-s", "-dW"] {
            assert!(matches!(read(line), Err(Stop::Usage(_))), "{line}");
        }
        assert!(read("-cc true").is_ok());
        assert!(matches!(read("-dCx -f a"), Err(Stop::Refuse(_))));
        assert!(matches!(read("-dA -f a"), Err(Stop::Refuse(_))));
    }

    #[test]
    fn numbers() {
        let invocation = read("-n 100 -N 7 -m 64x -f a").unwrap();
        assert_eq!(invocation.load.maxconn, Some(100));
        assert_eq!(
            (invocation.load.proxy_maxconn, invocation.load.memory_max_mib),
            (Some(7), 64)
        );
        assert_eq!(read("-n 0 -f a").unwrap().load.maxconn, None);
    }

    #[test]
    fn every_flag_is_documented_once() {
        let help = usage("haproxy");
        for flag in FLAGS {
            assert_eq!(
                FLAGS.iter().filter(|other| other.letters == flag.letters).count(),
                1,
                "{}",
                flag.letters
            );
            assert!(help.contains(&format!(" -{}", flag.letters)) && !flag.doc.is_empty());
        }
        assert!(help.contains("(no effect here: epoll is the only poller)"));
    }

    proptest! {
        #[test]
        fn no_command_line_panics(words in prop::collection::vec("-?[a-zA-Z0-9,@-]{0,4}", 0..8)) {
            let _ = parse(words.into_iter().map(OsString::from));
        }
    }
}
