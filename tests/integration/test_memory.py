# SPDX-License-Identifier: ISC
"""The n-th allocation fails, once or from then on: an error or an end with a word, never a crash, and after the next start everything is as if nothing
had been.

By chance CASES of each scenario; contrib/check-long.sh memory tries every DOVAD_MEMORY_STEP-th allocation."""
import mmap
import os
import random
import struct
import subprocess

import pytest

from lab import BUILD, DOVACTL, Refused, check_pair, check_sanitizers, require, tail, wait_until

CASES, STEP = 10, int(os.environ.get("DOVAD_MEMORY_STEP", 0))
CONTROL = struct.Struct("qqqq224s")  # struct control of failing_malloc.c


def find_library():
    path = BUILD / "tests/integration/failing_malloc.so" if BUILD else None
    require(path and path.exists(), "failing_malloc.so (DOVAD_BUILD names the build tree, make check builds it)")
    return path


class Memory:
    """Rules over the allocations of programs by their names, also while they run."""

    def __init__(self, lab, *programs):
        self.lab, self.maps, folder = lab, {}, lab.root / "memory"
        folder.mkdir()
        for program in programs:
            path = folder / program
            path.write_bytes(bytes(CONTROL.size))
            path.chmod(0o666)
            with open(path, "r+b") as f:
                self.maps[program] = mmap.mmap(f.fileno(), CONTROL.size)
        self.env = {"LD_PRELOAD": str(find_library()), "FAILING_MALLOC": str(folder),
                    "ASAN_OPTIONS": lab.env["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0") + ":verify_asan_link_order=0"}

    def read(self, program):
        return CONTROL.unpack(self.maps[program][:])

    def calls(self, program):
        return self.read(program)[0]

    def failed(self, program):
        return self.read(program)[3]

    def arm(self, program, n, lasting):
        self.maps[program][16:] = CONTROL.pack(0, 0, lasting, 0, b"")[16:]
        self.maps[program][8:16] = struct.pack("q", n)

    def disarm(self, program):
        """How many failed, and who was refused first."""
        self.maps[program][8:24] = bytes(16)
        _, _, _, failed, where = self.read(program)
        return failed, where.rstrip(b"\0").decode()

    def measure(self, program, scenario):
        """scenario() without a fault, and the allocations it took."""
        before = self.calls(program)
        scenario()
        return self.calls(program) - before


def choose(counts):
    """(program, n, lasting) of {program: allocations}."""
    if STEP:
        return [(p, n, lasting) for p, count in counts.items() for n in range(1, count + 1, STEP) for lasting in (0, 1)]
    seed = random.randrange(1 << 30)
    print("seed", seed, counts)
    dice = random.Random(seed)
    programs = [p for p in counts if counts[p]]
    return [(p, dice.randint(1, counts[p]), dice.randrange(2)) for p in (programs[i % len(programs)] for i in range(CASES))]


class Trial:
    """Cases of one scenario, counted: most of them must have met the fault."""

    def __init__(self, lab, memory):
        self.lab, self.memory, self.met, self.all = lab, memory, 0, 0

    def run(self, case, scenario):
        """scenario(struck) with the fault armed, where struck() says whether it was met."""
        program, n, lasting = case
        self.memory.arm(program, n, lasting)
        try:
            scenario(lambda: self.memory.failed(program))
        finally:
            failed, where = self.memory.disarm(program)
        self.what = "allocation %d of %s%s, in %s" % (n, program, " and all later ones" if lasting else "", where)
        self.met, self.all = self.met + (failed > 0), self.all + 1

    def check_end(self):
        """dovad lives, or it ended with 1 and said why. It is up again when this returns."""
        lab = self.lab
        try:
            check_sanitizers(lab)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (self.what, e)) from None
        # Who is about to end has closed his sockets, and runs still.
        wait_until(lambda: not lab.dovad.running() or lab.ctl.run("version").returncode == 0, 20,
                   lambda: "%s: an answer, or the end\n%s" % (self.what, tail(lab.dovad.log)))
        if not lab.dovad.running():
            assert lab.dovad.popen.returncode in (1, 78), "%s: exit %d\n%s" % (self.what, lab.dovad.popen.returncode, tail(lab.dovad.log))
            assert b"memory" in lab.recent_log(), "%s: not a word of it\n%s" % (self.what, tail(lab.dovad.log))
            lab.start(env=self.memory.env)
        wait_until(lambda: lab.ctl.run("version").returncode == 0, 20, lambda: "%s: an answer\n%s" % (self.what, tail(lab.dovad.log)))

    def finish(self):
        print("%d of %d cases met their fault" % (self.met, self.all))
        assert self.met >= self.all * 2 // 3


@pytest.fixture
def trial(make_lab):
    """One certificate is there; dovad runs with the rules."""
    lab = make_lab()
    memory = Memory(lab, "dovad", "dovad-keeper", "dovactl")
    lab.start_dns()
    lab.start_pebble(nonce_reject=0, authz_reuse=0)
    lab.settings["watch"] = "false"
    lab.snippet("first", install=True)
    lab.https = ['{ name = "www"; type = "listener"; listen = [ "127.0.0.1:%d" ]; }' % lab.http_port]
    lab.start(env=memory.env)
    lab.wait_issued("first")
    lab.leaf = lab.installed("first")
    return Trial(lab, memory)


def assert_untouched(trial, issued=1):
    lab = trial.lab
    assert check_pair(lab, lab.tls / "first") == lab.leaf, trial.what
    wait_until(lambda: lab.ctl.show("first")["state"] == "waiting", 20, lambda: "%s: first is %s" % (trial.what, lab.ctl.show("first")))
    assert lab.pebbles[0].issued() == issued, trial.what
    assert lab.pebbles[0].accounts() == 1, trial.what


