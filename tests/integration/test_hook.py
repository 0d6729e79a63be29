# SPDX-License-Identifier: ISC
"""Records by a command: the keeper is asked as the network half asks it, dovad-run runs a small script."""
import json
import os
import pwd
import socket
import subprocess

import pytest

from lab import PREFIX, ROOT, alive, wait_until

SECRET = "hush-8d1f5b"
RECORD = dict(zone="example.org", record="_acme-challenge.www.example.org", value="-gfj9Xq_Rg85nM")
SCRIPT = r"""#!/bin/sh
cd %(out)s || exit 1
{ printf '%%s\n' "$@"; echo "uid $(id -u)"; echo "gids $(id -G)"; env | sort; grep -E 'CapEff|NoNewPrivs' /proc/$$/status
  for fd in /proc/$$/fd/*; do readlink "$fd"; done; } > "$1.${3#-}"
if [ -n "$DOVAD_SECRET_FD_CF_TOKEN" ]; then
  read -r token <&"$DOVAD_SECRET_FD_CF_TOKEN" || exit 9
  cat <&4 > other
  printf %%s "$token" > token
fi
case $3 in
  busy) echo "the API is busy"; exit 75;;
  denied) echo "no such zone" >&2; exit 3;;
  hang) sleep 1000 & echo $! > child; echo "not yet"; wait;;
  noise) head -c 100000 /dev/zero | tr '\0' x; printf '\033[1m'; exit 1;;
esac
"""


class Keeper:
    """A dovad-keeper of our own, as the user of the lab."""

    def __init__(self, lab):
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(60)
        self.id, self.rest = 0, b""
        who = dict(user=lab.owner, group=pwd.getpwnam(lab.owner).pw_gid, extra_groups=[]) if lab.owner else {}
        self.log = lab.logs / "dovad.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen([str(PREFIX / "libexec/dovad/dovad-keeper"), "-c", str(lab.conf_file), "--peer-fd", str(theirs.fileno()), "-v"],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs.fileno()], env=lab.env, cwd=lab.root, **who)
        theirs.close()

    def send(self, op, **more):
        self.id += 1
        self.ours.sendall(json.dumps(dict(more, id=self.id, op=op)).encode() + b"\0")
        return self.id

    def receive(self, wanted):
        while True:
            while b"\0" not in self.rest:
                part = self.ours.recv(65536)
                assert part, "the keeper is gone:\n" + self.log.read_text()
                self.rest += part
            text, self.rest = self.rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == wanted:
                return answer

    def ask(self, op, **more):
        return self.receive(self.send(op, **more))

    def close(self):
        self.ours.close()
        assert self.popen.wait(30) == 0


@pytest.fixture(params=["user"] + (["root"] if ROOT else []))
def hooked(request, make_lab):
    lab = make_lab(mode="supervisor" if request.param == "root" else "user")
    lab.out = lab.root / "out"
    lab.out.mkdir()
    lab.out.chmod(0o777)
    lab.script = lab.write("hook", SCRIPT % {"out": lab.out}, 0o755)
    lab.credential("cf-token", SECRET + "\n")
    lab.credential("other", "two\nlines\n")
    lab.cas = ['{ name = "none"; type = "acme"; directory = "https://localhost:1/dir"; allow_private = true; }']
    lab.dns_entries = ['{ name = "plain"; type = "exec"; command = [ "%s" ]; zones = [ "example.org" ]; command_timeout = "2s"; }' % lab.script,
               '{ name = "keyed"; type = "exec"; command = [ "%s" ]; secrets = [ "credential:cf-token", "credential:other" ]; ttl = 30; }' % lab.script,
               '{ name = "poor"; type = "exec"; command = [ "%s" ]; secrets = [ "credential:missing" ]; }' % lab.script,
               '{ name = "gone"; type = "exec"; command = [ "%s.gone" ]; }' % lab.script,
               '{ name = "daemon"; type = "exec"; command = [ "%s" ]; run_as = "daemon"; }' % lab.script]
    lab.settings["watch"] = "false"
    lab.write_config()
    lab.hooker = Keeper(lab)
    yield lab
    lab.hooker.close()


def hook(lab, dns="plain", action="add", **more):
    return lab.hooker.ask("hook", dns=dns, action=action, **dict(RECORD, **more))


