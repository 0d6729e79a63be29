# SPDX-License-Identifier: ISC
"""HAProxy's runtime API: certificates are replaced in place, all or none, and what cannot be done there is told in HAProxy's own words."""
import os
import pwd
import re
import select
import shutil
import signal
import socket
import ssl
import threading

import pytest

from lab import ROOT, Refused, alive, fingerprint, free_ports, served_by, wait_until

CONF = """global
  stats socket %(root)s/admin.sock mode 666 level admin
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


SITE = """{ name = "%s"; names = [ "%s.example.org"%s ]; key = "%s"; service = [ "haproxy" ];
  install = ( { dir = "%s/%s"; bundle = true; } ); }"""


class Haproxy:
    """The real one, reading files of this lab's; started when they are there."""

    def __init__(self, lab):
        self.lab, self.port, self.socket, self.process = lab, free_ports(1)[0], lab.root / "admin.sock", None

    def service(self, more=""):
        return '{ name = "haproxy"; haproxy = "%s"; look = [ "127.0.0.1:%d" ]; %s }' % (self.socket, self.port, more)

    def start(self, crt, more=""):
        conf = self.lab.write("haproxy.cfg", CONF % {"root": self.lab.root, "port": self.port, "more": more,
                                                     "crt": " ".join("crt %s" % c for c in crt)})
        self.process = self.lab.run("haproxy", ["/usr/sbin/haproxy", "-W", "-db", "-f", conf], user=None if self.lab.mode == "supervisor" else Ellipsis)
        self.lab.wait_port(self.port, self.process)
        wait_until(lambda: len(self.family()) == 2 and self.socket.exists(), 10, "HAProxy's worker")
        self.pids = self.family()

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


class Relay(threading.Thread):
    """Before HAProxy's socket: counts connections, and how often we spoke after HAProxy did. spoil: what we say, and what arrives instead."""

    def __init__(self, lab, to, spoil=None):
        super().__init__(daemon=True)
        self.spoil, self.path, self.to, self.connections, self.turns = spoil, lab.root / "relay.sock", to, 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        os.chmod(self.path, 0o666)
        self.listener.listen()
        self.start()

    def run(self):
        while True:
            near, far = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
            far.connect(str(self.to))
            self.connections += 1
            last, data = None, b"-"
            while data:
                for s in select.select([near, far], [], [])[0]:
                    data = s.recv(1 << 20)
                    (far if s is near else near).sendall(data.replace(*self.spoil) if self.spoil and s is near else data)
                    self.turns += s is near and last is not near
                    last = s
            near.close()
            far.close()


@pytest.fixture
def proxied(lab):
    """make(names, crt): certificates are installed as bundles and HAProxy serves them."""
    lab.haproxy = Haproxy(lab)
    lab.services = [lab.haproxy.service()]

    def make(*names, crt=None, more="", prepare=None):
        lab.start()
        lab.snippet("all", text="certificate = ( %s );\n" % ", ".join(SITE % (n, n, "", "ecdsa-p256", lab.tls, n) for n in names))
        for name in names:
            lab.wait_issued(name)
        if prepare:
            prepare(lab)
        lab.haproxy.start([c % lab.root for c in crt or []] or ["%s/%s/bundle.pem" % (lab.tls, name) for name in names], more)
        return lab
    return make


def use(lab, more="", **service):
    """Another definition of the service."""
    lab.services = [lab.haproxy.service(more)]
    for key, value in service.items():
        lab.services = [re.sub(r" %s = [^;]*;" % key, " %s = %s;" % (key, value), lab.services[0])]
    lab.write_config()
    assert lab.ctl("reload")["errors"] == 0


def check_old(lab, **old):
    """On the disk and at HAProxy it is as before."""
    for name, leaf in old.items():
        assert fingerprint(lab.installed(name)) == leaf
        wait_until(lambda: lab.haproxy.serves(name) == leaf, 10, "%s served as before" % name)
    lab.haproxy.check_untouched()


def renew(lab, name="site"):
    try:
        lab.ctl("renew", name, "--force", "--wait", timeout=120)
    except Refused as refused:
        return refused.error["parameters"]
    return None


