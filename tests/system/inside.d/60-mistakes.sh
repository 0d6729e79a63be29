# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Mistakes of an admin, and processes that die or hang.
echo 'certificate = { names = [ "broken.example.org" ]; servce = [ "nginx" ]; };' >/etc/dovad/conf.d/broken.conf
check "reload tells of a broken snippet" fails systemctl reload dovad.service
check "the good one stays" dovactl show www
rm /etc/dovad/conf.d/broken.conf
check "reload is well again" systemctl reload dovad.service
told() { dovad -t 2>&1 | grep -F "/etc/dovad/conf.d/outside.conf:1: warning: dovad-keeper.service may not write to /opt/tls: "; }
snippet outside <<<'certificate = { names = [ "outside.example.org" ]; enabled = false; install = ( { dir = "/opt/tls/outside"; } ); };'
check "a target outside of the unit's folders is told" told
check "and by dovactl check" until_ok sh -c 'dovactl check outside | grep "target .*ReadWritePaths=/opt/tls"'
mkdir /opt/tls
mkdir -p /etc/systemd/system/dovad-keeper.service.d
printf '[Service]\nReadWritePaths=/opt/tls\n' >/etc/systemd/system/dovad-keeper.service.d/outside.conf
systemctl daemon-reload
systemctl restart dovad-keeper.service
check "and not any more with that drop-in" fails told
rm /etc/systemd/system/dovad-keeper.service.d/outside.conf /etc/dovad/conf.d/outside.conf
systemctl daemon-reload
systemctl restart dovad-keeper.service
kill -9 "$(pid_of dovad)"
check "dovad comes back after kill -9" until_ok dovactl renew www --force --wait
kill -9 "$(pid_of dovad-keeper)"
check "the keeper comes back after kill -9" until_ok dovactl renew www --force --wait
check "nginx serves the newest" until_ok same /etc/nginx/tls/www $NAME 443

drop_in dovad.service <<<$'[Service]\nWatchdogSec=2s'
systemctl restart dovad.service
frozen=$(pid_of dovad)
restarted() { [ "$(pid_of dovad)" != "$frozen" ] && systemctl is-active -q dovad.service; }
kill -STOP "$frozen"
check "a dovad that hangs is restarted by the watchdog" until_ok restarted
check "because of it" sh -c 'journalctl -u dovad -o cat --no-pager | grep -q "Watchdog timeout"'
alive=$(pid_of dovad)
check "and works" dovactl renew www --force --wait
drop_out dovad.service
systemctl restart dovad.service
check "one that works is left alone" test "$alive" != "$frozen" -a "$(journalctl -u dovad -o cat --no-pager | grep -c 'Watchdog timeout')" = 1

systemctl stop dovad-keeper.service
check "the socket starts the keeper when it is needed" until_ok dovactl renew www --force --wait
check "and only then" systemctl is-active dovad-keeper.service
