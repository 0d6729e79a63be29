# SPDX-License-Identifier: ISC
"""Configuration: each snippet stands alone, bad ones are named and set aside, the last good version stays, nothing hangs."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from lab import DOVAD, PREFIX, Refused, ROOT, alive, check_pair, wait_until

NOWHERE = '{ name = "none"; type = "acme"; directory = "https://localhost:1/dir"; allow_private = true; }'
GOOD = 'certificate = { names = [ "%s.example.org" ]; };\n'
SECRET = "root-only-secret-8d1f"


@pytest.fixture
def plain(make_lab):
    """No CA and nothing to issue: every certificate is disabled. For what happens between files and dovad."""
    lab = make_lab()
    lab.cas = [NOWHERE]
    lab.defaults = "enabled = false;"
    return lab


def names(lab):
    return sorted(c["name"] for c in lab.ctl.list())


def wait_names(lab, wanted, timeout=15):
    wait_until(lambda: names(lab) == sorted(wanted), timeout, lambda: "%s; there are %s" % (sorted(wanted), names(lab)))


def problems(lab):
    return lab.ctl("status")["problems"]


def wait_problem(lab, file, text=""):
    def found():
        return next((p for p in problems(lab) if p["file"].endswith(file) and text in p["text"]), None)
    return wait_until(found, 15, lambda: "a problem of %s with \"%s\"; there are %s" % (file, text, problems(lab)))


def reload(lab):
    """The report of `dovactl reload`, its exit code in "code"."""
    try:
        return dict(lab.ctl("reload"), code=0)
    except Refused as refused:
        return dict(refused.error, code=refused.code)


def test_one_bad_among_fifty(plain):
    """It is named with its line, in `dovad -t`, at reload and in status; the others live. Mended, it is taken by itself."""
    for i in range(50):
        plain.snippet("good%02d" % i, text=GOOD % ("good%02d" % i))
    plain.snippet("bad", text='certificate = {\n  names = [ "bad.example.org" ];\n  prov = [ "http:www" ];\n};\n')
    tested = plain.check_config()
    assert tested.returncode == 78
    assert "conf.d/bad.conf:3: unknown option prov, did you mean prove?" in tested.stdout + tested.stderr
    plain.start()
    wait_names(plain, ["good%02d" % i for i in range(50)])
    problem = wait_problem(plain, "bad.conf", "did you mean prove")
    assert problem["line"] == 3
    assert [str(plain.snippets / "bad.conf")] == plain.ctl("status")["quarantined"]
    report = reload(plain)
    assert report["code"] == 1 and report["errors"] == 1
    plain.snippet("bad", text='certificate = {\n  names = [ "bad.example.org" ];\n  prove = [ "http:www" ];\n};\n')
    wait_names(plain, ["bad"] + ["good%02d" % i for i in range(50)])
    assert reload(plain)["code"] == 0 and plain.check_config().returncode == 0


def test_main_file_by_a_way_up(plain):
    for path in ("dovad.conf", "./dovad.conf", "../%s/dovad.conf" % plain.root.name):
        done = plain.check_config(main_file=path)
        assert done.returncode == 0, path + ": " + done.stdout + done.stderr


def test_every_error_is_told(plain):
    plain.snippet("a", text='certificate = { names = [ "a.example.org" ]; install = ( { dir = "/x"; mode = 0640; } ); };\n')
    plain.snippet("b", text='certificate = { names = [ "b.example.org", ]; };\n')
    plain.snippet("c", text='certificate = { names = [ "c..example.org" ]; };\n')
    plain.snippet("d", text='certificate = { names = [ "d.example.org" ];\n')
    plain.snippet("e", text='state = "/tmp";\n')
    plain.snippet("f", text='certificate = { names = [ "f.example.org" ]; service = [ "apache" ]; prove = [ "http:ww" ]; };\n')
    plain.snippet("g", text='ca = ( { name = "g"; type = "acme"; directory = "https://g.example/dir"; '
                            'eab = { key_id = "k"; hmac_key = "AAAAliteral"; }; } );\n')
    plain.snippet("h", text='certificate = { names = [ "h.example.org" ]; ca = [ "unheard-of" ]; };\n')
    plain.snippet("i", text='certificate = { names = [ "i.example.org" ];\n  prove = [ "http:ww" ];\n  ca = [ "unheard-of" ];\n'
                            '  key = "rsa-2084";\n  servcie = [ "www" ]; };\n')
    done = plain.check_config()
    text = done.stdout + done.stderr
    assert done.returncode == 78
    for name, says in [("a", '"0640"'), ("b", "comma"), ("c", "c..example.org"), ("h", "unheard-of"), ("d", "not closed"), ("e", "main file"),
                       ("f", "apache"), ("f", "ww"), ("g", "credential:"), ("i", "ww"), ("i", "unheard-of"), ("i", "rsa-2048"), ("i", "service")]:
        lines = [line for line in text.splitlines() if "conf.d/%s.conf:" % name in line]
        assert any(says in line.lower() or says in line for line in lines), "%s.conf: %s not said: %s" % (name, says, lines)
        assert all(line.split("conf.d/%s.conf:" % name)[1].split(":")[0].isdigit() for line in lines)
    assert [line.split("conf.d/i.conf:")[1][0] for line in text.splitlines() if "conf.d/i.conf:" in line] == ["2", "3", "4", "5"]
    assert "AAAAliteral" not in text
    assert not any(plain.state.iterdir()) and not any(plain.keeper.iterdir())  # nothing was touched


def test_check_of_a_snippet_not_there_yet(plain):
    """A snippet named on the command line is checked as if it lay among the others."""
    plain.snippet("one", text=GOOD % "one")
    new = plain.write("new.conf", 'certificate = { name = "one"; names = [ "new.example.org" ]; };\n')
    done = plain.check_config(new)
    assert done.returncode == 78 and "one" in done.stderr + done.stdout
    assert plain.check_config().returncode == 0
    assert plain.check_config(plain.write("good.conf", GOOD % "two")).returncode == 0
    missing = plain.check_config(plain.root / "missing.conf")
    assert missing.returncode != 0 and "missing.conf" in missing.stderr + missing.stdout


def test_usage(plain):
    plain.write_config()
    run = plain.run("usage", [DOVAD, "--no-such-option"])
    assert run.popen.wait(20) == 2
    run = plain.run("nofile", [DOVAD, "-f", "-c", plain.root / "missing.conf"])
    assert run.popen.wait(30) == 78
    assert "missing.conf" in plain.log("nofile")


def test_odd_files_do_not_block(plain):
    """FIFO, device, socket, folder, links, a gigabyte: refused at once with a reason, contents never shown; the good one lives."""
    secret = plain.root / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    d = plain.snippets
    os.symlink(secret, d / "link.conf")
    os.symlink("/nowhere/at/all", d / "dangling.conf")
    os.symlink("/dev/zero", d / "zero.conf")
    os.mkfifo(d / "fifo.conf")
    (d / "folder.conf").mkdir()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(d / "socket.conf"))
    with open(d / "huge.conf", "wb") as f:
        f.truncate(1 << 30)
    for odd in ("link", "dangling", "zero", "fifo", "folder", "socket", "huge"):
        if not (d / (odd + ".conf")).is_symlink():
            plain.give(d / (odd + ".conf"))
    plain.snippet("good", text=GOOD % "good")
    began = time.monotonic()
    done = plain.check_config()
    assert time.monotonic() - began < 10
    text = done.stdout + done.stderr
    assert done.returncode == 78 and SECRET not in text
    for odd in ("link", "dangling", "zero", "fifo", "folder", "socket", "huge"):
        assert "%s.conf" % odd in text, "%s.conf is not named in %s" % (odd, text)
    plain.start()
    wait_names(plain, ["good"])
    quarantined = plain.ctl("status")["quarantined_count"]
    assert quarantined == 7
    plain.snippet("late", text=GOOD % "late")
    wait_names(plain, ["good", "late"])
    os.unlink(d / "fifo.conf")
    plain.snippet("fifo", text=GOOD % "fifo")
    wait_names(plain, ["good", "late", "fifo"])
    assert SECRET not in plain.log()


@pytest.mark.skipif(not ROOT, reason="needs root to give files away")
def test_owners_and_modes(plain):
    """A snippet that others can write, or that is somebody else's, is not read."""
    plain.snippet("loose", text=GOOD % "loose").chmod(0o666)
    shutil.chown(plain.snippet("foreign", text=GOOD % "foreign"), "daemon")
    plain.snippet("good", text=GOOD % "good")
    done = plain.check_config()
    text = done.stdout + done.stderr
    assert done.returncode == 78 and "loose.conf" in text and "foreign.conf" in text and "chmod" in text
    plain.start()
    wait_names(plain, ["good"])
    (plain.snippets / "loose.conf").chmod(0o644)
    wait_names(plain, ["good", "loose"])
    plain.snippets.chmod(0o777)
    reload(plain)
    wait_problem(plain, "conf.d")
    assert names(plain) == ["good", "loose"]  # the last good version of each
    plain.snippets.chmod(0o755)


