#!/bin/bash
# SPDX-License-Identifier: ISC
# dovad as packaged would be, in a Debian made for it: build, `make install`, then boot it under a real systemd and do the main job there, with real servers
# as real units (inside.sh). In Debian 13 the unit and machine tests run, too: the libraries differ. Root only; loopback only.
#   run.sh [--keep] SUITE          bookworm (systemd 252, Exim) or trixie (Postfix); --keep leaves the root and says where
#   run.sh --boot ROOT [PART...]   boots one that was kept, with tests/system as it is now (or only these parts of it); the root stays as it was
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=contrib/lib.sh
. "$TOP/contrib/lib.sh"
[ "$(id -u)" = 0 ] || die "tests/system/run.sh makes a Debian root: run it as root"

in_root() { chroot "$ROOT" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -ec "$1"; }
done_with() { # PHASE: how much processor time that was
	times >"$OUT/times"
	SPENT=$(awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, "[ms]"); s += t[1] * 60 + t[2] } printf "%d", s }' "$OUT/times")
	say "$SUITE: $1: $((SPENT - BEFORE)) s of processor time"
	BEFORE=$SPENT
}

# --- make it ---
make_root() {
	local mirror
	# The host's own Debian mirror, whichever it is.
	mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
		sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb  *\(\[[^]]*\] *\)\?\([^ ]*\).*/\2/p' | grep -v security | head -n 1)
	[ -n "$mirror" ] || die "no Debian mirror found in /etc/apt"
	mmdebstrap --quiet --mode=root --variant=apt --include="$BUILD_PACKAGES $PACKAGES" --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
		--essential-hook='printf "path-exclude=/usr/share/%s/*\n" doc man locale >"$1/etc/dpkg/dpkg.cfg.d/slim"' \
		"$SUITE" "$ROOT" "deb [trusted=yes] $mirror $SUITE main" >"$OUT/mmdebstrap" 2>&1 ||
		{ tail -n 30 "$OUT/mmdebstrap"; die "$SUITE: no root"; }
	done_with "a root"
}
# Each is built once only. The tests are of what is installed; their own code is compiled as it is elsewhere.
PACKAGED='
	mkdir /build && cd /build
	/src/configure -q --disable-dependency-tracking --enable-werror \
		--prefix=/usr --sysconfdir=/etc --localstatedir=/var --runstatedir=/run
	make -s -j"$(nproc)" install
	systemctl --quiet disable $SERVERS'
UNIT_TESTS='cd /build && { make -s -k -j"$(nproc)" check CFLAGS=-O1 || { cat test-suite.log; exit 1; }; }'
SANITIZED_TESTS='
	mkdir /check && cd /check
	/src/configure -q --disable-dependency-tracking --enable-werror --enable-sanitizers CFLAGS="-g -O1"
	make -s -k -j"$(nproc)" check || { cat test-suite.log; exit 1; }'
