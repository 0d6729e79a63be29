# SPDX-License-Identifier: ISC
"""DNS-01 across a network: name servers on machines of their own (network namespaces behind cables), at port 53, over IPv4 and IPv6."""
import os
import subprocess

import pytest

from conftest import root_only
from dns_servers import Knot, Nsd, Zone
from dns_world import KEY, World
from lab import check_pair, wait_until
from test_dns_issue import assert_never_poisoned, begin, proofs

pytestmark = root_only


def ip(*words, on=()):
    subprocess.run([*on, "ip", *words], check=True)


class Host:
    """A machine at the other end of a cable; ours is their router. It has 198.18.N.2 unless it is of the newer kind, and fd00:N::2."""

    def __init__(self, n, ipv4=True):
        self.cable, self.v4, self.v6 = "host%d" % n, "198.18.%d.2" % n if ipv4 else None, "fd00:%d::2" % n
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # until its input ends
        ours = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink("/proc/%d/ns/net" % self.holder.pid) != ours, 10, "a network namespace")
        self.words = ["nsenter", "--net=/proc/%d/ns/net" % self.holder.pid]
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        for end, on, last in ((self.cable, (), 1), ("eth0", self.words, 2)):
            if ipv4:
                ip("address", "add", "198.18.%d.%d/24" % (n, last), "dev", end, on=on)
            ip("address", "add", "fd00:%d::%d/64" % (n, last), "dev", end, "nodad", on=on)
            ip("link", "set", end, "up", on=on)
        ip("link", "set", "lo", "up", on=self.words)
        if ipv4:
            ip("route", "add", "default", "via", "198.18.%d.1" % n, on=self.words)
        ip("-6", "route", "add", "default", "via", "fd00:%d::1" % n, on=self.words)

    @property
    def addresses(self):
        return [a for a in (self.v4, self.v6) if a]

    def pull(self):
        """The cable."""
        ip("link", "set", self.cable, "down")

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()  # the namespace goes, and the cable with it


@pytest.fixture
def hosts():
    """Two: one of both kinds, one with IPv6 alone."""
    for kind in "ipv4/ip_forward", "ipv6/conf/all/forwarding":  # of our own network: see conftest
        with open("/proc/sys/net/" + kind, "w", encoding="ascii") as f:
            f.write("1")
    made = []
    try:
        made += [Host(1)]
        made += [Host(2, ipv4=False)]
        yield made
    finally:
        for h in made:
            h.close()


@pytest.fixture
def world(make_lab, hosts):
    one = World(make_lab())
    one.port = 53
    a, b = hosts
    ns = {"ns1": a.addresses, "ns2": b.addresses}
    one.primary = one.serve(Knot, a.addresses[::-1], Zone("example.org", update=[KEY], notify=[b.v6], ns=ns), on=a.words)
    one.secondary = one.serve(Nsd, b.addresses, Zone("example.org", primary=a.v6), on=b.words)
    yield one
    one.close()


def told(lab, name):
    return {s["address"]: s["verdict"] for p in proofs(lab, name) for s in p["seen"]["servers"]}


def test_hosts(world, hosts):
    """The update goes over IPv6; each address of both machines is looked at, in its own kind. A machine that cannot be reached any more is told, by kind and
    reason, and stands in nobody's way."""
    a, b = hosts
    lab = begin(world, world.entry("corp", world.primary))
    assert world.primary.address == "[%s]:53" % a.v6
    lab.snippet("first", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("first")
    check_pair(lab, lab.live / "first", ["example.org", "*.example.org"])
    assert told(lab, "first") == {a.v4: "OK", a.v6: "OK", b.v6: "OK"}
    b.pull()
    lab.snippet("second", ["www.example.org"], prove='"dns:corp"')
    lab.wait_issued("second")
    assert told(lab, "second") == {a.v4: "OK", a.v6: "OK", b.v6: "NOROUTE"}
    text = lab.ctl.run("explain", "second", json_out=False).stdout
    assert b.v6 in text and "NOROUTE" in text and "Network is unreachable" in text, text
    assert_never_poisoned(world)
