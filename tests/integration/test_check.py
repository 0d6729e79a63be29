# SPDX-License-Identifier: ISC
"""dovactl check against real name servers and a recursive server that validates: what would make the next renewal fail is named, status shows it, and it is
gone once it is mended. Nothing is ordered and nothing is written for it."""
import json
import re
import subprocess

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

from conftest import root_only
from dns_servers import Bind, Key, Zone
from dns_world import KEY
from fakeca import Server
from fakeca_bench import ca_block
from lab import wait_until
from lab_base import SBIN, free_hosts
from test_dns_issue import assert_never_poisoned

CHALLENGE = "_acme-challenge.example.org"
KEYRING = {dns.name.from_text(KEY.name): dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm)}
US = "ca.example"  # how the CA calls itself in CAA records


def change(server, zone, adds=(), deletes=()):
    """Records by dynamic update: (name, type, data); a delete without data takes the whole set."""
    update = dns.update.UpdateMessage(zone, keyring=KEYRING)
    for name, rdtype, *data in deletes:
        update.delete(dns.name.from_text(name + "."), rdtype, *data)
    for name, rdtype, data in adds:
        update.add(dns.name.from_text(name + "."), 300, rdtype, data)
    answer = dns.query.tcp(update, server.addresses[0], port=server.port, timeout=5)
    assert answer.rcode() == dns.rcode.NOERROR, answer


def begin(world, *entries, **resolvers):
    """All that is not DNS; dovad runs, with a recursive server that keeps nothing."""
    lab = world.lab
    world.open(fresh=True, **resolvers)
    lab.pebble = lab.start_pebble("new", nonce_reject=0, authz_reuse=0, resolver=world.ca.at, caa=[US])
    lab.dns_entries = list(entries)
    lab.settings["check_every"] = '"0s"'
    lab.start()
    return lab


def check(lab, name="site", code=0):
    """(verdict, {what: [finding]}) of one. The verdict is never better than "warn" here: the servers have addresses that no CA can ask, and that is told."""
    done = lab.ctl.run("check", name)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    (one,) = json.loads(done.stdout)["checks"]
    found = {}
    for f in one["check"]["findings"]:
        found.setdefault(f["what"], []).append(f)
    return one["check"]["verdict"], found


def bad(found, what, verdict="fail"):
    return [f for f in found.get(what, []) if f["verdict"] == verdict]


@pytest.fixture
def corp(world):
    """example.org on one BIND, with a certificate of it issued by DNS."""
    (host,) = free_hosts(1)
    server = world.serve(Bind, host, Zone("example.org", ["www IN A 192.0.2.1"], update=[KEY], ns={"ns1": [host]}))
    lab = begin(world, world.entry("corp", server, 'zones = [ "example.org" ];'))
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    lab.server = server
    return lab


OTHER_ACCOUNT = "https://localhost/my-account/none"
CAA = [
    # records, verdict, a part of the text; %s is our account
    ([], "ok", "any CA may issue"),
    (['0 issue "%s"' % US], "ok", "allow this CA"),
    (['0 issue "other.example"', '0 issue "%s"' % US.upper()], "ok", "allow this CA"),
    (['0 issue "%s; accounturi=%%s"' % US], "ok", "allow this CA"),
    (['0 issue "%s; validationmethods=dns-01,http-01"' % US], "ok", "allow this CA"),
    (['0 iodef "mailto:x@example.org"'], "ok", "restrict nobody"),
    (['128 issuemail ";"'], "ok", "restrict nobody"),
    (['0 issue "other.example"'], "fail", 'other CAs only: issue "other.example"; this CA is issue "ca.example"'),
    (['0 issue ";"'], "fail", "allow no CA at all"),
    (['0 issue "%s"' % US, '0 issuewild ";"'], "fail", "*.example.org: the CAA records of example.org allow no CA at all"),
    (['0 issue "other.example"', '0 issuewild "%s"' % US], "fail", "example.org: the CAA records of example.org allow other CAs only"),
    (['0 issue "%s; accounturi=%s"' % (US, OTHER_ACCOUNT)], "fail", "another account (accounturi)"),
    (['0 issue "%s; validationmethods=http-01"' % US], "fail", "validationmethods"),
    (['0 issue "%s; validationmethods=dns-01; validationmethods=dns-01"' % US], "fail", "nobody can satisfy"),
    (['0 issue "%s; %%%%%%%%"' % US], "fail", "malformed"),
    (['0 issue "%s"' % US, '128 tbs "unknown"'], "fail", 'critical property that CAs may not know: tbs "unknown"'),
    (['0 issue "%s"' % US, '0 tbs "unknown"'], "ok", "allow this CA"),
]


