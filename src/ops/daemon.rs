//! Leaving the terminal and giving rights up: background, process file, chroot, user and group, capabilities.
//!
//! Each step is tried once; one that fails keeps the process from starting, since it would run with more rights than
//! wanted. Source: configuration manual, "Process management and security"; management manual, "Starting HAProxy".

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::engine::sys::{self, Forked};
use crate::model::config::Config;
use crate::model::global::{Chroot, Global};

/// The daemon's end of the pipe to the process that was called: it ends once the daemon serves.
#[derive(Debug)]
pub struct Launcher {
    pipe: fs::File,
}

impl Launcher {
    /// Lets the process that was called end with success.
    pub fn ready(mut self) {
        // A launcher that is gone needs no answer.
        let _ = self.pipe.write_all(b"READY\n");
    }
}

/// On which side of the fork [`background`] returns.
#[derive(Debug)]
pub enum Side {
    /// The daemon.
    Daemon(Launcher),
    /// The process that was called: the daemon serves, or ended with that code.
    Called(CalledEnd),
}

/// How the process that was called ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledEnd {
    /// The daemon serves.
    Ready,
    /// The daemon ended with that number and code before it served.
    Died(i32, i32),
}

impl CalledEnd {
    /// The code to leave with: as HAProxy, a stop by SIGTERM is none to report.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Ready | Self::Died(_, 0 | 143) => ExitCode::SUCCESS,
            Self::Died(_, code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        }
    }
}

/// Goes to the background: a process of its own session goes on, the one that was called waits for it.
///
/// # Errors
/// Those of pipe(2) and fork(2).
pub fn background() -> io::Result<Side> {
    let (reader, writer) = sys::pipe(0)?;
    match sys::fork()? {
        Forked::Child => {
            drop(reader);
            // It fails only for a leader of a process group, which a new process is not.
            let _ = sys::start_session();
            Ok(Side::Daemon(Launcher { pipe: writer.into() }))
        }
        Forked::Parent(pid) => {
            drop(writer);
            let mut byte = [0; 1];
            Ok(Side::Called(match blocking_read(reader.into(), &mut byte) {
                Ok(count) if count > 0 => CalledEnd::Ready,
                _ => {
                    let ended = sys::wait_for(pid)?;
                    CalledEnd::Died(ended.pid, ended.code)
                }
            }))
        }
    }
}

fn blocking_read(mut pipe: fs::File, bytes: &mut [u8]) -> io::Result<usize> {
    sys::set_blocking(pipe.as_raw_fd())?;
    loop {
        match pipe.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Points the standard streams to `/dev/null`, which was opened before any chroot.
///
/// # Errors
/// Those of dup2(2).
pub fn leave_terminal(null: &fs::File) -> io::Result<()> {
    (0..=2).try_for_each(|stream| sys::duplicate_onto(null.as_raw_fd(), stream))
}

/// Opens `/dev/null` for [`leave_terminal`].
///
/// # Errors
/// Those of open(2).
pub fn open_null() -> io::Result<fs::File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}

/// Writes the process number to a file, which replaces an old one.
///
/// # Errors
/// Those of open(2) and write(2).
pub fn write_pidfile(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o644)
        .open(path)?;
    writeln!(file, "{}", std::process::id())
}

/// Confines the process to a directory. Without the right to, it tries again in a user namespace of its own.
///
/// # Errors
/// Which directory could not be had, and why.
pub fn chroot(global: &Global) -> Result<(), (PathBuf, io::Error)> {
    let (shown, target) = match &global.chroot {
        None => return Ok(()),
        Some(Chroot::Dir(dir)) => (dir.clone(), dir.clone()),
        Some(Chroot::Auto) => {
            let dir = empty_directory().map_err(|error| (PathBuf::from("auto"), error))?;
            // The directory stays as long as it is the root, and nobody finds it any more.
            let entered = std::env::set_current_dir(&dir);
            let removed = fs::remove_dir(&dir);
            entered.and(removed).map_err(|error| (dir.clone(), error))?;
            (dir, PathBuf::from("."))
        }
    };
    let confine = || {
        if target == Path::new("/") {
            Ok(())
        } else {
            std::os::unix::fs::chroot(&target)
        }
    };
    let result = confine().or_else(|error| {
        if error.raw_os_error() != Some(libc::EPERM) {
            return Err(error);
        }
        let (uid, gid) = (sys::effective_uid(), sys::effective_gid());
        sys::unshare_users()?;
        map_identities(global, uid, gid);
        confine()
    });
    result
        .and_then(|()| std::env::set_current_dir("/"))
        .map_err(|error| (shown, error))
}

