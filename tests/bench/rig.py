# SPDX-License-Identifier: ISC
"""What is measured and what it is measured against, on loopback, in one folder that goes at the end: name server, CAs, dovad, mod_md."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = os.geteuid() == 0
PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
NOBODY = 65534
CLOCK = os.sysconf('SC_CLK_TCK')

# Pebble hangs when orders run at once: newOrder and authorizations go one at a time, everything else freely. One kept connection stays open.
FRONT = """
global
  maxconn 2000
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend ca
  bind 127.0.0.1:{port} ssl crt {root}/both.pem alpn h2,http/1.1
  acl one path /order-plz
  acl one path_beg /authZ/
  use_backend serial if one
  default_backend free
backend serial
  http-reuse always
  server p 127.0.0.1:{inner} ssl verify none maxconn 1
backend free
  http-reuse always
  server p 127.0.0.1:{inner} ssl verify none
"""


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(('127.0.0.1', 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_until(what, condition, timeout=60, pause=0.02):
    end = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit('%s did not happen within %d s' % (what, timeout))
        time.sleep(pause)


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


class Rig:
    """The folder, the processes and the name server: every name is 127.0.0.1."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='dovad-bench.'))
        self.processes = []
        self.give(self.root)
        # ext4 steps over inodes that were deleted lately, one by one: what is measured lives where no earlier run was cleared away,
        # which the parent's flag and the name decide
        subprocess.run(['chattr', '+T', self.root], stderr=subprocess.DEVNULL, check=False)
        self.dns_port, self.dns_admin = free_ports(2)
        program = shutil.which('pebble-challtestsrv', path=PATH)
        helped = subprocess.run([program, '-h'], capture_output=True, text=True).stderr
        self.run('dns', [program, '-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', '', '-defaultIPv4', '127.0.0.1',
                         '-dnsserver' if '-dnsserver' in helped else '-dns01', '127.0.0.1:%d' % self.dns_port,
                         '-management', '127.0.0.1:%d' % self.dns_admin])
        self.certificate = self.root / 'ca-api.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '7', '-subj', '/CN=localhost',
                        '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', self.root / 'ca-api.key', '-out', self.certificate],
                       check=True, stderr=subprocess.DEVNULL)
        both = self.root / 'both.pem'
        both.write_text(self.certificate.read_text() + (self.root / 'ca-api.key').read_text())
        for f in (self.certificate, self.root / 'ca-api.key', both):
            self.give(f)
        wait_until('the name server', lambda: is_open(self.dns_admin))

    def give(self, path):
        if ROOT:
            os.chown(path, NOBODY, NOBODY)

    def folder(self, name):
        path = self.root / name
        path.mkdir(parents=True)
        self.give(path)
        return path

    def write(self, path, text):
        path.write_text(text)
        self.give(path)

    def run(self, name, argv, env=None):
        """Nothing that is measured needs root, so nothing has it."""
        as_nobody = dict(user=NOBODY, group=NOBODY, extra_groups=[]) if ROOT else {}
        with open(self.root / (name + '.log'), 'ab') as log:
            process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                                       env=dict(PATH=PATH, HOME=str(self.root), **(env or {})), **as_nobody)
        self.processes.append(process)
        return process

    def end(self, *processes):
        for p in processes:
            p.send_signal(signal.SIGTERM)
        for p in processes:
            p.wait(30)
            self.processes.remove(p)

    def close(self, keep=False):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            p.wait()
        if keep:
            print('everything is left in %s' % self.root)
        else:
            shutil.rmtree(self.root)


