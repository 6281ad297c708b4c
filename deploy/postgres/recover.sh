#!/bin/sh
# recover.sh TIME|latest, for restore.sh, while no server runs: puts the newest base backup from before the time in the
# place of the data and has PostgreSQL go on from there by the archive up to the time, with nobody able to connect. What
# the data was is kept in before/. The last line that it prints is the time from which on the carrier's log is to be asked
# (https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-PITR-RECOVERY).
set -eu
umask 077
say() { printf '%s\n' "$*" >&2; }
home=/var/lib/postgresql
data=$home/data
cd "$home"
mkdir -p base wal before

if [ "$1" = latest ]; then
  target=
  backup=$(ls base | sort | tail -n 1)
else
  target=$(date -u -d "$1" '+%Y-%m-%d %H:%M:%S+00')  # no letters: zones by name are not known when it is read
  backup=$(ls base | sort | awk -v until="$(date -u -d "$1" +%Y-%m-%dT%H%M%SZ)" '$0 <= until' | tail -n 1)
fi
[ -n "$backup" ] || { say "There is no base backup from before ${target:-now}. Nothing is changed."; exit 1; }
say "From the base backup $backup to ${target:-the end of the archive}."

kept=
if [ -e "$data/PG_VERSION" ]; then
  kept=before/$(date -u +%Y-%m-%dT%H%M%SZ)
  cp -a "$data" "$kept"
  say "What the data was is kept in $kept; remove it when all is well."
fi
find "$data" -mindepth 1 -delete
cp -a "base/$backup/." "$data"
chmod 0700 "$data"
# What the server had not archived when it ended.
if [ -n "$kept" ]; then
  for segment in "$kept"/pg_wal/????????????????????????; do
    name=$(basename "$segment")
    [ ! -f "$segment" ] || [ -e "wal/$name" ] || cp "$segment" "$data/pg_wal/$name"
  done
fi
touch "$data/recovery.signal"

# Without a standby's queries it needs none of the old server's settings, and answers when it has got there.
postgres -D "$data" -c listen_addresses= -c hot_standby=off -c archive_mode=on -c "archive_command=sh /etc/broadsheet/archive.sh %p %f" \
  -c "restore_command=cp $home/wal/%f %p" ${target:+-c "recovery_target_time=$target"} -c recovery_target_action=promote \
  >&2 &
server=$!
ask() { psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --no-align --tuples-only --command="$1"; }
until [ "$(ask 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do
  kill -0 "$server" 2>/dev/null || { say "PostgreSQL did not get to ${target:-the end}: see above."; exit 1; }
  sleep 0.5
done
reached=$(ask "SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
say "The last that happened before it: ${reached:-nothing since the backup}."
kill -INT "$server"
wait "$server"

# A minute more, for clocks that differ: what is asked for twice is known by its id.
since=${target:-${reached:-$(printf %s "$backup" | sed 's/\(..\)\(..\)Z$/:\1:\2Z/')}}
date -u -d "@$(($(date -u -d "$since" +%s) - 60))" +%Y-%m-%dT%H:%M:%SZ
