# SPDX-License-Identifier: ISC
"""Real name servers as ordinary processes: BIND, Knot DNS, PowerDNS and NSD, all described alike. Each listens on addresses of its own (127.0.0.N, ::1);
several may share one port, so that zones can be served as they are out there. They keep everything below one folder and are ended by pid.

    place = Place(tmp_path)
    key = Key("dovad-key", "hmac-sha256")
    primary = Bind(place, ["127.0.0.2"], port, [Zone("example.org", update=[key], notify=["127.0.0.3"])])
    secondary = Nsd(place, ["127.0.0.3"], port, [Zone("example.org", primary="127.0.0.2")])
    for s in primary, secondary: s.start()
    ... primary.txt("_acme-challenge.example.org"), secondary.serial("example.org") ...
    for s in primary, secondary: s.stop()
"""
import base64
import os
import pwd
import shutil
import sqlite3
import subprocess

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from lab_base import SBIN, Process, require, tail, wait_until

SECRET = bytes(range(7, 71))


class Place:
    """What a Process wants to know; a Lab has it all too."""

    def __init__(self, root):
        self.root, self.logs, self.env = root, root / "logs", dict(os.environ, PATH=SBIN)
        self.logs.mkdir(exist_ok=True)


class Key:
    def __init__(self, name, algorithm="hmac-sha256", secret=SECRET):
        self.name, self.algorithm, self.secret = name, algorithm, base64.b64encode(secret).decode()


def delegation(name, ns):
    """The records that make these the name servers of a name, with the addresses of those that lie in the zone at hand."""
    return ["%s IN NS %s" % (name, n) for n in ns] + ["%s IN %s %s" % (n, "AAAA" if ":" in a else "A", a)
                                                      for n, addresses in ns.items() if not n.endswith(".") for a in addresses]


class Zone:
    """update: keys that may change it, and addresses that may without a key. policy: rules of BIND's update-policy, in its place. notify: addresses told of
    changes, which may also fetch the zone; fetch: those that may only fetch it. primary: the address it is fetched from, for a secondary; it then has no
    records of its own. ns: its name servers and their addresses; a name with a final dot lies outside, and has its addresses there."""

    def __init__(self, name, records=(), update=(), policy=(), notify=(), fetch=(), primary=None, ns=None, negative_ttl=60):
        self.name, self.update, self.policy, self.notify, self.primary = name, list(update), list(policy), list(notify), primary
        self.fetch = self.notify + list(fetch)
        self.ns = ns or {"ns1": ["127.0.0.1"]}
        self.keys = [k for k in self.update if isinstance(k, Key)]
        self.addresses = [a for a in self.update if not isinstance(a, Key)]
        self.text = "$ORIGIN %s.\n$TTL 300\n@ IN SOA ns1 hostmaster 1 3600 600 86400 %d\n" % (name, negative_ttl)
        self.text += "".join(line + "\n" for line in delegation("@", self.ns)) + "".join(r + "\n" for r in records)


class Server:
    """The place's root should have a short name: some have a UNIX socket below it, whose path may not be long."""
    kind = None
    program = None

    def __init__(self, place, addresses, port, zones, keys=(), on=()):
        self.on = list(on)
        self.place, self.addresses, self.port, self.zones = place, addresses, port, zones
        self.keys = {k.name: k for z in zones for k in z.keys}
        self.keys.update((k.name, k) for k in keys)
        self.name = "%s-%s-%d" % (self.kind, addresses[0].replace(":", "_"), port)
        self.folder = place.root / self.name
        self.process = None

    @classmethod
    def require(cls):
        require(shutil.which(cls.program, path=SBIN), cls.program)

    @property
    def address(self):
        """The first, as dovad's options take it."""
        return ("[%s]:%d" if ":" in self.addresses[0] else "%s:%d") % (self.addresses[0], self.port)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def zone_file(self, z):
        return self.folder / (z.name + ".zone")

    def start(self):
        if not self.folder.exists():
            self.folder.mkdir()
            for z in self.zones:
                if not z.primary:
                    self.file(z.name + ".zone", z.text)
            self.prepare()
        self.process = Process(self.place, self.name, self.on + self.argv())
        wait_until(self.is_ready, 30, lambda: "%s answers\n%s" % (self.name, tail(self.process.log)))
        return self

    def stop(self):
        if self.process:
            self.process.end(60)  # what it holds is written first, and a disk may be busy
            self.process = None

    def is_ready(self):
        """Does it answer for all zones, on all addresses, over UDP and TCP?"""
        if not self.process.running():
            raise AssertionError("%s ended\n%s" % (self.name, tail(self.process.log)))
        try:
            return all(self.ask(z.name, "SOA", tcp, at).rcode() == dns.rcode.NOERROR
                       for z in self.zones for at in self.addresses for tcp in (True, False))  # TCP tells at once that it is closed
        except (OSError, dns.exception.DNSException):
            return False

    def ask(self, name, rdtype, tcp=False, at=None):
        """The whole answer to one question. NSD serves a new zone by new processes and resets a connection that an old one has just taken: asked again, once."""
        query = dns.message.make_query(name, rdtype, flags=0)
        where = {"where": at or self.addresses[0], "port": self.port, "timeout": 1}
        if not tcp:
            return dns.query.udp(query, **where)
        try:
            return dns.query.tcp(query, **where)
        except (ConnectionResetError, EOFError):
            return dns.query.tcp(query, **where)

    def serial(self, zone):
        return self.ask(zone, "SOA").answer[0][0].serial

    def txt(self, name):
        """The values at a name, sorted, strings joined."""
        answer = self.ask(name, "TXT", tcp=True)
        return sorted(b"".join(rr.strings).decode() for s in answer.answer if s.rdtype == dns.rdatatype.TXT for rr in s)

    def ttl(self, name):
        return self.ask(name, "TXT").answer[0].ttl


