# SPDX-License-Identifier: ISC
"""What the account has: plain dicts and lists, so that they fit into a file and a test may write them. Names of members are ours; those on the wire are made in
the modules of the operations."""
import json
import os

REGION = {"china": "cn-hangzhou", "international": "ap-southeast-1"}

# How it behaves where the facts leave it free or contradict each other; the first value of a comment is the default.
OPTIONS = {
    "need_ssl": True,              # HTTPS-only calls are refused in plain HTTP; False: tests without TLS
    "hosts": None,                 # the Host headers that are served; None: any; others get InvalidProduct.NotFound
    "named_codes": True,           # MissingInstanceId, InvalidStatus ...; False: MissingParameter, InvalidParameter
    "other_statuses": False,       # the second side of errors.OTHER_STATUS
    "time_unit": "ms",             # "s"
    "empty_list": "absent",        # "empty": DomainValidationList is [] until it is filled
    "record_form": "relative",     # "bare" (_dnsauth alone), "absolute": what ValidationKey is
    "bare_at": "root",             # "name": below which a bare _dnsauth is looked for
    "rate": None,                  # calls a second of each operation, by the real clock; above: Throttling.User
    "record_type": "TXT",          # "CNAME"
    "http_type": "HTTP",           # "FILE": ValidationType of file proofs
    "http_path": "none",           # "key": ValidationKey is the file's path
    "http_host": "own",            # "apex": the file of www.X is fetched from X
    "delegation": False,           # Cname and CnameKey are given, and a CNAME there proves for ever
    "roots": [],                   # zones that are RootDomain of what is below them; else the last two labels
    "auto_zones": [],              # zones in the same account: proven without a look
    "auto_proof": False,           # the CA puts its proofs into zones of alidns.py
    "auto_submit": False,          # UpdateInstance with complete data of a paid DV instance submits it
    "after_withdrawal": None,      # the status then; None: inactive, or normal where a certificate was issued
    "after_refusal": "pending",    # "inactive", "normal"
    "task_words": "model",         # success, processing, failed; "skill": COMPLETED, PENDING, FAILED
    "reissue": False,              # an instance that has issued may apply again
    "sensitive": [],               # words that no name may hold
    "pem_spaces": False,           # newlines of PEM texts have become spaces
    "person": [],                  # types (OV, EV) whose review ends only when the test says that the CA has met its people
    "payed_first": False,          # generation 1: Type is payed until the instruction is there
    "delete_payed": True,          # False: deleting a payed order is answered well and does nothing
    "renewed": "payed",            # "domain_verify": what a renewal makes
    "wrong_csr": False,            # what is issued is for another key
}
# Seconds of clock.elapsed().
TIMES = {
    "list": 3,                     # from Apply to the proofs
    "list_rest": 0,                # and to the last of them
    "task": 2, "unsupported": 5,   # from Apply: the task is done; CancelPendingCertificate is not refused any more
    "protect": 0,                  # after an update or a withdrawal another update is refused
    "dns_pause": 0,                # between two writes to a zone of alidns.py
    "probe": 10,                   # between the CA's looks
    "DV": 60, "OV": 3 * 86400, "EV": 5 * 86400,   # from the proof to the verdict
    "bind": 30,                    # until a CDN domain or a listener has what it was given
    "withdraw": 120, "refund": 30, "refundable": 6, "auto": 60,
}


def new_data(site="china"):
    return {"site": site, "options": dict(OPTIONS), "times": dict(TIMES), "elapsed": 0.0, "next_id": 18541349, "keys": {}, "instances": [], "contacts": [],
            "companies": [], "certificates": [], "csrs": [], "packages": {}, "orders": [], "zones": [], "cdn": [],
            "listeners": [], "jobs": [], "tokens": {}, "spent_requests": []}


INSTANCE = {"type": "BUY", "certificate_type": "DV", "brand": "WoSign", "spec": "ws.dv.f", "status": "inactive", "full": 1, "wildcard": 0, "key_algorithm": "RSA_2048",
            "contacts": [], "tags": [], "auto_reissue": "disable", "upgrade": "none", "resource_group": "rg-0001", "verdicts": [], "pending_result": None,
            "application": None, "submitted": False, "protected_until": 0.0}


