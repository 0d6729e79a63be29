#!/bin/bash
# SPDX-License-Identifier: ISC
# Runs inside the booted container (run.sh): the units as installed, a real nginx.service, a CA and name servers on loopback.
set -u
NAME=www.example.org
ZONE=example.net
bad=0
check() { # TEXT COMMAND...: one thing that must hold
	text=$1
	shift
	if out=$("$@" 2>&1); then
		printf 'ok    %s\n' "$text"
	else
		printf 'FAIL  %s\n%s\n' "$text" "$out"
		bad=$((bad + 1))
	fi
}
fails() { ! "$@"; }
until_ok() { # COMMAND...: half a minute of trying
	for _ in $(seq 150); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	"$@"
}
served() { openssl s_client -connect "127.0.0.1:${1:-443}" -servername $NAME </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256; }
installed() { openssl x509 -noout -fingerprint -sha256 -in "${1:-/etc/nginx/tls/www}/fullchain.pem"; }
same() { [ -n "$(served "$@")" ] && [ "$(served "$@")" = "$(installed "${@:2}")" ]; } # PORT FOLDER: nginx
pid_of() { systemctl show -p MainPID --value "$1"; }
name_server() { # ADDRESS ZONES: BIND at this address alone
	install -d -o bind "/var/lib/bind/$1"
	cat >"/etc/bind/$1.conf" <<EOF
include "/etc/bind/dovad.key";
options { directory "/var/lib/bind/$1"; pid-file none; session-keyfile none; listen-on { $1; }; listen-on-v6 { none; }; transfer-source $1; notify-source $1;
	notify-delay 0; dnssec-validation no; };
controls { };
$2
EOF
	systemd-run -q --unit="named-$1" named -f -u bind -n 1 -c "/etc/bind/$1.conf"
}
answers() { dig +norecurse "@$1" "$2" TXT | grep "status: $3"; } # ADDRESS NAME RCODE

# --- the world around ---
ip link set lo up 2>/dev/null || :
mkdir -p /srv/ca /etc/nginx/tls /etc/nginx/placeholder
cd /srv/ca || exit 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
	-keyout key.pem -out /etc/dovad/test-ca-api.pem 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=placeholder -keyout /etc/nginx/placeholder/privkey.pem \
	-out /etc/nginx/placeholder/fullchain.pem 2>/dev/null
ln -s ../placeholder /etc/nginx/tls/www
cat >pebble.json <<'EOF'
{ "pebble": { "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "/etc/dovad/test-ca-api.pem",
  "privateKey": "/srv/ca/key.pem", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false,
  "certificateValidityPeriod": 7776000 } }
EOF
tsig-keygen dovad. >/etc/bind/dovad.key && chown bind /etc/bind/dovad.key
secret=$(sed -n 's/.*secret "\(.*\)".*/\1/p' /etc/bind/dovad.key)
install -d -o bind /var/lib/bind/127.0.0.1
cat >/var/lib/bind/127.0.0.1/root <<EOF
\$TTL 300
@ IN SOA ns1.$ZONE. hostmaster.$ZONE. 1 3600 600 86400 60
@ IN NS ns1.$ZONE.
$ZONE. IN NS ns1.$ZONE.
$ZONE. IN NS ns2.$ZONE.
ns1.$ZONE. IN A 127.0.0.1
ns2.$ZONE. IN A 127.0.0.2
*.example.org. IN A 127.0.0.1
EOF
cat >/var/lib/bind/127.0.0.1/zone <<EOF
\$TTL 300
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
@ IN NS ns1
@ IN NS ns2
ns1 IN A 127.0.0.1
ns2 IN A 127.0.0.2
EOF
ip address add 127.0.0.2/32 dev lo # BIND asks whether it is there
name_server 127.0.0.1 "zone \".\" { type primary; file \"root\"; };
zone \"$ZONE\" { type primary; file \"zone\"; notify explicit; also-notify { 127.0.0.2; }; allow-transfer { 127.0.0.2; };
	update-policy { grant dovad. name _acme-challenge.$ZONE. TXT; }; };"
name_server 127.0.0.2 "zone \"$ZONE\" { type secondary; file \"zone\"; primaries { 127.0.0.1; }; };"
systemd-run -q --unit=pebble -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=20 pebble -config /srv/ca/pebble.json -dnsserver 127.0.0.1:53 -strict
cat >/etc/nginx/sites-enabled/default <<EOF
server { listen 80 default_server; root /var/www/html; }
server { listen 443 ssl; server_name $NAME; root /var/www/html; ssl_certificate /etc/nginx/tls/www/fullchain.pem; ssl_certificate_key /etc/nginx/tls/www/privkey.pem; }
EOF
systemctl start nginx.service
until_ok openssl s_client -connect 127.0.0.1:14000 -brief </dev/null >/dev/null 2>&1

