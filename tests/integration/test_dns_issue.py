# SPDX-License-Identifier: ISC
"""DNS-01 end to end: records written to real name servers, seen on all of them by dovad, believed by Pebble through a recursive server of its own."""
import os
import signal
import threading
import time

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest

from conftest import root_only
from dns_servers import Bind, Key, Knot, Nsd, PowerDns, Zone
from dns_world import KEY, forward, forward_bytes
from lab import check_pair, tail, wait_until
from lab_base import free_hosts, free_ports
from test_crash import again

THEIRS = '_acme-challenge IN TXT "theirs"'
CHALLENGE = "_acme-challenge.example.org"


def trio(world, kinds=(Bind, Bind, Bind), told=2, more_ns=None, records=(THEIRS,)):
    """example.org on a primary and two secondaries, the first `told` of which get a NOTIFY of each change. All three are its name servers."""
    a, b, c = free_hosts(3)
    ns = {"ns1": [a], "ns2": [b], "ns3": [c]}
    ns.update(more_ns or {})
    world.hosts = a, b, c
    primary = world.serve(kinds[0], a, Zone("example.org", records, update=[KEY], notify=[b, c][:told], fetch=[b, c][told:], ns=ns))
    return [primary] + [world.serve(kind, host, Zone("example.org", primary=a)) for kind, host in zip(kinds[1:], (b, c))]


def pair(world, told=True, negative_ttl=60, records=(THEIRS,), zone="example.org"):
    """The same with one secondary, of other kinds, which need not be root."""
    a, b = world.hosts = free_hosts(2)
    primary = world.serve(Knot, a, Zone(zone, records, update=[KEY], notify=[b] if told else [], fetch=[b], ns={"ns1": [a], "ns2": [b]},
                                        negative_ttl=negative_ttl))
    return primary, world.serve(Nsd, b, Zone(zone, primary=a))


def begin(world, *entries, wrapper=(), **pebble):
    """All that is not DNS; dovad runs. wrapper: as of Lab.start."""
    lab = world.lab
    if not world.ca:
        world.open()
    lab.pebble = lab.start_pebble(**dict(dict(nonce_reject=0, authz_reuse=0, resolver=world.ca.at), **pebble))
    lab.dns_entries = list(entries)
    lab.start(wrapper=wrapper)
    return lab


def proofs(lab, name):
    """Those of the order that is under way, or else of the last."""
    shown = lab.ctl.show(name) or {}
    return (shown.get("order") or shown.get("last_order") or {}).get("proofs") or []


def seen(lab, name):
    """What dovad's own look saw of the first proof, {} as long as there is nothing."""
    return next((p["seen"] for p in proofs(lab, name) if p.get("seen")), {})


def verdicts_in(look):
    return {s["address"].rsplit(":", 1)[0]: s["verdict"] for s in look.get("servers", [])}


def verdicts(lab, name):
    return verdicts_in(seen(lab, name))


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
        self.world, self.front_host, self.primary_host, self.late_host, self.dead_host = world, a, primary, late, dead
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
    # Both looks: the second one has to wait for its turns at the dead one.
    wait_until(lambda: [verdicts_in(p.get("seen") or {}) for p in proofs(lab, "site")] == [expected] * 2, 40,
               lambda: "%s; there is %s" % (expected, lab.ctl.show("site")))
    waited = time.monotonic() + LAG
    while time.monotonic() < waited:  # as long as it is late, it is told so, live
        assert verdicts(lab, "site") == expected and seen(lab, "site")["decision"] == "wait"
        assert lab.pebble.requests("POST", "/chalZ") == 0
        time.sleep(0.2)
    live = seen(lab, "site")
    assert (live["name"], live["zone"], live["challenge"]) == (d.name, "acme-example.net", CHALLENGE)
    late = next(s for s in live["servers"] if s["name"] == "late.acme-example.net")
    assert late["next_ms"] > 0 and late["seen"] > 1 and "serial behind" in late["note"], late
    assert late["seen"] <= 100 and len(live["values"]) == 2
    d.tell()
    told = time.monotonic()
    lab.wait_issued("site")
    print("issued %.3f s after the laggard was told; it was late by %.1f s" % (time.monotonic() - told, LAG))
    check_pair(lab, lab.live / "site", ["example.org", "*.example.org"])
    assert lab.pebble.issued() == 1

    after = lab.ctl.show("site")["last_order"]["proofs"]
    assert len(after) == 2
    for p in after:
        assert verdicts_in(p["seen"]) == dict(expected, **{d.late_host: "OK"})
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
    once = threading.Lock()
    for moment in MOMENTS:
        name = moment.replace(" ", "-").lower()
        began = time.monotonic()
        before, struck = lab.pebble.issued(), threading.Event()

        def strike(now, moment=moment, struck=struck):
            with once:  # a CA asks from several places at one time
                if now != moment or struck.is_set():
                    return
                halves = lab.halves()
                for half in ["network", "keeper"] if who == "both" else [who]:
                    os.kill(halves[half], signal.SIGKILL)
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


