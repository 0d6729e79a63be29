# SPDX-License-Identifier: ISC
"""HAProxy's runtime API: certificates are replaced in place, all or none, and what cannot be done there is told in HAProxy's own words."""
import os
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest

from lab import Refused, alive, fingerprint, free_ports, served_by, tail, wait_until

CONF = """global
  stats socket %(root)s/admin.sock mode 600 level admin
  %(more)s
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 5s
frontend f
  bind 127.0.0.1:%(port)d ssl %(crt)s
  http-request return status 200 content-type text/plain string served
"""


class Haproxy:
    """The real one, reading files of this lab's; started when they are there."""

    def __init__(self, lab):
        self.lab, self.port, self.socket, self.process = lab, free_ports(1)[0], lab.root / "admin.sock", None

    def service(self, more=""):
        return '{ name = "haproxy"; haproxy = "%s"; look = [ "127.0.0.1:%d" ]; %s }' % (self.socket, self.port, more)

    def start(self, crt, more=""):
        conf = self.lab.write("haproxy.cfg", CONF % {"root": self.lab.root, "port": self.port, "more": more,
                                                     "crt": " ".join("crt %s" % c for c in crt)})
        self.process = self.lab.run("haproxy", ["/usr/sbin/haproxy", "-W", "-db", "-f", conf])
        self.lab.wait_port(self.port, self.process)
        self.pids = self.family()
        assert len(self.pids) == 2

    def family(self):
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
            return [self.process.pid] + [int(p) for p in f.read().split()]

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.socket))
            s.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def check_untouched(self):
        """Neither reloaded nor started anew."""
        assert self.family() == self.pids and all(alive(p) for p in self.pids)
        assert "# transaction" not in self.ask("show ssl cert")

    def serves(self, name):
        return fingerprint(served_by(self.port, "%s.example.org" % name))


@pytest.fixture
def proxied(lab):
    """make(names, crt): certificates are installed as bundles and HAProxy serves them."""
    lab.haproxy = Haproxy(lab)
    lab.services = [lab.haproxy.service()]

    def make(*names, crt=None, more="", install='{ dir = "%s/%s"; bundle = true; }'):
        lab.start()
        for name in names:
            lab.snippet(name, service="haproxy", more="install = ( %s );" % (install % (lab.tls, name)))
        for name in names:
            lab.wait_issued(name)
        lab.haproxy.start(crt or ["%s/%s/bundle.pem" % (lab.tls, name) for name in names], more)
        return lab
    return make


def renew(lab, name="site"):
    try:
        lab.ctl("renew", name, "--force", "--wait", timeout=120)
    except Refused as refused:
        return refused.error["parameters"]
    return None


def test_replaced_in_place(proxied):
    """The new certificate is served by the same processes, and a connection that was open before goes on."""
    lab = proxied("site")
    assert 'not running' in lab.log() or lab.ctl.show("site")["state"] == "waiting"  # its first one came before HAProxy
    old = lab.installed("site")
    assert lab.haproxy.serves("site") == fingerprint(old)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", lab.haproxy.port)) as raw, context.wrap_socket(raw, server_hostname="site.example.org") as lasting:
        assert renew(lab) is None
        lab.haproxy.check_untouched()
        new = lab.installed("site")
        assert fingerprint(new) != fingerprint(old) and lab.haproxy.serves("site") == fingerprint(new)
        lasting.sendall(b"GET / HTTP/1.1\r\nHost: site.example.org\r\n\r\n")
        assert b" 200 " in lasting.recv(4096)
    # The chain came with it.
    assert "Chain Subject" in lab.haproxy.ask("show ssl cert %s/site/bundle.pem" % lab.tls)
