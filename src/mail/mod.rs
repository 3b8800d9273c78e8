//! Mail: the queue, the messages, and the connection to a mail server.
//!
//! A use case only writes a row into the [`outbox`], in its own transaction: a mail server that is slow or
//! unreachable changes no answer and loses nothing. The background actor takes the rows out, makes a
//! [`message`] of each and passes it to the `mailer`.
//!
//! Nothing here knows what a user or a session is; [`crate::auth`] brings them together.

mod kind;
pub mod last_taken;
mod mailer;
pub mod message;
mod names;
pub mod outbox;
pub mod readdressing;
pub mod requests;
mod site;
pub mod undelivered;

pub use kind::Kind;
pub use mailer::{Mailer, NotSent};
pub use message::Message;
pub use site::Site;
