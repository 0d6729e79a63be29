# SPDX-License-Identifier: ISC
"""kill -9 at every state of an order, of one half or both: after the restart exactly one certificate, served, and nothing left over."""
import os
import random
import signal
import subprocess
import threading

import pytest

from lab import DOVAD, ROOT, check_invariants, check_pair, check_webroot, fingerprint, tail, wait_until

STEPS = ["create", "prove", "request", "finalize", "fetch", "issued", "install", "gather", "test", "reload", "look", "confirm", "done"]


@pytest.fixture
def busy(make_lab):
    """All that a whole order needs, with the old Pebble's habit: finalize always answers processing."""
    lab = make_lab()
    lab.start_dns()
    lab.start_pebble(nonce_reject=5, authz_reuse=0)
    lab.start_nginx()
    lab.services = [lab.nginx_service()]
    lab.start()
    return lab


def assert_one(lab, name, issued_before):
    lab.wait_issued(name, timeout=60)
    assert lab.pebbles[0].issued() == issued_before + 1, "%s: %d certificates were issued" % (name, lab.pebbles[0].issued() - issued_before)
    leaf = check_pair(lab, lab.tls / name, ["%s.example.org" % name])
    lab.wait_served(leaf, "%s.example.org" % name)
    wait_until(lambda: challenge_files(lab) == [], 10, lambda: "no challenge file; there are %s" % challenge_files(lab))
    assert lab.ctl.show(name)["generation"] == 1
    assert lab.pebbles[0].accounts() == 1


def challenge_files(lab):
    folder = lab.web / ".well-known/acme-challenge"
    return sorted(f.name for f in folder.iterdir()) if folder.is_dir() else []


def again(lab):
    """Started again at once, as a service manager would; what was left of the other half may still hold its lock for a moment."""
    def up():
        if lab.dovad.running():
            return True
        lab.start(wait=False)
        return False
    wait_until(lambda: up() and b"dovad is ready" in lab.recent_log(), 30, lambda: "dovad up again:\n" + tail(lab.dovad.log))
    lab.wait_ready()


@pytest.mark.parametrize("who", ["network", "keeper", "both"])
def test_killed_at_each_step(busy, who):
    """The moment is when dovad tells of the step: what follows from it is under way or just begins."""
    lab = busy
    for step in STEPS:
        name = "k-" + step
        before = lab.pebbles[0].issued()
        struck = threading.Event()

        def strike(event, step=step, name=name):
            if event["event"] != step or event.get("cert") != name or struck.is_set():
                return
            halves = lab.halves()
            for half in ["network", "keeper"] if who == "both" else [who]:
                if half in halves:
                    os.kill(halves[half], signal.SIGKILL)
            struck.set()
        watch = lab.watch(strike)
        lab.add_site(name)
        lab.snippet(name, install=True, service="nginx")
        assert struck.wait(60), "%s never came to %s; it is %s\n%s" % (name, step, lab.ctl.show(name), tail(lab.dovad.log))
        if who != "keeper":
            lab.dovad.popen.wait(10)
        again(lab)
        assert_one(lab, name, before)
        watch.close()


def test_killed_at_random(busy):
    """Between the steps, too: the proof's own ones make no event."""
    lab = busy
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    for i in range(12):
        name = "r%02d" % i
        before = lab.pebbles[0].issued()
        lab.add_site(name)
        lab.snippet(name, install=True, service="nginx")
        wait_until(lambda n=name: lab.ctl.show(n), 20, name)
        threading.Event().wait(dice.uniform(0, 0.4))  # not a wait for something: the moment of the blow
        lab.kill9(*dice.choice([["network"], ["keeper"], ["network", "keeper"]]))
        again(lab)
        assert_one(lab, name, before)


def test_killed_again_and_again(busy):
    """Ten blows in a row during one order."""
    lab = busy
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    for i in range(10):
        wait_until(lambda: lab.dovad.running(), 10, "dovad")
        threading.Event().wait(0.05 * (i % 4))
        lab.kill9(*(["network", "keeper"] if i % 2 else ["network"]))
        again(lab)
    assert_one(lab, "site", 0)


