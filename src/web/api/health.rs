//! For load balancers and monitors: no authentication, nothing personal.

use actix_web::web::{Data, Json};
use serde::Serialize;

use crate::auth::Auth;
use crate::web::problem::Problem;

/// `{"status":"ok"}`
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
}

/// The process answers.
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The process and its database answer.
pub async fn readyz(auth: Data<Auth>) -> Result<Json<Health>, Problem> {
    auth.is_ready().await?;
    Ok(Json(Health { status: "ready" }))
}
