#!/bin/bash
# SPDX-License-Identifier: ISC
# What takes too long for every change:
#   check-long.sh fuzz [SECONDS]   each fuzz target for so long (600)
#   check-long.sh kill [STEP]      kill -9 of each half at every STEP-th (1) system call of a whole order
#   check-long.sh walk [RUNS]      a certificate through whatever may happen to it, so many times by chance (1000)
#   check-long.sh loop             an installation killed, or failed, at each of its system calls (the check takes half of them, by chance)
#   check-long.sh sanitize         the unit tests with sanitizers in Debian 13, whose libraries are others
#   check-long.sh memory [STEP]    every STEP-th (1) allocation of each scenario fails
#   check-long.sh dns [SECONDS]    a certificate by DNS while one secondary is dead and another one late by so long (20)
#   check-long.sh visible [RUNS]   how soon it is known that the last name server has a record, beside Debian's lego and certbot (50)
#   check-long.sh bench            the figures
set -eu
TOP=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$TOP/contrib/lib.sh"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/dovad-long.XXXXXX")
chmod 755 "$WORK" # parts of it run as an ordinary user
bootstrap "$WORK/autoreconf.log"

long_fuzz() {
	command -v clang >/dev/null || die "clang and its libFuzzer are needed: apt-get install clang libclang-rt-dev"
	build "$WORK/fuzz" "$WORK/fuzz.log" --enable-fuzzers --enable-sanitizers CC=clang CFLAGS="-g -O1"
	targets=$(cd "$TOP/tests/fuzz" && printf '%s\n' fuzz_*.c | sed 's/\.c$//')
	for t in $targets; do make -s -C "$WORK/fuzz" "tests/fuzz/$t"; done
	for t in $targets; do
		say "fuzzing $t for ${1:-600} s"
		mkdir -p "$WORK/corpus/$t"
		(cd "$WORK/corpus" && "$WORK/fuzz/tests/fuzz/$t" -max_total_time="${1:-600}" -print_final_stats=1 -artifact_prefix="$WORK/corpus/$t-" "$WORK/corpus/$t" \
			"$TOP/tests/fuzz/corpus/${t#fuzz_}" >"$WORK/$t.log" 2>&1) || { tail -n 40 "$WORK/$t.log"; die "$t found something: see $WORK/corpus"; }
		grep -E 'number_of_executed_units|new_units_added' "$WORK/$t.log"
	done
	rm -rf "$WORK"
}

long_pytest() { # FILE VARIABLE=VALUE [configure arguments]: with a build of its own
	file=$1 setting=$2
	shift 2
	[ $# -gt 0 ] || set -- --enable-sanitizers CFLAGS="-g -O1"
	build "$WORK/build" "$WORK/build.log" --prefix="$WORK/inst" --runstatedir="$WORK/run" "$@"
	make -s -C "$WORK/build" install
	make -s -C "$WORK/build" tests/integration/failing_malloc.so tests/unit/install_harness
	cd "$TOP"
	env DOVAD_PREFIX="$WORK/inst" DOVAD_BUILD="$WORK/build" ASAN_OPTIONS=detect_leaks=0 "$setting" \
		/usr/bin/python3 -m pytest -q -s -p no:cacheprovider "tests/integration/$file"
	rm -rf "$WORK"
}
long_kill() { long_pytest long_kill.py DOVAD_LONG_STEP="${1:-1}"; }
long_walk() {
	build "$WORK/build" "$WORK/build.log" --enable-sanitizers CFLAGS="-g -O1"
	make -s -C "$WORK/build" tests/machine/test_walk
	DOVAD_WALKS="${1:-1000}" "$WORK/build/tests/machine/test_walk" >"$WORK/walk.log" 2>&1 || { tail -n 20 "$WORK/walk.log"; die "DOVAD_WALK=N tests/machine/test_walk takes the last one alone"; }
	rm -rf "$WORK"
}
long_loop() { long_pytest test_install_loop.py DOVAD_LOOP_STEP=1; }
long_sanitize() { SANITIZED=yes "$TOP/tests/system/run.sh" trixie; }
long_memory() { long_pytest test_memory.py DOVAD_MEMORY_STEP="${1:-1}"; }
long_confined() { long_pytest "${1:-test_issue.py}" DOVAD_LAB_MODE=supervisor; } # as root: a file of the suite with both halves confined
long_dns() { long_pytest test_dns_issue.py::test_delegated_while_one_is_dead_and_one_is_late DOVAD_DNS_LAG="${1:-20}"; }
long_visible() {
	need_packages bind9 unbound nsd haproxy python3-pytest python3-dnspython python3-cryptography iproute2 lego certbot python3-certbot-dns-rfc2136
	long_pytest long_visible.py DOVAD_LONG_RUNS="${1:-50}" CFLAGS=-O2
}

long_bench() {
	"$TOP/tests/bench/run.sh"
}

verb=${1:-}
case "$verb" in
fuzz | kill | walk | loop | sanitize | memory | confined | dns | visible | bench) shift; "long_$verb" "$@" ;;
*) die "usage: contrib/check-long.sh fuzz [SECONDS] | kill [STEP] | walk [RUNS] | loop | sanitize | memory [STEP] | confined [FILE] | dns [SECONDS] | visible [RUNS] | bench" ;;
esac
