# SPDX-License-Identifier: ISC
"""What both halves are confined to, and what stays of keys and secrets in their memory: nothing that is not in use."""
import base64
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from dns_servers import Bind, Zone
from dns_world import KEY
from lab import DOVAD, ROOT, check_pair
from lab_base import free_hosts

pytestmark = pytest.mark.skipif(not ROOT, reason="needs root to read another process's memory")

HMAC = "bWFya2VkLXNlY3JldC1vZi1hbi1leHRlcm5hbC1hY2NvdW50LTA0Nzk"  # base64url of a text
MAPPING = 1 << 28  # no larger one is read: a sanitizer's shadow
ENTRY = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (....) (?:.*\n)(?:[A-Z].*\n)*?Rss: +(\d+) kB$", re.M)


def memory_of(pid):
    """What the process can write to, and has."""
    with open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for begin, end, rights, resident in ENTRY.findall(Path("/proc/%d/smaps" % pid).read_text()):
            begin, end = int(begin, 16), int(end, 16)
            if "w" in rights and end - begin <= MAPPING and resident != "0":
                mem.seek(begin)
                yield mem.read(end - begin)


def found_in(pid, needles):
    """{needle: how often}, of those that are there."""
    counts = dict.fromkeys(needles, 0)
    for data in memory_of(pid):
        for what, needle in needles.items():
            counts[what] += data.count(needle)
    return {what: n for what, n in counts.items() if n}


