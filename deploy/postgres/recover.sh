#!/bin/sh
# recover.sh TIME|latest, for restore.sh, while no server runs: puts a base backup from before the time in the place of
# the data and has PostgreSQL go on from there by the archive up to the time, with nobody able to connect. What the data
# was is kept in before/. The server takes no changes from then on, until restore.sh has marked the database. The last
# line that it prints is the time from which on the carrier's log is to be asked
# (https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-PITR-RECOVERY).
set -eu
umask 077
say() { printf '%s\n' "$*" >&2; }
home=/var/lib/postgresql
data=$home/data
cd "$home"
mkdir -p base wal before
exec 9>.restore
flock -n 9 || { say "Another restore is under way."; exit 1; }
outcome="Nothing is changed."
trap '[ $? -eq 0 ] || say "$outcome"; rm -rf before/.new' EXIT
trap 'exit 1' HUP INT TERM

if [ "$1" = latest ]; then
  target=
  moment=$(date +%s)
else
  moment=$(date -u -d "$1" +%s)
  [ "$moment" -le "$(date +%s)" ] || { say "$1 is still to come."; exit 1; }
  target=$(date -u -d "@$moment" '+%Y-%m-%d %H:%M:%S+00')  # no letters: zones by name are not known when it is read
fi

# What the server has put aside for the archive goes there: a later restore needs it, too.
for ready in before/*/pg_wal/archive_status/*.ready data/pg_wal/archive_status/*.ready; do
  [ -e "$ready" ] || continue
  name=$(basename "$ready" .ready)
  sh /etc/broadsheet/archive.sh "${ready%/archive_status/*}/$name" "$name" || say "$name could not be archived."
done

# Each restore begins a timeline, and what the older one had that lies later is on that alone. So: the newest one that
# had begun by then and has a log; else the one that all began with.
whole() { sed -n 's/.*"Timeline": \([0-9]*\),.*"End-LSN": "\([0-9A-F/]*\)".*/\1 \2/p' "$@" 2>/dev/null; }
timeline=$(whole base/*/backup_manifest | sort -n | head -n 1 | cut -d ' ' -f 1)
history=/dev/null
for file in $(ls -r wal | grep -x '[0-9A-F]\{8\}\.history'); do
  id=${file%.history}
  ls wal before/*/pg_wal data/pg_wal 2>/dev/null | grep -q -x "${id}[0-9A-F]\{16\}" || continue
  [ "$(cat "wal/$id.began" 2>/dev/null || date -r "wal/$file" +%s)" -le "$moment" ] || continue
  timeline=$((0x$id))
  history=wal/$file
  break
done

# The newest backup from before the time that this timeline has come through.
position() { echo $((0x${1%/*} * 4294967296 + 0x${1#*/})); }
backup=
for each in $(ls base | awk -v until="$(date -u -d "@$moment" +%Y-%m-%dT%H%M%SZ)" '$0 < until' | sort); do
  ends=$(whole "base/$each/backup_manifest") || continue
  left=$(awk -v on="${ends% *}" '$1 == on { print $2 }' "$history")
  if [ "${ends% *}" = "$timeline" ] || { [ -n "$left" ] && [ "$(position "${ends#* }")" -le "$(position "$left")" ]; }; then
    backup=$each
  fi
done
[ -n "$backup" ] || { say "There is no base backup from before ${target:-now}."; exit 1; }
pg_verifybackup --quiet "base/$backup"
say "From the base backup $backup to ${target:-the end of the archive}, by timeline $timeline."

# What a restore that did not get there has left is in the backups and the archive.
if [ -e "$data/PG_VERSION" ] && [ ! -e "$data/recovery.signal" ]; then
  kept=before/$(date -u +%Y-%m-%dT%H%M%SZ)
  rm -rf before/.new
  cp -a "$data" before/.new
  mv before/.new "$kept"
  sync -f before
  say "What the data was is kept in $kept; remove it when all is well."
fi
outcome="Not restored: PostgreSQL does not start with what is there, or takes no changes. Run this again."
# With this file, and without what is given below, no server starts.
touch "$data/recovery.signal"
find "$data" -mindepth 1 ! -name recovery.signal -delete
cp -a "base/$backup/." "$data"
chmod 0700 "$data"
# Nobody sends from a database that takes no changes, whatever becomes of this script from here on.
echo "default_transaction_read_only = on" >>"$data/postgresql.auto.conf"

# What was never archived is where it was. That a file is not there ends the log; that it cannot be copied must not.
fetch="from=; for f in $home/before/*/pg_wal/%f $home/wal/%f; do [ ! -f \$f ] || from=\$f; done
  [ \"\$from\" ] || exit 1; cp \$from %p || exit 126"
# Without a standby's queries it needs none of the old server's settings, and answers when it has got there.
postgres -D "$data" -c listen_addresses= -c hot_standby=off -c archive_mode=on -c "archive_command=sh /etc/broadsheet/archive.sh %p %f" \
  -c "restore_command=$fetch" -c "recovery_target_timeline=$timeline" ${target:+-c "recovery_target_time=$target"} \
  -c recovery_target_action=promote >&2 &
server=$!
unreached="PostgreSQL did not get there: see above. Where nothing is on record that late, take an earlier time, or latest."
ask() { psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --no-align --tuples-only --command="$1"; }
until pg_isready --quiet --username="$POSTGRES_USER" --dbname="$POSTGRES_DB"; do
  kill -0 "$server" 2>/dev/null || { say "$unreached"; exit 1; }
  sleep 0.5
done
reached=$(ask "SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
say "The last that happened before it: ${reached:-nothing since the backup}."
# When this timeline began, for a later restore. The file of its history says where, and its time is lost in a copy.
began=wal/$(ask "SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)").began
date +%s >"$began"
sync "$began" wal
kill -INT "$server"
wait "$server"

# From the last that is known to be in it, and a minute more, for clocks that differ. Too early costs time, since what is
# asked for twice is known by its id; too late loses a STOP.
since=${reached:-$(printf %s "$backup" | sed 's/\(..\)\(..\)Z$/:\1:\2Z/')}
date -u -d "@$(($(date -u -d "$since" +%s) - 60))" +%Y-%m-%dT%H:%M:%SZ
