# SPDX-License-Identifier: ISC
"""A small internet of names on loopback, for a lab: zones on real servers, the zones above them, a recursive server that dovad asks and one of the CA's own.
All servers of zones share one port (dns_port) and have addresses of their own.

    world = World(lab)
    a, b = free_hosts(2)
    zone = Zone("example.org", ns={"ns1": [a], "ns2": [b]}, update=[KEY], notify=[b])
    world.serve(Bind, a, zone)
    world.serve(Bind, b, Zone("example.org", primary=a))
    world.open()
    lab.start_pebble(resolver=world.ca.at)
"""
import re
import socket
import threading

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype

from dns_servers import Key, Nsd, Place, Zone, delegation
from lab_base import Process, free_hosts, free_ports, tail, wait_until

KEY = Key("dovad-key")
QUERY = re.compile(r"info: \S+ (\S+)\. (\S+) IN$", re.M)


class Unbound:
    """A recursive server. zones: name -> addresses of its servers. A CA's keeps nothing and mixes the case of its questions; dovad's keeps what a usual one
    keeps. A server that is dead is given up for another one soon, each time anew. anchors: DS records of zones below which it validates. https: key and
    certificate (files) of one that is asked by HTTPS, too."""

    def __init__(self, place, name, port, zones, tops, of_a_ca=False, anchors=(), https=None):
        self.name, (self.port, self.https_port) = "unbound-" + name, free_ports(2)
        self.at = "127.0.0.1:%d" % self.port
        text = """server:
  interface: 127.0.0.1@%d
  use-syslog: no
  logfile: ""
  log-queries: yes
  do-daemonize: no
  pidfile: ""
  chroot: ""
  username: ""
  module-config: "%s"
  do-not-query-localhost: no
  num-threads: 1
  incoming-num-tcp: 200
  msg-cache-size: 1m
  rrset-cache-size: 1m
  infra-host-ttl: 1
  unknown-server-time-limit: 50
  qname-minimisation: no
  target-fetch-policy: "0 0 0 0 0"
  local-zone: "." refuse
""" % (self.port, "validator iterator" if anchors else "iterator")
        if https:
            text += '  interface: 127.0.0.1@%d\n  https-port: %d\n  tls-service-key: "%s"\n  tls-service-pem: "%s"\n' % ((self.https_port,) * 2 + tuple(https))
        text += "".join('  trust-anchor: "%s"\n' % a for a in anchors) + ("  ede: yes\n  val-bogus-ttl: 0\n" if anchors else "")
        text += "".join('  local-zone: "%s." transparent\n' % t for t in tops)
        text += "  cache-max-ttl: 0\n  cache-max-negative-ttl: 0\n  use-caps-for-id: yes\n  harden-below-nxdomain: no\n" if of_a_ca else ""
        text += "remote-control:\n  control-enable: no\n"
        for zone, addresses in zones.items():
            text += 'stub-zone:\n  name: "%s."\n' % zone + "".join("  stub-addr: %s@%d\n" % (a, port) for a in addresses)
        conf = place.root / (self.name + ".conf")
        conf.write_text(text)
        self.process = Process(place, self.name, ["unbound", "-d", "-c", conf])
        self.tops = tops
        wait_until(self.is_ready, 30, lambda: "%s answers\n%s" % (self.name, tail(self.process.log)))

    def is_ready(self):
        assert self.process.running(), "%s ended\n%s" % (self.name, tail(self.process.log))
        try:
            return self.ask(self.tops[0], "SOA", 0.3).rcode() == dns.rcode.NOERROR
        except (OSError, dns.exception.DNSException):
            return False

    def ask(self, name, rdtype, timeout=5):
        return dns.query.udp(dns.message.make_query(name, rdtype), "127.0.0.1", port=self.port, timeout=timeout)

    def questions(self, name=""):
        """(name, type) of all questions for this name and below, in their order."""
        found = [(n.lower(), t) for n, t in QUERY.findall(self.process.log.read_text(errors="replace"))]
        return [(n, t) for n, t in found if not name or n == name or n.endswith("." + name)]

    def stop(self):
        self.process.end()


