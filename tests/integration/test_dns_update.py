# SPDX-License-Identifier: ISC
"""Dynamic updates against real servers: BIND, Knot DNS, PowerDNS; a secondary behind each. tests/unit/dns_update_harness is the provider by hand."""
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from dns_servers import KINDS, Bind, Key, Knot, Nsd, Place, PowerDns, Zone
from lab import BUILD, require
from lab_base import free_ports, wait_until

ALGORITHMS = ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]
NAME = "_acme-challenge.www.example.org"
KEY = Key("dovad-key")
OTHER = Key("other.key", "hmac-sha512", b"o" * 64)
RECORDS = ['_acme-challenge.www IN TXT "theirs"', "_acme-challenge.alias IN CNAME elsewhere.example.net."]


def find_harness():
    for place in ([BUILD / "tests/unit/dns_update_harness", BUILD / "dns_update_harness"] if BUILD else []):
        if place.exists():
            return place
    require(False, "tests/unit/dns_update_harness (DOVAD_BUILD names the build tree, make check builds it)")


def update(server, *changes, key=KEY, secrets=(), zone="example.org", ttl=60, timeout=4000, clock=0):
    """What became of each change, in the order given: "" or the error. A change is (operation, name[, value])."""
    argv = [find_harness(), server if isinstance(server, str) else server.address]
    argv += [key.name, key.algorithm] if key else ["-", "-"]
    argv += [",".join(secrets) or (key.secret if key else "-"), ttl, timeout]
    for c in changes:
        argv += ["again"] if c == "again" else [c[0], zone, c[1], c[2] if len(c) > 2 else "-"]
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", HARNESS_CLOCK=str(clock))
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    said = {int(n): "" if text == "ok" else text for n, text in lines}
    assert sorted(said) == list(range(sum(c != "again" for c in changes)))
    return [said[n] for n in sorted(said)]


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="dns.") as folder:  # a short name: see Server
        yield Place(Path(folder))


@pytest.fixture
def run(place):
    """Starts servers; all of them end with the test."""
    servers = []

    def start(kind, *args, **options):
        kind.require()
        servers.append(kind(place, *args, **options))
        return servers[-1].start()
    yield start
    for s in servers:
        s.stop()


@pytest.fixture(params=["bind", "knot", "pdns"])
def server(request, run):
    return run(KINDS[request.param], ["127.0.0.1"], free_ports(1)[0], [Zone("example.org", RECORDS, update=[KEY])], keys=[OTHER])


def test_life(server):
    """A value is added and removed beside one of somebody else's; both again; what is there already or not there any more is no error."""
    before = server.serial("example.org")
    assert update(server, ("probe", NAME)) == [""]
    assert (server.serial("example.org"), server.txt(NAME)) == (before, ["theirs"])
    assert update(server, ("add", NAME, "one"), ("add", NAME, "two")) == ["", ""]
    assert server.txt(NAME) == ["one", "theirs", "two"]
    added = server.serial("example.org")
    assert update(server, ("add", NAME, "one"), "again", ("probe", NAME)) == ["", ""]
    assert (server.serial("example.org"), server.txt(NAME)) == (added, ["one", "theirs", "two"])
    assert update(server, ("remove", NAME, "one")) == [""]
    assert server.txt(NAME) == ["theirs", "two"]
    assert update(server, ("remove", NAME, "one"), ("remove", NAME, "never"), ("remove", "nothing.here.example.org", "x")) == ["", "", ""]
    assert server.txt(NAME) == ["theirs", "two"]
    assert update(server, ("remove", NAME, "two")) == [""]
    assert server.txt(NAME) == ["theirs"]


def test_new_name(server):
    """A name that was not there has the TTL of the option; with its last value it goes, and a probe does not make it."""
    name = "_acme-challenge.new.example.org"
    assert update(server, ("probe", name)) == [""]
    assert server.ask(name, "TXT").rcode() == dns.rcode.NXDOMAIN
    assert update(server, ("add", name, "v"), ttl=77) == [""]
    assert (server.txt(name), server.ttl(name)) == (["v"], 77)
    assert update(server, ("remove", name, "v")) == [""]
    assert server.ask(name, "TXT").rcode() == dns.rcode.NXDOMAIN


def test_values(server):
    """Quotes, backslashes, several strings, over TCP."""
    name = "_validation-persist.example.org"
    values = ['a "quoted" \\ value; with (all) of it', "x" * 255, "y" * 256, "z" * 4096]
    assert update(server, *[("add", name, v) for v in values]) == [""] * 4
    assert server.txt(name) == sorted(values)
    assert update(server, *[("remove", name, v) for v in values[1:]]) == [""] * 3
    assert server.txt(name) == values[:1]


