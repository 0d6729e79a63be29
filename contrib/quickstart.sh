#!/bin/sh
# SPDX-License-Identifier: ISC
# The main job, for real, on loopback: builds dovad, starts a CA (Debian's pebble) and a web server (nginx), drops a snippet, and watches how it
# becomes a served certificate. Cleans up after itself; --keep leaves everything running and says how to talk to it.
set -eu

TOP=$(cd "$(dirname "$0")/.." && pwd)
NAME=shop.example.org
# shellcheck source=contrib/lib.sh disable=SC1091
. "$TOP/contrib/lib.sh"

case "${1:-}" in
'') KEEP= ;;
--keep) KEEP=yes ;;
--demo) ;; # the second half, run by ourselves as an ordinary user: KEEP and WORK are in the environment
*) die "usage: contrib/quickstart.sh [--keep]" ;;
esac

# --- first half: packages and build ----------------------------------------------------------------------------------
if [ "${1:-}" != --demo ]; then
	# shellcheck disable=SC2086
	need_packages $BUILD_PACKAGES $DEMO_PACKAGES python3
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/dovad-quickstart.XXXXXX")
	if [ -n "${DOVAD_PREFIX:-}" ]; then # check.sh built it already
		ln -s "$DOVAD_PREFIX" "$WORK/inst"
	else
		say "building dovad in $WORK (about a minute)"
		bootstrap "$WORK/autoreconf.log"
		build "$WORK/build" "$WORK/build.log" --prefix="$WORK/inst" --runstatedir="$WORK/run" || die "the build failed"
		make -s -C "$WORK/build" install >"$WORK/install.log" 2>&1 || { tail -n 20 "$WORK/install.log"; die "make install failed"; }
	fi
	"$WORK/inst/sbin/dovad" -V | head -n 1
	mkdir -p "$WORK/demo/contrib"
	cp "$TOP/contrib/quickstart.sh" "$TOP/contrib/lib.sh" "$WORK/demo/contrib" # the source tree may be closed to others
	demo="$WORK/demo/contrib/quickstart.sh"
	if [ "$(id -u)" = 0 ]; then # nothing from here on needs root
		chown -R nobody "$WORK"
		exec setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups env HOME="$WORK" WORK="$WORK" KEEP="$KEEP" "$demo" --demo
	fi
	WORK=$WORK KEEP=$KEEP exec "$demo" --demo
fi

# --- second half: the demonstration ----------------------------------------------------------------------------------
cd "$WORK"
PATH=$WORK/inst/sbin:$WORK/inst/bin:$PATH:/usr/sbin:/sbin
STARTED=
cleanup() {
	code=$?
	trap - EXIT INT TERM
	if [ -n "$KEEP" ] && [ "$code" = 0 ]; then
		printf '\nleft running (%s). Talk to it:\n  PATH=%s/inst/bin:$PATH\n  dovactl -s %s/run/dovad.sock status\n  ls %s/conf.d\nend it:\n  kill%s; rm -r %s\n' \
			"$WORK" "$WORK" "$WORK" "$WORK" "$STARTED" "$WORK"
		exit 0
	fi
	for pid in $STARTED; do kill "$pid" 2>/dev/null || :; done
	wait 2>/dev/null || :
	if [ "$code" = 0 ]; then
		rm -rf "$WORK" 2>/dev/null || : # the folder itself stays where its parent is not ours
	else
		printf 'failed; everything is left in %s (dovad.log, pebble.log, nginx.log)\n' "$WORK" >&2
		tail -n 20 "$WORK/dovad.log" >&2 2>/dev/null || :
	fi
	exit "$code"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
start() { # LOG COMMAND...: in the background, remembered for the end
	log=$1
	shift
	"$@" >"$WORK/$log" 2>&1 &
	STARTED="$STARTED $!"
}
wait_for() { # WHAT COMMAND...: until it succeeds, half a minute at most
	what=$1 n=0
	shift
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 300 ] || die "$what did not come up"
		sleep 0.1
	done
}

# shellcheck disable=SC2046
set -- $(free_ports 6)
CA_PORT=$1 CA_ADMIN=$2 DNS_PORT=$3 DNS_ADMIN=$4 HTTP_PORT=$5 TLS_PORT=$6

say "starting a CA (pebble, port $CA_PORT) and its name server"
mkdir -p conf.d state keeper run tls web placeholder nginx
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=localhost \
	-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout ca-api.key -out ca-api.pem 2>/dev/null
cat >pebble.json <<EOF
{ "pebble": { "listenAddress": "127.0.0.1:$CA_PORT", "managementListenAddress": "127.0.0.1:$CA_ADMIN", "certificate": "ca-api.pem",
  "privateKey": "ca-api.key", "httpPort": $HTTP_PORT, "tlsPort": $TLS_PORT, "ocspResponderURL": "", "externalAccountBindingRequired": false,
  "certificateValidityPeriod": 7776000 } }
