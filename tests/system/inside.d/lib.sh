# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# What the parts of inside.sh share. Sourced, not run.
good=0 bad=0
LIVE=/var/lib/dovad-keeper/live

check() { # TEXT COMMAND...: one thing that must hold
	local text=$1 out began=${EPOCHREALTIME/./} ms
	shift
	if out=$("$@" 2>&1); then
		ms=$(((${EPOCHREALTIME/./} - began) / 1000))
		printf 'ok    %s%s\n' "$text" "$([ $ms -lt 2000 ] || echo " ($ms ms)")"
		good=$((good + 1))
	else
		printf 'FAIL  %s\n%s\n' "$text" "$out"
		bad=$((bad + 1))
	fi
}
fails() { ! "$@"; }
ends_with() { # CODE COMMAND...
	local code=$1
	shift
	"$@"
	[ $? = "$code" ]
}
until_ok() { # COMMAND...: half a minute of trying, or TRIES times EVERY so many seconds
	for _ in $(seq "${TRIES:-150}"); do
		"$@" >/dev/null 2>&1 && return 0
		sleep "${EVERY:-0.2}"
	done
	"$@"
}
as() { # USER COMMAND...
	local user=$1
	shift
	setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$@"
}

# --- certificates ---
fingerprint() { openssl x509 -noout -fingerprint -sha256 "$@" 2>/dev/null; }
served() { # NAME PORT [STARTTLS]
	timeout 10 openssl s_client -connect "127.0.0.1:$2" -servername "$1" ${3:+-starttls "$3"} </dev/null 2>/dev/null | fingerprint
}
installed() { fingerprint -in "$1/fullchain.pem"; } # FOLDER
same() { # FOLDER NAME PORT [STARTTLS]: what is served there is what is installed here
	local one
	one=$(served "${@:2}")
	[ -n "$one" ] && [ "$one" = "$(installed "$1")" ]
}
issued() { # NAME: its first one, be it that the order is under way or over
	until_ok dovactl show "$1" && { dovactl renew "$1" --wait || at_rest "$1" 1 1; }
}
at_rest() { # PATTERN COUNT GENERATION: so many certificates, none of them on its way
	local all
	all=$(dovactl --json list --name "$1")
	[ "$(grep -o '"state":"waiting"' <<<"$all" | wc -l)" = "$2" ] && [ "$(grep -o "\"generation\":$3\b" <<<"$all" | wc -l)" = "$2" ]
}
snippet() { # FILE, its text is stdin: put there whole, as README tells
	cat >"/etc/dovad/$1.new" && mv "/etc/dovad/$1.new" "/etc/dovad/conf.d/$1.conf"
}

# --- units ---
pid_of() { systemctl show -p MainPID --value "$1"; }
drop_in() { # UNIT, its text is stdin
	mkdir -p "/etc/systemd/system/$1.d"
	cat >"/etc/systemd/system/$1.d/test.conf" && systemctl daemon-reload
}
connect='use IO::Socket::UNIX; exit !IO::Socket::UNIX->new(Peer => $ARGV[0])' # of perl, with a socket
drop_out() { rm -r "/etc/systemd/system/$1.d" && systemctl daemon-reload; }
journal() { journalctl -u dovad -u dovad-keeper -u 'dovad-run@*' -o cat --no-pager; }
mark() { journalctl --sync && journalctl -n 1 --show-cursor -q --no-pager | sed -n 's/^-- cursor: //p'; }
said() { # COUNT MARK TEXT: so many messages of the service manager since then begin so
	local lines
	journalctl --sync
	lines=$(journalctl --after-cursor="$2" -o short --no-pager -q | grep -- " systemd\[1\]: $3") # systemd 252 counts wrong when journalctl itself chooses
	echo "$lines"
	[ "$(grep -c . <<<"$lines")" = "$1" ]
}
