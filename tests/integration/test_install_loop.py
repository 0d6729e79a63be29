# SPDX-License-Identifier: ISC
"""The keeper's writing operations, killed at every system call, failed at every system call, and cut off from power after every one.

Each runs in tests/unit/install_harness, without the rest of the keeper. "look" is a service that reads the folders at that very moment: it must find
one pair. "repair" is what a keeper does at its start."""
import base64
import datetime
import os
import random
import re
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from disk_model import CALLS, Disk, write_tree
from lab import BUILD, require

# What changes something; a kill between two others leaves what the one before left.
CHANGES = ["mkdirat", "write", "fsync", "fchmod", "fchown", "linkat", "renameat", "renameat2", "symlinkat", "unlinkat"]
OPERATIONS = ["request", "request-round", "first", "first-round", "renewal", "renewal-round", "rollback", "confirm"]
STEP = int(os.environ.get("DOVAD_LOOP_STEP", 2))  # every so-many-th call, and chance says which first: contrib/check-long.sh loop takes all of them
NAMED = ["first-round", "renewal", "rollback"]  # with separately named files, too


def some_of(cases):
    return cases[random.randrange(STEP)::STEP]


def find_harness():
    for place in ([BUILD / "tests/unit/install_harness", BUILD / "install_harness"] if BUILD else []):
        if place.exists():
            return place
    require(False, "tests/unit/install_harness (DOVAD_BUILD names the build tree, make check builds it)")


class TestCA:
    __test__ = False

    def __init__(self):
        self.root, self.key, self.serial = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()), 100
        self.issuer = self._make("issuer", "root", self.key.public_key(), self.root, True)

    def _make(self, subject, issuer, public, key, is_ca):
        def name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
        now = datetime.datetime.utcnow()
        self.serial += 1
        b = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public).serial_number(self.serial)
             .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=90))
             .add_extension(x509.BasicConstraints(is_ca, None), True))
        if not is_ca:
            b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), False).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        return b.sign(key, hashes.SHA256())

    def chain(self, csr_hex):
        csr = x509.load_der_x509_csr(bytes.fromhex(csr_hex))
        leaf = self._make("site.example.org", "issuer", csr.public_key(), self.key, False)
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (leaf, self.issuer))


