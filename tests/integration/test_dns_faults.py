# SPDX-License-Identifier: ISC
"""Name servers and zones that are not as they should be: what dovad says of each, and what comes of it. Faults B of the catalogue."""
import contextlib
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from dns_servers import KINDS, Knot, Nsd, Zone
from dns_world import KEY, World, forward, refuse, silent
from lab import Lab, check_invariants, wait_until
from lab_base import free_hosts, free_ports
from test_dns_issue import assert_never_poisoned, begin, hook_entry, seen


# --- rules: what the second name server of a zone does; truth is what it should say ---

def no_udp(truth, query, tcp):
    return truth(query, tcp) if tcp else None


def cut(truth, query, tcp):
    """Everything is cut off over UDP."""
    answer = truth(query, True)
    if not tcp:
        answer.answer, answer.authority, answer.additional = [], [], []
        answer.flags |= dns.flags.TC
    return answer


def cut_for_good(truth, query, tcp):
    return None if tcp else cut(truth, query, tcp)


def no_edns(truth, query, tcp):
    if query.edns < 0:
        return truth(query, tcp)
    query.use_edns(-1)
    return refuse(dns.rcode.FORMERR)(query, tcp)


def lowers_case(truth, query, tcp):
    answer = truth(query, tcp)
    for rrset in answer.question + answer.answer + answer.authority:
        rrset.name = dns.name.from_text(rrset.name.to_text().lower())
    return answer


def not_authoritative(truth, query, tcp):
    answer = truth(query, tcp)
    answer.flags &= ~dns.flags.AA
    return answer


def upward(truth, query, tcp):
    answer = dns.message.make_response(query)
    answer.authority.append(dns.rrset.from_text(".", 60, "IN", "NS", "a.root-servers.net."))
    return answer


def other_question(truth, query, tcp):
    return dns.message.make_response(dns.message.make_query("another.example.", "TXT"))


def loop_of_compression(truth, query, tcp):
    wire = bytearray(truth(query, True).to_wire())
    wire[12:] = b"\xc0\x0c" + bytes(wire[14:])
    return bytes(wire)


def counts_too_high(truth, query, tcp):
    wire = bytearray(truth(query, True).to_wire())
    wire[6:12] = b"\xff" * 6
    return bytes(wire)


def spoofed(truth, query, tcp):
    """A flood of answers with other ids and other questions before the true one."""
    good = truth(query, tcp)
    flood = []
    for i in range(1, 50):
        bad = dns.message.make_response(query)
        bad.id = (query.id + i) % 65536
        bad.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", "spoofed"))
        flood.append(bad)
    return flood + [other_question(truth, query, tcp), b"", good] if not tcp else good


def is_about_the_record(query):
    return query.question[0].rdtype == dns.rdatatype.TXT and query.question[0].name.labels[0].lower() == b"_acme-challenge"


def without(query, values):
    """The record is not there (None), or something else is."""
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    if values:
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", *values))
    else:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer


def old(truth, query, tcp):
    return without(query, None) if is_about_the_record(query) else truth(query, tcp)


def old_value(truth, query, tcp):
    return without(query, ["what was there before"]) if is_about_the_record(query) else truth(query, tcp)


def slow(truth, query, tcp):
    threading.Event().wait(1)  # not a wait for something: so slow is this one
    return truth(query, tcp)


class TwoMachines:
    """Of two machines behind one address one is late: it answers the first two questions by TCP for the record that is there (by TCP dovad confirms what it saw
    by UDP, and it asks so, too, when UDP is slow), and never again."""

    def __init__(self):
        self.asked = 0

    def __call__(self, truth, query, tcp):
        answer = truth(query, tcp)
        if is_about_the_record(query) and answer.answer and tcp:
            self.asked += 1
            if self.asked <= 2:
                return without(query, None)
        return answer


OK, STALE = "OK", "STALE"
ODD = {  # rule, verdict of the second name server in the end, words about it; STALE stands in the way
    "refused": (refuse(dns.rcode.REFUSED), "LAME", "REFUSED"),
    "servfail": (refuse(dns.rcode.SERVFAIL), "SICK", "SERVFAIL"),
    "notimp": (refuse(dns.rcode.NOTIMP), "SICK", "NOTIMP"),
    "silent": (silent, "SILENT", "no answer over UDP and TCP"),
    "no-udp": (no_udp, OK, ""),
    "slow": (slow, OK, ""),
    "cut": (cut, OK, ""),
    "cut-for-good": (cut_for_good, "SICK", "cut off"),
    "no-edns": (no_edns, OK, ""),
    "lowers-case": (lowers_case, OK, "changes the case of questions (0x20)"),
    "not-authoritative": (not_authoritative, "LAME", "not authoritative"),
    "upward": (upward, "LAME", "refers to the name servers of the root"),
    "other-question": (other_question, "SICK SILENT", ""),
    "loop": (loop_of_compression, "SICK SILENT", ""),
    "counts": (counts_too_high, "SICK SILENT", ""),
    "spoofed": (spoofed, OK, ""),
    "two-machines": (TwoMachines(), OK, ""),
    "old": (old, STALE, "NXDOMAIN: the name is not there"),
    "old-value": (old_value, STALE, "1 TXT record, but 1 of 1 expected value is not there"),
}