class Ca:
    """A fresh Pebble and its front, validating on a port of its own."""
    number = 0

    def __init__(self, rig):
        Ca.number += 1
        self.rig, self.name = rig, 'ca%d' % Ca.number
        self.port, self.inner, admin, self.http_port, tls_port = free_ports(5)
        root = rig.folder(self.name)
        rig.write(root / 'pebble.json', json.dumps({'pebble': {
            'listenAddress': '127.0.0.1:%d' % self.inner, 'managementListenAddress': '127.0.0.1:%d' % admin, 'certificate': str(rig.certificate),
            'privateKey': str(rig.root / 'ca-api.key'), 'httpPort': self.http_port, 'tlsPort': tls_port, 'ocspResponderURL': '',
            'externalAccountBindingRequired': False, 'certificateValidityPeriod': 90 * 86400}}))
        rig.write(root / 'haproxy.cfg', FRONT.format(port=self.port, inner=self.inner, root=rig.root))
        self.log = rig.root / (self.name + '.log')
        self.pebble = rig.run(self.name, ['pebble', '-config', root / 'pebble.json', '-dnsserver', '127.0.0.1:%d' % rig.dns_port, '-strict'],
                              env=dict(PEBBLE_VA_NOSLEEP='1', PEBBLE_WFE_NONCEREJECT='0', PEBBLE_AUTHZREUSE='0'))
        self.front = rig.run(self.name + '-front', ['haproxy', '-db', '-f', root / 'haproxy.cfg'])
        wait_until('the CA', lambda: is_open(self.inner) and is_open(self.port))
        self.directory = 'https://localhost:%d/dir' % self.port

    def mark(self):
        return self.log.stat().st_size

    def requests(self, since=0):
        """The requests Pebble saw, as (method, path)."""
        with open(self.log, errors='replace') as f:
            f.seek(since)
            return re.findall(r'\b(GET|HEAD|POST) (/\S*) -> calling handler', f.read())

    def accounts(self):
        return sum(path == '/sign-me-up' for _, path in self.requests())

    def connections(self):
        """TCP connections to the front at this moment."""
        out = subprocess.run(['ss', '-Htn', 'state', 'established', 'sport', '=', ':%d' % self.port], capture_output=True, text=True).stdout
        return len(out.splitlines())

    def end(self):
        self.rig.end(self.front, self.pebble)


class Varlink:
    """Calls on one connection to the status socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(str(path))
        self.buffer = b''

    def send(self, method, more=False, **parameters):
        call = {'method': 'org.dovad.Agent.' + method, 'parameters': parameters}
        if more:
            call['more'] = True
        self.socket.sendall(json.dumps(call).encode() + b'\0')

    def receive(self):
        while b'\0' not in self.buffer:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise SystemExit('dovad closed the connection')
            self.buffer += chunk
        message, self.buffer = self.buffer.split(b'\0', 1)
        answer = json.loads(message)
        if 'error' in answer:
            raise SystemExit('dovad refused: %s' % answer)
        return answer['parameters']

    def call(self, method, **parameters):
        self.send(method, **parameters)
        return self.receive()


class Daemon:
    """dovad as an ordinary user: the network half and, its child, the keeper."""
    number = 0

    def __init__(self, rig, ca, prefix, more=''):
        Daemon.number += 1
        self.rig, self.ca, self.prefix, self.name = rig, ca, prefix, 'dovad%d' % Daemon.number
        self.root = rig.folder(self.name + rig.root.suffix)
        for f in ('conf.d', 'state', 'keeper', 'run'):
            rig.folder('%s/%s' % (self.root.name, f))
        rig.write(self.root / 'dovad.conf', """
