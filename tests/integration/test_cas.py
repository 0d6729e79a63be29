# SPDX-License-Identifier: ISC
"""A ca of type alibaba-cas: dovad asks the stand-in what the account has, and says in its own words why it cannot."""
import re
import shutil

import pytest

from cas_client import KEY, SECRET
from cas_sdk import beside, capture, sdk_place  # noqa: F401
from lab import Refused

WHAT = ["instances", "contacts", "companies"]


@pytest.fixture
def account(make_lab, make_cas):
    """A lab with such a ca; lab.cas_server is the stand-in. entry(**options) writes the ca anew."""
    lab = make_lab()
    lab.start_dns()
    lab.cas_server = make_cas()
    lab.credential("secret", SECRET + "\n")
    shutil.copy(lab.cas_server.ca_file, lab.root / "cas.pem")
    lab.give(lab.root / "cas.pem")

    def entry(more="", **options):
        texts = dict(site="china", access_key_id=KEY, access_key_secret="credential:secret", ca_file=str(lab.root / "cas.pem"),
                     endpoint="https://localhost:%d" % lab.cas_server.port) | options
        lab.cas = ['{ name = "alibaba"; type = "alibaba-cas"; allow_private = true; %s %s }' % (" ".join('%s = "%s";' % kv for kv in texts.items()), more)]
        lab.write_config()
        if lab.dovad:
            assert lab.ctl("reload")["errors"] == 0
    lab.entry = entry
    entry()
    lab.start()
    return lab


def refused(lab, what="instances"):
    with pytest.raises(Refused) as e:
        lab.ctl("ca", "alibaba", what)
    return e.value.error["parameters"]


def furnish(server, instances=3):
    for i in range(instances):
        server.state.add_instance(full=2, wildcard=i % 2)
    server.state.add_contact(name="hostmaster", email="hostmaster@example.org", mobile_status=0)
    server.state.add_company(name="\u4f8b\u5b50\u6709\u9650\u516c\u53f8")


@pytest.mark.parametrize("signature", ["v3", "rpc"])
def test_lists(account, capture, signature):  # noqa: F811
    """By either signature, and field by field as the vendor's own SDK asks."""
    furnish(account.cas_server)
    account.entry(signature=signature)
    instances = account.ctl("ca", "alibaba", "instances")["instances"]
    assert [i["id"] for i in instances] == ["cas_dv-cn-%04d" % n for n in (1, 2, 3)]
    first = instances[1]
    assert (first["certificate"], first["brand"], first["source"], first["state"], first["single"], first["wildcards"]) == ("DV", "WoSign", "BUY", "inactive", 2, 1)
    (contact,) = account.ctl("ca", "alibaba", "contacts")["contacts"]
    assert contact["name"] == "hostmaster" and contact["email_verified"] and not contact["mobile_verified"] and contact["id"].isdigit()
    (company,) = account.ctl("ca", "alibaba", "companies")["companies"]
    assert company["name"] == "\u4f8b\u5b50\u6709\u9650\u516c\u53f8"
    shown = account.ctl.run("ca", "alibaba", "instances", json_out=False).stdout.splitlines()
    assert re.match(r"INSTANCE +TYPE +BRAND +GOOD FOR +STATE", shown[0]) and re.match(r"cas_dv-cn-0002  DV    WoSign  2 names, 1 wildcard  inactive", shown[2])
    log = account.cas_server.requests()
    assert {e["scheme"] for e in log} == {signature} and len(log) == 4
    for entry in log:
        assert beside(capture, entry) == []
    issuer = account.ctl("status")["issuers"][0]
    assert issuer["name"] == "alibaba" and issuer["directory"].startswith("https://localhost:") and issuer["account"] == KEY
    assert SECRET not in account.log()