def with_truth(rule, truth):
    if rule.__code__.co_argcount == 2 if hasattr(rule, "__code__") else False:
        return rule
    return lambda query, tcp: rule(truth, query, tcp)


@contextlib.contextmanager
def shared_world():
    """For all tests of a fixture. In the end everything is as it always must be: else its folder stays."""
    lab = Lab()
    world = World(lab)
    try:
        yield world
        check_invariants(lab)
    finally:
        world.close()
        lab.close()
    lab.remove()


@pytest.fixture(scope="module")
def odd():
    """A zone for each rule, with a good name server and one that goes by the rule; dovad, and a CA that asks the good ones only."""
    for kind in KINDS.values():
        kind.require()
    with shared_world() as world:
        good, *hosts = free_hosts(1 + len(ODD))
        zones = [Zone(name + ".org", update=[KEY], ns={"ns1": [good], "ns2": [host]}) for name, host in zip(ODD, hosts)]
        primary = world.serve(Knot, good, *zones)
        world.scripted = {}
        for (name, (rule, *_)), host in zip(ODD.items(), hosts):
            world.scripted[name] = world.play(host, with_truth(rule, forward(good, world.port)))
        world.open(inside={z.name: [good] for z in zones}, outside={z.name: [good] for z in zones})
        world.primary = primary
        begin(world, world.entry("corp", primary), world.entry("hasty", primary, 'timeout = "2s";'))
        yield world


@pytest.mark.parametrize("name", ODD)
def test_odd_name_server(odd, name):
    """What stands in no CA's way is tolerated and told; what a CA would believe holds it back."""
    lab, (_, verdict, words) = odd.lab, ODD[name]
    lab.snippet(name, [name + ".org"], prove='"dns:%s"' % ("hasty" if verdict == STALE else "corp"))
    if verdict == STALE:
        error = lab.wait_state(name, "failed")["last_error"]
        assert error["type"] == "propagation" and "ns2.%s.org" % name in error["detail"] and words in error["detail"], error
        assert not lab.live.joinpath(name).exists()
    else:
        lab.wait_issued(name)
    look = seen(lab, name)
    row = next(s for s in look["servers"] if s["name"].startswith("ns2"))
    assert row["verdict"] in verdict.split() and words in row["note"], look
    assert next(s for s in look["servers"] if s["name"].startswith("ns1"))["verdict"] == "OK"
    if name == "two-machines":
        assert any("several machines are behind it" in note for note in look["notes"]), look["notes"]
    if name in ("cut", "no-udp"):
        assert row["proto"] in ("tcp", "u+t"), row
    if verdict not in (OK, STALE):
        assert look["why"].startswith("tolerated: ns2."), look["why"]
    wait_until(lambda: odd.primary.txt("_acme-challenge.%s.org" % name) == [], 10, "nothing left")
    assert_never_poisoned(odd)


def test_taken_back_while_it_is_looked_for(odd):
    """The certificate leaves the configuration, and dovad ends, in the midst of questions: the record goes, nothing is asked of the CA."""
    lab, before = odd.lab, odd.lab.pebble.requests("POST", "/chalZ")
    for how in "removed", "ended":
        snippet = lab.snippet("taken-back", ["old.org"], prove='"dns:corp"')
        wait_until(lambda: seen(lab, "taken-back").get("decision") == "wait", 30, "the look")
        assert odd.primary.txt("_acme-challenge.old.org") != []
        if how == "ended":
            assert lab.stop() == 0
        snippet.unlink()
        if how == "ended":
            lab.start()
        lab.ctl("reload")
        wait_until(lambda: odd.primary.txt("_acme-challenge.old.org") == [], 30, "nothing left after it was " + how)
        wait_until(lambda: not lab.ctl.show("taken-back"), 10, "it is forgotten")
    assert lab.pebble.requests("POST", "/chalZ") == before


# --- zones ---

LEFT_OVER = ['_acme-challenge IN TXT "%s"' % (("left over %02d " % i) + "x" * 120) for i in range(40)]
LONG = ["_acme-challenge IN CNAME c1"] + ["c%d IN CNAME c%d" % (i, i + 1) for i in range(1, 21)]
ZONES = {  # records; words of the error, None: issued
    "wild-txt": (['* IN TXT "by a wildcard"'], None),
    "wild-cname": (["* IN CNAME www.example.net."], None),
    "left-over": (LEFT_OVER, None),
    "two-hops": (["_acme-challenge IN CNAME a.two-hops.org.", "a IN CNAME b.two-hops.org."], None),
    "cname-loop": (["_acme-challenge IN CNAME a", "a IN CNAME b", "b IN CNAME _acme-challenge"], "is a loop: it comes back to _acme-challenge.cname-loop.org"),
    "cname-long": (LONG, "is longer than 10"),
    "cname-nowhere": (["_acme-challenge IN CNAME x.not-there.org."], "no dns entry has that in its zones"),
}


