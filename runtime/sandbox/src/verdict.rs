//! Turns the end of a component into words for people.

use domain::Failure;
use thiserror::Error;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::budget::INSTANCES;
use crate::guest::{Guest, Stopped};
use crate::host::run::cut;
use crate::link::Broken;

/// The component does not fit the host.
#[derive(Debug, Error)]
#[error("{0}")]
struct Misfit(String);

/// A failure that the component returned: its words are its own, their length is not.
pub(crate) fn returned(mut failure: Failure) -> Failure {
    failure.message = cut(failure.message);
    failure
}

/// Marks an error of instantiation, which is the component's shape unless it is a trap of its start function.
pub(crate) fn not_instantiated(error: wasmtime::Error) -> wasmtime::Error {
    let is_told_elsewhere = error.is::<Trap>() || error.is::<Broken>() || error.is::<I32Exit>();
    if is_told_elsewhere || too_many(&error).is_some() {
        return error;
    }
    wasmtime::Error::new(Misfit(format!("{error:#}")))
}

/// Why a component ended without returning.
pub(crate) fn trapped(error: wasmtime::Error, guest: &Guest, wall_seconds: u64) -> Stopped {
    let error = match error.downcast::<Broken>() {
        Ok(broken) => return Stopped::Broken(broken),
        Err(error) => error,
    };
    Stopped::Failed(explain(
        &error,
        guest.budget.exhausted(),
        guest.last_error.as_deref(),
        wall_seconds,
    ))
}

/// What a component has more of than it may. wasmtime has no type for this either.
fn too_many(error: &wasmtime::Error) -> Option<&'static str> {
    let words = error.root_cause().to_string();
    let what = words.strip_prefix("resource limit exceeded: ")?;
    [
        ("instance", "instances"),
        ("memory", "memories"),
        ("table", "tables"),
    ]
    .into_iter()
    .find_map(|(one, many)| what.starts_with(one).then_some(many))
}

fn explain(
    error: &wasmtime::Error,
    exhausted: Option<&str>,
    last_error: Option<&str>,
    wall_seconds: u64,
) -> Failure {
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) {
        return Failure::limit(format!(
            "the connector ran for more than its {wall_seconds} seconds"
        ));
    }
    if let Some(exhausted) = exhausted {
        return Failure::limit(exhausted);
    }
    if let Some(many) = too_many(error) {
        return Failure::limit(format!("the connector has more than {INSTANCES} {many}"));
    }
    if let Some(Misfit(reason)) = error.downcast_ref() {
        let message =
            format!("the connector was built for another interface than it says: {reason}");
        return Failure::config(cut(message));
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return Failure::bug(format!(
            "the connector ended itself with status {status} instead of returning"
        ));
    }
    // wasmtime has no type for this one; a test in `tests/runner` knows when its words change.
    if error
        .root_cause()
        .to_string()
        .contains("fuel allocated for hostcalls has been exhausted")
    {
        return Failure::limit("the connector passed too much to the host in one call");
    }
    match (trap, last_error) {
        (Some(Trap::StackOverflow), _) => Failure::limit("the connector used up its stack"),
        (Some(Trap::UnreachableCodeReached), Some(said)) => {
            Failure::bug(cut(format!("the connector crashed: {said}")))
        }
        (Some(Trap::MemoryOutOfBounds), _) => Failure::bug(
            "the connector crashed: it left its memory, as a stack does that grew too large",
        ),
        _ => Failure::bug(cut(format!(
            "the connector crashed: {}",
            error.root_cause()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::FailureKind;

    fn words(
        error: impl Into<wasmtime::Error>,
        exhausted: Option<&str>,
        said: Option<&str>,
    ) -> (FailureKind, String) {
        let failure = explain(&error.into(), exhausted, said, 7);
        (failure.kind, failure.message)
    }

    #[test]
    fn a_panic_is_told_in_the_connector_s_own_words() {
        let crash = Trap::UnreachableCodeReached;
        let (kind, message) = words(crash, None, Some("panicked at lib.rs:7"));
        assert_eq!(kind, FailureKind::Bug);
        assert_eq!(message, "the connector crashed: panicked at lib.rs:7");
    }

    #[test]
    fn a_crash_for_want_of_memory_is_a_limit() {
        let crash = Trap::UnreachableCodeReached;
        assert_eq!(
            words(crash, Some("too much"), None),
            (FailureKind::Limit, "too much".into())
        );
    }

    #[test]
    fn time_and_stack_are_limits() {
        let (kind, message) = words(Trap::Interrupt, None, None);
        assert_eq!(
            (kind, message.as_str()),
            (
                FailureKind::Limit,
                "the connector ran for more than its 7 seconds"
            )
        );
        assert_eq!(words(Trap::StackOverflow, None, None).0, FailureKind::Limit);
    }

    #[test]
    fn a_component_that_does_not_fit_is_a_matter_of_configuration() {
        let error = not_instantiated(wasmtime::Error::msg("no export `pull`"));
        let (kind, message) = words(error, None, None);
        assert_eq!(kind, FailureKind::Config);
        assert!(message.ends_with("no export `pull`"), "{message}");
    }
}
