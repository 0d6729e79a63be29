# SPDX-License-Identifier: ISC
"""Not part of the suite: contrib/check-long.sh visible. dovad beside Debian's lego and certbot-dns-rfc2136 where they are installed.

How long after the last name server has the record is the CA told to look? A BIND primary and secondary, which is told of the change after 0 to 20 s, a zone
for each client. What counts is the request that a proxy before the CA sees, so that nothing depends on what a client says of itself. And what becomes of an
order for a name and its wildcard, delegated by CNAME, while one secondary is dead and another one late by 20 s?

$DOVAD_LONG_RUNS: 50 for dovad and lego, a fifth of that for certbot, which always waits a minute. Needs root: lego asks name servers on port 53 alone, and finds
them by /etc/resolv.conf."""
import contextlib
import ctypes
import os
import re
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path

import dns.rdatatype
import pytest

from conftest import root_only
from dns_servers import Bind, Nsd, Zone
from dns_world import KEY, World, forward_bytes
from lab_base import free_hosts, free_ports, tail, wait_until

RUNS, LAG_MAX = int(os.environ.get("DOVAD_LONG_RUNS", 50)), 20.0
LEAST, SHARE = 0.030, 0.25  # "at most 30 ms, or a quarter of the time waited if that is longer"


@contextlib.contextmanager
def own_resolv_conf(root):
    """For this process and what it starts."""
    new_ns = 0x20000
    if ctypes.CDLL(None, use_errno=True).unshare(new_ns) == -1:
        raise OSError(ctypes.get_errno(), "unshare")
    mine = root / "resolv.conf"
    mine.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    theirs = Path("/etc/resolv.conf").resolve()
    subprocess.run(["mount", "--bind", mine, theirs], check=True)
    try:
        yield
    finally:  # over a file that is gone nothing can be mounted
        subprocess.run(["umount", "--lazy", theirs], check=True)


class Proxy:
    """Before the CA, with an address for each client: it notes when each request comes."""

    def __init__(self, lab, pebble, clients):
        self.ports = dict(zip(clients, free_ports(len(clients))))
        both = lab.write("fixtures/proxy.pem", (lab.fixtures / "api.pem").read_text() + (lab.fixtures / "api.key").read_text())
        text = "global\n  log stderr format raw local0 info\ndefaults\n  mode http\n  log global\n  timeout connect 10s\n  timeout client 180s\n  timeout server 180s\n"
        text += "".join("frontend %s\n  bind 127.0.0.1:%d ssl crt %s alpn h2,http/1.1\n  http-request set-var(txn.came) date(0,ms)\n"
                        "  log-format \"%%[var(txn.came)] %%ft %%HM %%HP\"\n  default_backend ca\n" % (c, port, both) for c, port in self.ports.items())
        text += "backend ca\n  http-reuse always\n  server p 127.0.0.1:%d ssl verify none\n" % pebble.port
        self.process = lab.run("proxy", ["/usr/sbin/haproxy", "-db", "-f", lab.write("fixtures/proxy.cfg", text)])
        for port in self.ports.values():
            lab.wait_port(port, self.process)

    def directory(self, client):
        return "https://localhost:%d/dir" % self.ports[client]

    def told(self, client, since):
        """When the client first told the CA to look, after `since`; None: not yet."""
        times = re.findall(r"^(\d+) %s~? POST \S*/chalZ/" % client, self.process.log.read_text(), re.M)
        return next((int(t) / 1000 for t in times if int(t) / 1000 > since), None)


# --- the clients: start(name) begins an order and returns what is called to wait for its end ---

def dovad(lab, proxy, world):
    lab.cas = [lab.pebble.block().replace(lab.pebble.directory, proxy.directory("dovad"))]
    lab.dns_entries = [world.entry("corp", world.primary)]
    lab.start()

    def start(*names):
        site = names[0].split(".")[0]
        lab.snippet(site, names, prove='"dns:corp"')
        return lambda: lab.wait_issued(site, timeout=180)
    return start


