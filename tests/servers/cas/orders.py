# SPDX-License-Identifier: ISC
"""Generation 1: orders drawn from packages of quota. An order tells one instruction for all of its names, and never why it was refused."""
import json

from . import certificates, pki, wire
from .applications import is_domain
from .errors import Refusal
from .wire import Action, Param, Time, page_of

FREE = "digicert-free-1-free"
MOST_NAMES = 5
REVOKE_DAYS = 30
RENEW_DAYS = 30


def package(service, code):
    one = service.state["packages"].get(code)
    if not one:
        raise Refusal("NotFoundPackage", "No package of this product was bought.")
    return one


def existing(service, number):
    order = service.state.find(service.state["orders"], number)
    if not order:
        raise Refusal("NotFoundOrder", "The order does not exist.")
    return settle(service, order)


def wrong_state():
    return Refusal("OrderStateError", "The order's state does not allow this.")


# --- the machine ---

def settle(service, order):
    """The order, as it is now: domain_verify -> process -> certificate or verify_fail."""
    now, state = service.clock.elapsed(), service.state
    if order["type"] == "domain_verify" and now >= max(order["probe_at"], order["at"] + state.time("list")):
        order["probe_at"] = now + state.time("probe")
        if service.look(order["proof"]):
            order.update(type="process", seen_at=now)
    if order["type"] == "process" and now >= order["seen_at"] + state.time("DV"):
        if order["spent"] or order["verdict"].get("refuse"):
            order["type"] = "verify_fail"
        else:
            chain, _ = service.authority.issue(order["names"], service.public_key_of(order["csr"]), 90)
            row = certificates.record(service, chain, source="BUY", name="cert-%d" % order["id"], key=order["key"], csr=order["csr"], order=order["id"])
            order.update(type="certificate", certificate=row["id"], issued=int(service.clock.wall()))
            package(service, order["product"])["issued"] += 1
    return order


def visible_type(service, order):
    """Some have seen "payed" until the instruction is there. An order whose certificate was deleted is "unknow", spelled so."""
    if order["type"] == "certificate" and not order["certificate"]:
        return "unknow"
    early = order["type"] == "domain_verify" and service.clock.elapsed() < order["at"] + service.state.time("list")
    return "payed" if early and service.state.option("payed_first") else order["type"]


# --- operations ---

def checked_order_names(names, validate):
    if not 0 < len(names) <= MOST_NAMES or len(set(names)) != len(names) or not all(is_domain(n) for n in names):
        raise Refusal("CreateCertificateRequestFailed", "The domains are not good.")
    wild = [n.startswith("*.") for n in names]
    if any(wild) and (not all(wild) or validate == "FILE"):
        raise Refusal("CreateCertificateRequestFailed", "Wildcards do not go with single names, nor with FILE.")


def create(service, p, names):
    """The new order's id; quota is spent."""
    code = p.get("ProductCode", FREE)
    bought = package(service, code)
    if bought["used"] >= bought["total"]:
        raise Refusal("NotRemainCount", "The quota is exhausted.")
    csr, key = p.get("Csr"), ""
    if csr:
        names = [pki.common_name_of(pki.checked_request(csr))]
    validate = p.get("ValidateType", "DNS")
    checked_order_names(names, validate)
    if not csr:
        made = pki.key_for("RSA_2048")
        csr, key = pki.make_request(names[0], made), pki.key_pem(made)
    now = service.clock.elapsed()
    order = {"id": service.state.new_id() + 98987582437920968, "product": code, "names": names, "csr": csr, "key": key, "validate": validate, "at": now, "probe_at": now,
             "type": "domain_verify", "seen_at": None, "certificate": None, "issued": None, "bought": int(service.clock.wall()),
             "proof": service.review.proof_for(names[0], "HTTP" if validate == "FILE" else "DNS"), "spent": service.review.is_spent(csr),
             "verdict": bought["verdicts"].pop(0) if bought["verdicts"] else {}}
    bought["used"] += 1
    service.state["orders"].append(order)
    return {"OrderId": order["id"]}


def create_for_package(service, p):
    if "Domain" not in p and "Csr" not in p:
        raise wire.missing("Domain", service.state["options"])
    if "Email" not in p and not service.state["contacts"]:
        raise Refusal("MissingParameter", "There is no contact to take Username, Phone and Email from.")
    return create(service, p, p.get("Domain", "").split(","))


