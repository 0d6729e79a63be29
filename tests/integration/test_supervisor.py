# SPDX-License-Identifier: ISC
"""Started as root without a service manager: a supervisor, two halves under their own users, one dovad-run per command."""
import contextlib
import os
import pwd
import re
import signal
import socket
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from lab import DOVAD, ROOT, alive, check_pair, children, comm, tail, wait_until

pytestmark = pytest.mark.skipif(not ROOT, reason="needs root")

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER = 0, 1, 3


@pytest.fixture
def root_lab(make_lab):
    """The network half is nobody, the keeper is daemon; nginx is root's, as on a real host."""
    lab = make_lab(mode="supervisor", network_user="nobody", keeper_user="daemon")
    lab.start_dns()
    lab.start_pebble(nonce_reject=5)
    lab.start_nginx()
    lab.services = [lab.nginx_service()]
    return lab


def status_of(pid):
    return dict(line.split(":\t", 1) for line in Path("/proc/%d/status" % pid).read_text().splitlines() if ":\t" in line)


def capabilities(pid):
    s = status_of(pid)
    return {k: int(s[k], 16) for k in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")}


def test_main_job_and_rights(root_lab):
    """The whole job; and who may do what while it runs."""
    lab = root_lab
    lab.start()
    halves = lab.halves()
    assert set(halves) == {"supervisor", "network", "keeper"}
    users = {half: status_of(pid)["Uid"].split() for half, pid in halves.items()}
    assert users == {"supervisor": ["0"] * 4, "network": [str(pwd.getpwnam("nobody").pw_uid)] * 4, "keeper": [str(pwd.getpwnam("daemon").pw_uid)] * 4}
    for half in ("network", "keeper"):
        groups = status_of(halves[half])["Groups"].split()
        assert "0" not in groups and status_of(halves[half])["NoNewPrivs"] == "1"
    assert set(capabilities(halves["network"]).values()) == {0}
    may = 1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER
    assert capabilities(halves["keeper"])["CapEff"] == may and capabilities(halves["keeper"])["CapBnd"] == may
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    lab.wait_issued("site")
    lab.wait_served(check_pair(lab, lab.tls / "site", ["site.example.org"]), "site.example.org")
    # Nothing that holds a key can be read by the network half, and no file of the keeper's is another's.
    keeper = pwd.getpwnam("daemon").pw_uid
    for path in lab.keeper.rglob("*"):
        st = path.lstat()
        assert st.st_uid == keeper, path
        if stat.S_ISREG(st.st_mode):
            assert not st.st_mode & 0o007, path
    for key in [lab.live / "site/privkey.pem", lab.tls / "site/privkey.pem"] + list((lab.keeper / "accounts").iterdir()):
        done = subprocess.run(["/usr/bin/head", "-c", "1", str(key)], user="nobody", group=pwd.getpwnam("nobody").pw_gid, extra_groups=[],
                              capture_output=True)
        assert done.returncode != 0 and not done.stdout, key
    # The challenge file was the webroot's owner's.
    made = (lab.web / ".well-known/acme-challenge").stat()
    assert made.st_uid == pwd.getpwnam("nobody").pw_uid
    for pid in halves.values():  # nothing but the keeper's probe of its disk is open that is not there any more
        gone = [path for path in (os.readlink(fd) for fd in Path("/proc/%d/fd" % pid).iterdir()) if "deleted" in path]
        assert len(gone) <= (pid == halves["keeper"]) and all(path.startswith(str(lab.keeper / "pending/#")) for path in gone), gone


def test_host_without_a_hosts_file(root_lab):
    """As a root is when only its packages were unpacked: the CA's localhost is this host all the same."""
    lab = root_lab
    without = 'mkdir "$0" && mount -t tmpfs none "$0" && cp -a /etc/. "$0" && rm "$0/hosts" && mount --bind "$0" /etc && exec "$@"'
    lab.start(wrapper=["unshare", "--mount", "sh", "-c", without, lab.root / "etc"])
    lab.snippet("site")
    lab.wait_issued("site")


def test_owner_and_group_of_files(root_lab):
    lab = root_lab
    lab.start()
    lab.snippet("site", text='certificate = { names = [ "site.example.org" ]; install = ( { dir = "%s/site"; owner = "www-data"; group = "mail"; } ); };\n'
                % lab.tls)
    lab.targets["site"] = lab.tls / "site"
    lab.wait_issued("site")
    st = (lab.tls / "site/privkey.pem").stat()
    assert (st.st_uid, st.st_gid) == (pwd.getpwnam("www-data").pw_uid, pwd.getpwnam("mail").pw_gid) and stat.S_IMODE(st.st_mode) == 0o640
    folder = (lab.tls / "site").resolve().stat()
    assert folder.st_gid == st.st_gid and not folder.st_mode & 0o007


def test_commands_run_as_configured(root_lab):
    """Tests and reloads are root's unless run_as says otherwise; never the keeper's or the network half's, and with nothing of theirs."""
    lab = root_lab
    out = lab.root / "out"
    out.mkdir()
    out.chmod(0o777)
    script = lab.write("who", '#!/bin/sh\n{ id -u; id -G; env | sort; ls -l /proc/$$/fd; cat /proc/$$/status; } > %s/$1\n' % out)
    script.chmod(0o755)
    lab.services = ['{ name = "a"; test = [ "%s", "test-root" ]; command = [ "%s", "load-root" ]; }' % (script, script),
                    '{ name = "b"; command = [ "%s", "load-nobody" ]; run_as = "nobody"; }' % script]
    lab.start()
    lab.snippet("site", text='certificate = { names = [ "site.example.org" ]; service = [ "a", "b" ]; };\n')
    lab.wait_issued("site")
    assert (out / "test-root").read_text().splitlines()[0] == "0" and (out / "load-root").read_text().splitlines()[0] == "0"
    lines = (out / "load-nobody").read_text().splitlines()
    nobody = pwd.getpwnam("nobody")
    assert lines[0] == str(nobody.pw_uid) and lines[1].split() == [str(nobody.pw_gid)]
    for name in ("test-root", "load-root", "load-nobody"):
        text = (out / name).read_text()
        assert "LISTEN_FDS" not in text and "socket:" not in text and "journal.db" not in text, text
    assert "CapEff:\t0000000000000000" in (out / "load-nobody").read_text()


@pytest.mark.parametrize("half", ["network", "keeper"])
def test_half_is_started_again(root_lab, half):
    """A half that dies takes the other with it; both come back by themselves, and the order goes on: one certificate."""
    lab = root_lab
    lab.start()
    before = lab.halves()
    struck = []

    def strike(event):
        if event["event"] == "finalize" and not struck:
            struck.append(event)
            os.kill(lab.halves()[half], signal.SIGKILL)
    watch = lab.watch(strike)
    lab.add_site("site")
    lab.snippet("site", install=True, service="nginx")
    wait_until(lambda: struck, 30, "finalize")
    wait_until(lambda: set(lab.halves()) == set(before) and not set(lab.halves().values()) & {before["network"], before["keeper"]}, 30, "new halves")
    assert lab.halves()["supervisor"] == before["supervisor"]
    wait_until(lambda: lab.ctl.run("version").returncode == 0, 30, "the socket again")
    lab.wait_issued("site")
    watch.close()
    assert lab.pebbles[0].issued() == 1 and lab.pebbles[0].accounts() == 1
    lab.wait_served(check_pair(lab, lab.tls / "site"), "site.example.org")
    lab.base_fds = {}
    assert "a half ended" in lab.log()


def test_cause_is_named(root_lab):
    """The keeper ends because the network half did, and may be found dead first: what is told is who began."""
    lab = root_lab
    lab.start()
    halves = lab.halves()
    os.kill(halves["supervisor"], signal.SIGSTOP)
    try:
        os.kill(halves["network"], signal.SIGKILL)
        wait_until(lambda: all(status_of(halves[half])["State"].startswith("Z") for half in ("network", "keeper")), 30, "the end of both")
    finally:
        os.kill(halves["supervisor"], signal.SIGCONT)
    lines = wait_until(lambda: [line for line in lab.log().splitlines() if "a half ended" in line], 30, "what is told")
    assert len(lines) == 1 and "half=network signal=9" in lines[0], lines
    wait_until(lambda: lab.ctl.run("version").returncode == 0, 30, "the socket again")
    lab.base_fds = {}


def test_crash_loop_is_slow(root_lab):
    """A half that cannot live is not started in a tight loop."""
    lab = root_lab
    lab.start()
    seen = set()

    def another():
        pid = lab.halves().get("network")
        return pid if pid not in seen else None
    for _ in range(3):
        pid = wait_until(another, 30, "a network half")
        seen.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    def times():
        return [line.split()[0] for line in lab.log().splitlines() if "a half ended" in line]
    wait_until(lambda: len(times()) >= 2, 30, "two ends that are told of")
    assert times()[0] != times()[-1]
    wait_until(lambda: lab.ctl.run("version").returncode == 0, 30, "the socket again")
    lab.base_fds = {}


def test_ends_cleanly(root_lab):
    """SIGTERM to the supervisor ends everything with 0, with a command under way, too; nothing stays behind."""
    lab = root_lab
    pids = lab.root / "pids"
    hang = lab.write("hang", "#!/bin/sh\necho $$ > %s\nexec sleep 600\n" % pids)
    hang.chmod(0o755)
    lab.services = ['{ name = "slow"; command = [ "%s" ]; }' % hang]
    lab.start()
    lab.snippet("site", service="slow")
    wait_until(lambda: pids.exists() and pids.read_text().strip(), 40, "the command")
    family = [lab.dovad.pid] + children(lab.dovad.pid)
    assert any(comm(pid) == "dovad-run" for pid in family)
    assert lab.stop(timeout=40) == 0, tail(lab.dovad.log)
    wait_until(lambda: not alive(int(pids.read_text())), 10, "the end of the command")
    assert not lab.socket.exists()


def test_killed_supervisor_takes_all_with_it(root_lab):
    """kill -9 of the supervisor: its halves end too, so that it can be started again at once."""
    lab = root_lab
    lab.start()
    family = lab.everyone()
    lab.dovad.kill()
    wait_until(lambda: not any(alive(pid) for pid in family), 20, "the end of the halves")
    lab.start()
    lab.snippet("site")
    lab.wait_issued("site")


def test_reload_by_signal(root_lab):
    lab = root_lab
    lab.settings["watch"] = "false"
    lab.start()
    lab.snippet("site")
    lab.dovad.signal(signal.SIGHUP)
    lab.wait_issued("site")


def test_no_such_user(root_lab):
    lab = root_lab
    lab.settings["keeper_user"] = '"no-such-user-here"'
    lab.start(wait=False)
    assert lab.dovad.popen.wait(30) == 78
    assert "no-such-user-here" in lab.log() and "keeper_user" in lab.log()


def test_second_dovad(root_lab):
    """The same state twice: the second says so and ends with 75 instead of trying again for ever; the first is not disturbed."""
    lab = root_lab
    lab.start()
    before = lab.halves()
    second = lab.run("second", [DOVAD, "-f", "-c", lab.conf_file], user=None)
    assert second.popen.wait(30) == 75
    assert "another dovad-keeper works in %s" % lab.keeper in lab.log("second") and "started again" not in lab.log("second")
    # With a keeper of its own: the journal is the first one's.
    other = lab.config().replace('keeper_state = "keeper"', 'keeper_state = "keeper2"').replace('runtime = "run"', 'runtime = "run2"')
    third = lab.run("third", [DOVAD, "-c", lab.write("other.conf", other)], user=None)
    assert third.popen.wait(30) == 75
    assert "in use by another dovad" in lab.log("third") and "started again" not in lab.log("third")
    assert lab.halves() == before and lab.ctl.run("version").returncode == 0


def supervisor_in_background(lab):
    """The process that stayed, found by who serves the status socket."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(lab.socket))
        network = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return int(status_of(network)["PPid"])


def test_background(root_lab):
    """Without -f the command ends when all is ready, with 0; what cannot be started is told by its exit code."""
    lab = root_lab
    lab.write_config()
    first = lab.run("first", [DOVAD, "-c", lab.conf_file], user=None)
    assert first.popen.wait(60) == 0
    assert "dovad is ready" in lab.log("first")
    top = supervisor_in_background(lab)  # at once: it is ready
    family = [top] + children(top)
    try:
        assert lab.ctl.run("version").returncode == 0
        again = lab.run("again", [DOVAD, "-c", lab.conf_file], user=None)
        assert again.popen.wait(30) == 75
    finally:
        os.kill(top, signal.SIGTERM)
    wait_until(lambda: not any(alive(pid) for pid in family), 30, "the end of all of it")
    bad = lab.run("bad", [DOVAD, "-c", lab.write("bad.conf", "state = ;\n")], user=None)
    assert bad.popen.wait(30) == 78
    assert "bad.conf:1" in lab.log("bad")


@pytest.fixture
def syslog(root_lab):
    """What stands at /dev/log for programs started behind the words that come with it."""
    where, missing = root_lab.root / "syslog", not os.path.exists("/dev/log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(where))
        s.settimeout(30)
        where.chmod(0o666)
        if missing:
            Path("/dev/log").touch()
        try:
            yield s, ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /dev/log && exec "$@"', where]
        finally:
            if missing:
                os.unlink("/dev/log")


def test_background_log(root_lab, syslog):
    """Whoever typed the command reads what happens until it ends; from then on it stands in the system's log, of both halves. That one does not listen
    for a while: nothing waits for it, and it is told how much was lost."""
    lab, (log, apart) = root_lab, syslog
    lab.write_config()
    first = lab.run("first", apart + [DOVAD, "-c", lab.conf_file], user=None)
    assert first.popen.wait(60) == 0
    top = supervisor_in_background(lab)
    family = [top] + children(top)
    try:
        lab.write("conf.d/bad.conf", "certificate = 1;\n")
        lab.snippet("site")
        lab.wait_issued("site")
        for _ in range(4):  # more lines than the socket takes
            lab.ctl("renew", "site", "--force", "--wait")
        lines = [log.recv(8192).decode()]
        lab.ctl("renew", "site", "--force", "--wait")
        while "lines_lost=" not in lines[-1]:
            lines.append(log.recv(8192).decode())
        assert any("bad.conf line=1" in line for line in lines)
        assert {re.match(r"<\d+>\w{3} [ \d]\d \d\d:\d\d:\d\d (dovad[a-z-]*)\[\d+\]: ", line).group(1) for line in lines} >= {"dovad", "dovad-keeper"}
        assert "bad.conf" not in lab.log("first")
    finally:
        os.kill(top, signal.SIGTERM)
    wait_until(lambda: not any(alive(pid) for pid in family), 30, "the end of all of it")


def test_low_port_of_a_listener(root_lab):
    """A port below 1024 is opened by the supervisor and handed to the half that may not."""
    lab = root_lab
    port = next((p for p in range(600, 1000) if re.search(r":%04X 0" % p, Path("/proc/net/tcp").read_text()) is None), 777)
    lab.http_port = port
    lab.settings["http_port"] = str(port)
    lab.https = ['{ name = "own"; type = "listener"; listen = [ "127.0.0.1:%d" ]; }' % port]
    lab.pebbles.clear()
    lab.cas = []
    lab.start_pebble(nonce_reject=5)
    lab.start()
    lab.snippet("site", prove='"http:own"')
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site", ["site.example.org"])
    # One that is added while it runs cannot be opened any more: it is told what to do, and the next start opens it.
    lab.https.append('{ name = "late"; type = "listener"; listen = [ "127.0.0.2:%d" ]; }' % port)
    lab.write_config()
    lab.ctl("reload")
    lab.snippet("late", prove='"http:late"')
    lab.dns("add-a", host="late.example.org", addresses=["127.0.0.2"])
    detail = lab.wait_state("late", "failed")["last_error"]["detail"]
    assert "127.0.0.2:%d" % port in detail and "restart it" in detail, detail
    lab.restart()
    lab.ctl("renew", "late", "--wait")
