//! What users and sessions look like in JSON: camelCase, RFC 3339 UTC, no token and no digest.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sessions::{EndedSession, Session};
use crate::users::User;
use crate::web::schemas;

/// Who.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserView {
    id: Uuid,
    name: String,
    email: String,
    #[schema(schema_with = schemas::role)]
    role: &'static str,
}

/// A live session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionView {
    id: Uuid,
    #[schema(schema_with = schemas::address)]
    ip_address: IpAddr,
    #[schema(required)]
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    last_activity: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// A past session.
#[derive(Serialize, ToSchema)]
#[schema(as = EndedSession)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndedSessionView {
    id: Uuid,
    #[schema(schema_with = schemas::address)]
    ip_address: IpAddr,
    #[schema(required)]
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    last_activity: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    #[schema(schema_with = schemas::reason)]
    reason: &'static str,
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
            reason: session.reason.as_str(),
        }
    }
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            email: user.email,
            role: user.role.as_str(),
        }
    }
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            ip_address: session.ip_address.ip(),
            user_agent: session.user_agent,
            created_at: session.created_at,
            last_activity: session.last_activity,
            expires_at: session.expires_at,
        }
    }
}
