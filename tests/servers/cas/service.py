# SPDX-License-Identifier: ISC
"""What operations work on: state, clock, the CA's eyes and its hand. One operation at a time; the state is written back after each."""
import threading

from cryptography import x509

from . import alidns, applications, certificates, cloud, csrs, instances, orders, people, pki
from .review import Review

CAS_VERSION = "2020-04-07"
ACTIONS = instances.ACTIONS | applications.ACTIONS | people.ACTIONS | certificates.ACTIONS | csrs.ACTIONS | orders.ACTIONS
PRODUCTS = {CAS_VERSION: ("yundun-cert", ACTIONS), alidns.VERSION: ("alidns", alidns.ACTIONS),
            cloud.CDN_VERSION: ("cdn", cloud.CDN_ACTIONS), cloud.ALB_VERSION: ("alb", cloud.ALB_ACTIONS)}


class Service:
    def __init__(self, state, clock, prober, authority):
        self.state, self.clock, self.prober, self.authority = state, clock, prober, authority
        self.began = clock.wall() - clock.elapsed()
        self.lock = threading.RLock()
        self.review = Review(self)

    def run(self, action, params):
        with self.lock:
            try:
                return action.call(self, params)
            finally:
                self.save()

    def save(self):
        self.state.data["elapsed"] = self.clock.elapsed()
        self.state.save()

    def tick(self):
        """Every instance is brought up to the present, as when the CA looks without being asked."""
        with self.lock:
            for one in self.state["instances"]:
                self.review.settle(one)
            for order in self.state["orders"]:
                orders.settle(self, order)
            self.save()

    def look(self, proof):
        """In the account's own zones first: there it may even put the proof itself."""
        if proof["kind"] != "HTTP":
            zone = alidns.zone_above(self, proof["where"])
            if zone and self.state.option("auto_proof"):
                alidns.prove(self, zone, proof["where"], proof["kind"], proof["shown"]["ValidationValue"])
            if zone and proof["shown"]["ValidationValue"] in alidns.values_of(zone, proof["where"], proof["kind"]):
                return True
        return self.prober.look(proof)

    # --- certificates ---

    def certificate_of(self, one):
        """The newest of an instance; None."""
        return self.state.find(self.state["certificates"], one["certificate"]) if one.get("certificate") else None

    def identifier(self, cert):
        return "%d-%s" % (cert["id"], self.state.region)

    @staticmethod
    def request_digest(csr):
        return pki.digest_of(x509.load_pem_x509_csr(csr.encode()))

    def public_key_of(self, csr):
        """What is to be certified."""
        if self.state.option("wrong_csr"):
            return pki.key_for("ECC_256").public_key()
        return x509.load_pem_x509_csr(csr.encode()).public_key()

    def issue(self, one, csr):
        key = self.public_key_of(csr)
        names = one["domain"].split(",")
        chain, _ = self.authority.issue(names, key, 90 if one["type"] == "TEST" else 199)
        cert = certificates.record(self, chain, source=one["type"], instance=one["id"], name=one.get("certificate_name") or "cert-" + one["id"],
                                   key=one.get("key") if one.get("csr_method") == "online" else "", csr=csr)
        one["certificate"] = cert["id"]
        one.setdefault("first_issued", int(self.clock.wall()))
