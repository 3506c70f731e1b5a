//! Lobbies and direct connections between devices.