def test_replaced_in_place(proxied):
    """The new certificate is served by the same processes, and a connection that was open before goes on."""
    lab = proxied("site")
    old = lab.installed("site")  # it came before HAProxy ran, which is no failure
    assert "the service is not running" in str(lab.ctl.show("site")["targets"])
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


def test_by_a_confined_keeper(make_lab):
    """As a user of its own, which runs nothing and has no network, beside a HAProxy that root started."""
    if not ROOT:
        pytest.skip("needs root")
    lab = make_lab(mode="supervisor")
    lab.start_dns()
    lab.start_pebble()
    lab.start_nginx()
    lab.haproxy, lab.tls = Haproxy(lab), lab.root / "own"
    lab.tls.mkdir(mode=0o755)
    shutil.chown(lab.tls, lab.keeper_user, pwd.getpwnam(lab.keeper_user).pw_gid)
    lab.services = [lab.haproxy.service()]
    lab.start()
    lab.snippet("all", text="certificate = " + SITE % ("site", "site", "", "ecdsa-p256", lab.tls, "site"))
    lab.wait_issued("site")
    lab.haproxy.start(["%s/site/bundle.pem" % lab.tls])
    assert renew(lab) is None
    lab.haproxy.check_untouched()
    assert lab.haproxy.serves("site") == fingerprint(lab.installed("site"))


def renew_both(lab, key):
    """Both at once, the second with such a key; the events that tell how they ended."""
    watch = lab.watch()
    lab.snippet("all", text="certificate = ( %s );\n" % ", ".join(SITE % (n, n, ', "new.example.org"', k, lab.tls, n) for n, k in zip("ab", ["ecdsa-p256", key])))
    return [str(watch.wait("failed", name)) for name in "ab"]


def test_refused_in_the_middle(proxied):
    """HAProxy takes both at the trial and the first for good, but is kept from the second: none of them is new in the end."""
    lab = proxied("a", "b")
    old = {name: fingerprint(lab.installed(name)) for name in "ab"}
    relay = Relay(lab, lab.haproxy.socket, (b"commit ssl cert %s/b/" % bytes(lab.tls), b"commit ssl cert %s/c/" % bytes(lab.tls)))
    use(lab, haproxy='"%s"' % relay.path)
    for failure in renew_both(lab, "ecdsa-p256"):
        assert re.search(r"HAProxy at \S+/relay.sock: commit ssl cert \S+/b/bundle.pem: The ongoing transaction is about", failure), failure
        assert "what was replaced before it is put back" in failure
    assert re.search(r"previous certificate put back in HAProxy cert=a ", lab.log())
    check_old(lab, **old)


def test_refused_at_the_trial(proxied):
    """One is too long for HAProxy, which at best would hang up: nothing was changed, and it is told why."""
    lab = proxied("a", "b", more="tune.bufsize 3584")
    old = {name: fingerprint(lab.installed(name)) for name in "ab"}
    for failure in renew_both(lab, "rsa-2048"):
        assert re.search(r"/admin.sock: the command that replaces \S+/b/bundle.pem has [34]\d\d\d bytes, and HAProxy takes less than tune.bufsize, 3584: set that to 7168 .*nothing was changed", failure), failure
    assert "certificate replaced in HAProxy" not in lab.log()
    check_old(lab, **old)


def test_put_back_after_a_rollback(proxied):
    """The service after it fails: HAProxy gets the one before again."""
    lab = proxied("site")
    watch, mark, old = lab.watch(), lab.write("mark", ""), fingerprint(lab.installed("site"))
    lab.services.append('{ name = "other"; command = [ "/usr/bin/test", "-e", "%s" ]; }' % mark)
    lab.snippet("all", text=("certificate = " + SITE % ("site", "site", "", "ecdsa-p256", lab.tls, "site")).replace('"haproxy"', '"haproxy", "other"'))
    lab.write_config()
    assert lab.ctl("reload")["errors"] == 0
    watch.wait("done", "site")
    mark.unlink()
    assert "service other: " in renew(lab)["detail"]
    assert lab.log().count("certificate replaced in HAProxy") == 2
    check_old(lab, site=old)


