# SPDX-License-Identifier: ISC
"""The stand-in for Alibaba Cloud's certificate service (tests/servers/cas), asked by Alibaba's own SDK, which signs, encodes and reads answers without knowing
of us; what it answers is held against the table of facts tests/servers/cas-gen2.json."""
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cas import Server
from cas.service import ACTIONS
from cas_client import KEY, SECRET
from cas_facts import TABLE, checked, complaints, refused, required
from cas_sdk import Sdk, SdkError, beside, capture, differences, driver, fields, nested, sdk, sdk_place, service
from cas_world import make_csr, zone

__all__ = ["capture", "driver", "sdk", "sdk_place", "service", "zone"]
BOTH_STYLES = pytest.mark.parametrize("style", ["typed", "generic"])
BOTH_SIGNATURES = pytest.mark.parametrize("signature", ["v3", "rpc"])
# A good value for each parameter that some call requires.
SAMPLES = {"InstanceId": "cas_dv-cn-0001", "TaskId": "cas_dv-cn-0001", "CertificateId": 18541350, "CertId": 18541350, "Name": "tom", "Mobile": "13900008888",
           "ContactId": 1, "CompanyId": 1, "CompanyName": "Example Ltd", "CompanyType": 1, "CompanyCode": "91110000", "CompanyPhone": "01000000000",
           "CompanyAddress": "1 Main Street", "City": "Hangzhou", "Province": "Zhejiang", "CountryCode": "CN", "PostCode": "310000", "Lang": "zh",
           "CommonName": "www.shop.example", "Algorithm": "ECC", "KeySize": 256, "Locality": "Hangzhou", "Csr": make_csr("www.shop.example"), "CsrId": 1, "Key": "none"}
# Parameters that the table does not mark as required, without which the call makes no sense: refused as missing all the same.
UNMARKED = {"GetContact": {"ContactId"}, "UpdateContact": {"Name", "Mobile"}, "UploadUserCertificate": {"Cert", "Key"}}


# --- the table ---

def test_the_table_agrees_with_the_installed_sdk(capture):
    """Older than the table, so it may know less; what it knows must be there with the same type."""
    def compare(where, rows, theirs):
        rows = {row["name"]: row for row in rows}
        for name, kind in theirs.items():
            ours = rows[name]["type"]
            if isinstance(kind, dict):
                assert ours.startswith("list of "), where + name
                ours, kind = ours[len("list of "):], kind["list"]
            if isinstance(kind, dict):
                compare(where + name + ".", rows[name]["of"], kind)
            else:
                assert ours.replace("int32", "number").replace("int64", "number") == kind, where + name
    shared = []
    for operation, entry in TABLE.items():
        theirs = capture.ask(operation, style="models")
        if theirs:
            shared.append(operation)
            compare(operation + " request ", entry["request"], theirs["request"])
            compare(operation + " answer ", entry["answer"], theirs["answer"])
    assert {"ListContact", "GetUserCertificateDetail", "UploadUserCertificate", "CreateCsr"} <= set(shared)


def test_every_row_says_where_it_was_seen():
    def rows(some):
        for row in some:
            yield row
            yield from rows(row.get("of", []))
    for operation, entry in TABLE.items():
        assert set(entry["from"]) == {"go", "ts"}, operation
        for row in rows(entry["request"] + entry["answer"]):
            assert set(row["from"].split()) <= {"go", "ts"} and row["from"], (operation, row)


def test_the_service_plays_all_of_generation_2():
    assert set(TABLE) <= set(ACTIONS)


# --- signatures ---

@BOTH_STYLES
@BOTH_SIGNATURES
def test_signature(service, sdk, style, signature):
    """Letters that both sides must encode alike; the SDK leaves some of them as they are on the wire."""
    tom = service.state.add_contact(name="Tom *~+/=&é某")
    keyword = "*~+/=&é某"
    answer = checked(sdk, "ListContact", {"Keyword": keyword, "CurrentPage": 1}, style=style, signature=signature)
    assert [c["ContactId"] for c in answer["ContactList"]] == [tom["id"]]
    entry, = service.requests("ListContact")
    assert (entry["scheme"], entry["params"], entry["unknown"], entry["status"]) == (signature, {"Keyword": keyword, "CurrentPage": "1"}, [], 200)