def pieces(path):
    """{what: bytes} by which a private key would be found: a line of its text, its numbers as they stand in DER, and as OpenSSL computes with them: limbs of
    64 bits, the least first."""
    pem = path.read_bytes()
    numbers = serialization.load_pem_private_key(pem, None).private_numbers()
    names = [name for name in ("private_value", "d", "p") if hasattr(numbers, name)]
    found = {"text": pem.splitlines()[2][:48]}
    for name in names:
        n = getattr(numbers, name)
        raw = n.to_bytes((n.bit_length() + 7) // 8, "big")
        found[name], found[name + ", limbs"] = raw[:24], raw[:24][::-1]
    assert len(found) in (3, 5)
    return {"%s: %s" % (path.parent.name, what): needle for what, needle in found.items()}


@pytest.fixture
def kept(make_lab):
    """Three certificates were issued and installed in every form; nothing is under way."""
    lab = make_lab(mode="supervisor", network_user="nobody", keeper_user="daemon")
    lab.start_dns()
    pebble = lab.start_pebble(eab={"kid-1": HMAC})
    lab.start_nginx()
    lab.cas = [pebble.block("bound", 'eab = { key_id = "kid-1"; hmac_key = "credential:bound-hmac"; };')]
    lab.credential("bound-hmac", HMAC + "\n")
    (lab.root / "credentials/bound-hmac").chmod(0o600)
    lab.credential("p12", "marked password of a bundle\n")
    lab.services = [lab.nginx_service()]
    lab.start()
    for name, key in [("ec", "ecdsa-p256"), ("ec384", "ecdsa-p384"), ("rsa", "rsa-2048")]:
        lab.add_site(name)
        lab.targets[name] = lab.tls / name
        lab.snippet(name, text='certificate = { names = [ "%s.example.org" ]; prove = [ "http:www" ]; key = "%s"; service = [ "nginx" ]; install = ( '
                    '{ dir = "%s"; bundle = true; der = true; pkcs12 = true; pkcs12_password = "credential:p12"; } ); };\n' % (name, key, lab.tls / name))
    for name in ("ec", "ec384", "rsa"):
        lab.wait_issued(name)
        check_pair(lab, lab.tls / name, ["%s.example.org" % name])
    return lab


def test_no_key_stays_in_memory(kept):
    """Made, written in four forms, signed with and served: then not a line, number or limb of it is to be found. The account's key is in use still,
    which shows that the search would find the others'; but neither its text nor its number as a file has it."""
    lab = kept
    keeper = lab.halves()["keeper"]
    (account,) = (lab.keeper / "accounts").glob("*.pem")
    live = pieces(account)
    needles = {what: needle for name in ("ec", "ec384", "rsa") for what, needle in pieces(lab.tls / name / "privkey.pem").items()}
    needles["hmac"] = HMAC.encode()
    needles["hmac, decoded"] = b"marked-secret-of-an-external-account"
    needles["password"] = b"marked password of a bundle"
    seen = found_in(keeper, live)
    assert seen and all("limbs" in what for what in seen), seen
    assert found_in(keeper, needles) == {}
    assert found_in(lab.halves()["network"], needles | live) == {}
    assert found_in(keeper, {"a name": b"ec384.example.org"})


def lock_limit(pid):
    """A container's root may not be allowed to lift it."""
    limits = Path("/proc/%d/limits" % pid).read_text()
    return "no limit" if re.search(r"^Max locked memory +unlimited ", limits, re.M) else limits


def test_confined_and_locked(kept):
    """Both halves, for good: the log says so, and the kernel. What they still may is told right."""
    lab = kept
    log = lab.log()
    for half, program in (("network", "dovad"), ("keeper", "dovad-keeper")):
        pid = lab.halves()[half]
        status = Path("/proc/%d/status" % pid).read_text()
        said = re.search(r" %s info confined for good landlock=(.*) seccomp=(\S+)$" % program, log, re.M)
        features = subprocess.run([DOVAD, "-V"], capture_output=True, text=True, env=lab.env, check=True).stdout.splitlines()[1].split()
        assert said and (said[2] == "yes") == ("seccomp" in features) == ("Seccomp:\t2" in status), said
        assert "NoNewPrivs:\t1" in status
        assert os.stat("/proc/%d/mem" % pid).st_uid == 0  # not its user's, who may not trace it either
        assert re.search(r"^Max core file size +0 +0 ", Path("/proc/%d/limits" % pid).read_text(), re.M)
    findings = json.loads(lab.ctl.run("check", "ec").stdout)["checks"][0]["check"]["findings"]
    assert [(f["what"], f["name"], f["verdict"]) for f in findings if f["what"] in ("target", "webroot")] == [
        ("target", str(lab.tls / "ec"), "ok"), ("webroot", str(lab.web), "ok")]
    keeper = lab.halves()["keeper"]
    if "no limit" in lock_limit(keeper) and "libasan" not in Path("/proc/%d/maps" % keeper).read_text():  # which makes mlockall() do nothing
        assert int(re.search(r"VmLck:\s+(\d+) kB", Path("/proc/%d/status" % keeper).read_text())[1]) > 1000
    assert ("no limit" in lock_limit(keeper)) == ("keys may be written to the swap" not in log)


@pytest.mark.parametrize("world", [{"mode": "supervisor", "network_user": "nobody", "keeper_user": "daemon"}], indirect=True)
def test_secret_of_updates_stays_where_it_is_used(world):
    """The network half has the octets it signs with, once they were asked for, and neither their text nor what they came in; the keeper has nothing of it."""
    (host,) = free_hosts(1)
    server = world.serve(Bind, host, Zone("example.org", ["www IN A 192.0.2.1"], update=[KEY], ns={"ns1": [host]}))
    world.open(fresh=True)
    lab = world.lab
    lab.pebble = lab.start_pebble("new", nonce_reject=0, authz_reuse=0, resolver=world.ca.at)
    lab.dns_entries = [world.entry("corp", server, 'zones = [ "example.org" ];')]
    lab.start()
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    text, octets = KEY.secret.encode(), base64.b64decode(KEY.secret)
    needles = {"text": text, "octets": octets, "as sent": base64.urlsafe_b64encode(text).rstrip(b"=")}
    assert set(found_in(lab.halves()["network"], needles)) == {"octets"}
    assert found_in(lab.halves()["keeper"], needles) == {}
