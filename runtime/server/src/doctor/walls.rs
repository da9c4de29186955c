//! Which walls stand around a runner on this machine: one is started, and says so itself.

use domain::wall::{MissingWall, Wall};

use super::{Check, Verdict};
use crate::config::Sandbox;

/// One line where all stand, else one for each that does not.
pub(super) fn examine() -> Vec<Check> {
    let asked = std::env::current_exe()
        .map_err(|error| error.to_string())
        .and_then(|exe| broker::missing_walls(&exe).map_err(|failure| failure.to_string()));
    match asked {
        Ok(missing) => judge(&missing),
        Err(reason) => vec![Check::new(
            "sandbox",
            Verdict::Fail,
            reason,
            "see that this program may start itself: runners are processes of it",
        )],
    }
}

fn judge(missing: &[MissingWall]) -> Vec<Check> {
    if missing.is_empty() {
        let found = format!(
            "every wall stands: {}",
            Wall::ALL.map(Wall::as_str).join(", ")
        );
        return vec![Check::ok("sandbox", found)];
    }
    let required = Sandbox::default().walls();
    let told = missing.iter().map(|missing| {
        let verdict = match required.contains(&missing.wall) {
            true => Verdict::Fail,
            false => Verdict::Warn,
        };
        let found = format!("is missing: {}", missing.reason);
        Check::new(missing.wall.as_str(), verdict, found, advice(missing.wall))
    });
    told.collect()
}

fn advice(wall: Wall) -> &'static str {
    match wall {
        Wall::Landlock => {
            "use a kernel of 6.12 or newer with `landlock` among its security modules (lsm=…), or take it out of sandbox.require and rely on the other walls"
        }
        Wall::SystemCalls => {
            "use a kernel with CONFIG_SECCOMP_FILTER, as all distributions' kernels are"
        }
        Wall::UserNamespace | Wall::NetworkNamespace => {
            "nothing must be done: the other walls hold without it; the kernel or the container refuses namespaces to this user"
        }
        _ => "see what of this machine's policy refuses it, or take it out of sandbox.require",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(wall: Wall) -> Verdict {
        let reason = "not here".into();
        judge(&[MissingWall { wall, reason }])[0].verdict
    }

    #[test]
    fn a_wall_that_is_required_fails_and_a_namespace_warns() {
        assert_eq!(verdict(Wall::Landlock), Verdict::Fail);
        assert_eq!(verdict(Wall::SystemCalls), Verdict::Fail);
        assert_eq!(verdict(Wall::NetworkNamespace), Verdict::Warn);
        assert_eq!(judge(&[])[0].verdict, Verdict::Ok);
    }
}