@BOTH_STYLES
@BOTH_SIGNATURES
def test_wrong_secret(service, sdk, style, signature):
    error = refused(sdk.at(secret="another"), "ListContact", style=style, signature=signature)
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 400) and "string to sign is:" in error.message
    assert service.requests("ListContact")[0]["code"] == "SignatureDoesNotMatch"


@BOTH_SIGNATURES
def test_unknown_and_disabled_key(service, sdk, signature):
    service.state.add_key("off", SECRET, active=False)
    assert refused(sdk.at(id="nobody"), "ListContact", signature=signature).code == "InvalidAccessKeyId.NotFound"
    assert refused(sdk.at(id="off"), "ListContact", signature=signature).code == "InvalidAccessKeyId.Inactive"


@BOTH_STYLES
@BOTH_SIGNATURES
def test_sts(service, sdk, style, signature):
    service.state.add_key("STS.1", "temporary", token="a+token/with=letters", expires=service.clock.wall() + 3600)
    bare = sdk.at(id="STS.1", secret="temporary")
    good, other = bare.at(token="a+token/with=letters"), bare.at(token="another")
    checked(good, "ListContact", style=style, signature=signature)
    assert refused(other, "ListContact", style=style, signature=signature).code == "InvalidSecurityToken.Malformed"
    assert refused(bare, "ListContact", style=style, signature=signature).code == "InvalidAccessKeyId.NotFound"
    service.clock.offset += 700
    checked(good, "ListContact", style=style, signature=signature)
    service.state["keys"]["STS.1"]["expires"] = service.clock.wall() - 1
    assert refused(good, "ListContact", style=style, signature=signature).code == "InvalidSecurityToken.Expired"


@pytest.mark.parametrize("skew", [-960, -840, 840, 960])
def test_clock(service, sdk_place, skew):
    """A quarter of an hour is tolerated, either way."""
    one = Sdk(sdk_place[0], "https://localhost:%d" % service.port, service.ca_file, id=KEY, secret=SECRET, skew=skew)
    for signature in ("v3", "rpc"):
        if abs(skew) < 900:
            checked(one, "ListContact", signature=signature)
        else:
            error = refused(one, "ListContact", signature=signature)
            assert (error.code, error.status) == ("InvalidTimeStamp.Expired", 400)
    one.close()


# --- requests ---

@pytest.mark.parametrize("operation", sorted(TABLE))
def test_required_parameters(service, sdk, operation):
    """What is marked is refused when it is missing, each by itself, and nothing else is."""
    marked = required(operation)
    full = {name: SAMPLES[name] for name in marked}
    before = {name: repr(service.state[name]) for name in ("instances", "contacts", "companies", "certificates")}
    for name in marked:
        error = refused(sdk, operation, {k: v for k, v in full.items() if k != name})
        assert error.code in ("Missing" + name, "MissingParameter") and error.status == 400
        assert name in error.code + error.message
    assert before == {name: repr(service.state[name]) for name in before}
    try:
        document = sdk.call(operation, full)
    except SdkError as error:
        named = [name for name in UNMARKED.get(operation, ()) if name in error.code + error.message]
        assert not error.code.startswith("Missing") or named, error
    else:
        assert complaints(operation, document) == []


def test_unknown_operation(sdk):
    for signature in ("v3", "rpc"):
        error = refused(sdk, "NoSuchThing", signature=signature)
        assert (error.code, error.status) == ("InvalidAction.NotFound", 404)


# --- people ---

