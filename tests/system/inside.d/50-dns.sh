# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# By DNS, with a secret: of a file, then of the service manager.
(umask 077 && echo "$secret" >/etc/dovad/credentials/corp-tsig)
snippet zone <<END
dns = ( { name = "corp"; type = "rfc2136"; server = "127.0.0.1"; key_name = "dovad."; key_secret = "credential:corp-tsig"; zones = [ "$ZONE" ]; } );
certificate = { names = [ "$ZONE", "*.$ZONE" ]; prove = [ "dns:corp" ]; };
END
check "reload takes a DNS entry" systemctl reload dovad.service
check "and is over when it is in force" dovactl show zone
check "a name and its wildcard by dynamic update" issued zone
check "the certificate is for both" test "$(openssl x509 -noout -ext subjectAltName -in $LIVE/zone/fullchain.pem | tail -n 1)" = "    DNS:$ZONE, DNS:*.$ZONE"
check "the next renewal would work" dovactl check zone
dovactl explain zone >/explain.log
for server in ns1:127.0.0.1 ns2:127.0.0.2; do
	check "explain: ${server#*:} showed both records" test "$(grep -c "^ *${server%:*}.$ZONE *${server#*:} .* NOERROR .* OK " /explain.log)" = 2
	check "and has none any more" until_ok answers "${server#*:}" "_acme-challenge.$ZONE" NXDOMAIN
done

mv /etc/dovad/credentials/corp-tsig /root/tsig
drop_in dovad-keeper.service <<<$'[Service]\nLoadCredential=corp-tsig:/root/tsig'
systemctl restart dovad-keeper.service dovad.service
check "the secret is a credential of the keeper's unit alone" test -s /run/credentials/dovad-keeper.service/corp-tsig -a ! -e /etc/dovad/credentials/corp-tsig
check "which others cannot read" fails as dovad cat /run/credentials/dovad-keeper.service/corp-tsig
check "and with which updates are signed" dovactl renew zone --force --wait
