//! Two terminals that talk to each other, or twenty.
//!
//!     cargo run --example chat -- create
//!     cargo run --example chat -- join ED84

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use twocan::{Client, Data, LobbyEvent, Peer, PeerState, ServerEvent};

/// Talk to whoever is in the same lobby
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    way: Way,
    /// The server
    #[arg(long, global = true, env = "TWOCAN_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// What the others see
    #[arg(long, global = true, env = "USER", default_value = "somebody")]
    name: String,
}

#[derive(Subcommand)]
enum Way {
    /// Open a lobby
    Create,
    /// Enter one
    Join {
        /// Four or six letters
        code: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match chat(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn chat(flags: Flags) -> Result<(), Box<dyn Error>> {
    let net = Client::connect(flags.server).app("twocan-chat").me(json!({ "name": flags.name })).await?;
    let talked = talk(&net, flags.way).await;
    // The goodbyes go out, to the server and over the links.
    net.close().await?;
    talked
}

async fn talk(net: &Client, way: Way) -> Result<(), Box<dyn Error>> {
    let mut lobby = match way {
        Way::Create => net.create().await?,
        Way::Join { code } => net.join(code).await?,
    };
    say(&format!("You are in {}: others enter it with `chat -- join {0}`.", lobby.code()));

    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(text) => {
                    for peer in lobby.all().send("reliable", text).await? {
                        say(&format!("{} is too slow to hear that", peer.id()));
                    }
                }
                None => break,
            },
            event = lobby.next() => match event {
                Some(event) => show(event),
                None => break,
            },
        }
    }
    Ok(())
}

fn show(event: LobbyEvent) {
    match event {
        LobbyEvent::Peer(peer) => {
            say(&format!(
                "{} is here, {} ms away from the first word.",
                name(&peer),
                peer.connect_ms().unwrap_or(0)
            ));
        }
        LobbyEvent::Message { peer, data: Data::Text(text), .. } => {
            // Nobody writes over our terminal but with letters.
            let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
            say(&format!("{}: {text}", name(&peer)));
        }
        LobbyEvent::Leave(member, _) => say(&format!("{} left the lobby.", printable(&member.me["name"]))),
        LobbyEvent::State(peer, PeerState::Closed) => say(&format!("{} hung up.", name(&peer))),
        LobbyEvent::Server(ServerEvent::Reconnecting { attempt: 1, .. }) => {
            say("The server does not answer. Who is linked stays.");
        }
        LobbyEvent::Fail(failure) => say(&format!("{}: {}", name(&failure.peer), failure.message())),
        LobbyEvent::Removed(why) => say(&format!("No longer at the server: {why:?}. Who is linked stays.")),
        _ => {}
    }
}

fn name(peer: &Peer) -> String {
    printable(&peer.me()["name"])
}

fn printable(name: &serde_json::Value) -> String {
    let name = name.as_str().unwrap_or("Somebody");
    name.chars().filter(|letter| !letter.is_control()).take(24).collect()
}

fn say(line: &str) {
    // A closed pipe is no error of ours.
    let _ = writeln!(std::io::stdout(), "{line}");
}