unit_tests() { # COMMANDS FOLDER: where they ran
	in_root "$1" >"$OUT/check" 2>&1 || { tail -n 200 "$OUT/check"; die "$SUITE: its tests failed"; }
	grep -E '^# (TOTAL|PASS|FAIL|SKIP)' "$ROOT/$2/test-suite.log"
	done_with "unit tests"
}
build_there() {
	mkdir "$ROOT/src"
	(cd "$TOP" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$ROOT/src"
	mount -t proc proc "$ROOT/proc"
	in_root 'cd /src && autoreconf -fi' >"$OUT/autoreconf" 2>&1 || { tail "$OUT/autoreconf"; die "$SUITE: autoreconf failed"; }
	in_root "SERVERS='$SERVERS';$PACKAGED" >"$OUT/build" 2>&1 || { tail -n 60 "$OUT/build"; die "$SUITE: the build failed"; }
	done_with "build and install"
	[ "$SUITE" != trixie ] || unit_tests "$UNIT_TESTS" build
	[ -z "${SANITIZED:-}" ] || unit_tests "$SANITIZED_TESTS" check # check-long.sh sanitize
	umount "$ROOT/proc"
	rm -rf "$ROOT/check" "$ROOT/build"
}

# --- boot it ---
prepare_boot() {
	cat >"$ROOT/etc/systemd/system/dovad-system-test.service" <<-'EOF'
	[Unit]
	Description=dovad system test
	After=multi-user.target
	[Service]
	Type=oneshot
	EnvironmentFile=/out/parts
	ExecStart=/bin/bash -c '/src/tests/system/inside.sh $PARTS >/out/log 2>&1; echo $? >/out/result; systemctl --no-block poweroff'
	EOF
	mkdir -p "$ROOT/out" "$ROOT/etc/systemd/system/multi-user.target.wants"
	ln -sf ../dovad-system-test.service "$ROOT/etc/systemd/system/multi-user.target.wants/"
	ln -sf /dev/null "$ROOT/etc/systemd/system/systemd-networkd-wait-online.service"
	rm -f "$ROOT/etc/resolv.conf"
	echo "nameserver 127.0.0.1" >"$ROOT/etc/resolv.conf"
}
# What it changes lives in memory and goes with it. Memory may be locked and processes confined, as on a host.
boot() { # PART...
	rm -f "$OUT/result" "$OUT/log"
	echo "PARTS=$*" >"$OUT/parts"
	timeout 600 systemd-nspawn -q -D "$ROOT" --volatile=overlay --bind="$OUT:/out" --bind-ro="$TOP/tests:/src/tests" --boot --register=no --keep-unit \
		--rlimit=MEMLOCK=infinity --system-call-filter="@memlock landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
		--private-network --console=pipe --resolv-conf=off </dev/null >"$OUT/boot" 2>&1 || :
	cat "$OUT/log" 2>/dev/null || tail -n 50 "$OUT/boot"
	done_with "boot and test"
	[ "$(cat "$OUT/result" 2>/dev/null)" = 0 ] || die "$SUITE: the system test failed"
}

usage() { die "usage: tests/system/run.sh [--keep] bookworm|trixie | --boot ROOT [PART...]"; }
KEEP='' BEFORE=0
cleanup() {
	[ -z "$KEEP" ] || { umount "$ROOT/proc" 2>/dev/null || :; say "kept: $BASE"; return; }
	umount -R "$ROOT" 2>/dev/null || umount "$ROOT/proc" 2>/dev/null || :
	rm -rf --one-file-system "$BASE"
}
if [ "${1:-}" = --boot ]; then
	[ -d "${2:-}/root" ] || usage
	BASE=$2 ROOT=$2/root OUT=$2/out SUITE=$(. "$2/root/etc/os-release" && echo "$VERSION_CODENAME")
	shift 2
	boot "$@"
	exit
fi
if [ "${1:-}" = --keep ]; then
	KEEP=yes
	shift
fi
SUITE=${1:-}
case $SUITE in
bookworm) MAIL=exim4 PACKAGES="exim4-daemon-light" ;;
trixie) MAIL=postfix PACKAGES="postfix libcmocka-dev softhsm2 pkcs11-provider" ;;
*) usage ;;
esac
SERVERS="apache2 dovecot haproxy lighttpd $MAIL named nginx postgresql"
PACKAGES="$PACKAGES apache2 bind9 bind9-dnsutils binutils ca-certificates dbus dbus-daemon dovecot-imapd haproxy iproute2 lighttpd lighttpd-mod-openssl nginx-light openssl pebble
 postgresql procps python3-minimal systemd systemd-sysv"
BASE=$(mktemp -d "${TMPDIR:-/tmp}/dovad-system-$SUITE.XXXXXX") ROOT=$BASE/root OUT=$BASE/out
mkdir "$ROOT" "$OUT"
chmod 755 "$BASE" "$ROOT" # it becomes / of users that are not root
trap cleanup EXIT
trap 'exit 1' INT TERM
# In memory where there is enough of it: what packages sync would hold up everybody else's disk.
[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -lt 8000000 ] || mount -t tmpfs -o size=5g,mode=755 dovad-system "$ROOT"
make_root
build_there
prepare_boot
boot
