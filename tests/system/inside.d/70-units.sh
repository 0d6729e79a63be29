# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Units that do not run, die in their reload, go on serving the old certificate, hang; and a test that fails.
unit() { # NAME RELOAD PORT: openssl s_server with the certificate of this name
	cat >"/etc/systemd/system/$1.service" <<-END
	[Service]
	ExecStart=/usr/bin/openssl s_server -quiet -www -accept 127.0.0.1:$3 -cert $LIVE/$1/cert.pem -key $LIVE/$1/privkey.pem -cert_chain $LIVE/$1/chain.pem
	ExecReload=$2
	END
	systemctl daemon-reload
}
tiny=$LIVE/tiny
printf '[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n' >/etc/systemd/system/sleeper.service
snippet sleeper <<'END'
service = ( { name = "sleeper"; unit = "sleeper.service"; look = [ "127.0.0.1:9" ]; } );
certificate = { names = [ "sleeper.example.org" ]; service = [ "sleeper" ]; };
END
snippet tiny <<'END'
service = ( { name = "tiny"; unit = "tiny.service"; look = [ "127.0.0.1:8443" ]; } );
certificate = { names = [ "tiny.example.org" ]; service = [ "tiny" ]; };
END
snippet slow <<'END'
service = ( { name = "slow"; unit = "slow.service"; look = [ "127.0.0.1:8444" ]; timeout = "5s"; } );
certificate = { names = [ "slow.example.org" ]; service = [ "slow" ]; };
END
unit tiny '/bin/kill $MAINPID' 8443
unit slow '/bin/sleep infinity' 8444
systemctl reload dovad.service
check "a service that does not run is not a failure" dovactl renew sleeper --force --wait
check "a certificate before its service was ever started" dovactl renew tiny --force --wait
systemctl start tiny.service
check "which then serves it" until_ok same $tiny tiny.example.org 8443
first=$(installed $tiny)
check "a unit that dies in its reload fails the attempt" fails dovactl renew tiny --force --wait
check "is started again" systemctl is-active tiny.service
check "with the certificate it had" test "$(installed $tiny)" = "$first"
check "and serves that" until_ok same $tiny tiny.example.org 8443
unit tiny /bin/true 8443
check "a unit that goes on serving the old one fails the attempt" fails dovactl renew tiny --force --wait
check "is told of as stale" sh -c 'dovactl show tiny | grep -q stale'
check "and has the new one in place" fails same $tiny tiny.example.org 8443
systemctl restart tiny.service
check "once restarted it is seen" dovactl renew tiny --force --wait
check "and is right" same $tiny tiny.example.org 8443

slow=$LIVE/slow
check "a certificate for a unit that will hang" issued slow
systemctl start slow.service
check "which serves it" until_ok same $slow slow.example.org 8444
first=$(installed $slow)
dovactl renew slow --force --wait >/slow.log 2>&1 &
hanging=$!
check "its reload hangs" until_ok sh -c 'systemctl show -p ActiveState --value slow.service | grep -qx reloading'
check "others are not delayed by that" dovactl renew www --force --wait
check "they were done before it" kill -0 $hanging
wait $hanging
check "a unit that hangs in its reload fails the attempt" test $? = 1
check "and that is told" grep -q "slow.service: cannot await the end of its job: no answer from the service manager in time" /slow.log
check "it has the certificate it had" test "$(installed $slow)" = "$first"
check "and serves that" same $slow slow.example.org 8444
systemctl stop slow.service
rm /etc/dovad/conf.d/{sleeper,tiny,slow}.conf # or what failed here would be tried again beside what comes
systemctl reload dovad.service

sed -i 's/listen 443 ssl/listen 443 ssl; nonsense/' /etc/nginx/sites-enabled/default
check "a failing configuration test fails the attempt" fails dovactl renew www --force --wait
check "and the previous certificate is still served" same /etc/nginx/tls/www $NAME 443
sed -i 's/; nonsense//' /etc/nginx/sites-enabled/default
check "it goes through once mended" dovactl renew www --force --wait

first=$(installed /etc/nginx/tls/www)
check "another certificate" dovactl renew www --force --wait
check "and the way back to the one before" dovactl rollback www --wait
check "is taken" test "$(installed /etc/nginx/tls/www)" = "$first"
check "and seen" same /etc/nginx/tls/www $NAME 443