@BOTH_STYLES
def test_contacts(service, sdk, style):
    number = checked(sdk, "CreateContact", {"Name": "Tom", "Mobile": "13900008888", "Email": "tom@shop.example", "Webhooks": '["https://hook.example/1"]'})["ContactId"]
    for i in range(24):
        service.state.add_contact(name="Other %d" % i)
    first = checked(sdk, "ListContact", style=style)
    assert (len(first["ContactList"]), first["TotalCount"], first["ShowSize"]) == (20, 25, 20)
    second = checked(sdk, "ListContact", {"CurrentPage": 2, "ShowSize": 20}, style=style)
    assert len(second["ContactList"]) == 5 and second["CurrentPage"] == 2
    shown, = [c for c in first["ContactList"] if c["ContactId"] == number]
    assert (shown["Mobile"], shown["Email"], shown["MobileStatus"]) == ("13900008888", "tom@shop.example", 0)
    masked = checked(sdk, "GetContact", {"ContactId": number})
    assert "*" in masked["Mobile"] and "*" in masked["Email"]
    changes = {"ContactId": number, "Name": "Thomas", "Mobile": "13900008889", "Email": "thomas@shop.example"}
    assert checked(sdk, "UpdateContact", changes)["ContactId"] == number
    assert [c["ContactId"] for c in checked(sdk, "ListContact", {"Keyword": "Thomas"}, style=style)["ContactList"]] == [number]
    checked(sdk, "DeleteContact", {"ContactId": number})
    assert refused(sdk, "GetContact", {"ContactId": number}).code == "NotFound"


def test_companies(sdk):
    given = {k: SAMPLES[k] for k in required("CreateCompany")} | {"CompanyName": "示例有限公司"}
    number = checked(sdk, "CreateCompany", given)["CompanyId"]
    listed, = checked(sdk, "ListCompanies", {"Keyword": "示例"})["CompanyList"]
    for name, value in given.items():
        assert listed[name] == value
    assert checked(sdk, "ListCompanies", {"CompanyId": number + 1})["TotalCount"] == 0
    assert checked(sdk, "UpdateCompany", given | {"CompanyId": number, "City": "Suzhou"})["CompanyId"] == number
    assert checked(sdk, "GetCompany", {"CompanyId": number})["City"] == "Suzhou"
    checked(sdk, "DeleteCompany", {"CompanyId": number})
    assert checked(sdk, "ListCompanies")["CompanyList"] == []


# --- instances ---

def public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_instances_in_pages(service, sdk):
    for i in range(23):
        service.state.add_instance(certificate_type="OV" if i % 5 == 4 else "DV", type="TEST" if i % 2 else "BUY")
    first = checked(sdk, "ListInstances")
    assert (len(first["InstanceList"]), first["TotalCount"], first["CurrentPage"], first["ShowSize"]) == (10, 23, 1, 10)
    found = [one["InstanceId"] for page in (1, 2, 3, 4) for one in checked(sdk, "ListInstances", {"CurrentPage": page, "ShowSize": 7})["InstanceList"]]
    assert len(found) == len(set(found)) == 23
    assert checked(sdk, "ListInstances", {"CertificateType": "OV", "Status": "inactive"})["TotalCount"] == 4
    assert checked(sdk, "GetInstanceSummary", {"InstanceType": "TEST"})["TotalCount"] == 11
    assert refused(sdk, "ListInstances", {"Status": "sleeping"}).status == 400


def all_reads(sdk, instance, certificate=None):
    """Every read of generation 2, each as the table has it; {operation: document}."""
    found = {name: checked(sdk, name) for name in ("ListInstances", "GetInstanceSummary", "ListCertificates", "ListContact", "ListCompanies")}
    found["GetInstanceDetail"] = checked(sdk, "GetInstanceDetail", {"InstanceId": instance})
    if certificate:
        found["GetCertificateDetail"] = checked(sdk, "GetCertificateDetail", {"CertificateId": certificate})
        found["GetUserCertificateDetail"] = checked(sdk, "GetUserCertificateDetail", {"CertId": certificate})
    return found