@pytest.fixture(scope="module")
def zones():
    for kind in Knot, Nsd:
        kind.require()
    with shared_world() as world:
        good, other, dead = free_hosts(3)
        world.primary = world.serve(Knot, good, *[Zone(name + ".org", records, update=[KEY], ns={"ns1": [good]}) for name, (records, _) in ZONES.items()])
        world.serve(Nsd, other, Zone("held-by-others.org", ns={"ns1": [other]}))
        world.delegate("broken.org", {"ns1": [dead]})
        world.play(dead, refuse(dns.rcode.SERVFAIL))
        world.open()
        begin(world, world.entry("corp", world.primary, "zones = [ %s ];" % ", ".join('"%s.org"' % z for z in list(ZONES) + ["not-delegated", "broken"])))
        yield world


@pytest.mark.parametrize("name", ZONES)
def test_odd_zone(zones, name):
    lab, (records, words) = zones.lab, ZONES[name]
    challenge = "_acme-challenge.%s.org" % name
    before = zones.primary.txt(challenge)
    lab.snippet(name, [name + ".org"], prove='"dns:corp"')
    if words:
        error = lab.wait_state(name, "failed")["last_error"]
        assert words in error["detail"] and error["during"] == "prove %s.org" % name, error
    else:
        lab.wait_issued(name)
        look = seen(lab, name)
        assert look["ok"], look
        if name == "wild-cname":
            assert look["name"] == challenge and any("only by a wildcard, which is not followed" in n for n in look["notes"]), look
        if name == "two-hops":
            assert look["found"]["chain"] == [challenge, "a.two-hops.org", "b.two-hops.org"]
    wait_until(lambda: zones.primary.txt(challenge) == before, 10, "as it was before")
    assert_never_poisoned(zones)


@pytest.mark.parametrize("name, words", [("not-delegated.org", "not-delegated.org"), ("broken.org", "SERVFAIL")])
def test_no_zone(zones, name, words):
    """The domain is in nobody's zone, or no server of its zone works: said so, and nothing was asked of the CA."""
    lab = zones.lab
    before = lab.pebble.requests("POST", "/chalZ")
    lab.snippet("none-" + name, [name], prove='"dns:corp"')
    error = lab.wait_state("none-" + name, "failed")["last_error"]
    assert words in error["detail"], error
    assert lab.pebble.requests("POST", "/chalZ") == before
    assert_never_poisoned(zones)


def test_resolver_is_replaced(make_lab):
    """The recursive server is dead: named. Another one in its place is asked from the next reload on."""
    Knot.require()
    lab = make_lab()
    world = World(lab)
    try:
        host, port = free_hosts(1)[0], free_ports(1)[0]
        primary = world.serve(Knot, host, Zone("example.org", update=[KEY], ns={"ns1": [host]}))
        world.open()
        lab.settings["resolvers"] = '[ "127.0.0.1:%d" ]' % port
        begin(world, world.entry("corp", primary))
        lab.snippet("site", ["example.org"], prove='"dns:corp"')
        error = lab.wait_state("site", "failed")["last_error"]
        assert "example.org was not found by recursive servers: 127.0.0.1" in error["detail"] and "no answer over UDP and TCP" in error["detail"], error
        lab.settings["resolvers"] = '[ "%s" ]' % world.resolver.at
        lab.write_config()
        lab.ctl("reload")
        lab.ctl("renew", "site", "--wait")
        assert seen(lab, "site")["ok"] and primary.txt("_acme-challenge.example.org") == []
    finally:
        world.close()


# --- commands that do not do what they say ---

LIAR = "#!/bin/sh\nexit 0\n"
LATE = """#!/bin/sh
%s "$@" || exit
[ "$1" = remove ] || exec sleep 1000
"""


@pytest.mark.parametrize("how", ["says yes and does nothing", "does it and never ends"])
def test_command(make_lab, how):
    """A record that never comes is not asked for; one that came although the command had to be ended is taken away."""
    Knot.require()
    lab = make_lab()
    world = World(lab)
    try:
        host = free_hosts(1)[0]
        primary = world.serve(Knot, host, Zone("example.org", update=[KEY], ns={"ns1": [host]}))
        entry = hook_entry(world, primary)
        good = lab.root / "hook"
        lab.write("odd-hook", LIAR if how.startswith("says") else LATE % good, 0o755)
        begin(world, entry.replace(str(good), str(lab.root / "odd-hook")).replace("type =", 'command_timeout = "3s"; timeout = "2s"; type ='))
        lab.snippet("site", ["example.org"], prove='"dns:corp"')
        if not how.startswith("says"):
            wait_until(lambda: primary.txt("_acme-challenge.example.org"), 30, "the record")
        error = lab.wait_state("site", "failed")["last_error"]
        words = "NXDOMAIN: the name is not there" if how.startswith("says") else "still running after 3 s"
        assert words in error["detail"] and error["kind"] == "temp", error
        wait_until(lambda: primary.txt("_acme-challenge.example.org") == [], 10, "nothing left")
        assert lab.pebble.requests("POST", "/chalZ") == 0
    finally:
        world.close()
