//! One runner process: started with nothing but a socket, a component and a pipe for complaints, and
//! gone when this value is.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use domain::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

pub(crate) mod component;

/// The most bytes of complaints that are passed on.
const MAX_COMPLAINTS: usize = 64 << 10;
/// How long a runner that closed its socket may take to end by itself.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// How long to wait for the rest of the complaints of a runner that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Ends a runner from any thread, also one that was ended before.
#[derive(Clone, Debug)]
pub(crate) struct Killer {
    /// Unlike a process id, this never names another process.
    process: Arc<OwnedFd>,
    socket: Arc<UnixStream>,
}

impl Killer {
    pub(crate) fn kill(&self) {
        // Both fail only where there is nothing left to end.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// A runner process. Dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct Runner {
    child: Child,
    killer: Killer,
    complaints: mpsc::Receiver<()>,
}

impl Runner {
    /// Starts `exe runner`. `complain` hears each line of its standard error, on another thread.
    ///
    /// The caller's thread must live as long as the runner, which ends with it.
    pub(crate) fn start(
        exe: &Path,
        output: Option<File>,
        complain: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, Failure> {
        let broken = |error: io::Error| {
            Failure::bug(format!(
                "the runner `{}` could not be started: {error}",
                exe.display()
            ))
        };
        let (ours, theirs) = UnixStream::pair().map_err(broken)?;
        let mut child = Command::new(exe)
            .arg("runner")
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(output.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let process = match open_process(&child) {
            Ok(process) => process,
            Err(error) => {
                // What cannot be watched must not run.
                let ended = child.kill().and_then(|()| child.wait());
                return Err(broken(ended.err().unwrap_or(error)));
            }
        };
        let complaints = listen(child.stderr.take(), complain);
        Ok(Self {
            child,
            killer: Killer {
                process: Arc::new(process),
                socket: Arc::new(ours),
            },
            complaints,
        })
    }

    /// This side of its socket.
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.killer.socket
    }

    /// What ends it.
    pub(crate) fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// How it ended, after it closed its socket; nothing where it had to be killed.
    pub(crate) fn wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let mut watched = [PollFd::new(&self.killer.process, PollFlags::IN)];
        let patience = Timespec::try_from(LAST_BREATH).ok();
        let ended = poll(&mut watched, patience.as_ref())? > 0;
        let status = self.end()?;
        Ok(ended.then_some(status))
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        self.killer.kill();
        let status = self.child.wait();
        // Nothing is ever sent: the channel closes when the last line was passed on.
        let _ = self.complaints.recv_timeout(LAST_WORDS);
        status
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "a runner could not be reaped");
        }
    }
}

fn open_process(child: &Child) -> io::Result<OwnedFd> {
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}

/// Passes complaints on until there are too many, and then only keeps the pipe from filling up. The
/// channel closes when the runner has closed its end.
fn listen(
    stderr: Option<ChildStderr>,
    complain: impl Fn(&str) + Send + 'static,
) -> mpsc::Receiver<()> {
    let (done, complaints) = mpsc::channel();
    std::thread::spawn(move || {
        let _done: mpsc::Sender<()> = done;
        if let Some(stderr) = stderr
            && let Err(error) = pass_on(stderr, &complain)
        {
            tracing::debug!(%error, "a runner's standard error broke");
        }
    });
    complaints
}

