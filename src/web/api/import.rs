//! Import of another system's users, for admins.

use std::io;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::users::needs_mail;
use crate::auth::Auth;
use crate::auth::import::{ImportCounts, ImportError, ImportOptions, NotImported};
use crate::users::import::JsonRows;
use crate::web::extract::query::query;
use crate::web::extract::{Admin, body};
use crate::web::problem::Problem;

/// Most lines of a body. They bound the answer, too.
const MOST_LINES: usize = 10_000;

/// How to import. An unknown parameter is refused: the caller may have meant `dryRun`, which writes nothing.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Say what would become of each row, and write nothing.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// Mail a link to choose a password to each user who is added without a hash.
    #[serde(default)]
    #[param(required = false)]
    invite: bool,
}

/// The result of an import.
#[derive(Serialize, ToSchema)]
pub struct ImportResponse {
    /// Accounts that were added.
    added: u64,
    /// Accounts that existed already, with the values of their rows.
    unchanged: u64,
    /// Rows that were refused, or that differ from an existing account.
    rows: Vec<NotImportedRow>,
}

/// A row that was refused, or that differs from an existing account.
#[derive(Serialize, ToSchema)]
pub struct NotImportedRow {
    /// The line, from 1 on.
    line: u64,
    /// Why it was refused.
    #[schema(required)]
    refused: Option<String>,
    /// There is an account with this address, and other values in these columns. It stays as it is.
    different: Vec<&'static str>,
    /// The line of the first row that has this address, where that is another one.
    #[serde(rename = "firstLine", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    first_line: Option<u64>,
}

/// Adds the accounts in the body, one JSON object on each line.
///
/// Fields: `email`, and where they are known `name`, `role`, `verified`, `disabled`, `created` and `hash`, as another system made it. At most
/// 10,000 lines and 4 MiB. Each row is written whole or not at all; a bad one holds up no other. Rows that are there already stay as they are,
/// so a body may be sent again. Its type may be `application/octet-stream`, too.
#[utoipa::path(
    post, path = "/api/admin/users/import", tag = "admin", operation_id = "import_users",
    params(ImportQuery),
    request_body(content = String, content_type = "application/jsonl"),
    responses(
        (status = 200, body = ImportResponse),
        (status = 404, description = "`no_mail`: this server sends none"),
        (status = 413, description = "`body_too_large`: more than 4 MiB"),
        Admin,
    ),
)]
pub async fn import(
    admin: Admin,
    request: HttpRequest,
    payload: Payload,
    auth: Data<Auth>,
) -> Result<Json<ImportResponse>, Problem> {
    let takes = "The query takes dryRun and invite, each true or false";
    let query: ImportQuery = query(&request, takes)?;
    if query.invite {
        needs_mail(
            &auth,
            "Import without `invite`, and set passwords with `oneseat user password` on the server",
        )?;
    }
    let body = body::json_lines(&request, payload).await?;
    // The last line may have no end.
    let lines = body.strip_suffix(b"\n").unwrap_or(&body);
    if lines.split(|byte| *byte == b'\n').nth(MOST_LINES).is_some() {
        return Err(Problem::bad_request(format!(
            "The body must not have more than {MOST_LINES} lines"
        )));
    }
    let options = ImportOptions {
        is_rehearsal: query.dry_run,
        invites: query.invite,
    };
    let rows = stream::iter(JsonRows::new(io::Cursor::new(&body)));
    let mut others = Vec::new();
    let tell = |line, outcome| others.push(NotImportedRow::new(line, outcome));
    let counts = auth.import(rows, options, admin.authority(), tell).await;
    let ImportCounts { added, unchanged, .. } = counts.map_err(|error| match error {
        ImportError::Failed(error) => error.into(),
        // A body in memory can be read.
        ImportError::Read { .. } => Problem::internal(),
    })?;
    Ok(Json(ImportResponse {
        added,
        unchanged,
        rows: others,
    }))
}

impl NotImportedRow {
    fn new(line: u64, outcome: NotImported) -> Self {
        let (refused, different, first_line) = match outcome {
            NotImported::Refused(reason) => (Some(reason), Vec::new(), None),
            NotImported::Different { columns, first } => (None, columns, first),
        };
        Self {
            line,
            refused,
            different,
            first_line,
        }
    }
}
