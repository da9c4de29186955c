//! Closes what a careless library of the server let through: a descriptor without close-on-exec, of a database for one.

use std::io;

/// Closes every descriptor but the standard three.
pub(super) fn close_others() -> io::Result<()> {
    #[expect(unsafe_code, reason = "no crate wraps close_range")]
    // SAFETY: nothing in this process owns a descriptor yet; it has just been started.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
