//! Native code behind the walls: this test binary starts itself, confines itself, and tries to get out.

#![expect(
    unsafe_code,
    reason = "an attacker who escaped wasmtime calls the kernel directly"
)]

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::thread;

use super::*;

const PROBE: &str = "SLUICE_TEST_PROBE";

fn syscall(number: i64, arguments: [usize; 6]) -> io::Result<()> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: every call here is expected to be refused, and none takes memory of Rust's.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Files, connections and other processes: what Landlock refuses by itself.
fn outside(parent: u32, port: u16) -> Vec<(&'static str, io::Result<()>)> {
    let id = usize::try_from(parent).unwrap();
    vec![
        ("read a file", fs::read("/etc/passwd").map(drop)),
        (
            "read its environment",
            fs::read("/proc/self/environ").map(drop),
        ),
        ("list a folder", fs::read_dir("/").map(drop)),
        (
            "write a file",
            File::create("/tmp/sluice-test-probe").map(drop),
        ),
        ("connect", TcpStream::connect(("127.0.0.1", port)).map(drop)),
        ("listen", TcpListener::bind("127.0.0.1:0").map(drop)),
        (
            "start a program",
            Command::new("/bin/true").status().map(drop),
        ),
        (
            "read its parent's memory",
            fs::read(format!("/proc/{parent}/mem")).map(drop),
        ),
        (
            "trace its parent",
            syscall(
                libc::SYS_ptrace,
                [libc::PTRACE_SEIZE as usize, id, 0, 0, 0, 0],
            ),
        ),
        (
            "signal its parent",
            syscall(libc::SYS_kill, [id, 0, 0, 0, 0, 0]),
        ),
    ]
}

/// What only the filters refuse.
fn kernel() -> Vec<(&'static str, io::Result<()>)> {
    let executable = (libc::PROT_READ | libc::PROT_EXEC) as usize;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let datagram = [
        libc::AF_INET as usize,
        libc::SOCK_DGRAM as usize,
        0,
        0,
        0,
        0,
    ];
    vec![
        (
            "start a thread",
            thread::Builder::new().spawn(|| ()).map(drop),
        ),
        (
            "fork",
            syscall(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0]),
        ),
        ("make a socket", syscall(libc::SYS_socket, datagram)),
        (
            "make a pair of sockets",
            std::os::unix::net::UnixStream::pair().map(drop),
        ),
        (
            "use io_uring",
            syscall(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0]),
        ),
        ("load a kernel program", syscall(libc::SYS_bpf, [0; 6])),
        (
            "make a namespace",
            syscall(
                libc::SYS_unshare,
                [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0, 0],
            ),
        ),
        (
            "map code",
            syscall(
                libc::SYS_mmap,
                [0, 4096, executable, anonymous, usize::MAX, 0],
            ),
        ),
        (
            "be dumped",
            syscall(
                libc::SYS_prctl,
                [libc::PR_SET_DUMPABLE as usize, 1, 0, 0, 0, 0],
            ),
        ),
        (
            "pass an address",
            syscall(libc::SYS_sendto, [0, 0, 0, 0, 1, 16]),
        ),
    ]
}

/// What the child does. Harmless when it is run as a test.
#[test]
fn probe() {
    let Ok(job) = env::var(PROBE) else {
        return;
    };
    let (filters, port, leaked) = match job.split(' ').collect::<Vec<_>>()[..] {
        [filters, port, leaked] => (
            filters == "filters",
            port.parse().unwrap(),
            leaked.parse().unwrap(),
        ),
        _ => panic!("{job}"),
    };
    let parent = std::os::unix::process::parent_id();
    let mut missing = process();
    if filters {
        missing.extend(system_calls());
        no_new_code().unwrap();
    }
    let mut tried = outside(parent, port);
    tried.push((
        "write to a leaked descriptor",
        syscall(libc::SYS_write, [leaked, 0, 0, 0, 0, 0]),
    ));
    if filters {
        tried.extend(kernel());
    }
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let mut report = format!("missing: {missing:?}\n");
    for (name, result) in tried {
        let verdict =
            result.map_or_else(|error| format!("refused, {error}"), |()| "ALLOWED".into());
        report.push_str(&format!("{name}: {verdict}\n"));
    }
    io::stderr().write_all(report.as_bytes()).unwrap();
}

fn report(filters: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let leaked = File::create(tempfile::NamedTempFile::new().unwrap()).unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "confine::tests::probe",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PROBE, format!("{filters} {port} {}", leaked.as_raw_fd()))
        .output()
        .unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}: {report}", output.status);
    report
}

#[test]
fn native_code_in_a_confined_process_gets_nothing() {
    let report = report("filters");
    // An older kernel knows a part of Landlock only, and this process has threads already, of which none leaves its
    // user namespace; `tests/runner` sees what a real runner lacks.
    let elsewhere = ["user-namespace", "network-namespace", "landlock"];
    let missing = report.lines().next().unwrap_or_default();
    let missing = missing.split('"').skip(1).step_by(2);
    let others: Vec<_> = missing
        .filter(|wall| !elsewhere.iter().any(|name| wall.starts_with(name)))
        .collect();
    assert!(others.is_empty(), "{report}");
    assert!(
        report.lines().count() > 20 && !report.contains("ALLOWED"),
        "{report}"
    );
}

#[test]
fn files_connections_and_processes_are_out_of_reach_even_without_the_filters() {
    let report = report("none");
    if report.contains("landlock: ") {
        return; // This kernel cannot show it.
    }
    assert!(
        report.lines().count() > 10 && !report.contains("ALLOWED"),
        "{report}"
    );
}
