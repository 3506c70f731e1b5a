//! The task that owns a connection and its sockets.