def test_many(server):
    """A hundred changes at once, at the same name and elsewhere. (BIND 9.18 takes no more than 100 records of a type at a name: SERVFAIL.)"""
    names = [NAME if i % 2 else "_acme-challenge.n%d.example.org" % i for i in range(100)]
    assert update(server, *[("add", n, "value-%d" % i) for i, n in enumerate(names)], timeout=20000) == [""] * 100
    assert len(server.txt(NAME)) == 51 and server.txt(names[98]) == ["value-98"]
    assert update(server, *[("remove", n, "value-%d" % i) for i, n in enumerate(names)], timeout=20000) == [""] * 100
    assert (server.txt(NAME), server.txt(names[98])) == (["theirs"], [])


def test_cname(server):
    """Beside a CNAME servers drop a TXT record without a word; we do not take that for a yes."""
    for what in "add", "probe":
        assert "YXRRSET: there is a CNAME at this name" in update(server, (what, "_acme-challenge.alias.example.org", "v"))[0]


def test_refusals(server):
    before = server.serial("example.org")
    for what in "add", "probe":
        for options, words in (
                (dict(key=OTHER), "denied"),
                (dict(key=Key("nobody")), "denied"),
                (dict(key=Key(KEY.name, secret=b"wrong" * 8)), "denied"),
                (dict(key=Key(KEY.name, "hmac-sha512")), "denied"),
                (dict(key=None), "denied")):
            text = update(server, (what, NAME, "v"), **options)[0]
            assert text.startswith(words), text
            assert "dns harness: server %s, zone example.org, name %s: " % (server.address, NAME) in text
    for zone in "example.com", "www.example.org":
        text = update(server, ("add", "a." + zone, "v"), zone=zone)[0]
        assert text.startswith("denied") and "NOTAUTH" in text, text
    assert (server.serial("example.org"), server.txt(NAME)) == (before, ["theirs"])


def test_errors_name_the_key(run):
    """What BIND and Knot DNS say about a key; PowerDNS says REFUSED, and does not sign that."""
    port = free_ports(1)[0]
    for kind in Bind, Knot:
        server = run(kind, ["127.0.0.1"], port, [Zone("example.org", RECORDS, update=[KEY])])
        assert "BADKEY: the server does not know this key" in update(server, ("add", NAME, "v"), key=Key("nobody"))[0]
        assert "BADSIG: the server has another secret for this key" in update(server, ("add", NAME, "v"), key=Key(KEY.name, secret=b"wrong" * 8))[0]
        server.stop()
    server = run(PowerDns, ["127.0.0.1"], port, [Zone("example.org", RECORDS, update=[KEY])])
    assert "REFUSED: the server does not allow it" in update(server, ("add", NAME, "v"), key=Key("nobody"))[0]


def test_secret_replaced(server):
    """The secret we have is refused; the keeper has another one by now."""
    old = Key(KEY.name, secret=b"old" * 10)
    assert update(server, ("add", NAME, "v"), ("add", NAME, "w"), secrets=[old.secret, KEY.secret]) == ["", ""]
    assert server.txt(NAME) == ["theirs", "v", "w"]


def test_clocks(server):
    """Our clock is wrong: the server says so, and we say by how much. PowerDNS says REFUSED, unsigned."""
    for wrong, words in (3600, "behind"), (-3600, "ahead of"):
        text = update(server, ("add", NAME, "v"), clock=wrong)[0]
        if server.kind == "pdns":
            assert "REFUSED" in text
        else:
            assert text.startswith("temp tsig") and re.search(r"BADTIME: the server's clock \(.*Z\) is (1h( \d+[ms])?|59m \d+s) %s ours" % words, text), text
    assert update(server, ("add", NAME, "v"), clock=200) == [""]  # within five minutes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms(run, algorithm):
    key = Key("Key-" + algorithm, algorithm)
    server = run(Bind, ["127.0.0.1"], free_ports(1)[0], [Zone("example.org", RECORDS, update=[key])])
    assert update(server, ("probe", NAME), ("add", NAME, "v"), ("add", "long.example.org", "x" * 2000), key=key) == [""] * 3
    assert server.txt(NAME) == ["theirs", "v"]


