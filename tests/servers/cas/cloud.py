# SPDX-License-Identifier: ISC
"""Services that certificates are bound to: CDN domains (2018-05-10) and ALB listeners (2020-06-16). What they are given takes its time.

A CDN domain is {id, name, online, protected, bound}, bound {type, id, name, region, chain, at} or None. A listener is {id, balancer, port, default, extra, fail}:
default and extra are certificate identifiers, fail the error code of its next job. A job is {id, api, listener, at, until, change, error}."""
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from . import certificates
from .errors import Refusal
from .wire import Action, Param, Time

CDN_VERSION, ALB_VERSION = "2018-05-10", "2020-06-16"
REGIONS = ("cn-hangzhou", "ap-southeast-1")
MOST_EXTRA = 20


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# --- CDN ---

def cdn_domain(service, name):
    domain = service.state.find(service.state["cdn"], name)
    if not domain:
        raise Refusal("InvalidDomain.NotFound", "The domain provided does not exist in our records.", 404)
    return domain


def of_service(service, p):
    """What is bound of a certificate of CAS, in the region that is named."""
    if "CertName" not in p:
        raise Refusal("CertName.MissingParameter", "CertName is mandatory.")
    row = service.state.find(service.state["certificates"], p.get("CertId"))
    if not row or p.get("CertRegion", REGIONS[0]) != service.state.region:
        raise Refusal("SetDomainCertificate.ParameterError", "The certificate does not exist.")
    if row["status"] in ("expired", "revoked"):
        raise Refusal("Certificate.StatusError", "The certificate's status is not good.")
    return {"type": "cas", "id": str(row["id"]), "name": p["CertName"], "region": service.state.region, "chain": row["chain"]}


def of_upload(service, p):
    for name in ("SSLPub", "SSLPri"):
        if name not in p:
            raise Refusal(name + ".MissingParameter", "%s is mandatory." % name)
    try:
        leaf = x509.load_pem_x509_certificate(p["SSLPub"].encode())
    except ValueError:
        raise Refusal("InvalidSSLPub", "The certificate cannot be parsed.") from None
    try:
        key = serialization.load_pem_private_key(p["SSLPri"].encode(), None)
    except (ValueError, TypeError):
        raise Refusal("InvalidSSLPri", "The key cannot be parsed.") from None
    if key.public_key().public_numbers() != leaf.public_key().public_numbers():
        raise Refusal("Certificate.MissMatch", "The key is not the certificate's.")
    return {"type": "upload", "id": "", "name": p.get("CertName", "cdn-upload"), "region": service.state.region, "chain": p["SSLPub"]}


def set_cdn_certificate(service, p):
    domain = cdn_domain(service, p["DomainName"])
    if p["SSLProtocol"] not in ("on", "off"):
        raise Refusal("InvalidSSLProtocol.ValueNotSupport", "SSLProtocol is on or off.")
    if len(p.get("CertName", "")) > 128:
        raise Refusal("InvalidCertName.TooLong", "CertName is longer than 128.")
    if domain["protected"]:
        raise Refusal("DomainInProtectedMode", "The domain is protected.")
    if p["SSLProtocol"] == "off":
        domain["bound"] = None
    else:
        domain["bound"] = (of_service if p.get("CertType", "upload") == "cas" else of_upload)(service, p) | {"at": service.clock.elapsed()}
    return {}


def describe_cdn_certificate(service, p):
    domain = cdn_domain(service, p["DomainName"])
    bound = domain["bound"]
    shown = {"DomainName": domain["name"], "ServerCertificateStatus": "on" if bound else "off", "DomainCnameStatus": "ok" if domain["online"] else "cname_error"}
    if bound:
        leaf = x509.load_pem_x509_certificate(bound["chain"].encode())
        ready = service.clock.elapsed() >= bound["at"] + service.state.time("bind")
        shown |= {"CertName": bound["name"], "CertType": bound["type"], "CertRegion": bound["region"], "ServerCertificate": bound["chain"],
                  "CertDomainName": certificates.common_name(leaf.subject), "CertOrg": certificates.common_name(leaf.issuer),
                  "CertStartTime": stamp(certificates.seconds(leaf.not_valid_before)), "CertExpireTime": stamp(certificates.seconds(leaf.not_valid_after)),
                  "Status": "cname_error" if not domain["online"] else "success" if ready else "checking"} | ({"CertId": bound["id"]} if bound["id"] else {})
    return {"CertInfos": {"CertInfo": [shown]}}


