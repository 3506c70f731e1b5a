//! The public lobbies, kept up to date by the server.

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use twocan_lobby::LobbyCode;
use twocan_lobby::client::Row;

use crate::client::Ask;

/// One row of the list of public lobbies.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedLobby {
    /// What leads there.
    pub code: LobbyCode,
    /// A password is asked.
    pub password: bool,
    /// Newcomers are kept out.
    pub locked: bool,
    /// Seats.
    pub size: usize,
    /// Seats taken.
    pub members: usize,
    /// The lobby's own data: a JSON object.
    pub data: Value,
}

impl From<Row> for ListedLobby {
    fn from(row: Row) -> Self {
        let Row { code, password, locked, size, members, data } = row;
        Self { code, password, locked, size, members, data }
    }
}

/// Public lobbies, kept up to date until this is dropped, a lobby is entered, or another list takes its place.
#[derive(Debug)]
pub struct LobbyList {
    rows: watch::Receiver<Vec<ListedLobby>>,
    total: usize,
    asks: mpsc::UnboundedSender<Ask>,
    number: u64,
}

impl LobbyList {
    pub(crate) fn new(
        mut rows: watch::Receiver<Vec<ListedLobby>>,
        total: usize,
        asks: mpsc::UnboundedSender<Ask>,
        number: u64,
    ) -> Self {
        rows.mark_changed();
        Self { rows, total, asks, number }
    }

    /// The lobbies as they stand, newest first.
    #[must_use]
    pub fn all(&self) -> Vec<ListedLobby> {
        self.rows.borrow().clone()
    }

    /// How many there were in all when the list was made.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// The lobbies at once the first time, later when they have changed; `None` when no more changes come.
    pub async fn next(&mut self) -> Option<Vec<ListedLobby>> {
        self.rows.changed().await.ok()?;
        Some(self.rows.borrow_and_update().clone())
    }

    /// The lobbies, if they have changed since the last look.
    pub fn poll(&mut self) -> Option<Vec<ListedLobby>> {
        self.rows.has_changed().is_ok_and(|changed| changed).then(|| self.rows.borrow_and_update().clone())
    }
}

impl Drop for LobbyList {
    fn drop(&mut self) {
        // Where nobody is left to hear it, the list has ended already.
        let _ = self.asks.send(Ask::Unwatch(self.number));
    }
}