class Bind(Server):
    """It listens only on addresses that an interface has when it looks, which it does once: those of 127.0.0.0/8 beyond the first are there for that moment,
    if we are root."""
    kind, program = "bind", "named"

    def start(self):
        lent = [a for a in self.addresses if a.startswith("127.") and a != "127.0.0.1"]
        lent = [a for a in lent if subprocess.run(["ip", "address", "add", a + "/32", "dev", "lo"], check=False, stderr=subprocess.DEVNULL).returncode == 0]
        try:
            return super().start()
        finally:
            for a in lent:
                subprocess.run(["ip", "address", "delete", a + "/32", "dev", "lo"], check=True)

    def prepare(self):
        v4 = ["%s;" % a for a in self.addresses if ":" not in a]
        v6 = ["%s;" % a for a in self.addresses if ":" in a]
        text = "".join('key "%s" { algorithm %s; secret "%s"; };\n' % (k.name, k.algorithm, k.secret) for k in self.keys.values())
        text += """options {
  directory "%s"; pid-file none; session-keyfile none; lock-file none; interface-interval 0; automatic-interface-scan no; managed-keys-directory "%s";
  listen-on port %d { %s }; listen-on-v6 port %d { %s };
  recursion no; dnssec-validation no; notify explicit; allow-transfer { none; };
  notify-rate 1000; startup-notify-rate 1000; serial-query-rate 1000; notify-delay 0; transfers-per-ns 100; %s
};
controls { };
""" % (self.folder, self.folder, self.port, " ".join(v4) or "none;", self.port, " ".join(v6) or "none;",
       "notify-source %s transfer-source %s" % (v4[0], v4[0]) if v4 else "")
        self.file("named.conf", text + "".join(self.zone(z) for z in self.zones))

    def zone(self, z):
        text = 'zone "%s" { file "%s"; ' % (z.name, self.zone_file(z))
        if z.primary:
            return text + "type secondary; masterfile-format text; primaries { %s port %d; }; };\n" % (z.primary, self.port)
        text += "type primary; allow-transfer { %s none; }; " % "".join("%s; " % a for a in z.fetch)
        text += "also-notify { %s }; " % "".join("%s port %d; " % (a, self.port) for a in z.notify)
        if z.policy:
            return text + "update-policy { %s }; };\n" % " ".join(r + ";" for r in z.policy)
        allowed = ['key "%s";' % k.name for k in z.keys] + ["%s;" % a for a in z.addresses] + ["none;"]
        return text + "allow-update { %s }; };\n" % " ".join(allowed)

    def argv(self):
        return ["named", "-g", "-n", "1", "-c", self.folder / "named.conf"]


