//! What the server says, read into values that live on their own.

use serde_json::Value;
use serde_json::value::RawValue;

use super::outside::{Failure, Member, Row, Snapshot};
use crate::wire::names::{LobbyCode, PeerId};
use crate::wire::{
    IceServers, Kind, LeftWhy, Link, ListedLobby, LobbyView, MemberView, RemovedWhy, Role, ServerMessage,
    Welcome,
};

/// One frame.
pub(super) enum Said<'a> {
    Welcome(Welcome<'a>),
    Answer(Result<Answer, Failure>),
    Heard(Heard),
}

/// What answers a request.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Joined { peer: PeerId, lobby: Snapshot, ticket: Option<String> },
    Lobbies { total: usize, rows: Vec<Row> },
}

/// What comes by itself.
#[derive(Debug)]
pub(super) enum Heard {
    Listed(Row),
    Unlisted(LobbyCode),
    Ice(IceServers),
    Arrived(Member),
    Away(PeerId),
    Back(Member),
    Me(Member),
    Link { peer: PeerId, role: Role, polite: bool, run: Option<u64> },
    Signal { from: PeerId, kind: Kind, data: Option<String> },
    Left(PeerId, LeftWhy),
    Owner(PeerId),
    Updated(Snapshot),
    Removed(RemovedWhy),
    Sealed(u64),
    Unsealed(Vec<[PeerId; 2]>),
    Complete { ticket: String, ice: IceServers },
}

pub(super) fn read(message: ServerMessage<'_>) -> Said<'_> {
    Said::Heard(match message {
        ServerMessage::Welcome(welcome) => return Said::Welcome(welcome),
        ServerMessage::Ok | ServerMessage::Pong => return Said::Answer(Ok(Answer::Done)),
        ServerMessage::Error(refused) => {
            return Said::Answer(Err(Failure::Refused { code: refused.code, retry: refused.retry }));
        }
        ServerMessage::Joined(joined) => {
            let (peer, lobby) = (joined.peer, snapshot(&joined.lobby));
            let ticket = joined.ticket.map(std::borrow::Cow::into_owned);
            return Said::Answer(Ok(Answer::Joined { peer, lobby, ticket }));
        }
        ServerMessage::Lobbies(list) => {
            let rows = list.lobbies.iter().map(row).collect();
            return Said::Answer(Ok(Answer::Lobbies { total: list.total, rows }));
        }
        ServerMessage::Listed(listed) => Heard::Listed(row(&listed.lobby)),
        ServerMessage::Unlisted(unlisted) => Heard::Unlisted(unlisted.code),
        ServerMessage::Ice(servers) => Heard::Ice(servers.into_owned()),
        ServerMessage::Arrived(arrived) => Heard::Arrived(member(&arrived.member)),
        ServerMessage::Away(away) => Heard::Away(away.peer),
        ServerMessage::Member(now) => Heard::Me(member(&now.member)),
        ServerMessage::Back(back) => Heard::Back(member(&back.member)),
        ServerMessage::Link(Link { peer, role, polite, run }) => Heard::Link { peer, role, polite, run },
        ServerMessage::Signal(signal) => {
            let data = signal.data.map(|raw| raw.get().to_owned());
            Heard::Signal { from: signal.from, kind: signal.kind, data }
        }
        ServerMessage::Left(left) => Heard::Left(left.peer, left.why),
        ServerMessage::Owner(owner) => Heard::Owner(owner.peer),
        ServerMessage::Updated(updated) => Heard::Updated(snapshot(&updated.lobby)),
        ServerMessage::Removed(removed) => Heard::Removed(removed.why),
        ServerMessage::Sealed(sealed) => Heard::Sealed(sealed.within),
        ServerMessage::Unsealed(unsealed) => Heard::Unsealed(unsealed.missing),
        ServerMessage::Complete(complete) => {
            Heard::Complete { ticket: complete.ticket.into_owned(), ice: complete.ice.into_owned() }
        }
    })
}

fn snapshot(view: &LobbyView<'_>) -> Snapshot {
    Snapshot {
        code: view.code,
        public: view.public,
        password: view.password,
        locked: view.locked,
        sealed: view.sealed,
        size: view.size,
        owner: view.owner,
        data: object(view.data),
        members: view.members.iter().map(member).collect(),
    }
}

fn member(view: &MemberView<'_>) -> Member {
    Member { peer: view.peer, me: object(view.me), away: view.away }
}

fn row(lobby: &ListedLobby<'_>) -> Row {
    Row {
        code: lobby.code,
        password: lobby.password,
        locked: lobby.locked,
        size: lobby.size,
        members: lobby.members,
        data: object(lobby.data),
    }
}

/// The server passes JSON on unread; what cannot be held (a number beyond all bounds) is taken as nothing said.
fn object(raw: &RawValue) -> Value {
    let read: Option<Value> = serde_json::from_str(raw.get()).ok();
    read.filter(Value::is_object).unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}