@BOTH_SIGNATURES
def test_application(service, sdk, zone, signature):
    """From a bought instance to a certificate for our own key, proven by DNS, and its end."""
    clock, times = service.clock, service.state["times"]
    contact = service.state.add_contact()["id"]
    service.state.add_company()
    one = service.state.add_instance(full=2, wildcard=0)["id"]
    assert "CertificateStatus" not in all_reads(sdk, one)["GetInstanceDetail"]
    key = ec.generate_private_key(ec.SECP256R1())
    csr = make_csr("www.shop.example", key)
    by = {"signature": signature}
    checked(sdk, "UpdateInstance", {"InstanceId": one, "Domain": "www.shop.example,shop.example", "ValidationMethod": "DNS", "GenerateCsrMethod": "upload", "Csr": csr,
                                    "ContactIdList": [contact], "Tags": [{"TagKey": "env", "TagValue": "prod *~+"}]}, **by)
    seen = checked(sdk, "GetInstanceDetail", {"InstanceId": one}, **by)
    assert (seen["Csr"], seen["ContactIdList"], seen["Tags"]) == (csr, [contact], [{"TagKey": "env", "TagValue": "prod *~+"}])
    checked(sdk, "ApplyCertificate", {"InstanceId": one}, **by)
    assert checked(sdk, "GetTaskAttribute", {"TaskId": one})["TaskStatus"] == "processing"
    assert not all_reads(sdk, one)["GetInstanceDetail"].get("DomainValidationList")
    assert refused(sdk, "CancelPendingCertificate", {"InstanceId": one}).code == "OperationDenied.StatusNotSupport"
    clock.advance(max(times["list"] + times["list_rest"], times["task"]) + 1)
    assert checked(sdk, "GetTaskAttribute", {"TaskId": one})["TaskStatus"] == "success"
    proofs = all_reads(sdk, one)["GetInstanceDetail"]["DomainValidationList"]
    assert {p["Domain"] for p in proofs} == {"www.shop.example", "shop.example"}
    for proof in proofs:
        assert (proof["ValidationType"], proof["RootDomain"]) == ("TXT", "shop.example")
        zone.publish(proof)
    clock.advance(times["probe"] + 1)
    all_reads(sdk, one)
    clock.advance(times["DV"] + 1)
    seen = all_reads(sdk, one)["GetInstanceDetail"]
    assert (seen["Status"], seen["CertificateStatus"]) == ("normal", "issued") and "DomainValidationList" not in seen
    certificate = seen["CertificateId"]
    texts = all_reads(sdk, one, certificate)["GetUserCertificateDetail"]
    leaf = x509.load_pem_x509_certificate(texts["Cert"].encode())
    assert public(leaf.public_key()) == public(key.public_key()) and not texts["Key"]
    assert set(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)) == {"www.shop.example", "shop.example"}
    assert "Cert" not in checked(sdk, "GetUserCertificateDetail", {"CertId": certificate, "CertFilter": True})
    checked(sdk, "RevokeCertificate", {"InstanceId": one, "CertificateId": certificate}, **by)
    clock.advance(10 * 86400)
    assert all_reads(sdk, one, certificate)["GetInstanceDetail"]["CertificateStatus"] == "revoked"


def test_refusal_withdrawal_and_another_try(service, sdk, zone):
    clock, times = service.clock, service.state["times"]
    contact = service.state.add_contact()["id"]
    text = "域名验证未通过，请检查解析记录"
    one = service.state.add_instance(verdicts=[{"refuse": text}])["id"]
    for attempt in (1, 2):
        checked(sdk, "UpdateInstance", {"InstanceId": one, "Domain": "www.shop.example", "ValidationMethod": "DNS", "GenerateCsrMethod": "upload",
                                        "Csr": make_csr("www.shop.example"), "ContactIdList": [contact]})
        checked(sdk, "ApplyCertificate", {"InstanceId": one})
        clock.advance(times["list"] + times["list_rest"] + 1)
        proof, = checked(sdk, "GetInstanceDetail", {"InstanceId": one})["DomainValidationList"]
        zone.publish(proof)
        clock.advance(times["probe"] + 1)
        all_reads(sdk, one)
        clock.advance(times["DV"] + 1)
        seen = all_reads(sdk, one)["GetInstanceDetail"]
        if attempt == 2:
            break
        assert (seen["Status"], seen["PendingResult"]) == ("pending", text)
        checked(sdk, "CancelPendingCertificate", {"InstanceId": one})
        assert checked(sdk, "GetInstanceDetail", {"InstanceId": one})["Status"] == "pending"
        clock.advance(times["withdraw"] + times["protect"] + 1)
        assert all_reads(sdk, one)["GetInstanceDetail"]["Status"] == "inactive"
        clock.advance(times["protect"] + 1)
    assert seen["CertificateStatus"] == "issued" and not seen.get("PendingResult")


