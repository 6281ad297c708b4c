#!/bin/sh
# Makes a base backup, verifies it, and removes all but the newest [keep], 7 unless it is given, with what only they need:
#   docker compose exec -T postgres sh /etc/broadsheet/backup.sh [keep]
# A backup is named for the time (UTC) from which on it can be restored to.
set -eu
umask 077
keep=${1:-7}
[ "$keep" -ge 1 ]
home=/var/lib/postgresql
mkdir -p "$home/base" "$home/wal"
cd "$home/base"
rm -rf .new
pg_basebackup --username="$POSTGRES_USER" --pgdata=.new --checkpoint=fast --wal-method=stream
pg_verifybackup --quiet .new
name=$(date -u +%Y-%m-%dT%H%M%SZ)
mv .new "$name"
sync .
ls | sort -r | tail -n "+$((keep + 1))" | while read -r old; do rm -rf "$old"; done
oldest=$(ls | sort | head -n 1)
first=$(sed -n 's/^START WAL LOCATION: .* (file \([0-9A-F]*\)).*/\1/p' "$oldest/backup_label")
pg_archivecleanup "$home/wal" "$first"
echo "$name, $(du -sm "$name" | cut -f1) MB; $(ls | wc -l) backups, the oldest $oldest"
