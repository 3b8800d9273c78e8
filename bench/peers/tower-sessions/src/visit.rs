//! The data of a session, as in the store's MessagePack.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// A session ends after this long without activity, as in oneseat.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::hours(2);
/// Activity is recorded at most this often, as in oneseat.
pub(crate) const ACTIVITY_THRESHOLD: Duration = Duration::minutes(15);

/// The key of [`User`] in the session's data.
pub(crate) const USER: &str = "user";
/// The key of [`Visit`] in the session's data.
pub(crate) const VISIT: &str = "visit";

/// The user who signed in.
#[derive(Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: String,
}

/// Where and when the user signed in.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Visit {
    pub(crate) ip_address: String,
    pub(crate) user_agent: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) last_activity: OffsetDateTime,
}

impl Visit {
    /// When the session ends without further activity.
    pub(crate) fn expires_at(&self) -> OffsetDateTime {
        self.last_activity + IDLE_TIMEOUT
    }
}
