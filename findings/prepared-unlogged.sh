#!/bin/sh
# PostgreSQL: a prepared transaction comes through a crash with its locks and half of its rows.
#
# A transaction writes one row to an ordinary table and one to an unlogged table, takes a table lock, and is prepared (two-phase commit).
# PostgreSQL crashes and recovers. The prepared transaction is still there and still holds its lock. After COMMIT PREPARED succeeds, the
# row of the ordinary table is there; the row of the unlogged table is not. So one transaction is committed in half, without an error or a
# warning: PREPARE TRANSACTION refuses temporary tables, but not unlogged ones. Whoever writes a change and a notice of it (to an unlogged
# queue) in one transaction cannot rely on both or neither.
#
# Software: PostgreSQL 15.18 of Debian 12, with max_prepared_transactions above 0 (0 is the default).
# Behaviour: after a crash and COMMIT PREPARED the logged half is there, the unlogged half is not, and the lock was held in between.
# Output seen:
#   prepared after the crash: 1, its lock on the table: 1
#   rows after the commit: ordinary 1, unlogged 0
#
# Usage: findings/prepared-unlogged.sh. Needs PostgreSQL's programs and psql. Exit status 0 as long as it is so.
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
start() {
    as_postgres "$bin/pg_ctl" -D "$dir/server/data" -s -w -l "$dir/server/log" \
        -o "-c listen_addresses='' -c unix_socket_directories='$dir/server' -c max_prepared_transactions=1" start
}
sql() {
    as_postgres psql -h "$dir/server" -U ada -d postgres -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}
as_postgres "$bin/initdb" -D "$dir/server/data" -U ada --auth=trust --no-sync > "$dir/initdb.log"
start
sql "create table ordinary (n integer)"
sql "create unlogged table notices (n integer)"
sql "checkpoint"
sql "begin; insert into ordinary values (1); insert into notices values (1); lock table ordinary in share row exclusive mode;
     prepare transaction 'both'"
as_postgres "$bin/pg_ctl" -D "$dir/server/data" -m immediate -s stop
start
{
    echo "prepared after the crash: $(sql "select count(*) from pg_prepared_xacts")," \
        "its lock on the table: $(sql "select count(*) from pg_locks
            where relation = 'ordinary'::regclass and mode = 'ShareRowExclusiveLock' and granted")"
    sql "commit prepared 'both'"
    echo "rows after the commit: ordinary $(sql "select count(*) from ordinary"), unlogged $(sql "select count(*) from notices")"
} | tee "$dir/seen"
grep -qx 'prepared after the crash: 1, its lock on the table: 1' "$dir/seen"
grep -qx 'rows after the commit: ordinary 1, unlogged 0' "$dir/seen"
