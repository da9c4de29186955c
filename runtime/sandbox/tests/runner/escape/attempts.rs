//! What an attacker tries, and the error with which the kernel refuses each.

mod kernel;

use std::ffi::{CString, c_char};
use std::ptr::{from_mut, from_ref};

use super::Outside;

/// A file that an attempt would leave.
pub(crate) const DROPPED: &str = "/tmp/sluice-test-escaped";

/// One call to the kernel.
pub(crate) struct Attempt {
    pub(crate) what: &'static str,
    number: i64,
    arguments: [usize; 6],
    /// What it must fail with.
    pub(crate) expected: i32,
}

impl Attempt {
    fn new(what: &'static str, number: i64, arguments: &[usize]) -> Self {
        let mut all = [0; 6];
        all.iter_mut()
            .zip(arguments)
            .for_each(|(slot, argument)| *slot = *argument);
        Self {
            what,
            number,
            arguments: all,
            expected: libc::EPERM,
        }
    }

    /// The same, refused with another error.
    fn with(mut self, expected: i32) -> Self {
        self.expected = expected;
        self
    }

    /// Tries it: what came of it, or the error.
    pub(crate) fn make(&self) -> Result<i64, i32> {
        let [a, b, c, d, e, f] = self.arguments;
        // SAFETY: each is expected to be refused; what pointers point to lives as long as the process.
        let result = unsafe { libc::syscall(self.number, a, b, c, d, e, f) };
        if result < 0 {
            return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
        }
        Ok(result)
    }
}

/// A text that stays for the rest of the process.
fn text(text: &str) -> usize {
    let text: *mut c_char = CString::new(text).unwrap().into_raw();
    text as usize
}

/// Room for what a call would write.
fn room() -> usize {
    from_mut(Box::leak(Box::new([0_u8; 4096]))) as usize
}

/// An address of loopback.
fn loopback(port: u16) -> usize {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_be_bytes([127, 0, 0, 1]).to_be(),
        },
        sin_zero: [0; 8],
    };
    from_ref(Box::leak(Box::new(address))) as usize
}

