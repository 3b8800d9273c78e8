//! Past sessions in a list: of all users, or of one.

use super::moment::Moment;
use crate::sessions::Device;
use crate::sessions::{EndReason, EndedSession};
use crate::users::User;

/// A past session.
pub(super) struct PastRow {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) address: String,
    pub(super) device: Device,
    pub(super) signed_in: Moment,
    pub(super) ended: Moment,
    pub(super) reason: &'static str,
}

impl PastRow {
    /// Without a user when the account is gone, or when all rows are one user's.
    pub(super) fn new(session: EndedSession, user: Option<User>) -> Self {
        let (name, email) = match user {
            Some(user) => (user.name, user.email),
            None => ("Removed user".to_owned(), String::new()),
        };
        Self {
            name,
            email,
            address: session.ip_address.ip().to_string(),
            device: Device::of(session.user_agent.as_deref()),
            signed_in: Moment(session.created_at),
            ended: Moment(session.ended_at),
            reason: in_words(session.reason),
        }
    }
}

/// The reason in words.
pub(super) fn in_words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::SignedOut => "Signed out",
        EndReason::PageClosed => "Page closed",
        EndReason::Replaced => "Signed in elsewhere",
        EndReason::Expired => "Expired",
        EndReason::Revoked => "Ended by an admin",
        EndReason::PasswordChanged => "Password changed",
        EndReason::AccountDisabled => "Account disabled",
        EndReason::Restored => "Backup restored",
        EndReason::Unknown => "Ended",
    }
}
