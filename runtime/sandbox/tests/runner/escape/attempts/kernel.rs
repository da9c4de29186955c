//! The rarer doors of the kernel, and memory that would become code.

use super::{Attempt, room, text};

pub(super) fn interfaces() -> Vec<Attempt> {
    let key = libc::SYS_keyctl;
    vec![
        Attempt::new("use io_uring", libc::SYS_io_uring_setup, &[1, room()]),
        Attempt::new("load a kernel program", libc::SYS_bpf, &[0, room(), 64]),
        Attempt::new(
            "measure the kernel",
            libc::SYS_perf_event_open,
            &[room(), 0, 0, 0],
        ),
        Attempt::new("handle page faults", libc::SYS_userfaultfd, &[0]),
        Attempt::new("read keys", key, &[0, 0]),
        Attempt::new("load a module", libc::SYS_finit_module, &[0, text(""), 0]),
        Attempt::new("start another kernel", libc::SYS_kexec_load, &[0, 0, 0, 0]),
        Attempt::new("restart the machine", libc::SYS_reboot, &[0, 0, 0, 0]),
        Attempt::new("set the clock", libc::SYS_clock_settime, &[0, room()]),
        Attempt::new("rename the machine", libc::SYS_sethostname, &[text("x"), 1]),
        Attempt::new("learn of the machine", libc::SYS_uname, &[room()]),
        Attempt::new("share memory", libc::SYS_shmget, &[0, 4096, 0o1600]),
        Attempt::new("make a message queue", libc::SYS_msgget, &[0, 0o1600]),
        Attempt::new("make a pipe", libc::SYS_pipe2, &[room(), 0]),
        Attempt::new(
            "move bytes between descriptors",
            libc::SYS_splice,
            &[0, 0, 2, 0, 1, 0],
        ),
        Attempt::new("change its filters", libc::SYS_seccomp, &[1, 0, room()]),
        Attempt::new("raise its limits", libc::SYS_prlimit64, &[0, 7, room(), 0]),
    ]
}

pub(super) fn memory() -> Vec<Attempt> {
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let none = usize::MAX;
    let [code, all, data] = [
        libc::PROT_READ | libc::PROT_EXEC,
        libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        libc::PROT_READ | libc::PROT_WRITE,
    ]
    .map(|protection| protection as usize);
    let page = Box::leak(vec![0_u8; 8192].into_boxed_slice());
    let page = (page.as_ptr() as usize).next_multiple_of(4096);
    let private = libc::MAP_PRIVATE as usize;
    vec![
        Attempt::new(
            "make a file in memory",
            libc::SYS_memfd_create,
            &[text("x"), 0],
        ),
        Attempt::new(
            "map code",
            libc::SYS_mmap,
            &[0, 4096, code, anonymous, none, 0],
        ),
        Attempt::new(
            "map memory that is code and data",
            libc::SYS_mmap,
            &[0, 4096, all, anonymous, none, 0],
        ),
        Attempt::new(
            "map its component as code",
            libc::SYS_mmap,
            &[0, 4096, code, private, 1, 0],
        ),
        Attempt::new(
            "make data into code",
            libc::SYS_mprotect,
            &[page, 4096, code],
        ),
        Attempt::new(
            "make data into code by a key",
            libc::SYS_pkey_mprotect,
            &[page, 4096, code, none],
        ),
        Attempt::new(
            "map code at another place",
            libc::SYS_remap_file_pages,
            &[page, 4096, code, 0, 0],
        ),
        Attempt::new(
            "take 64 GiB",
            libc::SYS_mmap,
            &[0, 64 << 30, data, anonymous, none, 0],
        )
        .with(libc::ENOMEM),
    ]
}
