# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# The main job, as README tells an admin: the units, dovad.conf, one snippet for nginx.
check "the installed units confine as they should" python3 /src/tests/check-units /usr/lib/systemd/system
systemd-sysusers && systemd-tmpfiles --create
cat >/etc/dovad/dovad.conf <<'END'
contact = [ "mailto:hostmaster@example.org" ];
resolvers = [ "127.0.0.1" ];
ca = ( { name = "pebble"; type = "acme"; directory = "https://localhost:14000/dir"; agree_tos = true; ca_file = "test-ca-api.pem"; allow_private = true; } );
http = ( { name = "www"; type = "webroot"; path = "/var/www/html"; } );
END
check "dovad -t accepts the configuration" dovad -t
check "the units start" systemctl enable --now dovad.service
check "systemd saw READY=1" systemctl is-active dovad.service
check "and then it answers" dovactl version
before=$(pid_of nginx)
snippet www <<END
certificate = { names = [ "$NAME" ]; install = ( { dir = "/etc/nginx/tls/www"; group = "www-data"; mode = "0640"; } ); service = [ "nginx" ]; };
END
check "the dropped snippet becomes a certificate" issued www
check "nginx serves what is installed" until_ok same /etc/nginx/tls/www $NAME 443
check "nginx was reloaded, not restarted" test "$before" = "$(pid_of nginx)"
check "group and mode of the key" test "$(stat -L -c '%G %a' /etc/nginx/tls/www/privkey.pem)" = "www-data 640"
check "no challenge file is left" test -z "$(find /var/www/html/.well-known -type f)"
