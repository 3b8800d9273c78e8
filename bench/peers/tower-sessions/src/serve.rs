//! The server: one route, behind the session layer.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tower_sessions::{ExpiredDeletion, Expiry, Session, SessionManagerLayer};
use tower_sessions_sqlx_store::PostgresStore;
use tower_sessions_sqlx_store::sqlx::PgPool;

use crate::visit::{ACTIVITY_THRESHOLD, IDLE_TIMEOUT, USER, User, VISIT, Visit};

const PAUSE_BETWEEN_SWEEPS: Duration = Duration::from_secs(15 * 60);

/// Serves on 127.0.0.1 and says `ready` on standard output.
pub(crate) async fn serve(pool: PgPool, port: u16) -> Result<(), Box<dyn Error>> {
    let store = PostgresStore::new(pool);
    tokio::spawn(store.clone().continuously_delete_expired(PAUSE_BETWEEN_SWEEPS));
    let sessions = SessionManagerLayer::new(store)
        .with_expiry(Expiry::OnInactivity(IDLE_TIMEOUT))
        .with_secure(false);
    let app = Router::new().route("/whoami", get(whoami)).layer(sessions);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("ready /whoami");
    let listener = listener.tap_io(|stream| {
        // Only a matter of speed: a connection without it still works.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
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

/// The store's select is the only query of this request. That favours this peer: the user is what the session
/// remembers of it, where oneseat joins its table of users and so notices at once that one was disabled.
async fn whoami(session: Session) -> Result<Json<WhoAmI>, StatusCode> {
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE;
    let user: Option<User> = session.get(USER).await.map_err(unavailable)?;
    let visit: Option<Visit> = session.get(VISIT).await.map_err(unavailable)?;
    let (Some(user), Some(mut visit)) = (user, visit) else {
        return Err(StatusCode::UNAUTHORIZED);
    };
    // A session that changed is saved, and its expiry put off. `with_always_save` would do so with every request,
    // where oneseat writes activity down this rarely.
    let now = OffsetDateTime::now_utc();
    if now - visit.last_activity >= ACTIVITY_THRESHOLD {
        visit.last_activity = now;
        session.insert(VISIT, &visit).await.map_err(unavailable)?;
    }
    let expires_at = visit.expires_at();
    Ok(Json(WhoAmI {
        user,
        session: Opened { visit, expires_at },
    }))
}
