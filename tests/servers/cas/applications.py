# SPDX-License-Identifier: ISC
"""Generation 2, what changes an instance: the request is filled in, applied for, withdrawn, revoked, refunded, deleted."""
import json
import re

from cryptography.hazmat.primitives.asymmetric import rsa

from . import people, pki, wire
from .errors import Refusal
from .instances import INSTANCE_ID, existing
from .wire import Action, Param

MOST_CONTACTS, MOST_TAGS = 50, 20
REFUND_DAYS = 7
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
DEFAULT_PLACE = {"country": "CN", "province": "Beijing", "city": "Beijing"}


def not_supported(message="The operation is not supported in the current status."):
    return Refusal("OperationDenied.StatusNotSupport", message)


def may_be_written(service, one):
    if one["status"] not in ("inactive", "normal") or (one.get("certificate") and not service.state.option("reissue")):
        raise not_supported()
    if service.clock.elapsed() < one["protected_until"]:
        raise Refusal("InvalidStatus.UpdateProtection", "The instance is protected from updates for a while.")


def is_domain(name):
    labels = (name[2:] if name.startswith("*.") else name).split(".")
    return len(labels) >= 2 and len(name) <= 253 and all(LABEL.fullmatch(x) for x in labels)


def checked_names(service, one, text):
    """Names, and that the product covers them."""
    names = text.split(",")
    if len(set(n.lower() for n in names)) != len(names):
        raise Refusal("DomainRepeat", "A domain comes twice.")
    for name in names:
        if not is_domain(name) or any(word in name for word in service.state.option("sensitive")):
            raise wire.invalid("Domain", "%s cannot be certified" % name, service.state["options"])
    wildcards = sum(n.startswith("*.") for n in names)
    if wildcards > one["wildcard"] or len(names) - wildcards > one["full"] or (one["type"] == "TEST" and (len(names) > 1 or wildcards)):
        raise Refusal("DomainAndProductNotMatch", "The domains are not covered by the product.")


def checked_tags(tags):
    if len(tags) > MOST_TAGS:
        raise Refusal("InvalidParameter", "More than %d tags." % MOST_TAGS)
    for tag in tags:
        key, value = tag.get("TagKey", ""), tag.get("TagValue", "")
        if not 0 < len(key) <= 64 or len(value) > 128 or any(t.startswith(("aliyun", "acs:")) or "http://" in t or "https://" in t for t in (key, value)):
            raise Refusal("InvalidParameter", "A tag is not good.")
    if len({t["TagKey"] for t in tags}) != len(tags):
        raise Refusal("ParamRepeat", "A tag comes twice.")
    return tags


def checked_csr(service, one):
    """An uploaded request: it names the domain, and says the algorithm."""
    if not one.get("csr"):
        raise wire.missing("Csr", service.state["options"])
    csr = pki.checked_request(one["csr"])
    name, key = pki.common_name_of(csr), csr.public_key()
    if not one.get("domain"):
        checked_names(service, one, name)
        one["domain"] = name
    if name not in one["domain"].split(","):
        raise Refusal("InvalidParameter", "The CN of the CSR is not among the domains.")
    one["key_algorithm"] = "RSA_%d" % key.key_size if isinstance(key, rsa.RSAPublicKey) else "ECC_%d" % key.key_size


FIELDS = (("Domain", "domain"), ("ValidationMethod", "validation"), ("GenerateCsrMethod", "csr_method"), ("Csr", "csr"), ("KeyAlgorithm", "key_algorithm"),
          ("ContactIdList", "contacts"), ("CompanyId", "company"), ("CountryCode", "country"), ("Province", "province"), ("City", "city"),
          ("CertificateName", "certificate_name"), ("AutoReissue", "auto_reissue"), ("ResourceGroupId", "resource_group"), ("Tags", "tags"))


def updated(service, one, p):
    """A copy with the fields that were given, checked; others stay as they are."""
    new = json.loads(json.dumps(one))
    new.setdefault("csr_method", "online")
    new.setdefault("validation", "DNS")
    new.update({ours: p[name] for name, ours in FIELDS if name in p})
    if "Domain" in p:
        checked_names(service, one, p["Domain"])
    elif "Csr" in p:
        new["domain"] = None
    if len(new["contacts"]) > MOST_CONTACTS or len(set(new["contacts"])) != len(new["contacts"]):
        raise Refusal("InvalidParameter", "ContactIdList is too long or names a contact twice.")
    for number in p.get("ContactIdList", ()):
        people.existing(service.state["contacts"], number, "contact")
    checked_tags(p.get("Tags", []))
    if new.get("company"):
        company = people.existing(service.state["companies"], new["company"], "company")
        new |= {"country": company["country"], "province": company["province"], "city": company["city"]}
    if new["csr_method"] == "upload":
        checked_csr(service, new)
    else:
        new = DEFAULT_PLACE | new | {"csr": None}
    if new["validation"] == "HTTP" and any(n.startswith("*.") for n in (new.get("domain") or "").split(",")):
        raise wire.invalid("ValidationMethod", "a wildcard cannot be proven by file", service.state["options"])
    return new


