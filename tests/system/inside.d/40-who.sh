# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Who may what: of the processes, and of the people.
status_of() { cat "/proc/$(pid_of "$1")/status"; }
check "dovad runs as its own user" test "$(status_of dovad | awk '/^Uid/ { print $2, $3, $4, $5 }' | tr ' ' '\n' | sort -u)" = "$(id -u dovad)"
check "dovad has no capability" grep -q '^CapEff:[[:space:]]*0000000000000000$' <(status_of dovad)
install -d -m 755 /etc/dovad/credentials && echo secret >/etc/dovad/credentials/test && chmod 644 /etc/dovad/credentials/test
systemctl restart dovad.service # what was not there at its start is hidden from the next one on
check "a restart is over when dovad answers" dovactl version
check "dovad cannot read credentials" fails nsenter -t "$(pid_of dovad)" -m cat /etc/dovad/credentials/test
check "dovad cannot read a key" fails setpriv --reuid=dovad --regid=dovad --clear-groups cat /etc/nginx/tls/www/privkey.pem
check "the keeper has three capabilities" grep -q '^CapEff:[[:space:]]*000000000000000b$' <(status_of dovad-keeper)
check "the keeper has no network" fails nsenter -t "$(pid_of dovad-keeper)" -n openssl s_client -connect 127.0.0.1:443 -brief

for half in dovad dovad-keeper; do
	check "$half confines itself" sh -c "journalctl -u $half -o cat --no-pager | grep 'confined for good' | tail -n 1 | grep -v 'no:'"
done
if [ "$(systemd-run -q --pipe --wait -p LimitMEMLOCK=infinity sh -c 'ulimit -l')" = unlimited ]; then
	check "the keeper's memory is locked" grep -q '^VmLck:[[:space:]]*[1-9]' <(status_of dovad-keeper)
else
	echo "--    left out: the keeper's memory is locked: the limit cannot be lifted on this host"
fi

useradd -G dovad-admin admin
useradd -G dovad reader
useradd stranger
check "a member of dovad-admin renews" as admin dovactl renew www --force --wait
check "and reloads" as admin dovactl reload
check "a member of dovad reads" as reader dovactl show www
check "but may not renew" ends_with 77 as reader dovactl renew www --force
check "nor reload" ends_with 77 as reader dovactl reload
check "nor revoke" ends_with 77 as reader dovactl revoke www
check "a stranger may not read" ends_with 77 as stranger dovactl show www
check "nor renew" ends_with 77 as stranger dovactl renew www --force
for who in dovad:keeper dovad-keeper:run; do
	check "${who#*:}.sock is for ${who%:*}" as "${who%:*}" perl -e "$connect" "/run/dovad-keeper/${who#*:}.sock"
	check "not for members of dovad-admin" fails as admin perl -e "$connect" "/run/dovad-keeper/${who#*:}.sock"
done
check "nor run.sock for dovad" fails as dovad perl -e "$connect" /run/dovad-keeper/run.sock
if command -v varlinkctl >/dev/null; then
	check "varlinkctl info" varlinkctl info /run/dovad/dovad.sock
	check "varlinkctl introspect" varlinkctl introspect /run/dovad/dovad.sock org.dovad.Agent
	check "varlinkctl call" varlinkctl call /run/dovad/dovad.sock org.dovad.Agent.Show '{"name":"www"}'
	check "the interface file is valid" varlinkctl validate-idl /usr/share/varlink/org.dovad.Agent.varlink
fi
