//! System calls for which std and socket2 have no safe form: the only file with `unsafe`.
//!
//! Each function is as small as its call, takes and returns safe types, and turns -1 into `io::Error`.
//! Sources: accept4(2), splice(2), tcp(7), ip(7), unix(7), setns(2).
#![allow(unsafe_code, reason = "the one syscall file")]

// ---- sockets and pipes -------------------------------------------------------------------------

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use socket2::{SockAddr, SockAddrStorage, Socket};

/// Turns the -1 of a system call into its error.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Length of a C structure as the kernel takes it.
fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}

/// The address of an abstract UNIX socket. `zero_terminated`: the length covers the name alone (`abnsz@`);
/// otherwise NULs fill the field and count (`abns@`). `None` if the name does not fit.
pub fn abstract_address(name: &[u8], zero_terminated: bool) -> Option<SockAddr> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_un is plain data that fits in the storage, and all-zero bytes are valid for it.
    let unix = unsafe { storage.view_as::<libc::sockaddr_un>() };
    unix.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).ok()?;
    let field = unix.sun_path.get_mut(1..)?;
    if name.len() > field.len() {
        return None;
    }
    for (to, from) in field.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let whole = length_of::<libc::sockaddr_un>();
    let path_offset = whole - libc::socklen_t::try_from(unix.sun_path.len()).ok()?;
    let length = if zero_terminated {
        path_offset + 1 + libc::socklen_t::try_from(name.len()).ok()?
    } else {
        whole
    };
    // SAFETY: the storage holds a sockaddr_un of which `length` bytes, no more than its size, are meant.
    Some(unsafe { SockAddr::new(storage, length) })
}

/// Accepts one connection, non-blocking and closed on exec.
///
/// # Errors
/// Those of accept4(2); `WouldBlock` when none waits.
pub fn accept(listener: RawFd) -> io::Result<(Socket, SockAddr)> {
    // SAFETY: the closure hands accept4 a storage and a length that stay valid during the call; the
    // descriptor it returns is new and owned by nobody else.
    unsafe {
        SockAddr::try_init(|storage, length| {
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let fd = check(libc::accept4(listener, storage.cast(), length, flags))?;
            Ok(Socket::from_raw_fd(fd))
        })
    }
}

/// Takes over an inherited descriptor as a socket, after making sure that it is open. The copy is closed on
/// exec and non-blocking; the inherited number itself stays open, since several lines may name it.
///
/// # Errors
/// `EBADF` when it is not open, or those of fcntl(2).
pub fn inherited_socket(fd: RawFd) -> io::Result<Socket> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes no pointer; the new descriptor is owned by nobody else.
    let socket = unsafe { Socket::from_raw_fd(check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?) };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Closes an inherited descriptor of which copies were made; the standard ones stay open.
pub fn close_inherited(fd: RawFd) {
    if fd > libc::STDERR_FILENO && is_open(fd) {
        // SAFETY: close takes no pointer; the number came from outside and nothing in this process owns it.
        unsafe { libc::close(fd) };
    }
}

/// Has the allocator give pages without any object back to the system, where it can.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer, and touches nothing that is allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether a descriptor is open.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: fcntl with F_GETFD takes no pointer and changes nothing.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Reads an integer socket option.
///
/// # Errors
/// Those of getsockopt(2).
pub fn sockopt(fd: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = length_of::<libc::c_int>();
    // SAFETY: `value` and `length` live during the call, and `length` tells the size of `value`.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) })?;
    Ok(value)
}

