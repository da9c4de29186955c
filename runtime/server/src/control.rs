//! The operator's door into a serving server: a Unix socket in the data folder that answers the
//! commands of `sluice admin`.
//!
//! No token opens it, so that it works when nobody can sign in: the folder is the owner's alone, and
//! the kernel says who connects. Whoever owns the data folder could read all of it anyway.

pub(crate) mod break_glass;
pub(crate) mod operations;
pub(crate) mod routes;
pub(crate) mod socket;

use std::path::PathBuf;

use axum::middleware::from_fn;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::AppState;
use crate::middleware::{problems, request_id};
use socket::{Door, Operator};

/// The door of a server, open.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

/// Opens the door. A file system without sockets is no reason not to serve.
pub(crate) fn open(app: &AppState) -> Option<Control> {
    let path = app.warehouse.paths.admin_socket();
    let door = match Door::bind(&path) {
        Ok(door) => door,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%error, "no socket at {path}: `sluice admin` works only while this server is stopped");
            return None;
        }
    };
    let router = routes::router()
        .with_state(app.clone())
        .layer(CatchPanicLayer::custom(problems::panicked))
        .layer(from_fn(problems::explain))
        .layer(from_fn(request_id::set));
    let service = router.into_make_service_with_connect_info::<Operator>();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(door, service).with_graceful_shutdown(async {
        // An error is the sender's end, which also means to stop.
        let _ = stopped.await;
    });
    Some(Control {
        path,
        stop,
        served: tokio::spawn(server.into_future()),
    })
}

impl Control {
    /// Lets nobody in any more and waits for those who are.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(());
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket was gone already");
        }
        if let Err(error) = self.served.await {
            tracing::warn!(%error, "a command of the operator was cut off");
        }
    }
}
