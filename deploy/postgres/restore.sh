#!/bin/sh
# Restores the database of the compose project to a time in the past, or to the last there is, and holds it:
#   deploy/postgres/restore.sh 2026-11-23T14:05:00Z
#   deploy/postgres/restore.sh latest
# Compose needs to know of docker-compose.backup.yml (COMPOSE_FILE in .env, docs/postgresql.md). COMPOSE is the command to
# call it by, `docker compose` if it is not set.
set -eu
cd "$(dirname "$0")/../.."
time=${1:?a time such as 2026-11-23T14:05:00Z, or latest}
compose=${COMPOSE:-docker compose}

$compose stop api planner sender twilio_sync postgres
since=$($compose run --rm --no-TTY --no-deps --entrypoint sh postgres /etc/broadsheet/recover.sh "$time" | tail -n 1)
[ -n "$since" ] || { echo "Not restored: see above. Nothing was started." >&2; exit 1; }
# Only what follows may connect before the database is held.
$compose up --detach --no-deps --wait postgres
$compose run --rm --no-TTY --no-deps migrate
$compose run --rm --no-TTY --no-deps cli restored --to "$since"
cat <<END

The database is restored, and nothing is sent from it. Next:
  1. $compose run --rm cli reconcile --since $since
  2. $compose up --detach
  3. make a base backup
END
