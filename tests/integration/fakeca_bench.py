# SPDX-License-Identifier: ISC
"""Many faults at once: one dovad, one CA and one certificate per case, so that no case waits for another (and none may).

A module lists its cases, and a fixture runs them all:

    @pytest.fixture(scope="module")
    def board(request):
        yield from run_board(request, CASES)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_case(board, case):
        board.judge(case)

The course: (with prepare=True all certificates are issued first), the faults are switched on, every certificate is ordered, the outcomes are noted, the
faults end, every certificate is ordered once more, the outcomes are noted again."""
import calendar
import collections
import itertools
import os
import re
import time

import lab as laboratory
from fakeca import Server

GOOD_S = 60  # of a case that goes well at its first try, all others beside it
ENDS = ('failed', 'done', 'rolled-back')


class Case:
    """fault(ca) switches it on. An error is expected of this kind, type and (regular expression) detail; kind None: the certificate is issued in
    spite of the fault. heal: it is issued once the fault has ended. certificates: how many the CA makes in all, None: any number.
    check(board, case): more to look at, before the fault ends. cure(ca): what else ends the fault. at_start(board, case): before dovad is started.
    prepare: whether this one takes part when the board issues all certificates first. names: of the certificate, below its first. ca: attributes.
    state: failed or held, None: either. slow: it goes well, but the fault makes it wait. conf, snippet: more for the entries in the ca list and of the certificate; agree, private: agree_tos and allow_private there."""
    numbers = itertools.count(1)

    def __init__(self, name, fault, kind='temp', type=None, detail='.', heal=None, certificates=1, check=None, names=None, ca=None, server=None,
                 conf='', snippet='', prepare=True, at_start=None, cure=None, agree=True, private=True,
                 state=None, slow=False):
        self.name, self.fault, self.kind, self.type, self.detail = name, fault, kind, type, detail
        self.heal = kind is not None if heal is None else heal
        self.certificates, self.check, self.more_names, self.attributes, self.server = certificates, check, names or [], ca or {}, server
        self.conf, self.snippet, self.prepare, self.at_start, self.cure = conf, snippet, prepare, at_start, cure
        self.agree, self.private, self.state, self.slow = agree, private, state, slow
        self.slug = '%s-%d' % (re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')[:50], next(Case.numbers))

    def __str__(self):
        return self.name

    @property
    def names(self):
        return [self.slug + '.example.org'] + ['%s.%s.example.org' % (n, self.slug) for n in self.more_names]


class Board:
    def __init__(self, cases, prepare=False, serve=False, timeout=60, show_every=1):
        self.cases, self.prepare, self.serve, self.timeout, self.show_every = cases, prepare, serve, timeout, show_every
        self.outcome, self.healed, self.took, self.prepared, self.complaints = {}, {}, {}, {}, {}
        self.requests = {}  # of each case at its CA, up to its first end
        self.lab = laboratory.Lab()
        self.servers = []
        self.lab.start_dns()

    def set_up(self):
        lab = self.lab
        shared = self.add_server()
        for case in self.cases:
            server = case.server(self) if case.server else shared
            case.ca = server.ca(case.slug, **case.attributes)
            lab.cas.append(ca_block(case.ca, case.conf, case.agree, case.private))
            if case.at_start:
                case.at_start(self, case)
            if self.serve:
                (lab.tls / case.slug).symlink_to(lab.fixtures)
                lab.add_site(case.slug, case.names)
            lab.snippet(case.slug, case.names, install=True if self.serve else None, service='nginx' if self.serve else None,
                        more='ca = [ "%s" ]; %s' % (case.slug, case.snippet))
            if not (self.prepare and case.prepare):
                case.fault(case.ca)
        if self.serve:
            for end, name in (('pem', 'fullchain.pem'), ('key', 'privkey.pem')):
                lab.write('fixtures/' + name, (lab.fixtures / ('placeholder.' + end)).read_bytes())
            lab.services = [lab.nginx_service()]
        lab.start_nginx()

    def add_server(self, **how):
        server = Server(self.lab.http_port, **how)
        self.servers.append(server)
        return server

    def run(self):
        self.set_up()
        self.lab.start()
        self.lab.base_fds = {pid: n and n + 4 * len(self.cases) for pid, n in self.lab.base_fds.items()}  # connections kept, to as many CAs
        self.watch = self.lab.watch()
        mark = 0
        self.take({c['name'] for c in self.lab.ctl.list() if c['state'] in ('failed', 'held') or c.get('generation')}, self.outcome, False)
        self.settle(self.cases, mark, self.outcome)
        prepared = [c for c in self.cases if self.prepare and c.prepare]
        self.noted = {c.slug: self.note(c) for c in prepared}
        if prepared:
            for case in prepared:
                self.prepared[case.slug] = self.outcome.pop(case.slug)
                case.fault(case.ca)
            mark = len(self.watch.events)
            self.order(prepared)
            self.settle(prepared, mark, self.outcome)
        self.shown = {c.slug: self.note(c) for c in self.cases}
        for i, case in enumerate(self.cases):
            self.look_closer(case, i % self.show_every == 0)
        self.cure()

    def look_closer(self, case, show):
        try:
            if case.kind and show:  # what a human is told, while the fault lasts
                text = self.lab.ctl.run('show', case.slug, json_out=False).stdout
                assert re.search(case.detail, text) and re.search('last error', text), text
            if case.check:
                case.check(self, case)
        except AssertionError as e:
            self.complaints[case.slug] = e

    def cure(self):
        again = [c for c in self.cases if c.heal]
        for case in self.cases:
            case.ca.heal()
            case.ca.issue = case.attributes.get('issue')
            if case.cure:
                case.cure(case.ca)
        for server in self.servers:
            if not server.listener.sock:
                server.listen()
            server.listener.mode, server.listener.context = 'tls', server.good
        mark = len(self.watch.events)
        running = {c['name'] for c in self.lab.ctl.list() if c['state'] not in ('waiting', 'failed', 'held')}
        self.settle([c for c in again if c.slug in running], mark, self.healed)  # an attempt that had begun before the cure
        for name in [name for name, c in self.healed.items() if c.get('last_error')]:
            del self.healed[name]
        again = [c for c in again if c.slug not in self.healed]
        mark = len(self.watch.events)
        for case in again:
            try:
                self.lab.ctl('renew', case.slug)
            except laboratory.Refused:  # not due: its own retry came first
                self.healed[case.slug] = dict(self.lab.ctl.show(case.slug), stuck=False)
        self.settle(again, mark, self.healed)

    def order(self, cases):
        for case in cases:
            self.lab.ctl('renew', case.slug, '--force')

    def settle(self, cases, mark, into):
        """Until every case has come to an end, one way or the other; what is noted is how it stood right then."""
        began = time.monotonic()
        left = {c.slug for c in cases} - set(into)
        while left:
            with self.watch.changed:
                if not self.watch.changed.wait_for(lambda: self.ended(mark) & left, began + self.timeout - time.monotonic()):
                    break
                now, mark = self.ended(mark) & left, len(self.watch.events)
            left -= now
            for name in now:
                self.took.setdefault(name, time.monotonic() - began)  # to its first end
            self.take(now, into, False)
        self.take(left, into, True)

    def take(self, names, into, stuck):
        into.update((c['name'], dict(c, stuck=stuck)) for c in self.lab.ctl.list() if c['name'] in names)
        if into is self.outcome:
            self.requests.update((c.slug, collections.Counter(c.ca.counts)) for c in self.cases if c.slug in names)

    def ended(self, mark):
        return {e.get('cert') for e in self.watch.events[mark:] if e['event'] in ENDS}

    def note(self, case):
        """What stands on the disk and what is served, at this moment."""
        return {'installed': laboratory.fingerprint(self.lab.installed(case.slug)) if (self.lab.live / case.slug).exists() else None,
                'served': laboratory.fingerprint(laboratory.served_by(self.lab.tls_port, case.names[0])) if self.serve else None}

    # --- the judgement ---

    def judge(self, case):
        c = self.outcome[case.slug]
        if case.kind is None and not case.slow:  # I5: what goes well waits for none of those that do not
            assert self.took.get(case.slug, 0) <= GOOD_S, 'took %.1f s beside the others' % self.took[case.slug]
        assert case.slug not in self.prepared or self.prepared[case.slug]['state'] == 'waiting', self.prepared[case.slug]
        assert not c['stuck'], 'no end within %g s: %s\n%s' % (self.timeout, c, self.story(case))
        error = c.get('last_error') or {}
        told = '%s %s: %s' % (error.get('kind'), error.get('type'), error.get('detail'))
        if case.kind is None:
            assert c['state'] == 'waiting' and not error, told + self.story(case)
        else:
            assert c['state'] in ('failed', 'held'), 'no error: %s%s' % (c, self.story(case))
            assert case.state in (None, c['state']), '%s: %s' % (c['state'], told)
            assert error['kind'] == case.kind, told + self.story(case)
            assert case.type in (None, error['type']), told
            assert re.search(case.detail, error['detail'], re.S), told
            assert c['next_at'], told
        if case.slug in self.complaints:
            raise self.complaints[case.slug]
        if case.heal:
            self.judge_healed(case)
        assert case.ca.violations == [], self.story(case)
        if case.certificates is not None:
            assert len(case.ca.issued) == case.certificates + (self.prepare and case.prepare), self.story(case)

    def judge_healed(self, case):
        c = self.healed[case.slug]
        assert not c['stuck'] and c['state'] == 'waiting' and not c.get('last_error'), 'after the fault: %s%s' % (c, self.story(case))

    def story(self, case):
        return '\nrequests of %s:\n%s\nviolations: %s' % (case.slug, '\n'.join('  %.3f %-12s %s %s %s' % (
            e.at - case.ca.log[0].at, e.kind, e.status, e.path, str(e.payload)[:100]) for e in case.ca.log[-40:]), case.ca.violations)

    def retry_after(self, case):
        """Seconds from the failure to the next try."""
        c = self.outcome[case.slug]
        return moment(c['next_at']) - moment(c['last_error']['at'])

    def close(self, good=True):
        try:
            if good:
                assert not [e for s in self.servers for e in s.errors], 'the fake CA failed: ' + self.servers[0].errors[0]
                laboratory.check_invariants(self.lab)
        finally:
            self.lab.close()
            for server in self.servers:
                server.close()


def ca_block(ca, more='', agree=True, private=True):
    return '{ name = "%s"; type = "acme"; directory = "%s"; ca_file = "%s"; %s%s%s }' % (
        ca.name, ca.directory, ca.server.ca_file, 'agree_tos = true; ' if agree else '', 'allow_private = true; ' if private else '', more)


def moment(text):
    """A time as dovad writes it."""
    return calendar.timegm(time.strptime(text, '%Y-%m-%dT%H:%M:%SZ'))


def run_board(request, cases, **how):
    """The body of a module's fixture: the cases are run, then judged one by one by the tests, then the invariants are checked. The folder of the lab
    stays when a test failed."""
    failed = request.session.testsfailed
    board = Board(cases, **how)
    try:
        board.run()
    except BaseException:
        print(laboratory.tail(board.lab.logs / 'dovad.log', 60))
        board.close(False)
        raise
    yield board
    board.close()
    if request.session.testsfailed == failed and not os.environ.get('DOVAD_KEEP'):
        board.lab.remove()
    else:
        print('\nlab: %s' % board.lab.root)
