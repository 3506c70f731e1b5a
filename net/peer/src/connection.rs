//! One direct connection, with a signaling of your own.