check "the secondary name server has the zone" until_ok answers 127.0.0.2 $ZONE NOERROR

# --- as an admin would ---
systemd-sysusers && systemd-tmpfiles --create
cat >/etc/dovad/dovad.conf <<'EOF'
contact = [ "mailto:hostmaster@example.org" ];
resolvers = [ "127.0.0.1" ];
ca = ( { name = "pebble"; type = "acme"; directory = "https://localhost:14000/dir"; agree_tos = true; ca_file = "test-ca-api.pem"; allow_private = true; } );
http = ( { name = "www"; type = "webroot"; path = "/var/www/html"; } );
service = ( { name = "nginx"; unit = "nginx.service"; test = [ "/usr/sbin/nginx", "-t", "-q" ]; look = [ "127.0.0.1:443" ]; } );
EOF
check "dovad -t accepts the configuration" dovad -t
check "the units start" systemctl enable --now dovad.service
check "systemd saw READY=1" systemctl is-active dovad.service
before=$(pid_of nginx)
cat >/etc/dovad/conf.d/www.conf <<EOF
certificate = { names = [ "$NAME" ]; install = ( { dir = "/etc/nginx/tls/www"; group = "www-data"; mode = "0640"; } ); service = [ "nginx" ]; };
EOF
until_ok dovactl show www
check "the dropped snippet becomes a certificate" dovactl renew www --wait
check "nginx serves what is installed" until_ok same
check "nginx was reloaded, not restarted" test "$before" = "$(pid_of nginx)"
check "group and mode of the key" test "$(stat -L -c '%G %a' /etc/nginx/tls/www/privkey.pem)" = "www-data 640"
check "no challenge file is left" test -z "$(find /var/www/html/.well-known -type f)"

# --- who may what ---
check "dovad runs as its own user" test "$(stat -c %U /proc/"$(pid_of dovad)")" = dovad -o "$(awk '/^Uid/{print $2}' /proc/"$(pid_of dovad)"/status)" = "$(id -u dovad)"
check "dovad has no capability" grep -q '^CapEff:[[:space:]]*0000000000000000$' "/proc/$(pid_of dovad)/status"
install -d -m 755 /etc/dovad/credentials && echo secret >/etc/dovad/credentials/test && chmod 644 /etc/dovad/credentials/test
systemctl restart dovad.service # what was not there at its start is hidden from the next one on
check "dovad cannot read credentials" fails nsenter -t "$(pid_of dovad)" -m cat /etc/dovad/credentials/test
check "dovad cannot read a key" fails setpriv --reuid=dovad --regid=dovad --clear-groups cat /etc/nginx/tls/www/privkey.pem
check "the keeper has three capabilities" grep -q '^CapEff:[[:space:]]*000000000000000b$' "/proc/$(pid_of dovad-keeper)/status"
check "a stranger may not renew" fails setpriv --reuid=nobody --regid=nogroup --clear-groups dovactl renew www --force
check "varlinkctl info" varlinkctl info /run/dovad/dovad.sock
check "varlinkctl introspect" varlinkctl introspect /run/dovad/dovad.sock org.dovad.Agent
check "varlinkctl call" varlinkctl call /run/dovad/dovad.sock org.dovad.Agent.Show '{"name":"www"}'
check "the interface file is valid" varlinkctl validate-idl /usr/share/varlink/org.dovad.Agent.varlink