class Place:
    """One folder in which an operation is tried over and over from the same beginning."""

    def __init__(self, root, harness, operation):
        self.root, self.harness, self.operation = root, harness, operation.removesuffix("-round")
        self.round = "-round" if operation.endswith("-round") else ""
        self.work, self.gold = root / "work", root / "gold"
        self.work.mkdir()
        self.named = operation in NAMED
        named = '{ key_file = "%s/mail/key.pem"; fullchain_file = "%s/mail/chain.pem"; }' % (self.work, self.work)
        self.conf = root / "dovad.conf"
        self.conf.write_text('keeper_state = "%s/keeper"; state = "%s"; runtime = "%s"; keep = 2;\n'
                             'ca = ( { name = "none"; type = "acme"; directory = "https://localhost:1/dir"; } );\n'
                             'http = ( { name = "www"; type = "webroot"; path = "%s"; } );\n'
                             'certificate = { name = "site"; names = [ "site.example.org" ]; install = ( { dir = "%s/tls/site"; }%s ); };\n'
                             % (self.work, root, root, root, self.work, ", " + named if self.named else ""))
        (self.work / "tls").mkdir()
        (self.work / "mail").mkdir()
        self.chain = root / "chain.pem"
        ca = TestCA()
        for _ in range({"request": 0, "first": 0, "renewal": 1, "rollback": 2, "confirm": 4}[self.operation]):
            self.issue(ca)
        if self.operation in ("first", "renewal"):
            self.chain.write_bytes(ca.chain(self.run("request", "site").stdout.strip()))
        self.has_pair = self.operation not in ("request", "first")
        shutil.copytree(self.work, self.gold, symlinks=True)

    def issue(self, ca):
        self.chain.write_bytes(ca.chain(self.run("request", "site").stdout.strip()))
        assert self.run("install", "site", self.chain).returncode == 0

    def run(self, *words, wrapper=()):
        argv = list(wrapper) + [self.harness, self.conf] + list(words)
        return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C"})

    def operation_words(self):
        verb = {"first": "install", "renewal": "install"}.get(self.operation, self.operation)
        return [verb + self.round, "site"] + ([self.chain] if verb == "install" else [])

    def operate(self, *wrapper):
        return self.run(*self.operation_words(), wrapper=wrapper)

    def restore(self):
        for name in os.listdir(self.work):
            shutil.rmtree(self.work / name)
        for name in os.listdir(self.gold):
            shutil.copytree(self.gold / name, self.work / name, symlinks=True)

    def trace(self, calls):
        """The lines of one undisturbed run."""
        self.restore()
        log = self.root / "trace"
        done = self.operate("strace", "-f", "-y", "-qq", "-s", "100000", "-o", log, "-e", "trace=" + calls)
        assert done.returncode == 0
        self.answer = done.stdout.strip()
        return log.read_text().splitlines()

    # --- what must hold ---

    def check_modes(self, what):
        for path in self.work.rglob("*"):
            if path.is_file() and not path.is_symlink() and b"PRIVATE KEY" in path.read_bytes():
                assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0, "%s: %s has mode %o" % (what, path, path.stat().st_mode)

    def check_look(self, what):
        seen = self.run("look", "site")
        assert seen.returncode == 0, "%s: a service finds no pair: %s" % (what, seen.stderr)

    def check_after(self, what, service_reads=True):
        """Right now, after the start of a keeper, and after the operation was asked for again."""
        self.check_modes(what)
        steps = [["look", "site"]] if self.has_pair and service_reads else []
        steps += [["repair", "site"], self.operation_words()] + ([["repair", "site"]] if self.operation != "request" else [])
        was_there = self.has_pair or (self.work / "keeper/live/site").is_symlink()
        done = self.run(*[word for step in steps for word in [",", *step]][1:])
        codes = re.findall(r"^([a-z-]+): (\d+)$", done.stdout, re.M)
        assert [verb for verb, _ in codes] == [step[0] for step in steps], "%s: %s" % (what, done)
        # Before there was a pair, the first repair finds none. Taking back twice has nothing to take back to the second time.
        bad = [(verb, code) for i, (verb, code) in enumerate(codes) if code != "0" and (i > 0 or verb != "repair" or was_there) and
               not (verb == "rollback" and code == "1" and "no earlier generation" in done.stderr)]
        assert not bad, "%s: %s: %s" % (what, bad, done.stderr)
        self.check_modes(what)


@pytest.fixture
def places(tmp_path_factory):
    """make(operation) -> two equal places, for two at a time."""
    harness = find_harness()
    root = tmp_path_factory.mktemp("install")

    def make(operation):
        found = []
        for i in range(2):
            (root / ("%s%d" % (operation, i))).mkdir()
            found.append(Place(root / ("%s%d" % (operation, i)), harness, operation))
        return found
    return make


def share(places, cases, one):
    """one(place, case) for all cases, two at a time."""
    def work(i):
        for case in cases[i::len(places)]:
            one(places[i], case)
    with ThreadPoolExecutor(len(places)) as pool:
        for done in [pool.submit(work, i) for i in range(len(places))]:
            done.result()


