# SPDX-License-Identifier: ISC
"""DNS-01 end to end: records written to real name servers, seen on all of them by dovad, believed by Pebble through a recursive server of its own."""
import os
import signal
import threading
import time

import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.tsig
import pytest

from conftest import root_only
from dns_servers import Bind, Knot, Nsd, PowerDns, Zone
from dns_world import KEY, World, forward, forward_bytes
from lab import CI, check_pair, tail, wait_until
from lab_base import free_hosts, free_ports
from test_crash import again

THEIRS = '_acme-challenge IN TXT "theirs"'
CHALLENGE = "_acme-challenge.example.org"


@pytest.fixture
def world(make_lab):
    for kind in Bind, Knot, PowerDns, Nsd:
        if not kind.is_installed():
            (pytest.fail if CI else pytest.skip)(kind.program + " is not installed")
    lab = make_lab()
    one = World(lab)
    yield one
    for log in sorted(one.place.logs.glob("*.log")):
        print("--- %s\n%s" % (log.name, tail(log, 25)))
    one.close()


def trio(world, kinds=(Bind, Bind, Bind), told=2, more_ns=None, records=(THEIRS,)):
    """example.org on a primary and two secondaries, the first `told` of which get a NOTIFY of each change. All three are its name servers."""
    a, b, c = free_hosts(3)
    ns = {"ns1": [a], "ns2": [b], "ns3": [c]}
    ns.update(more_ns or {})
    world.hosts = a, b, c
    primary = world.serve(kinds[0], a, Zone("example.org", records, update=[KEY], notify=[b, c][:told], fetch=[b, c][told:], ns=ns))
    return [primary] + [world.serve(kind, host, Zone("example.org", primary=a)) for kind, host in zip(kinds[1:], (b, c))]


def begin(world, *entries, **pebble):
    """All that is not DNS; dovad runs."""
    lab = world.lab
    if not world.ca:
        world.open()
    lab.pebble = lab.start_pebble(**dict(dict(nonce_reject=0, authz_reuse=0, resolver=world.ca.at), **pebble))
    lab.dns_entries = list(entries)
    lab.start()
    return lab


def proofs(lab, name):
    """Those of the order that is under way, or else of the last."""
    shown = lab.ctl.show(name) or {}
    return (shown.get("order") or shown.get("last_order") or {}).get("proofs") or []


def seen(lab, name):
    """What dovad's own look saw of the first proof, {} as long as there is nothing."""
    return next((p["seen"] for p in proofs(lab, name) if p.get("seen")), {})


def verdicts(lab, name):
    return {s["address"].rsplit(":", 1)[0]: s["verdict"] for s in seen(lab, name).get("servers", [])}


def assert_never_poisoned(world):
    """No recursive server was asked for a challenge name by dovad."""
    asked = world.resolver.questions()
    assert asked and not [q for q in asked if "_acme-challenge" in q[0]], asked


@root_only
def test_apex_and_wildcard(world):
    """One certificate for both: two values at one name at one time, somebody else's beside them all along."""
    servers, at_ca = trio(world), []

    def ask_for_the_ca(query, tcp):
        at_ca.append(servers[0].txt(CHALLENGE))
        return forward("127.0.0.1", world.ca.port)(query, tcp)
    between = world.play("127.0.0.1", ask_for_the_ca, free_ports(1)[0])
    lab = begin(world, world.entry("corp", servers[0], 'zones = [ "example.org" ];'), resolver=between.address)
    watch = lab.watch()
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site", ["example.org", "*.example.org"])
    assert [e["event"] for e in watch.events].count("issued") == 1
    assert lab.pebble.issued() == 1
    both = proofs(lab, "site")
    assert len(both) == 2 and {p["seen"]["decision"] for p in both} == {"visible"}
    assert all({s["verdict"] for s in p["seen"]["servers"]} == {"OK"} for p in both)
    assert len(at_ca[0]) == 3 and "theirs" in at_ca[0], at_ca
    assert max(len(p["seen"]["values"]) for p in both) == 2
    for s in servers:
        wait_until(lambda s=s: s.txt(CHALLENGE) == ["theirs"], 10, lambda s=s: "only theirs on %s: %s" % (s.name, s.txt(CHALLENGE)))
    assert_never_poisoned(world)


# --- delegated, with a dead and a lagging secondary: "done when" of DNS-01 ---

LAG = float(os.environ.get("DOVAD_DNS_LAG", "2"))


class Delegated:
    """example.org has no updates at all (NSD). Its challenge name is an alias into acme-example.net, on a server of another kind, behind which one
    secondary is dead and another one is told late."""

    def __init__(self, world, kind):
        a, primary, late, dead = free_hosts(4)
        self.world, self.primary_host, self.late_host, self.dead_host = world, primary, late, dead
        world.serve(Nsd, a, Zone("example.org", ["_acme-challenge IN CNAME example.org.acme-example.net."], ns={"ns1": [a]}))
        self.name = "example.org.acme-example.net"
        zone = Zone("acme-example.net", ['other IN TXT "theirs"'], update=[KEY], fetch=[late], ns={"ns1": [primary], "late": [late], "dead": [dead]})
        self.primary = world.serve(kind, primary, zone)
        self.late = world.serve(Bind, late, Zone("acme-example.net", primary=primary))
        self.entries = [world.entry("corp", self.primary, 'zones = [ "example.org" ];'),
                        world.entry("acme", self.primary, 'zones = [ "acme-example.net" ]; ')]

    def tell(self):
        self.world.tell("acme-example.net", self.late_host, self.primary_host)


