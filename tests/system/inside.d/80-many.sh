# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Two hundred certificates for one nginx, in one snippet: one test of its configuration and one reload for all of them.
[ -x /usr/sbin/postfix ] || return 0 # once is enough: in the root with Postfix
MANY=200
hosts=$(seq -f 'n%03g' $MANY)
for h in $hosts; do
	ln -s ../placeholder "/etc/nginx/tls/$h"
	printf 'server { listen 443 ssl; server_name %s.example.org; ssl_certificate /etc/nginx/tls/%s/fullchain.pem; ssl_certificate_key /etc/nginx/tls/%s/privkey.pem; }\n' \
		"$h" "$h" "$h"
done >/etc/nginx/conf.d/many.conf
systemctl reload nginx.service
renew_all() { # in one go, as when all of them are due
	perl -e 'use IO::Socket::UNIX; $/ = "\0"; my $s = IO::Socket::UNIX->new(Peer => "/run/dovad/dovad.sock") or die;
		print $s join("", map { "{\"method\":\"org.dovad.Agent.Renew\",\"parameters\":{\"name\":\"$_\",\"force\":true}}\0" } @ARGV);
		$s->flush; for (@ARGV) { my $r = <$s>; die $r if $r =~ /"error"/ }' $hosts
}
all_at_rest() { TRIES=120 EVERY=1 until_ok at_rest 'n???' $MANY "$1"; } # GENERATION
once() { # MARK WHEN
	check "$2: one test and one reload" said 2 "$1" "Started dovad-run@"
	check "$2: one reload, says nginx.service" said 1 "$1" "Reloaded nginx.service"
	for h in n001 n100 n200; do
		check "$2: $h is served" same "/etc/nginx/tls/$h" "$h.example.org" 443
	done
}

before=$(pid_of nginx)
start=$(mark)
snippet many < <(
	echo 'certificate = ('
	for h in $hosts; do
		printf '{ name = "%s"; names = [ "%s.example.org" ]; install = ( { dir = "/etc/nginx/tls/%s"; } ); service = [ "nginx" ]; }' "$h" "$h" "$h"
		[ "$h" = "n$MANY" ] || echo ,
	done
	echo ');'
)
check "200 in one snippet" all_at_rest 1
once "$start" "200 in one snippet"
start=$(mark)
check "200 renewed together" renew_all
check "all of them" all_at_rest 2
once "$start" "200 renewed together"
check "by the same nginx" test "$before" = "$(pid_of nginx)"
rm /etc/dovad/conf.d/many.conf
systemctl reload dovad.service
