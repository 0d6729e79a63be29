#!/bin/sh
# SPDX-License-Identifier: ISC
# The figures, measured: run.sh [single | many | deploy | pairs | idle [MINUTES, 10] | all]. Builds dovad with -O2 unless DOVAD_PREFIX names an installation of it.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=contrib/lib.sh disable=SC1091
. "$TOP/contrib/lib.sh"
case "${1:-all}" in
single | many | deploy | pairs | idle | all) ;;
*) die "usage: tests/bench/run.sh [single | many | deploy | pairs | idle [MINUTES] | all]" ;;
esac
# shellcheck disable=SC2086
need_packages $BUILD_PACKAGES pebble haproxy apache2-bin nginx-light openssl iproute2 python3 strace

WORK=$(mktemp -d "${TMPDIR:-/tmp}/dovad-bench-build.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
chmod 755 "$WORK"
if [ -z "${DOVAD_PREFIX:-}" ]; then
	say "building dovad with -O2"
	bootstrap "$WORK/autoreconf.log"
	build "$WORK/build" "$WORK/build.log" --prefix="$WORK/inst" --runstatedir="$WORK/run" CFLAGS=-O2 || die "the build failed"
	make -s -C "$WORK/build" install >"$WORK/install.log" 2>&1 || { tail -n 20 "$WORK/install.log"; die "make install failed"; }
	DOVAD_PREFIX=$WORK/inst
fi
# shellcheck disable=SC2046
cc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -O2 -pthread -o "$WORK/load" "$TOP/tests/bench/load.c" $(pkg-config --cflags --libs libcurl libcrypto jansson)
# shellcheck disable=SC2046
cc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -O2 -o "$WORK/pairs" "$TOP/tests/bench/pairs.c" $(pkg-config --cflags --libs libcrypto)
DOVAD_PREFIX=$DOVAD_PREFIX LOAD=$WORK/load PAIRS=$WORK/pairs /usr/bin/python3 "$TOP/tests/bench/bench.py" "$@"
