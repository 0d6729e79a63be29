# SPDX-License-Identifier: ISC
"""Clocks that are wrong or jump: nothing is ordered before the clock can be right, a jump starts no stampede, and it goes on by itself."""
import datetime
import time
from pathlib import Path

import pytest

from lab import check_pair, require, wait_until

LIBRARY = next((p for p in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.fixture
def shifted(make_lab):
    """dovad (and what it starts) sees the time that lab.set_clock() says, by libfaketime; everybody else the real one."""
    require(LIBRARY, "libfaketime")
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=0)
    lab.start_nginx()
    lab.env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"

    def set_clock(when):
        """"+0": the real time; "+90d", "-1d": shifted; "@1970-01-01 00:10:00": from that moment on."""
        lab.write("clock", when + "\n")
    set_clock("+0")
    lab.set_clock = set_clock
    lab.fake = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(lab.root / "clock"), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}
    return lab


def touch(lab, name="touch"):
    """Something new in the configuration: dovad looks at its clock now instead of within the minute."""
    lab.snippet(name, ["%s-%d.example.org" % (name, time.monotonic_ns())], more="enabled = false;")


def test_1970(shifted):
    """A board without a clock: it waits, says so, and orders as soon as the time is there; no restart is needed."""
    lab = shifted
    lab.set_clock("@1970-01-01 00:10:00")
    lab.snippet("site")
    lab.start(env=lab.fake)
    wait_until(lambda: "clock is set before" in lab.log(), 30, "a word about the clock")
    assert lab.ctl("status")["counts"]["total"] == 1
    assert lab.pebbles[0].accounts() == 0 and "newOrder" not in lab.pebbles[0].log()
    lab.set_clock("+0")
    touch(lab)
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site")
    assert lab.pebbles[0].issued() == 1


def test_forward_jump(shifted):
    """Seventy days forward: what is overdue now is not ordered all at once, in case the clock comes back; and it does."""
    lab = shifted
    names = ["s%d" % i for i in range(6)]
    for name in names:
        lab.snippet(name)
    lab.start(env=lab.fake)
    for name in names:
        lab.wait_issued(name)
    lab.set_clock("+70d")
    touch(lab)
    wait_until(lambda: "the clock jumped" in lab.log(), 75, "a word about the jump")
    times = sorted(c["next_at"] for c in lab.ctl.list() if c["name"] in names)
    assert len(set(times)) == len(names), "all at once: %s" % times
    assert lab.pebbles[0].issued() == len(names)
    lab.set_clock("+0")
    touch(lab)
    wait_until(lambda: lab.log().count("the clock jumped") >= 2, 75, "a word about the way back")
    lab.ctl("renew", "s0", "--force", "--wait")
    assert lab.pebbles[0].issued() == len(names) + 1


def test_backward_jump(shifted):
    """A year back, but after this program was made, would hold nothing up; before it nothing is ordered, and what is in place stays."""
    lab = shifted
    lab.snippet("site")
    lab.start(env=lab.fake)
    lab.wait_issued("site")
    leaf = lab.installed("site")
    for when in ("-1d", "-365d"):
        lab.set_clock(when)
        touch(lab)
        wait_until(lambda: "the clock jumped" in lab.log() or "clock is set before" in lab.log(), 75, "a word about the jump")
    assert lab.ctl.show("site")["state"] == "waiting" and lab.installed("site") == leaf
    before = lab.log().count("the clock jumped")
    lab.set_clock("+0")
    touch(lab)
    wait_until(lambda: lab.log().count("the clock jumped") > before, 75, "a word about the way back")
    lab.ctl("renew", "site", "--force", "--wait")
    assert lab.pebbles[0].issued() == 2


def test_clock_ahead_of_the_ca(shifted):
    """Off for longer than the time to renewal, and a clock that is ahead: what comes is due in the moment it is issued. Renewed once, not in a circle."""
    lab = shifted
    lab.pebbles[0].stop()
    pebble = lab.start_pebble(nonce_reject=0, authz_reuse=0, validity=6000)
    lab.cas = [pebble.block()]
    lab.snippet("site")
    lab.start(env=lab.fake)
    lab.wait_issued("site")
    assert lab.stop() == 0
    lab.set_clock("+55m")
    lab.start(env=lab.fake)
    shown = lab.wait_issued("site", generation=2)
    assert "past the time of its renewal" in lab.log()
    now = datetime.datetime.utcnow() + datetime.timedelta(minutes=55)
    assert datetime.datetime.strptime(shown["next_at"], "%Y-%m-%dT%H:%M:%SZ") > now + datetime.timedelta(minutes=5)
    touch(lab)
    lab.wait_state("touch", "disabled")
    assert pebble.issued() == 2
