//! The broker's side of the socket, as small as it can be.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};

use domain::protocol::{
    Call, End, FromRunner, MAX_PAYLOAD, Reply, Start, ToRunner, read_frame, write_frame,
};
use domain::wall::MissingWall;
use domain::{Failure, Operation};

struct Runner {
    child: Child,
    socket: UnixStream,
    missing: Vec<MissingWall>,
}

impl Runner {
    fn start(compiled: Option<&[u8]>) -> Self {
        Self::start_as(&["runner"], compiled)
    }

    fn start_as(arguments: &[&str], compiled: Option<&[u8]>) -> Self {
        let (near, far) = UnixStream::pair().unwrap();
        let stdout = compiled.map_or_else(Stdio::null, |bytes| memory(bytes).into());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .env_clear()
            .stdin(OwnedFd::from(far))
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut runner = Self {
            child,
            socket: near,
            missing: Vec::new(),
        };
        match runner.receive().0 {
            FromRunner::Ready { missing } => runner.missing = missing,
            other => panic!("{other:?}"),
        }
        runner
    }

    fn receive(&mut self) -> (FromRunner, Vec<u8>) {
        match read_frame(&mut self.socket) {
            Ok(frame) => (frame.message, frame.payload),
            Err(error) => panic!("{error}: {:?}", self.end()),
        }
    }

    fn send(&mut self, message: &ToRunner, payload: &[u8]) {
        write_frame(&mut self.socket, message, payload).unwrap();
    }

    fn end(&mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (self.child.wait().unwrap(), said)
    }
}

fn memory(bytes: &[u8]) -> File {
    let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("component", flags).unwrap());
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    rustix::fs::fcntl_add_seals(
        &file,
        rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::GROW,
    )
    .unwrap();
    file
}

/// How the tests run a component: 8 MiB of memory, one second.
pub(crate) fn start(operation: Operation) -> Start {
    Start {
        wit: "0.1.0".into(),
        operation,
        settings: r#"{"url":"https://a.org"}"#.into(),
        tables: vec![],
        memory_bytes: 8 << 20,
        wall_seconds: 1,
        cpu_seconds: 10,
        random_seed: [7; 32],
        clock_from: None,
    }
}

/// The answer to calls that want none.
pub(crate) fn done(_: Call, _: Vec<u8>) -> Reply {
    Reply::Done
}

pub(crate) fn compile(component: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut runner = Runner::start(None);
    runner.send(&ToRunner::Compile, &[]);
    for piece in component.chunks(MAX_PAYLOAD) {
        runner.send(&ToRunner::Piece { last: false }, piece);
    }
    runner.send(&ToRunner::Piece { last: true }, &[]);
    let mut compiled = Vec::new();
    loop {
        match runner.receive() {
            (FromRunner::Piece { last }, piece) => {
                compiled.extend(piece);
                if last {
                    assert!(runner.end().0.success());
                    return Ok(compiled);
                }
            }
            (FromRunner::End(End::Failed(failure)), _) => return Err(failure),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn run(
    compiled: &[u8],
    start: &Start,
    mut answer: impl FnMut(Call, Vec<u8>) -> Reply,
) -> End {
    let mut runner = Runner::start(Some(compiled));
    runner.send(&ToRunner::Run(start.clone()), &[]);
    loop {
        match runner.receive() {
            (FromRunner::Call(call), payload) => {
                let reply = answer(call, payload);
                runner.send(&ToRunner::Reply(reply), &[]);
            }
            (FromRunner::End(end), _) => {
                let (status, said) = runner.end();
                assert!(status.success(), "{said}");
                return end;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The walls that a runner lacks here.
pub(crate) fn missing_walls() -> Vec<MissingWall> {
    Runner::start(None).missing.clone()
}

/// Starts a runner whose guest has escaped, to do what these arguments say; how it ended and what it said.
pub(crate) fn escape(arguments: &[&str], compiled: &[u8], start: &Start) -> (ExitStatus, String) {
    let arguments = [&["escaped"], arguments].concat();
    let mut runner = Runner::start_as(&arguments, Some(compiled));
    runner.send(&ToRunner::Run(start.clone()), &[]);
    runner.end()
}

/// Starts a runner and closes the socket before it has a job.
pub(crate) fn hang_up() -> (ExitStatus, String) {
    let mut runner = Runner::start(None);
    runner.socket.shutdown(std::net::Shutdown::Both).unwrap();
    runner.end()
}
