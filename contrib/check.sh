#!/bin/bash
# SPDX-License-Identifier: ISC
# Everything that must hold before a change lands, in under half an hour on two cores. As root it installs what is missing; as an ordinary user it leaves
# out what needs root, and says so.
#   check.sh            all of it
#   check.sh STEP...    only these steps (see the list at the end)
# The last line is "N passed, N failed".
set -u
TOP=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$TOP/contrib/lib.sh"
PASSED=0 FAILED=0
WORK=$(mktemp -d "${TMPDIR:-/tmp}/dovad-check.XXXXXX")
chmod 755 "$WORK" # parts of it run as an ordinary user
trap 'rm -rf "$WORK"' EXIT
export ASAN_OPTIONS=abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

count() { PASSED=$((PASSED + $1)); FAILED=$((FAILED + $2)); }
one() { # NAME COMMAND...: one test that passes or fails as a whole
	name=$1
	shift
	if "$@" >"$WORK/$name.log" 2>&1; then
		say "ok    $name"
		count 1 0
	else
		say "FAIL  $name"
		tail -n 60 "$WORK/$name.log"
		count 0 1
	fi
}
summed() { # NAME DIR: counts of automake's test driver in DIR/test-suite.log and the *.log files of what failed
	p=$(sed -n 's/^# PASS: *//p' "$2/test-suite.log" | head -n 1)
	f=$(sed -n 's/^# \(FAIL\|ERROR\|XPASS\|SKIP\): *//p' "$2/test-suite.log" | awk '{ s += $1 } END { print s + 0 }')
	count "${p:-0}" "${f:-1}"
	say "$([ "${f:-1}" = 0 ] && echo 'ok   ' || echo 'FAIL ') $1: ${p:-0} programs passed, ${f:-?} failed or skipped"
	[ "${f:-1}" = 0 ] || sed -n '1,400p' "$2/test-suite.log"
}
suite() { # NAME DIR [configure arguments]: build and make check
	name=$1 dir=$2
	shift 2
	if ! build "$dir" "$WORK/$name.build.log" "$@"; then
		say "FAIL  $name: does not build"
		count 0 1
		return 1
	fi
	make -s -C "$dir" -j"$(nproc)" check >"$WORK/$name.check.log" 2>&1
	if [ -f "$dir/test-suite.log" ]; then
		summed "$name" "$dir"
	else
		tail -n 40 "$WORK/$name.check.log"
		say "FAIL  $name: the tests do not build"
		count 0 1
	fi
}

