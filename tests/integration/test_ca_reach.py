# SPDX-License-Identifier: ISC
"""A1, A10: a CA that cannot be reached, at each kind of request and in each manner: what takes half a minute each is here, all at once. A healthy CA
beside it is not kept waiting (I5)."""
import pytest

from fakeca_bench import Case, run_board

STEPS = ('directory', 'newNonce', 'newAccount', 'newOrder', 'authz', 'challenge', 'finalize', 'order', 'certificate')


def own_port(board):
    return board.add_server()


def does(kind, **act):
    return lambda ca: ca.on(kind, **act)


def handshake(kind, mode):
    """The connection before is closed in good order; the handshake for this kind of request does not work."""
    def fault(ca):
        if kind == 'directory':
            ca.server.listener.mode = mode
            return
        before = STEPS[STEPS.index(kind) - 1]

        def edit_and_turn(nth):
            if nth == 1 or mode != 'stall once':
                ca.server.listener.mode = mode
            return True
        ca.on(before, edit_and_turn, headers=[('Connection', 'close')], hang_up_after=True)
    return fault


def unreachable():
    for kind in STEPS:
        yield Case('refused at %s' % kind, does(kind, refuse=True), server=own_port, type='connect', detail='refused|reset|Empty|closed',
                   certificates=None)
        yield Case('reset at %s' % kind, does(kind, reset=True), type='connect')
        yield Case('hung up at %s' % kind, does(kind, hang_up=True), type='connect')
        yield Case('handshake reset at %s' % kind, handshake(kind, 'reset'), server=own_port, detail='localhost port')
        if kind in ('challenge', 'finalize'):  # the CA is asked what came of it: that helps when it happens once
            yield Case('no answer to the first %s' % kind, lambda ca, k=kind: ca.on(k, 1, stall=True), kind=None)
            yield Case('handshake stalls once at %s' % kind, handshake(kind, 'stall once'), server=own_port, kind=None, slow=True)
        else:
            yield Case('no answer at %s' % kind, does(kind, stall=True), type='timeout', detail='too slow')
            yield Case('handshake stalls at %s' % kind, handshake(kind, 'stall'), server=own_port, type='timeout', detail='')
    # An authorization left open: that it cannot be closed hides not why.
    for how, act in (('reset', dict(reset=True)), ('hung up', dict(hang_up=True)), ('no answer', dict(stall=True))):
        yield Case('%s at deactivate' % how, lambda ca, a=act: [ca.on('deactivate', **a), ca.on('authz', edit=lambda o: o.update(challenges=[]))],
                   kind='denied', type='no-method')


SLOW = [Case('%s trickles: %s' % (kind, how), does(kind, drip=drip), type='timeout', detail='did not end|too slow|slow',
             kind=None if kind == 'finalize' else 'temp')
        for kind in ('directory', 'newOrder', 'finalize', 'certificate') for how,
        drip in (('a byte a second', (1, 1)), ('headers, then nothing', (80, 1000)))]


def never_asked(board, case):
    assert case.ca.requests() == 0, 'a request was sent in the clear'


def plain(board):
    server = board.add_server()
    server.listener.mode = 'plain'
    return server


SLOW += [Case('101 Switching Protocols', does('newOrder', status=101), type='timeout'),
         Case('no TLS at all', lambda ca: None, server=plain, type='timeout', check=never_asked)]
HEALTHY = Case('nothing is wrong here', lambda ca: None, kind=None)
CASES = list(unreachable()) + SLOW + [HEALTHY]


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, timeout=120)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_reach(board, case):
    board.judge(case)


def test_others_did_not_wait(board):
    assert board.took.get(HEALTHY.slug, 0) < 15, board.took

