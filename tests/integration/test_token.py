# SPDX-License-Identifier: ISC
"""Keys on a PKCS#11 token (SoftHSM, behind a module that counts logins and fails on request): of an account, and of a certificate that is issued, served
by OpenSSL out of the token and renewed."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conftest import root_only
from lab import Refused, check_pair, fingerprint, free_ports, require, served_by, wait_until
from test_crash import again

REAL = "/usr/lib/softhsm/libsofthsm2.so"
BUILD = Path(os.environ.get("DOVAD_BUILD") or Path(__file__).parents[2])


class Token:
    """One, "web", with the PIN 1234."""

    def __init__(self, lab):
        self.lab, self.folder = lab, lab.root / "hsm"
        require(os.path.exists(REAL), "softhsm2")
        (self.folder / "tokens").mkdir(parents=True)
        self.module = self.folder / "module.so"
        shutil.copy(BUILD / "tests/unit/p11_module.so", self.module)
        conf = lab.write("hsm/softhsm2.conf", "directories.tokendir = %s/tokens\nlog.level = ERROR\n" % self.folder)
        lab.env.update(SOFTHSM2_CONF=str(conf), P11_TEST_DIR=str(self.folder), PKCS11_MODULE_PATH=REAL)
        self.tool("softhsm2-util", "--init-token", "--free", "--label", "web", "--so-pin", "999999", "--pin", "1234")
        lab.settings["pkcs11_module"] = '"%s"' % self.module
        self.set_pin("1234")

    def tool(self, *argv):
        subprocess.run(argv, check=True, env=dict(os.environ, **self.lab.env), stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        for path in [self.folder] + list(self.folder.rglob("*")):
            self.lab.give(path)

    def make_key(self, name, number, kind="EC:prime256v1"):
        self.tool("pkcs11-tool", "--module", REAL, "--token-label", "web", "--login", "--pin", "1234", "--keypairgen", "--key-type", kind, "--label", name,
                  "--id", "%02d" % number)

    def set_pin(self, pin):
        self.lab.credential("pin", pin + "\n")

    def fault(self, what):
        self.lab.write("hsm/fault", what)

    def count(self, what):
        log = self.folder / "log"
        return log.read_text().split().count(what) if log.exists() else 0


def key_option(name):
    return 'key = [ "pkcs11:token=web;object=%s" ]; pkcs11_pin = "credential:pin"; ' % name


@pytest.fixture
def token(make_lab):
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    lab.token = Token(lab)
    lab.token.make_key("www", 1)
    return lab.token


def serve(lab, name):
    """openssl s_server with the installed chain and the key on the token; the port."""
    port, folder = free_ports(1)[0], lab.tls / name
    p = lab.run("s_server-%d" % port, ["/usr/bin/openssl", "s_server", "-accept", "127.0.0.1:%d" % port, "-engine", "pkcs11", "-keyform", "engine", "-key",
                                       "pkcs11:token=web;object=www;pin-value=1234", "-cert", folder / "cert.pem", "-cert_chain", folder / "chain.pem",
                                       "-quiet", "-naccept", "8"])
    lab.wait_port(port, p)
    return port


def spki(cert):
    return cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_issued_served_renewed(token):
    """Account and certificate by keys on the token, which no file of ours holds; the same key at each renewal, whoever is killed meanwhile."""
    lab = token.lab
    token.make_key("account", 2, "rsa:2048")
    lab.cas = [lab.pebbles[0].block(more='account_key = "pkcs11:token=web;object=account"; pkcs11_pin = "credential:pin";')]
    lab.services = ['{ name = "it"; test = [ "/usr/bin/test", "!", "-e", "%s" ]; command = [ "/bin/true" ]; }' % (lab.root / "broken")]
    lab.start()
    lab.snippet("site", install=True, service="it", more=key_option("www"))
    lab.wait_issued("site")
    first = check_pair(lab, lab.tls / "site", ["site.example.org"])
    assert fingerprint(served_by(serve(lab, "site"), "site.example.org")) == fingerprint(first)
    for step in ["request", "install"]:
        struck = []

        def strike(event, step=step, struck=struck):
            if event["event"] == step and not struck:
                struck.append(lab.kill9("keeper"))
        generation, before = lab.ctl.show("site")["generation"], lab.pebbles[0].issued()
        watch = lab.watch(strike)
        lab.ctl("renew", "site", "--force")
        wait_until(lambda struck=struck: struck, 60, "the step " + step)
        watch.close()
        again(lab)
        lab.wait_issued("site", generation=generation + 1)
        assert lab.pebbles[0].issued() == before + 1
        leaf = check_pair(lab, lab.tls / "site")
        assert spki(leaf) == spki(first) and leaf.serial_number != first.serial_number
    assert fingerprint(served_by(serve(lab, "site"), "site.example.org")) == fingerprint(leaf)
    lab.write("broken", "x")
    with pytest.raises(Refused):
        lab.ctl("renew", "site", "--force", "--wait", timeout=60)
    assert check_pair(lab, lab.tls / "site") == leaf  # taken back
    assert lab.pebbles[0].accounts() == 1
    files = [f for f in lab.keeper.rglob("*") if f.is_file()]
    assert len(files) > 5 and not [f for f in files if b"PRIVATE KEY" in f.read_bytes()]
    assert token.count("login") > 10 and token.count("refused") == 0


def test_wrong_pin_is_told_once(token):
    """Over retries, a restart and a reload; others are issued meanwhile. The right one is taken at the next attempt."""
    lab = token.lab
    token.set_pin("4321")
    lab.start()
    lab.snippet("site", more=key_option("www"))
    failed = lab.wait_state("site", "failed")
    assert "pkcs11:token=web;object=www" in failed["last_error"]["detail"] and "refused the PIN" in failed["last_error"]["detail"]
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            lab.ctl("renew", "site", "--force", "--wait", timeout=60)
        assert "refused this PIN before" in str(refused.value)
        lab.restart()
    assert token.count("refused") == 1 and token.count("login") == 0
    assert "4321" not in lab.log() and "1234" not in lab.log()
    lab.snippet("other")
    lab.wait_issued("other")
    token.set_pin("1234")
    lab.ctl("renew", "site", "--force", "--wait", timeout=60)
    lab.wait_issued("site")
    assert token.count("refused") == 1


def test_module_hangs_and_crashes(token):
    """The keeper outlives it, and others wait once at most; a token pulled out and put back is found again."""
    lab = token.lab
    lab.settings["pkcs11_timeout"] = '"1s"'
    lab.start()
    keeper = lab.halves()["keeper"]
    for fault, why in [("absent", "no such token"), ("crash sign", "killed by signal 6"), ("hang sign", "no answer within")]:
        token.fault(fault)
        lab.snippet("site", more=key_option("www"))
        if fault == "absent":
            lab.wait_state("site", "failed")
        with pytest.raises(Refused) as refused:
            lab.ctl("renew", "site", "--force", "--wait", timeout=60)
        assert why in str(refused.value)
    lab.snippet("other")
    lab.wait_issued("other")
    assert lab.halves()["keeper"] == keeper
    token.fault("")
    with pytest.raises(Refused) as refused:
        lab.ctl("renew", "site", "--force", "--wait", timeout=60)
    assert "asked again in" in str(refused.value)
    lab.kill9("keeper")
    again(lab)
    lab.ctl("renew", "site", "--force", "--wait", timeout=60)
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site")


@root_only
def test_keeper_that_confined_itself(make_lab):
    """With neither exec nor a network, as under its unit."""
    lab = make_lab(mode="supervisor")
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    lab.token = Token(lab)
    lab.token.make_key("www", 1)
    for path in [lab.token.folder] + list(lab.token.folder.rglob("*")):
        shutil.chown(path, lab.keeper_user)
    lab.start()
    lab.snippet("site", more=key_option("www"))
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site")
    assert "confined for good" in lab.log()


def test_mistakes_are_told(token):
    """By dovad -t, with file and line, and what this host lacks."""
    lab = token.lab
    lab.snippet("site", text='certificate = {\n names = "a.example";\n key = "pkcs11:token=web;object=www?pin-value=1234"; };\n')
    said = lab.check_config()
    assert said.returncode == 78 and "site.conf:3: key" in said.stderr and "pkcs11_pin" in said.stderr and "1234" not in said.stderr
    lab.snippet("site", more=key_option("www") + 'install = { key_file = "%s/key.pem"; }; ' % lab.tls)
    said = lab.check_config()
    assert said.returncode == 78 and "site.conf:1: key_file: the key is on a token" in said.stderr
    lab.snippet("site", more=key_option("www"))
    said = lab.check_config()
    assert said.returncode == 0 and not said.stderr
    said = lab.check_config(env={"OPENSSL_ENGINES": "/nonexistent", "OPENSSL_MODULES": "/nonexistent"})
    assert said.returncode == 0 and "site.conf:1: warning: the key is on a token: OpenSSL here has no way to PKCS#11 tokens: install" in said.stderr
    lab.settings["pkcs11_module"] = '"/nonexistent.so"'
    assert "warning: the key is on a token: pkcs11_module /nonexistent.so" in lab.check_config().stderr
