//! For load balancers and monitors: no authentication, nothing personal.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Auth;
use crate::web::Stopping;
use crate::web::problem::Problem;

/// `{"status":"ok"}`
#[derive(Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
}

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", tag = "monitoring",
    responses((status = 200, body = Health)),
)]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The process and its database answer, and it has not been told to stop.
#[utoipa::path(
    get, path = "/readyz", tag = "monitoring",
    responses((status = 200, body = Health), (status = 503, description = "`unavailable`: no database, or told to stop")),
)]
pub(in crate::web) async fn readyz(
    auth: Data<Auth>,
    stopping: Data<Stopping>,
) -> Result<Json<Health>, Problem> {
    if stopping.has_begun() {
        return Err(Problem::unavailable());
    }
    auth.is_ready().await?;
    Ok(Json(Health { status: "ready" }))
}