@root_only
def test_caa(corp):
    account = corp.ctl("status")["issuers"][0]["account"]
    assert account.startswith("https://")
    orders = corp.pebble.requests("POST", "/order-plz")
    for records, verdict, part in CAA:
        records = [r.replace("%s", account).replace("%%", "%") for r in records]
        change(corp.server, "example.org", [("example.org", "CAA", r) for r in records], [("example.org", "CAA")])
        _, found = check(corp, code=verdict == "fail")
        assert bool(bad(found, "caa")) == (verdict == "fail") and not bad(found, "caa", "warn"), (records, found)
        texts = ["%s: %s" % (f["name"], f["text"]) for f in found["caa"]]
        assert any(part in t for t in texts), (records, part, texts)
        why = (corp.ctl.show("site").get("check") or {}).get("why", "")
        assert (part in why) == (verdict == "fail"), (records, why)
    assert corp.pebble.requests("POST", "/order-plz") == orders
    assert corp.server.txt(CHALLENGE) == []


@root_only
def test_caa_of_a_parent_and_behind_an_alias(corp):
    """The first set on the way up counts; an alias is followed; what stands above a set does not matter."""
    corp.snippet("www", ["www.example.org"], prove='"dns:corp"')
    corp.ctl("reload")
    corp.wait_issued("www")
    change(corp.server, "example.org", [("example.org", "CAA", '0 issue "other.example"')])
    verdict, found = check(corp, "www", 1)
    assert "www.example.org" == found["caa"][0]["name"] and "records of example.org allow other" in found["caa"][0]["text"], found
    change(corp.server, "example.org", [("www.example.org", "CAA", '0 issue "%s"' % US)])
    verdict, found = check(corp, "www")
    assert "records of www.example.org allow this CA" in found["caa"][0]["text"], found
    change(corp.server, "example.org", [("www.example.org", "CNAME", "host.example.org."), ("host.example.org", "CAA", '0 issue ";"')],
           [("www.example.org", "CAA"), ("www.example.org", "A")])
    verdict, found = check(corp, "www", 1)
    assert "allow no CA at all" in found["caa"][0]["text"], found


@root_only
def test_status_and_show_tell_until_it_is_mended(corp):
    watch = corp.watch()
    change(corp.server, "example.org", [("example.org", "CAA", '0 issue "other.example"')])
    done = corp.ctl.run("check", "site", json_out=False)
    assert done.returncode == 1 and "site: the next renewal would fail" in done.stdout, done.stdout
    assert re.search(r"^  FAIL  caa +example.org: the CAA records of example.org allow other CAs only", done.stdout, re.M), done.stdout
    assert "other.example" in watch.wait("at-risk", "site")["detail"]
    status = corp.ctl("status")
    assert status["counts"]["at_risk"] == 1 and [c["name"] for c in status["at_risk"]] == ["site"]
    text = corp.ctl.run("status", json_out=False).stdout
    assert "1 at risk" in text and "the next renewal would fail because example.org: the CAA records of example.org" in text, text
    text = corp.ctl.run("show", "site", json_out=False).stdout
    assert "the next renewal would fail because example.org: the CAA records of example.org" in text, text
    change(corp.server, "example.org", deletes=[("example.org", "CAA")])
    done = corp.ctl.run("check", json_out=False)
    assert done.returncode == 0 and "site: the next renewal would work" in done.stdout, done.stdout
    watch.wait("safe", "site")
    status = corp.ctl("status")
    assert status["counts"]["at_risk"] == 0 and status["at_risk"] == []
    assert "would fail" not in corp.ctl.run("status", json_out=False).stdout
    assert "would fail" not in corp.ctl.run("show", "site", json_out=False).stdout
    # A finding is advice: with one, a renewal is tried all the same. This CA does not look at CAA.
    change(corp.server, "example.org", [("example.org", "CAA", '0 issue "other.example"')])
    check(corp, code=1)
    corp.ctl("renew", "site", "--force", "--wait")
    assert corp.ctl.show("site")["generation"] == 2
    assert "check" not in corp.ctl.show("site")


