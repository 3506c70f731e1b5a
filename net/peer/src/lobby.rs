//! A lobby: first at the server, and after `complete` between its members alone.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::join_all;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use twocan_lobby::client::RoomId;
use twocan_lobby::wire::IceServer;
use twocan_lobby::{LobbyCode, PeerId};

use crate::client::{Ask, RoomAsk, raw};
use crate::data::Data;
use crate::error::Error;
use crate::event::{LobbyEvent, LobbyState, Member};
use crate::framing::encode;
use crate::link::Waiting;
use crate::peer::Peer;
use crate::pending::{Pending, Request, request};
use std::future::IntoFuture;

/// A lobby as it stands.
#[derive(Clone)]
pub(crate) struct View {
    pub state: LobbyState,
    pub code: LobbyCode,
    pub owner: PeerId,
    pub members: Vec<Member>,
    pub data: Value,
    pub size: usize,
    pub locked: bool,
    pub public: bool,
    pub password: bool,
    /// `None`: the server has not named them yet.
    pub servers: Option<Vec<IceServer>>,
    /// The way back.
    pub ticket: Option<String>,
    pub peers: BTreeMap<PeerId, Peer>,
}

/// A lobby: first at the server, and after [`LobbyEvent::Complete`] between its members alone.
///
/// Events come by [`next`](Self::next) in `async` code, or by [`poll`](Self::poll) in a game loop. Everything else is
/// asked through `&self`, and answered by a [`Pending`]. Dropping it leaves the lobby and closes its links; await
/// [`leave`](Self::leave) before a program ends, so that the others hear of it.
///
/// ```no_run
/// # async fn example(mut lobby: twocan::Lobby) -> Result<(), twocan::Error> {
/// use twocan::LobbyEvent;
///
/// while let Some(event) = lobby.next().await {
///     match event {
///         LobbyEvent::Peer(peer) => peer.send("reliable", "hello").await?,
///         LobbyEvent::Message { peer, data, .. } => println!("{}: {data:?}", peer.id()),
///         LobbyEvent::Fail(failure) => eprintln!("{}", failure.message()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Lobby {
    room: RoomId,
    me: PeerId,
    view: watch::Receiver<View>,
    events: mpsc::UnboundedReceiver<Waiting>,
    asks: mpsc::UnboundedSender<Ask>,
}

impl Lobby {
    pub(crate) fn new(
        room: RoomId,
        me: PeerId,
        view: watch::Receiver<View>,
        events: mpsc::UnboundedReceiver<Waiting>,
        asks: mpsc::UnboundedSender<Ask>,
    ) -> Self {
        Self { room, me, view, events, asks }
    }

    /// The next thing that happens; `None` once nothing can happen any more: we are out, or everyone else is.
    pub async fn next(&mut self) -> Option<LobbyEvent> {
        self.events.recv().await.map(|(event, _)| event)
    }

    /// The next thing that happened, if something did: for programs that look once a frame.
    pub fn poll(&mut self) -> Option<LobbyEvent> {
        self.events.try_recv().ok().map(|(event, _)| event)
    }

    /// Waits for the next thing that happens. Not within `async` code.
    pub fn wait(&mut self) -> Option<LobbyEvent> {
        self.events.blocking_recv().map(|(event, _)| event)
    }

    /// The four or six characters that lead here.
    #[must_use]
    pub fn code(&self) -> LobbyCode {
        self.view.borrow().code
    }

    /// Our own name in here.
    #[must_use]
    pub fn me(&self) -> PeerId {
        self.me
    }

    /// The owner's name.
    #[must_use]
    pub fn owner(&self) -> PeerId {
        self.view.borrow().owner
    }

