# SPDX-License-Identifier: ISC
"""Services that begin TLS on request: installed, taken by the real server, seen there; and what it still serves of old is noticed."""
import os
import signal

import pytest

from lab import Refused, fingerprint, wait_until
from tls_servers import SERVERS, Postgres

HOST = "box.example.org"


def put(lab, server, service=True):
    lab.snippet("box", text='certificate = { names = [ "%s" ]; install = ( { dir = "%s"; mode = "0600"; } ); %s};\n' % (
        HOST, server.target, 'service = [ "%s" ]; ' % server.word if service else ""))
    lab.targets["box"] = server.target


def begin(lab, kind):
    """The server runs with a first certificate of dovad's, which then learns of the service."""
    server = kind(lab, HOST)
    lab.start()
    put(lab, server, service=False)
    lab.wait_issued("box")
    server.start()
    lab.services = [server.service()]
    lab.write_config()
    put(lab, server)
    wait_serves(lab, server)
    return server


def renew(lab):
    try:
        lab.ctl("renew", "box", "--force", "--wait", timeout=120)
    except Refused as refused:
        return refused.error["parameters"]
    return None


def wait_serves(lab, server):
    """Until dovactl show says that the server serves what is installed."""
    def there():
        c = lab.ctl.show("box")
        t = c["targets"][0] if c and c.get("targets") else {}
        return t.get("ok") and c["state"] == "waiting" and t["serves"] == fingerprint(lab.installed("box")) and t
    t = wait_until(there, 60, lambda: "the service seen: %s\n%s" % (lab.ctl.show("box"), lab.log(server.word)[-2000:]))
    assert t["service"] == server.word and t["address"] == "127.0.0.1:%d" % server.port


@pytest.mark.parametrize("kind", SERVERS, ids=[kind.word for kind in SERVERS])
def test_seen_by_starttls(lab, kind):
    server = begin(lab, kind)
    first = lab.installed("box")
    assert fingerprint(server.served()) == fingerprint(first)
    assert renew(lab) is None
    second = lab.installed("box")
    assert fingerprint(second) != fingerprint(first)
    assert fingerprint(server.served()) == fingerprint(second)
    wait_serves(lab, server)


def test_old_one_is_noticed(lab):
    """A reload that does not reach the server: stale, what it serves is told, the new one stays in place; then TLS is off there at all."""
    server = begin(lab, Postgres)
    first = lab.installed("box")
    lab.services = [server.service(command=["/bin/true"])]
    lab.write_config()
    assert lab.ctl("reload")["errors"] == 0
    failure = renew(lab)
    assert failure["type"] == "stale" and "127.0.0.1:%d still serves another certificate" % server.port in failure["detail"], failure
    assert fingerprint(lab.installed("box")) != fingerprint(first)
    shown = lab.ctl.show("box")
    assert shown["state"] == "stale" and shown["targets"][0]["serves"] == fingerprint(first)
    lab.services = [server.service(command=["/bin/sh", "-c", "echo ssl=off >>%s; %s" % (server.folder / "postgresql.conf", server.reload()[2])])]
    lab.write_config()
    assert lab.ctl("reload")["errors"] == 0
    failure = renew(lab)
    assert failure["type"] == "starttls", failure
    assert '127.0.0.1:%d: postgres: its answer to the request for TLS is "N"' % server.port in failure["detail"]
    assert fingerprint(lab.installed("box")) == fingerprint(first)  # nobody is served by TLS: taken back


def test_regular_look(lab):
    """A server that was led back to another pair, as by a restored backup: the regular look finds it, and what is installed is served again."""
    lab.settings["look_every"] = '"1s"'
    server = begin(lab, Postgres)
    lab.snippet("other")
    lab.wait_issued("other")
    conf = server.folder / "postgresql.conf"
    good = lab.write(server.folder / "good.conf", conf.read_text())
    lab.services = [server.service(command=["/bin/sh", "-c", "cp %s %s; %s" % (good, conf, server.reload()[2])])]
    lab.write_config()
    assert lab.ctl("reload")["errors"] == 0
    key = lab.write(lab.fixtures / "postgres.key", (lab.fixtures / "placeholder.key").read_bytes(), mode=0o600)
    pair = server.pair()
    lab.write(conf, good.read_text().replace(str(pair["chain"]), str(lab.fixtures / "placeholder.pem")).replace(str(pair["key"]), str(key)))
    watch = lab.watch()
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: fingerprint(server.served()) == fingerprint(lab.placeholder), 10, "the old pair served")
    # What is due is looked up when there is something to do, and once a minute: so there is something to do.
    event = wait_until(lambda: watch.find("drifted", "box") or (lab.ctl("renew", "other", "--force") and None), 90, "the drift told", every=0.3)
    assert "127.0.0.1:%d still serves another certificate" % server.port in str(event), event
    wait_serves(lab, server)
    assert fingerprint(server.served()) == fingerprint(lab.installed("box"))