BYTES = {
    "nul": (b'certificate = { names = [ "a\0b.example.org" ]; };\n', "NUL"),
    "latin1": (b'certificate = { names = [ "caf\xe9.example.org" ]; };\n', "UTF-8"),
    "overlong": (b'certificate = { names = [ "\xc0\xae.example.org" ]; };\n', "UTF-8"),
    "bidi": ('certificate = { names = [ "a.example.org" ]; }; # \u202e evil\n'.encode(), "hidden"),
    "escape": (b'certificate = { names = [ "a\x1b[2J.example.org" ]; };\n', "control"),
    "deep": (b"x = " + b"( " * 5000 + b" )" * 5000 + b";\n", "nested"),
    "long": (b'certificate = { names = [ "' + b"a" * 900000 + b'" ]; };\n', "bytes"),
    "large": (b"# " + b"x" * (2 << 20) + b"\n", "larger"),
    "many": (b"".join(b"a%d=1;" % i for i in range(100000)), ""),
    "include": (b'@include "/etc/shadow"\n', ""),
    "number": (b'certificate = { names = 4294967297; };\n', "names"),
}


@pytest.mark.parametrize("what", BYTES)
def test_bytes(plain, what):
    """Bad bytes and sizes: one line about that file, quickly, with nothing of it that could act on a terminal."""
    data, says = BYTES[what]
    plain.snippet("odd", text=data)
    plain.snippet("good", text=GOOD % "good")
    began = time.monotonic()
    done = plain.check_config()
    assert time.monotonic() - began < 15, "%s took %.1f s" % (what, time.monotonic() - began)
    assert done.returncode == 78 and says in done.stderr + done.stdout
    assert "odd.conf:" in done.stderr + done.stdout
    assert "\x1b" not in done.stderr + done.stdout and "\u202e" not in done.stderr + done.stdout and "root:" not in done.stderr + done.stdout
    plain.start()
    wait_names(plain, ["good"])