    /// The lobby is ours.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.owner() == self.me
    }

    /// Everyone, ourselves included, in the order of arrival.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.view.borrow().members.clone()
    }

    /// The lobby's own data: a JSON object.
    #[must_use]
    pub fn data(&self) -> Value {
        self.view.borrow().data.clone()
    }

    /// Seats.
    #[must_use]
    pub fn size(&self) -> usize {
        self.view.borrow().size
    }

    /// Newcomers are kept out.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.view.borrow().locked
    }

    /// It is shown in the list.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.view.borrow().public
    }

    /// A password is asked.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.view.borrow().password
    }

    /// Where the lobby stands.
    #[must_use]
    pub fn state(&self) -> LobbyState {
        self.view.borrow().state
    }

    /// The others, whatever the state of their link, by name.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.view.borrow().peers.values().cloned().collect()
    }

    /// The other of this name.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<Peer> {
        self.view.borrow().peers.get(&id).cloned()
    }

    /// STUN and TURN servers, with credentials for this lobby, as the server names them: waits until it has. Links use them
    /// without this. `None`: we are out.
    pub async fn ice_servers(&self) -> Option<Vec<IceServer>> {
        let mut view = self.view.clone();
        let told = view.wait_for(|view| view.servers.is_some() || view.state == LobbyState::Gone).await;
        told.ok().and_then(|view| view.servers.clone())
    }

    /// The way back to our seat, for [`Client::rejoin`](crate::Client::rejoin) in another run of this program: a secret, good for 12 hours, and another
    /// one after [`LobbyEvent::Complete`]. `None` once we are out.
    #[must_use]
    pub fn ticket(&self) -> Option<String> {
        self.view.borrow().ticket.clone()
    }

    /// All links that are up.
    #[must_use]
    pub fn all(&self) -> All {
        All(self.peers().into_iter().filter(Peer::is_up).collect())
    }

    /// Done when everyone is linked and the server has let go. Called by the owner it seals the lobby.
    ///
    /// The answer is [`Error::Unsealed`] where some pair does not link in time; the lobby is open again then.
    pub fn start(&self) -> Pending<()> {
        self.ask(RoomAsk::Start)
    }

    /// Says goodbye to everyone, closes the links and leaves.
    ///
    /// The goodbye goes behind what was sent, for which it waits a second at most. While the lobby is at the server the others may hear of it
    /// from there, sooner: to be sure that the last message arrives, have it answered.
    pub fn leave(&self) -> Pending<()> {
        self.ask(RoomAsk::Leave)
    }

    /// Says something else of ourselves from now on: a JSON object of at most 512 bytes. All hear of it, and we too, by [`LobbyEvent::Me`].
    ///
    /// # Errors
    /// [`Error::BadValue`]; refused once the lobby is complete.
    pub fn set_me(&self, me: impl serde::Serialize) -> Pending<()> {
        match raw(&me) {
            Ok(me) => self.ask(RoomAsk::Me(me)),
            Err(error) => Pending::failed(error),
        }
    }

    /// Owner only: shows a member out, for as long as the lobby lives: neither it nor anybody from its address comes back, as long
    /// as no other member is there from the same address.
    pub fn kick(&self, peer: PeerId) -> Pending<()> {
        self.ask(RoomAsk::Kick { peer, ban: true })
    }

    /// Owner only: shows a member out, who may come back.
    pub fn kick_without_ban(&self, peer: PeerId) -> Pending<()> {
        self.ask(RoomAsk::Kick { peer, ban: false })
    }

    /// Owner only: keeps newcomers out, or lets them in again.
    pub fn lock(&self, locked: bool) -> Pending<()> {
        self.ask(RoomAsk::Update { data: None, public: None, locked: Some(locked) })
    }

    /// Owner only: changes the lobby's data, and who can see it.
    pub fn update(&self) -> Update {
        let Self { room, asks, .. } = self;
        Update { room: *room, asks: asks.clone(), data: None, public: None, locked: None }
    }

    fn ask(&self, what: RoomAsk) -> Pending<()> {
        let (answer, pending) = Pending::new();
        // Where nobody is left to answer, `answer` is dropped, which says `Closed`.
        let _ = self.asks.send(Ask::Room(self.room, what, answer));
        pending
    }
}

impl Drop for Lobby {
    fn drop(&mut self) {
        drop(self.ask(RoomAsk::Leave));
    }
}

impl futures_util::Stream for Lobby {
    type Item = LobbyEvent;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<LobbyEvent>> {
        self.events.poll_recv(context).map(|waiting| waiting.map(|(event, _)| event))
    }
}

impl fmt::Debug for Lobby {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, state) = (self.code(), self.state());
        formatter.debug_struct("Lobby").field("code", &code).field("state", &state).finish_non_exhaustive()
    }
}

/// All links of a lobby that were up a moment ago.
#[derive(Clone, Debug)]
pub struct All(Vec<Peer>);

impl All {
    #[cfg(test)]
    pub(crate) fn of(peers: Vec<Peer>) -> Self {
        Self(peers)
    }

    /// Sends to each, at the same time; done when every link has room for more, but for those in which a message to all has waited
    /// for 10 s: until they have caught up these are not waited for, and 4 MiB may wait for them in a channel.
    ///
    /// The answer names the peers for whom too much waits already: to them, this was not sent. One that closes meanwhile is passed
    /// over.
    ///
    /// # Errors
    /// [`Error::NoChannel`], [`Error::TooLarge`], [`Error::TooComplex`]; [`Error::TooSlow`] where a long message to one of them was
    /// given up.
    pub async fn send(&self, channel: &str, data: impl Into<Data>) -> Result<Vec<Peer>, Error> {
        let message = encode(data.into());
        let sends = self.0.iter().map(|peer| peer.send_patiently(channel, message.clone()));
        let mut missed = Vec::new();
        for (peer, sent) in self.0.iter().zip(join_all(sends).await) {
            match sent {
                Ok(true) | Err(Error::LinkClosed) => {}
                Ok(false) => missed.push(peer.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(missed)
    }

    /// Sends to each that has room now; says how many had.
    pub fn try_send(&self, channel: &str, data: impl Into<Data>) -> usize {
        let data = data.into();
        self.0.iter().filter(|peer| peer.try_send(channel, data.clone()).is_ok()).count()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Nobody is linked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Changes of a lobby, to be awaited: what is not named stays.
#[derive(Debug)]
#[must_use = "nothing is changed before it is awaited, or begun"]
pub struct Update {
    room: RoomId,
    asks: mpsc::UnboundedSender<Ask>,
    data: Option<Result<Box<RawValue>, Error>>,
    public: Option<bool>,
    locked: Option<bool>,
}

impl Update {
    /// The lobby's own data, at most 2,048 bytes of JSON: an object.
    pub fn data(self, data: impl serde::Serialize) -> Self {
        Self { data: Some(raw(&data)), ..self }
    }

    /// Shown in the list, and found by `quick`.
    pub fn public(self, public: bool) -> Self {
        Self { public: Some(public), ..self }
    }

    /// Keeps newcomers out.
    pub fn locked(self, locked: bool) -> Self {
        Self { locked: Some(locked), ..self }
    }

    fn ask(self) -> Pending<()> {
        let data = match self.data.transpose() {
            Ok(data) => data,
            Err(error) => return Pending::failed(error),
        };
        let (answer, pending) = Pending::new();
        let what = RoomAsk::Update { data, public: self.public, locked: self.locked };
        let _ = self.asks.send(Ask::Room(self.room, what, answer));
        pending
    }
}
request!(Update => ());