/// The address of a socket in the file system.
fn named(path: &str) -> usize {
    let mut bytes = vec![0_u8; 110];
    bytes[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    bytes[2..2 + path.len()].copy_from_slice(path.as_bytes());
    bytes.leak().as_ptr() as usize
}

/// A piece of another process's memory, as `process_vm_readv` takes it.
fn piece() -> usize {
    let piece = libc::iovec {
        iov_base: room() as *mut libc::c_void,
        iov_len: 16,
    };
    from_ref(Box::leak(Box::new(piece))) as usize
}

const HERE: usize = libc::AT_FDCWD as usize;

/// Everything.
pub(crate) fn all(outside: &Outside) -> Vec<Attempt> {
    let mut all = files(outside);
    all.extend(connections(outside));
    all.extend(processes(outside));
    all.extend(kernel::interfaces());
    all.extend(kernel::memory());
    all
}

fn files(outside: &Outside) -> Vec<Attempt> {
    let read = |what, path: &str| {
        let flags = libc::O_RDONLY as usize;
        Attempt::new(what, libc::SYS_openat, &[HERE, text(path), flags])
    };
    let (memory, environment) = (
        format!("/proc/{}/mem", outside.parent),
        format!("/proc/{}/environ", outside.parent),
    );
    let leaked = outside.leaked as usize;
    let create = (libc::O_CREAT | libc::O_WRONLY) as usize;
    vec![
        read("read /etc/passwd", "/etc/passwd"),
        read("read its own environment", "/proc/self/environ"),
        read("read its own memory map", "/proc/self/maps"),
        read("read the parent's memory as a file", &memory),
        read("read the parent's environment", &environment),
        read("list the root", "/"),
        Attempt::new(
            "open by openat2",
            libc::SYS_openat2,
            &[HERE, text("/etc/passwd"), room(), 24],
        ),
        Attempt::new(
            "write a file",
            libc::SYS_openat,
            &[HERE, text(DROPPED), create, 0o600],
        ),
        Attempt::new(
            "make a folder",
            libc::SYS_mkdirat,
            &[HERE, text(DROPPED), 0o700],
        ),
        Attempt::new(
            "remove a file",
            libc::SYS_unlinkat,
            &[HERE, text(DROPPED), 0],
        ),
        Attempt::new(
            "link a file",
            libc::SYS_symlinkat,
            &[text("/etc/passwd"), HERE, text(DROPPED)],
        ),
        Attempt::new(
            "ask for a file",
            libc::SYS_statx,
            &[HERE, text("/etc/passwd"), 0, 0xfff, room()],
        ),
        Attempt::new(
            "find its executable",
            libc::SYS_readlinkat,
            &[HERE, text("/proc/self/exe"), room(), 100],
        ),
        Attempt::new("change its root", libc::SYS_chroot, &[text("/tmp")]),
        Attempt::new(
            "mount",
            libc::SYS_mount,
            &[text("none"), text("/tmp"), text("tmpfs")],
        ),
        Attempt::new(
            "write to a leaked descriptor",
            libc::SYS_write,
            &[leaked, room(), 1],
        )
        .with(libc::EBADF),
        Attempt::new(
            "read from a leaked descriptor",
            libc::SYS_read,
            &[leaked, room(), 1],
        )
        .with(libc::EBADF),
        Attempt::new("copy a descriptor", libc::SYS_dup, &[0]),
        Attempt::new("watch files", libc::SYS_inotify_init1, &[0]),
    ]
}

fn connections(outside: &Outside) -> Vec<Attempt> {
    let socket = |what, family: i32, kind: i32| {
        Attempt::new(what, libc::SYS_socket, &[family as usize, kind as usize])
    };
    let (service, file) = (loopback(outside.port), named(&outside.socket));
    vec![
        socket("make a TCP socket", libc::AF_INET, libc::SOCK_STREAM),
        socket(
            "make a TCP socket of IPv6",
            libc::AF_INET6,
            libc::SOCK_STREAM,
        ),
        socket("make a UDP socket", libc::AF_INET, libc::SOCK_DGRAM),
        socket("make a Unix socket", libc::AF_UNIX, libc::SOCK_STREAM),
        socket("make a netlink socket", libc::AF_NETLINK, libc::SOCK_RAW),
        socket("make a packet socket", libc::AF_PACKET, libc::SOCK_RAW),
        socket(
            "make a virtual machine's socket",
            libc::AF_VSOCK,
            libc::SOCK_STREAM,
        ),
        socket("make a crypto socket", libc::AF_ALG, libc::SOCK_SEQPACKET),
        Attempt::new(
            "make a pair of sockets",
            libc::SYS_socketpair,
            &[
                libc::AF_UNIX as usize,
                libc::SOCK_STREAM as usize,
                0,
                room(),
            ],
        ),
        Attempt::new(
            "connect its socket by TCP",
            libc::SYS_connect,
            &[0, service, 16],
        ),
        Attempt::new(
            "connect its socket to a file",
            libc::SYS_connect,
            &[0, file, 110],
        ),
        Attempt::new(
            "send to an address",
            libc::SYS_sendto,
            &[0, room(), 1, 0, service, 16],
        ),
        Attempt::new("send descriptors", libc::SYS_sendmsg, &[0, room(), 0]),
        Attempt::new("receive descriptors", libc::SYS_recvmsg, &[0, room(), 0]),
        Attempt::new("bind its socket", libc::SYS_bind, &[0, file, 110]),
        Attempt::new("listen", libc::SYS_listen, &[0, 1]),
        Attempt::new(
            "ask who is at the other end",
            libc::SYS_getsockopt,
            &[0, 1, 17, room(), room()],
        ),
        Attempt::new("control a device", libc::SYS_ioctl, &[0, 0x5412, room()]),
    ]
}

fn processes(outside: &Outside) -> Vec<Attempt> {
    let parent = outside.parent as usize;
    let everyone = -1_isize as usize;
    let none = room();
    vec![
        Attempt::new(
            "read the parent's memory",
            libc::SYS_process_vm_readv,
            &[parent, piece(), 1, piece(), 1],
        ),
        Attempt::new(
            "write the parent's memory",
            libc::SYS_process_vm_writev,
            &[parent, piece(), 1, piece(), 1],
        ),
        Attempt::new(
            "trace the parent",
            libc::SYS_ptrace,
            &[libc::PTRACE_SEIZE as usize, parent],
        ),
        Attempt::new(
            "be traced",
            libc::SYS_ptrace,
            &[libc::PTRACE_TRACEME as usize],
        ),
        Attempt::new(
            "kill the parent",
            libc::SYS_kill,
            &[parent, libc::SIGKILL as usize],
        ),
        Attempt::new(
            "kill everyone",
            libc::SYS_kill,
            &[everyone, libc::SIGKILL as usize],
        ),
        Attempt::new(
            "kill a thread",
            libc::SYS_tgkill,
            &[parent, parent, libc::SIGKILL as usize],
        ),
        Attempt::new("hold the parent", libc::SYS_pidfd_open, &[parent]),
        Attempt::new("take a descriptor", libc::SYS_pidfd_getfd, &[0, 0]),
        Attempt::new(
            "read limits of the parent",
            libc::SYS_prlimit64,
            &[parent, 7, 0, none],
        ),
        Attempt::new(
            "start a program",
            libc::SYS_execve,
            &[text("/bin/true"), 0, 0],
        ),
        Attempt::new(
            "start a program by its descriptor",
            libc::SYS_execveat,
            &[1, text(""), 0, 0, libc::AT_EMPTY_PATH as usize],
        ),
        Attempt::new("fork", libc::SYS_clone, &[libc::SIGCHLD as usize]),
        Attempt::new("start a process by clone3", libc::SYS_clone3, &[room(), 64]),
        Attempt::new("become another user", libc::SYS_setuid, &[0]),
        Attempt::new("take capabilities", libc::SYS_capset, &[room(), room()]),
        Attempt::new(
            "make a user namespace",
            libc::SYS_unshare,
            &[libc::CLONE_NEWUSER as usize],
        ),
        Attempt::new("enter a namespace", libc::SYS_setns, &[0, 0]),
        Attempt::new(
            "outlive the parent",
            libc::SYS_prctl,
            &[libc::PR_SET_PDEATHSIG as usize, 0],
        ),
        Attempt::new(
            "be dumped",
            libc::SYS_prctl,
            &[libc::PR_SET_DUMPABLE as usize, 1],
        ),
    ]
}
