#!/bin/sh
# SPDX-License-Identifier: ISC
# install.sh FOLDER: what package-lock.json names goes to FOLDER/node_modules, once for each content of the lock file. Nothing of it is run meanwhile.
# The network is asked only when npm's cache has not all of it. Whoever comes second at the same time waits for the first.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
for tool in node npm; do
	command -v $tool >/dev/null || { echo "$tool is missing" >&2; exit 1; }
done
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
cmp -s "$here/package-lock.json" "$folder/installed" && exit 0
rm -f "$folder/installed"
cp "$here/package.json" "$here/package-lock.json" "$folder"
ci() { (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error "$@" 9>&-); }
ci --offline >/dev/null 2>&1 || ci >&2
cp "$folder/package-lock.json" "$folder/installed"
