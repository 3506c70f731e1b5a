//! The public lobbies, as the server keeps telling of them.

use super::heard::Heard;
use super::limits::LISTED_MAX;
use super::outside::Row;

pub(super) struct LiveList {
    /// What was asked, to be asked again in a new session.
    pub body: String,
    /// The newest last, so that a change keeps its place.
    rows: Vec<Row>,
}

impl LiveList {
    pub fn new(body: String) -> Self {
        Self { body, rows: Vec::new() }
    }

    /// Newest first.
    pub fn rows(&self) -> Vec<Row> {
        self.rows.iter().rev().cloned().collect()
    }

    pub fn fill(&mut self, newest_first: Vec<Row>) {
        self.rows = newest_first;
        self.rows.truncate(LISTED_MAX);
        self.rows.reverse();
    }

    /// Says whether it was about the list.
    pub fn heard(&mut self, heard: &Heard) -> bool {
        match heard {
            Heard::Listed(row) => {
                if let Some(other) = self.rows.iter_mut().find(|other| other.code == row.code) {
                    other.clone_from(row);
                } else if self.rows.len() < LISTED_MAX {
                    self.rows.push(row.clone());
                }
            }
            Heard::Unlisted(code) => self.rows.retain(|row| row.code != *code),
            _ => return false,
        }
        true
    }
}
