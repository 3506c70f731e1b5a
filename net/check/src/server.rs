//! The Twocan server: whether its socket opens, how long an answer takes, and which STUN and TURN servers it names. It
//! names them to members of lobbies, so we open one that nobody sees.

use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::time::{Instant, timeout};
use twocan::connection::{IceServer, IceUrl, Roots};
use twocan::{Client, Error, Lobby};

use crate::report::ms;

/// How long each of the three steps may take: the socket, the lobby, the servers.
const STEP_LIMIT: Duration = Duration::from_secs(3);

/// Whether a Twocan server answers.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Signaling {
    /// It does.
    Reached {
        /// From nothing to an open WebSocket with a session in it.
        #[serde(rename = "connect_ms", serialize_with = "ms")]
        connect: Duration,
        /// From a request to its answer.
        #[serde(rename = "rtt_ms", serialize_with = "ms")]
        rtt: Duration,
    },
    /// It does not.
    Failed {
        /// Why; in JSON its word, as `code`.
        #[serde(rename = "code", serialize_with = "word")]
        why: Error,
    },
}

impl Signaling {
    /// Whether it does.
    pub fn is_reached(&self) -> bool {
        matches!(self, Signaling::Reached { .. })
    }
}

/// A lobby of our own. The credentials that came with it are good until we leave.
pub(crate) struct Session {
    client: Client,
    lobby: Lobby,
}

impl Session {
    pub(crate) async fn leave(self) {
        // A server that does not answer any more will forget us by itself.
        let _ = timeout(Duration::from_millis(500), self.lobby.leave()).await;
        let _ = timeout(Duration::from_millis(500), self.client.close()).await;
    }
}

/// Enters, and learns the STUN and TURN servers.
pub(crate) async fn enter(url: &str, roots: Roots) -> (Signaling, Option<(Session, Vec<IceServer>)>) {
    match try_to_enter(url, roots).await {
        Ok((signaling, session, servers)) => (signaling, Some((session, servers))),
        Err(why) => (Signaling::Failed { why }, None),
    }
}

async fn try_to_enter(url: &str, roots: Roots) -> Result<(Signaling, Session, Vec<IceServer>), Error> {
    let begun = Instant::now();
    let client = within(Client::connect(url).app("twocan-check").roots(roots).into_future()).await??;
    let connect = begun.elapsed();
    let begun = Instant::now();
    let lobby = within(client.create().size(2).into_future()).await??;
    let rtt = begun.elapsed();
    let servers = within(lobby.ice_servers()).await?.ok_or(Error::Closed)?;
    let servers = servers.into_iter().map(|server| IceServer {
        urls: server.urls.iter().filter_map(|url| IceUrl::parse(url).ok()).collect(),
        username: server.username.unwrap_or_default(),
        credential: server.credential.unwrap_or_default(),
    });
    Ok((Signaling::Reached { connect, rtt }, Session { client, lobby }, servers.collect()))
}

async fn within<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    timeout(STEP_LIMIT, future).await.map_err(|_| Error::Timeout)
}

fn word<S: Serializer>(why: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(why.code())
}
