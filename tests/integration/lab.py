# SPDX-License-Identifier: ISC
"""A laboratory in one folder: a CA (Pebble), its name server, a web server (nginx), and dovad between them, all on loopback.

Processes are started and ended by their ids only. Nothing waits a fixed time for a result: wait_until() asks again and again until a deadline, and
Watch tells of dovad's own events as they happen. check_invariants() holds for every lab at every moment; conftest.py asks it at the end of each test.
"""
import json
import os
import pwd
import shutil
import signal as signals
import socket
import subprocess
import tempfile
import urllib.request
from pathlib import Path

# Tests need this module only.
from lab_base import *  # noqa: F401,F403
from lab_base import DOVAD, ROOT, SBIN, Process, alive, children, comm, count_fds, free_ports, tail, wait_until
from lab_certs import *  # noqa: F401,F403
from lab_certs import fingerprint, parse_chain, self_signed, served_by
from lab_check import *  # noqa: F401,F403
from lab_loop import LoopWatch  # noqa: F401
from lab_ctl import Ctl, Refused, Watch  # noqa: F401
from lab_pebble import HaproxyFront, Pebble  # noqa: F401


class Lab:
    """mode "user": dovad is one unprivileged user's (nobody when the tests run as root). mode "supervisor": started as root, its halves run as
    `user` and `keeper_user`; for root only."""

    def __init__(self, mode="user", owner="nobody", network_user="nobody", keeper_user="daemon"):
        self.mode, self.pebbles, self.processes, self.watches, self.roots = mode, [], [], [], []
        self.owner = owner if ROOT and mode == "user" else None
        self.network_user, self.keeper_user = network_user, keeper_user
        self.root = Path(tempfile.mkdtemp(prefix="dovad-lab."))
        self.root.chmod(0o755)
        self._check_reachable()
        self.logs, self.fixtures, self.web, self.tls = self.root / "log", self.root / "fixtures", self.root / "web", self.root / "tls"
        self.snippets, self.state, self.keeper, self.runtime = self.root / "conf.d", self.root / "state", self.root / "keeper", self.root / "run"
        self.socket, self.live, self.conf_file = self.runtime / "dovad.sock", self.keeper / "live", self.root / "dovad.conf"
        self.dns_port, self.dns_admin, self.http_port, self.tls_port = free_ports(4)
        self.env = {"PATH": SBIN, "HOME": str(self.root), "LC_ALL": "C", "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1",
                    "UBSAN_OPTIONS": "print_stacktrace=1"}
        for folder in [self.logs, self.fixtures, self.snippets, self.root / "credentials", self.root / "services.d", self.tls, self.web,
                       self.root / "nginx", self.root / "sites"] + ([] if mode == "supervisor" else [self.state, self.keeper, self.runtime]):
            folder.mkdir(mode=0o755)
            self.give(folder)
        self.give(self.root)
        self.web_owner = "nobody" if ROOT else None
        if mode == "supervisor":
            shutil.chown(self.web, "nobody", pwd.getpwnam("nobody").pw_gid)
        self_signed(self.fixtures, ["localhost"], "api.key", "api.pem", days=3650)  # longer than any clock is set wrong
        (self.fixtures / "api.key").chmod(0o644)
        self.placeholder = self_signed(self.fixtures, ["placeholder"], "placeholder.key", "placeholder.pem")
        (self.fixtures / "placeholder.key").chmod(0o644)
        # What stands in dovad.conf: change before start() or reconfigure(). Values as libconfig wants them.
        self.settings = {"snippets": '"conf.d"', "state": '"state"', "keeper_state": '"keeper"', "runtime": '"run"', "credentials": '"credentials"',
                         "services": '"services.d"', "resolvers": '[ "127.0.0.1:%d" ]' % self.dns_port, "http_port": str(self.http_port),
                         "contact": '[ "mailto:hostmaster@example.org" ]', "watch_delay": '"0s"'}
        if mode == "supervisor":
            self.settings.update(user='"%s"' % network_user, keeper_user='"%s"' % keeper_user)
        self.cas, self.https, self.services, self.dns_entries, self.defaults = [], ['{ name = "www"; type = "webroot"; path = "%s"; }' % self.web], [], [], ""
        self.ctl, self.dovad, self.nginx, self.base_fds = Ctl(self), None, None, {}
        self.secrets, self.targets, self.expected_exit, self.verbose = [], {}, 0, False

    # --- folder and files ---

    def _check_reachable(self):
        if not self.owner and self.mode == "user":
            return
        for folder in [self.root, DOVAD.parent]:
            for above in [folder] + list(folder.parents):
                if above.exists() and not above.stat().st_mode & 0o001:
                    raise PermissionError("%s is closed to other users: the lab's programs run as such (chmod 755)" % above)

    def give(self, path):
        if self.owner:
            shutil.chown(path, self.owner, pwd.getpwnam(self.owner).pw_gid)

    def write(self, path, text, mode=0o644):
        """A file below the root (or an absolute path), whole at once as a package manager would put it."""
        path = self.root / path
        fresh = path.with_name("." + path.name + ".fresh")
        fresh.write_bytes(text if isinstance(text, bytes) else text.encode())
        fresh.chmod(mode)
        self.give(fresh)
        fresh.rename(path)
        return path

    def config(self):
        lists = [("ca", self.cas), ("http", self.https), ("dns", self.dns_entries), ("service", self.services)]
        return ("".join("%s = %s;\n" % kv for kv in self.settings.items()) +
                "".join("%s = (\n  %s\n);\n" % (name, ",\n  ".join(v)) for name, v in lists if v) +
                ("defaults = { %s };\n" % self.defaults if self.defaults else ""))

    def write_config(self):
        if not self.cas:
            self.cas = [p.block("pebble" if p.serial == 0 else "pebble%d" % p.serial) for p in self.pebbles]
        self.write("dovad.conf", self.config())

    def credential(self, name, text):
        self.secrets.append(text.strip())
        self.write("credentials/" + name, text, 0o600)

    def snippet(self, name, names=None, install=None, service=None, prove='"http:www"', more="", text=None):
        """conf.d/NAME.conf. install: a folder, True for tls/NAME, None for live/NAME only."""
        if install is True:
            install = self.tls / name
        if install:
            self.targets[name] = install
        if text is None:
            names = names or ["%s.example.org" % name]
            text = "certificate = { names = [ %s ]; prove = [ %s ]; %s%s%s };\n" % (
                ", ".join('"%s"' % n for n in names), prove, 'install = ( { dir = "%s"; } ); ' % install if install else "",
                'service = [ "%s" ]; ' % service if service else "", more)
        return self.write("conf.d/%s.conf" % name, text)

    # --- programs ---

    def run(self, name, argv, env=None, user=Ellipsis, cwd=None):
        p = Process(self, name, argv, self.owner or ("nobody" if ROOT else None) if user is Ellipsis else user, env, cwd)
        self.processes.append(p)
        return p

    def wait_port(self, port, process=None, timeout=20):
        def is_open():
            assert process is None or process.running(), "%s ended:\n%s" % (process.name, tail(process.log))
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        wait_until(is_open, timeout, "a listener on port %d" % port)

    def log(self, name="dovad"):
        try:
            return (self.logs / (name + ".log")).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def start_dns(self):
        """challtestsrv: every name is 127.0.0.1 unless told otherwise by dns()."""
        folder = Pebble.folder("best")
        program = folder / "pebble-challtestsrv" if folder else shutil.which("pebble-challtestsrv", path=SBIN)
        flag = "-dnsserver" if folder else "-dns01"
        self.dns_process = self.run("dns", [program, "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1",
                                            flag, "127.0.0.1:%d" % self.dns_port, "-management", "127.0.0.1:%d" % self.dns_admin] +
                                    (["-doh", ""] if folder else []))
        self.wait_port(self.dns_admin, self.dns_process)

    def dns(self, verb, **what):
        """lab.dns("add-a", host="x.example.org", addresses=["127.0.0.2"]): see pebble-challtestsrv."""
        request = urllib.request.Request("http://127.0.0.1:%d/%s" % (self.dns_admin, verb), json.dumps(what).encode())
        with urllib.request.urlopen(request, timeout=10) as r:
            return r.read()

    def start_pebble(self, which="best", **options):
        return Pebble(self, which, **options)

    def add_site(self, name, names=None, folder=None, port=None):
        """A TLS site of nginx out of tls/NAME; in force at nginx's next start or reload, which dovad may well be the one to do."""
        folder = folder or self.tls / name
        return self.write("sites/%s.conf" % name, """server {
	listen 127.0.0.1:%d ssl; server_name %s; root %s;
	ssl_certificate %s/fullchain.pem; ssl_certificate_key %s/privkey.pem;
}
""" % (port or self.tls_port, " ".join(names or ["%s.example.org" % name]), self.web, folder, folder))

    def nginx_conf(self, http=True, more=""):
        n = self.root / "nginx"
        return self.write("nginx/nginx.conf", """
pid %s/pid; error_log stderr notice; worker_processes 1; daemon off; worker_shutdown_timeout 1s;
events { worker_connections 512; }
http {
	access_log off; default_type text/plain;
	client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi; uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;
	%s
	server {
		listen 127.0.0.1:%d ssl default_server; server_name _; root %s;
		ssl_certificate %s; ssl_certificate_key %s;
	}
	include %s/*.conf;
	%s
}
""" % (n, n, n, n, n, n, "server { listen 127.0.0.1:%d; root %s; }" % (self.http_port, self.web) if http else "", self.tls_port, self.web,
       self.fixtures / "placeholder.pem", self.fixtures / "placeholder.key", self.root / "sites", more))

    def nginx_argv(self, *more):
        return ["/usr/sbin/nginx", "-c", str(self.root / "nginx/nginx.conf"), "-e", "stderr"] + list(more)

    def start_nginx(self, http=True):
        self.nginx_conf(http)
        self.nginx = self.run("nginx", self.nginx_argv(), user=None if self.mode == "supervisor" else Ellipsis)
        self.wait_port(self.tls_port, self.nginx)

    def nginx_service(self, name="nginx", look=True, test=None, command=None, more=""):
        """The entry in the service list that tests and reloads this lab's nginx."""
        def quote(argv):
            return ", ".join('"%s"' % a for a in argv)
        return '{ name = "%s"; test = [ %s ]; command = [ %s ]; %s %s }' % (
            name, quote(test or self.nginx_argv("-t", "-q")), quote(command or self.nginx_argv("-s", "reload")),
            'look = [ "127.0.0.1:%d" ];' % self.tls_port if look else "", more)

    def start(self, wait=True, env=None, wrapper=(), timeout=60):
        """dovad itself. wrapper: e.g. a tracer's command line."""
        self.write_config()
        argv = list(wrapper) + [DOVAD, "-f", "-c", self.conf_file] + (["-v"] if self.verbose else [])
        self.log_start = (self.logs / "dovad.log").stat().st_size if (self.logs / "dovad.log").exists() else 0
        self.dovad = self.run("dovad", argv, env=env, user=None if self.mode == "supervisor" else Ellipsis)
        if wait:
            self.wait_ready(timeout)
        return self.dovad

    def check_config(self, *snippets, main_file=None, env=None):
        """dovad -t, as the user dovad runs as."""
        self.write_config()
        who = dict(user=self.owner, group=pwd.getpwnam(self.owner).pw_gid, extra_groups=[]) if self.owner else {}
        return subprocess.run([str(DOVAD), "-t", "-c", main_file or str(self.conf_file)] + [str(s) for s in snippets], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, env=dict(self.env, **(env or {})), cwd=self.root, **who)

    def wait_ready(self, timeout=60):
        def ready():
            assert self.dovad.running(), "dovad ended with %s:\n%s" % (self.dovad.popen.returncode, tail(self.dovad.log))
            return b"dovad is ready" in self.recent_log() and self.ctl.run("version").returncode == 0
        wait_until(ready, timeout, lambda: "dovad ready:\n" + tail(self.dovad.log))
        self.base_fds = {pid: count_fds(pid) for pid in self.halves().values()}

    def recent_log(self):
        """What dovad wrote since its last start."""
        with open(self.logs / "dovad.log", "rb") as f:
            f.seek(self.log_start)
            return f.read()

    def halves(self):
        """Process ids: {"network": ..., "keeper": ...}, and "supervisor" where there is one; those that live."""
        found = {}
        if not self.dovad or not self.dovad.running():
            return found
        for pid in [self.dovad.pid] + children(self.dovad.pid):
            name = comm(pid)
            if name == "dovad":
                top = pid == self.dovad.pid
                found["supervisor" if top and self.mode == "supervisor" else "network"] = pid
            elif name == "dovad-keeper":
                found["keeper"] = pid
        return found

    def everyone(self):
        """dovad's processes, dovad-run and what it runs included."""
        return [self.dovad.pid] + children(self.dovad.pid) if self.dovad and self.dovad.running() else []

    def stop(self, timeout=30):
        """SIGTERM; the exit code. The halves are gone when this returns."""
        family = self.everyone()
        code = self.dovad.end(timeout) if self.dovad else None
        wait_until(lambda: not any(alive(pid) for pid in family), timeout, "the end of all of dovad's processes")
        return code

    def kill9(self, *which):
        """SIGKILL to halves by name, all at once; waits until those are gone, whoever started them."""
        pids = [pid for name, pid in self.halves().items() if name in which]
        for pid in pids:
            os.kill(pid, signals.SIGKILL)
        if self.dovad.pid in pids:
            self.dovad.popen.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids), 10, "the end of what was killed")

    def restart(self, **how):
        code = self.stop()
        assert code == 0, "dovad ended with %s:\n%s" % (code, tail(self.dovad.log))
        return self.start(**how)

    # --- what one mostly wants ---

    def watch(self, on_event=None):
        return Watch(self, on_event)

    def wait_state(self, name, *states, timeout=40):
        def there():
            c = self.ctl.show(name)
            return c if c and c["state"] in states else None
        return wait_until(there, timeout, lambda: "%s in %s; it is %s\n%s" % (name, states, self.ctl.show(name), tail(self.logs / "dovad.log")))

    def wait_issued(self, name, timeout=40, generation=1):
        """Until a certificate is in place and nothing is under way for it."""
        def there():
            c = self.ctl.show(name)
            done = c and c["state"] == "waiting" and (c.get("generation") or 0) >= generation and not c.get("order")
            return c if done else None
        return wait_until(there, timeout, lambda: "%s issued; it is %s\n%s" % (name, self.ctl.show(name), tail(self.logs / "dovad.log")))

    def wait_served(self, leaf, name, port=None, timeout=10):
        """Until new connections get this certificate. For a moment after its reload nginx' old workers still accept, too."""
        wait_until(lambda: fingerprint(served_by(port or self.tls_port, name)) == fingerprint(leaf), timeout, "the new certificate served for " + name)

    def installed(self, name):
        """The leaf in live/NAME."""
        return parse_chain((self.live / name / "fullchain.pem").read_bytes())[0]

    def close(self):
        """Ends everything that still runs; files stay for a look when the test failed."""
        for w in self.watches:
            w.close()
        for p in reversed(self.processes):
            if p.running():
                p.popen.terminate()
        for p in reversed(self.processes):
            try:
                p.popen.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)
