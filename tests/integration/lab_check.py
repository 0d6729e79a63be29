# SPDX-License-Identifier: ISC
"""What always holds, asked of a lab at the end of each test: the invariants I1 to I4, I6, I7 and I9. That nobody waits for another's trouble (I5) and that
it goes on by itself (I8) takes a fault: tests of it ask (test_ca_reach.py, test_ca_reach.py::test_others_did_not_wait, test_resources.py)."""
import datetime
import json
import re
import socket
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from lab_base import comm, count_fds, proc_stat, tail, wait_until
from lab_certs import is_signed_by, names_of, parse_chain

SANITIZER = re.compile(rb"(ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer)")
FDS_MORE = 24  # connections kept to the CA, the journal's files


def check_pair(lab, folder, names=None):
    """I1: what a service reads in this folder is whole: the key fits, the chain is in order up to a known root, valid now."""
    if (folder / "pubkey.pem").exists():  # the other half is on a token
        assert not (folder / "privkey.pem").exists(), "%s: two keys" % folder
        text = (folder / "pubkey.pem").read_bytes()
        public = serialization.load_pem_public_key(text[text.index(b"-----BEGIN"):])
    else:
        public = serialization.load_pem_private_key((folder / "privkey.pem").read_bytes(), None).public_key()
    full = parse_chain((folder / "fullchain.pem").read_bytes())
    leaf, rest = parse_chain((folder / "cert.pem").read_bytes()), parse_chain((folder / "chain.pem").read_bytes())
    der = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert full and leaf + rest == full, "%s: cert.pem and chain.pem are not fullchain.pem" % folder
    assert public.public_bytes(*der) == full[0].public_key().public_bytes(*der), "%s: the key is another one" % folder
    assert full[0].not_valid_before <= datetime.datetime.utcnow() < full[0].not_valid_after, "%s: not valid now" % folder
    for cert, issuer in zip(full, full[1:]):
        assert is_signed_by(cert, issuer), "%s: the chain is not in order" % folder
    if lab.roots:
        assert any(is_signed_by(full[-1], root) for root in lab.roots), "%s: the chain ends at nobody known" % folder
    if names:
        assert sorted(names_of(full[0])) == sorted(names), "%s: names are %s" % (folder, names_of(full[0]))
    return full[0]


def check_sanitizers(lab):
    for log in lab.logs.glob("*.log"):
        found = SANITIZER.search(log.read_bytes())
        assert not found, "%s: %s\n%s" % (log, found.group(0), tail(log, 80))


def check_processes(lab):
    """I2 of what runs: no zombie, no growing table of descriptors."""
    pids = lab.everyone()

    def zombies():
        return [pid for pid in pids if (proc_stat(pid) or " ")[0] == "Z"]
    wait_until(lambda: not zombies(), 5, lambda: "no zombies; there are %s" % zombies())
    for pid, before in lab.base_fds.items():
        now = count_fds(pid)
        assert not before or not now or now <= before + FDS_MORE, "process %d (%s) has %d descriptors, %d at first" % (pid, comm(pid), now, before)


# I3. What one test may take at most of a half: its memory (a sanitizer's shadow and quarantine included), lines in the log for each attempt and each
# operator's call, requests at a CA for each attempt, the journal on disk. All of them are some times what is usual: a loop is far beyond.
RSS_MIB, LINES_EACH, LINES_FREE, REQUESTS_EACH, REQUESTS_FREE, DISK_MIB = 700, 40, 600, 60, 200, 64
ATTEMPT = re.compile(rb" order moved cert=\S+ ca=\S+ from=account |attempt failed| operator's call |dovad is ready|configuration accepted")


def rss_mib(pid):
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/%d/status" % pid).read_text())
    except OSError:
        return 0
    return int(found.group(1)) / 1024 if found else 0


def check_bounds(lab):
    for name, pid in lab.halves().items():
        assert rss_mib(pid) <= RSS_MIB, "%s holds %d MiB" % (name, rss_mib(pid))
    log = content(lab.logs / "dovad.log")
    lines, attempts = log.count(b"\n"), len(ATTEMPT.findall(log))
    if not lab.verbose:
        assert lines <= LINES_FREE + LINES_EACH * attempts, "%d lines in the log for %d attempts" % (lines, attempts)
    for pebble in lab.pebbles:
        asked = pebble.requests("POST") + pebble.requests("HEAD")
        assert asked <= REQUESTS_FREE + REQUESTS_EACH * attempts, "%d requests at a CA for %d attempts" % (asked, attempts)
    disk = sum(p.lstat().st_size for folder in (lab.state, lab.keeper) if folder.is_dir() for p in folder.glob("**/*")
               if p.is_file() and not p.is_symlink() and p.name != "ballast" and ".broken-" not in p.name)
    assert disk <= DISK_MIB << 20, "%d MiB on the disk" % (disk >> 20)


def content(path):
    """Of a file that may be gone by now."""
    try:
        return path.read_bytes() if path.stat().st_size <= 64 << 20 else b""
    except FileNotFoundError:
        return b""