@root_only
def test_of_all(corp):
    for i in range(6):
        corp.snippet("s%d" % i, ["s%d.example.org" % i], prove='"dns:corp"')
    corp.ctl("reload")
    for i in range(6):
        corp.wait_issued("s%d" % i)
    change(corp.server, "example.org", [("s3.example.org", "CAA", '0 issue ";"')])
    done = corp.ctl.run("check")
    rows = [c for line in done.stdout.splitlines() for c in json.loads(line)["checks"]]
    assert done.returncode == 1
    assert {c["name"]: c["check"]["verdict"] for c in rows} == dict({"s%d" % i: "warn" for i in range(6)}, site="warn", s3="fail")
    assert len(rows) == 7
    assert corp.ctl.run("check", "nobody").returncode == 3


@root_only
def test_what_stands_in_the_way_of_the_record(world):
    """Left-over TXT records, a wildcard that the record would shadow, long negative TTL, servers that do not answer, an UPDATE that is refused."""
    host, dead = free_hosts(2)
    zone = Zone("example.org", ["* IN A 192.0.2.7", "own IN A 192.0.2.7"], update=[KEY], ns={"ns1": [host], "ns2": [dead]}, negative_ttl=3600)
    server = world.serve(Bind, host, zone)
    stranger = Key("stranger")
    lab = begin(world, world.entry("corp", server, 'zones = [ "example.org" ];'),
                world.entry("locked", server, 'zones = [ "example.org" ];', key=stranger),
                inside={"example.org": [host]}, outside={"example.org": [host]})  # recursive servers may take their time with one that is dead
    for name in "wild", "own":
        lab.snippet(name, [name + ".example.org"], prove='"dns:corp"')
    lab.wait_issued("wild")
    lab.wait_issued("own")
    change(server, "example.org", [("_acme-challenge.own.example.org", "TXT", '"left over"')])

    verdict, found = check(lab, "own")
    assert verdict == "warn"
    assert '"left over"' in bad(found, "leftovers", "warn")[0]["text"]
    assert "3600 s" not in str(found) and "300 s" not in str(found)  # BIND's answer carries the smaller of both
    assert not found.get("wildcard")
    assert any(dead in f["name"] for f in bad(found, "servers", "warn")), found
    assert bad(found, "update", "ok")
    change(server, "example.org", deletes=[("_acme-challenge.own.example.org", "TXT")])

    verdict, found = check(lab, "wild")
    assert "only by the wildcard *.example.org" in bad(found, "wildcard", "warn")[0]["text"], found
    assert bad(found, "leftovers", "ok")

    lab.snippet("own", ["own.example.org"], prove='"dns:locked"')
    lab.ctl("reload")
    verdict, found = check(lab, "own", 1)
    assert "BADKEY" in bad(found, "update")[0]["text"] or "REFUSED" in bad(found, "update")[0]["text"] or "NOTAUTH" in bad(found, "update")[0]["text"], found
    assert server.txt("_acme-challenge.own.example.org") == []


@root_only
def test_delegation(world):
    """A CNAME into a zone that no entry writes to is named, and so is one that leads nowhere; mended, all is well."""
    host, other = free_hosts(2)
    server = world.serve(Bind, host, Zone("example.org", ["_acme-challenge.www IN CNAME www.acme-example.net."], update=[KEY], ns={"ns1": [host]}))
    second = world.serve(Bind, other, Zone("acme-example.net", update=[KEY], ns={"ns1": [other]}))
    corp = world.entry("corp", server, 'zones = [ "example.org" ];')
    lab = begin(world, corp)
    lab.snippet("site", ["www.example.org"], prove='"dns:corp"', more="enabled = false; ")
    lab.ctl("reload")
    verdict, found = check(lab, code=1)
    assert "www.acme-example.net, and no dns entry has that in its zones" in bad(found, "delegation")[0]["text"], found
    lab.dns_entries = [corp, world.entry("acme", second, 'zones = [ "acme-example.net" ];')]
    lab.write_config()
    lab.ctl("reload")
    verdict, found = check(lab)
    assert "alias of www.acme-example.net" in bad(found, "delegation", "ok")[0]["text"], found
    assert "dns:acme may write" in bad(found, "update", "ok")[0]["text"], found
    change(server, "example.org", [("_acme-challenge.www.example.org", "CNAME", "www.nowhere.net.")], [("_acme-challenge.www.example.org", "CNAME")])
    verdict, found = check(lab, code=1)
    assert [f for what in ("proof", "delegation") for f in bad(found, what)], found


