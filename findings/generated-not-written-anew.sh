#!/bin/sh
# PostgreSQL: a stored generated column is not computed each time its row is written, but a dump computes it anew.
#
# The manual says that a stored generated column "is computed when it is written (inserted or updated)". A column whose function reads the
# clock (declared immutable, which PostgreSQL believes) shows when that really is. An update of another column writes a new version of the
# row and keeps the old value. So do VACUUM FULL, CLUSTER and an ALTER TABLE that rewrites the whole table, each of which writes every row to
# a new file. An update that names the column's source computes it, even if the source stays the same. pg_dump leaves the column out, and
# whoever restores the dump computes it. So such a column tells a row that came out of a dump from one that never left the table.
#
# Software: PostgreSQL 15.18 of Debian 12, psql and pg_dump.
# Behaviour: rewrites and updates of other columns keep the value; an update of the source and a restored dump do not.
# Output seen:
#   update of another column: kept
#   vacuum full: kept
#   cluster: kept
#   alter table, every row rewritten: kept
#   update of the source to what it was: computed
#   dump and restore: computed
#
# Usage: findings/generated-not-written-anew.sh. Needs PostgreSQL's programs, psql and pg_dump. Exit status 0 as long as it is so.
set -eu

command -v pg_config > /dev/null || command -v psql > /dev/null || { echo "PostgreSQL is missing" >&2; exit 2; }
bin=$(pg_config --bindir 2> /dev/null || ls -d /usr/lib/postgresql/*/bin | tail -n 1)
dir=$(mktemp -d)
chmod 755 "$dir"
mkdir "$dir/server"
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
sql() {
    as_postgres psql -h "$dir/server" -U ada -d "${2:-postgres}" -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}
sql "create function written(integer) returns timestamptz language plpgsql immutable as 'begin return now(); end'"
sql "create table rows (n integer primary key, other text default 'x', at timestamptz generated always as (written(n)) stored)"
sql "insert into rows (n) values (1)"
known=$(sql "select at from rows")
# What has just been done, and whether the value is another one since.
say() {
    now=$(sql "select at from rows" "${2:-postgres}")
    if [ "$now" = "$known" ]; then echo "$1: kept"; else echo "$1: computed"; fi
    known=$now
}
{
    sql "update rows set other = 'y'"
    say "update of another column"
    sql "vacuum full rows"
    say "vacuum full"
    sql "cluster rows using rows_pkey"
    say "cluster"
    sql "alter table rows alter column other type varchar(9), add column extra uuid default gen_random_uuid()"
    say "alter table, every row rewritten"
    sql "update rows set n = n"
    say "update of the source to what it was"
    sql "create database copy"
    as_postgres pg_dump -h "$dir/server" -U ada postgres | as_postgres psql -h "$dir/server" -U ada -X -q -d copy > "$dir/restored.log"
    say "dump and restore" copy
} | tee "$dir/seen"
[ "$(grep -c ': kept$' "$dir/seen")" = 4 ]
grep -qx 'update of the source to what it was: computed' "$dir/seen"
grep -qx 'dump and restore: computed' "$dir/seen"