# --- ALB ---

def listener_of(service, listener_id):
    listener = service.state.find(service.state["listeners"], listener_id)
    if not listener:
        raise Refusal("ResourceNotFound.Listener", "The listener does not exist.", 404)
    settle_jobs(service)
    return listener


def running_job(service, listener):
    return next((j for j in service.state["jobs"] if j["listener"] == listener["id"] and j["until"] > service.clock.elapsed()), None)


def settle_jobs(service):
    for job in service.state["jobs"]:
        if job["change"] and service.clock.elapsed() >= job["until"]:
            change, job["change"] = job["change"], None
            listener = service.state.find(service.state["listeners"], job["listener"])
            if listener["fail"]:
                job["error"], listener["fail"] = listener["fail"], None
                continue
            listener["default"] = change.get("default", listener["default"])
            listener["extra"] = [c for c in listener["extra"] if c not in change.get("remove", ())] + change.get("add", [])


def checked_identifiers(service, rows):
    """CertificateId of each, as this site's certificates are called."""
    good = {service.identifier(r) for r in service.state["certificates"] if r["status"] not in ("expired", "revoked")}
    names = [r.get("CertificateId", "") for r in rows]
    for name in names:
        if name not in good:
            raise Refusal("ResourceNotFound.Certificate", "The certificate %s does not exist." % name, 404)
    return names


def begin_job(service, api, listener, change, p):
    """The answer with its JobId; one job at a time."""
    if running_job(service, listener):
        raise Refusal("ResourceInConfiguring.Listener", "The listener is being configured.")
    if p.get("DryRun"):
        raise Refusal("DryRunOperation", "The request would have been taken.")
    now = service.clock.elapsed()
    job = {"id": str(uuid.uuid4()), "api": api, "listener": listener["id"], "at": int(service.clock.wall()), "until": now + service.state.time("bind"),
           "change": change, "error": None}
    service.state["jobs"].append(job)
    return {"JobId": job["id"]}


def again(service, p, listener, api):
    """The same ClientToken asks for the same job."""
    token = p.get("ClientToken")
    if not token:
        return None
    known = service.state["tokens"].get(token)
    return {"JobId": known[2]} if known and known[:2] == [api, listener["id"]] else None


def changed(api):
    def wrap(make):
        def call(service, p):
            listener = listener_of(service, p["ListenerId"])
            answer = again(service, p, listener, api)
            if not answer:
                answer = begin_job(service, api, listener, make(service, listener, p), p)
                if p.get("ClientToken"):
                    service.state["tokens"][p["ClientToken"]] = [api, listener["id"], answer["JobId"]]
            return answer
        return call
    return wrap


@changed("UpdateListenerAttribute")
def update_listener(service, listener, p):
    names = checked_identifiers(service, p.get("Certificates", []))
    if len(names) > 1:
        raise Refusal("InvalidParameter", "A listener has one default certificate.")
    return {"default": names[0]} if names else {"default": listener["default"]}


@changed("AssociateAdditionalCertificatesWithListener")
def associate(service, listener, p):
    names = checked_identifiers(service, p["Certificates"])
    if any(n in listener["extra"] for n in names):
        raise Refusal("ResourceAlreadyAssociated.Certificate", "The certificate is associated already.")
    if listener["default"] in names:
        raise Refusal("OperationDenied.DefaultCertificateUsed", "The certificate is the default one.")
    if len(listener["extra"]) + len(names) > MOST_EXTRA:
        raise Refusal("ResourceQuotaExceeded.LoadBalancerCertificatesNum", "Too many certificates.")
    return {"add": names}


