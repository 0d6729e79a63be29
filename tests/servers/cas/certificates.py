# SPDX-License-Identifier: ISC
"""Certificates that were issued or uploaded: lists, details, PEM texts."""
import calendar
import re
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from .errors import Refusal
from .wire import Action, Param, Time, page_of

PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.S)


def seconds(moment):
    return calendar.timegm(moment.timetuple())


def common_name(name):
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return found[0].value if found else ""


def record(service, chain, **more):
    """A row for a chain, leaf first."""
    leaf = x509.load_pem_x509_certificate(chain.encode())
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = [common_name(leaf.subject)]
    public = leaf.public_key()
    row = {"id": service.state.new_id(), "chain": chain, "names": names, "common_name": common_name(leaf.subject), "issuer": common_name(leaf.issuer),
           "serial": "%x" % leaf.serial_number, "sha1": leaf.fingerprint(hashes.SHA1()).hex(), "sha2": leaf.fingerprint(hashes.SHA256()).hex(),
           "not_before": seconds(leaf.not_valid_before), "not_after": seconds(leaf.not_valid_after), "revoked": None, "status": "issued",
           "algorithm": "RSA" if isinstance(public, rsa.RSAPublicKey) else "ECC", "size": public.key_size,
           "instance": None, "order": None, "csr": None, "key": "", "tags": []} | more
    service.state["certificates"].append(row)
    return row


def existing(service, number):
    row = service.state.find(service.state["certificates"], number)
    if not row:
        raise Refusal("NotFound", "The certificate does not exist.")
    return row


def in_list(service, row):
    shown = {"CertificateId": str(row["id"]), "CertIdentifier": service.identifier(row), "CertificateName": row["name"], "CertificateSource": row["source"],
             "CertificateStatus": row["status"], "CommonName": row["common_name"], "Domain": ",".join(row["names"]), "SubjectAlternativeNames": row["names"],
             "Algorithm": row["algorithm"], "KeySize": row["size"], "ExistPrivateKey": bool(row["key"]), "FingerPrint": row["sha1"], "Issuer": row["issuer"],
             "Serial": row["serial"], "NotBefore": Time.of(row["not_before"]), "NotAfter": Time.of(row["not_after"]), "UsingProductList": []}
    return shown | ({"InstanceId": row["instance"]} if row["instance"] else {})


def settled(service):
    for one in service.state["instances"]:
        service.review.settle(one)
    return service.state["certificates"]


def list_certificates(service, p):
    rows = settled(service)
    for name, member in (("InstanceId", "instance"), ("CertificateSource", "source"), ("CertificateStatus", "status")):
        rows = [r for r in rows if p.get(name, r[member]) == r[member]]
    if "Keyword" in p:
        rows = [r for r in rows if p["Keyword"] in " ".join([r["name"]] + r["names"])]
    rows, page = page_of(rows, p)
    return {"CertificateList": [in_list(service, r) for r in rows]} | page


def get_certificate_detail(service, p):
    row = existing(service, p["CertificateId"])
    chain = [x509.load_pem_x509_certificate(t.encode()) for t in PEM.findall(row["chain"])]
    links = [{"Subject": common_name(c.subject), "Issuer": common_name(c.issuer), **{k: v for k, v in link(service, c).items() if "Name" not in k}}
             for c in chain]
    return in_list(service, row) | {"CertificateId": row["id"], "CertificateChainList": links} | ({"Csr": row["csr"]} if row["csr"] else {})


