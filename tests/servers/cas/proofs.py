# SPDX-License-Identifier: ISC
"""The CA's looks for proofs: DNS at one server that the test names, files over HTTPS and then HTTP at ports that it names. Every look says True or False."""
import http.client
import socket
import ssl

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype

MAX_ALIASES = 8
MAX_FILE = 4096


class Prober:
    """dns: (address, port). http, https: ports, None: not tried. files_at: where files are fetched whatever the name; None: the name's own A or AAAA."""

    def __init__(self, dns_server=None, http=80, https=443, https_ca=None, files_at=None, timeout=3):
        self.dns, self.http, self.https, self.https_ca, self.files_at, self.timeout = dns_server, http, https, https_ca, files_at, timeout
        self.seen = []  # (what was looked at, outcome), for the reader of a failed test

    def ask(self, name, rdtype):
        """The RRsets of the answer section; [] when there is none to be had."""
        if not self.dns:
            return []
        query = dns.message.make_query(name, rdtype)
        query.flags |= dns.flags.RD
        try:
            answer, _ = dns.query.udp_with_fallback(query, self.dns[0], self.timeout, self.dns[1])
        except (dns.exception.DNSException, OSError):
            return []
        return answer.answer

    def alias_of(self, name):
        name = dns.name.from_text(name)
        for rrset in self.ask(name, "CNAME"):
            if rrset.name == name and rrset.rdtype == dns.rdatatype.CNAME:
                return rrset[0].target
        return None

    def values(self, name, rdtype):
        """The RRset's records, behind aliases, whether the server follows them or not."""
        name = dns.name.from_text(name)
        for _ in range(MAX_ALIASES):
            sections = {(r.name, r.rdtype): r for r in self.ask(name, rdtype)}
            for _ in range(MAX_ALIASES):
                found = sections.get((name, dns.rdatatype.from_text(rdtype)))
                if found:
                    return list(found)
                alias = sections.get((name, dns.rdatatype.CNAME))
                if not alias:
                    break
                name = alias[0].target
            else:
                return []
            if not sections:
                return []
        return []

    def look(self, proof):
        """proof: as review.proof_for makes them."""
        shown = proof["shown"]
        if proof["kind"] == "HTTP":
            good = self.fetch(proof["where"], proof["path"]) == shown["ValidationValue"].encode()
        else:
            alias = self.alias_of(proof["where"])
            wanted = [shown.get("Cname")] + ([shown["ValidationValue"]] if proof["kind"] == "CNAME" else [])
            good = alias is not None and alias in [dns.name.from_text(w) for w in wanted if w]
            if not good and proof["kind"] == "TXT":
                good = any(b"".join(r.strings) == shown["ValidationValue"].encode() for r in self.values(proof["where"], "TXT"))
        self.seen.append((proof["where"], good))
        return good

    def addresses(self, host):
        if self.files_at:
            return [self.files_at]
        return [r.address for kind in ("A", "AAAA") for r in self.values(host, kind)]

    def fetch(self, host, path):
        """The file's bytes. Where HTTPS answers at all, its certificate must be trusted and HTTP is not tried; no redirect is followed."""
        for address in self.addresses(host):
            if self.https is not None:
                try:
                    sock = socket.create_connection((address, self.https), self.timeout)
                except OSError:
                    pass
                else:
                    try:
                        context = ssl.create_default_context(cafile=self.https_ca)
                        return self.get(context.wrap_socket(sock, server_hostname=host), host, path)
                    except OSError:
                        return None
            if self.http is not None:
                try:
                    return self.get(socket.create_connection((address, self.http), self.timeout), host, path)
                except OSError:
                    continue
        return None

    @staticmethod
    def get(sock, host, path):
        with sock:
            sock.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path, host)).encode())
            try:
                answer = http.client.HTTPResponse(sock)
                answer.begin()
                body = answer.read(MAX_FILE)
            except http.client.HTTPException:
                return None
        return body if answer.status == 200 else None