class Knot(Server):
    kind, program = "knot", "knotd"

    def prepare(self):
        text = ["server:", '    rundir: "%s"' % self.folder, '    user: "%s"' % (pwd.getpwuid(os.geteuid()).pw_name)]
        text += ["    listen: %s@%d" % (a, self.port) for a in self.addresses]
        text += ["    udp-workers: 1", "    tcp-workers: 2", "    background-workers: 1", "log:", "  - target: stderr", "    any: debug",
                 "database:", '    storage: "%s"' % self.folder, '    journal-db-max-size: 64M', "control:", "    listen: knot.sock"]
        if self.keys:
            text += ["key:"]
        for k in self.keys.values():
            text += ["  - id: %s" % k.name, "    algorithm: %s" % k.algorithm, "    secret: %s" % k.secret]
        others = sorted({a for z in self.zones for a in z.notify + ([z.primary] if z.primary else [])})
        if others:
            text += ["remote:"]
        for a in others:
            text += ["  - id: r%s" % a, "    address: %s@%d" % (a, self.port), "    via: %s" % self.addresses[0]]
        text += ["acl:"] + [line for i, z in enumerate(self.zones) for line in self.acl(i, z)]
        text += ["template:", "  - id: default", '    storage: "%s"' % self.folder, "    zonefile-sync: 0", "    serial-policy: increment", "zone:"]
        text += [line for i, z in enumerate(self.zones) for line in self.zone(i, z)]
        self.file("knot.conf", "\n".join(text) + "\n")

    @staticmethod
    def acl(i, z):
        rules = [("key: [%s]" % ", ".join(k.name for k in z.keys), "update")] if z.keys else []
        rules += [("address: [%s]" % ", ".join(z.addresses), "update")] if z.addresses else []
        rules += [("address: [%s]" % ", ".join(z.fetch), "transfer")] if z.fetch else []
        rules += [("address: %s" % z.primary, "notify")] if z.primary else []
        return [line for n, (who, what) in enumerate(rules) for line in ("  - id: a%d-%d" % (i, n), "    " + who, "    action: " + what)]

    def zone(self, i, z):
        rules = ["a%d-%d" % (i, n) for n in range(len(self.acl(i, z)) // 3)]
        text = ["  - domain: %s" % z.name, '    file: "%s"' % self.zone_file(z)]
        text += ["    acl: [%s]" % ", ".join(rules)] if rules else []
        text += ["    notify: [%s]" % ", ".join("r" + a for a in z.notify)] if z.notify else []
        return text + (["    master: r%s" % z.primary] if z.primary else [])

    def argv(self):
        return ["knotd", "-c", self.folder / "knot.conf"]


class PowerDns(Server):
    """With the sqlite3 back end. A zone's addresses are who may change it at all; with keys, only with one of them."""
    kind, program = "pdns", "pdns_server"
    schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"

    def prepare(self):
        base = self.folder / "pdns.sqlite3"
        with open(self.schema, encoding="utf-8") as f, sqlite3.connect(base) as db:
            db.executescript(f.read())
        v4 = [a for a in self.addresses if ":" not in a]
        self.file("pdns.conf", "\n".join([
            "launch=gsqlite3", "gsqlite3-database=%s" % base, "gsqlite3-pragma-synchronous=0", "local-address=%s" % ",".join(self.addresses),
            "local-port=%d" % self.port, "query-local-address=%s" % (v4 or self.addresses)[0], "socket-dir=%s" % self.folder.name,
            "daemon=no", "guardian=no", "distributor-threads=1",  # its database takes one change at a time, and another one at once is SERVFAIL
            "dnsupdate=yes", "allow-dnsupdate-from=127.0.0.0/8,::1", "primary=yes", "secondary=yes", "xfr-cycle-interval=1", "cache-ttl=0", "query-cache-ttl=0",
            "negquery-cache-ttl=0", "zone-cache-refresh-interval=0", "zone-metadata-cache-ttl=0", "loglevel=6", "only-notify=",
            "allow-unsigned-notify=yes"]) + "\n")
        for k in self.keys.values():
            self.util("import-tsig-key", k.name, k.algorithm, k.secret)
        for z in self.zones:
            self.add_zone(z)

    def add_zone(self, z):
        if z.primary:
            self.util("create-slave-zone", z.name, "%s:%d" % (z.primary, self.port))
            return
        self.util("load-zone", z.name, self.zone_file(z))
        self.util("set-kind", z.name, "primary")
        for kind, values in (("TSIG-ALLOW-DNSUPDATE", [k.name for k in z.keys]),
                             ("ALLOW-DNSUPDATE-FROM", z.addresses or (["127.0.0.0/8", "::1"] if z.keys else [])),
                             ("ALSO-NOTIFY", ["%s:%d" % (a, self.port) for a in z.notify]), ("ALLOW-AXFR-FROM", z.fetch), ("SOA-EDIT-DNSUPDATE", ["INCREASE"])):
            if values:
                self.util("set-meta", z.name, kind, *values)

    def util(self, *words):
        argv = ["pdnsutil", "--config-dir=%s" % self.folder] + [str(w) for w in words]
        done = subprocess.run(argv, env=self.place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, "%s\n%s" % (argv, done.stdout)

    def argv(self):
        return ["pdns_server", "--config-dir=%s" % self.folder]


class Nsd(Server):
    """A secondary only: it takes no updates."""
    kind, program = "nsd", "nsd"

    def prepare(self):
        text = ["server:"] + ["    ip-address: %s@%d" % (a, self.port) for a in self.addresses]
        text += ['    username: ""', '    chroot: ""', '    database: ""', '    zonesdir: "%s"' % self.folder, '    pidfile: ""', "    server-count: 1",
                 '    xfrdfile: "%s/xfrd"' % self.folder, '    zonelistfile: "%s/zones"' % self.folder, '    xfrdir: "%s"' % self.folder,
                 "    xfrd-reload-timeout: 0", "    verbosity: 2", "remote-control:", "    control-enable: no"]
        for z in self.zones:
            text += ["zone:", '    name: "%s"' % z.name, '    zonefile: "%s"' % self.zone_file(z)]
            if z.primary:
                text += ["    allow-notify: %s NOKEY" % z.primary, "    request-xfr: %s@%d NOKEY" % (z.primary, self.port),
                         "    outgoing-interface: %s" % self.addresses[0]]
        self.file("nsd.conf", "\n".join(text) + "\n")

    def argv(self):
        return ["nsd", "-d", "-c", self.folder / "nsd.conf"]


KINDS = {c.kind: c for c in (Bind, Knot, PowerDns, Nsd)}