def count_calls(place):
    """How often each call comes in an undisturbed run; strace counts each kind by itself."""
    lines = place.trace(",".join(CHANGES))
    return {c: sum(bool(re.match(r"\d+ +%s\(" % c, line)) for line in lines) for c in CHANGES}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_every_call(places, operation):
    """kill -9 at each call that changes something, before it does."""
    both = places(operation)
    cases = [(call, k) for call, n in count_calls(both[0]).items() for k in range(1, n + 1)]
    assert len(cases) >= 5

    def one(place, case):
        place.restore()
        done = place.operate("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + case[0], "-e", "inject=%s:signal=KILL:when=%d" % case)
        assert done.returncode in (-9, 137), "%s %s: exit %d" % (operation, case, done.returncode)
        place.check_after("%s killed at %s %d" % ((operation,) + case))
    share(both, some_of(cases), one)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_failed_at_every_call(places, operation):
    """Each call fails once, those of a full or broken disk from then on, too: the operation says so, the old pair stays; with the fault gone it works."""
    both = places(operation)
    errors = {"write": "ENOSPC", "fsync": "EIO", "mkdirat": "ENOSPC", "linkat": "EMLINK", "renameat": "EIO", "renameat2": "EIO", "symlinkat": "ENOSPC",
              "unlinkat": "EROFS", "fchmod": "EROFS", "fchown": "EPERM"}
    lasting = () if both[0].round else ("write", "fsync", "syncfs")  # what fails in a round is done again alone
    cases = [(call, k, plus) for call, n in count_calls(both[0]).items() for k in range(1, n + 1) for plus in ["", "+"][:1 + (call in lasting)]]
    assert len(cases) >= 10

    def one(place, case):
        call, k, plus = case
        place.restore()
        done = place.operate("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=%s:error=%s:when=%d%s" % (call, errors[call], k, plus))
        what = "%s, %s %d%s failed" % (operation, call, k, plus)
        assert done.returncode in (0, 1), "%s: exit %d: %s" % (what, done.returncode, done.stderr)
        assert done.returncode == 0 or done.stderr.strip() or case[::2] == ("write", "+"), what + " and nothing was said"
        if done.returncode == 0 and place.operation in ("first", "renewal"):
            place.check_look(what + " and all went well")
        place.check_after(what)
    share(both, some_of(cases), one)


def cuts(trace, place, seed):
    """(what, tree) of every cut that leaves another tree than those before."""
    seen, disk = set(), Disk(place.work)
    for k, line in enumerate(trace, 1):
        if not disk.apply(line):
            continue
        dice = random.Random(seed + k)
        for kind, choose in [("synced only", lambda n: 0), ("names before data", lambda n: 1 if n == 2 else 0), ("by chance", dice.randrange)]:
            tree = disk.cut(choose)
            key = hash(tuple(tree.items()))
            if key not in seen:
                seen.add(key)
                yield "cut at %d (%s): %s" % (k, kind, line[:100]), tree


@pytest.mark.parametrize("operation", OPERATIONS)
def test_power_cut_after_every_call(places, operation):
    """What was not synced may be gone, and in any order: after the repair at start a service reads a pair again."""
    both = places(operation)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    cases = {}
    for place in both:
        trace = place.trace(CALLS)
        place.restore()
        cases[place] = list(cuts(trace, place, seed))
    n = min(len(c) for c in cases.values())
    assert n >= 5

    def one(place, i):
        what, tree = cases[place][i]
        write_tree(place.work, tree)
        # Before dovad is up again a service may find nothing where a name was lost; half a pair it must never find once repair ran.
        place.check_after("%s, %s" % (operation, what), service_reads=False)
    share(both, list(range(n)), one)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o not in ("rollback", "confirm")])
def test_answered_is_on_the_disk(places, operation):
    """When the answer is given nothing of what it says needs a further sync."""
    place = places(operation)[0]
    (place.gold / "keeper").mkdir(exist_ok=True)  # of the package's, and there for long
    lines = place.trace(CALLS)
    place.restore()
    disk = Disk(place.work)
    for line in lines:
        disk.apply(line)
    write_tree(place.work, disk.cut(lambda n: 0))
    if place.operation == "request":
        key, request = (place.work / "keeper/pending/site.pem").read_text().split("-----BEGIN CERTIFICATE REQUEST-----\n")
        assert key.endswith("-----END PRIVATE KEY-----\n")
        assert base64.b64decode(request.split("-----")[0]).hex() == place.answer
    else:
        assert os.readlink(place.work / "keeper/live/site").endswith("/" + place.answer)
        assert os.path.exists(place.work / "tls/site/privkey.pem")
        if place.named:
            assert (place.work / "mail/key.pem").read_bytes() == (place.work / "tls/site/privkey.pem").read_bytes()
            assert (place.work / "mail/chain.pem").read_bytes() == (place.work / "tls/site/fullchain.pem").read_bytes()
        place.check_look("answered")
