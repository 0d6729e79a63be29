# SPDX-License-Identifier: ISC
"""A29 to A36: certificates that must not be installed. The one in use stays installed and served; and what is merely unusual is taken."""
import pytest

import fakeca_pki as pki
from fakeca_bench import Case, run_board

REASONS = {  # of fakeca_pki.WRONG: what the admin reads
    'other key': 'for another key',
    'missing name': r'(lacks|missing|not for|without).*example\.org',
    'extra name': r'extra\.example\.org',
    'other name': r'example\.org',
    'wildcard instead': r'example\.org',
    'common name only': 'alternative names|example.org',
    'expired': 'has expired',
    'valid in an hour': 'not valid yet',
    'valid tomorrow': 'not valid yet',
    'valid for a second': 'has expired',
    'ends before it begins': 'ends before it begins',
    'a CA': 'that of a CA',
    'for clients': 'not for servers',
    'broken signature': 'wrong signature',
    'foreign signer': 'not issued by|wrong signature',
    'of a test CA': 'staging CA',
    'wrong order': 'another key|not issued by',
    'unrelated extra': 'not issued by',
    'expired intermediate': 'certificate 2 of the chain has expired',
    'long chain': 'more certificates than a chain has',
    'leaf twice': 'not issued by',
    'private key inside': 'PEM block that is no certificate',
    'private key first': 'PEM block that is no certificate',
    'private key in one line': 'PEM block that is no certificate',
    'NUL inside': 'NUL',
    'empty': 'empty',
    'not PEM': 'no certificate',
    'not base64': 'not base64',
    'not DER': 'not a certificate',
    'block without end': 'without its end',
}


def sends(make):
    def fault(ca):
        ca.issue = make
    return fault


def same_serial(ca):
    """A34: a new certificate with the serial number of the one in use."""
    ca.issue = lambda p, csr, names: pki.pem(p.leaf(names, csr.public_key(),
                                                    serial=pki.leaf_of(ca.issued[0]['chain']).serial_number)) + pki.pem(p.middle[1])


def replay(ca):
    """A34: the old certificate once more."""
    ca.issue = lambda p, csr, names: ca.issued[0]['chain']


WRONG = [Case(name, sends(make), kind='denied', type='badCertificate', detail=REASONS[name], certificates=2, names=['www', 'mail'])
         for name, make in pki.WRONG.items()]
WRONG += [Case('same serial number', same_serial, kind='denied', detail='serial number of the one in use', certificates=2),
          Case('the old one again', replay, kind='denied', detail='another key|serial number', certificates=2)]
ODD = [Case(name, sends(make), kind=None, names=['www']) for name, make in pki.ODD.items()]
CASES = WRONG + ODD


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, prepare=True, serve=True, timeout=90)


@pytest.mark.parametrize('case', WRONG, ids=str)
def test_wrong(board, case):
    board.judge(case)
    assert board.outcome[case.slug]['last_error']['during'] == 'fetch', 'the keeper had to notice it'
    before, during = board.noted[case.slug], board.shown[case.slug]
    assert before['installed'] and before['installed'] == before['served']
    assert during == before, 'the certificate in use was replaced'
    assert board.note(case)['installed'] == pki.fingerprint(pki.leaf_of(case.ca.issued[-1]['chain'])), 'the good one that came later is not in use'


@pytest.mark.parametrize('case', ODD, ids=str)
def test_odd(board, case):
    board.judge(case)
    now = board.note(case)
    assert now['installed'] == now['served'] == pki.fingerprint(pki.leaf_of(case.ca.issued[-1]['chain']))
    for name in ('fullchain.pem', 'chain.pem', 'cert.pem'):
        text = (board.lab.live / case.slug / name).read_bytes()
        assert b'\r' not in text and b'\xef' not in text and b'certificate:' not in text, 'what was around the certificates was installed too'


@pytest.mark.parametrize('case', WRONG[:3], ids=str)
def test_key_never_leaves(board, case):
    """What a CA puts beside a certificate goes nowhere: no private key of its making lies anywhere on the disk."""
    for path in board.lab.root.rglob('*.pem'):
        if path.is_file() and path.name in ('fullchain.pem', 'chain.pem', 'cert.pem') and board.lab.fixtures not in path.resolve().parents:
            assert b'PRIVATE KEY' not in path.read_bytes()
