//! Leaves the namespaces of the server: whoever gets out of the other walls is nobody, in a network without interfaces.

use domain::wall::Wall;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Walls;

/// A user that nobody is mapped to, and with its privileges a network, an inter-process communication and a host name
/// of its own. Containers often refuse it, so it is a wall of its own and not one that others stand on.
pub(super) fn leave(walls: &mut Walls) {
    walls.build(Wall::UserNamespace, unshare(UnshareFlags::NEWUSER));
    let apart = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    walls.build(Wall::NetworkNamespace, unshare(apart));
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "the table of descriptors is not unshared, which is what makes this call unsafe"
    )]
    // SAFETY: see the reason above; and this process is a single thread yet.
    unsafe {
        unshare_unsafe(flags)
    }
}
