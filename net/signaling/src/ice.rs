//! Where ICE servers come from: whoever runs the relay tells.

use twocan_lobby::wire::IceServers;
use twocan_lobby::{Grant, GroupId, PeerId};

/// Makes the servers and credentials that members gather with. Called on the task that owns the lobbies: it must not
/// block.
pub trait IceProvider: Send + Sync + 'static {
    /// Servers for one member, with credentials good for `grant.lifetime`. `host` is the name, without a port, by
    /// which the member found this server; it stands in URLs where no external address is set.
    fn grant(&self, grant: &Grant, host: &str) -> IceServers;

    /// The member's credentials, and what was allocated with them, end now.
    fn revoke(&self, group: &GroupId, peer: &PeerId);

    /// The credentials of all members of the group end now.
    fn close_group(&self, group: &GroupId);
}
