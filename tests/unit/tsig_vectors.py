#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Makes tests/unit/tsig_vectors.h: requests and answers signed by an independent implementation, dnspython (package python3-dnspython), at a fixed time.
    tests/unit/tsig_vectors.py >tests/unit/tsig_vectors.h"""
import time

import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.update

NOW = 1790000000
SECRET = bytes(range(1, 33))
ALGORITHMS = ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]


def request(name, algorithm, ident):
    u = dns.update.UpdateMessage("example.org", id=ident)
    u.use_tsig(dns.tsig.Key(name, SECRET, algorithm), original_id=ident)
    u.add("_acme-challenge.www", 60, "TXT", "gfj9Xq...Rg85nM")
    bare = dns.update.UpdateMessage("example.org", id=ident)
    bare.add("_acme-challenge.www", 60, "TXT", "gfj9Xq...Rg85nM")
    return u, bare.to_wire(), u.to_wire()


def answer(u, rcode=dns.rcode.NOERROR, error=0, other=b""):
    r = dns.message.make_response(u, tsig_error=error)
    r.set_rcode(rcode)
    if error:
        r.use_tsig(u.keyring, fudge=300, tsig_error=error, other_data=other, original_id=u.id)
        r.request_mac = u.mac
    return r.to_wire()


def show(words, *wires, begin="\t", end=","):
    print("%s{%s," % (begin, words))
    for w in wires:
        text = w.hex()
        lines = [text[i:i + 120] for i in range(0, len(text), 120)]
        print("\t\t" + "\n\t\t".join('"%s"' % line for line in lines) + ",")
    print("\t}" + end)


def main():
    time.time = lambda: NOW + 0.5
    print("/* SPDX-License-Identifier: ISC */")
    print("/* Made by tests/unit/tsig_vectors.py with dnspython, key bytes 1 to 32, time %d. */" % NOW)
    print("static const struct vector {\n\tenum tsig_algorithm algorithm;\n\tconst char *key, *request, *signed_request, *answer;\n} vectors[] = {")
    for i, algorithm in enumerate(ALGORITHMS):
        # The second name ends like the zone's, so that the owner of the record is compressed.
        for name in ("dovad-key.", "Up_Date.Example.org"):
            u, bare, signed = request(name, algorithm, 0x1234 + i)
            show('TSIG_%s, "%s"' % (algorithm.upper().replace("-", "_"), name), bare, signed, answer(u))
    print("};")
    u, bare, signed = request("dovad-key.", "hmac-sha256", 0x4321)
    theirs = (NOW + 90061).to_bytes(6, "big")
    print("/* The clock of this server is 25 h 1 min 1 s ahead: NOTAUTH, BADTIME, signed. */")
    show('TSIG_HMAC_SHA256, "dovad-key."', bare, signed, answer(u, dns.rcode.NOTAUTH, 18, theirs),
         begin="static const struct vector late = ", end=";")


main()
