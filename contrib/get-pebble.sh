#!/bin/sh
# SPDX-License-Identifier: ISC
# The newest pebble for the tests: fetched from Debian's unstable suite into DIR, where `pebble` and `pebble-challtestsrv` are then found. Nothing is
# installed and the system's package lists stay as they are. The server is the host's own Debian source, with the suite replaced.
#   get-pebble.sh DIR
set -eu

[ $# = 1 ] || { echo "usage: contrib/get-pebble.sh DIR" >&2; exit 2; }
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
if [ -x "$DIR/pebble" ] && [ -x "$DIR/pebble-challtestsrv" ]; then exit 0; fi
# shellcheck source=/dev/null
CODENAME=$(. /etc/os-release && echo "$VERSION_CODENAME")
mkdir -p "$DIR/etc" "$DIR/lists/partial" "$DIR/cache/archives/partial"

# The host's source: first the newer form of file, then the one-line form.
for f in /etc/apt/sources.list.d/*.sources; do
	[ -e "$f" ] || continue
	awk -v RS= -v name="$CODENAME" '
		$0 ~ "(^|\n)Suites:([^\n]*[ \t])?" name "([ \t\n]|$)" {
			sub(/(^|\n)Suites:[^\n]*/, "\nSuites: sid")
			print $0 "\n"
			exit
		}' "$f"
done >"$DIR/etc/sid.sources"
if [ ! -s "$DIR/etc/sid.sources" ]; then
	rm "$DIR/etc/sid.sources"
	cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
		sed -n "s/^\(deb .*[^ ]\)  *$CODENAME  *main.*/\1 sid main/p" | head -n 1 >"$DIR/etc/sid.list"
fi

# An apt of its own: own source, own index, own cache.
set -- -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$DIR/etc" -o "Dir::State::lists=$DIR/lists" -o "Dir::Cache=$DIR/cache"
[ "$(id -u)" != 0 ] || set -- "$@" -o APT::Sandbox::User=root
apt-get "$@" update
(cd "$DIR" && apt-get "$@" download pebble)

VERSION=$(dpkg-deb -f "$DIR"/pebble_*.deb Version)
case $VERSION in
2.[6-9].* | 2.1[0-9].*) ;;
*) echo "unstable has pebble $VERSION: look at it before it is used" >&2; exit 1 ;;
esac
dpkg-deb -x "$DIR"/pebble_*.deb "$DIR/root"
mv "$DIR/root/usr/bin/pebble" "$DIR/root/usr/bin/pebble-challtestsrv" "$DIR"
rm -rf "${DIR:?}/root" "${DIR:?}/etc" "$DIR/lists" "$DIR/cache" "$DIR"/pebble_*.deb
chmod 755 "$DIR"
echo "$VERSION" >"$DIR/version"
echo "pebble $VERSION"