def test_byte_order_mark_and_line_ends(plain):
    """What an editor of another world leaves is either read or refused with a word, never half read."""
    plain.snippet("dos", text='certificate = {\r\n  names = [ "dos.example.org" ];\r\n};\r\n')
    plain.snippet("bom", text="\ufeff" + GOOD % "bom")
    done = plain.check_config()
    plain.start()
    taken = names(plain)
    for name in ("dos", "bom"):
        assert name in taken or "%s.conf:" % name in done.stderr + done.stdout
    assert "dos" in taken


def test_leftovers_are_not_read(plain):
    for name in ("x.conf~", "x.conf.dpkg-new", ".x.conf.swp", "#x.conf#", ".hidden.conf", "x.conf.rpmsave", "README"):
        plain.write("conf.d/" + name, GOOD % "left")
    plain.snippet("good", text=GOOD % "good")
    assert plain.check_config().returncode == 0
    plain.start()
    wait_names(plain, ["good"])


def test_two_snippets_one_name(plain):
    """The first in the order of names has it, the other is set aside; both files are named, whatever the order of arrival."""
    plain.snippet("b", text='certificate = { name = "same"; names = [ "b.example.org" ]; };\n')
    plain.start()
    wait_names(plain, ["same"])
    plain.snippet("c", text='certificate = { name = "same"; names = [ "c.example.org" ]; };\n')
    problem = wait_problem(plain, "c.conf", "same")
    assert "b.conf" in problem["text"]
    assert plain.ctl.show("same")["names"] == ["b.example.org"]
    done = plain.check_config()
    assert done.returncode == 78 and "c.conf:1:" in done.stderr + done.stdout and "b.conf" in done.stderr + done.stdout
    # Two of one folder to install to: the same.
    plain.snippet("d", text='certificate = { names = [ "d.example.org" ]; install = ( { dir = "%s/x"; } ); };\n' % plain.tls)
    plain.snippet("e", text='certificate = { names = [ "e.example.org" ]; install = ( { dir = "%s/x"; } ); };\n' % plain.tls)
    wait_problem(plain, "e.conf", "d.conf")