def test_terminated_at_each_step(busy):
    """SIGTERM: exit 0 soon, and the order goes on after the next start."""
    lab = busy
    for step in STEPS:
        name = "t-" + step
        before = lab.pebbles[0].issued()
        struck = threading.Event()

        def strike(event, step=step, name=name):
            if event["event"] == step and event.get("cert") == name and not struck.is_set():
                lab.dovad.signal(signal.SIGTERM)
                struck.set()
        watch = lab.watch(strike)
        lab.add_site(name)
        lab.snippet(name, install=True, service="nginx")
        assert struck.wait(60), "%s never came to %s; it is %s\n%s" % (name, step, lab.ctl.show(name), tail(lab.dovad.log))
        assert lab.stop(timeout=20) == 0, tail(lab.dovad.log)
        lab.start()
        assert_one(lab, name, before)
        watch.close()


def test_signals_at_the_end(busy):
    """SIGHUP and a second SIGTERM while it ends do no harm."""
    busy.snippet("site")
    for signum in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        busy.dovad.signal(signum)
    assert busy.dovad.popen.wait(20) == 0


def test_suspended(busy):
    """Both halves stand still for a while, as in a suspend: everything goes on afterwards."""
    lab = busy
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    wait_until(lambda: lab.ctl.show("site"), 20, "site")
    pids = lab.halves().values()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    threading.Event().wait(3)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert_one(lab, "site", 0)


def test_second_dovad(busy):
    """The same state twice: the second says so and ends with 75, the first is not disturbed; a lock left by a kill does no harm."""
    lab = busy
    lab.snippet("site")
    lab.wait_issued("site")
    second = lab.run("second", [DOVAD, "-f", "-c", lab.conf_file])
    assert second.popen.wait(30) == 75
    assert "another" in lab.log("second") and str(lab.keeper) in lab.log("second")
    # With a keeper of its own: the journal is the first one's.
    other = lab.config().replace('keeper_state = "keeper"', 'keeper_state = "keeper2"').replace('runtime = "run"', 'runtime = "run2"')
    third = lab.run("third", [DOVAD, "-f", "-c", lab.write("other.conf", other)])
    assert third.popen.wait(30) == 75
    assert "in use by another dovad" in lab.log("third")
    assert lab.ctl.show("site")["state"] == "waiting"
    lab.kill9("network", "keeper")
    lab.start()
    assert lab.ctl.show("site")["state"] == "waiting"


