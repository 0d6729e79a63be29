# SPDX-License-Identifier: ISC
"""What a recursive server says by HTTPS (RFC 8484): beside the name servers of the zone, instead of them, and when it cannot show who it is."""
import pytest

from conftest import root_only
from lab import check_pair, wait_until
from lab_base import free_ports
from lab_certs import self_signed
from test_dns_issue import CHALLENGE, THEIRS, assert_never_poisoned, begin, pair, seen

HOST = "dns.example.org"
RECORDS = (THEIRS, "dns IN A 127.0.0.1")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# Root, since dovad is to have a bundle of trusted CAs of its own where the system has its.
pytestmark = [root_only, pytest.mark.parametrize("world", [{"mode": "supervisor"}], indirect=True, ids=["root"])]


class Doh:
    """A recursive server that keeps nothing, known as HOST; its certificate is for `name`."""

    def __init__(self, world, instead=None, name=HOST):
        self.lab = world.lab
        self_signed(self.lab.fixtures, [name], "doh.key", "doh.pem")
        self.server = world.recursive("doh", instead, of_a_ca=True, https=[self.lab.fixtures / "doh.key", self.lab.fixtures / "doh.pem"])
        self.url = "https://%s:%d/dns-query" % (HOST, self.server.https_port)

    def trusted(self):
        """Words that start a program which trusts its certificate, and no other one."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" %s && exec "$@"' % BUNDLE, self.lab.fixtures / "doh.pem"]

    def asked(self):
        return self.server.questions(CHALLENGE)


def test_second_opinion(world):
    """The zone's server shows the record, the one behind HTTPS meets one that is late: the CA waits for it."""
    primary, _ = pair(world, told=False, records=RECORDS)
    ours, late = world.hosts
    world.open(outside={"example.org": [ours]})
    doh = Doh(world, {"example.org": [late]})
    lab = begin(world, world.entry("corp", primary, 'servers = [ "%s" ]; opinions = [ "%s" ];' % (ours, doh.url)), wrapper=doh.trusted())
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    said = wait_until(lambda: [o for o in seen(lab, "site").get("opinions", []) if o["asked"] > 1], 30, lambda: "an opinion: %s" % seen(lab, "site"))[0]
    assert said["server"] == doh.url and not said["ok"] and said["text"].startswith("another value, kept for"), said
    assert lab.pebble.requests("POST", "/chalZ") == 0
    world.tell("example.org", late, ours)
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site", ["example.org", "*.example.org"])
    after = seen(lab, "site")
    assert after["ok"] and after["opinions"][0]["ok"] and "text" not in after["opinions"][0], after
    assert {t for _, t in doh.asked()} == {"TXT"} and primary.txt(CHALLENGE) == ["theirs"]
    assert_never_poisoned(world)


@pytest.mark.parametrize("check", ["doh", "authoritative"])
def test_port_53_is_closed(world, check):
    """Nobody but the one behind HTTPS is asked for the record: by `check`, whatever else is among `opinions`, or found out and announced."""
    primary, _ = pair(world, records=RECORDS)
    world.open()
    doh, lab = Doh(world), world.lab
    lab.settings["dns_port"] = str(free_ports(1)[0])
    others = '"%s", ' % world.resolver.at if check == "doh" else ""
    lab = begin(world, world.entry("corp", primary, 'check = "%s"; opinions = [ %s"%s" ];' % (check, others, doh.url)), wrapper=doh.trusted())
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    look = seen(lab, "site")
    assert look["ok"] and [(o["server"], o["ok"]) for o in look["opinions"]] == [(doh.url, True)], look
    assert ("fallback" in look) == (check == "authoritative")
    assert doh.asked()
    wait_until(lambda: primary.txt(CHALLENGE) == ["theirs"], 10, "only theirs")
    assert_never_poisoned(world)


@pytest.mark.parametrize("name, why", [(HOST, "self-signed certificate"), ("other.example.org", "no alternative certificate subject name matches")])
def test_who_is_it(world, name, why):
    """A certificate nobody vouches for, or another's: the name is not even told to such a server, and the CA is not asked. Who it is and why is said."""
    primary, _ = pair(world, records=RECORDS)
    world.open()
    doh = Doh(world, name=name)
    lab = begin(world, world.entry("corp", primary, 'timeout = "4s"; opinions = [ "%s" ];' % doh.url), wrapper=() if name == HOST else doh.trusted())
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert error["type"] == "opinion" and doh.url in error["detail"] and why in error["detail"], error
    said = seen(lab, "site")["opinions"][0]
    assert not said["ok"] and said["server"] == doh.url and said["asked"] > 1, said
    assert why in said["text"] and said["text"].endswith("trusted CAs come from " + BUNDLE), said
    told = lab.ctl.run("explain", "site", json_out=False).stdout
    assert doh.url in told and why in told and "`opinions`" in told, told
    assert lab.pebble.requests("POST", "/chalZ") == 0 and doh.asked() == [] and primary.txt(CHALLENGE) == ["theirs"]
    assert_never_poisoned(world)