def test_removal(plain):
    """A snippet that disappears counts as removed after remove_delay, at `reload` at once; back in time, nothing happened."""
    plain.settings["remove_delay"] = '"2s"'
    plain.snippet("stays", text=GOOD % "stays")
    plain.snippet("goes", text=GOOD % "goes")
    plain.snippet("blinks", text=GOOD % "blinks")
    plain.start()
    (plain.snippets / "goes.conf").unlink()
    (plain.snippets / "blinks.conf").unlink()
    plain.snippet("blinks", text=GOOD % "blinks")
    assert "goes" in names(plain)
    wait_names(plain, ["stays", "blinks"])
    (plain.snippets / "blinks.conf").unlink()
    reload(plain)
    assert names(plain) == ["stays"]
    assert plain.log().count("certificate left the configuration") == 2


def test_dropped_while_the_keeper_starts(plain):
    """After it has read the folders and before it hears of changes: made long by a tracer, it must not be lost."""
    pause = ["-e", "trace=inotify_init1", "-e", "inject=inotify_init1:delay_enter=2000000"]
    plain.start(wait=False, env={"ASAN_OPTIONS": "detect_leaks=0"}, wrapper=["strace", "-D", "-f", "-qq", "-o", plain.root / "strace.log"] + pause)
    wait_until(lambda: b"configuration accepted" in plain.recent_log(), 30, "the folders read")
    plain.snippet("late")
    plain.wait_ready()
    wait_names(plain, ["late"])


def test_last_good_version(plain):
    """A snippet that goes bad keeps its last good version, after a restart too, also when it is later gone and bad again."""
    plain.snippet("site", text=GOOD % "first")
    plain.start()
    wait_names(plain, ["site"])
    plain.snippet("site", text='certificate = { names = [ "second.example.org" ]; nonsense = 1; };\n')
    wait_problem(plain, "site.conf", "nonsense")
    assert plain.ctl.show("site")["names"] == ["first.example.org"]
    plain.restart()
    assert plain.ctl.show("site")["names"] == ["first.example.org"]
    wait_problem(plain, "site.conf", "nonsense")
    plain.snippet("site", text=b"\0")
    reload(plain)
    plain.kill9("network", "keeper")
    plain.start()
    assert plain.ctl.show("site")["names"] == ["first.example.org"]
    plain.snippet("site", text=GOOD % "third")
    wait_until(lambda: plain.ctl.show("site")["names"] == ["third.example.org"], 15, "the third")


def test_half_written(plain):
    """A file that is written in place, slowly, is read when it is whole; until then the good version stays."""
    plain.settings["watch_delay"] = '"1s"'
    plain.snippet("site", text=GOOD % "first")
    plain.start()
    text = (GOOD % "second").encode()
    with open(plain.snippets / "site.conf", "r+b") as f:
        f.truncate(0)
        for i in range(len(text)):
            f.write(text[i:i + 1])
            f.flush()
    wait_until(lambda: plain.ctl.show("site")["names"] == ["second.example.org"], 15, "the second")
    assert "site.conf" not in str(problems(plain))


