#!/bin/sh
# SPDX-License-Identifier: ISC
# Format and lint. `lint.sh --fix` lets clang-format rewrite the sources first. Prints what is wrong; exits 1 when anything is.
set -eu
cd "$(dirname "$0")/.."
bad=0
fail() { printf '%s\n' "$*"; bad=1; }

if [ "${1:-}" = --fix ]; then
	find src tests -name '*.[ch]' -exec clang-format -i {} +
fi
sources=$(find src tests -name '*.[ch]' ! -name '*_idl.h')
for f in $sources; do
	head -n 1 "$f" | grep -q SPDX-License-Identifier || fail "$f: no licence line"
done
# shellcheck disable=SC2086
grep -nE '[[:blank:]]+$' $sources && fail "white space at the end of a line"
# shellcheck disable=SC2086
grep -rnE --include='*.[ch]' '\b(strcpy|strcat|sprintf|gets|system|popen|alloca|mktemp|strtok)\(' src && fail "a function that is not used here"
# shellcheck disable=SC2086
awk 'length($0) > 170 { print FILENAME ":" FNR ": longer than 170 columns"; bad = 1 } END { exit bad }' $sources || bad=1
if command -v shellcheck >/dev/null; then
	shellcheck -x -e SC2016,SC3013,SC2046,SC1091,SC2317,SC2086 contrib/*.sh contrib/embed contrib/hooks/* tests/system/*.sh tests/servers/sdk/*.sh || bad=1
	shellcheck -e SC2016,SC2034,SC2086,SC2153,SC2154 tests/system/inside.d/*.sh || bad=1
else
	fail "shellcheck is missing"
fi
if command -v mandoc >/dev/null; then
	for m in man/*; do mandoc -Tlint -W warning "$m" || bad=1; done
else
	fail "mandoc is missing"
fi
# Nothing of the place it was built in may be in the tree.
if git rev-parse --git-dir >/dev/null 2>&1; then
	git grep -nE 'farm-|/work/|\bsubagent' -- . ':!contrib/lint.sh' && fail "a name of the workplace"
fi
exit $bad
