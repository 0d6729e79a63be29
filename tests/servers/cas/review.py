# SPDX-License-Identifier: ISC
"""The state machine of an instance. Nothing happens by itself: settle() brings an instance up to the present whenever somebody looks at it.

An application is {at, csr, spent, verdict, proofs, seen_at, probe_at, refused, withdraw_at, person}; times are clock.elapsed()."""
import secrets
import time

from .errors import Refusal

SPENT_REQUEST = "CSR已在其他订单中使用，请重新生成CSR后提交"


class Review:
    def __init__(self, service):
        self.service, self.state, self.clock = service, service.state, service.clock

    # --- what operations ask ---

    def begin(self, one, csr):
        """The application exists from now on."""
        now, verdict = self.clock.elapsed(), one["verdicts"].pop(0) if one["verdicts"] else {}
        one.update(status="pending", pending_result="", submitted=True)
        one["task_failed"] = None
        one["application"] = {
            "at": now, "csr": csr, "spent": self.is_spent(csr), "verdict": verdict, "seen_at": None, "probe_at": now + self.state.time("list"), "refused": False,
            "proofs": [self.proof_for(name, one["validation"]) for name in one["domain"].split(",")], "withdraw_at": None,
            "person": one["certificate_type"] in self.state.option("person")}

    def withdraw(self, one):
        now, app = self.clock.elapsed(), one["application"]
        if not app or app["withdraw_at"] is not None or now < app["at"] + self.state.time("unsupported"):
            raise Refusal("OperationDenied.StatusNotSupport", "The operation is not supported in the current status.")
        app["withdraw_at"] = now + self.state.time("withdraw")

    def proofs_shown(self, one):
        """DomainValidationList of a pending instance; None: no such member."""
        app, now = one["application"], self.clock.elapsed()
        if not app or now < app["at"] + self.state.time("list"):
            return [] if self.state.option("empty_list") == "empty" else None
        shown = [p["shown"] for p in app["proofs"]]
        late = now < app["at"] + self.state.time("list") + self.state.time("list_rest") and len(shown) > 1
        return shown[:-1] if late else shown

    def task_of(self, one):
        """(outcome, message) of ApplyCertificate."""
        app = one["application"]
        if app and self.clock.elapsed() < app["at"] + self.state.time("task"):
            return "processing", None
        failed = one.get("task_failed")
        return ("failed", failed) if failed else ("success", None)

    # --- proofs ---

    def root_of(self, name):
        roots = [r for r in self.state.option("roots") if name == r or name.endswith("." + r)]
        return max(roots, key=len) if roots else ".".join(name.split(".")[-2:])

    def proof_for(self, name, validation):
        """{shown: the item of DomainValidationList, where: the name or URL parts that are looked at, seen}."""
        base = name[2:] if name.startswith("*.") else name
        root, token = self.root_of(base), time.strftime("%Y%m%d0000", time.gmtime(self.clock.wall())) + secrets.token_hex(26)
        item = {"Domain": name, "RootDomain": root, "ValidationValue": token}
        if validation == "HTTP":
            path = "/.well-known/pki-validation/fileauth.txt"
            item["ValidationType"] = self.state.option("http_type")
            if self.state.option("http_path") == "key":
                item["ValidationKey"] = path
            host = base[4:] if base.startswith("www.") and self.state.option("http_host") == "apex" else base
            return {"shown": item, "kind": "HTTP", "where": host, "path": path, "seen": False}
        label = "_dnsauth" if base == root or self.state.option("record_form") == "bare" else "_dnsauth." + base[:-len(root) - 1]
        where = label + "." + (base if self.state.option("record_form") == "bare" and self.state.option("bare_at") == "name" else root)
        kind = self.state.option("record_type")
        item |= {"ValidationType": kind, "ValidationKey": where if self.state.option("record_form") == "absolute" else label}
        if kind == "CNAME":
            item["ValidationValue"] = token[:32] + "." + token[32:] + ".dcv.example"
        if self.state.option("delegation"):
            item |= {"Cname": "%s.delegated.example" % base.replace(".", "-"), "CnameKey": item["ValidationKey"]}
        return {"shown": item, "kind": kind, "where": where, "root": root, "seen": False}

    def probe(self, one, now):
        app = one["application"]
        for proof in app["proofs"]:
            auto = any(proof.get("root", "") == z or proof.get("root", "").endswith("." + z) for z in self.state.option("auto_zones"))
            if not proof["seen"]:
                proof["seen"] = now >= app["at"] + self.state.time("auto") if auto else self.service.look(proof)
        app["probe_at"] = now + self.state.time("probe")
        if all(p["seen"] for p in app["proofs"]):
            app["seen_at"] = now

    # --- the machine ---

    def settle(self, one):
        """The instance, as it is now."""
        app, now = one["application"], self.clock.elapsed()
        if app and app["withdraw_at"] is not None:
            if now >= app["withdraw_at"]:
                self.end(one, self.state.option("after_withdrawal") or self.rest_of(one))
                one["pending_result"] = None
        elif app and not app["refused"]:
            self.go_on(one, app, now)
        elif one["status"] == "refund" and now >= one["refunded"] + self.state.time("refund"):
            one["status"] = "closed"
        self.grow_old(one)
        return one

    def go_on(self, one, app, now):
        if "task_failed" in app["verdict"]:
            if now >= app["at"] + self.state.time("task"):
                one["task_failed"] = app["verdict"]["task_failed"]
                self.end(one, self.rest_of(one))
            return
        if app["seen_at"] is None and now >= app["probe_at"]:
            self.probe(one, now)
        if app["seen_at"] is None or app["person"] or now < app["seen_at"] + self.state.time(one["certificate_type"]):
            return
        if app["spent"]:
            self.refuse(one, SPENT_REQUEST)
        elif "refuse" in app["verdict"]:
            self.refuse(one, app["verdict"]["refuse"])
        else:
            self.service.issue(one, app["csr"])
            self.end(one, "normal")
            one["pending_result"] = None

    def refuse(self, one, text):
        """The CA's last word; whether the instance stays pending is not documented."""
        one["pending_result"] = text
        if self.state.option("after_refusal") == "pending":
            one["application"]["refused"] = True
        else:
            self.end(one, self.state.option("after_refusal"))

    def end(self, one, status):
        one.update(status=status, application=None, protected_until=self.clock.elapsed() + self.state.time("protect"))

    def is_spent(self, csr):
        """A key serves one order only; from here on this one is spent."""
        digest, spent = self.service.request_digest(csr), self.state["spent_requests"]
        if digest in spent:
            return True
        spent.append(digest)
        return False

    @staticmethod
    def rest_of(one):
        return "normal" if one.get("certificate") else "inactive"

    def grow_old(self, one):
        cert = self.service.certificate_of(one)
        if cert and cert["status"] in ("issued", "willExpire"):
            left = cert["not_after"] - self.clock.wall()
            cert["status"] = "expired" if left <= 0 else "willExpire" if left <= 30 * 86400 else "issued"
            if one["status"] in ("normal", "willExpire"):
                one["status"] = cert["status"] if left <= 30 * 86400 else "normal"
