//! Mail: what waits to be sent, what it says, and who carries it.
//!
//! A use case writes a row into the [`outbox`] in its own transaction and is done: a server that cannot be reached, or is slow,
//! changes no answer and loses nothing. The background actor takes the rows out, makes a [`message`] of each and hands it to the
//! [`mailer`].
//!
//! Nothing here knows what a user or a session is; [`crate::auth`] brings them together.

mod kind;
pub mod mailer;
pub mod message;
pub mod outbox;

pub use kind::Kind;
pub use mailer::{Mailer, NotSent};
pub use message::Message;