EOF
start challtestsrv.log pebble-challtestsrv -http01 "" -https01 "" -tlsalpn01 "" -defaultIPv6 "" -defaultIPv4 127.0.0.1 \
	-$(pebble-challtestsrv -h 2>&1 | grep -q -- -dnsserver && echo dnsserver || echo dns01) "127.0.0.1:$DNS_PORT" -management "127.0.0.1:$DNS_ADMIN"
start pebble.log env PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=20 pebble -config pebble.json -dnsserver "127.0.0.1:$DNS_PORT" -strict
wait_for pebble openssl s_client -connect "127.0.0.1:$CA_PORT" -brief </dev/null

say "starting a web server (nginx, ports $HTTP_PORT and $TLS_PORT) with a self-signed placeholder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=placeholder \
	-keyout placeholder/privkey.pem -out placeholder/fullchain.pem 2>/dev/null
ln -s ../placeholder tls/shop
cat >nginx.conf <<EOF
pid $WORK/nginx/pid; error_log $WORK/nginx/error.log; worker_processes 1; daemon off;
events {}
http {
	access_log off;
	client_body_temp_path $WORK/nginx/body; proxy_temp_path $WORK/nginx/proxy; fastcgi_temp_path $WORK/nginx/fastcgi;
	uwsgi_temp_path $WORK/nginx/uwsgi; scgi_temp_path $WORK/nginx/scgi;
	server { listen 127.0.0.1:$HTTP_PORT; root $WORK/web; }
	server {
		listen 127.0.0.1:$TLS_PORT ssl; server_name $NAME; root $WORK/web;
		ssl_certificate $WORK/tls/shop/fullchain.pem; ssl_certificate_key $WORK/tls/shop/privkey.pem;
	}
}
EOF
start nginx.log nginx -c "$WORK/nginx.conf" -e "$WORK/nginx/error.log"
wait_for nginx openssl s_client -connect "127.0.0.1:$TLS_PORT" -brief </dev/null

say "starting dovad (as $(id -un), everything in one folder)"
cat >dovad.conf <<EOF
snippets = "conf.d"; state = "state"; keeper_state = "keeper"; runtime = "run"; credentials = "credentials"; services = "services.d";
resolvers = [ "127.0.0.1:$DNS_PORT" ];
http_port = $HTTP_PORT;
contact = [ "mailto:hostmaster@example.org" ];
ca = ( { name = "pebble"; type = "acme"; directory = "https://localhost:$CA_PORT/dir"; agree_tos = true; ca_file = "$WORK/ca-api.pem"; allow_private = true; } );
http = ( { name = "www"; type = "webroot"; path = "$WORK/web"; } );
service = ( { name = "nginx"; test = [ "/usr/sbin/nginx", "-t", "-q", "-c", "$WORK/nginx.conf", "-e", "$WORK/nginx/error.log" ];
  command = [ "/usr/sbin/nginx", "-s", "reload", "-c", "$WORK/nginx.conf", "-e", "$WORK/nginx/error.log" ]; look = [ "127.0.0.1:$TLS_PORT" ]; } );
EOF
dovad -t -c dovad.conf
start dovad.log dovad -f -c "$WORK/dovad.conf"
wait_for dovad dovactl -s "$WORK/run/dovad.sock" version
ctl() { dovactl -s "$WORK/run/dovad.sock" "$@"; }

say "dropping the snippet conf.d/shop.conf; dovad picks it up by itself"
cat >shop.conf <<EOF
certificate = { names = [ "$NAME" ]; prove = [ "http:www" ]; install = ( { dir = "$WORK/tls/shop"; } ); service = [ "nginx" ]; };
EOF
cat shop.conf
dovad -t -c dovad.conf shop.conf
dovactl -s "$WORK/run/dovad.sock" watch & # each step as it happens; it ends with dovad at the latest
WATCH=$!
mv shop.conf conf.d/shop.conf
# Begun or ended already, or put off after a failure: whichever of them we come to see.
is_over() { # nothing is written to files here: dovad looks at this folder and waits until no more changes come
	shop=$(ctl --json list --name shop)
	case $shop in *'"attempts":'[1-9]*) return 0 ;; *'"generation":1'*) is_well ;; *) return 1 ;; esac
}
is_well() { case $shop in *'"state":"waiting"'*) ;; *) return 1 ;; esac; }
wait_for "the certificate" is_over
kill "$WATCH"
wait "$WATCH" 2>/dev/null || :
is_well || { ctl explain shop >&2; die "the certificate is not in service"; }

printf '\n'
say "what dovad says:"
ctl show shop
printf '\n'
say "what nginx serves on port $TLS_PORT:"
openssl s_client -connect "127.0.0.1:$TLS_PORT" -servername "$NAME" </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName
served=$(openssl s_client -connect "127.0.0.1:$TLS_PORT" -servername "$NAME" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256)
installed=$(openssl x509 -noout -fingerprint -sha256 -in "$WORK/tls/shop/fullchain.pem")
[ "$served" = "$installed" ] || die "nginx does not serve what was installed"
[ -z "$(find "$WORK/web" -type f)" ] || die "a challenge file was left behind"
printf '\n'
ctl status
say "done: the snippet became a served certificate"
