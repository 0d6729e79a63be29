# SPDX-License-Identifier: ISC
"""The main job against Pebble: a dropped snippet becomes a served, renewed certificate."""
import datetime
import json
import shutil

import pytest
from cryptography.hazmat.primitives import serialization

from lab import Refused, check_pair, fingerprint, names_of, parse_chain, served_by, wait_until

HMAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def public_key(cert):
    return cert.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def renew(lab, name):
    """With every second nonce rejected an attempt may fail; the order kept from it goes on with the next."""
    for _ in range(10):
        try:
            return lab.ctl("renew", name, "--force", "--wait")
        except Refused as refused:
            assert "badNonce" in json.dumps(refused.error)
    raise AssertionError("no luck with nonces")


def test_snippet_becomes_served_certificate(make_lab, pebble_kind):
    """Strict, every second nonce rejected, chain of three, alternate roots: and the steps are told as they happen."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(pebble_kind, nonce_reject=50, chain_length=3, alternate_roots=2)
    lab.start_nginx()
    lab.services = [lab.nginx_service()]
    lab.start()
    watch = lab.watch()
    lab.add_site("shop", ["shop.example.org", "www.shop.example.org"])
    lab.snippet("shop", ["shop.example.org", "WWW.Shop.example.org"], install=True, service="nginx")
    watch.wait("done", "shop", timeout=240)  # one request in 64 is refused six times, then the attempt is made again a minute later

    leaf = check_pair(lab, lab.tls / "shop", ["shop.example.org", "www.shop.example.org"])
    check_pair(lab, lab.live / "shop")
    assert len(parse_chain((lab.tls / "shop/fullchain.pem").read_bytes())) >= 3
    lab.wait_served(leaf, "www.shop.example.org")
    steps = [e["event"] for e in watch.events]
    order = [steps.index(s) for s in ("create", "prove", "finalize", "fetch", "issued", "install", "test", "reload", "look", "done")]
    assert order == sorted(order)
    shown = lab.ctl.show("shop")
    assert shown["state"] == "waiting" and shown["generation"] == 1 and shown["fingerprint"] == fingerprint(leaf)
    assert shown["targets"][0]["ok"] and shown["targets"][0]["serves"] == fingerprint(leaf)
    life = (leaf.not_valid_after - leaf.not_valid_before).total_seconds()
    left = leaf.not_valid_after - datetime.datetime.strptime(shown["next_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert shown["next_step"] == "renew" and life / 3 <= left.total_seconds() <= life / 3 + life / 40
    assert pebble.issued() == 1 and pebble.accounts() == 1

    # Renewed at an operator's word: not before it is due, unless he insists; then with a new key, and served again.
    with pytest.raises(Refused) as refused:
        lab.ctl("renew", "shop", "--wait")
    assert refused.value.code == 1 and refused.value.error["error"] == "org.dovad.Agent.NotDue"
    renew(lab, "shop")
    renewed = check_pair(lab, lab.tls / "shop", ["shop.example.org", "www.shop.example.org"])
    assert renewed.serial_number != leaf.serial_number and public_key(renewed) != public_key(leaf)
    lab.wait_served(renewed, "shop.example.org")
    assert lab.ctl.show("shop")["generation"] == 2 and pebble.issued() == 2 and pebble.accounts() == 1
    history = [e["event"] for e in lab.ctl("history", "shop")["events"]]
    assert history.count("done") == 2 and history.count("issued") == 2


def test_wait_answers_with_the_end(lab):
    """renew --wait of a certificate that cannot be had ends with 1 and the reason, of an unknown one with 3."""
    lab.start()
    lab.dns("set-servfail", host="gone.example.org")
    lab.snippet("gone")
    lab.wait_state("gone", "failed", "held")
    with pytest.raises(Refused) as refused:
        lab.ctl("renew", "gone", "--wait", timeout=90)
    assert refused.value.code == 1 and refused.value.error["error"] == "org.dovad.Agent.Failed"
    assert "gone.example.org" in json.dumps(refused.value.error) or "DNS" in json.dumps(refused.value.error)
    with pytest.raises(Refused) as refused:
        lab.ctl("renew", "nobody-knows", "--wait")
    assert refused.value.code == 3


def test_listener(make_lab, pebble_kind):
    """dovad itself answers the CA, only while something is to be proven, and only for its tokens."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(pebble_kind)
    lab.https = ['{ name = "own"; type = "listener"; listen = [ "127.0.0.1:%d" ]; }' % lab.http_port]
    lab.start()
    lab.snippet("a", prove='"http:own"')
    lab.snippet("b", ["b.example.org", "b2.example.org"], prove='"http:own"')
    lab.wait_issued("a")
    lab.wait_issued("b")
    check_pair(lab, lab.live / "b", ["b.example.org", "b2.example.org"])
    assert pebble.issued() == 2 and pebble.accounts() == 1


