//! Collecting from services that fail, stall, limit, talk nonsense and die, and from processes
//! that are killed.

mod beginnings;
mod common;
mod server;
mod simulated;
mod sockets;
mod troubled;
