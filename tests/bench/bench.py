# SPDX-License-Identifier: ISC
"""The figures of dovad, with their targets. Only ratios within one run mean something; run.sh builds and calls this."""
import collections
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

from rig import Ca, Daemon, ModMd, Nginx, Rig, free_ports, wait_until

PREFIX = pathlib.Path(os.environ['DOVAD_PREFIX'])
LOAD, PAIRS = os.environ['LOAD'], os.environ['PAIRS']
SINGLE_RUNS = 11
MANY, MANY_RUNS = 500, 3
DEPLOYS = 21
PAIRED, RENEWALS, READS = 10, 1000, 1000000
IDLE = 1000
VALID_RATE = 150  # a load client that does not reach this measures something else than the CA
WATCHDOG_S = 300  # as in dovad.service

missed = []


def say(text):
    print('%s %s' % (time.strftime('%H:%M:%S'), text), flush=True)


def show(what, value, target, ok):
    """One line of the table."""
    print('  %-58s %14s   %-22s %s' % (what, value, target, '' if ok is None else 'PASS' if ok else 'MISS'), flush=True)
    if ok is False:
        missed.append(what)


def call_ns():
    """What one system call costs, of which an order takes a few hundred: on virtual machines that may be ten times as much as elsewhere."""
    def took(call, n=200000):
        begun = time.perf_counter()
        for _ in range(n):
            call()
        return (time.perf_counter() - begun) * 1e9 / n
    return max(0, min(took(os.getppid) for _ in range(3)) - min(took(bool) for _ in range(3)))


def spread(values, digits=0):
    return '%.*f / %.*f / %.*f' % (digits, min(values), digits, statistics.median(values), digits, max(values))


# --- one certificate ---

def renew(control, watch, name):
    """Milliseconds from the call to the accepted chain, and to the end."""
    begun = time.monotonic()
    control.send('Renew', name=name, force=True)
    issued = None
    while True:
        event = watch.receive().get('event', {}).get('event')
        if event == 'issued':
            issued = (time.monotonic() - begun) * 1000
        elif event == 'failed':
            raise SystemExit('the renewal failed')
        elif event == 'done':
            control.receive()
            return issued, (time.monotonic() - begun) * 1000


def watched(dovad, name):
    watch = dovad.ready()
    watch.send('Watch', more=True, name=name)
    while not watch.receive().get('current'):
        pass
    return watch


def single(rig):
    say('one certificate on a running dovad, %d times, mod_md in between' % SINGLE_RUNS)
    ca, peer_ca = Ca(rig), Ca(rig)
    dovad, peer = Daemon(rig, ca, PREFIX), ModMd(rig, peer_ca)
    dovad.snippet('one')
    dovad.start()
    control = dovad.ready()
    wait_until('the first certificate', lambda: 'certificate is in place' in dovad.log())
    watch = watched(dovad, 'one')
    peer.register()
    issued, done, peers, requests, kept = [], [], [], [], True
    for i in range(SINGLE_RUNS):
        mark = ca.mark()
        one, all_of_it = renew(control, watch, 'one')
        issued.append(one)
        done.append(all_of_it)
        requests.append(len(ca.requests(mark)))
        kept = kept and ca.connections() == 1
        peers.append(peer.issue(['peer%d' % i]) * 1000)
    ratio = statistics.median(peers) / statistics.median(issued)
    show('mod_md, start to staged, ms: min / median / max', spread(peers), '', None)
    show('dovad, renew to accepted chain, ms', spread(issued), '', None)
    show('dovad, renew to the end, ms', spread(done), '', None)
    show('mod_md over dovad', '%.1f' % ratio, 'at least 3', ratio >= 3)
    show('requests for one certificate', '%d / %g / %d' % (min(requests), statistics.median(requests), max(requests)), 'at most 8', max(requests) <= 8)
    show('on one kept connection', 'yes' if kept else 'no', 'yes', kept)
    dovad.end()
    ca.end()
    peer_ca.end()


# --- many ---

def load(rig):
    ca = Ca(rig)
    out = subprocess.run([LOAD, ca.directory, str(rig.certificate), str(ca.http_port), str(MANY)], capture_output=True, text=True, timeout=300)
    ca.end()
    if out.returncode:
        raise SystemExit(out.stderr)
    return json.loads(out.stdout)


def black_hole(port):
    """An address where connections are taken and nothing is ever said."""
    s = socket.socket()
    s.bind(('127.0.0.66', port))
    s.listen(1000)
    return s


def set_address(rig, name, address):
    what = json.dumps({'host': name + '.', 'addresses': [address]}).encode()
    urllib.request.urlopen('http://127.0.0.1:%d/add-a' % rig.dns_admin, what, timeout=10).close()


Round = collections.namedtuple('Round', 'rate cpu_ms accounts requests others states')


