# SPDX-License-Identifier: ISC
"""Waiting, ports and processes."""
import os
import pwd
import random
import signal as signals
import socket
import subprocess
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PREFIX = Path(os.environ.get("DOVAD_PREFIX", "/usr/local"))
BUILD = Path(os.environ["DOVAD_BUILD"]) if "DOVAD_BUILD" in os.environ else None
SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"
DOVAD, DOVACTL = PREFIX / "sbin/dovad", PREFIX / "bin/dovactl"
CI = os.environ.get("CI") == "true"
ROOT = os.geteuid() == 0


# --- waiting ---

class Timeout(AssertionError):
    pass


def wait_until(predicate, timeout=30, what=None, every=0.02):
    """The first true value of predicate(); Timeout when there is none in time."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what or predicate.__name__
            raise Timeout("not within %g s: %s" % (timeout, text))
        time.sleep(every)


def require(there, what):
    """What a test cannot do without: missing, the test fails where everything must be there, elsewhere it is left out."""
    if not there:
        (pytest.fail if CI else pytest.skip)("%s is missing" % what)


# --- ports ---

_given = set()


def free_ports(n):
    """Loopback ports below those the kernel gives to clients, so that no outgoing connection takes one meanwhile."""
    found = []
    while len(found) < n:
        port = random.randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                s.bind(("127.0.0.1", port))
                u.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        found.append(port)
    return found


def free_hosts(n):
    """Loopback addresses nobody else uses, for servers that have to share one port."""
    return ["127.%d.%d.%d" % tuple(random.randrange(1, 255) for _ in range(3)) for _ in range(n)]


# --- processes ---

def proc_stat(pid):
    """State letter and parent of a process, None when it is gone."""
    try:
        text = Path("/proc/%d/stat" % pid).read_text()
    except OSError:
        return None
    rest = text[text.rindex(")") + 2:].split()
    return rest[0], int(rest[1])


def children(pid):
    """All descendants of a process."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            s = proc_stat(int(entry))
            if s:
                parents.setdefault(s[1], []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def comm(pid):
    try:
        return Path("/proc/%d/comm" % pid).read_text().strip()
    except OSError:
        return ""


def alive(pid):
    s = proc_stat(pid)
    return s is not None and s[0] not in "ZX"


def count_fds(pid):
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return None  # gone, or not ours to look at


class Process:
    """One program of the lab; its output goes to a log file."""

    def __init__(self, lab, name, argv, user=None, env=None, cwd=None, append=True):
        self.name, self.log = name, lab.logs / (name + ".log")
        out = open(self.log, "ab" if append else "wb")
        who = dict(user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[]) if user and ROOT else {}
        self.popen = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd or lab.root,
                                      env=dict(lab.env, **(env or {})), **who)
        out.close()
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def signal(self, signum):
        if self.running():
            self.popen.send_signal(signum)

    def end(self, timeout=20, signum=signals.SIGTERM):
        """Exit code after a polite request; a process that does not end in time is killed and told of."""
        self.signal(signum)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError("%s did not end %g s after signal %d" % (self.name, timeout, signum)) from None

    def kill(self):
        self.signal(signals.SIGKILL)
        return self.popen.wait()


def tail(path, lines=40):
    try:
        return "\n".join(Path(path).read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no %s)" % path