class State:
    """data is read from a file and written back after each change, when there is one. What a row of it leaves out is as add_... makes it."""

    def __init__(self, data=None, path=None):
        self.path = path
        self.data = new_data()
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                data = json.load(f)
        for name, value in (data or {}).items():
            if name not in self.data:
                raise ValueError("state has no member " + name)
            if name in ("options", "times"):
                self.set(name, value)
            else:
                self.data[name] = value
        for table, add in (("instances", self.add_instance), ("contacts", self.add_contact), ("companies", self.add_company)):
            given, self.data[table] = self.data[table], []
            for one in given:
                add(**one)
        for key_id, one in list(self.data["keys"].items()):
            self.add_key(key_id, **one)

    def __getitem__(self, name):
        return self.data[name]

    def option(self, name):
        return self.data["options"][name]

    def time(self, name):
        return self.data["times"][name]

    def set(self, table, values):
        unknown = set(values) - set(self.data[table])
        if unknown:
            raise ValueError("no such %s: %s" % (table, ", ".join(sorted(unknown))))
        self.data[table].update(values)

    def save(self):
        if self.path:
            with open(self.path + ".new", "w", encoding="utf-8") as f:
                json.dump(self.data, f, ensure_ascii=False, indent=1)
            os.replace(self.path + ".new", self.path)

    def new_id(self):
        self.data["next_id"] += 1
        return self.data["next_id"]

    @property
    def region(self):
        return REGION[self.data["site"]]

    # --- what a test puts there ---

    def add_key(self, key_id, secret, **more):
        """more: active, token, expires (wall seconds), actions (the policy; None: all), restriction (a Code)."""
        self.data["keys"][key_id] = {"secret": secret, "active": True, "token": None, "expires": None, "actions": None, "restriction": None} | more

    def add_instance(self, **fields):
        kind = fields.get("certificate_type", "DV").lower()
        number = len(self.data["instances"]) + 1
        one = {k: list(v) if isinstance(v, list) else v for k, v in INSTANCE.items()}
        one |= {"id": "cas_%s-%s-%04d" % (kind, "cn" if self.data["site"] == "china" else "intl", number), "bought": self.data["elapsed"]} | fields
        self.data["instances"].append(one)
        return one

    def add_contact(self, **fields):
        one = {"id": self.new_id(), "name": "Tom", "mobile": "13900008888", "email": "tom@example.com", "idcard": "", "webhooks": "[]",
               "email_status": 1, "mobile_status": 1} | fields
        self.data["contacts"].append(one)
        return one

    def add_company(self, **fields):
        one = {"id": self.new_id(), "name": "Example Ltd", "type": 1, "code": "91110000", "phone": "01000000000", "address": "1 Main Street", "city": "Hangzhou",
               "province": "Zhejiang", "country": "CN", "post": "310000", "lang": "zh", "department": "IT", "email": "office@example.com"} | fields
        self.data["companies"].append(one)
        return one

    def add_package(self, code="digicert-free-1-free", total=20):
        self.data["packages"][code] = {"total": total, "used": 0, "issued": 0, "verdicts": []}
        return self.data["packages"][code]

    def add_zone(self, name, edition="mianfei"):
        one = {"name": name, "edition": edition, "records": [], "written": -1e9}
        self.data["zones"].append(one)
        return one

    def add_cdn(self, name, **more):
        one = {"id": name, "name": name, "online": True, "protected": False, "bound": None} | more
        self.data["cdn"].append(one)
        return one

    def add_listener(self, **more):
        one = {"id": "lsn-%04d" % len(self.data["listeners"]), "balancer": "alb-0001", "port": 443, "default": None, "extra": [], "fail": None} | more
        self.data["listeners"].append(one)
        return one

    @staticmethod
    def find(rows, value, member="id"):
        return next((r for r in rows if r[member] == value), None)
