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
since=$($compose run --rm --no-TTY --no-deps --entrypoint sh postgres /etc/broadsheet/recover.sh "$time") ||
  { echo "Not restored: see above. Nothing was started." >&2; exit 1; }
since=$(printf '%s\n' "$since" | tail -n 1)

not_held() {
  $compose stop postgres || echo "PostgreSQL COULD NOT BE STOPPED: stop it." >&2
  cat >&2 <<END

NOT HELD: the database is restored, but is not marked: who sent from it would text people twice, and after STOP.
It takes no changes as it is, and PostgreSQL is to be down. Start nothing. Mend what failed, see above, and run again:
  deploy/postgres/restore.sh '$time'
END
}
trap not_held EXIT
trap 'exit 1' HUP INT TERM
$compose up --detach --no-deps --wait postgres
$compose run --rm --no-TTY --no-deps --env "PGOPTIONS=-c default_transaction_read_only=off" migrate
# The mark is what `broadsheet restored --to` sets; here, in one go with leave to change anything again.
$compose exec --no-TTY postgres sh -c \
  'psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1' <<END
SET default_transaction_read_only = off;
INSERT INTO restored AS r (since, held_at) VALUES ('$since', now()) ON CONFLICT (one) DO UPDATE SET
  since = CASE WHEN r.reconciled_at IS NULL THEN least(r.since, excluded.since) ELSE excluded.since END,
  held_at = excluded.held_at, reconciled_at = NULL;
ALTER SYSTEM RESET default_transaction_read_only;
SELECT pg_reload_conf();
END
trap - EXIT
cat <<END

The database is restored, and nothing is sent from it. Next:
  1. $compose run --rm cli reconcile --since $since
  2. $compose up --detach
  3. make a base backup
END
