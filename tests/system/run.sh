#!/bin/bash
# SPDX-License-Identifier: ISC
# dovad as packaged would be, in a Debian 13 made for it: build, unit and machine tests, `make install`, then boot it under a real systemd and do the
# main job there (inside.sh). Root only; loopback only; about seven minutes. run.sh --keep leaves the root and says where.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=contrib/lib.sh
. "$TOP/contrib/lib.sh"
[ "$(id -u)" = 0 ] || die "tests/system/run.sh makes a Debian root: run it as root"
ROOT=$(mktemp -d "${TMPDIR:-/tmp}/dovad-system.XXXXXX")
cleanup() {
	umount "$ROOT/proc" 2>/dev/null || :
	[ "${KEEP:-}" = yes ] && say "kept: $ROOT" && return
	umount "$ROOT" 2>/dev/null || :
	rm -rf --one-file-system "$ROOT"
}
[ "${1:-}" = --keep ] && KEEP=yes
trap cleanup EXIT
# In memory where there is enough of it: what packages sync would hold up everybody else's disk.
[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -lt 8000000 ] || mount -t tmpfs -o size=5g,mode=755 dovad-system "$ROOT"
chmod 755 "$ROOT" # it becomes / of users that are not root

# The host's own Debian mirror, whichever it is.
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
	sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb  *\(\[[^]]*\] *\)\?\([^ ]*\).*/\2/p' | grep -v security | head -n 1)
[ -n "$mirror" ] || die "no Debian mirror found in /etc/apt"
packages=$(printf '%s' "$BUILD_PACKAGES libcmocka-dev python3-minimal binutils dbus dbus-daemon systemd systemd-sysv openssl nginx-light pebble bind9 bind9-dnsutils
 iproute2 procps" | tr -s ' \n' ',')
say "making a Debian 13 root"
debootstrap --variant=minbase --no-check-gpg --include="ca-certificates,$packages" trixie "$ROOT" "$mirror" >"$ROOT/debootstrap.out" 2>&1 ||
	{ tail -n 30 "$ROOT/debootstrap.out"; die "debootstrap failed"; }
mkdir -p "$ROOT/src"
(cd "$TOP" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$ROOT/src"
mount -t proc proc "$ROOT/proc"

say "building, testing and installing there"
chroot "$ROOT" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -ec '
	cd /src && autoreconf -fi >/dev/null 2>&1
	mkdir /check /build
	cd /check # the libraries differ from those of Debian 12: their use is looked at by the sanitizers here too
	/src/configure -q --enable-werror --enable-sanitizers CFLAGS="-g -O1"
	make -s -k -j"$(nproc)" check || { cat test-suite.log; exit 1; }
	cd /build
	/src/configure -q --enable-werror --prefix=/usr --sysconfdir=/etc --localstatedir=/var --runstatedir=/run # as it is for everybody: -O2
	make -s -j"$(nproc)" install
	systemctl --quiet disable nginx.service named.service
	systemctl --quiet enable dovad-system-test.service 2>/dev/null || :' >"$ROOT/build.out" 2>&1 || { tail -n 200 "$ROOT/build.out"; die "Debian 13: build or tests failed"; }
grep -E '^# (TOTAL|PASS|FAIL|SKIP)' "$ROOT/check/test-suite.log" || :
umount "$ROOT/proc"

say "booting it"
cat >"$ROOT/etc/systemd/system/dovad-system-test.service" <<'EOF'
[Unit]
Description=dovad system test
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/src/tests/system/inside.sh >/result.log 2>&1; echo $? >/result; systemctl --no-block poweroff'
[Install]
WantedBy=multi-user.target
EOF
ln -sf /etc/systemd/system/dovad-system-test.service "$ROOT/etc/systemd/system/multi-user.target.wants/dovad-system-test.service"
ln -sf /dev/null "$ROOT/etc/systemd/system/systemd-networkd-wait-online.service"
rm -f "$ROOT/etc/resolv.conf"
echo "nameserver 127.0.0.1" >"$ROOT/etc/resolv.conf"
timeout 300 systemd-nspawn -q -D "$ROOT" --boot --register=no --keep-unit --private-network --console=pipe --resolv-conf=off </dev/null >"$ROOT/boot.out" 2>&1 || :
cat "$ROOT/result.log" 2>/dev/null || tail -n 50 "$ROOT/boot.out"
[ "$(cat "$ROOT/result" 2>/dev/null)" = 0 ] || die "the system test failed"
