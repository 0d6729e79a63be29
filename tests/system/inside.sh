#!/bin/bash
# SPDX-License-Identifier: ISC
# Runs inside the booted container (run.sh): the units as installed, real servers as their packages have them, a CA and name servers on loopback.
#   inside.sh [PART...]     those of inside.d, in order; without any: all
# What differs from one Debian to the other is asked of what is there.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/system/inside.d/lib.sh
. ./inside.d/lib.sh
[ $# -gt 0 ] || set -- inside.d/[0-9]*.sh
for part in "$@"; do
	began=${EPOCHREALTIME/./}
	# shellcheck source=/dev/null
	. "./$part"
	printf -- '--    %s: %d ms\n' "$(basename "$part" .sh)" $(((${EPOCHREALTIME/./} - began) / 1000))
done
printf '%d ok, %d failed\n' "$good" "$bad"
[ $bad = 0 ] || { cat /explain.log; journal | tail -n 120; } 2>/dev/null
exit "$((bad > 0))"
