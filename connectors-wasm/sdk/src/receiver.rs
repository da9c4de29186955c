//! What a connector does that takes webhooks.

use crate::{Connector, Failure};

/// A delivery, whose signature the host has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Unique for the source; the sender's own where the manifest names the header that holds it.
    pub id: String,
    /// Header lines, names in lower case; none that carries a credential or a signature.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.iter();
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A [`Connector`] that also takes webhooks. Its manifest names the world `receiver`, a slot of the scheme
/// `hmac`, and that slot as `webhook`; it is exported with [`export_receiver!`](crate::export_receiver).
pub trait Receiver: Connector {
    /// Turns deliveries, oldest first, into rows, which are published when this returns `Ok`. Each batch
    /// meets a new instance. After a failure that may pass the same deliveries come again; after another,
    /// they come in smaller batches, until the one that cannot be handled is found and set aside.
    fn receive(&self, deliveries: Vec<Delivery>) -> Result<(), Failure>;
}

/// Makes a [`Receiver`] the one that this component exports. Takes the place of [`export!`](crate::export).
#[macro_export]
macro_rules! export_receiver {
    ($connector:ty) => {
        $crate::export!($connector);
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::Exported<$connector>;
    $crate::bindings::receiver::export!(Exported with_types_in $crate::bindings::receiver);
        };
    };
}
