#!/bin/bash
# SPDX-License-Identifier: ISC
# Builds dovad and runs its unit and machine tests in a Debian 13 root made for it (root only; about five minutes).
set -eu
TOP=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$TOP/contrib/lib.sh"
[ "$(id -u)" = 0 ] || die "check-trixie.sh makes a Debian root: run it as root"
ROOT=$(mktemp -d "${TMPDIR:-/tmp}/dovad-trixie.XXXXXX")
trap 'umount "$ROOT/proc" 2>/dev/null || :; rm -rf --one-file-system "$ROOT"' EXIT
. /etc/os-release
# The host's own Debian mirror, whichever it is.
MIRROR=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb  *\(\[[^]]*\] *\)\?\([^ ]*\).*/\2/p' |
	grep -v security | head -n 1)
[ -n "$MIRROR" ] || die "no Debian mirror found in /etc/apt"
say "making a Debian 13 root"
packages="$(printf '%s' "$BUILD_PACKAGES libcmocka-dev python3-minimal binutils dbus-daemon openssl" | tr -s ' \n' ',')"
debootstrap --variant=minbase --no-check-gpg --include="ca-certificates,$packages" trixie "$ROOT" "$MIRROR" >"$ROOT.log" 2>&1 || { tail -n 30 "$ROOT.log"; die "debootstrap failed"; }
rm -f "$ROOT.log"
mkdir -p "$ROOT/src"
(cd "$TOP" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$ROOT/src"
mount -t proc proc "$ROOT/proc"
say "building and testing there"
chroot "$ROOT" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -ec '
	cd /src && autoreconf -fi >/dev/null 2>&1
	mkdir /build && cd /build
	/src/configure -q --enable-werror CFLAGS="-g -O1"
	make -s -j"$(nproc)"
	make -s -j"$(nproc)" check || { cat test-suite.log; exit 1; }'
say "Debian 13: all tests passed"