@root_only
def test_killed_while_proving_and_the_ca_is_away(world):
    """Nothing but the name server is needed to clear up: the record goes while nobody gets through to the CA. With the CA back all goes on."""
    moments = Moments(world)
    lab = begin(world, world.entry("corp", moments.front, 'zones = [ "example.org" ];'), resolver=moments.ca.address, front=True)
    once, struck = threading.Lock(), threading.Event()

    def strike(now):
        with once:
            if now != "look" or struck.is_set():
                return
            lab.pebble.front.stop()
            for pid in lab.halves().values():
                os.kill(pid, signal.SIGKILL)
            struck.set()
    moments.strike = strike
    lab.snippet("away", ["away.example.org"], prove='"dns:corp"')
    assert struck.wait(60), "no look came:\n%s" % tail(lab.dovad.log)
    lab.dovad.popen.wait(10)
    assert moments.primary.txt("_acme-challenge.away.example.org") != []
    again(lab)
    wait_until(lambda: moments.primary.txt("_acme-challenge.away.example.org") == [], 30,
               lambda: "nothing left while the CA is away:\n" + tail(lab.dovad.log))
    assert moments.primary.txt(CHALLENGE) == ["theirs"]
    wait_until(lambda: lab.ctl.show("away")["state"] == "failed", 60, "the attempt has failed")
    lab.pebble.front.start()
    lab.ctl("renew", "away")
    lab.wait_issued("away", timeout=60)
    assert lab.pebble.issued() == 1
    wait_until(lambda: moments.primary.txt("_acme-challenge.away.example.org") == [], 10, "nothing left in the end")
    assert_never_poisoned(world)


# --- a command writes ---

HOOK = r"""#!/usr/bin/python3
import os, sys
import dns.query, dns.tsig, dns.update
action, name, value, zone = sys.argv[1:]
secret = os.fdopen(int(os.environ["DOVAD_SECRET_FD_CORP"])).read().strip()
change = dns.update.UpdateMessage(zone, keyring=dns.tsig.Key("%(key)s", secret, "%(algorithm)s"))
if action == "add":
    change.add(name + ".", int(os.environ["DOVAD_TTL"]), "TXT", '"%%s"' %% value)
else:
    change.delete(name + ".", "TXT", '"%%s"' %% value)
try:
    sys.exit(dns.query.tcp(change, "%(host)s", port=%(port)d, timeout=5).rcode())
except dns.tsig.PeerError as e:
    sys.exit("no: %%s" %% e)
"""


def hook_entry(world, primary, key=KEY):
    lab = world.lab
    script = lab.write("hook", HOOK % dict(key=key.name, algorithm=key.algorithm, host=primary.addresses[0], port=primary.port), 0o755)
    lab.credential("corp", key.secret + "\n")
    return '{ name = "corp"; type = "exec"; command = [ "%s" ]; secrets = [ "credential:corp" ]; zones = [ "example.org" ]; }' % script


def test_by_a_command(world):
    """An entry of type exec: its command adds and removes both values of a name and its wildcard."""
    servers = pair(world)
    lab = begin(world, hook_entry(world, servers[0]))
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site", ["example.org", "*.example.org"])
    for s in servers:
        wait_until(lambda s=s: s.txt(CHALLENGE) == ["theirs"], 10, "only theirs")
    assert_never_poisoned(world)


def test_a_command_that_fails(world):
    """What it says is told; nothing was asked of the CA."""
    primary, _ = pair(world)
    lab = begin(world, hook_entry(world, primary, Key("nobody")))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert error["kind"] == "denied" and "no: The peer didn't know the key" in error["detail"] and "corp" in error["detail"], error
    assert lab.pebble.requests("POST", "/chalZ") == 0 and primary.txt(CHALLENGE) == ["theirs"]