def create_with_domain(service, p):
    return create(service, p, [p["Domain"]])


def create_with_csr(service, p):
    return create(service, p, [])


def describe_state(service, p):
    order = existing(service, p["OrderId"])
    shown = {"Type": visible_type(service, order)}
    if shown["Type"] == "domain_verify" and service.clock.elapsed() >= order["at"] + service.state.time("list"):
        item = order["proof"]["shown"]
        shown["ValidateType"] = order["validate"]
        if order["validate"] == "FILE":
            shown |= {"Domain": order["proof"]["where"], "Uri": order["proof"]["path"], "Content": item["ValidationValue"]}
        else:
            shown |= {"RecordDomain": item["ValidationKey"], "RecordType": item["ValidationType"], "RecordValue": item["ValidationValue"]}
    elif shown["Type"] == "certificate":
        row = service.state.find(service.state["certificates"], order["certificate"])
        shown |= {"CertId": str(row["id"]), "Certificate": row["chain"]} | ({"PrivateKey": row["key"]} if row["key"] else {})
    return shown


def cancel_order(service, p):
    order = existing(service, p["OrderId"])
    if order["type"] not in ("domain_verify", "process"):
        raise wrong_state()
    order["type"] = "payed"
    return {}


def cancel_for_package(service, p):
    """Revokes; younger ones give their quota back."""
    order = existing(service, p["OrderId"])
    if visible_type(service, order) != "certificate":
        raise wrong_state()
    row = service.state.find(service.state["certificates"], order["certificate"])
    if row["status"] == "revoked":
        raise wrong_state()
    row.update(status="revoked", revoked=int(service.clock.wall()))
    if service.clock.wall() - order["issued"] <= REVOKE_DAYS * 86400:
        package(service, order["product"])["used"] -= 1
    return {}


def delete_order(service, p):
    order = existing(service, p["OrderId"])
    if order["type"] not in ("verify_fail", "payed"):
        raise wrong_state()
    if order["type"] == "payed" and not service.state.option("delete_payed"):
        return {}  # said to be done, and not done
    service.state["orders"].remove(order)
    package(service, order["product"])["used"] -= 1
    return {}


def renew_order(service, p):
    old = existing(service, p["OrderId"])
    row = service.state.find(service.state["certificates"], old["certificate"])
    if not row or row["not_after"] - service.clock.wall() > RENEW_DAYS * 86400:
        raise wrong_state()
    made = create(service, {"ProductCode": old["product"], "ValidateType": old["validate"]} | ({"Csr": p["Csr"]} if "Csr" in p else {}), old["names"])
    if service.state.option("renewed") == "payed":
        service.state["orders"][-1]["type"] = "payed"
    return made


def describe_package(service, p):
    code = p.get("ProductCode", FREE)
    one = package(service, code)
    return {"ProductCode": code, "TotalCount": one["total"], "UsedCount": one["used"], "IssuedCount": one["issued"]}


def package_count(service, p):
    rows = [{"BrandName": code.split("-")[0], "ProductCode": code, "CertType": "DV", "DomainType": "ONE", "ProductId": i + 1, "TotalCount": one["total"],
             "UsedCount": one["used"], "RemainCount": one["total"] - one["used"]} for i, (code, one) in enumerate(service.state["packages"].items())]
    total = sum(r["TotalCount"] for r in rows), sum(r["RemainCount"] for r in rows), sum(r["UsedCount"] for r in rows)
    none = "{TotalCount=0, RemainCount=0, UsedCount=0}"
    return {"ProductCountList": json.dumps(rows), "NoticeCountDetail": none, "ProxyCountDetail": none, "TrusteeCountDetail": none,
            "TotalCountDetail": "{TotalCount=%d, RemainCount=%d, UsedCount=%d}" % total}


LIST_STATUS = {"payed": "PAYED", "domain_verify": "CHECKING", "process": "CHECKING", "verify_fail": "CHECKED_FAIL"}


def listed_status(service, order):
    row = service.state.find(service.state["certificates"], order["certificate"])
    if not row:
        return LIST_STATUS.get(visible_type(service, order), "REVOKED")
    left = row["not_after"] - service.clock.wall()
    return "REVOKED" if row["revoked"] else "EXPIRED" if left <= 0 else "WILLEXPIRED" if left <= RENEW_DAYS * 86400 else "ISSUED"


