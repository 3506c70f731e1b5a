//! What the examples share: flags, the way into a lobby, and a sentence where something fails.

#![allow(dead_code)] // each example uses a part

pub mod agent;
pub mod tell;

use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;
use twocan::connection::{Reliability, Roots};
use twocan::{ChannelOptions, Client, Connect, Error, Lobby, TransportPolicy};

/// Flags of all examples that meet others in a lobby.
#[derive(Clone, Debug, Parser)]
pub struct Flags {
    /// The server: http(s):// or ws(s)://
    #[arg(long, env = "TWOCAN_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// Lobbies of another app are never seen
    #[arg(long, default_value = "twocan-demo")]
    pub app: String,
    /// Open a lobby
    #[arg(long)]
    pub create: bool,
    /// Enter the lobby with this code
    #[arg(long, value_name = "CODE", conflicts_with_all = ["create", "quick"])]
    pub join: Option<String>,
    /// Come back to a seat by its ticket, as another run of this program
    #[arg(long, value_name = "TICKET", conflicts_with_all = ["create", "quick", "join"])]
    pub rejoin: Option<String>,
    /// Enter any public lobby whose data is that of --data, or open one
    #[arg(long, conflicts_with = "create")]
    pub quick: bool,
    /// Of the lobby
    #[arg(long)]
    pub password: Option<String>,
    /// Show the lobby in the list
    #[arg(long)]
    pub public: bool,
    /// Seats
    #[arg(long)]
    pub size: Option<usize>,
    /// The lobby's own data: a JSON object
    #[arg(long, value_parser = json)]
    pub data: Option<Value>,
    /// What others see of us: a JSON object
    #[arg(long, value_parser = json, default_value = r#"{"name":"native"}"#)]
    pub me: Value,
    /// Which links are allowed: all, or relayed ones only
    #[arg(long, value_parser = ["all", "relay"], default_value = "all")]
    pub policy: String,
    /// Use relays by this transport alone
    #[arg(long, value_parser = ["udp", "tcp", "tls"])]
    pub transport: Option<String>,
    /// A channel beside `reliable` and `unreliable`: NAME[:unordered][:retransmits=N][:lifetime=MS]
    #[arg(long, value_parser = channel)]
    pub channel: Vec<(String, ChannelOptions)>,
    /// Believe the certificates in this PEM file as well
    #[arg(long, value_name = "FILE")]
    pub root: Option<std::path::PathBuf>,
    /// Hide our addresses behind mDNS names, as pages do
    #[arg(long)]
    pub mdns: bool,
    /// As owner, leave the server as soon as everyone present is linked
    #[arg(long)]
    pub start: bool,
    /// One JSON object a line on stdout
    #[arg(long)]
    pub json: bool,
    /// Actions as JSON, one a line, from stdin; its end is the end
    #[arg(long)]
    pub script: bool,
}

fn json(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("it is not a JSON object".to_owned()) }
}

fn channel(text: &str) -> Result<(String, ChannelOptions), String> {
    let mut words = text.split(':');
    let name = words.next().unwrap_or_default().to_owned();
    let mut options = ChannelOptions::default();
    for word in words {
        let number = |digits: &str| digits.parse::<u16>().map_err(|error| format!("{word}: {error}"));
        options.reliability = match word.split_once('=') {
            None if word == "unordered" => {
                options.ordered = false;
                continue;
            }
            Some(("retransmits", most)) => Reliability::MaxRetransmits(number(most)?),
            Some(("lifetime", ms)) => {
                Reliability::MaxPacketLifeTime(std::time::Duration::from_millis(number(ms)?.into()))
            }
            _ => return Err(format!("{word}: unordered, retransmits=N or lifetime=MS")),
        };
    }
    Ok((name, options))
}

/// Whether a URL of an ICE server is one of this transport; `stun:` always is.
fn is_over(url: &str, transport: &str) -> bool {
    match transport {
        _ if url.starts_with("stun") => true,
        "tls" => url.starts_with("turns:"),
        "tcp" => url.starts_with("turn:") && url.ends_with("transport=tcp"),
        _ => url.starts_with("turn:") && !url.ends_with("transport=tcp"),
    }
}

impl Flags {
    /// The way to the server.
    pub fn connect(&self) -> Result<Connect, Box<dyn std::error::Error>> {
        let policy = if self.policy == "relay" { TransportPolicy::Relay } else { TransportPolicy::All };
        let mut connect = Client::connect(&self.server)
            .app(&self.app)
            .me(&self.me)
            .ice_transport_policy(policy)
            .hide_addresses(self.mdns);
        for (name, options) in &self.channel {
            connect = connect.channel(name, *options);
        }
        if let Some(file) = &self.root {
            let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            connect = connect.roots(Roots::system().and_pem(&pem)?);
        }
        if let Some(transport) = self.transport.clone() {
            connect = connect.ice_url_filter(move |url| is_over(url, &transport));
        }
        Ok(connect)
    }

    /// Into the lobby.
    pub async fn enter(&self, net: &Client) -> Result<Lobby, Error> {
        let empty = || serde_json::json!({});
        if let Some(code) = &self.join {
            let join = net.join(code);
            return match &self.password {
                Some(password) => join.password(password).await,
                None => join.await,
            };
        }
        if let Some(ticket) = &self.rejoin {
            return net.rejoin(ticket).await;
        }
        if self.quick {
            let quick = net.quick(self.data.clone().unwrap_or_else(empty));
            return match self.size {
                Some(size) => quick.size(size).await,
                None => quick.await,
            };
        }
        let mut create = net.create().public(self.public).data(self.data.clone().unwrap_or_else(empty));
        if let Some(size) = self.size {
            create = create.size(size);
        }
        if let Some(password) = &self.password {
            create = create.password(password);
        }
        create.await
    }
}

/// One sentence on stderr, and exit code 1.
pub fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
