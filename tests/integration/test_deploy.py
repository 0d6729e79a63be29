# SPDX-License-Identifier: ISC
"""Install, test, reload, look: success is what is served; what goes wrong is taken back and told; hostile folders get nothing."""
import http.client
import json
import os
import re
import shutil
import stat
import subprocess
import urllib.error
import urllib.request

import pytest

from lab import BUILD, ROOT, Refused, alive, check_pair, fingerprint, free_ports, parse_chain, served_by, wait_until


@pytest.fixture
def site(lab):
    """A first certificate is in place and served; lab.leaf is it."""
    lab.start()
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    lab.wait_issued("site")
    lab.leaf = lab.installed("site")
    lab.wait_served(lab.leaf, "site.example.org")
    return lab


def use_service(lab, **how):
    lab.services = [lab.nginx_service(**how)]
    lab.write_config()
    assert lab.ctl("reload")["errors"] == 0


def script(lab, name, text):
    """A command of the admin's."""
    path = lab.write(name, "#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def renew(lab, name="site"):
    """Forced; the failure it ends with, None when it ends well."""
    try:
        lab.ctl("renew", name, "--force", "--wait", timeout=120)
    except Refused as refused:
        assert refused.code == 1
        return refused.error["parameters"]
    return None


def assert_old_one_stays(lab):
    """On disk and on the wire the previous certificate is back."""
    assert check_pair(lab, lab.tls / "site") == lab.leaf
    assert check_pair(lab, lab.live / "site") == lab.leaf
    lab.wait_served(lab.leaf, "site.example.org")
    wait_until(lambda: lab.ctl.show("site")["fingerprint"] == fingerprint(lab.leaf), 5, "the old one shown as installed")


def test_configuration_test_fails(site):
    """The previous generation comes back, nothing is reloaded, the reason is the command's own words; mended, the same certificate is used."""
    mark = site.root / "reloaded"
    bad = script(site, "nginx-test", 'echo "syntax is wrong in line 7" >&2; exit 1\n')
    use_service(site, test=[bad], command=[script(site, "nginx-load", "echo x >> %s\nexec %s\n" % (mark, " ".join(site.nginx_argv("-s", "reload"))))])
    watch = site.watch()
    failure = renew(site)
    assert failure["kind"] == "local" and "with the previous certificate, too: service nginx: " in failure["detail"] and "syntax is wrong in line 7" in failure["detail"]
    assert watch.find("rolled-back", "site") and not watch.find("look", "site")
    assert_old_one_stays(site)
    assert site.ctl.show("site")["state"] == "failed"
    issued = site.pebbles[0].issued()
    # The paid-for certificate is kept: what is tried again needs no other one.
    script(site, "nginx-test", "exit 0\n")
    assert renew(site) is None
    assert site.pebbles[0].issued() == issued
    leaf = check_pair(site, site.tls / "site")
    assert leaf != site.leaf
    site.wait_served(leaf, "site.example.org")


def test_configuration_test_prints_a_lot(site):
    """A gigabyte of output does not fill memory, and control characters do not reach the log."""
    use_service(site, test=[script(site, "loud", "printf '\\033[31mred\\n'; head -c 200000000 /dev/zero; exit 3\n")])
    failure = renew(site)
    assert failure and "\x1b" not in str(failure) and len(str(failure)) < 8000
    assert "\x1b" not in site.log()
    assert_old_one_stays(site)


def test_reload_hangs(site):
    """Ended with all it started after the timeout of the service; the previous generation comes back."""
    pids = site.root / "pids"
    hang = script(site, "hang", 'trap "" TERM\necho $$ >> %s\n(trap "" TERM; exec sleep 600) &\necho $! >> %s\nwait\n' % (pids, pids))
    use_service(site, command=[hang], more='timeout = "1s";')
    failure = renew(site)
    assert failure["kind"] == "local" and "reload" in failure["detail"]
    wait_until(lambda: not any(alive(int(p)) for p in pids.read_text().split()), 10, "what the command started to be gone")
    assert_old_one_stays(site)


def test_reload_fails(site):
    use_service(site, command=[script(site, "fail", 'echo "no, thanks" >&2; exit 4\n')])
    failure = renew(site)
    assert "service nginx: " in failure["detail"] and "no, thanks" in failure["detail"]
    assert_old_one_stays(site)


def test_command_is_missing(site):
    """Not there, not executable, a folder: said as it is."""
    for command in (site.root / "not-there", site.write("plain", "x"), site.root):
        use_service(site, command=[command])
        failure = renew(site)
        assert failure and (str(command) in failure["detail"] or "start" in failure["detail"]), failure
        assert_old_one_stays(site)


def test_reload_kills_the_service(site):
    """Nobody answers any more: the failure says so, the previous generation is back on disk; restarted, the service shows it."""
    use_service(site, command=[script(site, "killer", "pid=$(cat %s/nginx/pid)\nkill -9 $pid $(pgrep -P $pid)\n" % site.root)])
    failure = renew(site)
    assert failure and ("127.0.0.1:%d" % site.tls_port) in failure["detail"]
    assert check_pair(site, site.tls / "site") == site.leaf
    site.start_nginx()
    site.wait_served(site.leaf, "site.example.org")


def test_keeps_serving_the_old_one(site):
    """Reload says all is well, the wire says otherwise: stale, told with what is served instead; the new one stays in place, and it is never called a success."""
    use_service(site, command=["/bin/true"])
    watch = site.watch()
    site.add_site("first")
    site.snippet("first", install=True, service="nginx")
    site.wait_state("first", "stale")  # nginx's own test fails before its files are there
    failure = renew(site)
    assert failure["type"] == "stale" and "still serves another certificate" in failure["detail"]
    check_pair(site, site.tls / "first", ["first.example.org"])
    shown = site.ctl.show("site")
    assert shown["state"] == "stale" and shown["next_at"]
    assert not watch.find("rolled-back") and not watch.find("done", "site")
    new = check_pair(site, site.tls / "site")
    assert new != site.leaf and new == check_pair(site, site.live / "site")
    assert shown["fingerprint"] == fingerprint(new) and [t["serves"] for t in shown["targets"]] == [fingerprint(site.leaf)]
    assert shown["targets"][0]["not_after"] and "that one ends" in site.ctl.run("show", "site", json_out=False).stdout
    site.wait_served(site.leaf, "site.example.org")
    status = site.ctl("status")
    assert status["counts"]["stale"] == 2 and {c["name"] for c in status["failing"]} == {"site", "first"}
    assert site.ctl.run("list", "--failing", json_out=False).stdout.count("site") >= 1
    # The service mended, the same certificate is deployed.
    issued = site.pebbles[0].issued()
    use_service(site)
    assert renew(site) is None and site.pebbles[0].issued() == issued
    site.wait_served(site.installed("site"), "site.example.org")


def test_operator_goes_back(site):
    """The one before is served again, across a restart too, until somebody renews."""
    assert renew(site) is None
    newer = site.installed("site")
    site.wait_served(newer, "site.example.org")
    site.ctl("rollback", "site", "--wait", timeout=60)
    assert_old_one_stays(site)
    shown = site.ctl.show("site")
    assert (shown["state"], shown["generation"], shown["last_error"]["type"]) == ("held", 1, "rolledBack")
    with pytest.raises(Refused, match="already"):
        site.ctl("rollback", "site")
    site.kill9()
    site.restart()
    assert_old_one_stays(site)
    assert site.ctl.show("site")["state"] == "held"
    site.ctl("renew", "site", "--wait", timeout=60)
    assert site.ctl.show("site")["state"] == "waiting"
    assert site.installed("site") not in (site.leaf, newer)
    site.wait_served(site.installed("site"), "site.example.org")


def test_readers_see_whole_pairs(lab):
    """Whoever opens the folder once, or the one file with both, finds key and chain together at any moment of many renewals."""
    names = ["one", "two", "three"]
    lab.start()
    for name in names:
        lab.snippet(name, text='certificate = { names = [ "%s.example.org" ]; install = ( { dir = "%s"; bundle = true; } ); };\n' % (name, lab.tls / name))
    for name in names:
        lab.wait_issued(name)
    readers = [lab.run("pairs-" + mode, [BUILD / "tests/bench/pairs", lab.tls, mode] + names) for mode in ("dir", "bundle")]
    for _ in range(8):
        for name in names:
            lab.ctl("renew", name, "--force", "--wait")
    for reader, mode in zip(readers, ("dir", "bundle")):
        reader.end()
        found = json.loads(lab.log("pairs-" + mode))
        assert found["pairs"] > 20 and found["reads"] > 1000 and (found["mixed"], found["missing"]) == (0, 0)


def targets(lab, name):
    return {t["address"]: t["ok"] for t in lab.ctl.show(name)["targets"]}


def test_looks_where_the_name_leads(make_lab):
    """At each address of the name on this host. One where the service does not listen is told of, one that shows another certificate makes it stale."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble()
    lab.nginx_conf(more="server { %s root %s; }" % ("".join("listen 127.0.0.%d:%d; " % (n, lab.http_port) for n in (5, 6)), lab.web))
    lab.nginx = lab.run("nginx", lab.nginx_argv())
    lab.wait_port(lab.tls_port, lab.nginx)
    lab.dns("add-a", host="site.example.org", addresses=["127.0.0.5", "127.0.0.6"])
    here, there = ("127.0.0.%d:%d" % (n, lab.tls_port) for n in (5, 6))
    site = lab.add_site("site")
    site.write_text(site.read_text().replace("127.0.0.1:", "127.0.0.5:"))
    lab.services = [lab.nginx_service(look=False, more='look = [ "*:%d" ];' % lab.tls_port)]
    lab.start()
    lab.snippet("site", install=True, service="nginx")
    lab.wait_issued("site")
    assert targets(lab, "site") == {here: True, there: False}
    assert lab.log().count("an address of the name on this host does not answer") == 1
    lab.write("sites/other.conf", "server { listen %s ssl; ssl_certificate %s; ssl_certificate_key %s; }" % (
        there, lab.fixtures / "placeholder.pem", lab.fixtures / "placeholder.key"))
    assert renew(lab)["type"] == "stale"
    assert targets(lab, "site") == {here: True, there: False}
    site.write_text(site.read_text().replace("server_name", "listen %s ssl; server_name" % there))
    assert renew(lab) is None
    assert targets(lab, "site") == {here: True, there: True}


def test_two_kinds_of_keys(lab):
    """nginx has a certificate of each kind for one name: each is seen, whichever it would show by itself."""
    lab.start()
    lab.write("sites/site.conf", "server { listen 127.0.0.1:%d ssl; server_name site.example.org; %s }" % (lab.tls_port, "".join(
        "ssl_certificate %s/fullchain.pem; ssl_certificate_key %s/privkey.pem; " % (lab.tls / kind, lab.tls / kind) for kind in ("ec", "rsa"))))
    for kind in ("ec", "rsa"):
        (lab.tls / kind).symlink_to(lab.fixtures / "first")
    (lab.fixtures / "first").mkdir()
    for name, source in (("fullchain.pem", "placeholder.pem"), ("privkey.pem", "placeholder.key")):
        shutil.copy(lab.fixtures / source, lab.fixtures / "first" / name)
    for kind, key in (("ec", "ecdsa-p256"), ("rsa", "rsa-2048")):
        lab.snippet(kind, names=["site.example.org"], install=True, service="nginx", more='key = "%s";' % key)
    for kind in ("ec", "rsa"):
        lab.wait_issued(kind)
        assert all(t["ok"] for t in lab.ctl.show(kind)["targets"])
    assert lab.ctl("renew", "rsa", "--force", "--wait") and all(t["ok"] for t in lab.ctl.show("rsa")["targets"])


def test_two_services_one_fails(site):
    """Both are told apart; the failing one takes the certificate back for both, so that they agree."""
    other = free_ports(1)[0]
    site.add_site("site")
    site.write("sites/other.conf", "server {\n\tlisten 127.0.0.1:%d ssl; server_name site.example.org;\n\tssl_certificate %s/site/fullchain.pem;\n"
               "\tssl_certificate_key %s/site/privkey.pem;\n}\n" % (other, site.tls, site.tls))
    fake = '{ name = "other"; command = [ "%s" ]; look = [ "127.0.0.1:%d" ]; }' % (script(site, "no", "exit 1\n"), other)
    site.services = [site.nginx_service(), fake]
    site.write_config()
    site.snippet("site", text='certificate = { names = [ "site.example.org" ]; install = ( { dir = "%s/site"; } ); service = [ "nginx", "other" ]; };\n'
                 % site.tls)
    assert site.ctl("reload")["errors"] == 0
    failure = renew(site)
    assert failure and failure["during"] == "reload" and "exited with 1" in failure["detail"], failure
    assert check_pair(site, site.tls / "site") == site.leaf


def test_one_reload_for_many(make_lab):
    """Certificates that come together are put into service together: one test, one reload."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    counted = lab.root / "counted"
    lab.services = ['{ name = "all"; test = [ "%s", "test" ]; command = [ "%s", "load" ]; }' % ((script(lab, "count", "echo $1 >> %s\n" % counted),) * 2)]
    lab.start()
    names = ["site%d" % i for i in range(20)]
    watch = lab.watch()
    lab.snippet("all", text="certificate = ( %s );\n" % ", ".join(
        '{ name = "%s"; names = [ "%s.example.org" ]; service = [ "all" ]; }' % (name, name) for name in names))
    for name in names:
        watch.wait("done", name, timeout=120)
    assert counted.read_text().split() == ["test", "load"]


def test_service_reads_the_pairs_of_all(make_lab):
    """A command that takes its time between the keys and the chains of all certificates never sees one that is being switched."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    names, mixed = ["site%d" % i for i in range(12)], lab.root / "mixed"
    reader = lab.write("reader", READER % (lab.tls, mixed))
    reader.chmod(0o755)
    lab.services = [lab.nginx_service(look=False, test=[reader], command=[reader])]
    lab.start()
    watch = lab.watch()
    for name in names:
        lab.snippet(name, install=True, service="nginx")
    for name in names:
        lab.wait_issued(name, timeout=120)
    renewed = len(watch.events)
    for name in names:  # installed one after the other, while those before are tested
        lab.ctl("renew", name, "--force")
    for name in names:
        watch.wait("done", name, timeout=60, after=renewed)
    assert not mixed.exists(), mixed.read_text()
    assert not watch.find("rolled-back") and not watch.find("failed")


READER = """#!/usr/bin/python3
import pathlib, sys, time
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

def public(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

keys = {key.parent: key.read_bytes() for key in pathlib.Path("%s").glob("*/privkey.pem")}
time.sleep(0.3)
for folder, key in keys.items():
    leaf = x509.load_pem_x509_certificate((folder / "fullchain.pem").read_bytes())
    if public(load_pem_private_key(key, None).public_key()) != public(leaf.public_key()):
        with open("%s", "a") as told:
            told.write(folder.name + "\\n")
        sys.exit("the key of %%s is another one" %% folder)
"""


def test_service_without_look(lab):
    """Nothing to look at: in place is all that can be said."""
    lab.services = [lab.nginx_service(look=False)]
    lab.start()
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    lab.wait_issued("site")
    lab.wait_served(lab.installed("site"), "site.example.org")
    assert "certificate is in place" in lab.log() and "certificate is served" not in lab.log()


def test_short_chain_is_noticed(lab):
    """A service that shows the leaf without its chain is told of."""
    lab.start()
    lab.write("sites/site.conf", "server {\n\tlisten 127.0.0.1:%d ssl; server_name site.example.org;\n\tssl_certificate %s/site/cert.pem;\n"
              "\tssl_certificate_key %s/site/privkey.pem;\n}\n" % (lab.tls_port, lab.tls, lab.tls))
    lab.snippet("site", install=True, service="nginx")
    c = lab.wait_state("site", "stale", timeout=60)
    assert "fullchain.pem" in c["last_error"]["detail"]


# --- the places files go ---

def test_target_with_files_in_it(lab):
    """An admin's own folder is not overwritten: what to do is said; done, it goes on with the same certificate."""
    folder = lab.tls / "site"
    folder.mkdir()
    lab.give(folder)
    (folder / "notes.txt").write_text("mine")
    lab.start()
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    c = lab.wait_state("site", "failed")
    assert str(folder) in c["last_error"]["detail"] and "mv" in c["last_error"]["detail"]
    assert (folder / "notes.txt").read_text() == "mine"
    check_pair(lab, lab.live / "site")  # what was issued is kept
    folder.rename(lab.tls / "site.old")
    assert lab.ctl("renew", "site", "--wait")
    assert lab.pebbles[0].issued() == 1
    lab.wait_served(check_pair(lab, lab.tls / "site"), "site.example.org")


@pytest.mark.parametrize("what", ["file", "fifo"])
def test_target_is_something_else(lab, what):
    target = lab.tls / "site"
    {"file": lambda: target.write_text("mine"), "fifo": lambda: os.mkfifo(target)}[what]()
    before = os.lstat(target)
    lab.start()
    lab.snippet("site", install=True)
    lab.targets.clear()
    c = lab.wait_state("site", "failed")
    assert str(target) in c["last_error"]["detail"]
    after = os.lstat(target)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


def test_target_is_a_link(lab):
    """An admin's link to what was there before dovad gives way, with a notice; where it led to nothing changes."""
    old = lab.root / "old"
    old.mkdir()
    (old / "privkey.pem").write_text("mine")
    (lab.tls / "site").symlink_to(old)
    (lab.tls / "other").symlink_to("/nowhere")
    lab.start()
    lab.snippet("site", install=True)
    lab.snippet("other", install=True)
    for name in ("site", "other"):
        lab.wait_issued(name)
        check_pair(lab, lab.tls / name)
    assert (old / "privkey.pem").read_text() == "mine" and len(list(old.iterdir())) == 1
    assert "was=%s" % old in lab.log()


def test_target_cannot_be_written(lab):
    """Its folder belongs to another or may not be written: named, live/NAME is done all the same."""
    closed = lab.root / "closed"
    closed.mkdir(mode=0o555)
    if ROOT:
        shutil.chown(closed, "root", "root")
    lab.start()
    lab.snippet("site", install=closed / "site")
    lab.targets.clear()
    c = lab.wait_state("site", "failed")
    assert str(closed) in c["last_error"]["detail"]
    check_pair(lab, lab.live / "site")


@pytest.mark.parametrize("umask", ["022", "000", "077"])
def test_modes_of_files(lab, umask):
    lab.start(wrapper=["sh", "-c", 'umask %s; exec "$@"' % umask, "sh"])
    lab.snippet("a", text='certificate = { names = [ "a.example.org" ]; install = ( { dir = "%s/a"; mode = "0600"; } ); };\n' % lab.tls)
    lab.snippet("b", install=True)
    lab.targets.update(a=lab.tls / "a")
    for name, mode in (("a", 0o600), ("b", 0o640)):
        lab.wait_issued(name)
        for file in ("privkey.pem", "fullchain.pem", "cert.pem", "chain.pem"):
            assert stat.S_IMODE((lab.tls / name / file).stat().st_mode) == mode
    assert stat.S_IMODE((lab.live / "b").stat().st_mode) & 0o007 == 0
    open_ones = [p for p in lab.keeper.rglob("*") if p.is_file() and not p.is_symlink() and p.stat().st_mode & 0o007]
    assert not open_ones
    writable = [p for top in (lab.keeper, lab.state, lab.runtime, lab.tls, lab.web) for p in top.rglob("*")
                if not p.is_symlink() and not p.is_socket() and p.stat().st_mode & 0o022]
    assert not writable, writable


# --- other forms, and files of certain names ---

def openssl(*argv):
    done = subprocess.run(["openssl"] + [str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_forms(lab, key_der, cert_der, p12, password):
    """What OpenSSL's own commands find is the pair in live/site."""
    leaf, *rest = parse_chain((lab.live / "site/fullchain.pem").read_bytes())
    key = (lab.live / "site/privkey.pem").read_bytes()

    def text(pem):
        return re.search(b"-----BEGIN PRIVATE KEY-----.+-----END PRIVATE KEY-----", pem, re.S).group(0)
    assert parse_chain(openssl("x509", "-inform", "DER", "-in", cert_der)) == [leaf]
    assert text(openssl("pkey", "-inform", "DER", "-in", key_der)) == text(key)
    asked = ["pkcs12", "-in", p12, "-passin", "pass:" + password]
    assert parse_chain(openssl(*asked, "-nokeys", "-clcerts")) == [leaf]
    assert parse_chain(openssl(*asked, "-nokeys", "-cacerts")) == rest
    assert text(openssl(*asked, "-nocerts", "-nodes")) == text(key)
    assert b"friendlyName: site\n" in openssl(*asked, "-nokeys", "-clcerts")
    wrong = subprocess.run(["openssl", "pkcs12", "-in", str(p12), "-passin", "pass:wrong", "-nokeys"], capture_output=True, timeout=30)
    assert wrong.returncode != 0


def check_all_forms(lab):
    """The folder's and the named files' alike."""
    leaf = check_pair(lab, lab.tls / "site")
    names = {"key.pem": "privkey.pem", "full.pem": "fullchain.pem", "cert.pem": "cert.pem", "chain.pem": "chain.pem", "both.pem": "bundle.pem"}
    for own, name in names.items():
        assert (lab.tls / "mail" / own).read_bytes() == (lab.tls / "site" / name).read_bytes(), own
    check_forms(lab, lab.tls / "site/privkey.der", lab.tls / "site/cert.der", lab.tls / "site/bundle.p12", "hush")
    check_forms(lab, lab.tls / "mail/key.der", lab.tls / "mail/cert.der", lab.tls / "mail/site.p12", "")
    assert not list((lab.tls / "mail").glob(".*"))
    return leaf


FORMS = """certificate = { names = [ "site.example.org" ]; service = [ "nginx" ]; install = (
  { dir = "%s/site"; bundle = true; der = true; pkcs12 = true; pkcs12_password = "credential:p12"; },
  { key_file = "%s/mail/key.pem"; fullchain_file = "%s/mail/full.pem"; cert_file = "%s/mail/cert.pem"; chain_file = "%s/mail/chain.pem";
    bundle_file = "%s/mail/both.pem"; pkcs12_file = "%s/mail/site.p12"; key_der_file = "%s/mail/key.der"; cert_der_file = "%s/mail/cert.der";
    mode = "0600"; } ); };
"""


def test_all_forms(lab):
    """Every form and every named file, read by other programs; renewed, taken back and repaired together with the rest."""
    lab.credential("p12", "hush\n")
    lab.start()
    lab.add_site("site")
    lab.snippet("site", text=FORMS % ((lab.tls,) * 9))
    lab.wait_issued("site")
    leaf = check_all_forms(lab)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (lab.tls / "mail").iterdir()} == {0o600}
    assert str(lab.tls / "mail/key.pem") in lab.ctl.show("site")["install"]
    # HAProxy takes the bundle as it is.
    port = free_ports(1)[0]
    conf = lab.write("haproxy.cfg", "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n"
                     "frontend f\n  bind 127.0.0.1:%d ssl crt %s/site/bundle.pem\n" % (port, lab.tls))
    lab.wait_port(port, lab.run("haproxy", ["/usr/sbin/haproxy", "-db", "-f", conf]))
    assert served_by(port, "site.example.org") == leaf
    # One that a service refuses is taken back everywhere.
    use_service(lab, test=[script(lab, "bad", "exit 1\n")])
    assert renew(lab)
    assert check_all_forms(lab) == leaf
    use_service(lab)
    assert renew(lab) is None
    new = check_all_forms(lab)
    assert new != leaf
    # A mixture and leftovers, as of a power cut, are put right at the start.
    (lab.tls / "mail/key.pem").write_bytes((lab.fixtures / "placeholder.key").read_bytes())
    lab.write("tls/mail/.full.pem.dovad-new", "half", 0o600)
    lab.restart()
    assert check_all_forms(lab) == new


def test_damage_is_repaired_at_start(site):
    """A pair that somebody mixed up, or a file that is gone, is made whole from the kept generation."""
    (site.tls / "site/privkey.pem").write_bytes((site.fixtures / "placeholder.key").read_bytes())
    site.restart()
    assert check_pair(site, site.tls / "site") == site.leaf
    os.unlink(site.tls / "site")
    site.restart()
    assert check_pair(site, site.tls / "site") == site.leaf
    assert site.pebbles[0].issued() == 1


def test_restored_by_hand_is_whole_still(site):
    """Files of the current generation are damaged in dovad's own store: an earlier one, or a fresh order, never a broken pair."""
    assert renew(site) is None
    current = (site.live / "site").resolve()
    (current / "privkey.pem").write_bytes((site.fixtures / "placeholder.key").read_bytes())
    site.restart()
    check_pair(site, site.live / "site")
    check_pair(site, site.tls / "site")


# --- a webroot that belongs to an enemy ---

@pytest.fixture
def enemy(make_lab):
    """nginx serves the webroot, of which somebody else is the owner."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble()
    lab.start_nginx()
    lab.start()
    lab.challenges = lab.web / ".well-known/acme-challenge"
    lab.outside = lab.root / "outside"
    lab.outside.mkdir()
    lab.give(lab.outside)
    return lab


def assert_refused(lab, says):
    lab.snippet("site")
    c = lab.wait_state("site", "failed", "held")
    assert says in c["last_error"]["detail"], c["last_error"]
    assert not list(lab.outside.iterdir())


def test_webroot_folder_is_a_link(enemy):
    (enemy.web / ".well-known").mkdir()
    enemy.give(enemy.web / ".well-known")
    enemy.challenges.symlink_to(enemy.outside)
    assert_refused(enemy, "symbolic link")
    enemy.challenges.unlink()
    enemy.ctl("renew", "site", "--wait")


def test_webroot_parent_is_a_link(enemy):
    (enemy.web / ".well-known").symlink_to(enemy.outside)
    assert_refused(enemy, "symbolic link")


def test_webroot_is_gone_or_a_file(enemy):
    enemy.web.rmdir()
    assert_refused(enemy, str(enemy.web))
    enemy.web.write_text("x")
    with pytest.raises(Refused):
        enemy.ctl("renew", "site", "--wait")
    enemy.web.unlink()
    enemy.web.mkdir()
    enemy.give(enemy.web)
    enemy.ctl("renew", "site", "--wait")


@pytest.mark.parametrize("plant", ["fifo", "folder", "link", "hard link"])
def test_planted_in_place_of_the_file(make_lab, plant):
    """As soon as the token is known something else stands there: nothing outside is touched, nothing blocks, others go on."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(authz_reuse=100)
    lab.start_nginx()
    outside = lab.root / "outside.txt"
    outside.write_text("precious")
    lab.give(outside)
    lab.start()
    challenges = lab.web / ".well-known/acme-challenge"
    challenges.mkdir(parents=True)
    lab.give(challenges)
    lab.give(challenges.parent)
    seen = set()

    def swap():
        for f in list(challenges.iterdir()):
            if f.name in seen:
                continue
            seen.add(f.name)
            try:
                f.unlink()
                {"fifo": lambda: os.mkfifo(f), "folder": f.mkdir, "link": lambda: f.symlink_to(outside), "hard link": lambda: os.link(outside, f)}[plant]()
            except OSError:
                continue
        return lab.ctl.show("site") and lab.ctl.show("site")["state"] in ("failed", "held", "waiting") and (
            lab.ctl.show("site")["attempts"] or lab.ctl.show("site")["generation"])
    lab.snippet("site")
    wait_until(swap, 60, "the end of the attempt", every=0)
    lab.snippet("other")
    lab.wait_issued("other")
    assert outside.read_text() == "precious" and outside.stat().st_size == 8
    for f in list(challenges.iterdir()):  # dovad leaves alone what is not its own
        f.rmdir() if f.is_dir() and not f.is_symlink() else f.unlink()


def test_served_by_dovad_only_while_it_is_needed(make_lab):
    """The listener knows its tokens and nothing else."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(sleep=3)
    lab.https = ['{ name = "own"; type = "listener"; listen = [ "127.0.0.1:%d" ]; }' % lab.http_port]
    lab.start()
    watch = lab.watch()
    lab.snippet("site", prove='"http:own"')
    watch.wait("prove", "site")
    base = "http://127.0.0.1:%d" % lab.http_port

    def status(path, method="GET", data=None):
        try:
            with urllib.request.urlopen(urllib.request.Request(base + path, data, method=method), timeout=5) as r:
                return r.status
        except urllib.error.HTTPError as e:
            return e.code
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return None
    wait_until(lambda: status("/") is not None, 10, "an answer of the listener")
    for path in ("/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/x", "/.well-known/acme-challenge/../../etc/passwd",
                 "/.well-known/acme-challenge/%2e%2e/x", "//.well-known/acme-challenge/x", "/" + "a" * 8000):
        assert status(path) in (404, 400, 414, None), path
    assert status("/.well-known/acme-challenge/x", "POST", b"y" * 100000) in (404, 405, 413, 400, None)
    lab.wait_issued("site")
