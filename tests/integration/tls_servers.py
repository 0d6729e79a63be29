# SPDX-License-Identifier: ISC
"""Real servers that begin TLS on request only, on loopback, each out of a folder of its own below a lab's and as the user its dovad runs as. They serve
the pair of an install target. `openssl s_client` is the judge of what they serve."""
import glob
import grp
import os
import pwd
import subprocess
from pathlib import Path

from lab import ROOT, SBIN, free_ports, parse_chain, require


class Server:
    word = ""      # what `starttls` calls its protocol
    program = ""   # that must be there

    def __init__(self, lab, host):
        require(Path(self.program).exists(), self.program)
        self.lab, self.host, self.target, self.port = lab, host, lab.tls / host, free_ports(1)[0]
        self.folder = lab.root / self.word
        self.user = lab.owner or pwd.getpwuid(os.geteuid()).pw_name
        self.group = grp.getgrgid(pwd.getpwnam(self.user).pw_gid).gr_name
        self.make(self.folder)
        self.process = None

    def make(self, *folders):
        for folder in folders:
            folder.mkdir(mode=0o700)
            self.lab.give(folder)

    def pair(self):
        return {"chain": self.target / "fullchain.pem", "key": self.target / "privkey.pem"}

    def setting(self, name, text):
        return self.lab.write(self.folder / name, text % dict(self.pair(), port=self.port, folder=self.folder, user=self.user, group=self.group,
                                                             host=self.host, tls=self.lab.tls))

    def start(self):
        self.process = self.lab.run(self.word, self.argv())
        self.lab.wait_port(self.port, self.process)

    def reload(self):
        """The command by which it takes another pair."""
        return ["/bin/sh", "-c", "kill -HUP %d" % self.process.pid]

    def service(self, command=None):
        return '{ name = "%s"; command = [ %s ]; look = [ "127.0.0.1:%d" ]; starttls = "%s"; }' % (
            self.word, ", ".join('"%s"' % a for a in command or self.reload()), self.port, self.word)

    def served(self):
        """The leaf that it shows, None when it shows none."""
        done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.port, "-starttls", self.word, "-servername", self.host,
                               "-showcerts"] + (["-xmpphost", self.host] if self.word == "xmpp" else []),
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30, env={"PATH": SBIN})
        chain = parse_chain(done.stdout)
        return chain[0] if chain else None


class Postgres(Server):
    word, program = "postgres", (sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres")) or ["/usr/lib/postgresql"])[-1]

    def argv(self):
        data = self.folder / "data"
        who = dict(user=self.user, group=self.group, extra_groups=[]) if ROOT else {}
        subprocess.run([str(Path(self.program).with_name("initdb")), "-D", data, "-A", "trust", "--locale=C", "--no-sync"], check=True,
                       stdout=subprocess.DEVNULL, env=self.lab.env, cwd=self.folder, **who)
        conf = self.setting("postgresql.conf", """
listen_addresses = '127.0.0.1'
port = %(port)d
unix_socket_directories = ''
fsync = off
ssl = on
ssl_cert_file = '%(chain)s'
ssl_key_file = '%(key)s'
""")
        return [self.program, "-D", data, "-c", "config_file=%s" % conf]


class Slapd(Server):
    """slapd has no signal for it: setting the names of the files anew makes it read them."""
    word, program = "ldap", "/usr/sbin/slapd"

    def argv(self):
        uid, gid = pwd.getpwnam(self.user).pw_uid, pwd.getpwnam(self.user).pw_gid
        conf = self.setting("slapd.conf", """
pidfile %%(folder)s/pid
TLSCertificateFile %%(chain)s
TLSCertificateKeyFile %%(key)s
database config
access to * by dn.exact="gidNumber=%d+uidNumber=%d,cn=peercred,cn=external,cn=auth" manage by * none
""" % (gid, uid))
        self.ldapi = "ldapi://" + str(self.folder / "ldapi").replace("/", "%2F")
        return [self.program, "-f", conf, "-h", "ldap://127.0.0.1:%d %s" % (self.port, self.ldapi), "-d", "0"]

    def reload(self):
        ldif = self.setting("again.ldif", """dn: cn=config
changetype: modify
replace: olcTLSCertificateFile
olcTLSCertificateFile: %(chain)s
-
replace: olcTLSCertificateKeyFile
olcTLSCertificateKeyFile: %(key)s
""")
        return ["/usr/bin/ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", self.ldapi, "-f", str(ldif)]


class Dovecot(Server):
    program = "/usr/sbin/dovecot"
    OLD = {"head": "", "pair": "ssl_cert = <%(chain)s\nssl_key = <%(key)s", "passdb": "passdb {\n  driver = static\n  args = nopassword=y\n}"}
    NEW = {"head": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0",
           "pair": "ssl_server_cert_file = %(chain)s\nssl_server_key_file = %(key)s",
           "passdb": "passdb static {\n  fields {\n    nopassword = yes\n  }\n}"}

    def argv(self):
        self.make(self.folder / "run", self.folder / "state")
        version = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        words = dict(self.OLD if version.startswith("2.3.") else self.NEW, word=self.word)
        conf = self.setting("dovecot.conf", """%(head)s
protocols = %(word)s
base_dir = %%(folder)s/run
state_dir = %%(folder)s/state
log_path = /dev/stderr
listen = 127.0.0.1
default_internal_user = %%(user)s
default_internal_group = %%(group)s
default_login_user = %%(user)s
ssl = yes
%(pair)s
%(passdb)s
service anvil {
  chroot =
}
service %(word)s-login {
  chroot =
  inet_listener %(word)s {
    port = %%(port)d
  }
  inet_listener %(word)ss {
    port = 0
  }
}
""" % words)
        return [self.program, "-F", "-c", conf]


class DovecotImap(Dovecot):
    word = "imap"


class DovecotPop3(Dovecot):
    word = "pop3"


class Prosody(Server):
    """It finds the pair by itself, below its folder of certificates, by the name of the host."""
    word, program = "xmpp", "/usr/bin/prosody"

    def argv(self):
        self.make(self.folder / "data")
        conf = self.setting("prosody.cfg.lua", """
pidfile = "%(folder)s/pid"
data_path = "%(folder)s/data"
log = { { levels = { min = "info" }, to = "console" } }
interfaces = { "127.0.0.1" }
c2s_ports = { %(port)d }
c2s_direct_tls_ports = { }
modules_enabled = { "tls", "saslauth" }
modules_disabled = { "s2s" }
certificates = "%(tls)s"
VirtualHost "%(host)s"
""")
        return [self.program, "-F", "--config", conf]


class Exim(Server):
    word, program = "smtp", "/usr/sbin/exim4"

    def argv(self):
        self.make(self.folder / "spool", self.folder / "log")
        conf = self.setting("exim.conf", """
primary_hostname = %(host)s
exim_user = %(user)s
exim_group = %(group)s
daemon_smtp_ports = %(port)d
local_interfaces = 127.0.0.1
spool_directory = %(folder)s/spool
log_file_path = %(folder)s/log/%%slog
tls_advertise_hosts = *
tls_certificate = %(chain)s
tls_privatekey = %(key)s
""")
        return [self.program, "-C", conf, "-bdf"]


SERVERS = [Exim, DovecotImap, DovecotPop3, Slapd, Postgres, Prosody]