class World:
    def __init__(self, lab, tops=("org", "net")):
        self.lab, self.tops = lab, tops
        (lab.fixtures / "dns").mkdir()
        self.place = Place(lab.fixtures / "dns")  # with secrets in its files
        self.port = free_ports(1)[0]
        self.servers, self.zones = [], {}
        self.resolver = self.ca = self.stubs = None

    def serve(self, kind, address, *zones, keys=(), on=()):
        """A server of real software; those of its zones that are not fetched from elsewhere are known to the world. on: words that run it on another host."""
        server = kind(self.place, address if isinstance(address, list) else [address], self.port, list(zones), keys=keys, on=on)
        self.servers.append(server)
        for z in zones:
            if not z.primary:
                self.delegate(z.name, z.ns)
        return server.start()

    def play(self, address, rule, port=None, raw=False):
        """A server that answers as a function says; see Scripted."""
        self.servers.append(Scripted(address, port or self.port, rule, raw))
        return self.servers[-1].start()

    def delegate(self, zone, ns):
        """What the zone above says; ns as in Zone."""
        self.zones[zone] = ns

    def open(self, inside=None, outside=None, fresh=False, anchors=()):
        """The zones above, and the recursive servers; dovad is told of them. inside: addresses by zone that dovad's asks, outside: that the CA's asks, where
        these are others than the zone's own. fresh: dovad's keeps nothing either; anchors: and validates below these."""
        host = free_hosts(1)[0]
        tops = [Zone(t, [line for z, ns in self.zones.items() if z.endswith("." + t) for line in self.above(z, t, ns)], ns={"a.nic": [host]})
                for t in self.tops]
        self.registry = Nsd(self.place, [host], self.port, tops).start()
        self.servers.append(self.registry)
        self.stubs = {z: sorted({a for addresses in ns.values() for a in addresses}) for z, ns in self.zones.items()}
        self.stubs.update((t, [host]) for t in self.tops)
        self.resolver = self.recursive("dovad", inside, of_a_ca=fresh, anchors=anchors)
        self.ca = self.recursive("ca", outside, of_a_ca=True)
        self.lab.settings.update(resolvers='[ "%s" ]' % self.resolver.at, dns_port=str(self.port))
        return self

    def recursive(self, name, instead=None, **options):
        """One more recursive server. instead: addresses by zone that it asks, where these are others than the zone's own."""
        self.servers.append(Unbound(self.place, name, self.port, dict(self.stubs, **instead or {}), self.tops, **options))
        return self.servers[-1]

    @staticmethod
    def above(zone, top, ns):
        if zone.count(".") > 1:  # delegated further down, by one of the zones themselves
            return []
        label = zone[:-len(top) - 1]
        return delegation(label, {n if n.endswith(".") else "%s.%s" % (n, label): a for n, a in ns.items()})

    def entry(self, name, server, more="", key=KEY):
        """An entry of the dns list that writes to a server by dynamic update."""
        credential = "%s-secret" % name
        self.lab.credential(credential, key.secret + "\n")
        return ('{ name = "%s"; type = "rfc2136"; server = "%s"; key_name = "%s"; key_algorithm = "%s"; key_secret = "credential:%s"; %s }'
                % (name, server.address, key.name, key.algorithm, credential, more))

    def tell(self, zone, secondary, primary):
        """NOTIFY, as from the primary: the secondary fetches the zone."""
        note = dns.message.make_query(zone, "SOA", flags=dns.flags.AA)
        note.set_opcode(dns.opcode.NOTIFY)
        answer = dns.query.udp(note, secondary, port=self.port, source=primary, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR, answer

    def close(self):
        for s in reversed(self.servers):
            s.stop()


class Scripted:
    """rule(query, tcp) -> the answer: a message, bytes as they are, a list of such, or None for silence. raw: the query is bytes, too. Otherwise questions are kept as
    (name, type, tcp)."""

    def __init__(self, address, port, rule, raw=False):
        self.addresses, self.port, self.rule, self.raw, self.questions = [address], port, rule, raw, []
        self.udp = self.tcp = None

    @property
    def address(self):
        return "%s:%d" % (self.addresses[0], self.port)

    def start(self):
        family = socket.AF_INET6 if ":" in self.addresses[0] else socket.AF_INET
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((self.addresses[0], self.port))
        self.tcp = socket.socket(family)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((self.addresses[0], self.port))
        self.tcp.listen(64)
        for loop in self.serve_udp, self.serve_tcp:
            threading.Thread(target=loop, daemon=True).start()
        return self

    def replies(self, data, tcp):
        if len(data) < 12:
            return []
        if self.raw:
            answers = self.rule(data, tcp)
        else:
            query = dns.message.from_wire(data)
            q = query.question[0]
            self.questions.append((q.name.to_text(True).lower(), dns.rdatatype.to_text(q.rdtype), tcp))
            answers = self.rule(query, tcp)
        answers = answers if isinstance(answers, list) else [answers]
        return [a.to_wire() if isinstance(a, dns.message.Message) else a for a in answers if a is not None]

    def serve_udp(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(65535)
            except (OSError, AttributeError):
                return  # closed
            threading.Thread(target=self.answer_udp, args=(data, peer), daemon=True).start()

    def answer_udp(self, data, peer):
        try:
            for answer in self.replies(data, False):
                self.udp.sendto(answer, peer)
        except (OSError, AttributeError, dns.exception.DNSException):
            pass  # closed meanwhile, or not to be had

    def serve_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(conn,), daemon=True).start()

    def serve_connection(self, conn):
        with conn:
            conn.settimeout(30)
            try:
                with conn.makefile("rb") as f:
                    while True:
                        size = f.read(2)
                        if len(size) < 2:
                            return
                        for answer in self.replies(f.read(int.from_bytes(size, "big")), True):
                            conn.sendall(len(answer).to_bytes(2, "big") + answer)
            except (OSError, dns.exception.DNSException):
                return

    def stop(self):
        for s in self.udp, self.tcp:
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
        self.udp = self.tcp = None


# --- rules of scripted servers ---

def forward(address, port):
    """What another server says."""
    def rule(query, tcp):
        return (dns.query.tcp if tcp else dns.query.udp)(query, address, port=port, timeout=2)
    return rule


def forward_bytes(data, address, port, tcp):
    """The same for what need not be understood, or is signed. Who closes a connection without an answer is asked once more."""
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect((address, port))
            if not tcp:
                s.send(data)
                return s.recv(65535)
            s.sendall(len(data).to_bytes(2, "big") + data)
            with s.makefile("rb") as f:
                size = f.read(2)
                if size:
                    return f.read(int.from_bytes(size, "big"))
    raise ConnectionError("no answer from %s:%d" % (address, port))


def refuse(rcode):
    def rule(query, tcp):
        answer = dns.message.make_response(query)
        answer.set_rcode(rcode)
        return answer
    return rule


def silent(query, tcp):
    return None