# --- DNSSEC ---

def sign(world, text, zone, spoil=False):
    """The zone signed by one key, which stays the same: (text, DS record). spoil: its SOA record is another one than was signed."""
    folder = world.place.root / "signing"
    folder.mkdir(exist_ok=True)
    (folder / zone).write_text(text)

    def run(*argv):
        done = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True, env=dict(world.place.env, PATH=SBIN))
        assert done.returncode == 0, done
        return done.stdout
    keys = list(folder.glob("K%s.+*.key" % zone))
    key = keys[0].stem if keys else run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone).strip()
    run("dnssec-signzone", "-q", "-S", "-z", "-o", zone, "-f", "signed", zone)
    signed = (folder / "signed").read_text()
    if spoil:
        signed, done = re.subn(r"\b1(\s+; serial)", r"2\1", signed)
        assert done == 1, signed
    return signed, run("dnssec-dsfromkey", "-2", key).strip()


@root_only
def test_bogus_dnssec_is_named(world):
    (host,) = free_hosts(1)
    zone = Zone("example.org", ["www IN A 192.0.2.1"], update=[KEY], ns={"ns1": [host]})
    plain = zone.text
    zone.text, anchor = sign(world, plain, "example.org", spoil=True)
    server = world.serve(Bind, host, zone)
    lab = begin(world, world.entry("corp", server, 'zones = [ "example.org" ];'), anchors=[anchor])
    lab.snippet("site", ["www.example.org"], prove='"dns:corp"', more="enabled = false; ")
    lab.ctl("reload")
    verdict, found = check(lab, code=1)
    text = bad(found, "dnssec")[0]["text"]
    assert "bogus" in text and "it says: DNSSEC bogus (6)" in text, found
    assert "bogus" in bad(found, "proof")[0]["text"], found

    server.stop()
    signed, _ = sign(world, plain, "example.org")
    server.zone_file(zone).write_text(signed)
    server.start()
    wait_until(lambda: lab.ctl.run("check", "site").returncode == 0, 20, lambda: "all well; there is %s" % lab.ctl.run("check", "site").stdout)
    verdict, found = check(lab)
    assert "signed, and validated" in bad(found, "dnssec", "ok")[0]["text"], found


# --- beside the CA's word ---

@pytest.fixture
def fake():
    one = Server()
    yield one
    one.close()


def caa_of(world):
    """What a CA says that evaluates CAA with a recursive server of its own (which Pebble does not)."""
    def refuse(name):
        while name:
            sets = [s for s in world.ca.ask(name, "CAA").answer if s.rdtype == dns.rdatatype.CAA]
            if sets:
                allowed = [r.value.decode() for r in sets[0] if r.tag == b"issue"]
                return None if US in allowed else ("caa", "CAA record for %s prevents issuance" % name)
            name = name.partition(".")[2]
        return None
    return refuse


def explained(lab, what):
    """What explain says of it in its head."""
    return re.search(r"^  %-12s (.*)$" % what, lab.ctl.run("explain", "site", json_out=False).stdout, re.M).group(1)


