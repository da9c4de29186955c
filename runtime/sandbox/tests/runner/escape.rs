//! Native code in the real runner, behind all of its walls: what somebody could do who got out of wasmtime.

#![expect(
    unsafe_code,
    reason = "an attacker who escaped wasmtime calls the kernel directly"
)]

mod attempts;

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;

use domain::Operation;
use domain::wall::Wall;

use crate::broker::{self, compile, start};
use crate::guests;

/// What the runner is told of the outside, which a real attacker would have to guess.
pub(crate) struct Outside {
    /// The process of the broker.
    pub(crate) parent: i32,
    /// A port on loopback at which somebody listens.
    pub(crate) port: u16,
    /// A descriptor that the broker let slip.
    pub(crate) leaked: i32,
    /// A path at which a socket listens.
    pub(crate) socket: String,
}

/// What the escaped guest does.
pub(crate) fn escaped() {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["attempts", parent, port, leaked, socket] => report(&Outside {
            parent: parent.parse().unwrap(),
            port: port.parse().unwrap(),
            leaked: leaked.parse().unwrap(),
            socket: socket.into(),
        }),
        ["runs-data"] => run_data(),
        ["changes-component"] => change_component(),
        ["spins"] => loop {
            std::hint::black_box(());
        },
        _ => panic!("{words:?}"),
    }
}

/// Tries everything, and says what came of it, a line each.
fn report(outside: &Outside) {
    let mut report = String::new();
    for attempt in attempts::all(outside) {
        let got = attempt.make();
        let verdict = match got {
            Ok(value) => format!("GOT {value}"),
            Err(errno) if errno == attempt.expected => "refused".into(),
            Err(errno) => format!("UNEXPECTED errno {errno}"),
        };
        report.push_str(&format!("{}: {verdict}\n", attempt.what));
    }
    std::io::stderr().write_all(report.as_bytes()).unwrap();
}

/// Jumps into bytes that were data a moment ago.
fn run_data() {
    // `ret`, or what would be one if the processor ever came to it.
    let code = Box::leak(vec![0xc3_u8; 4096].into_boxed_slice());
    // SAFETY: none; that the processor refuses is the test.
    let function: extern "C" fn() = unsafe { std::mem::transmute(code.as_ptr()) };
    function();
    std::io::stderr().write_all(b"it ran\n").unwrap();
}

/// Writes over what it was loaded from.
fn change_component() {
    let bytes = [0_u8; 16];
    // SAFETY: the bytes outlive the call.
    unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len()) };
    std::io::stderr().write_all(b"it wrote\n").unwrap();
}

pub(crate) fn an_escaped_guest_gets_nothing_from_the_kernel() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let _udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _unix = UnixListener::bind(&path).unwrap();
    let leaked = tempfile::tempfile().unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let compiled = compile(&guests::component(guests::RETURNS)).unwrap();
    let (parent, port, descriptor) = (
        std::process::id().to_string(),
        port.to_string(),
        leaked.as_raw_fd().to_string(),
    );
    let arguments = [
        "attempts",
        &parent,
        &port,
        &descriptor,
        path.to_str().unwrap(),
    ];
    let (status, said) = broker::escape(&arguments, &compiled, &start(Operation::Check));
    assert!(status.success(), "{status}: {said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() > 60, "{said}");
    let open: Vec<_> = lines
        .into_iter()
        .filter(|line| !line.ends_with(": refused"))
        .collect();
    assert!(open.is_empty(), "{}", open.join("\n"));
    assert!(!std::path::Path::new(attempts::DROPPED).exists());
}

pub(crate) fn an_escaped_guest_dies_of_running_data_and_of_writing_files() {
    let compiled = compile(&guests::component(guests::RETURNS)).unwrap();
    for (deed, signal) in [
        ("runs-data", libc::SIGSEGV),
        ("changes-component", libc::SIGXFSZ),
    ] {
        let (status, said) = broker::escape(&[deed], &compiled, &start(Operation::Check));
        assert_eq!(status.signal(), Some(signal), "{deed}: {status}: {said}");
        assert_eq!(said, "");
    }
}

/// Landlock may be older than what is asked for, and a container may refuse namespaces; the rest is everywhere.
pub(crate) fn every_wall_stands_that_every_kernel_has() {
    let elsewhere = [Wall::Landlock, Wall::UserNamespace, Wall::NetworkNamespace];
    let mut missing = broker::missing_walls();
    missing.retain(|missing| !elsewhere.contains(&missing.wall));
    assert_eq!(missing, []);
}

pub(crate) fn an_escaped_guest_that_does_not_end_is_ended_by_the_kernel() {
    let compiled = compile(&guests::component(guests::RETURNS)).unwrap();
    let mut start = start(Operation::Check);
    start.cpu_seconds = 1;
    let (status, said) = broker::escape(&["spins"], &compiled, &start);
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}: {said}");
}
