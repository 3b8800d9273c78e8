//! The server: one route, behind the session layer.
//!
//! In the tuned set-up the store's select is the only query of a request, and the user comes from the session's
//! data. In the cached one, even this query is needed for a session's first request only. The documented set-up also
//! reads the user's row: otherwise it would not notice at once that an account was disabled or got another role.
//! oneseat does this with its join.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tower_sessions::{
    CachingSessionStore, ExpiredDeletion, Expiry, Session, SessionManagerLayer, SessionStore,
};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_sqlx_store::PostgresStore;
use tower_sessions_sqlx_store::sqlx::{self, PgPool};

use crate::Setup;
use crate::visit::{ACTIVITY_THRESHOLD, IDLE_TIMEOUT, USER, User, VISIT, Visit};

const PAUSE_BETWEEN_SWEEPS: Duration = Duration::from_secs(15 * 60);
/// Sessions that the cache may hold: as many as oneseat remembers by default.
const CACHED: u64 = 100_000;

/// Serves on 127.0.0.1 and says `ready` on standard output.
pub(crate) async fn serve(pool: PgPool, port: u16, setup: Setup) -> Result<(), Box<dyn Error>> {
    let store = PostgresStore::new(pool.clone());
    tokio::spawn(store.clone().continuously_delete_expired(PAUSE_BETWEEN_SWEEPS));
    let app = match setup {
        Setup::Documented => Router::new().route("/whoami", get(whoami).with_state(pool)),
        Setup::Tuned | Setup::Cached => Router::new().route("/whoami", get(whoami_by_session_alone)),
    };
    let app = match setup {
        Setup::Cached => app.layer(layer(CachingSessionStore::new(
            MokaStore::new(Some(CACHED)),
            store,
        ))),
        Setup::Documented | Setup::Tuned => app.layer(layer(store)),
    };

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("ready /whoami");
    let listener = listener.tap_io(|stream| {
        // For speed only: a connection works without it.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}

fn layer<Store: SessionStore>(store: Store) -> SessionManagerLayer<Store> {
    SessionManagerLayer::new(store)
        .with_expiry(Expiry::OnInactivity(IDLE_TIMEOUT))
        .with_secure(false)
}

#[derive(Serialize)]
struct WhoAmI {
    user: User,
    session: Opened,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    #[serde(flatten)]
    visit: Visit,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

async fn whoami(State(pool): State<PgPool>, session: Session) -> Result<Json<WhoAmI>, StatusCode> {
    let mut said = remembered(&session).await?;
    let user = find_user(&pool, &said.user.id).await.map_err(unavailable)?;
    said.user = user.ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Json(said))
}

async fn whoami_by_session_alone(session: Session) -> Result<Json<WhoAmI>, StatusCode> {
    remembered(&session).await.map(Json)
}

/// The user according to the session.
async fn remembered(session: &Session) -> Result<WhoAmI, StatusCode> {
    let user: Option<User> = session.get(USER).await.map_err(unavailable)?;
    let visit: Option<Visit> = session.get(VISIT).await.map_err(unavailable)?;
    let (Some(user), Some(mut visit)) = (user, visit) else {
        return Err(StatusCode::UNAUTHORIZED);
    };
    // A changed session is saved, which extends its expiry. `with_always_save` would do so with every request,
    // but oneseat records activity this rarely.
    let now = OffsetDateTime::now_utc();
    if now - visit.last_activity >= ACTIVITY_THRESHOLD {
        visit.last_activity = now;
        session.insert(VISIT, &visit).await.map_err(unavailable)?;
    }
    let expires_at = visit.expires_at();
    Ok(WhoAmI {
        user,
        session: Opened { visit, expires_at },
    })
}

/// The user's current row; none if disabled or removed.
async fn find_user(pool: &PgPool, id: &str) -> sqlx::Result<Option<User>> {
    let row: Option<(String, String, String, String)> = sqlx::query_as(
        "select id::text, name, email, role from users where id = $1::uuid and disabled_at is null",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(id, name, email, role)| User {
        id,
        name,
        email,
        role,
    }))
}

fn unavailable<E>(_: E) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}
