#!/bin/sh
# diesel_migrations: to ask which migrations are applied is a write.
#
# `applied_migrations`, `pending_migrations` and `has_pending_migration` look like questions. Each of them first runs
# `create table if not exists __diesel_schema_migrations`, and PostgreSQL refuses that statement in a read-only transaction even where the
# table is there. So a program cannot find out on a standby, or with a role that only reads, that its schema is up to date; and two
# programs that ask an empty database at the same moment race to make the table. To read the table by a query of one's own works.
#
# Software: diesel 2.3.14 and diesel_migrations 2.3.2, Rust crates; PostgreSQL 15.18 of Debian 12.
# Behaviour: with the table there and every migration applied, the question fails where transactions are read-only; a query does not.
# Output seen:
#   may write: Ok(false)
#   read-only: Err("cannot execute CREATE TABLE in a read-only transaction")
#   read-only, by a query: Ok(1)
#
# Usage: findings/diesel-migrations-ask.sh. Needs cargo, libpq-dev and PostgreSQL's programs. Exit status 0 as long as it is so.
set -eu

for program in cargo pg_config; do
    command -v "$program" > /dev/null || { echo "$program is missing" >&2; exit 2; }
done
bin=$(pg_config --bindir)
dir=$(mktemp -d)
chmod 755 "$dir"
mkdir "$dir/server" "$dir/src" "$dir/migrations" "$dir/migrations/1_one"
# PostgreSQL refuses root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups env -i PATH="$PATH" LC_ALL=C "$@"
    else
        env -i PATH="$PATH" LC_ALL=C "$@"
    fi
}
[ "$(id -u)" != 0 ] || chown postgres:postgres "$dir/server"
trap 'as_postgres "$bin/pg_ctl" -D "$dir/server/data" -m immediate -s stop || true; rm -rf "$dir"' EXIT
as_postgres "$bin/initdb" -D "$dir/server/data" -U ada --auth=trust --no-sync > "$dir/initdb.log"
as_postgres "$bin/pg_ctl" -D "$dir/server/data" -s -w -l "$dir/server/log" \
    -o "-c listen_addresses='' -c unix_socket_directories='$dir/server'" start

cat > "$dir/Cargo.toml" << 'TOML'
[package]
name = "ask"
version = "0.0.0"
edition = "2024"

[dependencies]
diesel = { version = "=2.3.14", default-features = false, features = ["postgres"] }
diesel_migrations = { version = "=2.3.2", default-features = false, features = ["postgres"] }
TOML
echo 'create table one ();' > "$dir/migrations/1_one/up.sql"
echo 'drop table one;' > "$dir/migrations/1_one/down.sql"
cat > "$dir/src/main.rs" << 'RUST'
use diesel::prelude::*;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

fn main() {
    let url = std::env::args().nth(1).unwrap();
    let mut writer = PgConnection::establish(&url).unwrap();
    writer.run_pending_migrations(MIGRATIONS).unwrap();
    println!("may write: {:?}", writer.has_pending_migration(MIGRATIONS).map_err(|error| error.to_string()));

    let mut reader = PgConnection::establish(&format!("{url}&options=-cdefault_transaction_read_only%3Don")).unwrap();
    println!("read-only: {:?}", reader.has_pending_migration(MIGRATIONS).map_err(|error| error.to_string()));
    let count = diesel::select(sql::<BigInt>("(select count(*) from __diesel_schema_migrations)"));
    println!("read-only, by a query: {:?}", count.get_result::<i64>(&mut reader));
}
RUST
CARGO_TARGET_DIR="$dir/target" cargo build --quiet --manifest-path "$dir/Cargo.toml"
"$dir/target/debug/ask" "postgresql:///postgres?user=ada&host=$dir/server" | tee "$dir/seen"
grep -q '^may write: Ok(false)$' "$dir/seen"
grep -q '^read-only: Err(.*cannot execute CREATE TABLE in a read-only transaction' "$dir/seen"
grep -q '^read-only, by a query: Ok(1)$' "$dir/seen"
