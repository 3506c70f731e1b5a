//! What `connect` takes.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use twocan_lobby::AppName;
use twocan_lobby::wire::IceServer;

use super::{Ask, Client, raw, task, url};
use crate::connection::{Addresses, ConnectionConfig, Roots, TransportPolicy};
use crate::error::Error;
use crate::framing::{MESSAGE_BYTES, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN};
use crate::link::{BUILT_IN, ChannelOptions, channels};
use crate::pending::{Pending, Request, request};

/// Says of an ICE server's URL whether it may be used.
pub(crate) type UrlFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The way to a server, with its options; awaiting it connects.
///
/// ```no_run
/// # async fn example() -> Result<(), twocan::Error> {
/// use serde_json::json;
/// use twocan::{ChannelOptions, Client};
///
/// let net = Client::connect("wss://play.example")
///     .app("chess")
///     .me(json!({ "name": "Ada" }))
///     .channel("voice", ChannelOptions::UNRELIABLE)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is connected before it is awaited, or begun"]
pub struct Connect {
    url: String,
    app: String,
    me: Option<Result<Box<RawValue>, Error>>,
    channels: Vec<(String, ChannelOptions)>,
    message_max: usize,
    ice_servers: Vec<IceServer>,
    filter: Option<UrlFilter>,
    connection: ConnectionConfig,
}

impl Connect {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            app: "default".to_owned(),
            me: None,
            channels: Vec::new(),
            message_max: MESSAGE_BYTES,
            ice_servers: Vec::new(),
            filter: None,
            connection: ConnectionConfig::default(),
        }
    }

    /// Separates applications: lobbies of one are never seen by another. 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub fn app(self, app: impl Into<String>) -> Self {
        Self { app: app.into(), ..self }
    }

    /// What the other members of a lobby see of us: an object, at most 512 bytes of JSON.
    pub fn me(self, me: impl Serialize) -> Self {
        Self { me: Some(raw(&me)), ..self }
    }

    /// A channel beside `reliable` and `unreliable`. Both sides must declare the same names in the same way.
    pub fn channel(mut self, name: impl Into<String>, options: ChannelOptions) -> Self {
        self.channels.push((name.into(), options));
        self
    }

    /// Bytes of the longest message sent and received, 1,024 to 67,108,864 (64 MiB). Default: 16,777,216 (16 MiB). Text and JSON have
    /// 1 MiB at most in any case. Both sides should say the same: what is longer than the receiver takes is dropped there.
    pub fn max_message(self, bytes: usize) -> Self {
        Self { message_max: bytes, ..self }
    }

    /// `Relay` allows relayed links only, so that no address of ours is told. Default: `All`.
    pub fn ice_transport_policy(mut self, policy: TransportPolicy) -> Self {
        self.connection.policy = policy;
        self
    }

    /// STUN and TURN servers beside those that the server names.
    pub fn ice_servers(self, servers: impl IntoIterator<Item = IceServer>) -> Self {
        Self { ice_servers: servers.into_iter().collect(), ..self }
    }

    /// Which URLs of ICE servers may be used, such as `turns:` alone. Default: all.
    pub fn ice_url_filter(self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { filter: Some(Arc::new(filter)), ..self }
    }

    /// Whose certificates are believed, where the server or a relay is reached over TLS. Default: what this machine
    /// believes.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.connection.roots = roots;
        self
    }

    /// Of which addresses of this machine candidates are made. Default: all that are of use.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.connection.addresses = addresses;
        self
    }

    /// Offers a name that the local network resolves (mDNS) in place of this machine's addresses, as pages do.
    pub fn hide_addresses(mut self, hide: bool) -> Self {
        self.connection.hide_addresses = hide;
        self
    }

    fn ask(self) -> Pending<Client> {
        match self.options() {
            Ok(options) => task::start(options),
            Err(error) => Pending::failed(error),
        }
    }

    fn options(self) -> Result<Options, Error> {
        let place = url::place(&self.url)?;
        let what = "the app's name has 1 to 64 characters of A-Z a-z 0-9 . _ -";
        let app = AppName::parse(&self.app).ok_or(Error::BadValue { what })?;
        let mut names: Vec<&str> =
            self.channels.iter().map(|(name, _)| name.as_str()).chain(BUILT_IN).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return Err(Error::BadValue { what: "two channels cannot have the same name" });
        }
        if names.len() > CHANNELS_MAX {
            return Err(Error::BadValue { what: "a link has at most 256 channels" });
        }
        if !(MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&self.message_max) {
            return Err(Error::BadValue { what: "the longest message has 1,024 to 67,108,864 bytes" });
        }
        Ok(Options {
            url: self.url,
            place: Arc::new(place),
            app,
            me: self.me.transpose()?,
            channels: channels(&self.channels),
            message_max: self.message_max,
            ice_servers: self.ice_servers,
            filter: self.filter,
            connection: self.connection,
        })
    }
}

/// Channels of one link.
const CHANNELS_MAX: usize = 256;

request!(Connect => Client);

impl fmt::Debug for Connect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connect")
            .field("url", &self.url)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// The same, checked.
pub(super) struct Options {
    pub url: String,
    pub place: Arc<url::Place>,
    pub app: AppName,
    pub me: Option<Box<RawValue>>,
    pub channels: Arc<[(Arc<str>, ChannelOptions)]>,
    pub message_max: usize,
    pub ice_servers: Vec<IceServer>,
    pub filter: Option<UrlFilter>,
    pub connection: ConnectionConfig,
}

impl Client {
    pub(super) fn over(asks: mpsc::UnboundedSender<Ask>) -> Self {
        Self { asks }
    }
}
