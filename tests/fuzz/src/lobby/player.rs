//! A player: what it knows, and what it makes of a frame.

use std::collections::BTreeSet;

use serde_json::Value;
use twocan_lobby::ClientId;

/// One of the players.
#[derive(Clone, Debug, Default)]
pub struct Player {
    pub socket: Option<ClientId>,
    pub session: String,
    pub peer: String,
    /// The last number given to a frame.
    pub id: u64,
    /// The highest number received.
    pub seq: u64,
    /// Frames that were not answered yet.
    pub asked: BTreeSet<u64>,
    /// Peers with whom signals may be exchanged.
    pub links: BTreeSet<String>,
    pub ticket: String,
    /// Who is back, and not linked since.
    back: BTreeSet<String>,
}

impl Player {
    /// Reads one frame. Panics where a player could not make sense of it.
    pub fn hear(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().expect("a frame has a type");
        if kind == "welcome" {
            self.welcome(frame);
            return;
        }
        let seq = frame["seq"].as_u64().expect("a frame has a number");
        assert_eq!(seq, self.seq + 1, "numbered without a gap: {frame}");
        self.seq = seq;
        if let Some(id) = frame["id"].as_u64().filter(|id| *id != 0) {
            assert!(self.asked.remove(&id) || id > self.id, "one reply to each request: {frame}");
        }
        match kind {
            "joined" => {
                self.links.clear();
                self.back.clear();
                self.peer = text(&frame["peer"]);
                if frame["ticket"].is_string() {
                    self.ticket = text(&frame["ticket"]);
                }
                self.look_at(&frame["lobby"]);
            }
            "updated" => self.look_at(&frame["lobby"]),
            // Who is back may be another run of its program, whose links begin anew.
            "back" => {
                self.back.insert(text(&frame["member"]["peer"]));
            }
            "link" => {
                let peer = text(&frame["peer"]);
                let is_back = self.back.remove(&peer);
                assert!(self.links.insert(peer) || is_back, "linked twice: {frame}");
            }
            "left" => {
                self.links.remove(&text(&frame["peer"]));
            }
            "removed" => self.links.clear(),
            "signal" => assert!(self.links.contains(&text(&frame["from"])), "not linked: {frame}"),
            "complete" => self.ticket = text(&frame["ticket"]),
            _ => {}
        }
    }

    fn welcome(&mut self, frame: &Value) {
        if frame["resumed"] == true {
            assert_eq!(frame["session"].as_str(), Some(&*self.session));
            return;
        }
        *self = Player { socket: self.socket, ticket: std::mem::take(&mut self.ticket), ..Player::default() };
        self.session = text(&frame["session"]);
        self.peer = text(&frame["peer"]);
    }

    /// A lobby that one is in: never oversold, everyone once, its owner and oneself among them.
    fn look_at(&self, lobby: &Value) {
        let members: Vec<String> = lobby["members"]
            .as_array()
            .expect("members")
            .iter()
            .map(|member| text(&member["peer"]))
            .collect();
        let size = lobby["size"].as_u64().expect("a size");
        assert!(members.len() as u64 <= size, "oversold: {lobby}");
        assert_eq!(members.iter().collect::<BTreeSet<_>>().len(), members.len(), "someone twice: {lobby}");
        assert!(members.contains(&self.peer), "without oneself: {lobby}");
        assert!(members.contains(&text(&lobby["owner"])), "the owner is no member: {lobby}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
