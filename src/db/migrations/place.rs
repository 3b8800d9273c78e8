//! The schema that the tables are in, or will be made in.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Nullable, Text};

use super::Error;
use crate::db::PgConnection;

/// What the migrations must know of the database before they make tables.
#[derive(QueryableByName)]
pub(super) struct Place {
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Text)]
    role: String,
    /// The first schema of the search_path that is not PostgreSQL's own: in pg_temp, every table would be temporary.
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
    #[diesel(sql_type = Bool)]
    may_create: bool,
    #[diesel(sql_type = Bool)]
    is_read_only: bool,
}

impl Place {
    pub(super) fn of(connection: &mut PgConnection) -> Result<Self, Error> {
        let place = sql_query(
            // Qualified and cast, because others may have made functions in the present search path.
            "select pg_catalog.current_setting('server_encoding') as encoding,
                 pg_catalog.quote_ident(current_user::text) as role,
                 pg_catalog.quote_ident(schema) as schema,
                 coalesce(pg_catalog.has_schema_privilege(schema, 'create'), false) as may_create,
                 pg_catalog.current_setting('transaction_read_only')::boolean as is_read_only
             from (values (true)) as one left join lateral (
                 select schema from pg_catalog.unnest(pg_catalog.current_schemas(false)::text[])
                     with ordinality as path (schema, place)
                 where not pg_catalog.starts_with(schema, 'pg_') and schema <> 'information_schema'
                 order by place limit 1
             ) as first on true",
        );
        Ok(place.get_result(connection)?)
    }

    pub(super) fn can_hold_text(&self) -> Result<(), Error> {
        match self.encoding.as_str() {
            "UTF8" => Ok(()),
            other => Err(Error::Encoding(other.to_owned())),
        }
    }

    /// The schema for new tables, or why there can be none. PostgreSQL would refuse by itself, but in the language of
    /// its messages and without a remedy.
    pub(super) fn for_tables(self) -> Result<String, Error> {
        match (self.is_read_only, self.schema, self.may_create) {
            (true, _, _) => Err(Error::ReadOnly),
            (false, None, _) => Err(Error::NoSchema(self.role)),
            (false, Some(schema), false) => Err(Error::NoPermission {
                role: self.role,
                schema,
            }),
            (false, Some(schema), true) => Ok(schema),
        }
    }
}
