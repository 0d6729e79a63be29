# SPDX-License-Identifier: ISC
"""Pebble, and what stands in front of it where orders are parallel."""
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from cryptography import x509

from lab_base import SBIN, TOP, free_ports


def newer_pebble():
    """The folder of a Pebble newer than the distribution's, None when it cannot be had. $DOVAD_PEBBLE says where it is or shall be put."""
    folder = Path(os.environ.get("DOVAD_PEBBLE") or Path(tempfile.gettempdir()) / "dovad-pebble")
    if not (folder / "pebble").exists():
        subprocess.run([str(TOP / "contrib/get-pebble.sh"), str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300, check=False)
    return folder if (folder / "pebble").exists() else None


class Pebble:
    """A CA. which: "old" (the distribution's), "new" (2.6 or newer), "best" (the new one if it can be had)."""
    _newer = []

    @classmethod
    def folder(cls, which):
        if which != "old" and not cls._newer:
            cls._newer.append(newer_pebble())
        if which == "new" and not cls._newer[0]:
            raise FileNotFoundError("no newer Pebble: see contrib/get-pebble.sh")
        return cls._newer[0] if which != "old" and cls._newer[0] else None

    def __init__(self, lab, which="best", nonce_reject=20, chain_length=3, alternate_roots=0, authz_reuse=50, validity=7776000, eab=None,
                 always_valid=False, sleep=0, front=False, retry_after=None, port=None, resolver=None,
                 caa=None):
        self.lab, folder = lab, self.folder(which)
        self.is_new = folder is not None
        self.resolver = resolver or "127.0.0.1:%d" % lab.dns_port
        self.program = folder / "pebble" if folder else shutil.which("pebble", path=SBIN)
        self.port, self.admin = port or free_ports(1)[0], free_ports(1)[0]
        self.serial = len(lab.pebbles)
        lab.pebbles.append(self)
        conf = {"listenAddress": "127.0.0.1:%d" % self.port, "managementListenAddress": "127.0.0.1:%d" % self.admin,
                "certificate": str(lab.fixtures / "api.pem"), "privateKey": str(lab.fixtures / "api.key"), "httpPort": lab.http_port,
                "tlsPort": lab.tls_port, "ocspResponderURL": "", "externalAccountBindingRequired": bool(eab), "certificateValidityPeriod": validity}
        if eab:
            conf["externalAccountMACKeys"] = eab
        if self.is_new:
            del conf["certificateValidityPeriod"]
            conf["profiles"] = {"default": {"description": "the only one", "validityPeriod": validity}}
            conf["keyAlgorithm"] = "ecdsa"
            conf["caaIdentities"] = caa or []
            conf["retryAfter"] = retry_after or {"authz": 0, "order": 0}
        self.conf = lab.write("fixtures/pebble%d.json" % self.serial, json.dumps({"pebble": conf}, indent=1))
        self.environment = {"PEBBLE_WFE_NONCEREJECT": str(nonce_reject), "PEBBLE_CHAIN_LENGTH": str(chain_length),
                            "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots), "PEBBLE_AUTHZREUSE": str(authz_reuse)}
        self.environment.update({"PEBBLE_VA_SLEEPTIME": str(sleep)} if sleep else {"PEBBLE_VA_NOSLEEP": "1"})
        if always_valid:
            self.environment["PEBBLE_VA_ALWAYS_VALID"] = "1"
        self.front = HaproxyFront(lab, self) if front else None
        self.url_port = self.front.port if front else self.port
        self.start()

    def start(self):
        self.process = self.lab.run("pebble%d" % self.serial, [self.program, "-config", self.conf, "-dnsserver", self.resolver, "-strict"], env=self.environment)
        self.lab.wait_port(self.port, self.process)
        self.roots = [self.manage("/roots/%d" % n) for n in range(1 + int(self.environment["PEBBLE_ALTERNATE_ROOTS"]))]
        self.lab.roots += [x509.load_pem_x509_certificate(r) for r in self.roots]

    def stop(self):
        self.process.kill()

    def restart(self):
        """It forgets everything: accounts, orders, its own key."""
        self.stop()
        self.start()

    def manage(self, path):
        context = ssl.create_default_context(cafile=str(self.lab.fixtures / "api.pem"))
        with urllib.request.urlopen("https://localhost:%d%s" % (self.admin, path), timeout=10, context=context) as r:
            return r.read()

    @property
    def directory(self):
        return "https://localhost:%d/dir" % self.url_port

    def block(self, name="pebble", more=""):
        """Its entry in the ca list."""
        return '{ name = "%s"; type = "acme"; directory = "%s"; agree_tos = true; ca_file = "%s"; allow_private = true; %s }' % (
            name, self.directory, self.lab.fixtures / "api.pem", more)

    def log(self):
        return self.lab.log("pebble%d" % self.serial)

    def issued(self):
        """How many certificates it made, by its own log."""
        return len(re.findall(r"Issued certificate serial", self.log()))

    def accounts(self):
        found = re.findall(r"There are now (\d+) accounts in memory", self.log())
        return int(found[-1]) if found else 0

    def requests(self, method, path=""):
        return len(re.findall(r"%s %s" % (method, path), self.log()))


class HaproxyFront:
    """Lets requests that would make Pebble deadlock through one at a time (the order of its locks is wrong), everything else freely."""

    def __init__(self, lab, pebble):
        self.port = free_ports(1)[0]
        both = lab.write("fixtures/both%d.pem" % self.port, (lab.fixtures / "api.pem").read_text() + (lab.fixtures / "api.key").read_text())
        self.lab, self.conf = lab, lab.write("fixtures/haproxy%d.cfg" % self.port, """
global
  log stderr format raw local0 err
defaults
  mode http
  timeout connect 10s
  timeout client 120s
  timeout server 120s
frontend ca
  bind 127.0.0.1:%d ssl crt %s alpn h2,http/1.1
  acl one path /order-plz
  acl one path_beg /authZ/
  use_backend serial if one
  default_backend free
backend serial
  http-reuse always
  timeout queue 120s
  server p 127.0.0.1:%d ssl verify none maxconn 1
backend free
  http-reuse always
  server p 127.0.0.1:%d ssl verify none
""" % (self.port, both, pebble.port, pebble.port))
        self.start()

    def start(self):
        self.process = self.lab.run("haproxy%d" % self.port, ["/usr/sbin/haproxy", "-db", "-f", self.conf])
        self.lab.wait_port(self.port, self.process)

    def stop(self):
        """Nobody gets through to the CA, which forgets nothing meanwhile."""
        self.process.kill()