def secret_lines(pem):
    """The lines of a key that hold secret bits: an EC key ends, an RSA key begins with what is public. Certificates behind it are no secret."""
    pem = re.sub(rb"(?s)(-----END [^\n]*PRIVATE KEY-----).*", rb"\1", pem)
    lines = [line for line in pem.splitlines() if len(line) >= 40 and b"-" not in line]
    return lines[:2] if len(lines) <= 6 else lines[len(lines) // 2:]


def private_lines(lab):
    """Those lines of every private key dovad holds, and the files they legitimately stand in."""
    lines, files = set(), set()
    for folder in [lab.keeper, lab.tls] + [Path(t).parent for t in lab.targets.values()]:
        for path in folder.rglob("*"):
            if not path.is_file() or path.is_symlink() or lab.fixtures in path.parents:
                continue
            data = content(path)
            if b"PRIVATE KEY-----" not in data:
                continue
            files.add(path.resolve())
            lines.update(secret_lines(data))
    return lines, files


def check_secrets(lab):
    """I4 and I6: nobody else may read a key, and no key or secret stands anywhere it does not belong."""
    lines, files = private_lines(lab)
    for path in files:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
        assert mode in (0o600, 0o640), "%s has mode %o" % (path, mode)
    secrets = lines | {s.encode() for s in lab.secrets if s}
    places = [p for p in lab.root.rglob("*") if p.is_file() and not p.is_symlink() and p.resolve() not in files]
    for path in places:
        if lab.fixtures in path.parents or path.parent == lab.root / "credentials":
            continue
        data = content(path)
        assert b"PRIVATE KEY-----" not in data or path.parent == lab.snippets, "%s holds a private key" % path
        for secret in secrets:
            assert secret not in data, "%s holds a secret" % path
    for pid in lab.everyone():
        for what in ("cmdline", "environ"):
            try:
                data = Path("/proc/%d/%s" % (pid, what)).read_bytes()
            except OSError:
                continue
            assert not any(s in data for s in secrets), "%s of process %d holds a secret" % (what, pid)
    if lab.dovad and lab.dovad.running():
        answers = lab.ctl.run("status").stdout + lab.ctl.run("list").stdout + lab.ctl.run("history", "--limit", 500).stdout
        answers += json.dumps([lab.ctl.show(c["name"]) for c in certificates(lab)[:50]])
        assert not any(s.decode() in answers for s in secrets), "an answer of dovad holds a secret"


def certificates(lab):
    """Those that dovad tells of; none when it does not answer."""
    if not lab.dovad or not lab.dovad.running() or lab.ctl.run("version").returncode:
        return []
    return lab.ctl.list()


def is_busy(lab):
    return any(c["state"] not in ("waiting", "failed", "stale", "held", "disabled") for c in certificates(lab))


def check_live(lab):
    """I1 of what is read by default. The names are those configured where nothing else is said to come than the renewal."""
    settled = {c["name"]: c["names"] for c in certificates(lab) if c["state"] == "waiting" and c.get("next_step") == "renew" and not c.get("last_error")}
    for link in lab.live.iterdir() if lab.live.is_dir() else []:
        check_pair(lab, link, settled.get(link.name))


def check_status(lab):
    """I7: what fails says why and when it goes on."""
    for c in certificates(lab):
        if c["state"] in ("failed", "stale", "held"):
            error = c.get("last_error") or {}
            assert error.get("detail") and error.get("kind") and error.get("at"), "%s fails without a reason: %s" % (c["name"], c)
            assert c.get("next_at"), "%s fails and nothing comes next: %s" % (c["name"], c)


def check_webroot(lab):
    """I9: nothing is left of a proof when nothing is under way."""
    if is_busy(lab):
        return
    folder = lab.web / ".well-known/acme-challenge"
    left = list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    assert not left, "challenge files were left: %s" % left


def check_listeners(lab):
    """I9 of the listener: with nothing under way, or dovad gone, no port of a proof answers."""
    if is_busy(lab):
        return
    for address in re.findall(r'"([0-9.]+|\[[0-9a-f:]+\]):(\d+)"', "".join(h for h in lab.https if '"listener"' in h)):
        family = socket.AF_INET6 if address[0].startswith("[") else socket.AF_INET
        with socket.socket(family) as s:
            s.settimeout(5)
            if s.connect_ex((address[0].strip("[]"), int(address[1]))) != 0:
                continue
            s.sendall(b"GET /.well-known/acme-challenge/left HTTP/1.0\r\nHost: left.example.org\r\n\r\n")
            answer = s.recv(4096)
        assert lab.dovad and lab.dovad.running() and not answer.startswith(b"HTTP/1.1 200"), "%s:%s still answers: %r" % (address + (answer,))


def check_invariants(lab):
    check_sanitizers(lab)
    check_bounds(lab)
    check_live(lab)
    for name, folder in lab.targets.items():
        if Path(folder).is_symlink():
            check_pair(lab, Path(folder))
    check_processes(lab)
    check_secrets(lab)
    check_status(lab)
    check_webroot(lab)
    check_listeners(lab)
    if lab.dovad and lab.dovad.running():
        code = lab.stop()
        assert code == lab.expected_exit, "dovad ended with %s on SIGTERM:\n%s" % (code, tail(lab.dovad.log))
        check_sanitizers(lab)
        check_webroot(lab)
        check_listeners(lab)
