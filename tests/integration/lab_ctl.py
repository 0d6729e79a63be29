# SPDX-License-Identifier: ISC
"""dovactl of a lab, once and as a stream of events. What is asked again and again goes to the socket itself."""
import json
import pwd
import socket
import subprocess
import threading
import time

from lab_base import DOVACTL, ROOT, Timeout


class Refused(Exception):
    def __init__(self, code, error, stderr):
        super().__init__("exit %d: %s %s" % (code, stderr.strip(), error))
        self.code, self.error, self.stderr = code, error, stderr


class Ctl:
    """dovactl of one lab: lab.ctl("show", "site") gives the last JSON answer or raises Refused."""

    def __init__(self, lab):
        self.lab = lab

    def run(self, *args, json_out=True, timeout=60, user=None):
        argv = [str(DOVACTL), "-s", str(self.lab.socket)] + (["--json"] if json_out else []) + [str(a) for a in args]
        who = dict(user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[]) if user and ROOT else {}
        env = dict(self.lab.env, ASAN_OPTIONS=self.lab.env["ASAN_OPTIONS"] + ":detect_leaks=0")  # unit tests look; here it would be most of a run's work
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, env=env, **who)

    def all(self, *args, **more):
        done = self.run(*args, **more)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        if done.returncode:
            raise Refused(done.returncode, lines[-1] if lines else {}, done.stderr)
        return lines

    def __call__(self, *args, **more):
        return self.all(*args, **more)[-1]

    def ask(self, method, **parameters):
        """All replies to one call, without dovactl: a list of their parameters. OSError or ConnectionError when nobody answers."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(str(self.lab.socket))
            s.sendall(json.dumps({"method": "org.dovad.Agent." + method, "parameters": parameters, "more": True}).encode() + b"\0")
            replies, data = [], b""
            while True:
                while b"\0" in data:
                    message, data = data.split(b"\0", 1)
                    reply = json.loads(message)
                    if "error" in reply:
                        raise Refused(1, reply, "")
                    replies.append(reply.get("parameters") or {})
                    if not reply.get("continues"):
                        return replies
                more = s.recv(1 << 20)
                if not more:
                    raise ConnectionError("the connection ended")
                data += more

    def show(self, name):
        """The certificate, None when there is no such one (yet) or nobody answers."""
        try:
            return self.ask("Show", name=name)[-1]["certificate"]
        except (Refused, OSError):
            return None

    def list(self):
        return [c for reply in self.ask("List") for c in reply["certificates"]]


class Watch:
    """Events of dovad as they happen. on_event(event) is called from the reading thread: the place to kill something at the right moment."""

    def __init__(self, lab, on_event=None):
        self.events, self.current, self.changed = [], threading.Event(), threading.Condition()
        self.on_event, self.seen_certificates = on_event, []
        self.popen = subprocess.Popen([str(DOVACTL), "-s", str(lab.socket), "--json", "--timeout", "0s", "watch"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=lab.env)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        lab.watches.append(self)
        if not self.current.wait(20):
            raise Timeout("the watch did not begin")

    def _read(self):
        for line in self.popen.stdout:
            reply = json.loads(line)
            self.seen_certificates += reply.get("certificates") or []
            if reply.get("current"):
                self.current.set()
            event = reply.get("event")
            if event:
                with self.changed:
                    self.events.append(event)
                    self.changed.notify_all()
                if self.on_event:
                    self.on_event(event)
        self.current.set()
        with self.changed:
            self.changed.notify_all()

    def find(self, event, cert=None, after=0):
        return next((e for e in self.events[after:] if e["event"] == event and cert in (None, e.get("cert"))), None)

    def wait(self, event, cert=None, timeout=40, after=0):
        """The first such event, past ones included."""
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                found = self.find(event, cert, after)
                left = end - time.monotonic()
                if found:
                    return found
                if left <= 0 or (self.popen.poll() is not None and not self.thread.is_alive()):
                    raise Timeout("no event %s of %s; there were %s" % (event, cert, [(e.get("cert"), e["event"]) for e in self.events]))
                self.changed.wait(min(left, 1))

    def close(self):
        if self.popen.poll() is None:
            self.popen.terminate()
        self.popen.wait()
        self.thread.join(5)
        self.popen.stdout.close()
