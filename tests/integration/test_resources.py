# SPDX-License-Identifier: ISC
"""What runs out or stays away: descriptors, name servers."""
import os
import pwd
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lab import ROOT, LoopWatch, Refused, check_pair, count_fds, tail, wait_until


@pytest.fixture
def up(lab):
    lab.snippet("first")
    lab.start()
    lab.wait_issued("first")
    return lab


def cpu_seconds(pid):
    fields = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class limited:
    """No more than so many descriptors beyond those in use, for a process that runs."""

    def __init__(self, lab, half, more):
        self.lab, self.pid = lab, lab.halves()[half]
        self.limit = (count_fds(self.pid) or 20) + more

    def _set(self, soft):
        who = dict(user=self.lab.owner, group=pwd.getpwnam(self.lab.owner).pw_gid, extra_groups=[]) if self.lab.owner else {}
        return subprocess.run(["prlimit", "--pid", str(self.pid), "--nofile=%d:" % soft], check=True, **who)

    def __enter__(self):
        self.before = int(Path("/proc/%d/limits" % self.pid).read_text().split("Max open files")[1].split()[0])
        self._set(self.limit)

    def __exit__(self, *_):
        self._set(self.before)


def connect(lab):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(str(lab.socket))
    return s


@pytest.mark.skipif(not ROOT, reason="needs root to count another process's descriptors")
def test_network_half_without_descriptors(up):
    """Clients take what there is: no spinning, no crash; when they are gone everything works again."""
    pid = up.halves()["network"]
    with limited(up, "network", 3):
        clients = [connect(up) for _ in range(30)]
        began, used = time.monotonic(), cpu_seconds(pid)
        up.snippet("second")
        wait_until(lambda: time.monotonic() - began > 2, 5, "two seconds to look at", every=0.2)
        assert cpu_seconds(pid) - used < 1, "it spins"
        for c in clients:
            c.close()
        wait_until(lambda: up.ctl.run("version").returncode == 0, 20, "an answer")
    up.ctl("reload")
    wait_until(lambda: up.ctl.show("second"), 10, "second")
    if up.ctl.show("second")["state"] == "failed":
        up.ctl("renew", "second", "--wait")
    up.wait_issued("second")


@pytest.mark.skipif(not ROOT, reason="needs root to count another process's descriptors")
def test_keeper_without_descriptors(up):
    """It cannot install: that is the reason given, the old pair stays, and with descriptors the same certificate is used."""
    leaf = up.installed("first")
    with limited(up, "keeper", 1):
        with pytest.raises(Refused) as refused:
            up.ctl("renew", "first", "--force", "--wait")
        assert "oo many open files" in str(refused.value)
        assert check_pair(up, up.live / "first") == leaf
    up.ctl("renew", "first", "--force", "--wait")
    assert check_pair(up, up.live / "first") != leaf


def test_few_descriptors_from_the_start(make_lab):
    """With any number it works, or says what it could not open and ends or tries again; never half, never in silence."""
    lab = make_lab()
    lab.cas = ['{ name = "none"; type = "acme"; directory = "https://localhost:1/dir"; allow_private = true; }']
    lab.snippet("off", more="enabled = false;")
    lab.env["ASAN_OPTIONS"] += ":detect_leaks=0"  # which would need descriptors of its own at the end
    worked = []
    for n in list(range(4, 20, 2)) + [20, 24, 28, 32, 40, 64]:
        lab.start(wait=False, wrapper=["prlimit", "--nofile=%d" % n])
        wait_until(lambda: not lab.dovad.running() or b"dovad is ready" in lab.recent_log() or b"oo many open files" in lab.recent_log(), 30,
                   lambda n=n: "%d descriptors:\n%s" % (n, tail(lab.dovad.log)))
        if b"dovad is ready" in lab.recent_log():
            worked.append(n)
        code = lab.stop() if lab.dovad.running() else lab.dovad.popen.returncode
        assert code in (0, 1, 78), "%d descriptors: exit %d" % (n, code)
        assert lab.recent_log().strip(), "%d descriptors: not a word" % n
    assert 64 in worked


def test_goes_on_by_itself(lab):
    """I8: a CA that was away and is back: the certificate is there within one retry interval (a minute and its jitter), and nobody asked for it."""
    lab.pebbles[0].stop()
    lab.start()
    lab.snippet("site")
    lab.wait_state("site", "failed")
    lab.pebbles[0].start()
    lab.wait_issued("site", timeout=80)
    assert "operator" not in lab.log()


def test_life_signs(make_lab):
    """A service manager that waits for them gets READY=1 and, again and again, WATCHDOG=1: from both programs, out of their loops."""
    lab = make_lab()
    lab.cas = ['{ name = "none"; type = "acme"; directory = "https://localhost:1/dir"; allow_private = true; }']
    lab.snippet("off", more="enabled = false;")
    path = lab.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        path.chmod(0o777)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        s.settimeout(30)
        lab.start(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"})
        halves, signs, ready = lab.halves(), {}, set()
        while not all(signs.get(pid, 0) >= 5 for pid in halves.values()):
            data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
            pid = int.from_bytes(ancillary[0][2][:4], "little")
            lines = data.decode().splitlines()
            if "WATCHDOG=1" in lines:
                signs[pid] = signs.get(pid, 0) + 1
            if "READY=1" in lines:
                ready.add(pid)
        assert ready == set(halves.values())
        assert set(signs) == set(halves.values())


@pytest.mark.skipif(not ROOT, reason="needs root to see what another process is at")
def test_silent_name_server(make_lab):
    """Every question goes unanswered: no turn of the loop is over 50 ms, clients are answered, the reason is told."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble()
    lab.start_nginx()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        lab.settings["resolvers"] = '[ "127.0.0.1:%d" ]' % silent.getsockname()[1]
        lab.defaults = 'self_check = "require";'
        lab.start()
        turns = LoopWatch(lab.halves()["network"])
        for i in range(5):
            lab.snippet("s%d" % i)
        wait_until(lambda: any(c["state"] == "proving" for c in lab.ctl.list()), 20, "a proof under way")
        with connect(lab) as s:
            for _ in range(100):
                s.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
                while not s.recv(65536).endswith(b"\0"):
                    pass

        def reason():
            order = lab.ctl.show("s0").get("order") or {}
            return [p["seen"]["error"]["detail"] for p in order.get("proofs", []) if (p.get("seen") or {}).get("error")]
        wait_until(reason, 60, "a reason shown")
        assert "name server" in reason()[0] and "s0.example.org" in reason()[0]
        for i in range(5):
            (lab.snippets / ("s%d.conf" % i)).unlink()
        lab.ctl("reload")
        wait_until(lambda: not list((lab.web / ".well-known/acme-challenge").iterdir()), 30, "the challenge files gone")
        turns.check()