fn pass_on(mut stderr: impl Read, complain: impl Fn(&str)) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut line = Vec::new();
    let mut left = MAX_COMPLAINTS;
    loop {
        let count = stderr.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let taken = buffer.get(..count.min(left)).unwrap_or_default();
        left -= taken.len();
        line.extend_from_slice(taken);
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            complain(String::from_utf8_lossy(&line).trim_end());
            line = rest;
        }
    }
    if !line.is_empty() {
        complain(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

/// What it means that a runner ended before its work was done.
pub(crate) fn verdict(status: &ExitStatus, cpu_seconds: Option<u64>) -> Failure {
    const SIGKILL: i32 = Signal::KILL.as_raw();
    const SIGXCPU: i32 = Signal::XCPU.as_raw();
    match (status.signal(), cpu_seconds) {
        // At its limit of processor time the kernel sends either, by how close the two limits are.
        (Some(SIGKILL | SIGXCPU), Some(seconds)) => Failure::limit(format!(
            "the runner was killed by the operating system: it used more than {seconds} s of processor time, or memory ran out"
        )),
        (Some(SIGKILL | SIGXCPU), None) => Failure::limit(
            "the runner was killed by the operating system: memory or processor time ran out",
        ),
        (Some(signal), _) => Failure::bug(format!(
            "the runner crashed with signal {signal}; the run's log may say more"
        )),
        (None, _) => Failure::bug(format!(
            "the runner ended without a result, {status}; the run's log may say more"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Another process writes the executable: one that this process has open for writing, and a
    /// child inherits from another test's thread, could not be started.
    fn script(folder: &Path, text: &str) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let (draft, path) = (folder.join("draft"), folder.join("runner"));
        std::fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            Command::new("cp")
                .args([&draft, &path])
                .status()
                .unwrap()
                .success()
        );
        path
    }

    fn started(text: &str) -> (Runner, Arc<Mutex<Vec<String>>>) {
        let folder = tempfile::tempdir().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let runner = Runner::start(&script(folder.path(), text), None, move |line| {
            heard.lock().unwrap().push(line.to_owned());
        })
        .unwrap();
        // The interpreter opens the script after it was started.
        let first = read_byte(&runner);
        assert_eq!(first, b'>', "the script runs");
        (runner, lines)
    }

    fn read_byte(runner: &Runner) -> u8 {
        let mut byte = [0];
        let mut socket = runner.socket();
        socket.read_exact(&mut byte).unwrap();
        byte[0]
    }

    #[test]
    fn a_runner_starts_with_an_empty_environment_and_one_socket() {
        let (mut runner, lines) = started(
            "printf '>' >&0; tr '\\0' '\\n' < /proc/self/environ | grep -v '^\\(PWD\\|OLDPWD\\|SHLVL\\|_\\)=' >&2; pwd >&2; exit 3",
        );
        assert_eq!(runner.wait().unwrap().unwrap().code(), Some(3));
        assert_eq!(*lines.lock().unwrap(), ["/"]);
    }

    #[test]
    fn a_runner_that_does_not_end_is_killed_with_its_owner() {
        let (runner, _) = started("printf '>' >&0; exec sleep 1000");
        let process = runner.killer.process.clone();
        drop(runner);
        assert!(
            pidfd_send_signal(&process, Signal::KILL).is_err(),
            "it is reaped"
        );
    }

    #[test]
    fn a_killed_runner_wakes_whoever_reads_its_socket() {
        let (runner, _) = started("printf '>' >&0; exec sleep 1000");
        let killer = runner.killer();
        let killing = std::thread::spawn(move || killer.kill());
        let mut socket = runner.socket();
        assert_eq!(socket.read(&mut [0; 8]).unwrap(), 0);
        killing.join().unwrap();
    }

    #[test]
    fn complaints_are_passed_on_up_to_their_limit() {
        let heard = Mutex::new(0);
        let endless = io::repeat(b'x').take(1 << 20).chain(&b"\n"[..]);
        pass_on(endless, |line| *heard.lock().unwrap() += line.len()).unwrap();
        assert_eq!(*heard.lock().unwrap(), MAX_COMPLAINTS);
    }

    #[test]
    fn the_way_a_runner_ended_decides_on_the_kind() {
        use domain::FailureKind::{Bug, Limit};
        for (raw, kind) in [
            (9, Limit),
            (24, Limit),
            (11, Bug),
            (31, Bug),
            (1 << 8, Bug),
            (0, Bug),
        ] {
            assert_eq!(
                verdict(&ExitStatus::from_raw(raw), Some(5)).kind,
                kind,
                "{raw}"
            );
        }
    }

    #[test]
    fn a_missing_executable_is_named() {
        let failure = Runner::start(Path::new("/nowhere/sluice"), None, |_| ()).unwrap_err();
        assert!(failure.message.contains("/nowhere/sluice"), "{failure}");
    }
}