def many_once(rig):
    """From nothing: the clock runs from the start of the process until the last certificate is in place. Two of the names cannot be proven: at one
    address nobody listens, at the other nobody ever answers."""
    ca = Ca(rig)
    dovad = Daemon(rig, ca, PREFIX)
    good = ['many%d' % i for i in range(MANY - 2)]
    for name in good + ['many-refused', 'many-silent']:
        dovad.snippet(name)
    set_address(rig, 'many-refused.example.org', '127.0.0.65')
    set_address(rig, 'many-silent.example.org', '127.0.0.66')
    hole = black_hole(ca.http_port)
    begun = time.time()
    dovad.start()
    control = dovad.ready()
    wait_until('the last certificate', lambda: len(dovad.installed()) >= len(good), 300, 0.1)
    cpu = dovad.cpu_ms()
    last = max(dovad.installed().values())
    states = [control.call('Show', name=name)['certificate']['state'] for name in ('many-refused', 'many-silent')]
    others = control.call('Status')['counts']['failing'] - 1
    hole.close()
    found = Round(rate=len(good) / (last - begun), cpu_ms=cpu / len(good), accounts=ca.accounts(), requests=len(ca.requests()) / len(good),
                  others=others, states=states)
    dovad.end()
    ca.end()
    return found


def many(rig):
    say('%d certificates from an empty state, %d times, the bare load client in between; then mod_md' % (MANY, MANY_RUNS))
    loads, rounds = [], []
    for _ in range(MANY_RUNS):
        loads.append(load(rig))
        rounds.append(many_once(rig))
    ca = Ca(rig)
    peer = ModMd(rig, ca)
    peer.register()
    peer_rate = MANY / peer.issue(['many%d' % i for i in range(MANY)], 600)
    ca.end()
    ceiling = statistics.median(r['rate'] for r in loads)
    rate = statistics.median(r.rate for r in rounds)
    cpu = statistics.median(r.cpu_ms for r in rounds)
    show('bare load client, certificates/s', spread([r['rate'] for r in loads]), 'at least %d' % VALID_RATE, ceiling >= VALID_RATE)
    show('  its requests and CPU ms for each, its connections', '%.1f, %.1f, %d' % (loads[0]['requests'], loads[0]['cpu_ms'], loads[0]['connections']), '', None)
    if ceiling < VALID_RATE:
        say('void: the load client itself is too slow on this machine now')
        return
    show('mod_md, certificates/s', '%.1f' % peer_rate, '', None)
    show('dovad, certificates/s', spread([r.rate for r in rounds]), '', None)
    show('dovad over mod_md', '%.1f' % (rate / peer_rate), 'at least 8', rate >= 8 * peer_rate)
    show('dovad over the bare load client', '%.2f' % (rate / ceiling), 'at least 0.5', rate >= ceiling / 2)
    show('CPU ms for each, all our processes', spread([r.cpu_ms for r in rounds], 1), 'at most 5', cpu <= 5)
    show('requests for each', spread([r.requests for r in rounds], 1), '', None)
    show('accounts made', ', '.join(str(r.accounts) for r in rounds), 'one', all(r.accounts == 1 for r in rounds))
    # when all others were in place one had failed long ago and the other was still waiting: nobody waited with it
    show('with a refused and a silent proof among them, others failed', ', '.join('%d' % r.others for r in rounds), 'none',
         all(r.others == 0 and r.states == ['failed', 'proving'] for r in rounds))


# --- into service ---

def put_into_service(control, watch, name):
    """Milliseconds from the accepted chain until the new certificate was seen on the wire."""
    control.send('Renew', name=name, force=True)
    issued = None
    while True:
        event = watch.receive().get('event', {}).get('event')
        if event == 'issued':
            issued = time.monotonic()
        elif event == 'confirm':
            seen = (time.monotonic() - issued) * 1000
        elif event == 'failed':
            raise SystemExit('the renewal failed')
        elif event == 'done':
            control.receive()
            return seen


def deploy(rig):
    say('from the accepted chain to the new certificate on the wire of nginx, %d times; a reload of nginx by itself in between' % DEPLOYS)
    ca, nginx = Ca(rig), Nginx(rig)
    dovad = Daemon(rig, ca, PREFIX, nginx.service())
    dovad.snippet('web', 'install = ( { dir = "%s"; } ); service = [ "nginx" ];' % nginx.folder)
    dovad.start()
    control = dovad.ready()
    wait_until('the first certificate', lambda: 'certificate is served' in dovad.log())
    watch, ours, own = watched(dovad, 'web'), [], []
    for _ in range(DEPLOYS):
        ours.append(put_into_service(control, watch, 'web'))
        own.append(nginx.switch())
    more = statistics.median(ours) - statistics.median(own)
    show('nginx alone, reload to seen on the wire, ms', spread(own), '', None)
    show('dovad, chain to seen on the wire, ms', spread(ours), '', None)
    show('dovad takes longer by, ms', '%.0f' % more, 'at most 150', more <= 150)
    dovad.end()
    nginx.end()
    ca.end()


# --- pairs ---

