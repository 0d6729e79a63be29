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
{ "pebble": { "listenAddress": "127.0.0.1:14001", "managementListenAddress": "127.0.0.1:15000", "certificate": "/etc/dovad/test-ca-api.pem",
  "privateKey": "/srv/ca/key.pem", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false,
  "certificateValidityPeriod": 7776000 } }
END
# Pebble hangs now and then when hundreds of orders run at once: newOrder and authorizations reach it one at a time.
cat /etc/dovad/test-ca-api.pem /srv/ca/key.pem >/srv/ca/both.pem
cat >/srv/ca/front.cfg <<'END'
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend ca
  bind 127.0.0.1:14000 ssl crt /srv/ca/both.pem alpn h2,http/1.1
  acl one path /order-plz
  acl one path_beg /authZ/
  use_backend serial if one
  default_backend free
backend serial
  server p 127.0.0.1:14001 ssl verify none maxconn 1
backend free
  server p 127.0.0.1:14001 ssl verify none
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
systemd-run -q --unit=ca-front haproxy -db -f /srv/ca/front.cfg
cat >/etc/nginx/sites-enabled/default <<END
server { listen 80 default_server; root /var/www/html; }
server { listen 443 ssl; server_name $NAME; root /var/www/html; ssl_certificate /etc/nginx/tls/www/fullchain.pem; ssl_certificate_key /etc/nginx/tls/www/privkey.pem; }
END
systemctl start nginx.service
for port in 14000 14001; do
	until_ok openssl s_client -connect 127.0.0.1:$port -brief </dev/null >/dev/null 2>&1
done

check "the secondary name server has the zone" until_ok answers 127.0.0.2 $ZONE NOERROR
