# SPDX-License-Identifier: ISC
"""A31, A36: alternate chains, certificates that live for a second; and revocation by a CA that does not play along."""
import time

import pytest

import fakeca_pki as pki
import lab as laboratory
from fakeca_bench import Case, run_board
from fakeca_wire import Decoy

ELSEWHERE = Decoy('127.0.0.2')
PREFERS = 'preferred_chain = "other root";'
GOOD = '<{url}/alt>;rel="alternate"'


def links(*alternates, **act):
    """act: what the CA does when it is asked for an alternate."""
    def fault(ca):
        ca.alternates = list(alternates)
        if act:
            ca.on('certificate', lambda n: n > 1, **act)
    return fault


def other_leaf(ca):
    p = ca.server.pki
    links(GOOD)(ca)
    ca.on('certificate', 2, body=pki.pem(p.leaf(['x.example.org'], pki.new_key().public_key())) + pki.pem(p.cross))


def asked(n):
    def check(board, case):
        assert board.requests[case.slug]['certificate'] == n, board.requests[case.slug]
    return check


def case(name, fault, root='fake root', n=2, conf=PREFERS, **more):
    made = Case(name, fault, kind=None, conf=conf, check=asked(n), **more)
    made.root = root
    return made


CHAINS = [
    case('the preferred one is there', links(GOOD), root='other root'),
    case('named without quotes', links('<{url}/alt>; rel=alternate'), root='other root'),
    case('one header for several links', links('<{url}/index>;rel="index", <{url}/alt>;rel="alternate";title="a, b"'), root='other root'),
    case('many words in one link', links('<{url}/alt>; rel="up alternate"'), root='other root'),
    case('nothing preferred', links(GOOD), conf='', n=1),
    case('default preferred', links(GOOD), conf='preferred_chain = "fake root";', n=1),
    case('no alternates', links(), n=1),
    case('none that fits', links(GOOD), conf='preferred_chain = "no such root";'),
    case('not found', links(GOOD, status=404)),
    case('out of order', links(GOOD, status=500)),
    case('lost', links(GOOD, hang_up=True)),
    case('for another key', other_leaf),
    case('not PEM', links(GOOD, body=b'<html>')),
    case('with a private key',
         links(GOOD, body=b'-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n')),
    case('itself, again and again', links(*['<{url}>;rel="alternate"'] * 30), n=11),
    case('thirty of them', links(*['<{url}/alt>;rel="alternate"'] * 30, status=404), n=11),
    case('the second is the one', links('<{url}>;rel="alternate"', GOOD), root='other root', n=3),
    case('elsewhere', links('<https://127.0.0.2:%d/x>;rel="alternate"' % ELSEWHERE.port), n=1),
    case('by http', links('<http://127.0.0.2:%d/x>;rel="alternate"' % ELSEWHERE.port), n=1),
    case('broken link headers', links('<{url}/alt;rel="alternate"', ';rel=alternate', '<>;rel="alternate"', '{url}', '<{url}/alt>;rel=', ','), n=1),
]


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CHAINS, timeout=60)


@pytest.mark.parametrize('case', CHAINS, ids=str)
def test_chain(board, case):
    board.judge(case)
    chain = laboratory.parse_chain((board.lab.live / case.slug / 'chain.pem').read_bytes())
    assert chain[-1].issuer.rfc4514_string() == 'CN=' + case.root
    assert ELSEWHERE.touched == []


def test_the_log_tells_of_it(board):
    log = board.lab.log()
    assert log.count('alternate chain not usable') >= 5 and 'no chain ends at the preferred root' in log


def test_short_life(board):
    """A certificate for two seconds is no reason to order in a tight loop."""
    ca, name = next((c.ca, c.slug) for c in CHAINS if c.name == 'no alternates')
    ca.issue = lambda p, csr, names: pki.pem(p.leaf(names, csr.public_key(), begin=pki.now(), end=pki.now() + 2 * pki.SECOND)) + pki.pem(p.middle[1])
    before, began = ca.counts['newOrder'], time.monotonic()
    board.lab.ctl('renew', name, '--force')
    try:
        with ca.changed:  # until there are five, or it is clear that there will not be
            ca.changed.wait_for(lambda: ca.counts['newOrder'] >= before + 5, 20)
        assert before < ca.counts['newOrder']
        assert ca.counts['newOrder'] < before + 5 or time.monotonic() - began > 3, 'more than one order a second'
    finally:
        ca.issue = None
        seen = len(board.watch.events)
        board.lab.ctl('renew', name, '--force')
        board.watch.wait('done', name, after=seen)


# --- revocation ---

REVOKE = {'refused': dict(problem=(400, 'badRevocationReason', 'not this reason')), 'out of order': dict(status=500, body=b'<html>'),
          'lost': dict(hang_up=True), 'reset': dict(reset=True), 'no answer': dict(stall=True),
          'of another account': dict(problem=(403, 'unauthorized', 'not yours'))}


@pytest.mark.parametrize('what', REVOKE)
def test_revocation_fails(board, what):
    """The reason is told, the certificate stays in use, and nothing is ordered."""
    c = next(c for c in CHAINS if c.name == 'nothing preferred')
    before, orders = board.lab.installed(c.slug), c.ca.counts['newOrder']
    c.ca.on('revokeCert', **REVOKE[what])
    with pytest.raises(laboratory.Refused) as refused:
        board.lab.ctl('revoke', c.slug, '--reason', 'superseded')
    assert refused.value.code == 1 and len(refused.value.stderr.strip()) > 20
    assert board.lab.installed(c.slug) == before and c.ca.counts['newOrder'] == orders
    c.ca.heal()


def test_revocation(board):
    c = next(c for c in CHAINS if c.name == 'nothing preferred')
    before, seen = board.lab.installed(c.slug), len(board.watch.events)
    board.lab.ctl('revoke', c.slug, '--reason', 'keyCompromise')
    asked = [e for e in c.ca.log if e.kind == 'revokeCert'][-1]
    assert asked.payload['reason'] == 1 and asked.status == 200
    board.watch.wait('done', c.slug, after=seen)
    assert board.lab.installed(c.slug).public_key() != before.public_key() and c.ca.violations == []
