//! The three methods that make a connector, and the macro that turns them into a component.

use serde::de::DeserializeOwned;

use crate::{Failure, TableInfo};

/// A kind of integration. The host makes one for each call, from the settings of the source that it runs for.
pub trait Connector: Sized {
    /// What an admin fills in, as the manifest's `settings` schema describes it.
    type Settings: DeserializeOwned;

    /// Takes the settings. Fails with [`Failure::Config`] where they break a rule that the schema cannot express;
    /// makes no requests.
    fn new(settings: Self::Settings) -> Result<Self, Failure>;

    /// Tries whether settings and credentials work, with as few requests as possible. Writes nothing.
    fn check(&self) -> Result<(), Failure>;

    /// Lists the tables that these settings can yield. Writes nothing.
    fn discover(&self) -> Result<Vec<TableInfo>, Failure>;

    /// Brings the named tables, or all of them when the list is empty. Rows are published when this returns `Ok`, and
    /// dropped otherwise, but for what [`checkpoint`](crate::checkpoint) published before. A name that the source does
    /// not know is a [`Failure::Config`].
    fn sync(&self, tables: &[String]) -> Result<(), Failure>;
}

/// Makes a [`Connector`] the one that this component exports. Used once, at the top level of the crate. Does nothing
/// in a native build.
#[macro_export]
macro_rules! export {
    ($connector:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::Exported<$connector>;
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
    };
}