def test_organization(service, sdk):
    """OV: without company no application; the service's own key; every field that an instance may show."""
    state, clock = service.state, service.clock
    state.set("options", {"delegation": True})
    contacts = [state.add_contact()["id"], state.add_contact()["id"]]
    company = state.add_company(city="Hangzhou")["id"]
    one = state.add_instance(certificate_type="OV", spec="ss.ov.f", brand="DigiCert")["id"]
    given = {"InstanceId": one, "Domain": "www.shop.example", "KeyAlgorithm": "ECC_256", "ContactIdList": contacts, "CertificateName": "shop", "AutoReissue": "enable",
             "CountryCode": "CN", "Province": "Beijing", "City": "Beijing"}
    checked(sdk, "UpdateInstance", given)
    assert "CompanyId" in str(refused(sdk, "ApplyCertificate", {"InstanceId": one}))
    checked(sdk, "UpdateInstance", {"InstanceId": one, "CompanyId": company})
    checked(sdk, "ApplyCertificate", {"InstanceId": one})
    clock.advance(state.time("list") + state.time("list_rest") + 1)
    seen = all_reads(sdk, one)["GetInstanceDetail"]
    assert (seen["CompanyId"], seen["City"], seen["KeyAlgorithm"], seen["Brand"], sorted(seen["ContactIdList"])) == (company, "Hangzhou", "ECC_256", "DigiCert", contacts)
    proof, = seen["DomainValidationList"]
    assert proof["Cname"] and proof["CnameKey"]


def test_failed_task(service, sdk):
    contact = service.state.add_contact()["id"]
    one = service.state.add_instance(verdicts=[{"task_failed": "域名含有敏感词"}])["id"]
    checked(sdk, "UpdateInstance", {"InstanceId": one, "Domain": "www.shop.example", "KeyAlgorithm": "ECC_256", "ContactIdList": [contact]})
    checked(sdk, "ApplyCertificate", {"InstanceId": one})
    service.clock.advance(service.state.time("task") + 1)
    all_reads(sdk, one)
    task = checked(sdk, "GetTaskAttribute", {"TaskId": one, "TaskType": "ApplyCertificate"})
    assert (task["TaskStatus"], task["TaskMessage"]) == ("failed", "域名含有敏感词")


def test_refund(service, sdk):
    one = service.state.add_instance()["id"]
    service.clock.advance(service.state.time("refundable") + 1)
    checked(sdk, "RefundInstance", {"InstanceId": one})
    assert refused(sdk, "DeleteInstance", {"InstanceId": one}).code == "InvalidStatus.DeleteProtection"
    service.clock.advance(service.state.time("refund") + 1)
    all_reads(sdk, one)
    checked(sdk, "DeleteInstance", {"InstanceId": one})
    assert refused(sdk, "GetInstanceDetail", {"InstanceId": one}).code == "NotFound"


@BOTH_STYLES
@BOTH_SIGNATURES
def test_upload(service, sdk, style, signature):
    """The long texts of PEM, and a truth value, by the product's SDK and by the generic call."""
    key = ec.generate_private_key(ec.SECP256R1())
    chain, _ = service.authority.issue(["www.shop.example"], key.public_key(), 90)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()).decode()
    how = {"style": style, "signature": signature}
    given = {"Name": "shop_1", "Cert": chain, "Key": pem}
    number = checked(sdk, "UploadUserCertificate", given, **how)["CertId"]
    assert refused(sdk, "UploadUserCertificate", given, **how).code == "NameRepeat"
    shown = checked(sdk, "GetUserCertificateDetail", {"CertId": number}, **how)
    assert (shown["Cert"], shown["Key"], shown["Common"], shown["BuyInAliyun"]) == (chain, pem, "www.shop.example", False)
    assert "Key" not in checked(sdk, "GetUserCertificateDetail", {"CertId": number, "CertFilter": True}, **how)
    checked(sdk, "DeleteUserCertificate", {"CertId": number}, **how)