def test_many_names_in_one(lab):
    names = ["n%d.example.org" % i for i in range(30)]
    lab.start()
    lab.snippet("many", names)
    lab.wait_issued("many", timeout=90)
    check_pair(lab, lab.live / "many", names)


def test_names_are_normalised(lab):
    lab.start()
    lab.snippet("idn", ["Bücher.example.org", "STRASSE.Example.ORG"])
    lab.wait_issued("idn")
    assert sorted(names_of(lab.installed("idn"))) == ["strasse.example.org", "xn--bcher-kva.example.org"]


def test_renews_by_itself(make_lab):
    """Half of a short life, each time with a new key and served."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(validity=130, nonce_reject=5)  # due after 65 s: more than the minute that is between two orders
    lab.start_nginx()
    lab.services = [lab.nginx_service()]
    lab.settings["keep"] = "2"
    lab.start()
    lab.add_site("short")
    lab.snippet("short", install=True, service="nginx")
    keys = set()
    for generation in (1, 2):
        lab.wait_issued("short", 90, generation)
        keys.add(public_key(lab.installed("short")))
    lab.ctl("renew", "short", "--force", "--wait")
    keys.add(public_key(lab.installed("short")))
    assert len(keys) == 3 and pebble.accounts() == 1
    wait_until(lambda: fingerprint(served_by(lab.tls_port, "short.example.org")) == fingerprint(lab.installed("short")), 10, "served")
    folders = [lab.keeper / "generations/short", lab.tls / ".short.dovad"]
    wait_until(lambda: all(len([g for g in f.iterdir() if g.name.isdigit()]) <= 2 for f in folders), 10, "old generations to go")
    (lab.snippets / "short.conf").unlink()  # else it might be renewed while the invariants are checked
    lab.ctl("reload")


def test_revoke(lab):
    """The CA knows it as revoked, and another one, with another key, takes its place at once."""
    lab.start()
    lab.add_site("rev")
    lab.snippet("rev", install=True, service="nginx")
    lab.wait_issued("rev")
    old, watch = lab.installed("rev"), lab.watch()
    lab.ctl("revoke", "rev", "--reason", "keyCompromise")
    status = json.loads(lab.pebbles[0].manage("/cert-status-by-serial/%x" % old.serial_number))
    assert status["Status"] == "Revoked" and status["Reason"] == 1
    watch.wait("done", "rev")
    new = check_pair(lab, lab.tls / "rev", ["rev.example.org"])
    assert public_key(new) != public_key(old)
    with pytest.raises(Refused) as refused:
        lab.ctl("revoke", "rev", "--reason", "because")
    assert refused.value.code in (1, 2)


def test_journal_lost(lab):
    """Without its journal dovad asks the keeper what is installed and the CA for the account of its key: no second of either."""
    lab.start()
    lab.add_site("kept")
    lab.snippet("kept", install=True, service="nginx")
    lab.wait_issued("kept")
    leaf = lab.installed("kept")
    assert lab.stop() == 0
    shutil.rmtree(lab.state)
    lab.state.mkdir()
    lab.give(lab.state)
    lab.start()
    shown = lab.wait_issued("kept")
    assert shown["fingerprint"] == fingerprint(leaf) and shown["next_step"] == "renew"
    assert lab.pebbles[0].issued() == 1
    lab.ctl("renew", "kept", "--force", "--wait")
    assert lab.pebbles[0].issued() == 2 and lab.pebbles[0].accounts() == 1


def test_ca_forgot_the_account(lab):
    """Pebble forgets everything at a restart. An account made today is not made again at once, and that is said; what is in place stays."""
    lab.start()
    lab.snippet("again")
    lab.wait_issued("again")
    leaf = lab.installed("again")
    lab.pebbles[0].restart()
    with pytest.raises(Refused) as refused:
        lab.ctl("renew", "again", "--force", "--wait")
    assert refused.value.error["parameters"]["type"] == "accountDoesNotExist"
    assert "account" in lab.ctl.show("again")["last_error"]["detail"]
    assert check_pair(lab, lab.live / "again") == leaf
    assert lab.pebbles[0].accounts() == 1  # the one of before the restart


def test_contact_changes(make_lab, pebble_kind):
    """New contacts reach the account of before, with the next order and once; the keeper signs that and the CA takes it."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(pebble_kind, nonce_reject=5)
    lab.start_nginx()
    lab.start()
    lab.snippet("site")
    lab.wait_issued("site")
    lab.settings["contact"] = '[ "mailto:new@example.org", "mailto:other@example.org" ]'
    lab.write_config()
    lab.ctl("reload")
    for _ in range(2):
        lab.ctl("renew", "site", "--force", "--wait")
    assert lab.log().count("contacts of the account changed") == 1 and "could not be changed" not in lab.log()
    lab.restart()
    lab.ctl("renew", "site", "--force", "--wait")
    assert lab.log().count("contacts of the account changed") == 1
    assert pebble.accounts() == 1 and pebble.issued() == 4


