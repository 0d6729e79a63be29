# SPDX-License-Identifier: ISC
"""Requests that the service keeps, some with the key that it made for them."""
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from . import pki, wire
from .errors import Refusal
from .wire import Action, Param, page_of

SUBJECT = (("CommonName", NameOID.COMMON_NAME), ("CountryCode", NameOID.COUNTRY_NAME), ("Province", NameOID.STATE_OR_PROVINCE_NAME),
           ("Locality", NameOID.LOCALITY_NAME), ("CorpName", NameOID.ORGANIZATION_NAME), ("Department", NameOID.ORGANIZATIONAL_UNIT_NAME))


def existing(service, number):
    row = service.state.find(service.state["csrs"], number)
    if not row:
        raise Refusal("NotFound", "The CSR does not exist.")
    return row


def add(service, csr, key, name):
    row = {"id": service.state.new_id(), "csr": csr, "key": key, "name": name}
    service.state["csrs"].append(row)
    return row


def create_csr(service, p):
    algorithm = {("RSA", 2048): "RSA_2048", ("RSA", 3072): "RSA_3072", ("RSA", 4096): "RSA_4096", ("ECC", 256): "ECC_256"}.get((p["Algorithm"], p["KeySize"]))
    if not algorithm:
        raise wire.invalid("KeySize", "not one of this algorithm", service.state["options"])
    key = pki.key_for(algorithm)
    try:
        subject = x509.Name([x509.NameAttribute(oid, p[name]) for name, oid in SUBJECT if name in p])
        made = x509.CertificateSigningRequestBuilder(subject)
        if "Sans" in p:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in p["Sans"].split(",")]), False)
    except ValueError:
        raise Refusal("CreateCsrFailed", "The CSR could not be made of this.") from None
    csr = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    return {"CsrId": add(service, csr, pki.key_pem(key), p.get("Name", ""))["id"], "Csr": csr}


def checked_key(csr, text):
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        raise Refusal("InvalidParameter", "The key cannot be parsed.") from None
    if key.public_key().public_numbers() != pki.checked_request(csr).public_key().public_numbers():
        raise Refusal("InvalidParameter", "The key is not the CSR's.")
    return text


def upload_csr(service, p):
    pki.checked_request(p["Csr"])
    return {"CsrId": add(service, p["Csr"], checked_key(p["Csr"], p["Key"]) if "Key" in p else "", p.get("Name", ""))["id"]}


def update_csr(service, p):
    row = existing(service, p["CsrId"])
    row["key"] = checked_key(row["csr"], p["Key"])
    return {}


def get_csr_detail(service, p):
    row = existing(service, p["CsrId"])
    return {"Csr": row["csr"]} | ({"PrivateKey": row["key"]} if row["key"] else {})


def delete_csr(service, p):
    service.state["csrs"].remove(existing(service, p["CsrId"]))
    return {}


def shown(row):
    csr = x509.load_pem_x509_csr(row["csr"].encode())
    key, item = csr.public_key(), {"CsrId": row["id"], "Name": row["name"], "HasPrivateKey": bool(row["key"]), "KeySize": csr.public_key().key_size}
    item["Algorithm"] = "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECC"
    item["KeySha2"] = hashlib.sha256(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    item |= {name: csr.subject.get_attributes_for_oid(oid)[0].value for name, oid in SUBJECT if csr.subject.get_attributes_for_oid(oid)}
    try:
        item["Sans"] = ",".join(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        pass
    return item


def list_csr(service, p):
    rows = [shown(r) for r in service.state["csrs"]]
    rows = [r for r in rows if p.get("Algorithm", r["Algorithm"]) == r["Algorithm"] and p.get("KeyWord", "") in r["Name"] + " " + r["CommonName"]]
    rows, page = page_of(rows, p, 50)
    return {"CsrList": rows} | page


ID = Param("CsrId", "int", True)
ALGORITHMS = ("RSA", "ECC", "SM2")

ACTIONS = {
    "CreateCsr": Action(create_csr, Param("CommonName", required=True), Param("Algorithm", required=True, values=ALGORITHMS), Param("KeySize", "int", True),
                        Param("CountryCode", required=True), Param("Province", required=True), Param("Locality", required=True), Param("Sans"), Param("CorpName"),
                        Param("Department"), Param("Name", most=50), writes=True),
    "UploadCsr": Action(upload_csr, Param("Csr", required=True), Param("Key"), Param("Name", most=50), writes=True),
    "UpdateCsr": Action(update_csr, ID, Param("Key", required=True), writes=True),
    "GetCsrDetail": Action(get_csr_detail, ID),
    "ListCsr": Action(list_csr, Param("KeyWord"), Param("Algorithm", values=ALGORITHMS), Param("CurrentPage", "int"), Param("ShowSize", "int")),
    "DeleteCsr": Action(delete_csr, ID, writes=True),
}