@BOTH_STYLES
def test_requests(sdk, style):
    """Those that the service makes and keeps."""
    made = checked(sdk, "CreateCsr", {k: SAMPLES[k] for k in required("CreateCsr")} | {"Sans": "shop.example", "Name": "shop"}, style=style)
    csr = x509.load_pem_x509_csr(made["Csr"].encode())
    row, = checked(sdk, "ListCsr", {"KeyWord": "shop"}, style=style)["CsrList"]
    assert (row["CsrId"], row["Algorithm"], row["KeySize"], row["HasPrivateKey"]) == (made["CsrId"], "ECC", 256, True)
    detail = checked(sdk, "GetCsrDetail", {"CsrId": made["CsrId"]}, style=style)
    key = serialization.load_pem_private_key(detail["PrivateKey"].encode(), None)
    assert detail["Csr"] == made["Csr"] and public(key.public_key()) == public(csr.public_key())
    own = ec.generate_private_key(ec.SECP256R1())
    number = checked(sdk, "UploadCsr", {"Csr": make_csr("www.shop.example", own), "Name": "own"}, style=style)["CsrId"]
    assert not checked(sdk, "GetCsrDetail", {"CsrId": number}, style=style).get("PrivateKey")
    pem = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()).decode()
    checked(sdk, "UpdateCsr", {"CsrId": number, "Key": pem}, style=style)
    assert checked(sdk, "ListCsr", {"KeyWord": "own"}, style=style)["CsrList"][0]["HasPrivateKey"]
    for one in (number, made["CsrId"]):
        checked(sdk, "DeleteCsr", {"CsrId": one}, style=style)
    assert checked(sdk, "ListCsr", style=style)["TotalCount"] == 0


# --- faults, as the SDK understands them ---

@BOTH_STYLES
@BOTH_SIGNATURES
def test_faults(service, sdk, style, signature):
    def armed(*kinds, **fault):
        for kind in kinds:
            service.faults.arm(action="ListContact", **(fault if kind == kinds[0] else {}) | {"do": kind})
        return refused(sdk, "ListContact", style=style, signature=signature)
    assert (armed("throttle").code, armed("unavailable").code) == ("Throttling.User", "ServiceUnavailable")
    error = armed("error", "lower_case", code="Forbidden.RAM", status=403)
    assert (error.code, error.status) == ("Forbidden.RAM", 403)
    for kinds, fault in ((["truncate"], {"bytes": 20}), (["cut"], {"bytes": 20}), (["lost"], {}), (["drop"], {})):
        if kinds != ["truncate"] or style == "typed":
            assert armed(*kinds, **fault).status is None
        service.faults.heal()
    document = sdk.call("ListContact", style=style, signature=signature)
    assert complaints("ListContact", document) == []


def test_error_in_xml(service, sdk):
    """The product's SDK reads it."""
    service.faults.arm(action="ListContact", do="error", code="Forbidden.RAM", status=403, message="不允许")
    service.faults.arm(action="ListContact", do="xml")
    error = refused(sdk, "ListContact", style="typed")
    assert error.code == "Forbidden.RAM" and "不允许" in error.message


def test_retry_after(service, sdk):
    service.faults.arm(action="ListContact", do="throttle", retry_after=1500)
    assert refused(sdk, "ListContact", style="typed").retry_after == 1500


@BOTH_SIGNATURES
def test_plain_http(driver, signature):
    server = Server()
    server.state.add_key(KEY, SECRET)
    error = refused(driver.at(endpoint="http://127.0.0.1:%d" % server.port), "ListInstances", signature=signature)
    server.close()
    assert (error.code, error.status, server.crashes) == ("InvalidProtocol.NeedSsl", 404, [])


# --- requests beside each other ---

CALLS = [("ListInstances", {}), ("ListContact", {"Keyword": "a b*+~é", "ShowSize": "5"}),
         ("UpdateInstance", {"InstanceId": "cas_dv-cn-0001", "ContactIdList": ["1", "2"], "Tags": [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "c", "TagValue": "*"}]})]


