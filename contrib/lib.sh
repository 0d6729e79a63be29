# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: ISC
# Shared by quickstart.sh and check.sh: packages, builds, free ports. Sourced, not run. Needs $TOP (the source tree).

BUILD_PACKAGES="gcc make autoconf automake pkg-config libevent-dev libc-ares-dev libldns-dev libssl-dev libconfig-dev libcurl4-openssl-dev libmicrohttpd-dev
 libjansson-dev libsqlite3-dev libidn2-dev libexpat1-dev libsystemd-dev libseccomp-dev"
DEMO_PACKAGES="pebble nginx-light openssl"

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

missing_packages() { # names: prints those that are not installed
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || printf '%s ' "$p"
	done
}

# Installs what is missing. As root: with apt, and with a policy in place for that time so that no installed server starts.
need_packages() {
	missing=$(missing_packages "$@")
	# nginx comes in several packages: any of them will do
	[ -x /usr/sbin/nginx ] && missing=$(printf '%s' "$missing" | sed 's/nginx-light//')
	[ -z "$(printf '%s' "$missing" | tr -d ' ')" ] && return 0
	[ "$(id -u)" = 0 ] || die "these packages are missing: $missing
install them as root: apt-get install --no-install-recommends $missing"
	say "installing: $missing"
	# shellcheck disable=SC2086
	(install_packages $missing) || exit 1
}
# In a subshell: its traps are its own, and the policy is gone however it ends (dash runs no EXIT trap when a signal ends it).
install_packages() {
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq || die "apt-get update failed"
	said=$(apt-get install -y -qq --no-install-recommends "$@" 2>&1) || { printf '%s\n' "$said" | tail -n 20 >&2; die "apt-get install failed"; }
}

# The generated build system is made once, in the source tree; everything else is built outside of it.
bootstrap() {
	[ -x "$TOP/configure" ] && [ "$TOP/configure" -nt "$TOP/configure.ac" ] && [ "$TOP/Makefile.in" -nt "$TOP/Makefile.am" ] && return 0
	(cd "$TOP" && autoreconf -fi) >"$1" 2>&1 || { tail -n 20 "$1" >&2; die "autoreconf failed"; }
}

# build DIR LOG [configure arguments]: configure and make; prints the end of the log when it fails.
build() {
	dir=$1 log=$2
	shift 2
	mkdir -p "$dir"
	(cd "$dir" && "$TOP/configure" -q "$@" && make -s -j"$(nproc)") >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# As many free loopback ports as asked for, all different.
free_ports() {
	python3 - "$1" <<-'EOF'
	import socket, sys
	s = [socket.socket() for _ in range(int(sys.argv[1]))]
	for x in s:
	    x.bind(("127.0.0.1", 0))
	print(*[x.getsockname()[1] for x in s])
	EOF
}
