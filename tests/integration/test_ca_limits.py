# SPDX-License-Identifier: ISC
"""A2, A4 to A8, A40: nonces that are no good, servers that are out of order, limits, and accounts that are not what they were."""
import base64
import email.utils
import time

import pytest

import lab as laboratory
from fakeca_bench import Case, moment, run_board

POSTS = ('newAccount', 'newOrder', 'authz', 'challenge', 'finalize', 'order', 'certificate')
HOUR, DAY = 3600, 86400


def every(nth, kinds=POSTS, **act):
    def fault(ca):
        for kind in kinds:
            ca.on(kind, nth, **act)
    return fault


# --- A4, A5: badNonce ---

def only(kind, n):
    def check(board, case):
        assert board.requests[case.slug][kind] == n, board.requests[case.slug]
    return check


def new_nonces(at_most):
    def check(board, case):
        assert board.requests[case.slug]['newNonce'] <= at_most, board.requests[case.slug]
    return check


A4 = [
    Case('every second nonce is bad', every(lambda n: n % 2 == 1, bad_nonce=True), kind=None, check=new_nonces(4)),
    Case('five of six nonces are bad', every(lambda n: n % 6 != 0, bad_nonce=True), kind=None, check=new_nonces(4)),
    Case('no nonce is good for newAccount', every(None, ['newAccount'], bad_nonce=True), type='badNonce', check=only('newAccount', 6)),
    Case('no nonce is good for newOrder', every(None, ['newOrder'], bad_nonce=True), type='badNonce', check=only('newOrder', 6)),
    Case('no nonce is good for authz', every(None, ['authz'], bad_nonce=True), type='badNonce', check=only('authz', 6)),
    Case('no nonce is good for certificate', every(None, ['certificate'], bad_nonce=True), type='badNonce', check=only('certificate', 6)),
    Case('no nonce is good for finalize', every(None, ['finalize'], bad_nonce=True), check=only('finalize', 18)),
    Case('bad nonces without new ones', every((1, 3), bad_nonce=True, no_nonce=True), kind=None, check=new_nonces(40)),
    Case('bad nonces without new ones for ever', every(None, ['newAccount'], bad_nonce=True, no_nonce=True), type='badNonce',
         check=only('newAccount', 6)),
    Case('no answer brings a nonce', every(None, no_nonce=True), kind=None, check=new_nonces(30)),
]

# --- A6: what is no nonce ---

NONCES = {'empty': '', 'quotes': 'a"b"', 'blank': 'a b', 'dots': '../../x', 'JSON': '","url":"https://evil', 'padded': 'YWJj==',
          'standard base64': 'a+b/c',
          'not ASCII': 'n\xf6nce', 'control': 'a\x01b', 'long': 'x' * 257, 'very long': 'x' * 8000, 'unknown': 'bm90LWEtbm9uY2U'}
A6 = [Case('a nonce that is %s' % name, every(None, nonce=value), kind=None, check=new_nonces(40)) for name,
      value in NONCES.items() if name != 'unknown']
A6 += [Case('newNonce gives one that is %s' % name, every(None, ['newNonce'] + list(POSTS), nonce=value),
            type='nonce' if name != 'unknown' else 'badNonce', detail='.')
       for name, value in NONCES.items()]
A6 += [
    Case('a nonce that was never good', every(None, nonce=NONCES['unknown']), type='badNonce', check=only('newOrder', 6)),
    Case('a nonce of 64 KiB', every(None, nonce='x' * 65536), type='too-large', detail='headers', certificates=None),
    Case('newNonce gives none', every(None, ['newNonce'], no_nonce=True), type='nonce', detail='no Replay-Nonce of use'),
]

# --- A7: 429 ---


