//! The signaling server: HTTP and WebSocket around the lobby machine.
