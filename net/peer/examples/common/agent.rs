//! A member of a lobby that says what happens, and does what it is told, line by line.

use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use twocan::{Client, Data, Error, Lobby, LobbyEvent, Peer, PeerId};

use super::tell::{self, Teller};
use super::{Flags, failed};

/// The way that a link takes is asked for so often, so long apart, until it is known.
const PATH_LOOKS: u32 = 50;
const PATH_EVERY: Duration = Duration::from_millis(20);

type Sends = mpsc::UnboundedSender<(Vec<Peer>, Value)>;

/// Runs until the lobby is over or left.
pub async fn run(flags: Flags, echoes: bool) -> ExitCode {
    let teller = Teller { json: flags.json };
    match member(&flags, echoes, teller).await {
        Ok(()) => {
            teller.tell(json!({"event":"left"}));
            ExitCode::SUCCESS
        }
        Err(error) => {
            if flags.json {
                let code = error.downcast_ref::<Error>().map_or("failed", Error::code);
                teller.tell(json!({"event":"error","code":code,"message":error.to_string()}));
            }
            failed(&*error)
        }
    }
}

async fn member(flags: &Flags, echoes: bool, teller: Teller) -> Result<(), Box<dyn std::error::Error>> {
    let net = flags.connect()?.await?;
    let met = meet(&net, flags, echoes, teller).await;
    // The goodbyes go out, to the server and over the links.
    net.close().await?;
    met
}

async fn meet(
    net: &Client,
    flags: &Flags,
    echoes: bool,
    teller: Teller,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut lobby = flags.enter(net).await?;
    teller.tell(tell::joined(&lobby));
    teller.tell(tell::ticket(&lobby));
    let (actions, mut told) = mpsc::channel(16);
    let script = flags.script.then(|| tokio::spawn(read_script(actions)));
    let (sends, mut to_send) = mpsc::unbounded_channel::<(Vec<Peer>, Value)>();
    tokio::spawn(async move {
        while let Some((peers, action)) = to_send.recv().await {
            answer(action.clone(), send(peers, action), teller).await;
        }
    });
    let mut started = false;
    loop {
        tokio::select! {
            event = lobby.next() => {
                let Some(event) = event else { break };
                teller.tell(tell::event(&lobby, &event));
                if let LobbyEvent::Complete = &event {
                    teller.tell(tell::ticket(&lobby));
                }
                if let LobbyEvent::Peer(peer) = &event {
                    tokio::spawn(show_path(peer.clone(), teller));
                }
                if let (true, LobbyEvent::Message { peer, channel, data }) = (echoes, event) {
                    // A link that closes meanwhile says so by itself.
                    let _ = peer.send(&channel, data).await;
                }
                if flags.start && !started && lobby.is_owner() && all_linked(&lobby) {
                    started = true;
                    tokio::spawn(answer(json!({"do":"start"}), lobby.start(), teller));
                }
            }
            action = told.recv(), if script.is_some() => {
                let Some(action) = action else { break };
                if !act(&lobby, action, &sends, teller).await {
                    break;
                }
            }
        }
    }
    // Whatever the server says to that, we are gone.
    let _ = lobby.leave().await;
    Ok(())
}

fn all_linked(lobby: &Lobby) -> bool {
    let up = lobby.all().len();
    up > 0 && up + 1 == lobby.members().len()
}