# --- how many must show it ---

@root_only
@pytest.mark.parametrize("quorum", ["majority", "any", "2"])
def test_quorums_that_do_not_wait_for_the_last(world, quorum):
    servers = trio(world, told=1)
    world.open(outside={"example.org": world.hosts[:2]})
    lab = begin(world, world.entry("corp", servers[0], 'quorum = "%s";' % quorum))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    found = verdicts(lab, "site")
    assert found[world.hosts[2]] == "STALE" and "OK" in found.values(), found
    assert servers[2].serial("example.org") == 1


def test_strict_wants_them_all(world):
    """A name server that is down stands in the way, and is named; the records go, and somebody else's stay."""
    a, dead = free_hosts(2)
    primary = world.serve(Knot, a, Zone("example.org", [THEIRS], update=[KEY], ns={"ns1": [a], "ns2": [dead]}))
    lab = begin(world, world.entry("corp", primary, 'quorum = "strict"; timeout = "2s";'))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert error["type"] == "propagation" and "ns2.example.org (%s): SILENT" % dead in error["detail"], error
    assert seen(lab, "site")["decision"] == "failed" and not seen(lab, "site")["ok"]
    assert lab.pebble.requests("POST", "/chalZ") == 0 and primary.txt(CHALLENGE) == ["theirs"]
    assert_never_poisoned(world)


# --- who is asked ---

def split(world):
    """example.org is another zone inside than outside."""
    inner, outer = free_hosts(2)
    outside = world.serve(Knot, outer, Zone("example.org", [THEIRS], update=[KEY], ns={"ns1": [outer]}))
    world.serve(Nsd, inner, Zone("example.org", ["www IN A 127.0.0.1"], ns={"ns1": [inner]}))
    world.open(inside={"example.org": [inner]}, outside={"example.org": [outer]})
    return outside, inner, outer


def test_split_horizon_is_told(world):
    """Inside the record never comes; the address that stands in the way says what it is."""
    outside, inner, _ = split(world)
    lab = begin(world, world.entry("corp", outside, 'timeout = "2s";'))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert "ns1.example.org (%s): STALE" % inner in error["detail"], error
    assert any("split horizon" in note for note in seen(lab, "site")["notes"]), seen(lab, "site")
    assert outside.txt(CHALLENGE) == ["theirs"]
    assert_never_poisoned(world)


def test_split_horizon_servers(world):
    """`servers` names those that have the world's view: they, and nobody else, are asked."""
    outside, _, outer = split(world)
    lab = begin(world, world.entry("corp", outside, 'servers = [ "%s" ];' % outer))
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    assert verdicts(lab, "site") == {outer: "OK"}
    assert outside.txt(CHALLENGE) == ["theirs"]
    assert_never_poisoned(world)


def test_split_horizon_servers_and_an_alias(world):
    """They are for the zone of the name. Of the zone where the CNAME leads they know nothing: its own name servers are asked."""
    d = Delegated(world, Knot)
    d.entries[0] = world.entry("corp", d.primary, 'zones = [ "example.org" ]; servers = [ "%s" ];' % d.front_host)
    lab = begin(world, *d.entries)
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    wait_until(lambda: verdicts(lab, "site") == {d.primary_host: "OK", d.late_host: "STALE", d.dead_host: "SILENT"}, 40, "its own name servers")
    d.tell()
    lab.wait_issued("site")
    assert_never_poisoned(world)


def test_nobody_is_asked(world):
    """check = "none": the CA is asked once the record is written and `settle` has passed."""
    primary, secondary = pair(world, told=False)
    world.open(outside={"example.org": world.hosts[:1]})
    lab = begin(world, world.entry("corp", primary, 'check = "none"; settle = "1s";'))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    written = wait_until(lambda: primary.txt(CHALLENGE) != ["theirs"] and time.monotonic(), 30, "the record")
    lab.wait_issued("site")
    assert time.monotonic() - written > 1
    assert "servers" not in seen(lab, "site") and secondary.serial("example.org") == 1
    assert_never_poisoned(world)


