#!/bin/sh
# libpq: no connection string is proof against PGSERVICE.
#
# Every other variable of libpq's gives way to what the connection string says. PGSERVICE does not: where it names a service
# that no file defines, each connection fails, although the string leaves nothing open and asks for no service. `service=` in the
# string does not switch it off, and a variable that is set to nothing counts as a service without a name. A program that
# starts a PostgreSQL of its own therefore has to drop the variable before libpq sees it.
#
# Software: psql and libpq 15.18 of Debian 12 (package postgresql-client).
# Behaviour: PGOPTIONS, PGPORT and PGSSLMODE with nonsense in them are overridden; PGSERVICE and an empty PGSERVICE are not.
# Output seen:
#   overridden: connection to server at "127.0.0.1", port 1 failed: Connection refused
#   PGSERVICE=nowhere: definition of service "nowhere" not found
#   PGSERVICE=nowhere and service= in the string: definition of service "" not found
#   PGSERVICE= : definition of service "" not found
#
# Usage: findings/libpq-service.sh. No server is needed. Exit status 0 as long as it is so.
set -eu

command -v psql > /dev/null || { echo 'psql is missing: apt-get install postgresql-client' >&2; exit 2; }
psql --version

empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
# Port 1 of this machine: nobody listens there, so whoever gets as far as a connection is refused.
url='postgresql://ada:x@127.0.0.1:1/d?sslmode=disable&gssencmode=disable&application_name=x&options=-cx.y%3D1'

# With these variables and this string psql must fail with these words.
expect() {
    label=$1 words=$2 string=$3
    shift 3
    said=$(env -i PATH="$PATH" HOME="$empty" LC_ALL=C "$@" psql -X "$string" -c 'select 1' 2>&1) && {
        echo "$label: it connects" >&2
        exit 1
    }
    case $said in
        *"$words"*) echo "$label: $words" ;;
        *)
            echo "$label: it says instead: $said" >&2
            exit 1
            ;;
    esac
}

expect 'nonsense elsewhere' 'Connection refused' "$url" PGOPTIONS=nonsense PGPORT=nonsense PGSSLMODE=nonsense
expect 'PGSERVICE=nowhere' 'definition of service "nowhere" not found' "$url" PGSERVICE=nowhere
expect 'PGSERVICE=nowhere, service=' 'definition of service "" not found' "$url&service=" PGSERVICE=nowhere
expect 'PGSERVICE=' 'definition of service "" not found' "$url" PGSERVICE=