snippets = "conf.d"; state = "state"; keeper_state = "keeper"; runtime = "run"; credentials = "credentials"; services = "services.d";
resolvers = [ "127.0.0.1:%d" ];
http_port = %d;
ca = ( { name = "pebble"; type = "acme"; directory = "%s"; agree_tos = true; ca_file = "%s"; allow_private = true; } );
http = ( { name = "listener"; type = "listener"; listen = [ "127.0.0.1:%d" ]; } );
%s""" % (rig.dns_port, ca.http_port, ca.directory, rig.certificate, ca.http_port, more))
        self.process = None

    def snippet(self, name, more=''):
        self.rig.write(self.root / 'conf.d' / (name + '.conf'), 'certificate = { names = [ "%s.example.org" ]; %s };\n' % (name, more))

    def start(self, env=None):
        # the service manager tells a process that the watchdog is meant for it alone
        argv = ['/bin/sh', '-c', 'WATCHDOG_PID=$$ exec "$@"', 'sh', self.prefix / 'sbin/dovad', '-f', '-c', self.root / 'dovad.conf']
        self.process = self.rig.run(self.name, argv, env)

    def ready(self):
        path = self.root / 'run/dovad.sock'
        wait_until('dovad ready', lambda: self.process.poll() is None and path.exists() and b'dovad is ready' in self.log().encode())
        return Varlink(path)

    def log(self):
        return (self.rig.root / (self.name + '.log')).read_text(errors='replace')

    def pids(self):
        with open('/proc/%d/task/%d/children' % (self.process.pid, self.process.pid)) as f:
            children = [int(pid) for pid in f.read().split()]
        return [self.process.pid] + children

    def cpu_ms(self):
        """Of both halves and of every child they waited for."""
        ticks = 0
        for pid in self.pids():
            fields = open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()
            ticks += sum(int(t) for t in fields[11:15])
        return ticks * 1000 / CLOCK

    def wakeups(self, seconds):
        """In so many seconds, of each half: turns of the loop begun by a timer, and turns begun by anything else (an answer, a question)."""
        pids, found = self.pids(), []
        timers = [{fd.name for fd in os.scandir('/proc/%d/fd' % pid) if 'timerfd' in os.readlink(fd.path)} for pid in pids]
        traces = [self.root / ('wakeups.%d' % pid) for pid in pids]
        straces = [subprocess.Popen(['strace', '-qq', '-p', str(pid), '-e', 'trace=epoll_wait,epoll_pwait,epoll_pwait2', '-o', str(trace)])
                   for pid, trace in zip(pids, traces)]
        time.sleep(seconds)
        for strace, trace, clocks in zip(straces, traces, timers):
            strace.terminate()
            strace.wait()
            turns = [set(re.findall(r'u32=(\d+)', line)) for line in trace.read_text().splitlines() if re.search(r'= \d+$', line)]
            found.append((sum(t <= clocks for t in turns), sum(not t <= clocks for t in turns)))
        return found

    def private_kib(self):
        def of(pid):
            return sum(int(n) for n in re.findall(r'^Private_\w+:\s*(\d+)', open('/proc/%d/smaps_rollup' % pid).read(), re.M))
        return [of(pid) for pid in self.pids()]

    def installed(self):
        """When each certificate came into place: the time of its link, seconds."""
        if self.process.poll() is not None:
            raise SystemExit('dovad ended: ' + self.log()[-1000:])
        try:
            return {e.name: e.stat(follow_symlinks=False).st_ctime for e in os.scandir(self.root / 'keeper/live')}
        except FileNotFoundError:
            return {}

    def end(self):
        self.rig.end(self.process)


class Nginx:
    """nginx with one site, and a certificate of its own for it to go to and fro with."""

    def __init__(self, rig):
        self.rig, self.turn = rig, 0
        self.port, self.own = free_ports(2)  # dovad's site, and one that it has nothing to do with
        self.root, self.folder = rig.folder('nginx'), rig.root / 'nginx/tls'
        for i in range(2):
            one = rig.folder('nginx/own%d' % i)
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '7', '-subj', '/CN=own',
                            '-keyout', one / 'privkey.pem', '-out', one / 'fullchain.pem'], check=True, stderr=subprocess.DEVNULL)
            rig.give(one / 'privkey.pem')
            rig.give(one / 'fullchain.pem')
        self.folder.symlink_to('own0')
        rig.write(self.root / 'nginx.conf', """
