//! Lobbies and signaling: our own words, as a state machine.