def test_bad_main_file(plain):
    """At reload the running configuration stays and the command fails; after a restart the accepted one is in force still."""
    plain.snippet("site", text=GOOD % "site")
    plain.start()
    good = (plain.root / "dovad.conf").read_text()
    plain.write("dovad.conf", good + "broken = ;\n")
    report = reload(plain)
    assert report["code"] == 1 and any("dovad.conf" in p["file"] for p in report["problems"])
    assert names(plain) == ["site"]
    assert plain.stop() == 0
    plain.write_config = lambda: None
    plain.start()
    assert names(plain) == ["site"] and any("dovad.conf" in p["file"] for p in problems(plain))
    plain.write("dovad.conf", good)
    wait_until(lambda: not problems(plain), 15, "the problem to go")


def test_settings_of_the_next_start(plain):
    """What a reload cannot change is told by name; all stays as it was until the next start."""
    plain.start()
    changed = {"state": "state2", "keeper_state": "keeper2", "runtime": "run2", "user": "nobody", "keeper_user": "daemon"}
    plain.settings.update({name: '"%s"' % value for name, value in changed.items()})
    plain.write_config()
    assert reload(plain)["code"] == 0
    told = [line for line in plain.log().splitlines() if "takes effect at the next start" in line]
    for name, value in changed.items():
        assert [line for line in told if " setting=%s " % name in line and line.endswith(value)], (name, told)
    assert len(told) == len(changed) and not (plain.root / "keeper2").exists()
    assert reload(plain)["code"] == 0 and plain.log().count("takes effect at the next start") == len(changed)  # told once
    plain.settings["resolvers"] = '[ "127.0.0.1:%d" ]' % (plain.dns_port + 1)
    plain.write_config()
    assert reload(plain)["code"] == 0 and plain.log().count("takes effect at the next start") == len(changed)


def test_service_manager_is_told(plain):
    """A reload is announced and ended; files set aside are in the status line from then on, until they are mended."""
    path = plain.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        path.chmod(0o777)
        manager.settimeout(15)

        def told_until(wanted):
            told = []
            while not told or wanted not in told[-1]:
                told.append(manager.recv(4096).decode())
            return told
        plain.snippet("good", text=GOOD % "good")
        plain.start(env={"NOTIFY_SOCKET": str(path)})
        told_until("STATUS=1 certificates, ")
        plain.snippet("bad", text="certificate = { names = [ ]; };\n")
        told_until("STATUS=configuration: 1 errors, 1 files set aside; 1 certificates")
        assert reload(plain)["code"] == 1
        told = told_until("READY=1")
        assert any(t.startswith("RELOADING=1\nMONOTONIC_USEC=") for t in told) and any("1 files set aside" in t for t in told), told
        (plain.snippets / "bad.conf").unlink()
        assert reload(plain)["code"] == 0
        assert "set aside" not in [t for t in told_until("READY=1") if "STATUS=" in t][-1]