def test_start(trial):
    lab, memory = trial.lab, trial.memory
    assert lab.stop() == 0
    counts = {p: memory.measure(p, lambda: (lab.start(env=memory.env), lab.stop())) for p in ("dovad", "dovad-keeper")}

    def start(struck):
        lab.start(wait=False, env=memory.env)
        wait_until(lambda: not lab.dovad.running() or b"dovad is ready" in lab.recent_log() or (struck() and b"memory" in lab.recent_log()), 30,
                   lambda: tail(lab.dovad.log))
    for case in choose(counts):
        trial.run(case, start)
        wait_until(lambda: not lab.dovad.running() or b"dovad is ready" in lab.recent_log(), 30, lambda: "%s: an end\n%s" % (trial.what, tail(lab.dovad.log)))
        trial.check_end()
        assert_untouched(trial)
        assert lab.stop() == 0, tail(lab.dovad.log)
    trial.finish()


def test_check(trial):
    """dovad -t: what it says is the same as ever, or that there was no memory."""
    lab, memory = trial.lab, trial.memory
    lab.snippet("second", more="enabled = false; bogus = 1;")

    def check():
        return lab.check_config(env=memory.env)
    good = check()
    assert good.returncode not in (0, 2) and "bogus" in good.stderr
    counts = {"dovad": memory.measure("dovad", check)}
    for case in choose(counts):
        done = []
        trial.run(case, lambda struck: done.append(check()))
        said = done[0].stdout + done[0].stderr
        assert done[0].returncode in (1, good.returncode) and "Sanitizer" not in said, "%s: exit %d: %s" % (trial.what, done[0].returncode, said)
        assert "memory" in said or said == good.stdout + good.stderr, "%s: %s" % (trial.what, said)
    (lab.snippets / "second.conf").unlink()
    trial.finish()


def test_reload(trial):
    """Three snippets come or go together: all or none of it holds, and with the fault gone it is what the disk says."""
    lab, memory, there = trial.lab, trial.memory, set()

    def change():
        for name in ("x", "y", "z"):
            if there:
                (lab.snippets / (name + ".conf")).unlink()
            else:
                lab.snippet(name, more="enabled = false;")
        there.symmetric_difference_update({"x", "y", "z"})

    def names():
        return {c["name"] for c in lab.ctl.list()}

    def reload(struck):
        change()
        lab.ctl.run("--timeout", "3s", "reload")
    counts = {p: memory.measure(p, lambda: reload(None)) for p in ("dovad", "dovad-keeper")}
    for case in choose(counts):
        trial.run(case, reload)
        if lab.dovad.running() and lab.ctl.run("version").returncode == 0:
            assert names() in ({"first"}, {"first", "x", "y", "z"}), "%s: %s" % (trial.what, names())
        wait_until(lambda: not lab.dovad.running() or lab.ctl.run("reload").returncode == 0, 30, lambda: "%s: an end\n%s" % (trial.what, tail(lab.dovad.log)))
        trial.check_end()
        assert lab.ctl.run("reload").returncode == 0  # a start alone keeps what is missing for remove_delay
        assert names() == {"first"} | there, "%s: %s" % (trial.what, names())
        assert_untouched(trial)
    trial.finish()


def test_issuance(trial):
    """An order meets it: whatever came of that, in the end exactly one certificate was made and is in place."""
    lab, memory, made = trial.lab, trial.memory, [0]

    def name():
        return "n%03d" % made[0]

    def settled():
        c = lab.ctl.show(name()) if lab.dovad.running() else None
        return not lab.dovad.running() or (c and (c["state"] in ("failed", "held") or (c["state"] == "waiting" and c.get("generation") and not c.get("order"))))

    def issue(struck):
        keeper = lab.halves().get("keeper")
        made[0] += 1
        lab.snippet(name(), install=True)
        lab.ctl.run("--timeout", "3s", "reload")
        wait_until(lambda: settled() or (struck() and lab.halves().get("keeper") != keeper), 60, lambda: tail(lab.dovad.log))
    issue(lambda: 0)
    counts = {p: memory.measure(p, lambda: issue(lambda: 0)) for p in ("dovad", "dovad-keeper")}
    for case in choose(counts):
        trial.run(case, issue)
        trial.check_end()
        lab.ctl.run("reload")
        wait_until(settled, 60, lambda: "%s: settled\n%s" % (trial.what, tail(lab.dovad.log)))
        trial.check_end()
        for _ in range(3):
            if lab.ctl.show(name())["state"] == "failed":
                try:
                    lab.ctl("renew", name(), "--wait")
                except Refused as e:
                    print(trial.what, e)
        lab.wait_issued(name())
        check_pair(lab, lab.tls / name(), [name() + ".example.org"])
        assert_untouched(trial, 1 + made[0])
    trial.finish()


def test_status(trial):
    lab, memory = trial.lab, trial.memory
    env = dict(lab.env, **memory.env)

    def ask(*args):
        return subprocess.run([str(DOVACTL), "-s", str(lab.socket)] + list(args), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=env)

    def status(struck):
        for args in (["status"], ["list"], ["show", "first"], ["history"]):
            done = ask(*args)
            assert done.returncode in (0, 1, 69), "%s: exit %d: %s" % (args, done.returncode, done.stderr)
            assert done.returncode == 0 or done.stderr.strip(), "%s: not a word" % args
            assert "Sanitizer" not in done.stderr, done.stderr
    counts = {p: memory.measure(p, lambda: status(None)) for p in ("dovad", "dovactl")}
    for case in choose(counts):
        trial.run(case, status)
        trial.check_end()
        assert_untouched(trial)
        assert ask("show", "first").returncode == 0
    trial.finish()