/// Bytes that the send queue of a socket still takes, about: it is filled in units of packets.
///
/// # Errors
/// Those of getsockopt(2).
pub fn send_room_len(fd: RawFd) -> io::Result<usize> {
    // The indices of sock_diag(7): memory of the send queue as datagram and UNIX sockets count it, its limit, and
    // its use as TCP counts it.
    const WMEM_ALLOC: usize = 2;
    const SNDBUF: usize = 3;
    const WMEM_QUEUED: usize = 5;
    let mut memory = [0_u32; 9];
    let mut length = length_of::<[u32; 9]>();
    let (level, name) = (libc::SOL_SOCKET, libc::SO_MEMINFO);
    // SAFETY: `memory` and `length` live during the call, and `length` tells the size of `memory`.
    check(unsafe { libc::getsockopt(fd, level, name, memory.as_mut_ptr().cast(), &raw mut length) })?;
    let used = memory[WMEM_ALLOC].max(memory[WMEM_QUEUED]);
    Ok(memory[SNDBUF].saturating_sub(used) as usize)
}

/// Sets an integer socket option.
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_sockopt(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = length_of::<libc::c_int>();
    // SAFETY: `value` lives during the call, and `length` tells its size.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) }).map(drop)
}

/// A pipe, non-blocking and closed on exec: read end, write end. `size_bytes` 0 keeps the system's size.
///
/// # Errors
/// Those of pipe2(2). A refused size is no error.
pub fn pipe(size_bytes: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [libc::c_int; 2] = [-1; 2];
    // SAFETY: `ends` has room for both descriptors, which are new and owned by nobody else.
    let (read, write) = unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC))?;
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    if let (true, Ok(size)) = (size_bytes > 0, libc::c_int::try_from(size_bytes)) {
        // SAFETY: fcntl with F_SETPIPE_SZ takes no pointer; a refusal leaves the pipe as it was.
        unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, size) };
    }
    Ok((read, write))
}

/// Moves up to `length` bytes between a pipe and a socket without copying them. 0 is the end of file.
///
/// # Errors
/// Those of splice(2); `WouldBlock` when nothing can be moved now.
pub fn splice(from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: null offsets are what splice wants for descriptors that cannot seek; no memory is passed.
    let moved = unsafe {
        libc::splice(
            from,
            std::ptr::null_mut(),
            to,
            std::ptr::null_mut(),
            length,
            flags,
        )
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Runs `action` with this thread in the network namespace of `namespace`, and comes back.
///
/// # Errors
/// Those of setns(2), or of `action`.
pub fn in_network_namespace<T>(
    own: RawFd,
    namespace: RawFd,
    action: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    // SAFETY: setns takes two integers; both descriptors are open, as the caller holds their files.
    check(unsafe { libc::setns(namespace, libc::CLONE_NEWNET) })?;
    let result = action();
    // SAFETY: as above.
    check(unsafe { libc::setns(own, libc::CLONE_NEWNET) })?;
    result
}
/// Seconds by which local time is ahead of UTC at that moment.
pub fn local_offset_s(epoch_s: u64) -> i32 {
    let Ok(time) = libc::time_t::try_from(epoch_s) else {
        return 0;
    };
    // SAFETY: tm is plain data for which all-zero bytes are valid; localtime_r fills it, and leaves it alone
    // when it returns null.
    unsafe {
        let mut civil: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const time, &raw mut civil).is_null() {
            return 0;
        }
        i32::try_from(civil.tm_gmtoff).unwrap_or(0)
    }
}

/// Writes to a descriptor that somebody else owns (stdout, stderr, `fd@N` of a log line).
///
/// # Errors
/// Those of write(2).
pub fn write_fd(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a live slice.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Reads from a socket without taking the bytes out of it. 0 is the end of file.
///
/// # Errors
/// Those of recv(2); `WouldBlock` when there is nothing.
pub fn peek(socket: RawFd, room: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a live, writable slice.
    let seen = unsafe { libc::recv(socket, room.as_mut_ptr().cast(), room.len(), libc::MSG_PEEK) };
    usize::try_from(seen).map_err(|_| io::Error::last_os_error())
}

// ---- processes ---------------------------------------------------------------------------------
// Sources: fork(2), waitpid(2), kill(2), setuid(2), setgroups(2), prctl(2), capabilities(7), getrlimit(2),
// user_namespaces(7), getpwnam(3), unix(7) (SCM_RIGHTS).

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old process, with the number of the new one.
    Parent(i32),
}

/// How a child ended, as a shell tells it: its exit code, or 128 plus the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub pid: i32,
    /// Its code.
    pub code: i32,
}