@BOTH_SIGNATURES
@pytest.mark.parametrize("operation,params", CALLS, ids=[c[0] for c in CALLS])
def test_what_is_the_same_does_not_differ(service, sdk, capture, operation, params, signature):
    """What the stand-in notes of a request is what the SDK sent."""
    service.state.add_instance()
    service.state.add_contact(id=1)
    service.state.add_contact(id=2)
    sdk.call(operation, params, signature=signature)
    entry, = service.requests(operation)
    assert beside(capture, entry) == []


def changed(request, **parts):
    headers = dict(request["headers"]) | parts.pop("headers", {})
    return request | {"headers": [[k, v] for k, v in headers.items() if v is not None]} | parts


def test_what_differs_is_named(capture):
    for operation, params in CALLS[1:]:
        v3, rpc = (capture.ask(operation, params, signature=signature) for signature in ("v3", "rpc"))
        signed = dict(v3["headers"])["Authorization"]
        for theirs, ours, named in [
            (v3, changed(v3, method="GET"), ["method"]),
            (v3, changed(v3, target="/x" + v3["target"][1:]), ["path"]),
            (v3, changed(v3, body="a=b"), ["body"]),
            (v3, changed(v3, target=v3["target"] + "&More=1"), ["query More"]),
            (v3, changed(v3, target=v3["target"].rpartition("&")[0]), ["query " + v3["target"].rpartition("&")[2].partition("=")[0]]),
            (v3, changed(v3, target=v3["target"] + "x"), ["query " + v3["target"].rpartition("&")[2].partition("=")[0]]),
            (v3, changed(v3, headers={"content-type": "application/json"}), ["header content-type"]),
            (v3, changed(v3, headers={"x-acs-version": None}), ["header x-acs-version"]),
            (v3, changed(v3, headers={"x-acs-date": "2026-11-29"}), ["header x-acs-date"]),
            (v3, changed(v3, headers={"x-acs-signature-nonce": ""}), ["header x-acs-signature-nonce"]),
            (v3, changed(v3, headers={"Authorization": signed.replace("x-acs-date;", "")}), ["authorization SignedHeaders"]),
            (v3, changed(v3, headers={"Authorization": signed[:-1]}), ["authorization Signature"]),
            (v3, changed(v3, headers={"user-agent": None, "Connection": None}), []),
            (v3, changed(v3, headers={"user-agent": "dovad"}), []),
            (rpc, changed(rpc, headers={"x-acs-version": None, "x-acs-action": None, "x-acs-credentials-provider": None}), []),
            (rpc, changed(rpc, target=rpc["target"].replace("Format=json", "Format=JSON")), []),
            (rpc, changed(rpc, headers={"accept": "application/json"}), []),
            (rpc, changed(rpc, headers={"accept": "text/xml"}), ["header accept"]),
            (rpc, changed(rpc, headers={"x-more": ""}), ["header x-more"]),
            (v3, changed(v3, headers={"accept": None}), ["header accept"]),
            (rpc, changed(rpc, target=rpc["target"].replace("Format=json&", "")), ["query Format"]),
            (rpc, changed(rpc, target=rpc["target"].replace("HMAC-SHA1", "HMAC-SHA2")), ["query SignatureMethod"]),
            (rpc, changed(rpc, target=rpc["target"].replace("&Signature=", "&Signature=x")), ["query Signature"]),
        ]:
            assert [name for name, _, _ in differences(ours, theirs)] == named
        # Who does not send the SDK's own header does not sign it either.
        without = signed.replace("x-acs-credentials-provider;", "")
        assert without != signed and differences(changed(v3, headers={"x-acs-credentials-provider": None, "Authorization": without}), v3) == []


def test_fields_keep_what_comes_twice():
    found = fields({"method": "POST", "target": "/?A=1&A=%2B", "headers": [["X-A", "b"], ["x-a", "c"]], "body": ""})
    assert found == {"method": "POST", "path": "/", "body": "", "query A": ["1", "+"], "header x-a": ["b", "c"]}


def test_nested():
    wire = {"A": "1", "L.1": "x", "L.2": "y", "T.1.K": "a", "T.1.V": "b", "T.2.K": "c"}
    assert nested(wire) == {"A": "1", "L": ["x", "y"], "T": [{"K": "a", "V": "b"}, {"K": "c"}]}
    with pytest.raises(ValueError):
        nested({"L.2": "y"})