def command(lab, name, argv, env):
    process = lab.run(name, argv, env=env, user=None)

    def end():
        assert process.popen.wait(400) == 0, tail(process.log, 6)
    return end


def lego(lab, proxy, world):
    env = {"LEGO_CA_CERTIFICATES": str(lab.fixtures / "api.pem"), "RFC2136_NAMESERVER": world.primary.address, "RFC2136_TSIG_KEY": KEY.name + ".",
           "RFC2136_TSIG_ALGORITHM": KEY.algorithm + ".", "RFC2136_TSIG_SECRET": KEY.secret, "HOME": str(lab.fixtures),
           "LEGO_EXPERIMENTAL_CNAME_SUPPORT": "true"}

    def start(*names):
        argv = ["lego", "--server", proxy.directory("lego"), "--email", "hostmaster@lego.org", "--accept-tos", "--path", lab.fixtures / "lego", "--dns", "rfc2136",
                "--dns.resolvers", world.ca.at] + [word for name in names for word in ("--domains", name)] + ["run"]
        return command(lab, "lego", argv, env)
    return start


def certbot(lab, proxy, world):
    folder = lab.fixtures / "certbot"
    folder.mkdir()
    secret = folder / "rfc2136.ini"
    secret.write_text("".join("dns_rfc2136_%s = %s\n" % kv for kv in [("server", world.primary.addresses[0]), ("port", world.port), ("name", KEY.name + "."),
                                                                    ("secret", KEY.secret), ("algorithm", KEY.algorithm.upper())]))
    secret.chmod(0o600)

    def start(*names):
        argv = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--register-unsafely-without-email", "--server", proxy.directory("certbot"),
                "--authenticator", "dns-rfc2136", "--dns-rfc2136-credentials", secret, "--config-dir", folder / "etc", "--work-dir", folder / "work",
                "--logs-dir", folder / "log", "--domains", ",".join(names)]
        return command(lab, "certbot", argv, {"REQUESTS_CA_BUNDLE": str(lab.fixtures / "api.pem")})
    return start