@changed("DissociateAdditionalCertificatesFromListener")
def dissociate(service, listener, p):
    names = [r.get("CertificateId", "") for r in p["Certificates"]]
    if any(n not in listener["extra"] for n in names):
        raise Refusal("ResourceNotFound.Certificate", "The certificate is not associated.", 404)
    return {"remove": names}


def tokened(rows, p, member):
    """By NextToken and MaxResults (20, at most 100)."""
    start, size = p.get("NextToken", "0"), min(p.get("MaxResults", 20), 100)
    if not start.isdigit() or size < 1:
        raise Refusal("InvalidParameter", "NextToken or MaxResults is not good.")
    start = int(start)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return {member: rows[start:start + size], "TotalCount": len(rows), "MaxResults": size} | more


def list_listeners(service, p):
    settle_jobs(service)
    rows = [r for r in service.state["listeners"] if r["id"] in p.get("ListenerIds", [r["id"]]) and r["balancer"] in p.get("LoadBalancerIds", [r["balancer"]])]
    return tokened([{"ListenerId": r["id"], "LoadBalancerId": r["balancer"], "ListenerPort": r["port"], "ListenerProtocol": "HTTPS",
                     "ListenerStatus": "Configuring" if running_job(service, r) else "Running"} for r in rows], p, "Listeners")


def list_listener_certificates(service, p):
    listener = listener_of(service, p["ListenerId"])
    change = (running_job(service, listener) or {}).get("change") or {}
    rows = [{"CertificateId": listener["default"], "CertificateType": "Server", "IsDefault": True, "Status": "Associated"}] if listener["default"] else []
    rows += [{"CertificateId": c, "CertificateType": "Server", "IsDefault": False, "Status": "Diassociating" if c in change.get("remove", ()) else "Associated"}
             for c in listener["extra"]]
    rows += [{"CertificateId": c, "CertificateType": "Server", "IsDefault": False, "Status": "Associating"} for c in change.get("add", ())]
    return tokened(rows, p, "Certificates")


def list_jobs(service, p):
    settle_jobs(service)
    rows = [j for j in service.state["jobs"] if j["id"] in p.get("JobIds", [j["id"]])]
    return tokened([{"Id": j["id"], "ApiName": j["api"], "ResourceId": j["listener"], "ResourceType": "listener", "OperateType": "Update", "CreateTime": Time.of(j["at"]),
                     "Status": "Processing" if j["change"] else "Failed" if j["error"] else "Succeeded"} | ({"ErrorCode": j["error"]} if j["error"] else {})
                    for j in rows], p, "Jobs")


def action(call, *params, writes=False):
    return Action(call, *params, writes=writes, ssl=False, get=True)


LISTENER, CERTIFICATES = Param("ListenerId", required=True), Param("Certificates", "objects", True, members=("CertificateId",))
ONCE = (Param("ClientToken"), Param("DryRun", "bool"))
PAGE = (Param("NextToken"), Param("MaxResults", "int"))

CDN_ACTIONS = {
    "SetCdnDomainSSLCertificate": action(
        set_cdn_certificate, Param("DomainName", required=True), Param("SSLProtocol", required=True), Param("CertType", values=("cas", "upload")),
        Param("CertId", "int"), Param("CertName"), Param("CertRegion", values=REGIONS), Param("SSLPub"), Param("SSLPri"), writes=True),
    "DescribeDomainCertificateInfo": action(describe_cdn_certificate, Param("DomainName", required=True)),
}
ALB_ACTIONS = {
    "UpdateListenerAttribute": action(update_listener, LISTENER, Param("Certificates", "objects", members=("CertificateId",)), *ONCE, writes=True),
    "AssociateAdditionalCertificatesWithListener": action(associate, LISTENER, CERTIFICATES, *ONCE, writes=True),
    "DissociateAdditionalCertificatesFromListener": action(dissociate, LISTENER, CERTIFICATES, *ONCE, writes=True),
    "ListListeners": action(list_listeners, Param("ListenerIds", "texts"), Param("LoadBalancerIds", "texts"), *PAGE),
    "ListListenerCertificates": action(list_listener_certificates, LISTENER, *PAGE),
    "ListAsynJobs": action(list_jobs, Param("JobIds", "texts"), *PAGE),
}