step_packages() {
	# shellcheck disable=SC2086
	need_packages $BUILD_PACKAGES $DEMO_PACKAGES ca-certificates libcmocka-dev clang binutils python3 python3-pytest python3-pytest-xdist python3-cryptography python3-prometheus-client \
		strace shellcheck mandoc git mmdebstrap dbus-daemon xz-utils systemd-container haproxy faketime \
		bind9 bind9-dnsutils knot pdns-server pdns-backend-sqlite3 nsd unbound python3-dnspython iproute2 \
		dovecot-imapd dovecot-pop3d exim4-daemon-light ldap-utils postgresql prosody slapd \
		softhsm2 opensc libengine-pkcs11-openssl
	# Debian's npm brings hundreds of packages along: any other node and npm will do.
	{ command -v node && command -v npm; } >/dev/null || need_packages nodejs npm
	one cas-sdk "$TOP/tests/servers/sdk/install.sh" "$WORK/cas-sdk"
}
step_lint() { one lint "$TOP/contrib/lint.sh"; }
step_gcc() {
	suite gcc-sanitizers "$WORK/gcc" --enable-sanitizers --enable-werror --prefix="$WORK/inst" --runstatedir="$WORK/run" CFLAGS="-g -O1" || return
	one install make -s -C "$WORK/gcc" install
}
step_integration() {
	[ -x "$WORK/inst/sbin/dovad" ] || step_gcc
	(cd "$TOP" && DOVAD_PREFIX="$WORK/inst" DOVAD_BUILD="$WORK/gcc" TMPDIR="$WORK" DOVAD_PEBBLE="$WORK/pebble" DOVAD_CAS_SDK="$WORK/cas-sdk" ASAN_OPTIONS=detect_leaks=0 /usr/bin/python3 -m pytest -q -n 3 --dist loadfile --maxfail=30 --durations=25 -p no:cacheprovider --junitxml="$WORK/integration.xml" tests/integration) >"$WORK/integration.log" 2>&1
	tail -n 60 "$WORK/integration.log"
	p=$(grep -oE '[0-9]+ passed' "$WORK/integration.log" | tail -n 1 | cut -d' ' -f1)
	f=$(grep -oE '[0-9]+ (failed|error|errors|skipped)' "$WORK/integration.log" | awk '{ s += $1 } END { print s + 0 }')
	[ -n "$p" ] || f=$((f + 1))
	if [ "$(id -u)" != 0 ]; then
		r=$(grep -o '<skipped [^>]*message="needs root' "$WORK/integration.xml" | wc -l)
		f=$((f - r))
		say "left out: $r integration tests, which need root"
	fi
	count "${p:-0}" "$f"
	one faults "$TOP/tests/check-faults" "$WORK/integration.xml" "$WORK/gcc"
}
# The clang build is made from the distribution tarball, out of a read-only tree, installed and uninstalled again: make distcheck. All tests are built; those
# that need files of the tree are run.
step_clang() {
	[ -x "$WORK/inst/sbin/dovad" ] || step_gcc
	tests="tests/check-layers tests/check-options tests/unit/test_conf_read $(cd "$TOP" && printf '%s\n' tests/fuzz/fuzz_*.c | sed 's/\.c$//' | tr '\n' ' ')"
	make -C "$WORK/gcc" -j"$(nproc)" distcheck AM_MAKEFLAGS="TESTS='$tests'" \
		DISTCHECK_CONFIGURE_FLAGS="CC=clang --enable-werror --without-libsystemd --without-seccomp CFLAGS=-O0" >"$WORK/distcheck.log" 2>&1
	code=$?
	p=$(sed -n 's/^# PASS: *//p' "$WORK/distcheck.log" | tail -n 1)
	f=$(sed -n 's/^# \(FAIL\|ERROR\|XPASS\|SKIP\): *//p' "$WORK/distcheck.log" | awk '{ s += $1 } END { print s + 0 }')
	[ $code = 0 ] || [ "$f" != 0 ] || f=1
	count "${p:-0}" "$f"
	say "$([ "$f" = 0 ] && echo 'ok   ' || echo 'FAIL ') clang, distcheck: ${p:-0} programs passed, $f failed or skipped"
	[ "$f" = 0 ] || grep -vE '^(PASS|  CC|  AR|  GEN|checking)' "$WORK/distcheck.log" | tail -n 120
}
step_units() {
	[ -x "$WORK/inst/sbin/dovad" ] || step_gcc
	mkdir -p "$WORK/units"
	cp "$WORK"/inst/lib/systemd/system/dovad* "$WORK/units/"
	one units systemd-analyze verify --man=no --recursive-errors=no "$WORK"/units/dovad.service "$WORK"/units/dovad-keeper.service \
		"$WORK"/units/dovad-keeper.socket "$WORK"/units/dovad-run.socket "$WORK"/units/dovad-http.socket "$WORK"/units/dovad-run@1.service
	one units-confine "$TOP/tests/check-units" "$WORK/units"
}
step_quickstart() { # out of a folder that is closed to others, as root's own is
	mkdir -p "$WORK/closed/dovad"
	(cd "$TOP" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) | tar -xf - -C "$WORK/closed/dovad"
	chmod 700 "$WORK/closed"
	one quickstart-keep keeps_running "$WORK/closed/dovad/contrib/quickstart.sh"
	# What it built is good for another round: one that cleans up after itself.
	one quickstart env TMPDIR="$WORK" DOVAD_PREFIX="$(echo "$WORK"/dovad-quickstart.*/inst)" "$WORK/closed/dovad/contrib/quickstart.sh"
	one quickstart-end ends_as_told
}
# What --keep says how to talk to it and how to end it, is done.
keeps_running() {
	TMPDIR="$WORK" "$1" --keep >"$WORK/keep.out" || return 1
	cat "$WORK/keep.out"
	grep -h warning: "$WORK"/dovad-quickstart.*/build.log && return 1 # gcc -O2, as an admin builds it
	sed -n '/Talk to it/,/end it/p' "$WORK/keep.out" | grep -E '^  (PATH|dovactl|ls)' | sh -e
}
ends_as_told() { sed -n '/^end it/,$p' "$WORK/keep.out" | grep '^  kill' | sh -e; }
# The Debian roots are made and booted, one after the other, while the integration tests wait for their servers.
SUITES="trixie bookworm"
SYSTEM=
system_begin() {
	for suite in $SUITES; do
		nice -n 3 "$TOP/tests/system/run.sh" "$suite" >"$WORK/system-$suite.out" 2>&1
		echo $? >"$WORK/system-$suite.code"
	done &
	SYSTEM=$!
}
step_system() {
	if [ "$(id -u)" != 0 ]; then
		say "left out: the system test, which makes and boots Debian roots, needs root"
		return
	fi
	[ -n "$SYSTEM" ] || system_begin
	wait "$SYSTEM"
	for suite in $SUITES; do
		p=$(grep -c '^ok ' "$WORK/system-$suite.out")
		f=$(grep -c '^FAIL ' "$WORK/system-$suite.out")
		[ "$(cat "$WORK/system-$suite.code")" = 0 ] || [ "$f" != 0 ] || f=1
		count "$p" "$f"
		say "$([ "$f" = 0 ] && echo 'ok   ' || echo 'FAIL ') system, $suite: $p passed, $f failed"
		grep ' s of processor time$' "$WORK/system-$suite.out"
		[ "$f" = 0 ] || grep -v '^ok ' "$WORK/system-$suite.out"
	done
}

STEPS="packages lint gcc integration clang units quickstart system"
started=$(date +%s)
[ $# -gt 0 ] && STEPS="$*"
for step in $STEPS; do
	if [ "$step" = gcc ]; then bootstrap "$WORK/autoreconf.log"; fi
	say "--- $step"
	case "$(id -u), $step, $STEPS " in "0, integration, "*" system "*) system_begin ;; esac
	"step_$step"
done
say "took $((($(date +%s) - started) / 60)) minutes"
printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
[ "$FAILED" = 0 ]