class Watched:
    """Stands before dovad's recursive server; what it is asked below _acme-challenge before the record is there is kept."""

    def __init__(self, world, primary):
        self.world, self.primary, self.early, self.asked = world, primary, [], 0
        self.front = world.play("127.0.0.1", self.answer, free_ports(1)[0])
        world.lab.settings["resolvers"] = '[ "%s" ]' % self.front.address

    def answer(self, query, tcp):
        name = query.question[0].name.to_text(True).lower()
        if "_acme-challenge" in name:
            self.asked += 1
            if self.primary.txt(name) in ([], ["theirs"]):
                self.early.append(name)
        return forward("127.0.0.1", self.world.resolver.port)(query, tcp)


@pytest.mark.parametrize("check", ["recursive", "authoritative"])
def test_port_53_is_closed(world, check):
    """No name server can be asked from here, only the recursive one: by `check`, or found out and announced. It is never asked too early."""
    primary, _ = pair(world)
    world.open()
    watched = Watched(world, primary)
    lab = world.lab
    lab.settings["dns_port"] = str(free_ports(1)[0])
    lab = begin(world, world.entry("corp", primary, 'check = "%s";' % check))
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    look = seen(lab, "site")
    assert look["ok"] and look["opinions"][0]["ok"] and look["opinions"][0]["server"] == watched.front.address, look
    assert ("fallback" in look) == (check == "authoritative")
    assert ("recursive servers are asked instead" in lab.log()) == (check == "authoritative")
    assert watched.asked and not watched.early
    wait_until(lambda: primary.txt(CHALLENGE) == ["theirs"], 10, "only theirs")


def test_a_no_that_is_kept(world):
    """Somebody asked the recursive server too early: its "no" is waited for to the second, with its end told, and is asked for twice in all."""
    primary, _ = pair(world, negative_ttl=6, records=())
    world.open()
    lab = begin(world, world.entry("corp", primary, 'opinions = [ "%s" ];' % world.resolver.at))
    assert world.resolver.ask(CHALLENGE, "TXT").rcode() == dns.rcode.NXDOMAIN
    poisoned = time.monotonic()
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    said = wait_until(lambda: (seen(lab, "site").get("opinions") or [{}])[0].get("text"), 30, "an opinion")
    assert said.startswith("NXDOMAIN, kept for ") and seen(lab, "site")["opinions"][0]["next_ms"] > 0, seen(lab, "site")
    lab.wait_issued("site")
    took = time.monotonic() - poisoned
    assert 6 < took < 12, took
    assert seen(lab, "site")["opinions"][0]["ok"] and seen(lab, "site")["opinions"][0]["asked"] == 2
    assert len(world.resolver.questions(CHALLENGE)) == 3


# --- the CA sees it differently ---

def test_the_ca_disagrees(world):
    """The CA's resolver meets a machine that is late, and that no name server of the zone tells of. Beside its word stands what we see; from then on dovad
    waits longer once it has seen a record there, over a restart, too."""
    a, edge = free_hosts(2)
    primary = world.serve(Knot, a, Zone("example.org", [THEIRS], update=[KEY], fetch=[edge], ns={"ns1": [a]}))
    late = world.serve(Nsd, edge, Zone("example.org", primary=a))
    world.open(outside={"example.org": [edge]})
    lab = begin(world, world.entry("corp", primary, 'zones = [ "example.org" ];'))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert error["type"] == "unauthorized", error
    review = seen(lab, "site")["review"]
    assert review["ca"]["detail"] == error["detail"] and "error" not in review, review
    assert [(s["address"].rsplit(":", 1)[0], s["verdict"]) for s in review["seen"]["servers"]] == [(a, "OK")]
    wait_until(lambda: primary.txt(CHALLENGE) == ["theirs"], 10, "only theirs")

    lab.restart()
    renewal = threading.Thread(target=lab.ctl.run, args=("renew", "site", "--wait"))
    renewal.start()
    wait_until(lambda: seen(lab, "site").get("decision") == "settle", 30, "the wait after it was seen")
    settling, before = time.monotonic(), lab.pebble.requests("POST", "/chalZ")
    world.tell("example.org", edge, a)
    wait_until(lambda: len(late.txt(CHALLENGE)) == 2, 10, "the late one has it")
    lab.wait_issued("site")
    renewal.join()
    assert time.monotonic() - settling > 1.5 and lab.pebble.requests("POST", "/chalZ") == before + 1
    assert primary.txt(CHALLENGE) == ["theirs"]
    assert_never_poisoned(world)
