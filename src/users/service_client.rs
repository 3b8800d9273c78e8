//! The table `service_clients`: services that may introspect tokens (RFC 7662 2.1).

use chrono::{DateTime, Utc};
use diesel::dsl::{delete, exists, insert_into, select};
use diesel::prelude::*;
use uuid::Uuid;

use super::Name;
use crate::db::PgConnection;
use crate::db::schema::service_clients;
use crate::token::TokenDigest;

/// A service, without its secret.
#[derive(Queryable, Selectable, Clone, Debug, PartialEq)]
#[diesel(table_name = service_clients, check_for_backend(diesel::pg::Pg))]
pub struct ServiceClient {
    /// The `client_id` of the service.
    pub id: Uuid,
    /// The name for people.
    pub name: String,
    /// When the service was added.
    pub created_at: DateTime<Utc>,
}

/// Adds a service. Returns `None` if the name is taken.
pub fn create(
    conn: &mut PgConnection,
    name: &Name,
    secret: &TokenDigest,
) -> QueryResult<Option<ServiceClient>> {
    insert_into(service_clients::table)
        .values((
            service_clients::name.eq(name.as_str()),
            service_clients::secret_digest.eq(secret),
        ))
        .on_conflict(service_clients::name)
        .do_nothing()
        .returning(ServiceClient::as_returning())
        .get_result(conn)
        .optional()
}

/// Whether this is the secret of this client. PostgreSQL compares digests of random bits, so the response
/// time reveals nothing.
pub fn is_known(conn: &mut PgConnection, id: Uuid, secret: &TokenDigest) -> QueryResult<bool> {
    let client = service_clients::table
        .find(id)
        .filter(service_clients::secret_digest.eq(secret));
    select(exists(client)).get_result(conn)
}

/// Lists all services by name.
pub fn list(conn: &mut PgConnection) -> QueryResult<Vec<ServiceClient>> {
    service_clients::table
        .order(service_clients::name)
        .select(ServiceClient::as_select())
        .load(conn)
}

/// Removes the service with this name; its secret is useless from then on. Returns whether there was one.
pub fn remove(conn: &mut PgConnection, name: &Name) -> QueryResult<bool> {
    let removed =
        delete(service_clients::table.filter(service_clients::name.eq(name.as_str()))).execute(conn)?;
    Ok(removed > 0)
}
