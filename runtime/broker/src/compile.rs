//! Compiles a component in a runner, since whoever can feed a compiler can exhaust it.

use std::io::{BufReader, Read, Write};
use std::time::Duration;

use domain::Failure;
use domain::ports::Ended;
use domain::protocol::{
    End, FrameError, FromRunner, MAX_PAYLOAD, ToRunner, read_frame, write_frame,
};

use domain::wall::Wall;

use crate::journal::clean_line;
use crate::runner::component::MAX_COMPILED;
use crate::session::{SessionError, confinement};

/// How long it may take: a component of a language runtime, 20 to 40 MB, takes a minute on a slow machine that is busy.
pub(crate) const MOST_TIME: Duration = Duration::from_secs(300);

/// Sends the component and takes the compiled form.
pub(crate) fn drive(
    reader: impl Read,
    mut writer: impl Write,
    component: &[u8],
    required_walls: &[Wall],
) -> Result<Vec<u8>, SessionError> {
    let mut reader = BufReader::new(reader);
    let FromRunner::Ready { missing } = read_frame(&mut reader)?.message else {
        return Err(SessionError::Violation("it did not say that it is ready"));
    };
    if let Some(warning) = confinement(&missing, required_walls)? {
        tracing::warn!("{warning}");
    }
    // A runner that refuses early closes its socket; why is in what it sent before.
    if let Err(error) = send(&mut writer, component) {
        tracing::debug!(%error, "the component was not taken as a whole");
    }
    receive(&mut reader)
}

fn send(writer: &mut impl Write, component: &[u8]) -> Result<(), FrameError> {
    write_frame(writer, &ToRunner::Compile, &[])?;
    let mut pieces = component.chunks(MAX_PAYLOAD).peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        write_frame(writer, &ToRunner::Piece { last }, piece)?;
    }
    Ok(())
}

fn receive(reader: &mut impl Read) -> Result<Vec<u8>, SessionError> {
    let mut compiled = Vec::new();
    loop {
        let frame = read_frame(reader)?;
        match frame.message {
            FromRunner::Piece { last } => {
                compiled.extend_from_slice(&frame.payload);
                if compiled.len() as u64 > MAX_COMPILED {
                    return Err(SessionError::Ended(Ended::Failed(Failure::limit(format!(
                        "the component compiles to more than {} MiB",
                        MAX_COMPILED >> 20
                    )))));
                }
                if last {
                    return Ok(compiled);
                }
            }
            FromRunner::End(End::Failed(failure)) => {
                let message = clean_line(&failure.message);
                return Err(SessionError::Ended(Ended::Failed(Failure {
                    message,
                    ..failure
                })));
            }
            _ => {
                return Err(SessionError::Violation(
                    "it was asked to compile and did something else",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::FailureKind;
    use std::os::unix::net::UnixStream;

    /// Compiles against a runner that takes everything and then answers so.
    fn compiled(size: usize, answer: Vec<(FromRunner, Vec<u8>)>) -> Result<Vec<u8>, SessionError> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let fake = std::thread::spawn(move || {
            let mut socket = &theirs;
            write_frame(&mut socket, &FromRunner::Ready { missing: vec![] }, &[]).unwrap();
            let first = read_frame::<ToRunner>(&mut socket).unwrap();
            assert_eq!(first.message, ToRunner::Compile);
            let mut taken = 0;
            loop {
                let frame = read_frame::<ToRunner>(&mut socket).unwrap();
                taken += frame.payload.len();
                if frame.message == (ToRunner::Piece { last: true }) {
                    break;
                }
            }
            for (message, payload) in answer {
                write_frame(&mut socket, &message, &payload).unwrap();
            }
            taken
        });
        let result = drive(&ours, &ours, &vec![1; size], &Wall::ALL);
        assert_eq!(fake.join().unwrap(), size);
        result
    }

    #[test]
    fn a_component_goes_and_comes_in_pieces() {
        let answer = vec![
            (FromRunner::Piece { last: false }, vec![1, 2]),
            (FromRunner::Piece { last: true }, vec![3]),
        ];
        assert_eq!(compiled(MAX_PAYLOAD + 1, answer).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_refusal_is_passed_on_and_an_odd_answer_is_a_violation() {
        let refusal = FromRunner::End(End::Failed(Failure::config("it is not WebAssembly")));
        let error = compiled(10, vec![(refusal, vec![])]).unwrap_err();
        assert!(
            matches!(&error, SessionError::Ended(Ended::Failed(f)) if f.kind == FailureKind::Config),
            "{error:?}"
        );
        let error = compiled(10, vec![(FromRunner::End(End::Done), vec![])]).unwrap_err();
        assert!(matches!(error, SessionError::Violation(_)), "{error:?}");
    }

    #[test]
    fn a_runner_that_vanishes_is_lost() {
        assert!(matches!(
            compiled(10, vec![]).unwrap_err(),
            SessionError::Lost(_)
        ));
    }
}
