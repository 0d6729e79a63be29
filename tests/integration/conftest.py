# SPDX-License-Identifier: ISC
"""Fixtures: labs are made by make_lab (or lab, ready with CA, web server and name server) and checked and ended after each test."""
import ctypes
import os
import shutil
import subprocess
import sys

import pytest

import cas_client
import lab as laboratory
from dns_servers import KINDS
from dns_world import World


sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "servers"))

import cas  # noqa: E402

# "supervisor", as root: every lab is, and so both halves are confined.
MODE = os.environ.get("DOVAD_LAB_MODE", "user")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture
def labs(request):
    """All labs of this test. At its end the invariants are checked in each, everything is ended, and the folders of a good test go."""
    made = []
    yield made
    report = getattr(request.node, "report_call", None)
    good = report is not None and report.passed
    try:
        for one in made:
            if good:
                laboratory.check_invariants(one)
    except BaseException:
        good = False
        raise
    finally:
        for one in made:
            one.close()
            if good and not os.environ.get("DOVAD_KEEP"):
                one.remove()
            else:
                print("\nlab of %s: %s\n--- dovad.log\n%s" % (request.node.nodeid, one.root, laboratory.tail(one.logs / "dovad.log", 60)))


@pytest.fixture
def make_lab(labs):
    def make(**options):
        one = laboratory.Lab(**({"mode": MODE} | options))
        labs.append(one)
        return one
    return make


@pytest.fixture
def lab(make_lab):
    """Name server, the best Pebble there is and nginx are up; dovad is not started yet."""
    one = make_lab()
    one.start_dns()
    one.start_pebble()
    one.start_nginx()
    one.services = [one.nginx_service()]
    return one


@pytest.fixture
def world(request, make_lab):
    """A DNS around a lab: name servers are added by the test. It may be parametrized by options of the lab."""
    for kind in KINDS.values():
        kind.require()
    one = World(make_lab(**getattr(request, "param", {})))
    yield one
    for log in sorted(one.place.logs.glob("*.log")):
        print("--- %s\n%s" % (log.name, laboratory.tail(log, 25)))
    one.close()


@pytest.fixture
def make_cas(tmp_path):
    """Stand-ins for Alibaba Cloud's certificate service, each with the key of cas_client."""
    made = []

    def make(**options):
        one = cas.Server(tls=str(tmp_path / "tls"), **options)
        made.append(one)
        one.state.add_key(cas_client.KEY, cas_client.SECRET)
        return one
    yield make
    for one in made:
        one.close()
    assert [one.crashes for one in made if one.crashes] == []


@pytest.fixture(params=["old", "new"])
def pebble_kind(request):
    """Both Pebbles; a newer one that cannot be had is a failure where it must be there, elsewhere the test is left out."""
    try:
        if request.param == "old" and not shutil.which("pebble", path=laboratory.SBIN):
            raise FileNotFoundError("pebble is not installed")
        laboratory.Pebble.folder(request.param)
    except FileNotFoundError as e:
        laboratory.require(False, "Pebble (%s)" % e)
    return request.param


root_only = pytest.mark.skipif(not laboratory.ROOT, reason="needs root")


def own_network():
    """Into a network of this process's own, with loopback alone: several runs, or workers of one, do not take each other's ports and addresses."""
    new_net = 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(new_net) == -1:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def pytest_configure(config):
    config.addinivalue_line("markers", "root_only: needs root")
    laboratory.Pebble.folder("best")  # while there is a network to fetch it from
    if laboratory.ROOT:
        own_network()
