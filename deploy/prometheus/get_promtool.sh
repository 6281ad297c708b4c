#!/bin/sh
# Says where promtool is, and where it is missing takes it out of Debian's package `prometheus`, without installing that:
# nothing is started, nothing outside this checkout changes. Wants Debian or its kin; exit status 1 where there is no way.
set -eu

cd "$(dirname "$0")/../.."
FOLDER=.broadsheet/promtool
UNPACKED=$FOLDER/usr/bin/promtool

if command -v promtool; then exit; fi
if [ ! -x "$UNPACKED" ]; then
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "promtool is missing: install Prometheus, or a Debian package of it" >&2
        exit 1
    fi
    mkdir -p "$FOLDER"
    # Only root may fetch the lists of packages; those that are there may do.
    (cd "$FOLDER" && { apt-get -qq download prometheus 2>/dev/null || { apt-get update -qq && apt-get -qq download prometheus; }; }) >&2
    dpkg-deb --fsys-tarfile "$FOLDER"/prometheus_*.deb | tar --extract --directory "$FOLDER" ./usr/bin/promtool
    rm "$FOLDER"/prometheus_*.deb
fi
echo "$PWD/$UNPACKED"