def listed_order(service, order):
    wild = sum(n.startswith("*.") for n in order["names"])
    kind = ("M_WILDCARD" if wild > 1 else "WILDCARD") if wild else ("ONE" if len(order["names"]) == 1 else "MULTIPLE")
    shown = {"OrderId": order["id"], "Status": listed_status(service, order), "ProductCode": order["product"], "ProductName": order["product"], "RootBrand": "DigiCert",
             "CertType": "DV", "Domain": ",".join(order["names"]), "DomainType": kind, "DomainCount": len(order["names"]), "WildDomainCount": wild,
             "SourceType": "cpack", "BuyDate": Time.of(order["bought"]), "TrusteeStatus": "unTrustee", "Algorithm": "RSA"}
    if order["certificate"]:
        row = service.state.find(service.state["certificates"], order["certificate"])
        shown |= {"CertStartTime": Time.of(row["not_before"]), "CertEndTime": Time.of(row["not_after"])}
    return shown


def listed_certificate(service, row):
    return {"CertificateId": row["id"], "Name": row["name"], "CommonName": row["common_name"], "Sans": ",".join(row["names"]), "Issuer": row["issuer"],
            "SerialNo": row["serial"], "Fingerprint": row["sha1"], "Sha2": row["sha2"], "StartDate": certificates.day_of(row["not_before"]),
            "EndDate": certificates.day_of(row["not_after"]), "Expired": row["not_after"] <= service.clock.wall(), "Upload": row["source"] == "UPLOAD"}


def list_orders(service, p):
    kind = p.get("OrderType", "CPACK")
    if kind in ("CPACK", "BUY"):
        rows = [listed_order(service, settle(service, o)) for o in service.state["orders"]] if kind == "CPACK" else []
        rows = [r for r in rows if p.get("Status", r["Status"]) == r["Status"] and p.get("Keyword", "") in r["Domain"]]
    else:
        rows = [listed_certificate(service, r) for r in certificates.settled(service) if (kind == "CERT" or r["source"] == "UPLOAD") and not r["revoked"]]
        rows = [r for r in rows if r["Expired"] == (p.get("Status") == "EXPIRED") and p.get("Keyword", "") in r["Sans"]]
    rows, page = page_of(rows, p, 50)
    return {"CertificateOrderList": rows} | page


ORDER = Param("OrderId", "int", True)
VALIDATE = ("DNS", "FILE")
PEOPLE = (Param("Username", required=True), Param("Phone", required=True), Param("Email", required=True), Param("ValidateType", required=True, values=VALIDATE),
          Param("ProductCode"), Param("Tags", "objects", members=("Key", "Value")))


def action(call, *params, writes=False):
    return Action(call, *params, writes=writes, ssl=False, get=True)


ACTIONS = {
    "DescribePackageState": action(describe_package, Param("ProductCode")),
    "GetCertificatePackageCount": action(package_count),
    "CreateCertificateForPackageRequest": action(
        create_for_package, Param("ProductCode"), Param("Domain"), Param("Csr"), Param("ValidateType", values=VALIDATE), Param("Username"), Param("Phone"),
        Param("Email"), Param("CompanyName"), Param("Tags", "objects", members=("Key", "Value")), writes=True),
    "CreateCertificateRequest": action(create_with_domain, Param("Domain", required=True), *PEOPLE, writes=True),
    "CreateCertificateWithCsrRequest": action(create_with_csr, Param("Csr", required=True), *PEOPLE, writes=True),
    "DescribeCertificateState": action(describe_state, ORDER),
    "CancelOrderRequest": action(cancel_order, ORDER, writes=True),
    "CancelCertificateForPackageRequest": action(cancel_for_package, ORDER, writes=True),
    "DeleteCertificateRequest": action(delete_order, ORDER, writes=True),
    "RenewCertificateOrderForPackageRequest": action(renew_order, ORDER, Param("Csr"), Param("Tags", "objects", members=("Key", "Value")), writes=True),
    "ListUserCertificateOrder": action(
        list_orders, Param("OrderType", values=("CPACK", "BUY", "UPLOAD", "CERT")),
        Param("Status", values=("PAYED", "CHECKING", "CHECKED_FAIL", "ISSUED", "WILLEXPIRED", "EXPIRED", "NOTACTIVATED", "REVOKED")), Param("Keyword"),
        Param("CurrentPage", "int"), Param("ShowSize", "int"), Param("ResourceGroupId")),
}