def renew_all(dovad, names):
    """Each of them at once, again and again, until there were enough; then until the readers have read enough."""
    controls = [dovad.ready() for _ in names]
    for _ in range(RENEWALS // len(names)):
        for control, name in zip(controls, names):
            control.send('Renew', name=name, force=True, wait=True)
        for control in controls:
            control.receive()


def pairs(rig):
    say('%d renewals of %d certificates while readers look whether key and chain belong together' % (RENEWALS, PAIRED))
    ca = Ca(rig)
    dovad = Daemon(rig, ca, PREFIX)
    target = rig.folder('pairs' + rig.root.suffix)
    names = ['pair%d' % i for i in range(PAIRED)]
    for name in names:
        dovad.snippet(name, 'install = ( { dir = "%s/%s"; bundle = true; } );' % (target, name))
    dovad.start()
    dovad.ready()
    wait_until('all of them', lambda: all((target / name / 'bundle.pem').exists() for name in names))
    readers = {mode: rig.run('pairs-' + mode, [PAIRS, target, mode] + names) for mode in ('dir', 'bundle', 'paths')}
    begun = time.monotonic()
    renew_all(dovad, names)
    say('renewed, %.0f s' % (time.monotonic() - begun))
    wait_until('a million reads', lambda: time.monotonic() - begun > 60, 120, 1)
    found = {}
    for mode, reader in readers.items():
        rig.end(reader)
        found[mode] = json.loads((rig.root / ('pairs-%s.log' % mode)).read_text())
    reads = found['dir']['reads'] + found['bundle']['reads']
    show('reads of the folder resolved once, and of the bundle', reads, 'at least %d' % READS, reads >= READS)
    show('different pairs seen, of %d made' % (RENEWALS + PAIRED), '%d, %d' % (found['dir']['pairs'], found['bundle']['pairs']), '', None)
    wrong = sum(found[mode][what] for mode in ('dir', 'bundle') for what in ('mixed', 'missing'))
    show('mixed or missing', wrong, 'none', wrong == 0)
    show('one path after the other: straddled, of reads', '%d of %d' % (found['paths']['mixed'], found['paths']['reads']), '', None)
    dovad.end()
    ca.end()


# --- idle ---

class Manager(threading.Thread):
    """The service manager's end of the notification socket."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self.path = rig.root / 'notify'
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        rig.give(self.path)
        self.alive = 0
        self.start()

    def run(self):
        while True:
            self.alive += b'WATCHDOG=1' in self.socket.recv(65536)


def idle(rig, minutes):
    say('idle: %d certificates, watchdog every %d s, %g minutes' % (IDLE, WATCHDOG_S, minutes))
    ca = Ca(rig)
    port = free_ports(1)[0]
    dovad = Daemon(rig, ca, PREFIX, 'service = ( { name = "web"; command = [ "/bin/true" ]; look = [ "127.0.0.1:%d" ]; } );' % port)
    visits = rig.root / 'visits'
    server = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).parent / 'sni.py'), str(port), str(dovad.root / 'keeper/live')],
                              stdout=visits.open('wb'))
    rig.processes.append(server)
    for i in range(IDLE):
        dovad.snippet('idle%d' % i, 'service = [ "web" ];')
    manager = Manager(rig)
    dovad.start(dict(NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC=str(WATCHDOG_S * 1000000)))
    control = dovad.ready()
    wait_until('a thousand certificates', lambda: dovad.log().count('certificate is served') >= IDLE, 600, 1)
    control.socket.close()
    ca.end()
    time.sleep(90)  # what is left to do after the last one is done, and the first quiet minute
    beats, private = manager.alive, dovad.private_kib()
    looks = visits.stat().st_size
    turns = dovad.wakeups(minutes * 60)
    per_minute = [timers / minutes for timers, _ in turns]
    looks, due = visits.stat().st_size - looks, int(IDLE * (minutes - 1) / 60)
    show('looks at the service in that time', looks, 'at least the %d due' % due, looks >= due)
    show('turns for answers awaited, a minute: dovad, dovad-keeper', '%.1f + %.1f' % tuple(others / minutes for _, others in turns), '', None)
    memory = [max(a, b) / 1024 for a, b in zip(private, dovad.private_kib())]
    show('wake-ups by a timer a minute: dovad, dovad-keeper', '%.2f + %.2f' % tuple(per_minute), 'at most 1 in all', sum(per_minute) <= 1)
    show('private memory, MiB: dovad, dovad-keeper', '%.1f + %.1f' % tuple(memory), 'under 24 in all', sum(memory) < 24)
    beats, needed = manager.alive - beats, int(minutes * 60 / WATCHDOG_S)
    show('signs of life to the service manager', beats, 'at least %d' % needed, beats >= needed)
    dovad.end()


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else 'all'
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    rig, ok = Rig(), False
    say('%d processors, load %s, a system call takes %.0f ns' % (os.cpu_count(), ' '.join('%.1f' % n for n in os.getloadavg()), call_ns()))
    try:
        if what in ('single', 'all'):
            single(rig)
        if what in ('many', 'all'):
            many(rig)
        if what in ('deploy', 'all'):
            deploy(rig)
        if what in ('pairs', 'all'):
            pairs(rig)
        if what in ('idle', 'all'):
            idle(rig, minutes)
        ok = True
    finally:
        rig.close(keep=not ok)
    if missed:
        say('missed: ' + '; '.join(missed))
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
