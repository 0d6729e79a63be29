# SPDX-License-Identifier: ISC
"""Rude clients of the status socket: each gets what it deserves, everybody else is served, and orders go on."""
import json
import pwd
import socket
import subprocess
import sys
import time

import pytest

from lab import ROOT, Refused, count_fds, wait_until

GET_INFO = b'{"method":"org.varlink.service.GetInfo"}\0'

# Opens argv[2] connections to argv[1], calls on each, says how many were answered, and holds them until its input ends.
FLOOD = """
import socket, sys
held, answered = [], 0
for _ in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    try:
        s.connect(sys.argv[1])
        s.sendall(b'{"method":"org.varlink.service.GetInfo"}\\0')
        answered += s.recv(100000).endswith(b"\\0")
    except OSError:
        pass
    held.append(s)
print(answered, flush=True)
sys.stdin.read()
"""

# The same with no wait for any one of them: all are opened and asked first, then heard until nobody answers any more.
CROWD = """
import resource, select, socket, sys
n = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (n + 64, max(n + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
held = {}
for _ in range(n):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.05)
    try:
        s.connect(sys.argv[1])
        s.sendall(b'{"method":"org.varlink.service.GetInfo"}\\0')
    except OSError:
        s.close()
        continue
    held[s.fileno()] = s
poll, answered, closed = select.poll(), 0, 0
for fd in held:
    poll.register(fd, select.POLLIN)
while True:
    ready = poll.poll(3000)
    if not ready:
        break
    for fd, _ in ready:
        try:
            data = held[fd].recv(100000)
        except OSError:
            data = b""
        answered += data.endswith(b"\\0")
        closed += not data
        poll.unregister(fd)
print(len(held), answered, closed, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def up(make_lab):
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    for i in range(20):
        lab.snippet("c%02d" % i, more="enabled = false;")
    lab.start()
    return lab


class Client:
    def __init__(self, lab, timeout=20):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(timeout)
        self.s.connect(str(lab.socket))
        self.rest = b""

    def send(self, data):
        try:
            self.s.sendall(data)
            return True
        except OSError:
            return False

    def call(self, method, parameters=None, **flags):
        self.send(json.dumps(dict({"method": method, "parameters": parameters or {}}, **flags)).encode() + b"\0")
        return self.receive()

    def receive(self):
        """The next message, None when the other side closed."""
        while b"\0" not in self.rest:
            try:
                data = self.s.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)


def assert_serves(lab, name=None):
    began = time.monotonic()
    assert lab.ctl("status")["counts"]["total"] >= 20
    assert time.monotonic() - began < 5
    if name:
        lab.snippet(name)
        lab.wait_issued(name)


def test_silent_slow_and_deaf(up):
    """Nothing is sent, one byte now and then, nothing is read: others are served; an unfinished message is not waited for for ever."""
    silent = [Client(up) for _ in range(20)]
    slow = Client(up, 30)
    deaf = [Client(up) for _ in range(3)]
    for c in deaf:
        for _ in range(3000):
            if not c.send(b'{"method":"org.dovad.Agent.List","more":true}\0'):
                break
            c.s.settimeout(0.05)  # full, as it should be
    slow.send(b'{"me')
    began = time.monotonic()
    assert_serves(up, "meanwhile")
    while slow.send(b" ") and time.monotonic() - began < 25:
        slow.s.settimeout(1)
        try:
            if slow.s.recv(1) == b"":
                break
        except socket.timeout:
            continue
        except ConnectionError:
            break
    assert time.monotonic() - began < 25, "the slow one was never closed"
    for c in silent:
        c.send(GET_INFO)
        assert "parameters" in c.receive()
    assert_serves(up)


NO_VARLINK = {
    "a hundred megabytes": b"x" * (100 << 20),
    "no JSON": b"hello\0",
    "an array": b"[]\0",
    "a number": b"1\0",
    "empty": b"\0",
    "binary": bytes(range(1, 256)) * 10 + b"\0",
    "half UTF-8": b'{"method":"\xc3"}\0',
    "deep": b'{"method":' + b"[" * 30000 + b"\0",
    "twice the key": b'{"method":"a.B","method":"c.D"}\0',
    "NUL inside": b'{"method":"a\\u0000b"}\0',
    "no method": b'{"parameters":{}}\0',
    "method is a number": b'{"method":1}\0',
    "huge number": b'{"method":"a.B","x":1e999999}\0',
    "large": b'{"method":"' + b"a" * 70000 + b'"}\0',
}


@pytest.mark.parametrize("what", NO_VARLINK)
def test_no_varlink(up, what):
    """Answered with one error or closed at once, without a trace of it in the log that could do harm."""
    before = count_fds(up.halves()["network"])
    c = Client(up)
    c.send(NO_VARLINK[what])
    answer = c.receive()
    assert answer is None or "error" in answer, answer
    c.s.close()
    assert "\x1b" not in up.log() and len(up.log()) < 200000
    wait_until(lambda: before is None or count_fds(up.halves()["network"]) <= before, 10, "the descriptor back")
    assert_serves(up)


def test_unknown_and_wrong(up):
    c = Client(up)
    assert c.call("org.dovad.Agent.Destroy")["error"] == "org.varlink.service.MethodNotFound"
    assert c.call("com.example.Other.Do")["error"] in ("org.varlink.service.InterfaceNotFound", "org.varlink.service.MethodNotFound")
    assert c.call("org.dovad.Agent.Show")["error"] == "org.varlink.service.InvalidParameter"
    assert c.call("org.dovad.Agent.Show", {"name": 7})["error"] == "org.varlink.service.InvalidParameter"
    assert c.call("org.dovad.Agent.Show", {"name": "../../etc/passwd"})["error"] == "org.dovad.Agent.NoSuchCertificate"
    assert c.call("org.dovad.Agent.History", {"limit": 10 ** 9})["error"] == "org.varlink.service.InvalidParameter"
    assert c.call("org.dovad.Agent.Watch")["error"] == "org.varlink.service.ExpectedMore"
    info = c.call("org.varlink.service.GetInfo")["parameters"]
    assert "org.dovad.Agent" in info["interfaces"] and info["version"]
    text = c.call("org.varlink.service.GetInterfaceDescription", {"interface": "org.dovad.Agent"})["parameters"]["description"]
    assert text.startswith("#") and "method Status()" in text


def test_pipelined(up):
    """Many calls at once are answered in their order."""
    c = Client(up)
    c.send(b"".join(json.dumps({"method": "org.dovad.Agent.Show", "parameters": {"name": "c%02d" % (i % 20)}}).encode() + b"\0" for i in range(500)))
    for i in range(500):
        assert c.receive()["parameters"]["certificate"]["name"] == "c%02d" % (i % 20)


def test_client_dies_in_the_middle(up):
    for i in range(50):
        c = Client(up)
        c.send(b'{"method":"org.dovad.Agent.List","more":true}\0' * 20)
        if i % 2:
            c.s.recv(10)
        c.s.close()
    assert_serves(up, "after")


def test_a_thousand_connections(up):
    """As root, or one's own user: bounded in all; the daemon goes on, and when they are gone everything is as before."""
    before = count_fds(up.halves()["network"])
    flood = subprocess.Popen([sys.executable, "-c", CROWD, str(up.socket), "1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    up.snippet("during")
    try:
        wait_until(lambda: up.pebbles[0].issued() == 1, 60, "the order to go on")
        connected, answered, closed = map(int, flood.stdout.readline().split())
    finally:
        flood.kill()
        flood.wait()
    print(connected, "connected,", answered, "answered,", closed, "closed")
    assert connected > 300 and 200 <= answered <= 256
    wait_until(lambda: before is None or count_fds(up.halves()["network"]) <= before + 10, 20, "the descriptors back")
    assert_serves(up)


@pytest.mark.skipif(not ROOT, reason="needs root to be somebody else")
def test_flood_of_a_stranger(up):
    """Sixteen places and no more: others find theirs."""
    who = dict(user="daemon", group=pwd.getpwnam("daemon").pw_gid, extra_groups=[])
    flood = subprocess.Popen(["/usr/bin/python3", "-c", FLOOD, str(up.socket), "40"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", **who)
    try:
        assert int(flood.stdout.readline()) <= 16
        assert_serves(up, "during")
        assert_serves(up)
    finally:
        flood.stdin.close()
        flood.wait(20)
        flood.stdout.close()


@pytest.mark.skipif(not ROOT, reason="needs root to be somebody else")
def test_who_may_what(up):
    """Nobody outside our groups reads or changes anything; the daemon's own user and root do; changes and refusals are logged."""
    for verb in (["status"], ["list"], ["show", "c00"], ["history"], ["watch"], ["renew", "c00"], ["reload"], ["revoke", "c00"]):
        done = up.ctl.run(*verb, user="daemon")
        assert done.returncode == 77, "%s as a stranger: exit %d" % (verb, done.returncode)
        assert "c00" not in done.stdout
    assert "uid=1" in up.log()
    assert up.ctl.run("status", user="nobody").returncode == 0
    assert up.ctl.run("reload", user="nobody").returncode == 0
    assert "method=Reload uid=65534" in up.log()


def test_exit_codes(up):
    """dovactl: usage 2, unknown name 3, nobody there 69."""
    assert up.ctl.run("stats").returncode == 2
    assert "status" in up.ctl.run("stats").stderr
    assert up.ctl.run("show").returncode == 2
    assert up.ctl.run("show", "c00", "c01").returncode == 2
    assert up.ctl.run("list", "--due", "soon").returncode == 2
    assert up.ctl.run("show", "nope").returncode == 3
    assert up.ctl.run("show", "nope").stderr.count("nope") >= 1
    with pytest.raises(Refused):
        up.ctl("renew", "c00")
    assert up.stop() == 0
    assert up.ctl.run("status").returncode == 69
    assert not up.socket.exists()


def test_stale_socket_file(up):
    """A socket left by a kill is replaced; something else in its place is not touched."""
    up.kill9("network", "keeper")
    assert up.socket.exists()
    up.start()
    assert up.stop() == 0
    up.socket.write_text("mine")
    up.start(wait=False)
    assert up.dovad.popen.wait(30) == 1
    assert str(up.socket) in up.recent_log().decode() and up.socket.read_text() == "mine"
