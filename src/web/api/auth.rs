//! Signing in, signing out, and the caller's own sessions.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::{EndedSessionView, SessionView, UserView};
use crate::auth::{Auth, Seat, Takeover, Terms};
use crate::sessions::EndReason;
use crate::users::{Email, Password};
use crate::web::extract::Authenticated;
use crate::web::extract::body;
use crate::web::extract::client::ClientInfo;
use crate::web::extract::query::takes_only;
use crate::web::extract::rate::WithinLoginRate;
use crate::web::problem::Problem;
use crate::web::schemas;

/// `POST /auth/login`
// No Debug: it holds a password.
#[derive(Deserialize, ToSchema)]
pub struct LoginRequest {
    #[schema(schema_with = schemas::email)]
    email: String,
    #[schema(schema_with = schemas::typed_password)]
    password: String,
    /// Whether the session ends with the page that signs in: some time after the page has gone without a word. For
    /// pages that hold an event stream.
    #[serde(default, rename = "endsWithPage")]
    ends_with_page: bool,
    /// Whether to end a live session of the user. It matters where the server asks first (`--takeover ask`).
    #[serde(default)]
    takeover: bool,
}

/// The one response that holds a token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    #[schema(schema_with = schemas::token)]
    token: String,
    user: UserView<'static>,
    expires_at: DateTime<Utc>,
    /// Whether today's rules would refuse the password, so that the user should choose another one.
    password_change_recommended: bool,
}

/// Signs in and takes the seat.
#[utoipa::path(
    post, path = "/auth/login", tag = "session",
    request_body = LoginRequest,
    responses(
        (status = 200, body = SignedIn),
        (status = 401, description = "`invalid_credentials`, whether or not somebody has the address"),
        (status = 409, description = "`seat_taken`, after the right password, where the server asks first and the sign-in does not say that it takes the seat: nothing has changed"),
        (
            status = 403,
            description = "`account_locked`; after the right password `email_unverified` or `account_disabled`",
            headers(("Retry-After" = i64, description = "With a lock: when it ends, in seconds")),
        ),
        WithinLoginRate,
    ),
)]
pub async fn login(
    _: WithinLoginRate,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
    client: ClientInfo,
) -> Result<Json<SignedIn>, Problem> {
    let request: LoginRequest = body::json(&request, payload).await?;
    let email: Email = request
        .email
        .parse()
        .map_err(|error| Problem::refused(&error).in_field("email"))?;
    let password =
        Password::typed(&request.password).map_err(|error| Problem::refused(&error).in_field("password"))?;
    let terms = Terms {
        takeover: match request.takeover {
            true => Takeover::Wanted,
            false => Takeover::IfAllowed,
        },
        ends_with_page: request.ends_with_page,
    };
    let signed_in = match auth.sign_in(email.clone(), password, client.0, terms).await {
        Ok(signed_in) => signed_in,
        Err(error) => return Err(Problem::after_a_password(error, &auth, email).await),
    };
    Ok(Json(SignedIn {
        token: signed_in.token.reveal(),
        user: signed_in.user.into(),
        expires_at: signed_in.session.expires_at,
        password_change_recommended: signed_in.is_password_below_rules,
    }))
}

/// `POST /auth/logout`: why the session ends. Without a body, the user signed out.
#[derive(Default, Deserialize, ToSchema)]
pub struct LogoutRequest {
    #[serde(default)]
    reason: LogoutReason,
    /// The page is perhaps about to go: its session ends within seconds if its event stream closes now, and stays
    /// otherwise. For pages whose session ends with them.
    #[serde(default)]
    tentative: bool,
}

/// The two reasons that a page can give for the end of its session.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogoutReason {
    /// The user pressed the button.
    #[default]
    SignedOut,
    /// The page went away.
    PageClosed,
}

impl From<LogoutReason> for EndReason {
    fn from(reason: LogoutReason) -> Self {
        match reason {
            LogoutReason::SignedOut => Self::SignedOut,
            LogoutReason::PageClosed => Self::PageClosed,
        }
    }
}

/// `{"success":true}`
#[derive(Serialize, ToSchema)]
pub struct Success {
    success: bool,
}

impl Success {
    pub(super) const NOW: Self = Self { success: true };
}

/// Signs out and gives the seat up.
#[utoipa::path(
    post, path = "/auth/logout", tag = "session",
    request_body = Option<LogoutRequest>,
    responses((status = 200, body = Success), Authenticated),
)]
pub async fn logout(
    caller: Authenticated,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<Json<Success>, Problem> {
    let request: LogoutRequest = body::optional_json(&request, payload).await?;
    if request.tentative {
        auth.page_is_leaving(caller.seat.session.id);
        return Ok(Json(Success::NOW));
    }
    auth.sign_out(caller.holder(), request.reason.into()).await?;
    Ok(Json(Success::NOW))
}

/// `GET /auth/session`
#[derive(Serialize, ToSchema)]
pub struct CurrentSession<'a> {
    user: UserView<'a>,
    session: SessionView<'a>,
}

/// Shows the caller and their session.
#[utoipa::path(
    get, path = "/auth/session", tag = "session",
    responses((status = 200, body = CurrentSession), Authenticated),
)]
pub async fn session(caller: Authenticated) -> HttpResponse {
    let Seat { user, session, .. } = &caller.seat;
    json(&CurrentSession {
        user: (&**user).into(),
        session: (&**session).into(),
    })
}

/// Serialises the answer that is given most often. It does not copy the value, and its buffer rarely has to grow.
fn json(value: &impl Serialize) -> HttpResponse {
    let mut body = Vec::with_capacity(512);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
            .body(body),
        Err(_) => Problem::internal().error_response(),
    }
}

/// Most past sessions in an answer.
const HISTORY: i64 = 50;

/// `GET /auth/history`
#[derive(Serialize, ToSchema)]
#[schema(as = PastSessions)]
pub struct PastSessions {
    sessions: Vec<EndedSessionView>,
}

/// Lists the caller's past sessions, the last to end first.
#[utoipa::path(
    get, path = "/auth/history", tag = "session", operation_id = "own_history",
    responses(
        (status = 200, body = PastSessions),
        (status = 400, description = "`bad_request`: the call takes no query"),
        Authenticated,
    ),
)]
pub async fn history(
    caller: Authenticated,
    request: HttpRequest,
    auth: Data<Auth>,
) -> Result<Json<PastSessions>, Problem> {
    takes_only(&request, &[], "This call takes no query")?;
    let sessions = auth.history_of(caller.seat.user.id, HISTORY).await?;
    Ok(Json(PastSessions {
        sessions: sessions.into_iter().map(Into::into).collect(),
    }))
}
