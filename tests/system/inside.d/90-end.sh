# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# dovad's own listener by socket activation; what is left at the end.
sed -i 's/listen 80 /listen 8081 /' /etc/nginx/sites-enabled/default
systemctl reload nginx.service
systemctl stop dovad.service
check "port 80 for dovad itself" until_ok systemctl enable --now dovad-http.socket
snippet own <<'END'
http = ( { name = "own"; type = "listener"; listen = [ "systemd:http" ]; } );
certificate = { names = [ "own.example.org" ]; prove = [ "http:own" ]; };
END
systemctl start dovad.service
check "a certificate by the socket that was handed over" until_ok dovactl renew own --force --wait

ours() { # those of ours that run now: user, program
	local p exe
	for p in /proc/[0-9]*; do
		exe=$(readlink "$p/exe") && case $exe in */dovad | */dovad-*) echo "$(awk '/^Uid/ { print $3 }' "$p/status") ${exe##*/}" ;; esac
	done
}
none_is_root() { ours | grep -q . && fails grep '^0 ' <(ours); }
check "no process of ours is root" until_ok none_is_root
check "they are two" test "$(ours | sort)" = "$(printf '%s dovad\n%s dovad-keeper\n' "$(id -u dovad)" "$(id -u dovad-keeper)" | sort)"
check "stop is clean" systemctl stop dovad-http.socket dovad.service
check "and quick" test "$(systemctl show -p Result --value dovad.service)" = success
journal >/journal.log
check "no key, no token in the journal" fails grep -qE 'BEGIN|PRIVATE|ERROR: AddressSanitizer' /journal.log
check "nor the secret of the DNS" fails grep -qF "$secret" /journal.log