pid {0}/pid; error_log stderr; worker_processes 1; daemon off;
events {{ }}
http {{ access_log off; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
	server {{ listen 127.0.0.1:{1} ssl; ssl_certificate {2}/fullchain.pem; ssl_certificate_key {2}/privkey.pem; }}
	server {{ listen 127.0.0.1:{3} ssl; ssl_certificate {0}/own/fullchain.pem; ssl_certificate_key {0}/own/privkey.pem; }} }}
""".format(self.root, self.port, self.folder, self.own))
        (self.root / 'own').symlink_to('own0')
        self.argv = ['/usr/sbin/nginx', '-c', str(self.root / 'nginx.conf'), '-e', 'stderr']
        self.process = rig.run('nginx', self.argv)
        wait_until('nginx', lambda: is_open(self.port) and is_open(self.own))

    def service(self):
        def quote(*more):
            return ', '.join('"%s"' % a for a in self.argv + list(more))
        return 'service = ( { name = "nginx"; test = [ %s ]; command = [ %s ]; look = [ "127.0.0.1:%d" ]; } );' % (
            quote('-t', '-q'), quote('-s', 'reload'), self.port)

    def seen(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(('127.0.0.1', self.own)) as s, context.wrap_socket(s) as tls:
            return tls.getpeercert(True)

    def switch(self):
        """Milliseconds from the signal until another certificate of its own is served."""
        before, self.turn = self.seen(), 1 - self.turn
        (self.root / 'next').symlink_to('own%d' % self.turn)
        (self.root / 'next').rename(self.root / 'own')
        begun = time.monotonic()
        self.process.send_signal(signal.SIGHUP)
        while self.seen() == before:
            pass
        return (time.monotonic() - begun) * 1000

    def end(self):
        self.rig.end(self.process)


class ModMd:
    """Apache with mod_md, which works when it starts and leaves what it got in a folder."""

    def __init__(self, rig, ca):
        self.rig, self.ca = rig, ca
        self.root = rig.folder('apache')
        self.store = self.root / 'md'

    def conf(self, names):
        modules = ''.join('LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' % (m, m)
                          for m in ('mpm_event', 'authz_core', 'socache_shmcb', 'ssl', 'md'))
        return modules + """
ServerName localhost
PidFile {0}/pid
DefaultRuntimeDir {0}
ErrorLog {0}/error.log
LogLevel warn md:notice
Listen 127.0.0.1:{1}
MDStoreDir {0}/md
MDCertificateAuthority {2}
MDCACertificateFile {3}
MDCertificateAgreement accepted
MDContactEmail hostmaster@example.org
MDPortMap http:{1} https:-
MDCAChallenges http-01
MDPrivateKeys secp256r1
MDRenewMode always
{4}
""".format(self.root, self.ca.http_port, self.ca.directory, self.rig.certificate, '\n'.join('MDomain %s.example.org' % n for n in names))

    def run(self, names, wanted, timeout):
        """Seconds from the start of Apache until all these files are there."""
        wanted = list(wanted)
        self.rig.write(self.root / 'apache.conf', self.conf(names))
        begun = time.monotonic()
        apache = self.rig.run('apache', ['apache2', '-DFOREGROUND', '-f', self.root / 'apache.conf'])
        while wanted:
            while wanted and wanted[-1].exists():
                wanted.pop()
            if time.monotonic() - begun > timeout or apache.poll() is not None:
                raise SystemExit('mod_md did not get its certificates: see %s' % self.root)
            time.sleep(0.001 if len(names) == 1 else 0.02)
        took = time.monotonic() - begun
        self.rig.end(apache)
        return took

    def issue(self, names, timeout=60):
        """Seconds from the start until all are staged."""
        return self.run(names, [self.store / 'staging' / ('%s.example.org' % n) / 'pubcert.secp256r1.pem' for n in names], timeout)

    def register(self):
        """The account is kept when the first certificate is put to use, at the next start."""
        self.issue(['first'])
        self.run(['first'], [self.store / 'domains/first.example.org/pubcert.secp256r1.pem'], 60)
