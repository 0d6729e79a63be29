# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# The world around: a CA, name servers, and nginx with a placeholder as an admin has it before dovad.
NAME=www.example.org
ZONE=example.net

name_server() { # ADDRESS ZONES: BIND at this address alone
	install -d -o bind "/var/lib/bind/$1"
	cat >"/etc/bind/$1.conf" <<-END
	include "/etc/bind/dovad.key";
	options { directory "/var/lib/bind/$1"; pid-file none; session-keyfile none; listen-on { $1; }; listen-on-v6 { none; }; transfer-source $1;
		notify-source $1; notify-delay 0; dnssec-validation no; };
	controls { };
	$2
	END
	systemd-run -q --unit="named-$1" named -f -u bind -n 1 -c "/etc/bind/$1.conf"
}
answers() { dig +norecurse "@$1" "$2" TXT | grep "status: $3"; } # ADDRESS NAME RCODE
selfsigned() { # NAME KEY CERTIFICATE [openssl options]
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj "/CN=$1" -keyout "$2" -out "$3" "${@:4}" 2>/dev/null
}

ip link set lo up 2>/dev/null || :
ip address add 127.0.0.2/32 dev lo # BIND asks whether it is there
mkdir -p /srv/ca /etc/nginx/tls /etc/nginx/placeholder
selfsigned localhost /srv/ca/key.pem /etc/dovad/test-ca-api.pem -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1'
selfsigned placeholder /etc/nginx/placeholder/privkey.pem /etc/nginx/placeholder/fullchain.pem
ln -s ../placeholder /etc/nginx/tls/www
cat >/srv/ca/pebble.json <<'END'
{ "pebble": { "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "/etc/dovad/test-ca-api.pem",
  "privateKey": "/srv/ca/key.pem", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false,
  "certificateValidityPeriod": 7776000 } }
END
tsig-keygen dovad. >/etc/bind/dovad.key && chown bind /etc/bind/dovad.key
secret=$(sed -n 's/.*secret "\(.*\)".*/\1/p' /etc/bind/dovad.key)
install -d -o bind /var/lib/bind/127.0.0.1
cat >/var/lib/bind/127.0.0.1/root <<END
\$TTL 300
@ IN SOA ns1.$ZONE. hostmaster.$ZONE. 1 3600 600 86400 60
@ IN NS ns1.$ZONE.
$ZONE. IN NS ns1.$ZONE.
$ZONE. IN NS ns2.$ZONE.
ns1.$ZONE. IN A 127.0.0.1
ns2.$ZONE. IN A 127.0.0.2
*.example.org. IN A 127.0.0.1
END
cat >/var/lib/bind/127.0.0.1/zone <<'END'
$TTL 300
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
@ IN NS ns1
@ IN NS ns2
ns1 IN A 127.0.0.1
ns2 IN A 127.0.0.2
END
name_server 127.0.0.1 "zone \".\" { type primary; file \"root\"; };
zone \"$ZONE\" { type primary; file \"zone\"; notify explicit; also-notify { 127.0.0.2; }; allow-transfer { 127.0.0.2; };
	update-policy { grant dovad. name _acme-challenge.$ZONE. TXT; }; };"
name_server 127.0.0.2 "zone \"$ZONE\" { type secondary; file \"zone\"; primaries { 127.0.0.1; }; };"
systemd-run -q --unit=pebble -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_AUTHZREUSE=0 pebble -config /srv/ca/pebble.json -dnsserver 127.0.0.1:53 -strict
cat >/etc/nginx/sites-enabled/default <<END
server { listen 80 default_server; root /var/www/html; }
server { listen 443 ssl; server_name $NAME; root /var/www/html; ssl_certificate /etc/nginx/tls/www/fullchain.pem; ssl_certificate_key /etc/nginx/tls/www/privkey.pem; }
END
systemctl start nginx.service
until_ok openssl s_client -connect 127.0.0.1:14000 -brief </dev/null >/dev/null 2>&1

check "the secondary name server has the zone" until_ok answers 127.0.0.2 $ZONE NOERROR
