//! Ways into a lobby, and the list: builders, to be awaited.

use std::future::IntoFuture;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use twocan_lobby::wire::{CodeKind, Sort};

use super::{Ask, Object, raw};
use crate::error::Error;
use crate::list::LobbyList;
use crate::lobby::Lobby;
use crate::pending::{Pending, Request, request};

type Asks = mpsc::UnboundedSender<Ask>;
type Given = Option<Result<Box<RawValue>, Error>>;

/// Sends what `make` makes of the answer's other end and of objects that could be written.
fn send<T>(
    asks: &Asks,
    objects: [Given; 3],
    make: impl FnOnce([Object; 3], crate::pending::Answer<T>) -> Ask,
) -> Pending<T> {
    let [one, two, three] = objects.map(Option::transpose);
    let objects = match (one, two, three) {
        (Ok(one), Ok(two), Ok(three)) => [one, two, three],
        (Err(error), ..) | (_, Err(error), _) | (_, _, Err(error)) => return Pending::failed(error),
    };
    let (answer, pending) = Pending::new();
    // Where nobody is left to answer, `answer` is dropped, which says `Closed`.
    let _ = asks.send(make(objects, answer));
    pending
}

/// A lobby to be opened: see [`Client::create`](super::Client::create).
#[derive(Debug)]
#[must_use = "nothing is asked before it is awaited, or begun"]
pub struct Create {
    asks: Asks,
    public: bool,
    size: Option<i64>,
    password: Option<String>,
    code: Option<CodeKind>,
    data: Given,
    me: Given,
}

impl Create {
    pub(super) fn new(asks: Asks) -> Self {
        Self { asks, public: false, size: None, password: None, code: None, data: None, me: None }
    }

    /// Shown in the list, and found by `quick`. Default: false.
    pub fn public(self, public: bool) -> Self {
        Self { public, ..self }
    }

    /// Seats, 2 to 64. Default: 8.
    pub fn size(self, size: usize) -> Self {
        Self { size: Some(size.try_into().unwrap_or(i64::MAX)), ..self }
    }

    /// Asked of whoever joins, at most 512 bytes of UTF-8.
    pub fn password(self, password: impl Into<String>) -> Self {
        Self { password: Some(password.into()), ..self }
    }

    /// A code of ten letters, which nobody can guess, for invitations by link. Default: as short as can be without being guessed.
    pub fn long_code(self) -> Self {
        Self { code: Some(CodeKind::Long), ..self }
    }

    /// The lobby's own data, at most 2,048 bytes of JSON: an object. A filter matches it by equal values under equal keys.
    pub fn data(self, data: impl Serialize) -> Self {
        Self { data: Some(raw(&data)), ..self }
    }

    /// Replaces the `me` of `connect` in this lobby.
    pub fn me(self, me: impl Serialize) -> Self {
        Self { me: Some(raw(&me)), ..self }
    }

    fn ask(self) -> Pending<Lobby> {
        let Self { asks, public, size, password, code, data, me } = self;
        send(&asks, [data, me, None], |[data, me, _], answer| Ask::Create {
            public,
            size,
            password,
            code,
            data,
            me,
            answer,
        })
    }
}
request!(Create => Lobby);

/// A lobby to be entered: see [`Client::join`](super::Client::join).
#[derive(Debug)]
#[must_use = "nothing is asked before it is awaited, or begun"]
pub struct Join {
    asks: Asks,
    code: String,
    password: Option<String>,
    me: Given,
}

impl Join {
    pub(super) fn new(asks: Asks, code: String) -> Self {
        Self { asks, code, password: None, me: None }
    }

    /// The lobby's password, where it has one.
    pub fn password(self, password: impl Into<String>) -> Self {
        Self { password: Some(password.into()), ..self }
    }

    /// Replaces the `me` of `connect` in this lobby.
    pub fn me(self, me: impl Serialize) -> Self {
        Self { me: Some(raw(&me)), ..self }
    }

    fn ask(self) -> Pending<Lobby> {
        let Self { asks, code, password, me } = self;
        send(&asks, [me, None, None], |[me, ..], answer| Ask::Join { code, password, me, answer })
    }
}
request!(Join => Lobby);

/// A lobby to be found or opened: see [`Client::quick`](super::Client::quick).
#[derive(Debug)]
#[must_use = "nothing is asked before it is awaited, or begun"]
pub struct Quick {
    asks: Asks,
    filter: Result<Box<RawValue>, Error>,
    size: Option<i64>,
    data: Given,
    me: Given,
}

impl Quick {
    pub(super) fn new(asks: Asks, filter: Result<Box<RawValue>, Error>) -> Self {
        Self { asks, filter, size: None, data: None, me: None }
    }

    /// Seats, 2 to 64. Default: any, and 8 where a lobby is opened.
    pub fn size(self, size: usize) -> Self {
        Self { size: Some(size.try_into().unwrap_or(i64::MAX)), ..self }
    }

    /// The data of a new lobby. Default: the filter.
    pub fn data(self, data: impl Serialize) -> Self {
        Self { data: Some(raw(&data)), ..self }
    }

    /// Replaces the `me` of `connect` in this lobby.
    pub fn me(self, me: impl Serialize) -> Self {
        Self { me: Some(raw(&me)), ..self }
    }

    fn ask(self) -> Pending<Lobby> {
        let Self { asks, filter, size, data, me } = self;
        let data = data.or_else(|| Some(filter.clone()));
        send(&asks, [Some(filter), data, me], |[filter, data, me], answer| Ask::Quick {
            filter,
            size,
            data,
            me,
            answer,
        })
    }
}
request!(Quick => Lobby);

/// The list to be watched: see [`Client::lobbies`](super::Client::lobbies).
#[derive(Debug)]
#[must_use = "nothing is asked before it is awaited, or begun"]
pub struct Lobbies {
    asks: Asks,
    filter: Given,
    sort: Sort,
    skip: u16,
}

impl Lobbies {
    pub(super) fn new(asks: Asks) -> Self {
        Self { asks, filter: None, sort: Sort::Newest, skip: 0 }
    }

    /// Only lobbies whose data has equal values under the keys of this object.
    pub fn filter(self, filter: impl Serialize) -> Self {
        Self { filter: Some(raw(&filter)), ..self }
    }

    /// Which come first. Default: the newest.
    pub fn sort(self, sort: Sort) -> Self {
        Self { sort, ..self }
    }

    /// Leaves out so many of them: a list has at most 100, and this is for the next ones. Of one household's lobbies, where there are
    /// more than 100 in all, those that find no room are on later pages.
    pub fn skip(self, skip: u16) -> Self {
        Self { skip, ..self }
    }

    fn ask(self) -> Pending<LobbyList> {
        let Self { asks, filter, sort, skip } = self;
        send(&asks, [filter, None, None], |[filter, ..], answer| Ask::Watch { filter, sort, skip, answer })
    }
}
request!(Lobbies => LobbyList);
