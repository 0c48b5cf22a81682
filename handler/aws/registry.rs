//! The switch from the engine to the adapter of a kind; made of the core's list of kinds.

use super::clients::Clients;
use super::resources;
use tower_forge_core::error::Result;
use tower_forge_core::for_each_kind;
use tower_forge_core::name::Names;
use tower_forge_core::registry::{Call, Observed, Write};
use tower_forge_core::resource::{Kind, Listing};

macro_rules! registry {
    ($($kind:ident => $module:ident, $doc:literal,)+) => {
        /// Looks at all resources of a kind that bear a forge's names.
        pub(crate) async fn list(clients: &Clients, kind: Kind, names: &Names) -> Result<Listing<Observed>> {
            match kind {
                $(Kind::$kind => Box::pin(resources::$module::list(&clients.read, names)).await.map(Listing::from)),+
            }
        }

        /// Makes one mutating call.
        pub(crate) async fn write(clients: &Clients, write: &Write) -> Result<()> {
            match &write.call {
                $(Call::$kind(call) => {
                    Box::pin(resources::$module::write(&clients.write, &write.id.name, call)).await
                }),+
            }
        }
    };
}
for_each_kind!(registry);