def damage(lab, what):
    journal = lab.state / "journal.db"
    data = journal.read_bytes()
    for extra in lab.state.glob("journal.db-*"):
        extra.unlink()
    if what == "empty":
        journal.write_bytes(b"")
    elif what == "truncated":
        journal.write_bytes(data[:len(data) // 2 + 37])
    elif what == "garbage":
        journal.write_bytes(os.urandom(100000))
    elif what == "middle":
        journal.write_bytes(data[:4096] + os.urandom(4096) + data[8192:])
    elif what == "future":
        journal.write_bytes(data[:60] + (4711).to_bytes(4, "big") + data[64:])  # SQLite's place for user_version
    elif what == "huge":
        with open(journal, "wb") as f:
            f.truncate(1 << 30)
    elif what == "folder":
        journal.unlink()
        journal.mkdir()
        lab.give(journal)
    elif what == "fifo":
        journal.unlink()
        os.mkfifo(journal)
        lab.give(journal)
    elif what == "link":
        journal.unlink()
        journal.symlink_to("/etc/passwd")


@pytest.mark.parametrize("what", ["empty", "truncated", "garbage", "middle", "future", "huge", "folder", "fifo", "link"])
def test_damaged_journal(busy, what):
    """Moved aside, told, and rebuilt from what the keeper has and the CA knows: no second certificate, no second account."""
    lab = busy
    lab.snippet("site")
    lab.wait_issued("site")
    leaf = lab.installed("site")
    assert lab.stop() == 0
    damage(lab, what)
    lab.start()
    assert lab.wait_issued("site")["fingerprint"] == fingerprint(leaf)
    assert lab.pebbles[0].issued() == 1
    if what not in ("empty",):
        assert "moved aside" in lab.recent_log().decode()
        assert list(lab.state.glob("journal.db.broken-*"))
    assert b"root:" not in lab.recent_log()
    lab.ctl("renew", "site", "--force", "--wait")
    assert lab.pebbles[0].accounts() == 1 and lab.pebbles[0].issued() == 2


@pytest.mark.skipif(not ROOT, reason="needs root to own a file that dovad may not read")
def test_journal_of_somebody_else(busy):
    """Not readable is not damaged: nothing is thrown away, a person must look."""
    lab = busy
    lab.snippet("site")
    lab.wait_issued("site")
    assert lab.stop() == 0
    os.chown(lab.state / "journal.db", 0, 0)
    (lab.state / "journal.db").chmod(0o600)
    lab.start(wait=False)
    assert lab.dovad.popen.wait(30) == 1
    assert "journal" in lab.recent_log().decode() and not list(lab.state.glob("*.broken-*"))


@pytest.fixture
def small_disk(busy, request):
    """dovad's journal, keeper's state and targets on a disk of their own that can be filled: lab.fill(), lab.free()."""
    if not ROOT:
        pytest.skip("needs root to mount")
    lab = busy
    assert lab.stop() == 0
    mounted = []

    def mount(folder):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755,uid=%d,gid=%d" % (folder.stat().st_uid, folder.stat().st_gid), "tmpfs",
                        str(folder)], check=True)
        mounted.append(folder)
        request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(folder)], check=False))

    def fill(folder):
        with open(folder / "ballast", "wb", 0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
    lab.mount, lab.fill, lab.free = mount, fill, lambda folder: (folder / "ballast").unlink()
    yield lab
    # Before the disks go, and with the files where they are looked for.
    if request.node.report_call.passed:
        check_invariants(lab)
    elif lab.dovad.running():
        lab.stop()


def issue_on_its_disk(lab, folder, name):
    """The folder gets a disk of its own, and with it a certificate is issued."""
    lab.mount(folder)
    lab.start()
    lab.snippet(name)
    lab.wait_issued(name)


def test_disk_of_the_journal_full(small_disk):
    """No order goes on that could not be remembered; what is in use stays in use; with room again it goes on by itself."""
    lab = small_disk
    issue_on_its_disk(lab, lab.state, "first")
    lab.fill(lab.state)
    lab.snippet("second")
    wait_until(lambda: "journal cannot be written" in lab.log(), 30, "a word about the disk")
    assert lab.pebbles[0].issued() == 1
    lab.free(lab.state)
    lab.wait_issued("second", timeout=60)
    assert lab.pebbles[0].issued() == 2


def test_disk_of_the_keeper_full(small_disk):
    """The paid-for certificate is kept until it can be installed: the order is not lost, no second one is made."""
    lab = small_disk
    issue_on_its_disk(lab, lab.keeper, "site")
    leaf = lab.installed("site")
    lab.snippet("spare", more="enabled = false;")
    wait_until(lambda: lab.ctl.show("spare"), 10, "spare")
    watch = lab.watch(lambda event: lab.fill(lab.keeper) if event["event"] == "finalize" else None)
    failed = lab.ctl.run("renew", "site", "--force", "--wait")
    assert failed.returncode == 1 and ("No space" in failed.stderr or "full" in failed.stderr), failed.stderr
    watch.close()
    assert check_pair(lab, lab.live / "site") == leaf
    lab.free(lab.keeper)
    lab.ctl("renew", "site", "--wait")
    assert lab.pebbles[0].issued() == 2 and check_pair(lab, lab.live / "site") != leaf
    check_webroot(lab)


def test_disk_full_before_the_order(small_disk):
    """Nothing is ordered whose key and certificate could not be stored; status says so, and with room it goes on."""
    lab = small_disk
    issue_on_its_disk(lab, lab.keeper, "site")
    ordered = lab.pebbles[0].requests("POST", "/order-plz")
    lab.fill(lab.keeper)
    failed = lab.ctl.run("renew", "site", "--force", "--wait")
    assert failed.returncode == 1 and "No space" in failed.stderr and "nothing is ordered" in failed.stderr, failed.stderr
    assert "nothing is ordered" in lab.ctl.run("status", json_out=False).stdout
    assert lab.pebbles[0].requests("POST", "/order-plz") == ordered
    lab.free(lab.keeper)
    lab.ctl("renew", "site", "--wait")
    assert lab.pebbles[0].issued() == 2


def test_read_only_target(small_disk):
    """A target that the unit's sandbox leaves read-only: the message tells the remedy; with it, the same order is installed."""
    lab = small_disk
    lab.mount(lab.tls)
    subprocess.run(["mount", "-o", "remount,ro", str(lab.tls)], check=True)
    lab.start()
    lab.snippet("site", install=True)
    error = lab.wait_state("site", "failed")["last_error"]
    assert "Read-only file system" in error["detail"] and "ReadWritePaths=" in error["detail"] and str(lab.tls / "site") in error["detail"], error
    subprocess.run(["mount", "-o", "remount,rw", str(lab.tls)], check=True)
    lab.ctl("renew", "site", "--wait")
    check_pair(lab, lab.tls / "site", ["site.example.org"])
    assert lab.pebbles[0].issued() == 1


def test_read_only_disk(small_disk):
    """A disk that cannot be written: it does not start, and says which folder; nothing is ordered that could not be kept."""
    lab = small_disk
    issue_on_its_disk(lab, lab.keeper, "site")
    assert lab.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", str(lab.keeper)], check=True)
    lab.start(wait=False)
    assert lab.dovad.popen.wait(30) == 1
    assert "ead-only" in lab.recent_log().decode() and str(lab.keeper) in lab.recent_log().decode()
    subprocess.run(["mount", "-o", "remount,rw", str(lab.keeper)], check=True)
    lab.start()
    assert lab.wait_issued("site") and lab.pebbles[0].issued() == 1


class Injected:
    """System calls of one half fail, until the end; paths: only those on these files."""

    def __init__(self, lab, half, calls, error, paths=()):
        self.pid, self.log = lab.halves()[half], lab.root / "strace.log"
        argv = ["strace", "-s", "0", "-o", str(self.log), "-p", str(self.pid), "-e", "trace=" + calls, "-e", "inject=%s:error=%s" % (calls, error)]
        for one in paths:
            argv += ["-P", str(one)]
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.popen.stderr:
            if "attached" in line:
                break
        assert self.popen.poll() is None

    def met(self):
        return "(INJECTED)" in self.log.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.terminate()
        self.popen.stderr.close()
        self.popen.wait()


# half, calls, error, which files (None: all), what dovad says (None: nothing, it helps itself), is there a certificate already
JOURNAL = ("state/journal.db", "state/journal.db-wal")
BROKEN = {
    "journal, write": ("network", "pwrite64", "EIO", JOURNAL, "journal cannot be written", True),
    "journal, no room": ("network", "pwrite64", "ENOSPC", JOURNAL, "journal cannot be written", True),
    "journal, sync": ("network", "fsync,fdatasync", "EIO", JOURNAL, "journal cannot be written", True),
    "account key, write": ("keeper", "write", "ENOSPC", (), "No space", False),
    "account key, sync": ("keeper", "fsync", "EIO", (), "Input/output", False),
    "account key, sync of its folder": ("keeper", "fsync", "EIO", ("keeper/accounts",), "Input/output", False),
    "webroot, write": ("keeper", "write", "ENOSPC", (), "No space", True),
    "key and chain, side by side": ("keeper", "io_submit", "EIO", (), None, True),
    "key and chain, side by side and alone": ("keeper", "io_submit,fsync", "EIO", (), "Input/output", True),
    "key and chain, the results": ("keeper", "io_getevents", "EIO", (), None, True),
}


@pytest.mark.skipif(not ROOT, reason="needs root to trace what runs as another user")
@pytest.mark.parametrize("what", BROKEN)
def test_disk_breaks_while_it_runs(busy, what):
    """The disk fails under one half: an order stops with a word of it, nothing false is taken for written, what is in use stays; when it works again
    exactly one certificate is made."""
    lab = busy
    half, calls, error, paths, said, is_there = BROKEN[what]
    if is_there:
        lab.add_site("site")
        lab.snippet("site", install=True, service="nginx")
        lab.wait_issued("site")
    else:  # a certificate that waits for its next try, and no account key
        lab.pebbles[0].stop()
        lab.add_site("site")
        lab.snippet("site", install=True, service="nginx")
        lab.wait_state("site", "failed")
        assert lab.stop() == 0
        (lab.keeper / "accounts/pebble.pem").unlink()
        lab.pebbles[0].start()
        lab.start()
    leaf, before = is_there and lab.installed("site"), lab.pebbles[0].issued()
    mark = len(lab.log())
    with Injected(lab, half, calls, error, [lab.root / p for p in paths]) as fault:
        lab.ctl.run("--timeout", "10s", "renew", "site", *(["--force"] if is_there else []), "--wait")
        wait_until(fault.met, 30, "the fault met")
        if said:
            wait_until(lambda: said in lab.log()[mark:], 30, lambda: "a word of it:\n" + tail(lab.dovad.log))
            assert not leaf or check_pair(lab, lab.tls / "site") == leaf
    if not lab.dovad.running():
        again(lab)
    for _ in range(3):  # what was stopped for want of the disk goes on by itself, what failed is asked for
        if (lab.ctl.show("site") or {}).get("state") in ("failed", "held"):
            lab.ctl.run("renew", "site", "--wait")
    lab.wait_issued("site", timeout=60, generation=2 if is_there else 1)
    assert lab.pebbles[0].issued() == before + 1 and lab.pebbles[0].accounts() == 1
    assert check_pair(lab, lab.tls / "site") != leaf
