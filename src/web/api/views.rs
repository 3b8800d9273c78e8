//! Users and sessions in JSON, for the API and the command line: camelCase, RFC 3339 UTC, no token and no
//! digest.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::lists::{Account, Undelivered};
use crate::mail::Kind;
use crate::sessions::{EndReason, EndedSession, Session};
use crate::users::{AccountState, Role, User};
use crate::web::schemas;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserView<'a> {
    id: Uuid,
    name: Cow<'a, str>,
    email: Cow<'a, str>,
    #[schema(schema_with = schemas::role)]
    role: Role,
}

/// A live session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView<'a> {
    id: Uuid,
    #[schema(schema_with = schemas::address)]
    ip_address: IpAddr,
    #[schema(required)]
    user_agent: Option<Cow<'a, str>>,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "time")]
    last_activity: DateTime<Utc>,
    #[serde(serialize_with = "time")]
    expires_at: DateTime<Utc>,
}

/// A past session.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSession)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndedSessionView {
    id: Uuid,
    #[schema(schema_with = schemas::address)]
    ip_address: IpAddr,
    #[schema(required)]
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    last_activity: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    #[schema(schema_with = schemas::reason)]
    reason: EndReason,
}

/// An account, as admins see it.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountView {
    #[serde(flatten)]
    user: UserView<'static>,
    #[schema(schema_with = schemas::state)]
    state: AccountState,
    email_verified: bool,
    signed_in: bool,
    #[schema(required)]
    locked_until: Option<DateTime<Utc>>,
    #[schema(required)]
    disabled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    /// The last mail to the user, if it was given up.
    #[schema(required)]
    undelivered: Option<UndeliveredView>,
}

/// A mail that could not be delivered.
#[derive(Serialize, ToSchema)]
#[schema(as = UndeliveredMail)]
#[serde(rename_all = "camelCase")]
struct UndeliveredView {
    #[schema(schema_with = schemas::mail_kind)]
    kind: Kind,
    /// What the mail server said, without addresses.
    reason: String,
    given_up_at: DateTime<Utc>,
}

impl From<Undelivered> for UndeliveredView {
    fn from(mail: Undelivered) -> Self {
        Self {
            kind: mail.kind,
            reason: mail.reason,
            given_up_at: mail.given_up_at,
        }
    }
}

impl From<EndedSession> for EndedSessionView {
    fn from(session: EndedSession) -> Self {
        Self {
            id: session.id,
            ip_address: session.ip_address.ip(),
            user_agent: session.user_agent,
            created_at: session.created_at,
            last_activity: session.last_activity,
            ended_at: session.ended_at,
            reason: session.reason,
        }
    }
}

impl From<User> for UserView<'_> {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name.into(),
            email: user.email.into(),
            role: user.role,
        }
    }
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            name: user.name.as_str().into(),
            email: user.email.as_str().into(),
            role: user.role,
        }
    }
}

impl From<Session> for SessionView<'_> {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            ip_address: session.ip_address.ip(),
            user_agent: session.user_agent.map(Cow::from),
            created_at: session.created_at,
            last_activity: session.last_activity,
            expires_at: session.expires_at,
        }
    }
}

impl<'a> From<&'a Session> for SessionView<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            id: session.id,
            ip_address: session.ip_address.ip(),
            user_agent: session.user_agent.as_deref().map(Cow::from),
            created_at: session.created_at,
            last_activity: session.last_activity,
            expires_at: session.expires_at,
        }
    }
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            state: account.state(),
            email_verified: account.user.email_verified,
            signed_in: account.session.is_some(),
            locked_until: account.locked_until,
            disabled_at: account.user.disabled_at,
            created_at: account.user.created_at,
            undelivered: account.undelivered.map(Into::into),
            user: account.user.into(),
        }
    }
}

/// Writes a time into JSON as chrono does, but as one text. chrono writes it in many small pieces, and then the times
/// of a session take as long as the rest of its answer.
fn time<S: Serializer>(time: &DateTime<Utc>, json: S) -> Result<S::Ok, S::Error> {
    json.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_looks_as_chrono_has_it() {
        for text in [
            "2026-11-27T12:00:00Z",
            "2026-11-27T12:00:00.120Z",
            "2026-11-27T12:00:00.123456Z",
        ] {
            let at: DateTime<Utc> = text.parse().unwrap();
            let mut written = Vec::new();
            time(&at, &mut serde_json::Serializer::new(&mut written)).unwrap();
            assert_eq!(written, serde_json::to_vec(&at).unwrap());
            assert_eq!(written, format!("\"{text}\"").into_bytes());
        }
    }
}