def lacks(one):
    """What an application still needs; None: it is complete."""
    if not one.get("domain"):
        return "Domain"
    if not one["contacts"]:
        return "ContactIdList"
    return "CompanyId" if one["certificate_type"] != "DV" and not one.get("company") else None


def submit(service, one):
    if one["csr_method"] == "online":
        key = pki.key_for(one["key_algorithm"])
        one["key"] = pki.key_pem(key)
        one["csr"] = pki.make_request(one["domain"].split(",")[0], key)
    service.review.begin(one, one["csr"])


def update_instance(service, p):
    one = existing(service, p["InstanceId"])
    may_be_written(service, one)
    one.update(updated(service, one, p))
    one["protected_until"] = service.clock.elapsed() + service.state.time("protect")
    if service.state.option("auto_submit") and one["type"] == "BUY" and one["certificate_type"] == "DV" and not lacks(one):
        submit(service, one)
    return {}


def apply_certificate(service, p):
    one = existing(service, p["InstanceId"])
    if one["status"] not in ("inactive", "normal") or (one.get("certificate") and not service.state.option("reissue")):
        raise not_supported()
    if lacks(one):
        raise wire.missing(lacks(one), service.state["options"])
    for number in one["contacts"]:
        people.existing(service.state["contacts"], number, "contact")
    submit(service, one)
    return {}


def cancel_pending_certificate(service, p):
    service.review.withdraw(existing(service, p["InstanceId"]))
    return {}


def revoke_certificate(service, p):
    one = existing(service, p["InstanceId"])
    cert = service.certificate_of(one)
    if not cert or cert["status"] not in ("issued", "willExpire") or one["status"] == "pending":
        raise not_supported()
    if p.get("CertificateId", cert["id"]) != cert["id"]:
        raise Refusal("NotFound", "The certificate is not the instance's.")
    cert.update(status="revoked", revoked=int(service.clock.wall()))
    return {}


def refund_instance(service, p):
    one, now = existing(service, p["InstanceId"]), service.clock.elapsed()
    if one["status"] != "inactive" or now < one["bought"] + service.state.time("refundable"):
        raise Refusal("CouldNotRefund.NotSupport", "The instance cannot be refunded.")
    if now > one["bought"] + REFUND_DAYS * 86400:
        raise Refusal("CouldNotRefund.OverTime", "The time to refund the instance is over.")
    one.update(status="refund", refunded=now)
    return {}


def delete_instance(service, p):
    one = existing(service, p["InstanceId"])
    if one["status"] != "closed":
        raise Refusal("InvalidStatus.DeleteProtection", "The instance cannot be deleted in its status.")
    service.state["instances"].remove(one)
    return {}


ACTIONS = {
    "UpdateInstance": Action(
        update_instance, INSTANCE_ID, Param("Domain"), Param("ValidationMethod", values=("DNS", "HTTP")), Param("GenerateCsrMethod", values=("online", "upload")),
        Param("Csr", most=16384), Param("KeyAlgorithm", values=("RSA_2048", "RSA_3072", "RSA_4096", "ECC_256", "SM2")), Param("ContactIdList", "ints"),
        Param("CompanyId", "int"), Param("CountryCode"), Param("Province"), Param("City"), Param("CertificateName"), Param("AutoReissue", values=("enable", "disable")),
        Param("ResourceGroupId"), Param("Tags", "objects", members=("TagKey", "TagValue")), writes=True),
    "ApplyCertificate": Action(apply_certificate, INSTANCE_ID, writes=True),
    "CancelPendingCertificate": Action(cancel_pending_certificate, INSTANCE_ID, writes=True),
    "RevokeCertificate": Action(revoke_certificate, INSTANCE_ID, Param("CertificateId", "int"), writes=True),
    "RefundInstance": Action(refund_instance, INSTANCE_ID, writes=True),
    "DeleteInstance": Action(delete_instance, INSTANCE_ID, writes=True),
}
