#!/bin/sh
# PostgreSQL's archive_command: archive.sh path name. Keeps a segment of the log under its name, whole and on the disk or
# not at all. One that is there already is fine if it is the same, which a crash makes happen; else it is not overwritten
# (https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-ARCHIVING-WAL).
set -eu
umask 077
folder=/var/lib/postgresql/wal
mkdir -p "$folder"
if [ -e "$folder/$2" ]; then
  cmp "$1" "$folder/$2" >&2
else
  cp "$1" "$folder/$2.part"
  sync "$folder/$2.part"
  mv "$folder/$2.part" "$folder/$2"
fi
# Also for one that was there: whoever put it there may have died before this.
sync "$folder"
