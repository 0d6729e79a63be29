#!/bin/bash
# SPDX-License-Identifier: ISC
# What takes too long for every change: check-long.sh fuzz [SECONDS per target, 600] | kill [the whole order killed at every syscall] | bench
set -eu
TOP=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$TOP/contrib/lib.sh"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/dovad-long.XXXXXX")
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

long_kill() {
	build "$WORK/build" "$WORK/build.log" --prefix="$WORK/inst" --runstatedir="$WORK/run" --enable-sanitizers CFLAGS="-g -O1"
	make -s -C "$WORK/build" install
	cd "$TOP"
	DOVAD_PREFIX="$WORK/inst" DOVAD_BUILD="$WORK/build" DOVAD_LONG=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/integration/test_crash.py
	rm -rf "$WORK"
}

long_bench() {
	"$TOP/tests/bench/run.sh"
}

verb=${1:-}
case "$verb" in
fuzz | kill | bench) shift; "long_$verb" "$@" ;;
*) die "usage: contrib/check-long.sh fuzz [SECONDS] | kill | bench" ;;
esac
