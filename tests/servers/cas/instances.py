# SPDX-License-Identifier: ISC
"""Generation 2, what is read: instances as lists and details show them. A member is there only when it belongs to the state."""
from .errors import Refusal
from .wire import Action, Param, Time, page_of

STATUSES = ("inactive", "pending", "normal", "willExpire", "expired", "refund", "closed")
CERTIFICATE_STATUSES = ("issued", "revoked", "willExpire", "expired")
INSTANCE_ID = Param("InstanceId", required=True)
PAGE = (Param("CurrentPage", "int"), Param("ShowSize", "int"))
TASK_WORDS = {"model": ("success", "processing", "failed"), "skill": ("COMPLETED", "PENDING", "FAILED")}


def existing(service, instance_id):
    one = service.state.find(service.state["instances"], instance_id)
    if not one:
        raise Refusal("NotFound", "The instance does not exist.")
    return service.review.settle(one)


def without_none(document):
    return {k: v for k, v in document.items() if v is not None}


def common(service, one):
    """Of lists and details both."""
    cert = service.certificate_of(one)
    document = {
        "InstanceId": one["id"], "InstanceType": one["type"], "CertificateType": one["certificate_type"], "Brand": one["brand"], "Spec": one["spec"],
        "Status": one["status"], "FullDomainCount": one["full"], "WildcardDomainCount": one["wildcard"], "KeyAlgorithm": one["key_algorithm"],
        "AutoReissue": one["auto_reissue"], "ResourceGroupId": one["resource_group"], "Domain": one.get("domain"), "CertificateName": one.get("certificate_name"),
        "PendingResult": one["pending_result"], "OrderStartTime": Time.of(service.began + one["bought"]),
        "OrderEndTime": Time.of(service.began + one["bought"] + 365 * 86400),
    }
    if cert:
        document |= {"CertificateStatus": cert["status"], "CertificateId": cert["id"], "CertIdentifier": service.identifier(cert),
                     "CertificateNotBefore": Time.of(cert["not_before"]), "CertificateNotAfter": Time.of(cert["not_after"]),
                     "CertificateRevokeTime": Time.of(cert["revoked"]) if cert["revoked"] else None,
                     "InstanceStartTime": Time.of(one["first_issued"]), "InstanceEndTime": Time.of(one["first_issued"] + 365 * 86400)}
    return without_none(document)


def in_list(service, one):
    cert = service.certificate_of(one)
    return common(service, one) | ({"CertificateDomain": ",".join(cert["names"]), "UsingProductList": []} if cert else {})


def in_detail(service, one):
    document = common(service, one) | {
        "UpgradeStatus": one["upgrade"], "GenerateCsrMethod": one.get("csr_method"), "Csr": one.get("csr"), "ValidationMethod": one.get("validation"),
        "ContactIdList": list(reversed(one["contacts"])) or None, "CountryCode": one.get("country"), "Province": one.get("province"), "City": one.get("city"),
        "Tags": [dict(t) for t in one["tags"]] or None, "CompanyId": one.get("company") if one["submitted"] else None,
    }
    if one["status"] == "pending":
        document["AverageWaitingTime"] = "%d" % service.state.time(one["certificate_type"])
        document["DomainValidationList"] = service.review.proofs_shown(one)
    return without_none(document)


def list_instances(service, p):
    rows = [service.review.settle(one) for one in service.state["instances"]]
    for name, member in (("Status", "status"), ("InstanceType", "type"), ("CertificateType", "certificate_type"), ("Brand", "brand"),
                         ("ResourceGroupId", "resource_group")):
        rows = [r for r in rows if p.get(name, r[member]) == r[member]]
    if "CertificateStatus" in p:
        rows = [r for r in rows if (service.certificate_of(r) or {}).get("status") == p["CertificateStatus"]]
    if "Keyword" in p:
        rows = [r for r in rows if p["Keyword"] in " ".join((r["id"], r.get("domain") or "", r.get("certificate_name") or ""))]
    rows, page = page_of(rows, p)
    return {"InstanceList": [in_list(service, r) for r in rows]} | page


def get_instance_detail(service, p):
    return in_detail(service, existing(service, p["InstanceId"]))


def get_instance_summary(service, p):
    rows = [service.review.settle(one) for one in service.state["instances"]]
    rows = [r for r in rows if r["status"] not in ("refund", "closed") and p.get("InstanceType", r["type"]) == r["type"]]
    unused = [r for r in rows if r["status"] == "inactive"]
    return {"CertificateCount": len(unused), "InactiveCount": len(unused), "TotalCount": len(rows),
            "WillExpireCount": len([r for r in rows if r["status"] == "willExpire"]), "AutoReissueCount": len([r for r in rows if r["auto_reissue"] == "enable"])}


def get_task_attribute(service, p):
    one = existing(service, p["TaskId"])
    if not one["submitted"]:
        raise Refusal("NotFound", "The task does not exist.")
    words = TASK_WORDS[service.state.option("task_words")]
    outcome, message = service.review.task_of(one)
    return without_none({"TaskStatus": words[("success", "processing", "failed").index(outcome)], "TaskMessage": message})


ACTIONS = {
    "ListInstances": Action(list_instances, Param("Status", values=STATUSES), Param("CertificateStatus", values=CERTIFICATE_STATUSES),
                            Param("InstanceType", values=("BUY", "TEST")), Param("CertificateType", values=("DV", "OV", "EV")), Param("Brand"), Param("Keyword"),
                            Param("ResourceGroupId"), *PAGE),
    "GetInstanceDetail": Action(get_instance_detail, INSTANCE_ID),
    "GetInstanceSummary": Action(get_instance_summary, Param("InstanceType", values=("BUY", "TEST"))),
    "GetTaskAttribute": Action(get_task_attribute, Param("TaskId", required=True), Param("TaskType")),
}
