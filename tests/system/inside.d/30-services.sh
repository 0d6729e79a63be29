# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Real servers, each by the definition that comes with dovad: what it says about the program's configuration is done here, the snippet only names it.
# The certificate is there before the program is configured for it; then the program starts, and takes the next one by a reload.
service() { # SERVICE PORT [STARTTLS]: needs MAIN (its main process) and CONFIGURE (commands); INSTALL (of the snippet) if it wants a target
	local name=$1.example.org folder=${TARGET:-$LIVE/$1} before start
	snippet "$1" <<-END
	certificate = { names = [ "$name" ]; ${INSTALL:-}service = [ "$1" ]; };
	END
	check "$1: a certificate before it is configured" issued "$1"
	check "$1: is configured and starts" eval "$CONFIGURE"
	check "$1: serves it" until_ok same "$folder" "$name" "${@:2}"
	before=$(eval "$MAIN")
	start=$(mark)
	check "$1: the next one is issued, installed and seen" dovactl renew "$1" --force --wait
	check "$1: it is what is served" same "$folder" "$name" "${@:2}"
	check "$1: dovad tells so" sh -c "dovactl --json show $1 | grep -q '\"ok\": *true'"
	check "$1: its main process is the same ($before)" test "$before" -gt 1 -a "$before" = "$(eval "$MAIN")"
	check "$1: by one test and one reload, each a process of its own" said 2 "$start" "Started dovad-run@"
	TARGET='' INSTALL=''
}
free() { fails openssl s_client -connect "127.0.0.1:$1" -brief; } # PORT

if [ -x /usr/sbin/postfix ]; then
	MAIN='tr -dc 0-9 </var/spool/postfix/pid/master.pid'
	CONFIGURE='postconf -e myhostname=postfix.example.org inet_protocols=ipv4 smtpd_tls_security_level=may \
		smtpd_tls_chain_files=$LIVE/postfix/privkey.pem,$LIVE/postfix/fullchain.pem && systemctl restart postfix.service'
	service postfix 25 smtp
fi
if [ -x /usr/sbin/exim4 ]; then
	MAIN='cat /run/exim4/exim.pid'
	TARGET=/etc/exim4/tls/exim4
	INSTALL='install = ( { dir = "/etc/exim4/tls/exim4"; group = "Debian-exim"; } ); '
	CONFIGURE='printf "MAIN_TLS_ENABLE = yes\nMAIN_TLS_CERTIFICATE = $TARGET/fullchain.pem\nMAIN_TLS_PRIVATEKEY = $TARGET/privkey.pem\n" \
		>/etc/exim4/exim4.conf.localmacros && systemctl restart exim4.service'
	service exim4 25 smtp
fi

MAIN='pid_of dovecot'
CONFIGURE='sed -i "/^ *ssl_\(server_\)\?\(cert\|key\)\(_file\)\? *=/d" /etc/dovecot/conf.d/10-ssl.conf && if dovecot --version | grep -q ^2.3
	then printf "ssl_cert = <$LIVE/dovecot/fullchain.pem\nssl_key = <$LIVE/dovecot/privkey.pem\n"
	else printf "ssl_server_cert_file = $LIVE/dovecot/fullchain.pem\nssl_server_key_file = $LIVE/dovecot/privkey.pem\n"
	fi >>/etc/dovecot/conf.d/10-ssl.conf && systemctl restart dovecot.service'
service dovecot 143 imap

MAIN='head -n 1 /var/lib/postgresql/*/main/postmaster.pid'
TARGET=/etc/postgresql/postgresql
INSTALL='install = ( { dir = "/etc/postgresql/postgresql"; owner = "root"; group = "postgres"; } ); '
CONFIGURE='printf "ssl = on\nssl_cert_file = '\''$TARGET/fullchain.pem'\''\nssl_key_file = '\''$TARGET/privkey.pem'\''\n" \
	>>$(echo /etc/postgresql/*/main/postgresql.conf) && systemctl restart postgresql.service'
service postgresql 5432 postgres

# nginx keeps port 80, where names are proved; port 443 goes from one to the other.
port443=$(sed -n /443/p /etc/nginx/sites-enabled/default)
sed -i /443/d /etc/nginx/sites-enabled/default
systemctl reload nginx.service
check "nginx gives port 443 away" until_ok free 443

MAIN='pid_of apache2'
TARGET=/etc/apache2/tls/apache2
INSTALL='install = ( { dir = "/etc/apache2/tls/apache2"; } ); '
CONFIGURE='a2enmod -q ssl && echo "Listen 443" >/etc/apache2/ports.conf && printf "<VirtualHost *:443>\nServerName apache2.example.org\nSSLEngine on
SSLCertificateFile $TARGET/fullchain.pem\nSSLCertificateKeyFile $TARGET/privkey.pem\n</VirtualHost>\n" >/etc/apache2/sites-enabled/000-default.conf &&
	systemctl start apache2.service'
service apache2 443
systemctl stop apache2.service

MAIN='pid_of haproxy'
TARGET=/etc/haproxy/tls/haproxy
INSTALL='install = ( { dir = "/etc/haproxy/tls/haproxy"; bundle = true; } ); '
CONFIGURE='printf "frontend tls\n bind 127.0.0.1:443 ssl crt $TARGET/bundle.pem\n mode http\n http-request return status 200\n" >>/etc/haproxy/haproxy.cfg &&
	systemctl start haproxy.service'
service haproxy 443
snippet haproxy-api <<'END'
service = ( { name = "haproxy"; haproxy = "/run/haproxy/admin.sock"; unit = "haproxy.service"; look = [ "127.0.0.1:443" ]; } );
END
systemctl reload dovad.service
start=$(mark)
check "haproxy: the next one by its runtime API" dovactl renew haproxy --force --wait
check "haproxy: it is what is served" same /etc/haproxy/tls/haproxy haproxy.example.org 443
check "haproxy: without a reload" said 0 "$start" "Reload\(ing\|ed\) haproxy.service"
systemctl stop haproxy.service

MAIN='pid_of lighttpd'
TARGET=/etc/lighttpd/tls/lighttpd
INSTALL='install = ( { dir = "/etc/lighttpd/tls/lighttpd"; group = "www-data"; } ); '
CONFIGURE='sed -i "s/^server.port .*/server.port = 8082/" /etc/lighttpd/lighttpd.conf && printf "server.modules += ( \"mod_openssl\" )
\$SERVER[\"socket\"] == \"127.0.0.1:443\" {\nssl.engine = \"enable\"\nssl.pemfile = \"$TARGET/fullchain.pem\"\nssl.privkey = \"$TARGET/privkey.pem\"\n}\n" \
		>/etc/lighttpd/conf-enabled/10-ssl.conf && systemctl start lighttpd.service'
service lighttpd 443
systemctl stop lighttpd.service

# Looked at where another one listens now they would count as drifted, and be put into service again.
rm /etc/dovad/conf.d/apache2.conf /etc/dovad/conf.d/haproxy*.conf /etc/dovad/conf.d/lighttpd.conf
systemctl reload dovad.service
printf '%s\n' "$port443" >>/etc/nginx/sites-enabled/default
systemctl reload nginx.service
check "nginx has port 443 again" until_ok same /etc/nginx/tls/www $NAME 443