@root_only
@pytest.mark.parametrize("kind", [Knot, PowerDns])
def test_delegated_while_one_is_dead_and_one_is_late(world, kind):
    """The certificate asks for dns:corp; the CNAME leads into the zone of dns:acme, which writes. The laggard holds the CA back and is named while it does,
    the dead one does not."""
    d = Delegated(world, kind)
    lab = begin(world, *d.entries)
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')

    expected = {d.primary_host: "OK", d.late_host: "STALE", d.dead_host: "SILENT"}
    wait_until(lambda: verdicts(lab, "site") == expected, 40, lambda: "%s; there is %s" % (expected, lab.ctl.show("site")))
    waited = time.monotonic() + LAG
    while time.monotonic() < waited:  # as long as it is late, it is told so, live
        assert verdicts(lab, "site") == expected and seen(lab, "site")["decision"] == "wait"
        assert lab.pebble.requests("POST", "/chalZ") == 0
        time.sleep(0.2)
    live = seen(lab, "site")
    assert (live["name"], live["zone"], live["challenge"]) == (d.name, "acme-example.net", CHALLENGE)
    late = next(s for s in live["servers"] if s["name"] == "late.acme-example.net")
    assert late["next_ms"] > 0 and late["seen"] > 1 and "serial behind" in late["note"], late
    assert live["questions"] <= 100 and len(live["values"]) == 2
    d.tell()
    told = time.monotonic()
    lab.wait_issued("site")
    print("issued %.3f s after the laggard was told; it was late by %.1f s" % (time.monotonic() - told, LAG))
    check_pair(lab, lab.live / "site", ["example.org", "*.example.org"])
    assert lab.pebble.issued() == 1

    after = lab.ctl.show("site")["last_order"]["proofs"]
    assert len(after) == 2
    for p in after:
        assert {s["address"].rsplit(":", 1)[0]: s["verdict"] for s in p["seen"]["servers"]} == dict(expected, **{d.late_host: "OK"})
        assert p["seen"]["decision"] == "visible" and p["seen"]["ok"] and "tolerated: dead" in p["seen"]["why"], p["seen"]
        assert next(s for s in p["seen"]["servers"] if s["name"].startswith("late"))["since_ms"] >= LAG * 1000
    wait_until(lambda: d.primary.txt(d.name) == [], 10, "nothing left")
    d.tell()
    wait_until(lambda: d.late.txt(d.name) == [], 10, "nothing left on the secondary")
    assert d.late.txt("other.acme-example.net") == ["theirs"]
    assert_never_poisoned(world)


# --- kill -9 from publish to withdraw ---

KEYRING = {dns.name.from_text(KEY.name): dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm)}
MOMENTS = ["add comes", "add done", "look", "CA asks", "remove comes", "remove done"]


class Moments:
    """Stands before the primary and the CA's resolver, and calls strike(moment) when one comes: an update has come or was done but is not answered yet, a
    question for the record has come."""

    def __init__(self, world):
        self.world, self.strike = world, lambda moment: None
        host, hidden = free_hosts(2)
        self.primary = world.serve(Bind, hidden, Zone("example.org", [THEIRS], update=[KEY], ns={"ns1": [host]}))
        self.front = world.play(host, self.answer, raw=True)
        world.open()
        self.ca = world.play("127.0.0.1", self.answer_the_ca, free_ports(1)[0], raw=True)

    def answer(self, data, tcp):
        message = dns.message.from_wire(data, keyring=KEYRING)
        if message.opcode() == dns.opcode.UPDATE:
            what = "remove" if any(s.deleting for s in message.update) else "add"
            self.strike(what + " comes")
            answer = forward_bytes(data, self.primary.addresses[0], self.world.port, tcp)
            self.strike(what + " done")
            return answer
        if message.question[0].rdtype == dns.rdatatype.TXT and self.primary.txt(message.question[0].name) not in ([], ["theirs"]):
            self.strike("look")
        return forward_bytes(data, self.primary.addresses[0], self.world.port, tcp)

    def answer_the_ca(self, data, tcp):
        self.strike("CA asks")
        return forward_bytes(data, "127.0.0.1", self.world.ca.port, tcp)


@root_only
@pytest.mark.parametrize("who", ["network", "keeper", "both"])
def test_killed_while_proving(world, who):
    """Whatever dies at whatever moment: one certificate, and no record is left."""
    moments = Moments(world)
    lab = begin(world, world.entry("corp", moments.front, 'zones = [ "example.org" ];'), resolver=moments.ca.address)
    for moment in MOMENTS:
        name = moment.replace(" ", "-").lower()
        began = time.monotonic()
        before, struck = lab.pebble.issued(), threading.Event()

        def strike(now, moment=moment, struck=struck):
            if now != moment or struck.is_set():
                return
            for half in ["network", "keeper"] if who == "both" else [who]:
                if half in lab.halves():
                    os.kill(lab.halves()[half], signal.SIGKILL)
            struck.set()
        moments.strike = strike
        lab.snippet(name, [name + ".example.org"], prove='"dns:corp"')
        assert struck.wait(60), "%s never came:\n%s" % (moment, tail(lab.dovad.log))
        if who != "keeper":
            lab.dovad.popen.wait(10)
        again(lab)
        lab.wait_issued(name, timeout=60)
        assert lab.pebble.issued() == before + 1
        print("%-12s %.1f s" % (moment, time.monotonic() - began))
        wait_until(lambda n=name: moments.primary.txt("_acme-challenge.%s.example.org" % n) == [], 10, "nothing left of " + name)
    assert moments.primary.txt(CHALLENGE) == ["theirs"]
    assert lab.pebble.accounts() == 1
    assert_never_poisoned(world)