def test_update_policy(run):
    """BIND looks at such rules record by record: a probe without a record learns nothing of them, so ours has one."""
    zone = Zone("example.org", RECORDS, update=[KEY], policy=["grant %s name %s TXT" % (KEY.name, NAME), "grant %s subdomain sub.example.org TXT" % KEY.name])
    server = run(Bind, ["127.0.0.1"], free_ports(1)[0], [zone], keys=[OTHER])
    bare = dns.update.UpdateMessage("example.org", keyring=dns.tsig.Key(OTHER.name, OTHER.secret, OTHER.algorithm))
    bare.present("@", "SOA")
    assert dns.query.tcp(bare, "127.0.0.1", port=server.port, timeout=5).rcode() == dns.rcode.NOERROR
    for what in "probe", "add":
        assert update(server, (what, NAME, "v"), (what, "_acme-challenge.a.sub.example.org", "v")) == ["", ""]
        assert "REFUSED: the server does not allow it" in update(server, (what, "_acme-challenge.example.org", "v"))[0]
        assert "REFUSED: the server does not allow it" in update(server, (what, NAME, "v"), key=OTHER)[0]


def test_addresses_allowed(server, run):
    """Without a key, by address."""
    server.stop()
    free = run(type(server), ["127.0.0.1"], free_ports(1)[0], [Zone("open.test", update=["127.0.0.1"])])
    assert update(free, ("probe", "a.open.test"), ("add", "a.open.test", "v"), key=None, zone="open.test") == ["", ""]
    assert free.txt("a.open.test") == ["v"]


@pytest.mark.parametrize("kind", ["bind", "knot", "pdns"])
def test_ipv6(run, kind):
    server = run(KINDS[kind], ["::1"], free_ports(1)[0], [Zone("example.org", RECORDS, update=[KEY])])
    assert update(server, ("add", NAME, "v"), ("add", "long.example.org", "x" * 2000)) == ["", ""]
    assert server.txt(NAME) == ["theirs", "v"]


@pytest.mark.parametrize("kind", ["bind", "knot", "pdns"])
@pytest.mark.parametrize("second", ["bind", "knot", "nsd"])
def test_hidden_primary(run, kind, second):
    """The primary is no name server of the zone; its secondary gets the change by NOTIFY, at the same port."""
    port = free_ports(1)[0]
    primary = run(KINDS[kind], ["127.0.0.21"], port, [Zone("example.org", RECORDS, update=[KEY], notify=["127.0.0.22"])])
    secondary = run(KINDS[second], ["127.0.0.22"], port, [Zone("example.org", primary="127.0.0.21")])
    assert update(primary, ("add", NAME, "v")) == [""]
    assert primary.txt(NAME) == ["theirs", "v"]
    wait_until(lambda: secondary.txt(NAME) == ["theirs", "v"], 30, "the secondary has it too")
    assert secondary.serial("example.org") == primary.serial("example.org")
    text = update(secondary, ("add", NAME, "w"))[0]
    assert text.startswith("denied"), text
    assert "w" not in primary.txt(NAME)


def test_nsd_takes_no_updates(run):
    server = run(Nsd, ["127.0.0.1"], free_ports(1)[0], [Zone("example.org", RECORDS)])
    assert "NOTIMP: the server takes no updates" in update(server, ("add", NAME, "v"), key=None)[0]


def test_restart(server):
    """A change is there after the server has been restarted."""
    assert update(server, ("add", NAME, "v")) == [""]
    server.stop()
    text = update(server, ("remove", NAME, "v"), timeout=2000)[0]
    assert text.startswith("temp connect") and "Connection refused" in text
    server.start()
    assert server.txt(NAME) == ["theirs", "v"]
    assert update(server, ("remove", NAME, "v")) == [""]


def test_udp_closed(server):
    """A firewall that lets only TCP through: UDP gets silence."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.9", server.port))
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.9", server.port))
            listener.listen()
            argv = [find_harness(), "127.0.0.9:%d" % server.port, KEY.name, KEY.algorithm, KEY.secret, "60", "8000", "add", "example.org", NAME, "v"]
            with subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, text=True) as p:
                here, _ = listener.accept()
                with here, socket.create_connection(("127.0.0.1", server.port)) as there:
                    there.sendall(here.recv(65535))
                    here.sendall(there.recv(65535))
                    assert p.communicate(timeout=30)[0] == "0 ok\n"
            datagrams = 0
            deaf.setblocking(False)
            try:
                while deaf.recv(65535):
                    datagrams += 1
            except BlockingIOError:
                pass
            assert datagrams == 3
    assert server.txt(NAME) == ["theirs", "v"]