def test_arguments_and_surroundings(hooked):
    """It gets the four arguments of the contract, PATH and LANG, is nobody and holds nothing of ours."""
    answer = hook(hooked)
    assert "error" not in answer and answer["ran"] is True and answer["output"] == "", answer
    lines = (hooked.out / "add.gfj9Xq_Rg85nM").read_text().splitlines()
    assert lines[:4] == ["add", RECORD["record"], RECORD["value"], RECORD["zone"]]
    uid = pwd.getpwnam("nobody").pw_uid if ROOT else os.getuid()
    assert "uid %d" % uid in lines
    names = {line.split("=")[0] for line in lines if "=" in line}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LANG", "DOVAD_DNS", "DOVAD_TTL"}, names
    assert "DOVAD_DNS=plain" in lines and "DOVAD_TTL=60" in lines
    if ROOT:
        assert "gids %d" % pwd.getpwnam("nobody").pw_gid in lines and "CapEff:\t0000000000000000" in lines
    assert not any("socket:" in line or "memfd" in line or str(hooked.keeper) in line for line in lines), lines
    assert "error" not in hook(hooked, action="remove")
    assert (hooked.out / "remove.gfj9Xq_Rg85nM").exists()


def test_secrets_by_descriptor(hooked):
    """They can be read there, and stand in no environment, argument or log."""
    assert "error" not in hook(hooked, dns="keyed")
    text = (hooked.out / "add.gfj9Xq_Rg85nM").read_text()
    got = {name: (hooked.out / name).read_text() for name in ("token", "other")}
    for name in got:
        (hooked.out / name).unlink()  # secrets are looked for everywhere at the end
    assert got == {"token": SECRET, "other": "two\nlines\n"}
    assert "DOVAD_SECRET_FD_CF_TOKEN=3\n" in text and "DOVAD_SECRET_FD_OTHER=4\n" in text and "DOVAD_TTL=30\n" in text
    assert SECRET not in text and SECRET not in hooked.hooker.log.read_text()
    refused = hook(hooked, dns="poor")["error"]
    assert "missing" in refused["detail"] and refused["kind"] == "local"
    # The network half gets none of them.
    assert hooked.hooker.ask("secret", dns="keyed")["error"]["type"] == "policy"


def test_exit_codes(hooked):
    error = hook(hooked, value="busy")["error"]
    assert (error["kind"], error["type"]) == ("temp", "hook") and error["detail"] == "the command of dns:plain: exited with 75: the API is busy"
    error = hook(hooked, value="denied")["error"]
    assert (error["kind"], error["type"]) == ("denied", "hook") and error["detail"] == "the command of dns:plain: exited with 3: no such zone"
    error = hook(hooked, value="noise")["error"]
    assert error["kind"] == "denied" and len(error["detail"]) < 512 and "\033" not in json.dumps(error)
    error = hook(hooked, dns="gone")["error"]
    assert error["kind"] == "local" and str(hooked.script) + ".gone" in error["detail"]


def test_time_limit_ends_the_group(hooked):
    error = hook(hooked, value="hang")["error"]
    assert error["kind"] == "temp" and "still running after 2 s: not yet" in error["detail"]
    child = int((hooked.out / "child").read_text())
    wait_until(lambda: not alive(child), 10, "the command's child ended")


def test_what_may_not_be_asked_is_not_run(hooked):
    for dns, more, kind in [("plain", dict(zone="example.net", record="a.example.net"), "policy"), ("plain", dict(action="run"), "call"),
                            ("plain", dict(value='a"b'), "call"), ("plain", dict(value="x" * 4097), "call"), ("plain", dict(record="a b.example.org"), "call"),
                            ("plain", dict(record="--help.example.org"), "call"), ("nothing", {}, "unknown-dns")]:
        assert hook(hooked, dns=dns, **more)["error"]["type"] == kind, (dns, more)
    assert not list(hooked.out.iterdir())
    assert "error" not in hook(hooked, value="x" * 4096)


def test_run_as(hooked):
    answer = hook(hooked, dns="daemon")
    if hooked.mode == "user":
        assert answer["error"]["type"] == "run_as" and not list(hooked.out.iterdir())
    else:
        assert "error" not in answer
        assert "uid %d\n" % pwd.getpwnam("daemon").pw_uid in (hooked.out / "add.gfj9Xq_Rg85nM").read_text()


def test_a_command_taken_out_never_runs(hooked):
    """dovad-run reads the disk, whatever the keeper still holds for accepted."""
    assert "error" not in hook(hooked)
    for made in hooked.out.iterdir():
        made.unlink()
    hooked.dns_entries = hooked.dns_entries[1:]
    hooked.write_config()
    error = hook(hooked)["error"]
    assert error["type"] == "unknown-dns" and "on the disk now" in error["detail"] and not list(hooked.out.iterdir()), error


def test_one_after_the_other(hooked):
    """Many at once for one entry: each is run, none beside another."""
    hooked.script.write_text("#!/bin/sh\nmkdir %s/lock || exit 1\necho \"$3\" >> %s/order\nrmdir %s/lock\n" % ((hooked.out,) * 3))
    values = ["v%02d" % i for i in range(20)]
    calls = [hooked.hooker.send("hook", dns="plain", action="add", **dict(RECORD, value=v)) for v in values]
    for call in calls:
        assert "error" not in hooked.hooker.receive(call)
    assert (hooked.out / "order").read_text().split() == values