def test_haproxy_hangs(proxied):
    """A socket at which nobody answers costs the service's timeout, not more, and the rest of dovad nothing."""
    lab = proxied("site")
    old = fingerprint(lab.installed("site"))
    use(lab, 'timeout = "1s";')
    for pid in lab.haproxy.pids:
        os.kill(pid, signal.SIGSTOP)
    failure = renew(lab)
    for pid in lab.haproxy.pids:
        os.kill(pid, signal.SIGCONT)
    assert "HAProxy at %s: no answer in 1 s" % lab.haproxy.socket in failure["detail"]
    check_old(lab, site=old)
    assert renew(lab) is None
    assert lab.haproxy.serves("site") == fingerprint(lab.installed("site"))
    lab.haproxy.check_untouched()


def test_transaction_of_somebody_else(proxied):
    """It is told and left alone; one that we left when we were killed is cleared away."""
    lab = proxied("site")
    old, path = fingerprint(lab.installed("site")), "%s/site/bundle.pem" % lab.tls
    other = (lab.fixtures / "placeholder.key").read_text() + (lab.fixtures / "placeholder.pem").read_text()
    assert "created" in lab.haproxy.ask("set ssl cert %s <<\n%s" % (path, other))
    failure = renew(lab)
    assert "somebody else's transaction for %s is open" % path in failure["detail"] and "abort ssl cert " + path in failure["detail"]
    assert "*" + path in lab.haproxy.ask("show ssl cert")
    assert "aborted" in lab.haproxy.ask("abort ssl cert " + path)
    check_old(lab, site=old)
    assert "created" in lab.haproxy.ask("set ssl cert %s <<\n%s" % (path, (lab.tls / "site/bundle.pem").read_text()))
    assert renew(lab) is None
    lab.haproxy.check_untouched()
    assert lab.haproxy.serves("site") == fingerprint(lab.installed("site"))


def test_not_loaded(proxied):
    """Who is not in HAProxy's configuration is told so, which keeps nobody else waiting. That another name leads to a file of ours is seen."""
    lab = proxied("site", "other", crt=["%s/fixtures/../link.pem"],
                  prepare=lambda lab: (lab.root / "link.pem").symlink_to(lab.tls / "site/bundle.pem"))
    failure = renew(lab, "other")
    assert "has loaded no file of certificate other: name %s/other/bundle.pem in a bind line" % lab.tls in failure["detail"]
    assert renew(lab) is None
    lab.haproxy.check_untouched()
    assert lab.haproxy.serves("site") == fingerprint(lab.installed("site"))


def test_a_hundred_at_once(make_lab):
    """Six hundred commands are one conversation, many of them said ahead. What HAProxy had before was not ours."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    lab.haproxy, names = Haproxy(lab), ["site%02d" % i for i in range(100)]
    for name in names:
        lab.write("tls/%s.pem" % name, (lab.fixtures / "placeholder.key").read_text() + (lab.fixtures / "placeholder.pem").read_text(), 0o600)
    lab.haproxy.start([str(lab.tls) + "/"])
    relay = Relay(lab, lab.haproxy.socket)
    lab.services = [lab.haproxy.service().replace(str(lab.haproxy.socket), str(relay.path))]
    lab.start()
    watch = lab.watch()
    lab.snippet("all", text="certificate = ( %s );\n" % ", ".join(
        '{ name = "%s"; names = [ "%s.example.org" ]; service = [ "haproxy" ]; install = ( { bundle_file = "%s/%s.pem"; } ); }' % (
            name, name, lab.tls, name) for name in names))
    for name in names:
        watch.wait("done", name, timeout=60)
    assert lab.log().count("certificate replaced in HAProxy") == 100
    assert [n for n in names if lab.haproxy.serves(n) != fingerprint(lab.installed(n))] == []
    lab.haproxy.check_untouched()
    assert relay.connections <= 2 and relay.turns < 300, (relay.connections, relay.turns)