def later(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def limited(value, kind='newOrder', status=429):
    def fault(ca):
        headers = [('Retry-After', value)] if value is not None else []
        ca.on(kind, problem=(status, 'rateLimited', 'too many certificates for example.org'), headers=headers)
    return fault


def comes_again(least, most):
    def check(board, case):
        wait = board.retry_after(case)
        assert least - 3 <= wait <= most + 3, wait
    return check


A_DAY = (DAY * 3 // 4, DAY * 5 // 4)  # give or take
RETRY_AFTER = {  # value -> kind, when it comes again (seconds, from and to)
    '120': ('limit', 120, 120),
    '3600': ('limit', HOUR, HOUR),
    '0': ('limit', 45, 80),
    '1': ('limit', 45, 80),
    '2592000': ('limit', 7 * DAY, 7 * DAY),
    '99999999999999999999999999': ('limit', 7 * DAY, 7 * DAY),
    **{wrong: ('denied', *A_DAY) for wrong in ('-1', 'soon', '', '1e3', '0x10', '120 ; x', '1.5')},
}
A7 = [Case('Retry-After %r' % value, limited(value), kind=kind, type='rateLimited', detail='too many certificates', check=comes_again(least, most))
      for value, (kind, least, most) in RETRY_AFTER.items()]
A7 += [
    Case('Retry-After in an hour as a date', limited(lambda: later(HOUR)), kind='limit', detail='too many', check=comes_again(HOUR, HOUR)),
    Case('Retry-After a date in the past', limited(lambda: later(-HOUR)), kind='limit', detail='too many', check=comes_again(45, 80)),
    Case('Retry-After a date in 50 years', limited(lambda: later(50 * 365 * DAY)), kind='limit', detail='too many',
         check=comes_again(7 * DAY, 7 * DAY)),
    Case('Retry-After February 31', limited('Thu, 31 Feb 2028 00:00:00 GMT'), kind='denied', detail='too many'),
    Case('no Retry-After', limited(None), kind='denied', type='rateLimited', detail='too many', check=comes_again(*A_DAY)),
    Case('429 without a reason', lambda ca: ca.on('newOrder', status=429, body=b'', headers=[('Retry-After', '600')]), kind='limit',
         check=comes_again(600, 600)),
    Case('429 to finalize', limited('300', 'finalize'), kind='limit', type='rateLimited', check=comes_again(300, 300)),
    Case('429 to the certificate', limited('300', 'certificate'), kind='limit', type='rateLimited', check=comes_again(300, 300)),
    Case('429 to an authorization', limited('300', 'authz'), kind='limit', type='rateLimited', check=comes_again(300, 300)),
]

# --- A2: out of order ---

HTML = b'<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1><script>alert(1)</script></body></html>'


def out_of_order(kind, status):
    def fault(ca):
        ca.on(kind, status=status, body=HTML, content_type='text/html', no_nonce=True)
    return fault


def soon(board, case):
    assert 44 <= board.retry_after(case) <= 76, 'the first retry is due after a minute'
    assert sum(board.requests[case.slug].values()) <= 40, 'a storm: %s' % board.requests[case.slug]


def was_deactivated(board, case):
    assert board.requests[case.slug]['deactivate'], 'the authorization was left open'


A2 = [Case('%s answers %d' % (kind, status), out_of_order(kind, status), type='http', detail='HTTP %d' % status, check=soon)
      for kind in ('directory', 'newNonce', 'newAccount', 'newOrder', 'authz', 'finalize', 'order', 'certificate') for status in (500, 502, 503, 504)]
A2 += [Case('challenge answers 500', lambda ca: ca.on('challenge', 1, status=500, body=HTML, process=True), kind=None),
       Case('deactivation answers 500', lambda ca: [ca.on('deactivate', status=500), ca.on('authz', edit=lambda o: o.update(challenges=[]))],
            kind='denied',
            type='no-method', check=was_deactivated)]


# --- A40 and accounts in general ---

def lost(ca):
    ca.saved = dict(ca.accounts)
    ca.lose_accounts()


def found(ca):
    ca.accounts.update(ca.saved)


def deactivated(ca):
    for a in ca.accounts.values():
        a['status'] = 'deactivated'


def reactivated(ca):
    for a in ca.accounts.values():
        a['status'] = 'valid'


EAB_KEY = bytes(range(250, 256)) * 6  # + and / in the one base64, - and _ in the other


def bind(key=EAB_KEY, encode=base64.urlsafe_b64encode):
    def at_start(board, case):
        board.lab.credential(case.slug, encode(key).decode().rstrip('='))
    return at_start


def wants_binding(ca):
    ca.eab = {'kid-1': EAB_KEY}


def asks_nothing(ca):
    ca.eab = None


def eab_case(name, at_start, **how):
    case = Case(name, wants_binding, at_start=at_start, prepare=False, **how)
    case.conf = 'eab = { key_id = "kid-1"; hmac_key = "credential:%s"; };' % case.slug
    return case


ACCOUNT = [
    Case('account lost within a day', lost, kind='denied', state='held', type='accountDoesNotExist', detail='made less than a day ago', cure=found,
         check=only('newAccount', 2)),
    Case('account lost after long', lost, kind=None, ca={'rules': [('newAccount', 1, {'status': 200, 'process': True})]},
         check=only('newAccount', 3)),
    Case('account deactivated', deactivated, kind='denied', state='held', type='unauthorized', detail='deactivated', cure=reactivated),
    Case('account of another key', lambda ca: ca.on('newOrder', problem=(403, 'unauthorized', 'who are you')), kind='denied', type='unauthorized',
         detail='who are you'),
    Case('account refused', lambda ca: ca.on('newAccount', problem=(403, 'unauthorized', 'not with us')), kind='denied', state='held',
         type='unauthorized', detail='not with us',
         prepare=False),
    Case('account refused by 401', lambda ca: ca.on('newAccount', problem=(401, 'unauthorized', 'not with us')), kind='denied', state='held',
         type='unauthorized',
         prepare=False),
    Case('contact refused', lambda ca: ca.on('newAccount', problem=(400, 'invalidContact', 'no such mailbox')), kind='denied', state='held',
         type='invalidContact', detail='no such mailbox', prepare=False),
    Case('terms not agreed to', lambda ca: None, kind='denied', state='held', type='userActionRequired', detail='agree_tos', agree=False, heal=False,
         certificates=0, prepare=False),
    Case('newAccount says it is revoked', lambda ca: ca.on('newAccount', edit=lambda o: o.update(status='revoked')), kind='denied',
         type='unauthorized',
         detail='revoked', prepare=False),
    Case('account without Location', lambda ca: ca.on('newAccount', without=['Location']), type='object', detail='no Location', prepare=False),
    Case('binding asked for, none configured', wants_binding, kind='denied', state='held', type='externalAccountRequired', detail='bind',
         cure=asks_nothing, prepare=False),
    eab_case('binding', bind(), kind=None),
    eab_case('binding in standard base64', bind(encode=base64.b64encode), kind=None),
    eab_case('binding by another key', bind(b'x' * 32), kind='denied', state='held', type='unauthorized', detail='does not verify',
             cure=asks_nothing),
]

FRESH = A4 + A6 + A7 + A2
PARKED = [
    Case('503 with Retry-After parks the CA', lambda ca: ca.on('newOrder', status=503, body=HTML, headers=[('Retry-After', '3600')]), kind='limit',
         type='http',
         detail='HTTP 503', heal=False, certificates=0, check=comes_again(HOUR, HOUR), prepare=False),
    Case('429 to newAccount parks the account', limited('3600', 'newAccount'), kind='limit', heal=False, certificates=0,
         check=comes_again(HOUR, HOUR), prepare=False),
    Case('503 for a year parks for a day', lambda ca: ca.on('newOrder', status=503, headers=[('Retry-After', '31536000')]), kind='limit', heal=False,
         certificates=0,
         prepare=False),
]
CASES = FRESH + ACCOUNT + PARKED
for case in FRESH:
    case.prepare = False


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, prepare=True, timeout=90)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_limit(board, case):
    board.judge(case)


@pytest.mark.parametrize('case', PARKED, ids=str)
def test_parked(board, case):
    """A CA as a whole that told us to stay away: the next certificate does not even ask, and the status says until when."""
    lab, name = board.lab, 'second-of-' + case.slug
    before = case.ca.requests()
    lab.snippet(name, more='ca = [ "%s" ];' % case.slug)

    def put_off():
        c = lab.ctl.show(name)
        return c if c and c.get('next_at') and moment(c['next_at']) - time.time() > 600 else None
    shown = laboratory.wait_until(put_off, 30)
    assert shown['state'] in ('waiting', 'failed') and not shown.get('order'), shown
    assert case.ca.requests() == before, 'it asked all the same'
    issuer = next(i for i in lab.ctl('status')['issuers'] if i['name'] == case.slug)
    assert HOUR - 120 <= moment(issuer['not_before']) - time.time() <= DAY + 5, issuer
    lab.ctl('renew', case.slug, '--force')
    assert case.ca.requests() == before, 'force does not override what the CA said'