def test_signal_storm(lab):
    """A thousand SIGHUPs while orders run and files change: coalesced, no order lost, the last state of the files in force."""
    lab.start()
    for i in range(5):
        lab.snippet("s%d" % i, ["s%d-%d.example.org" % (i, k) for k in range(3)])
    for i in range(1000):
        lab.dovad.popen.send_signal(signal.SIGHUP)
        if i % 100 == 0:
            lab.snippet("late%d" % (i // 100), more="enabled = false;")
    for i in range(5):
        lab.wait_issued("s%d" % i)
    assert lab.pebbles[0].issued() == 5
    wait_until(lambda: len(lab.ctl.list()) == 15, 15, "fifteen certificates")
    assert lab.log().count("configuration accepted") < 200


def test_reload_while_orders_run(make_lab):
    """Changes to one certificate do not disturb the orders of the others; its own order is dropped cleanly and begun anew."""
    lab = make_lab()
    lab.start_dns()
    pebble = lab.start_pebble(sleep=2)
    lab.start_nginx()
    lab.start()
    watch = lab.watch()
    for name in ("calm", "changed", "leaves"):
        lab.snippet(name)
    for name in ("calm", "changed", "leaves"):
        watch.wait("prove", name)
    lab.snippet("changed", ["changed.example.org", "www.changed.example.org"])
    (lab.snippets / "leaves.conf").unlink()
    assert reload(lab)["code"] == 0
    assert lab.ctl.show("leaves") is None
    lab.wait_issued("calm")
    lab.wait_issued("changed")
    check_pair(lab, lab.live / "changed", ["changed.example.org", "www.changed.example.org"])
    wait_until(lambda: not list((lab.web / ".well-known/acme-challenge").iterdir()), 10, "challenge files to go")
    assert not (lab.live / "leaves").exists()
    assert pebble.issued() == 2
    assert [e["event"] for e in watch.events if e.get("cert") == "calm"].count("create") == 1


def test_changed_names_get_a_new_certificate(lab):
    lab.start()
    lab.add_site("site", ["site.example.org", "more.example.org"])
    lab.snippet("site", install=True, service="nginx")
    lab.wait_issued("site")
    lab.snippet("site", ["site.example.org", "more.example.org"], install=True, service="nginx")
    lab.wait_issued("site", generation=2)
    check_pair(lab, lab.tls / "site", ["site.example.org", "more.example.org"])
    # Gone from the configuration its files stay, and taken in again they are known.
    (lab.snippets / "site.conf").unlink()
    reload(lab)
    assert lab.ctl.show("site") is None
    check_pair(lab, lab.tls / "site", ["site.example.org", "more.example.org"])
    lab.snippet("site", ["site.example.org", "more.example.org"], install=True, service="nginx")
    shown = lab.wait_issued("site", generation=2)
    assert shown["next_step"] == "renew" and lab.pebbles[0].issued() == 2


def test_orders_begin_when_enabled(lab):
    lab.start()
    lab.snippet("later", more="enabled = false;")
    assert lab.wait_state("later", "disabled")
    with pytest.raises(Refused) as refused:
        lab.ctl("renew", "later")
    assert "disabled" in str(refused.value)
    lab.snippet("later")
    lab.wait_issued("later")
    assert alive(lab.dovad.pid)


ACTIVATE = """import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + ".new")
s.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])  # who sees it can connect
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)  # where it was 3 already
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])"""


@pytest.mark.skipif(not ROOT, reason="needs root to mount")
def test_what_the_unit_may_not_write_is_told(make_lab):
    """dovad -t asks the keeper that runs, which the service manager gave a socket and a file system that is read-only but for some folders."""
    lab = make_lab(mode="supervisor")  # nothing but root's files
    opt, sock = lab.root / "opt", lab.root / "keeper.sock"
    (opt / "www").mkdir(parents=True)
    lab.cas = ['{ name = "t"; type = "acme"; directory = "https://t.test/"; agree_tos = true; }']
    lab.https.append('{ name = "opt"; type = "webroot"; path = "%s/www"; }' % opt)
    for name in ("a", "b"):
        lab.snippet(name, install=opt / "tls" / name)
    lab.snippet("fine", install=True)
    lab.snippet("www", prove='"http:opt"', install=opt / "www-tls")
    assert "may not" not in lab.check_config().stderr
    read_only = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    keeper = lab.run("keeper", ["unshare", "--mount", "sh", "-c", read_only, opt, sys.executable, "-c", ACTIVATE, sock, PREFIX / "libexec/dovad/dovad-keeper",
                                "-c", lab.conf_file, "--run-socket", "/nonexistent"], user=None)
    wait_until(lambda: "confined for good" in lab.log("keeper"), 20, lambda: "the keeper:\n" + lab.log("keeper"))

    def test(*more):
        return subprocess.run([DOVAD, "-t", "-c", lab.conf_file, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=lab.env)
    done = test("--keeper", sock)
    unit = "systemctl edit dovad-keeper.service, and add [Service] ReadWritePaths=%s, then systemctl restart dovad-keeper.service"
    may_not = "warning: dovad-keeper.service may not write to %s: "
    assert done.returncode == 0 and done.stderr.splitlines() == [
        "%s/www.conf:1: " % lab.snippets + may_not % opt + unit % opt,
        "%s/a.conf:1: " % lab.snippets + may_not % (opt / "tls") + "make that folder, then " + unit % (opt / "tls"),
        "%s/www.conf:1: " % lab.snippets + may_not % (opt / "www") + unit % (opt / "www")], done.stderr
    assert not (opt / "tls").exists() and not test().stderr
    assert keeper.end() == 0
    assert test("--keeper", sock).stderr == ""  # nobody listens any more