CLIENTS = {"dovad": (dovad, RUNS), "lego": (lego, RUNS), "certbot": (certbot, max(RUNS // 5, 1))}


class Runs:
    """All orders of one client, one after the other, the lags spread evenly."""

    def __init__(self, client, world, proxy):
        self.client, self.world, self.proxy, self.rows, self.wrong = client, world, proxy, [], None
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        try:
            begin, runs = CLIENTS[self.client]
            start = begin(self.world.lab, self.proxy, self.world)
            for i in range(runs):
                self.rows.append(self.run(start, "w%02d.%s.org" % (i, self.client), LAG_MAX * i / max(runs - 1, 1)))
        except BaseException as e:
            self.wrong = e
            raise

    def has(self, server, name):
        return any(s.rdtype == dns.rdatatype.TXT for s in server.ask("_acme-challenge." + name, "TXT").answer)

    def run(self, start, name, lag):
        """(time waited until the secondary had it, time from there until the CA was told)"""
        began = time.time()
        end = start(name)
        wait_until(lambda: self.has(self.world.primary, name), 60, name + " on the primary", every=0.005)
        written = time.time()
        time.sleep(lag)
        self.world.tell(self.client + ".org", *self.world.hosts[::-1])
        while True:
            there = time.time()  # when the question goes, so rather too early than too late
            if self.has(self.world.secondary, name):
                break
            time.sleep(0.001)
        told = wait_until(lambda: self.proxy.told(self.client, began), 180, name + " told to the CA")
        end()
        return there - written, told - there


def show(client, rows):
    late = [late for _, late in rows]
    allowed = [max(LEAST, SHARE * waited) for waited, _ in rows]
    share = statistics.median(a / b for a, b in zip(late, allowed))
    early = sum(a < 0 for a in late)
    print("%-8s %3d runs: the CA was told %6.3f s after the last server had it (median; %.3f to %.3f); %5.2f of what is allowed (median)%s"
          % (client, len(rows), statistics.median(late), min(late), max(late), share, "; %d TIMES TOO EARLY" % early if early else ""))
    return share, early


@contextlib.contextmanager
def contest(make_lab, set_up):
    """(clients, world, proxy), everything at port 53: name servers by set_up(world, clients), and a CA that asks the same resolver."""
    lab = make_lab()
    clients = [c for c in CLIENTS if c == "dovad" or shutil.which(c)]
    world = World(lab)
    world.port = 53
    with own_resolv_conf(lab.root):
        try:
            set_up(world, clients)
            world.open()
            world.play("127.0.0.1", lambda data, tcp: forward_bytes(data, "127.0.0.1", world.ca.port, tcp), 53, raw=True)
            lab.pebble = lab.start_pebble(nonce_reject=0, authz_reuse=0, resolver=world.ca.at)
            yield clients, world, Proxy(lab, lab.pebble, clients)
        finally:
            world.close()


def own_zones(world, clients):
    world.hosts = a, b = free_hosts(2)
    ns = {"ns1": [a], "ns2": [b]}
    world.primary = world.serve(Bind, a, *[Zone(c + ".org", update=[KEY], fetch=[b], ns=ns) for c in clients])
    world.secondary = world.serve(Bind, b, *[Zone(c + ".org", primary=a) for c in clients])


@root_only
def test_side_by_side(make_lab):
    with contest(make_lab, own_zones) as (clients, world, proxy):
        all_runs = [Runs(c, world, proxy) for c in clients]
        for r in all_runs:
            r.thread.join()
        assert not any(r.wrong for r in all_runs), [r.wrong for r in all_runs]
        print()
        found = {r.client: show(r.client, r.rows) for r in all_runs}
        print("of dovad, waited and late: " + ", ".join("%.2f/%.3f" % row for row in all_runs[0].rows))
        share, early = found["dovad"]
        assert share <= 1 and early == 0


# --- the same order by each: a name and its wildcard, delegated by CNAME into a zone one of whose secondaries is dead and one late ---

def delegated(world, clients):
    a, primary, late, dead = free_hosts(4)
    world.hosts = primary, late
    world.serve(Nsd, a, *[Zone(c + ".org", ["_acme-challenge IN CNAME %s.acme-example.net." % c], ns={"ns1": [a]}) for c in clients])
    zone = Zone("acme-example.net", update=[KEY], fetch=[late], ns={"ns1": [primary], "late": [late], "dead": [dead]})
    world.primary = world.serve(Bind, primary, zone)
    world.secondary = world.serve(Bind, late, Zone("acme-example.net", primary=primary))


def one_order(client, world, proxy):
    """(what came of it, seconds until then, seconds until the CA was told to look, None: it was not)"""
    start = CLIENTS[client][0](world.lab, proxy, world)
    began = time.time()
    end = start(client + ".org", "*.%s.org" % client)
    told = threading.Event()

    def tell():
        while not told.wait(0.05):
            if world.primary.txt(client + ".acme-example.net"):
                if not told.wait(LAG_MAX):
                    world.tell("acme-example.net", *world.hosts[::-1])
                return
    teller = threading.Thread(target=tell)
    teller.start()
    try:
        end()
        outcome = "issued"
    except AssertionError as e:
        outcome = "failed: " + " | ".join(str(e).split("\nassert ")[0].split("\n")[-3:])
    took = time.time() - began
    told.set()
    teller.join()
    asked = proxy.told(client, began)
    return outcome, took, asked and asked - began


@root_only
def test_one_dead_one_late(make_lab):
    with contest(make_lab, delegated) as (clients, world, proxy):
        rows = {c: one_order(c, world, proxy) for c in clients}  # one after the other: the lag is for all of the zone
        print()
        for c, (outcome, took, asked) in rows.items():
            print("%-8s %s after %.1f s; the CA was told to look %s" % (c, outcome, took, "after %.1f s" % asked if asked else "never"))
        print(world.lab.ctl.run("explain", "dovad", json_out=False).stdout)
        assert rows["dovad"][0] == "issued" and rows["dovad"][2] >= LAG_MAX