/// A limit of resources: in force, and highest allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In force.
    pub soft: u64,
    /// Highest that may be set.
    pub hard: u64,
}

/// Whether that capability can be had at all, by number (capabilities(7)).
pub fn can_have_capability(number: libc::c_ulong) -> bool {
    // SAFETY: this prctl reads its second argument only.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) == 1 }
}

/// The capabilities permitted to and effective in this process, as bits.
///
/// # Errors
/// Those of capget(2).
pub fn capabilities() -> io::Result<(u64, u64)> {
    let header = CapHeader {
        version: CAP_VERSION,
        pid: 0,
    };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and data are laid out as the kernel's version 3 wants them and stay valid during the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
    check_long(result)?;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((
        join(data[0].permitted, data[1].permitted),
        join(data[0].effective, data[1].effective),
    ))
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`, of which version 3 takes two.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAP_VERSION: u32 = 0x2008_0522;

/// Turns the -1 of a raw system call into its error.
fn check_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes `to` another name of the descriptor `from`; what `to` was is closed.
///
/// # Errors
/// Those of dup2(2).
pub fn duplicate_onto(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: descriptors are plain numbers to dup2. Whoever owned `to` must not use it as what it was: the one
    // caller replaces the standard streams, which nobody owns.
    check(unsafe { libc::dup2(from, to) }).map(drop)
}

/// The effective group.
pub fn effective_gid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::getegid() }
}

/// The effective user.
pub fn effective_uid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() }
}

/// No program that this process runs may gain rights by its file.
///
/// # Errors
/// Those of prctl(2).
pub fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: this prctl reads its second argument only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Makes a second process out of this one. Called at boot only, while there is one thread.
///
/// # Errors
/// Those of fork(2).
pub fn fork() -> io::Result<Forked> {
    // SAFETY: the program has one thread, so the child finds every lock free and every structure whole.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// The number of a group, `None` if there is none of that name.
///
/// # Errors
/// Those of getgrnam_r(3).
pub fn group_id(name: &std::ffi::CStr) -> io::Result<Option<u32>> {
    with_room(|room| {
        // SAFETY: all-zero bytes are a valid group entry: numbers and null pointers.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let (mut found, name) = (std::ptr::null_mut(), name.as_ptr());
        // SAFETY: entry, room and found outlive the call; the length is that of room.
        let error = unsafe { libc::getgrnam_r(name, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
        (error, (!found.is_null()).then_some(entry.gr_gid))
    })
}

/// Asks for an entry of the system's databases, with more and more room for its texts until they fit. `ask` gives the
/// error of the call, 0 for none, and what was found.
fn with_room(
    mut ask: impl FnMut(&mut [libc::c_char]) -> (libc::c_int, Option<u32>),
) -> io::Result<Option<u32>> {
    let mut room = vec![0; NAME_ROOM];
    loop {
        match ask(&mut room) {
            (0, found) => return Ok(found),
            (libc::ERANGE, _) if room.len() < NAME_ROOM_MAX => room.resize(room.len() * 2, 0),
            (libc::ENOENT | libc::ESRCH, _) => return Ok(None),
            (error, _) => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// First and largest room for an entry of the user and group databases, bytes.
const NAME_ROOM: usize = 4 * 1024;
const NAME_ROOM_MAX: usize = 1024 * 1024;

/// Whether this process has supplementary groups.
pub fn has_supplementary_groups() -> bool {
    // SAFETY: a count of 0 asks for the number only, the pointer is not used.
    unsafe { libc::getgroups(0, std::ptr::null_mut()) > 0 }
}

/// The machine's own name.
///
/// # Errors
/// Those of gethostname(2).
pub fn hostname() -> io::Result<String> {
    let mut room = [0u8; 256];
    // SAFETY: the length given is one less than that of room, which so ends with NUL.
    check(unsafe { libc::gethostname(room.as_mut_ptr().cast(), room.len() - 1) })?;
    let name = room.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The index of a network interface.
pub fn interface_index(name: &std::ffi::CStr) -> Option<u32> {
    // SAFETY: name ends with NUL and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Sends a signal to a process. Never to a group: `pid` must be positive.
///
/// # Errors
/// Those of kill(2); `InvalidInput` for a number that would mean a group.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    if pid <= 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: kill takes plain numbers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A limit of resources (`RLIMIT_*`).
///
/// # Errors
/// Those of getrlimit(2).
pub fn limit(resource: libc::__rlimit_resource_t) -> io::Result<Limit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: limit outlives the call.
    check(unsafe { libc::getrlimit(resource, &mut limit) })?;
    Ok(Limit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    })
}

/// The monotonic clock as other processes read it, microseconds (clock_gettime(2)).
///
/// # Errors
/// Those of clock_gettime(2).
pub fn monotonic_us() -> io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: time outlives the call.
    check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) })?;
    let micros = i128::from(time.tv_sec) * 1_000_000 + i128::from(time.tv_nsec) / 1_000;
    Ok(u64::try_from(micros).unwrap_or(0))
}

/// Receives one descriptor from a stream socket (unix(7), SCM_RIGHTS). `None` when the peer has closed.
///
/// # Errors
/// Those of recvmsg(2); `InvalidData` for a message without descriptor.
pub fn receive_descriptor(socket: RawFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0u8; 1];
    let mut data = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    let mut control = RightsMessage::default();
    // SAFETY: all-zero bytes are a valid message header: null pointers and lengths of 0.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<RightsMessage>();
    // SAFETY: message and what it points to outlive the call; received descriptors are closed on exec.
    let count = unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    let rights =
        control.header.cmsg_level == libc::SOL_SOCKET && control.header.cmsg_type == libc::SCM_RIGHTS;
    if message.msg_controllen >= size_of::<libc::cmsghdr>() + size_of::<RawFd>() && rights {
        // SAFETY: the kernel made this descriptor for this process just now; nobody else knows it.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(control.descriptor) }));
    }
    if count == 0 {
        Ok(None)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// A control message with one descriptor, laid out as the kernel wants it.
#[repr(C, align(8))]
struct RightsMessage {
    header: libc::cmsghdr,
    descriptor: RawFd,
    padding: [u8; 4],
}

impl Default for RightsMessage {
    fn default() -> Self {
        Self {
            header: libc::cmsghdr {
                cmsg_len: 0,
                cmsg_level: 0,
                cmsg_type: 0,
            },
            descriptor: -1,
            padding: [0; 4],
        }
    }
}

/// SIGINT does what it does by default, and no signal is held back, whatever the parent process left behind (a shell
/// ignores SIGINT for what it runs in the background).
///
/// # Errors
/// Those of sigprocmask(2).
pub fn reset_signals() -> io::Result<()> {
    // SAFETY: the default action is no function of this program's.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset writes the whole set, which sigprocmask then reads; the old set is not asked for.
    check(unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    })
    .map(drop)
}

/// Sends one descriptor over a stream socket (unix(7), SCM_RIGHTS); it stays open here.
///
/// # Errors
/// Those of sendmsg(2).
pub fn send_descriptor(socket: RawFd, descriptor: RawFd) -> io::Result<()> {
    // One byte has to go along; HAProxy sends this one.
    let byte = *b"\r";
    let mut data = libc::iovec {
        iov_base: byte.as_ptr().cast_mut().cast(),
        iov_len: byte.len(),
    };
    let mut control = RightsMessage {
        header: libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + size_of::<RawFd>(),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        descriptor,
        padding: [0; 4],
    };
    // SAFETY: all-zero bytes are a valid message header: null pointers and lengths of 0.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<RightsMessage>();
    // SAFETY: message and what it points to outlive the call, and sendmsg only reads them.
    let count = unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) };
    if count < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes reads and writes on the descriptor wait.
///
/// # Errors
/// Those of fcntl(2).
pub fn set_blocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl takes plain numbers here.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK) }).map(drop)
}

/// Sets the capabilities of this process, as bits. None is inherited by programs it runs.
///
/// # Errors
/// Those of capset(2).
pub fn set_capabilities(permitted: u64, effective: u64) -> io::Result<()> {
    let header = CapHeader {
        version: CAP_VERSION,
        pid: 0,
    };
    let half = |shift: u32| CapData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: 0,
    };
    let data = [half(0), half(32)];
    // SAFETY: header and data are laid out as the kernel's version 3 wants them and stay valid during the call.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
}

/// A change of user no longer forbids core dumps.
///
/// # Errors
/// Those of prctl(2).
pub fn set_dumpable() -> io::Result<()> {
    // SAFETY: this prctl reads its second argument only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }).map(drop)
}

/// Becomes that group for good.
///
/// # Errors
/// Those of setgid(2).
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: setgid takes a plain number.
    check(unsafe { libc::setgid(gid) }).map(drop)
}

/// Keeps the permitted capabilities over the next change of user.
///
/// # Errors
/// Those of prctl(2).
pub fn set_keep_capabilities() -> io::Result<()> {
    // SAFETY: this prctl reads its second argument only.
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }).map(drop)
}

/// Sets a limit of resources (`RLIMIT_*`).
///
/// # Errors
/// Those of setrlimit(2).
pub fn set_limit(resource: libc::__rlimit_resource_t, limit: Limit) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: limit.soft,
        rlim_max: limit.hard,
    };
    // SAFETY: limit outlives the call, and setrlimit only reads it.
    check(unsafe { libc::setrlimit(resource, &limit) }).map(drop)
}

/// Leaves all supplementary groups.
///
/// # Errors
/// Those of setgroups(2).
pub fn set_no_supplementary_groups() -> io::Result<()> {
    // SAFETY: a count of 0: the pointer is not used.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop)
}

/// Becomes that user for good.
///
/// # Errors
/// Those of setuid(2).
pub fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: setuid takes a plain number.
    check(unsafe { libc::setuid(uid) }).map(drop)
}

/// Leaves the terminal: a session of its own.
///
/// # Errors
/// Those of setsid(2).
pub fn start_session() -> io::Result<()> {
    // SAFETY: no arguments.
    check(unsafe { libc::setsid() }).map(drop)
}

/// A child that has ended, without waiting. `None` when none has; `Err` (`ECHILD`) when there is no child at all.
///
/// # Errors
/// Those of waitpid(2).
pub fn take_ended_child() -> io::Result<Option<Ended>> {
    wait(-1, libc::WNOHANG)
}

/// Goes into a user namespace of its own.
///
/// # Errors
/// Those of unshare(2).
pub fn unshare_users() -> io::Result<()> {
    // SAFETY: unshare takes a plain number; the program has one thread at boot.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER) }).map(drop)
}

/// The number of a user, `None` if there is none of that name.
///
/// # Errors
/// Those of getpwnam_r(3).
pub fn user_id(name: &std::ffi::CStr) -> io::Result<Option<u32>> {
    with_room(|room| {
        // SAFETY: all-zero bytes are a valid user entry: numbers and null pointers.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let (mut found, name) = (std::ptr::null_mut(), name.as_ptr());
        // SAFETY: entry, room and found outlive the call; the length is that of room.
        let error = unsafe { libc::getpwnam_r(name, &mut entry, room.as_mut_ptr(), room.len(), &mut found) };
        (error, (!found.is_null()).then_some(entry.pw_uid))
    })
}

fn wait(pid: i32, options: libc::c_int) -> io::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: status outlives the call.
    let pid = check(unsafe { libc::waitpid(pid, &mut status, options) })?;
    let code = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        255
    };
    Ok((pid > 0).then_some(Ended { pid, code }))
}

/// Waits until that child ends.
///
/// # Errors
/// Those of waitpid(2).
pub fn wait_for(pid: i32) -> io::Result<Ended> {
    loop {
        match wait(pid, 0) {
            Ok(Some(ended)) => return Ok(ended),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
