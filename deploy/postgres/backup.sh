#!/bin/sh
# Makes a base backup, verifies it, and removes all but the newest [keep], 7 unless it is given, with what only they need:
#   docker compose exec -T postgres sh /etc/broadsheet/backup.sh [keep]
# A backup is named for the time (UTC) from which on it can be restored to.
set -eu
umask 077
keep=${1:-7}
[ "$keep" -ge 1 ] || { echo "How many to keep? At least 1." >&2; exit 1; }
home=/var/lib/postgresql
mkdir -p "$home/base" "$home/wal"
cd "$home/base"
# One at a time: the next one waits, and none takes the place of another that was made in the same second.
exec 9>.lock
flock 9
rm -rf .new .old
pg_basebackup --username="$POSTGRES_USER" --pgdata=.new --checkpoint=fast --wal-method=stream
pg_verifybackup --quiet .new
while name=$(date -u +%Y-%m-%dT%H%M%SZ) && [ -e "$name" ]; do sleep 0.1; done
mv .new "$name"
sync .
# Half of one that is being removed must not be taken for a backup.
ls | sort -r | tail -n "+$((keep + 1))" | while read -r old; do mv "$old" .old && rm -rf .old; done
# After a restore an older backup may lie further on in the log than a newer one, which begins where the restore ended.
first=$(sed -n 's/^START WAL LOCATION: .* (file \([0-9A-F]*\)).*/\1/p' */backup_label | sort -k 1.9 | head -n 1)
pg_archivecleanup "$home/wal" "$first"
echo "$name, $(du -sm "$name" | cut -f1) MB; $(ls | wc -l) backups, the oldest $(ls | sort | head -n 1)"