@root_only
def test_explain_has_dnssec_and_caa(world, fake):
    """A first order that a CA refuses for CAA: right after it, explain has what stands there beside the CA's word, and DNSSEC, after a restart, too.
    Mended, both are well and told all the same, before and after the certificate is there."""
    host, other = free_hosts(2)
    zone = Zone("example.org", ["_acme-challenge IN CNAME example.org.acme-example.net.", '@ IN CAA 0 issue "other.example"'], ns={"ns1": [host]})
    plain = zone.text
    zone.text, anchor = sign(world, plain, "example.org")
    server = world.serve(Bind, host, zone)
    second = world.serve(Bind, other, Zone("acme-example.net", update=[KEY], ns={"ns1": [other]}))
    world.open(fresh=True, anchors=[anchor])
    lab = world.lab
    ca = fake.ca("fake", challenge="dns-01", validate=False, refuse=caa_of(world))
    ca.on("directory", edit=lambda d: d["meta"].update(caaIdentities=[US]))
    lab.cas, lab.dns_entries = [ca_block(ca)], [world.entry("acme", second, 'zones = [ "acme-example.net" ];')]
    lab.start()
    lab.snippet("site", ["example.org"], prove='"dns:acme"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert (error["type"], error["detail"]) == ("caa", "CAA record for example.org prevents issuance"), error
    wait_until(lambda: lab.ctl.show("site")["standing"].get("at"), 20, "a look right after it")
    standing = lab.ctl.show("site")["standing"]
    assert [(f["state"], f["name"]) for f in standing["dnssec"] + standing["caa"]] == [("secure", "example.org"), ("forbidden", "example.org")], standing
    assert re.fullmatch(r"secure: signed, and validated by %s \(looked at (now|\d+s ago)\)" % world.resolver.at, explained(lab, "dnssec"))
    assert explained(lab, "caa").startswith('forbidden: the CAA records of example.org allow other CAs only: issue "other.example"; this CA is issue "%s"' % US)
    assert explained(lab, "last error").startswith("prove example.org: CAA record for example.org prevents issuance (caa")

    lab.restart()
    assert explained(lab, "dnssec").startswith("secure") and explained(lab, "caa").startswith("forbidden")

    server.stop()
    server.zone_file(zone).write_text(sign(world, plain.replace("other.example", US), "example.org")[0])
    server.start()
    wait_until(lambda: US in str(world.ca.ask("example.org", "CAA")), 20, "the new records")
    check(lab)
    assert explained(lab, "caa").startswith('allowed: the CAA records of example.org allow this CA: issue "%s" (looked at ' % US)
    lab.ctl("renew", "site", "--wait")
    assert lab.ctl.show("site")["generation"] == 1
    assert explained(lab, "dnssec").startswith("secure: ") and explained(lab, "caa").startswith("allowed: ")
    assert_never_poisoned(world)


# --- HTTP ---

@root_only
def test_http(lab):
    """The addresses of the name, each by itself; who does not answer is told, and decides only when self_check = "require"."""
    lab.start()
    lab.snippet("site", ["site.example.org"])
    lab.wait_issued("site")
    verdict, found = check(lab)
    assert bad(found, "http", "ok"), found
    lab.dns("add-aaaa", host="site.example.org", addresses=["::1"])  # where nobody is
    verdict, found = check(lab)
    assert ["127.0.0.1" in f["text"] for f in bad(found, "http", "ok")] == [True], found
    assert ["[::1]" in f["text"] for f in bad(found, "http", "warn")] == [True], found
    lab.dns("clear-aaaa", host="site.example.org")
    lab.nginx.end()
    verdict, found = check(lab)
    assert verdict == "warn" and bad(found, "http", "warn"), found
    lab.snippet("site", ["site.example.org"], more='self_check = "require"; ')
    lab.ctl("reload")
    verdict, found = check(lab, code=1)
    assert bad(found, "http"), found


# --- the CA ---

def test_ca_is_gone(lab):
    """What it said of itself before does not hide that it does not answer now."""
    lab.start()
    lab.snippet("site", ["site.example.org"])
    lab.wait_issued("site")
    assert check(lab)[0] == "ok"
    lab.pebbles[0].stop()
    wait_until(lambda: check(lab)[0] == "warn", 30, "a word of the CA")  # it is believed to be there for some seconds
    found = check(lab)[1]
    assert "does not answer now" in bad(found, "ca", "warn")[0]["text"] and bad(found, "caa", "ok"), found
    lab.pebbles[0].start()
    assert check(lab)[0] == "ok"
