//! What the laws rest on in the schema: constraints, unique indexes and triggers. PostgreSQL works without them, so
//! nobody would notice. A restore that was cut short leaves them out, and one of data alone may switch triggers off.

use std::collections::HashSet;
use std::fmt;

use diesel::QueryResult;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::PgConnection;
use super::prepared::Prepared;

/// All safeguards, each as `table.name` in a line of its own. Written by `script/schema`.
pub const SAFEGUARDS: &str = include_str!("safeguards.txt");

/// Selects the safeguards that are there and in force. PostgreSQL enforces a foreign key by triggers, which can be
/// switched off, too.
const PRESENT: &str = "
    with tables as (
        select oid, relname from pg_class
            where relnamespace = (select oid from pg_namespace where nspname = current_schema()) and relkind = 'r'
                and relname <> '__diesel_schema_migrations'
    )
    select relname || '.' || conname as name from pg_constraint as k join tables on tables.oid = conrelid
        where contype in ('p', 'u', 'f', 'c', 't') and convalidated
            and not exists (select from pg_trigger where tgconstraint = k.oid and tgenabled in ('D', 'R'))
    union
    select tables.relname || '.' || i.relname from pg_index join pg_class as i on i.oid = indexrelid
        join tables on tables.oid = indrelid where indisunique and indisvalid
    union
    select relname || '.' || tgname from pg_trigger join tables on tables.oid = tgrelid
        where not tgisinternal and tgenabled in ('O', 'A')";

/// Some safeguards are missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "the schema lacks {}, or has that switched off, and laws rest on it; if a restore was cut short, finish it \
     (pg_restore --section=post-data), and switch triggers on again (alter table ... enable always trigger ...)",
    Names(.0)
)]
pub struct Missing(Vec<&'static str>);

/// Shows the first three, and how many others there are.
struct Names<'a>(&'a [&'static str]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(3)];
        f.write_str(&shown.join(", "))?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            others => write!(f, " and {others} others"),
        }
    }
}

/// Checks whether all safeguards are there. Additional ones are fine: a later version may have added them.
///
/// # Errors
/// Diesel's. The inner result is [`Missing`] if some are not there.
pub fn check(conn: &mut PgConnection) -> QueryResult<Result<(), Missing>> {
    let present: HashSet<String> = present(conn)?.into_iter().collect();
    let missing: Vec<_> = SAFEGUARDS
        .lines()
        .filter(|safeguard| !present.contains(*safeguard))
        .collect();
    Ok(if missing.is_empty() {
        Ok(())
    } else {
        Err(Missing(missing))
    })
}

/// The safeguards of a database, in the order of their names.
///
/// # Errors
/// Diesel's.
pub fn present(conn: &mut PgConnection) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Present {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let present: Vec<Present> = Prepared::new(diesel::sql_query(PRESENT)).load(conn)?;
    let mut names: Vec<_> = present.into_iter().map(|present| present.name).collect();
    names.sort_unstable();
    Ok(names)
}
