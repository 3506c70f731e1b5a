//! The session description of one data-channel connection.