def link(service, cert):
    end = seconds(cert.not_valid_after)
    return {"CommonName": common_name(cert.subject), "IssuerCommonName": common_name(cert.issuer), "NotBefore": Time.of(seconds(cert.not_valid_before)),
            "NotAfter": Time.of(end), "RemainDay": max(0, int((end - service.clock.wall()) // 86400))}


def day_of(when):
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def get_user_certificate_detail(service, p):
    row = existing(service, p["CertId"])
    chain = [x509.load_pem_x509_certificate(t.encode()) for t in PEM.findall(row["chain"])]
    shown = {"Id": row["id"], "CertIdentifier": service.identifier(row), "Name": row["name"], "Common": row["common_name"], "Sans": ",".join(row["names"]),
             "Issuer": row["issuer"], "SerialNo": row["serial"], "Fingerprint": row["sha1"], "Sha2": row["sha2"], "CertSha2": row["sha2"],
             "StartDate": day_of(row["not_before"]), "EndDate": day_of(row["not_after"]), "NotBefore": Time.of(row["not_before"]),
             "NotAfter": Time.of(row["not_after"]), "Algorithm": row["algorithm"], "BuyInAliyun": row["source"] != "UPLOAD",
             "Expired": row["not_after"] <= service.clock.wall(), "CertChain": [link(service, c) for c in chain], "Tags": row["tags"]}
    if row["instance"]:
        shown["InstanceId"] = row["instance"]
    if row["order"]:
        shown["OrderId"] = row["order"]
    if not p.get("CertFilter", False):
        spoil = (lambda t: t.replace("\n", " ")) if service.state.option("pem_spaces") else (lambda t: t)
        shown |= {"Cert": spoil(row["chain"]), "Key": spoil(row["key"])}
    return shown


def upload_user_certificate(service, p):
    if not re.fullmatch(r"[A-Za-z0-9_]{1,63}", p["Name"]):
        raise Refusal("InvalidParameter", "Name is up to 63 letters, digits and underscores.")
    if service.state.find(service.state["certificates"], p["Name"], "name"):
        raise Refusal("NameRepeat", "A certificate of this name exists.")
    if "Cert" not in p or "Key" not in p:
        raise Refusal("MissingParameter", "Cert and Key are mandatory.")
    chain = p["Cert"].replace("\r\n", "\n").rstrip("\n") + "\n"
    try:
        leaf = x509.load_pem_x509_certificate(chain.encode())
        key = serialization.load_pem_private_key(p["Key"].encode(), None)
    except (ValueError, TypeError):
        raise Refusal("CertificateFormatException", "The certificate or the key cannot be parsed.") from None
    if key.public_key().public_numbers() != leaf.public_key().public_numbers():
        raise Refusal("InvalidParameter", "The key is not the certificate's.")
    row = record(service, chain, source="UPLOAD", name=p["Name"], key=p["Key"], tags=[{"TagKey": t["Key"], "TagValue": t.get("Value", "")} for t in p.get("Tags", [])])
    return {"CertId": row["id"], "ResourceId": "cas-upload-%d" % row["id"]}


def delete_user_certificate(service, p):
    row = existing(service, p["CertId"])
    if row["source"] != "UPLOAD" and row["status"] not in ("expired", "revoked"):
        raise Refusal("OperationDenied.StatusNotSupport", "Only uploaded, expired or revoked certificates can be deleted.")
    service.state["certificates"].remove(row)
    for one in service.state["instances"] + service.state["orders"]:
        if one.get("certificate") == row["id"]:
            one["certificate"] = None
    return {}


PAGE = (Param("CurrentPage", "int"), Param("ShowSize", "int"))
CERT_ID = Param("CertId", "int", True)

ACTIONS = {
    "ListCertificates": Action(list_certificates, Param("InstanceId"), Param("CertificateSource", values=("BUY", "TEST", "UPLOAD")),
                               Param("CertificateStatus", values=("issued", "revoked", "willExpire", "expired")),
                               Param("Keyword"), Param("ResourceGroupId"), *PAGE),
    "GetCertificateDetail": Action(get_certificate_detail, Param("CertificateId", "int", True)),
    "GetUserCertificateDetail": Action(get_user_certificate_detail, CERT_ID, Param("CertFilter", "bool"), ssl=False),
    "UploadUserCertificate": Action(upload_user_certificate, Param("Name", required=True), Param("Cert"), Param("Key"), Param("ResourceGroupId"),
                                    Param("Tags", "objects", members=("Key", "Value")), writes=True, ssl=False, get=True),
    "DeleteUserCertificate": Action(delete_user_certificate, CERT_ID, writes=True, ssl=False, get=True),
}
