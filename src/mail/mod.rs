//! Mail: what waits to be sent, what it says, and who carries it.
//!
//! A use case writes a row into the [`outbox`] in its own transaction and is done: a server that cannot be reached, or is slow,
//! changes no answer and loses nothing. The background actor takes the rows out, makes a [`letter`] of each and hands it to the
//! [`carrier`].
//!
//! Nothing here knows what a user or a session is; [`crate::auth`] brings them together.

pub mod carrier;
mod kind;
pub mod letter;
pub mod outbox;

pub use carrier::{Carrier, NotSent};
pub use kind::Kind;
pub use letter::Letter;