# --- by DNS ---
(umask 077 && echo "$secret" >/etc/dovad/credentials/corp-tsig)
cat >/etc/dovad/conf.d/zone.conf <<EOF
dns = ( { name = "corp"; type = "rfc2136"; server = "127.0.0.1"; key_name = "dovad."; key_secret = "credential:corp-tsig"; zones = [ "$ZONE" ]; } );
certificate = { names = [ "$ZONE", "*.$ZONE" ]; prove = [ "dns:corp" ]; };
EOF
check "reload takes a DNS entry" systemctl reload dovad.service
check "a name and its wildcard by dynamic update" dovactl renew zone --wait
check "the certificate is for both" test "$(openssl x509 -noout -ext subjectAltName -in /var/lib/dovad-keeper/live/zone/fullchain.pem | tail -n 1)" = "    DNS:$ZONE, DNS:*.$ZONE"
check "the next renewal would work" dovactl check zone
dovactl explain zone >/explain.log
for server in ns1:127.0.0.1 ns2:127.0.0.2; do
	check "explain: ${server#*:} showed both records" test "$(grep -c "^ *${server%:*}.$ZONE *${server#*:} .* NOERROR .* OK " /explain.log)" = 2
	check "and has none any more" until_ok answers "${server#*:}" "_acme-challenge.$ZONE" NXDOMAIN
done

# --- mistakes and accidents ---
echo 'certificate = { names = [ "broken.example.org" ]; servce = [ "nginx" ]; };' >/etc/dovad/conf.d/broken.conf
check "reload tells of a broken snippet" fails systemctl reload dovad.service
check "the good one stays" dovactl show www
rm /etc/dovad/conf.d/broken.conf
check "reload is well again" systemctl reload dovad.service
kill -9 "$(pid_of dovad)"
check "dovad comes back after kill -9" until_ok dovactl renew www --force --wait
kill -9 "$(pid_of dovad-keeper)"
check "the keeper comes back after kill -9" until_ok dovactl renew www --force --wait
check "nginx serves the newest" until_ok same
printf '[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n' >/etc/systemd/system/sleeper.service
cat >/etc/dovad/conf.d/sleeper.conf <<'EOF'
service = ( { name = "sleeper"; unit = "sleeper.service"; look = [ "127.0.0.1:9" ]; } );
certificate = { names = [ "sleeper.example.org" ]; service = [ "sleeper" ]; };
EOF
systemctl reload dovad.service
check "a service that does not run is not a failure" dovactl renew sleeper --force --wait
tiny=/var/lib/dovad-keeper/live/tiny
tiny_reloads_by() {
	cat >/etc/systemd/system/tiny.service <<EOF
[Service]
ExecStart=/usr/bin/openssl s_server -quiet -www -accept 127.0.0.1:8443 -cert $tiny/cert.pem -key $tiny/privkey.pem -cert_chain $tiny/chain.pem
ExecReload=$1
EOF
	systemctl daemon-reload
}
cat >/etc/dovad/conf.d/tiny.conf <<'EOF'
service = ( { name = "tiny"; unit = "tiny.service"; look = [ "127.0.0.1:8443" ]; } );
certificate = { names = [ "tiny.example.org" ]; service = [ "tiny" ]; };
EOF
tiny_reloads_by '/bin/kill $MAINPID'
systemctl reload dovad.service
check "a certificate before its service was ever started" dovactl renew tiny --force --wait
systemctl start tiny.service
check "which then serves it" until_ok same 8443 $tiny
first=$(installed $tiny)
check "a unit that dies in its reload fails the attempt" fails dovactl renew tiny --force --wait
check "is started again" systemctl is-active tiny.service
check "with the certificate it had" test "$(installed $tiny)" = "$first"
check "and serves that" until_ok same 8443 $tiny
tiny_reloads_by /bin/true
check "a unit that goes on serving the old one fails the attempt" fails dovactl renew tiny --force --wait
check "is told of as stale" sh -c 'dovactl show tiny | grep -q stale'
check "and has the new one in place" fails same 8443 $tiny
systemctl restart tiny.service
check "once restarted it is seen" dovactl renew tiny --force --wait
check "and is right" same 8443 $tiny
sed -i 's/listen 443 ssl/listen 443 ssl; nonsense/' /etc/nginx/sites-enabled/default
check "a failing configuration test fails the attempt" fails dovactl renew www --force --wait
check "and the previous certificate is still served" same
sed -i 's/; nonsense//' /etc/nginx/sites-enabled/default
check "it goes through once mended" dovactl renew www --force --wait
sed -i 's/listen 80 /listen 8081 /' /etc/nginx/sites-enabled/default
systemctl reload nginx.service
systemctl stop dovad.service
check "port 80 for dovad itself" systemctl enable --now dovad-http.socket
cat >/etc/dovad/conf.d/own.conf <<'EOF'
http = ( { name = "own"; type = "listener"; listen = [ "systemd:http" ]; } );
certificate = { names = [ "own.example.org" ]; prove = [ "http:own" ]; };
EOF
systemctl start dovad.service
check "a certificate by the socket that was handed over" until_ok dovactl renew own --force --wait
check "stop is clean" systemctl stop dovad-http.socket dovad.service
check "and quick" test "$(systemctl show -p Result --value dovad.service)" = success
journalctl -u dovad -u dovad-keeper -u 'dovad-run@*' -o cat --no-pager >/journal.log
check "no key, no token in the journal" fails grep -qE 'BEGIN|PRIVATE|ERROR: AddressSanitizer' /journal.log
check "nor the secret of the DNS" fails grep -qF "$secret" /journal.log
[ $bad = 0 ] || { cat /explain.log; tail -n 80 /journal.log; printf '%d failed\n' "$bad"; }
exit "$((bad > 0))"