def test_external_account(make_lab, pebble_kind):
    """EAB: signed in the keeper with a credential; without one a person is told what is missing."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(pebble_kind, eab={"kid-1": HMAC})
    lab.start_nginx()
    lab.cas = [pebble.block("bound", 'eab = { key_id = "kid-1"; hmac_key = "credential:bound-hmac"; };'), pebble.block("unbound")]
    lab.credential("bound-hmac", HMAC + "\n")
    lab.verbose = True  # what is sent is logged, too: the secret must not be
    lab.start()
    lab.snippet("ok", more='ca = [ "bound" ];')
    lab.snippet("no", more='ca = [ "unbound" ];')
    lab.wait_issued("ok")
    error = lab.wait_state("no", "held", "failed")["last_error"]
    assert "external" in error["detail"].lower() or "eab" in error["detail"].lower()
    assert pebble.issued() == 1


def test_preferred_chain(make_lab, pebble_kind):
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(pebble_kind, alternate_roots=2, nonce_reject=5)
    lab.start_nginx()
    roots = [parse_chain(r)[0] for r in pebble.roots]
    names = [r.subject.rfc4514_string().split("CN=")[1].split(",")[0] for r in roots]
    lab.cas = [pebble.block("ca%d" % i, 'preferred_chain = "%s";' % name) for i, name in enumerate(names)]
    lab.cas.append(pebble.block("none", 'preferred_chain = "Nobody Knows This Root";'))
    lab.start()
    for ca in ["ca0", "ca1", "ca2", "none"]:
        lab.snippet("of-" + ca, more='ca = [ "%s" ];' % ca)
    for i, root in enumerate(roots):
        lab.wait_issued("of-ca%d" % i)
        last = parse_chain((lab.live / ("of-ca%d" % i) / "fullchain.pem").read_bytes())[-1]
        assert last.issuer == root.subject, "the chain leads to %s, wanted was %s" % (last.issuer, root.subject)
    lab.wait_issued("of-none")  # no such root: the CA's own choice
    assert "Nobody Knows This Root" in lab.log()


def test_no_method_for_a_wildcard(lab):
    """A file cannot prove a wildcard: said at once, without a try at the CA that could not succeed."""
    lab.start()
    lab.snippet("wild", ["*.wild.example.org"])
    lab.snippet("tame")
    lab.wait_issued("tame")
    problems = json.dumps(lab.ctl("status"))
    assert "wild" in problems
    if lab.ctl.show("wild"):
        assert "wild" in lab.wait_state("wild", "failed", "held")["last_error"]["detail"]


def test_self_check_require(lab):
    """With `require` the CA is not asked while a name's own address does not show the file; the report names the address."""
    lab.start()
    lab.dns("add-a", host="away.example.org", addresses=["127.0.0.1", "127.0.0.9"])
    lab.snippet("away", more='self_check = "require";')
    lab.snippet("near", more='self_check = "require";')
    lab.wait_issued("near")
    c = lab.wait_state("away", "failed", timeout=60)
    assert "127.0.0.9" in c["last_error"]["detail"]
    assert lab.pebbles[0].issued() == 1 and "away.example.org" not in [e for e in lab.pebbles[0].log().splitlines() if "Attempting to validate" in e]
    # Once the address is right it is enough to say so.
    lab.dns("clear-a", host="away.example.org")
    lab.ctl("renew", "away", "--wait")
    check_pair(lab, lab.live / "away")


def test_parallel(make_lab, pebble_kind):
    """Forty at once, from an empty state: one account, forty certificates, no more."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(pebble_kind, nonce_reject=5, front=True)
    lab.start_nginx()
    for i in range(40):
        lab.snippet("p%02d" % i)
    lab.start()
    wait_until(lambda: sum(c["state"] == "waiting" and c["generation"] == 1 for c in lab.ctl.list()) == 40, 90,
               lambda: "forty; there are %s" % [(c["name"], c["state"]) for c in lab.ctl.list() if c["state"] != "waiting"])
    for i in range(40):
        check_pair(lab, lab.live / ("p%02d" % i), ["p%02d.example.org" % i])
    assert pebble.accounts() == 1 and pebble.issued() == 40