/// An empty directory that only this process may enter.
fn empty_directory() -> io::Result<PathBuf> {
    for attempt in 0..100u32 {
        let path = std::env::temp_dir().join(format!("haproxy.{}.{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o500).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Keeps the present user and group in a new user namespace, so that becoming them again works. Without success
/// the change of user says so.
fn map_identities(global: &Global, uid: u32, gid: u32) {
    if global.user.is_some() {
        let _ = fs::write("/proc/self/uid_map", format!("{uid} {uid} 1\n"));
    }
    if global.group.is_some() {
        let _ = fs::write("/proc/self/setgroups", "deny");
        let _ = fs::write("/proc/self/gid_map", format!("{gid} {gid} 1\n"));
    }
}

/// Why the rights could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The group could not be taken.
    #[error("Cannot set gid {0}.")]
    Group(u32),
    /// The user could not be taken.
    #[error("Cannot set uid {0}.")]
    User(u32),
    /// The capabilities of `setcap` could not be kept.
    #[error("Cannot switch uid to {0}.")]
    Capabilities(u32),
}

/// Capabilities that `setcap` may name, with their numbers (capabilities(7)).
pub const CAPABILITIES: &[(&str, u32)] = &[
    ("cap_net_bind_service", 10),
    ("cap_net_admin", 12),
    ("cap_net_raw", 13),
    ("cap_sys_admin", 21),
];

/// Number of the capability to change the root directory.
pub const CAP_SYS_CHROOT: libc::c_ulong = 18;

/// Becomes the configured group and user, keeping the capabilities of `setcap`. Returns whether supplementary
/// groups could not be left.
///
/// # Errors
/// When one of them cannot be taken.
pub fn take_identity(global: &Global) -> Result<bool, IdentityError> {
    let mut groups_kept = false;
    if let Some(group) = global.group.as_ref().filter(|group| group.id > 0) {
        groups_kept = sys::has_supplementary_groups() && sys::set_no_supplementary_groups().is_err();
        sys::set_gid(group.id).map_err(|_| IdentityError::Group(group.id))?;
    }
    let uid = global.user.as_ref().map_or(0, |user| user.id);
    let wanted = global
        .setcap
        .iter()
        .filter_map(|name| CAPABILITIES.iter().find(|(known, _)| known == name))
        .fold(0u64, |bits, (_, number)| bits | 1 << number);
    let keep = wanted != 0 && sys::effective_uid() == 0 && uid > 0;
    if keep {
        sys::set_keep_capabilities().map_err(|_| IdentityError::Capabilities(uid))?;
    }
    if uid > 0 {
        sys::set_uid(uid).map_err(|_| IdentityError::User(uid))?;
    }
    if keep {
        sys::set_capabilities(wanted, wanted).map_err(|_| IdentityError::Capabilities(uid))?;
    } else if wanted != 0 && sys::effective_uid() != 0 {
        // Started by a user whom the file of the program grants them.
        let (permitted, effective) = sys::capabilities().map_err(|_| IdentityError::Capabilities(uid))?;
        let granted = permitted & wanted;
        if granted & !effective != 0 {
            sys::set_capabilities(granted, granted).map_err(|_| IdentityError::Capabilities(uid))?;
        }
    }
    Ok(groups_kept)
}

/// The `setcap` words for rights that settings need and this process has not: to make connections from addresses that
/// are not its own or from a certain interface, and in other network namespaces.
pub fn lacking_rights(config: &Config) -> Vec<&'static str> {
    let of_servers = config.servers.iter().filter_map(|server| server.source.as_ref());
    let of_proxies = config.proxies.iter().filter_map(|proxy| proxy.source.as_ref());
    let from_elsewhere = of_servers
        .chain(of_proxies)
        .any(|source| source.usesrc.is_some() || source.interface.is_some());
    let other_namespace = config.servers.iter().any(|server| server.namespace.is_some());
    let needs: [(bool, &[&str], &str); 2] = [
        (
            from_elsewhere,
            &["cap_net_raw", "cap_net_admin"],
            "'setcap cap_net_raw'",
        ),
        (other_namespace, &["cap_sys_admin"], "'setcap cap_sys_admin'"),
    ];
    if sys::effective_uid() == 0 {
        return Vec::new();
    }
    let effective = sys::capabilities().map_or(0, |(_, effective)| effective);
    let has = |name: &&str| {
        let mut known = CAPABILITIES.iter();
        known.any(|(known, number)| known == name && effective & 1 << number != 0)
    };
    needs
        .iter()
        .filter(|(needed, any_of, _)| *needed && !any_of.iter().any(has))
        .map(|(_, _, words)| *words)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_file_is_replaced() {
        let path = std::env::temp_dir().join(format!("rproxy-pidfile-test.{}", std::process::id()));
        fs::write(&path, "something longer than a number\n").unwrap();
        write_pidfile(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn codes_of_the_called_process() {
        assert_eq!(CalledEnd::Ready.exit_code(), ExitCode::SUCCESS);
        assert_eq!(CalledEnd::Died(1, 143).exit_code(), ExitCode::SUCCESS);
        assert_eq!(CalledEnd::Died(1, 1).exit_code(), ExitCode::from(1));
    }

    #[test]
    fn no_chroot_and_no_identity_change_nothing() {
        let global = Global::default();
        assert!(chroot(&global).is_ok());
        assert!(matches!(take_identity(&global), Ok(false)));
    }

    #[test]
    fn a_missing_directory_is_told() {
        let global = Global {
            chroot: Some(Chroot::Dir("/no/such/dir".into())),
            ..Global::default()
        };
        assert_eq!(chroot(&global).unwrap_err().0, Path::new("/no/such/dir"));
    }
}
