//! Past sessions in a list: of all users, or of one.

use uuid::Uuid;

use super::moment::Moment;
use crate::auth::lists::REMOVED_USER;
use crate::sessions::Device;
use crate::sessions::EndedSession;
use crate::users::User;

/// A past session.
pub(super) struct PastRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) address: String,
    pub(super) device: Device,
    pub(super) signed_in: Moment,
    pub(super) ended: Moment,
    pub(super) reason: &'static str,
}

impl PastRow {
    /// Past sessions have no badges.
    pub(super) fn badges(&self) -> [&'static str; 0] {
        []
    }

    /// `user` is `None` when the account is gone, or when all rows are one user's.
    pub(super) fn new(session: EndedSession, user: Option<User>) -> Self {
        let (name, email) = match user {
            Some(user) => (user.name, user.email),
            None => (REMOVED_USER.to_owned(), String::new()),
        };
        Self {
            id: session.id,
            name,
            email,
            address: session.ip_address.ip().to_string(),
            device: Device::of(session.user_agent.as_deref()),
            signed_in: Moment(session.created_at),
            ended: Moment(session.ended_at),
            reason: session.reason.in_words(),
        }
    }
}
