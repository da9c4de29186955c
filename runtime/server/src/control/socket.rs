//! The socket file: how it is made and found, and who may come through.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{UnixListener, UnixStream};

/// The longest path of a socket; the kernel's limit of 108 counts a zero at the end.
const MAX_PATH: usize = 107;

/// Who is on the other side, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    /// The user id of the process.
    pub(crate) uid: u32,
}

impl Operator {
    /// This process.
    pub(crate) fn this() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    /// The server's own user, and root, who may read the folder in any case.
    fn may_enter(self, owner: Self) -> bool {
        self == owner || self.uid == 0
    }
}

/// A path under which a socket can be reached although its own may be too long.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) path: PathBuf,
    // The path leads through this descriptor.
    _folder: Option<File>,
}

impl Address {
    pub(crate) fn of(socket: &Path) -> io::Result<Self> {
        if socket.as_os_str().len() <= MAX_PATH {
            return Ok(Self {
                path: socket.to_owned(),
                _folder: None,
            });
        }
        let folder = File::open(socket.parent().unwrap_or(Path::new("/")))?;
        let name = socket.file_name().unwrap_or_default();
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
        Ok(Self {
            path: path.join(name),
            _folder: Some(folder),
        })
    }
}

/// Listens, and turns away whoever is not the operator.
#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    owner: Operator,
}

impl Door {
    /// The caller holds the lock of the data folder, so a file that is there is a dead server's.
    pub(super) fn bind(socket: &Path) -> io::Result<Self> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = Address::of(socket)?;
        let listener = UnixListener::bind(&address.path)?;
        // Until here the folder's own mode keeps others out.
        std::fs::set_permissions(socket, Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            owner: Operator::this(),
        })
    }
}

impl Listener for Door {
    type Io = UnixStream;
    type Addr = Operator;

    async fn accept(&mut self) -> (UnixStream, Operator) {
        loop {
            let (stream, _) = Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if (Operator { uid: peer.uid() }).may_enter(self.owner) => {
                    return (stream, Operator { uid: peer.uid() });
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "another user at the admin socket"),
                Err(error) => tracing::warn!(%error, "a nameless process at the admin socket"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Operator> {
        Ok(self.owner)
    }
}

impl Connected<IncomingStream<'_, Door>> for Operator {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        *stream.remote_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_may_enter() {
        let user = |uid| Operator { uid };
        assert!(user(1000).may_enter(user(1000)));
        assert!(user(0).may_enter(user(1000)));
        assert!(!user(1001).may_enter(user(1000)));
        assert!(!user(1001).may_enter(user(0)));
    }

    #[tokio::test]
    async fn a_dead_servers_socket_makes_way_and_the_new_one_is_the_owners() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        for folder in [folder.path(), &deep] {
            let socket = folder.join("admin.sock");
            // Closing it leaves the file.
            drop(Door::bind(&socket).unwrap());
            assert!(socket.exists());
            let _door = Door::bind(&socket).unwrap();
            let mode = socket.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let address = Address::of(&socket).unwrap();
            UnixStream::connect(&address.path).await.unwrap();
        }
    }
}
