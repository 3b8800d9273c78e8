//! The naive implementation: a thread of a thread pool, a connection of a connection pool, one query
//! for each request. It has the same request and answer as oneseat, with default settings.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpRequest, HttpServer, error, rt};
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use ipnetwork::IpNetwork;
use oneseat::db::clock::{before, now, span};
use oneseat::token::Token;
use serde::Serialize;
use uuid::Uuid;

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_digest -> Bytea,
        ip_address -> Inet,
        user_agent -> Nullable<Text>,
        last_activity -> Timestamptz,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        name -> Text,
        email -> Text,
        email_verified -> Bool,
        role -> Text,
        disabled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::joinable!(sessions -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(sessions, users);

/// oneseat's default.
const ACTIVITY_THRESHOLD: Duration = Duration::from_secs(15 * 60);

pub(super) type Connections = Pool<ConnectionManager<PgConnection>>;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
struct Session {
    id: Uuid,
    #[expect(dead_code, reason = "asked for as oneseat does")]
    user_id: Uuid,
    ip_address: IpNetwork,
    user_agent: Option<String>,
    last_activity: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
#[expect(dead_code, reason = "asked for as oneseat does")]
struct User {
    id: Uuid,
    name: String,
    email: String,
    role: String,
    email_verified: bool,
    disabled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Answer {
    user: UserView,
    session: SessionView,
}

#[derive(Serialize)]
struct UserView {
    id: Uuid,
    name: String,
    email: String,
    role: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    id: Uuid,
    ip_address: IpAddr,
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    last_activity: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<(Session, User)> for Answer {
    fn from((session, user): (Session, User)) -> Self {
        Self {
            user: UserView {
                id: user.id,
                name: user.name,
                email: user.email,
                role: user.role,
            },
            session: SessionView {
                id: session.id,
                ip_address: session.ip_address.ip(),
                user_agent: session.user_agent,
                created_at: session.created_at,
                last_activity: session.last_activity,
                expires_at: session.expires_at,
            },
        }
    }
}

pub(super) fn pool(url: &str) -> Result<Connections> {
    Ok(Pool::builder().build(ConnectionManager::new(url))?)
}

/// Serves until the process ends.
pub(super) fn serve(pool: Connections, workers: usize) -> Result<SocketAddr> {
    let listener = super::listener()?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(pool.clone()))
            .route("/auth/session", web::get().to(session))
    });
    rt::spawn(server.workers(workers).disable_signals().listen(listener)?.run());
    Ok(address)
}

/// The answer for a token.
pub(super) fn body(pool: &Connections, token: &str) -> Result<String> {
    let token = Token::parse(token.as_bytes()).context("not a token")?;
    let answer = find(&mut *pool.get()?, &token)?.context("no such session")?;
    Ok(serde_json::to_string(&answer)?)
}

async fn session(request: HttpRequest, pool: Data<Connections>) -> actix_web::Result<Json<Answer>> {
    let header = request.headers().get(AUTHORIZATION);
    let token = header
        .and_then(|header| header.as_bytes().strip_prefix(b"Bearer "))
        .and_then(Token::parse)
        .ok_or_else(|| error::ErrorUnauthorized("no token"))?;
    let found = web::block(move || -> Result<_> { Ok(find(&mut *pool.get()?, &token)?) }).await?;
    found
        .map_err(error::ErrorServiceUnavailable)?
        .map(Json)
        .ok_or_else(|| error::ErrorUnauthorized("no such session"))
}

fn find(connection: &mut PgConnection, token: &Token) -> QueryResult<Option<Answer>> {
    let found: Option<(Session, User, DateTime<Utc>, bool, bool)> = sessions::table
        .inner_join(users::table)
        .filter(sessions::token_digest.eq(token.digest()))
        .filter(users::disabled_at.is_null())
        .select((
            Session::as_select(),
            User::as_select(),
            now(),
            sessions::expires_at.gt(now()),
            sessions::last_activity.le(before(now(), span(ACTIVITY_THRESHOLD))),
        ))
        .first(connection)
        .optional()?;
    Ok(found
        .filter(|(.., is_live, _)| *is_live)
        .map(|(session, user, ..)| (session, user).into()))
}
