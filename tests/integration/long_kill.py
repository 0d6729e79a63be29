# SPDX-License-Identifier: ISC
"""Not part of the suite: contrib/check-long.sh kill. One half is killed at each system call of a whole order, from the drop of the snippet to the
certificate seen on the wire; key and chain at rest belong together, and after the restart there is exactly one certificate, served, and nothing is left over.

$DOVAD_LONG_STEP: only every so-many-th call is tried (1: all). $DOVAD_LONG_SECONDS: no new case after so long (0: all of them)."""
import collections
import os
import random
import re
import subprocess
import time

import pytest

from lab import ROOT, check_pair, wait_until
from test_crash import again, assert_one, busy  # noqa: F401

STEP, SECONDS = int(os.environ.get("DOVAD_LONG_STEP", 1)), int(os.environ.get("DOVAD_LONG_SECONDS", 0))


class Tracer:
    """strace on a program that runs already; not on what it starts."""

    def __init__(self, lab, pid, *options):
        self.out = lab.root / "strace.out"
        self.out.write_bytes(b"")
        self.popen = subprocess.Popen(["strace", "-o", str(self.out), "-p", str(pid)] + list(options), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert "attached" in self.popen.stderr.readline()

    def close(self):
        self.popen.terminate()
        self.popen.stderr.close()
        self.popen.wait()

    def count(self):
        """{call: how often}"""
        return collections.Counter(re.findall(r"^(\w+)\(", self.out.read_text(errors="replace"), re.M))


def order(lab, name):
    lab.add_site(name)
    lab.snippet(name, install=True, service="nginx")


def forget(lab, name):
    (lab.root / "sites" / (name + ".conf")).unlink()
    (lab.snippets / (name + ".conf")).unlink()
    lab.targets.pop(name)
    lab.ctl("reload")
    wait_until(lambda: lab.ctl.show(name) is None, 20, name + " gone")


@pytest.mark.skipif(not ROOT, reason="needs root to trace what runs as another user")
@pytest.mark.parametrize("half", ["network", "keeper"])
def test_killed_at_every_call(busy, half):  # noqa: F811
    lab = busy
    watch = lab.watch()  # one connection: asking again and again would be counted, too
    tracer = Tracer(lab, lab.halves()[half])
    order(lab, "measure")
    watch.wait("done", "measure")
    tracer.close()
    watch.close()
    counts = tracer.count()
    forget(lab, "measure")
    cases = [(call, k) for call, n in sorted(counts.items()) for k in range(1, n + 1)]
    seed = random.randrange(1 << 30)
    print("seed", seed, "calls", dict(counts))
    random.Random(seed).shuffle(cases)
    cases, began, killed = cases[::STEP], time.monotonic(), 0
    for i, (call, k) in enumerate(cases):
        if SECONDS and time.monotonic() - began > SECONDS:
            break
        name, before, pid = "k%05d" % i, lab.pebbles[0].issued(), lab.halves()[half]
        watch = lab.watch()
        tracer = Tracer(lab, pid, "-e", "trace=" + call, "-e", "inject=%s:signal=KILL:when=%d" % (call, k))
        order(lab, name)
        wait_until(lambda: lab.halves().get(half) != pid or watch.find("done", name), 60, "an end of any kind")
        killed += lab.halves().get(half) != pid
        tracer.close()
        watch.close()
        try:
            if (lab.tls / name).exists():  # at rest, before anything is mended
                check_pair(lab, lab.tls / name)
            again(lab)
            assert_one(lab, name, before)
        except AssertionError as e:
            raise AssertionError("%s killed at its %s number %d (seed %d): %s" % (half, call, k, seed, e)) from e
        forget(lab, name)
    print("%s: %d of %d calls tried, killed at %d" % (half, i + 1, sum(counts.values()), killed))
    assert killed > (i + 1) // 3