def test_temporary_key(account, capture):  # noqa: F811
    """The token is read anew each time, so that a new one needs no reload."""
    server = account.cas_server
    server.state.add_key("temporary", SECRET, token="token-of-monday")
    account.credential("token", "token-of-monday\n")
    account.entry(access_key_id="temporary", security_token="credential:token")
    furnish(server, 1)
    assert len(account.ctl("ca", "alibaba", "instances")["instances"]) == 1
    assert beside(capture.at(id="temporary", token="token-of-monday"), server.requests()[-1]) == []
    server.state.add_key("temporary", SECRET, token="token-of-tuesday")
    assert refused(account)["type"].startswith("InvalidSecurityToken")
    account.credential("token", "token-of-tuesday\n")
    assert len(account.ctl("ca", "alibaba", "instances")["instances"]) == 1


def test_many_pages(account):
    """Five hundred instances are five pages, one after the other; two users at one time get them all."""
    furnish(account.cas_server, 500)
    assert len({i["id"] for i in account.ctl("ca", "alibaba", "instances")["instances"]}) == 500
    assert len(account.cas_server.requests("ListInstances")) == 5


def test_clock_is_off(account):
    """The service's clock is an hour ahead: found out by its own date, once."""
    furnish(account.cas_server)
    account.cas_server.clock.offset = 3600
    for what in WHAT:
        assert account.ctl("ca", "alibaba", what)[what]
    assert [e["code"] for e in account.cas_server.requests() if e.get("code")] == ["InvalidTimeStamp.Expired"]


@pytest.mark.parametrize("fault,wanted", [
    (dict(do="xml"), None),
    (dict(do="lower_case"), None),
    (dict(do="strings"), None),
    (dict(do="seconds"), None),
    (dict(do="milliseconds"), None),
    (dict(do="unavailable"), r"ServiceUnavailable"),
    (dict(do="error", code="Forbidden.RAM", status=403), r"yundun-cert"),
    (dict(do="throttle", retry_after=1000), r"Throttling"),
    (dict(do="truncate", bytes=40), r""),
    (dict(do="drop"), r""),
    (dict(do="body", text="<html>busy</html>", status=502, content_type="text/html"), r"502"),
], ids=lambda v: v["do"] if isinstance(v, dict) else "")
def test_faults(account, fault, wanted):
    """What can be understood is; what cannot is told, and passes when it does."""
    furnish(account.cas_server)
    account.cas_server.faults.arm(action="ListInstances", times=0, **fault)
    if wanted is None and fault["do"] not in ("xml", "lower_case"):
        assert len(account.ctl("ca", "alibaba", "instances")["instances"]) == 3
        return
    if wanted is not None:
        why = refused(account)
        assert why["detail"] and re.search(wanted, "%s %s" % (why["type"], why["detail"])), why
    account.cas_server.faults.heal()
    if fault["do"] != "throttle":
        assert len(account.ctl("ca", "alibaba", "instances")["instances"]) == 3


def test_wrong_credentials(account):
    """Each is told apart, and what to do about it."""
    account.credential("wrong", "not-the-secret\n")
    account.entry(access_key_secret="credential:wrong")
    assert refused(account)["type"] == "SignatureDoesNotMatch"
    account.entry(access_key_id="nobody")
    assert refused(account)["type"] == "InvalidAccessKeyId.NotFound"
    account.entry(access_key_secret="credential:missing")
    why = refused(account)
    assert "missing" in why["detail"] and why["kind"] in ("input", "local")
    account.entry()
    assert account.ctl("ca", "alibaba", "instances")["instances"] == []
    shown = account.ctl.run("ca", "alibaba", "instances", json_out=False).stdout
    assert "no instances: buy one at the CA, or look whether the site is the right one" in shown
    with pytest.raises(Refused) as e:
        account.ctl("ca", "nobody", "instances")
    assert 'no ca "nobody" is configured' in e.value.stderr


def test_no_certificates_by_it_yet(account):
    """A clear error where it is named, and all else goes on."""
    account.snippet("site")
    with pytest.raises(Refused) as e:
        account.ctl("reload")
    wrong = e.value.error
    assert wrong["errors"] == 1 and "alibaba-cas are not in this version" in wrong["problems"][0]["text"]
    assert account.ctl("ca", "alibaba", "contacts")["contacts"] == []
    account.snippets.joinpath("site.conf").unlink()
    assert account.ctl("reload")["errors"] == 0