async fn read_script(actions: mpsc::Sender<Value>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let action: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({"do":line}));
        match action["do"].as_str() {
            Some("abort") => std::process::abort(),
            Some("pause") => {
                tokio::time::sleep(Duration::from_millis(action["ms"].as_u64().unwrap_or(0))).await;
            }
            _ if line.trim().is_empty() => {}
            _ => {
                if actions.send(action).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn show_path(peer: Peer, teller: Teller) {
    for _ in 0..PATH_LOOKS {
        match peer.stats().await {
            Ok(stats) if stats.path.is_some() => return teller.tell(tell::stats("path", &peer, &stats)),
            Ok(_) => tokio::time::sleep(PATH_EVERY).await,
            Err(_) => return,
        }
    }
}

/// Does one thing; says whether to go on.
async fn act(lobby: &Lobby, action: Value, sends: &Sends, teller: Teller) -> bool {
    let peer = action["peer"].as_str().and_then(|name| peer_of(name, lobby));
    match action["do"].as_str().unwrap_or_default() {
        "leave" | "quit" => return false,
        "send" => {
            let peers: Vec<Peer> = match action["to"].as_str() {
                Some(name) => peer_of(name, lobby).into_iter().collect(),
                None => lobby.peers().into_iter().filter(Peer::is_up).collect(),
            };
            // One after another, so that messages arrive in the order in which they were asked for.
            let _ = sends.send((peers, action));
        }
        "start" => {
            tokio::spawn(answer(action, lobby.start(), teller));
        }
        "kick" => {
            // Somebody who is not linked can be shown out too.
            let name = action["peer"].as_str().unwrap_or_default().to_owned();
            let member = lobby.members().into_iter().find(|member| member.peer.as_str() == name);
            match member {
                Some(member) => drop(tokio::spawn(answer(action, lobby.kick(member.peer), teller))),
                None => refuse(&action, "no-such-peer", "nobody here has this name", teller),
            }
        }
        "lock" => {
            let locked = action["locked"].as_bool().unwrap_or(true);
            tokio::spawn(answer(action, lobby.lock(locked), teller));
        }
        "update" => {
            let update = lobby.update().data(&action["data"]);
            tokio::spawn(answer(action, update.into_future(), teller));
        }
        "members" => teller.tell(tell::members(lobby)),
        "stats" | "retry" | "close" => match peer {
            Some(peer) => with_peer(peer, action, teller),
            None => refuse(&action, "no-such-peer", "no link has this name", teller),
        },
        _ => refuse(&action, "bad-message", "this action is not known", teller),
    }
    true
}

fn with_peer(peer: Peer, action: Value, teller: Teller) {
    match action["do"].as_str().unwrap_or_default() {
        "retry" => peer.retry(),
        "close" => peer.close(),
        _ => {
            tokio::spawn(async move {
                match peer.stats().await {
                    Ok(stats) => teller.tell(tell::stats("stats", &peer, &stats)),
                    Err(error) => refuse(&action, error.code(), &error.to_string(), teller),
                }
            });
            return;
        }
    }
    done(&action, teller);
}

async fn send(peers: Vec<Peer>, action: Value) -> Result<(), Error> {
    let channel = action["channel"].as_str().unwrap_or("reliable").to_owned();
    let data = match (&action["text"], &action["bytes"], &action["size"]) {
        (Value::String(text), ..) => Data::from(text.as_str()),
        (_, Value::String(bytes), _) => Data::from(BASE64.decode(bytes).unwrap_or_default()),
        (.., Value::Number(size)) => {
            let size = size.as_u64().unwrap_or(0);
            Data::from((0..size).map(|i| (i % 251) as u8).collect::<Vec<u8>>())
        }
        _ => Data::from(action["json"].clone()),
    };
    for _ in 0..action["count"].as_u64().unwrap_or(1) {
        for peer in &peers {
            peer.send(&channel, data.clone()).await?;
        }
        if let Some(ms) = action["every_ms"].as_u64() {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
    Ok(())
}

async fn answer(action: Value, doing: impl Future<Output = Result<(), Error>>, teller: Teller) {
    match doing.await {
        Ok(()) => done(&action, teller),
        Err(error) => refuse(&action, error.code(), &error.to_string(), teller),
    }
}

fn done(action: &Value, teller: Teller) {
    teller.tell(json!({"event":"done","do":action["do"],"tag":action["tag"]}));
}

fn refuse(action: &Value, code: &str, message: &str, teller: Teller) {
    teller.tell(json!({"event":"error","do":action["do"],"tag":action["tag"],"code":code,"message":message}));
}

/// The link with the member of this name.
fn peer_of(name: &str, lobby: &Lobby) -> Option<Peer> {
    PeerId::parse(name).and_then(|id| lobby.peer(id))
}
