# SPDX-License-Identifier: ISC
"""The adapters of contrib/hooks: scripts that were written for acme.sh and for lego write the records of whole orders.

With DOVAD_TEST_ACME_SH=/path/to/acme.sh its own dns_nsupdate is driven as well; otherwise only scripts of ours, by what acme.sh promises to such scripts and
asks of them (its DNS API Dev Guide)."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dns_servers import Bind, Zone
from dns_world import KEY, World
from lab import PREFIX, check_pair, require, wait_until
from lab_base import free_hosts

HOOKS = PREFIX / "share/dovad/hooks"
THEIRS = '_acme-challenge IN TXT "theirs"'
CHALLENGE = "_acme-challenge.example.org"
THEIR_ACME_SH = os.environ.get("DOVAD_TEST_ACME_SH")
KEY_FILE = 'key "%s" { algorithm %s; secret "%s"; };\n' % (KEY.name, KEY.algorithm, KEY.secret)

# What acme.sh is to an adapter: it does what its arguments say even when it is loaded, prepares its folders, and has functions for scripts.
ACME_SH = r"""#!/usr/bin/env sh
_info() { printf -- '%s\n' "$1"; }
_err() { printf -- '%s\n' "$1" >&2; return 1; }
_initpath() { [ "$LE_CONFIG_HOME" ] && [ "$HOME" = "$LE_CONFIG_HOME" ] || _err "my folders"; ready=yes; }
_saveaccountconf_mutable() { echo "SAVED_$1='$2'" >>"$ACCOUNT_CONF_PATH"; }
_readaccountconf_mutable() { [ -f "$ACCOUNT_CONF_PATH" ] && sed -n "s/^SAVED_$1='\(.*\)'$/\1/p" "$ACCOUNT_CONF_PATH"; }
main() { [ -z "$1" ] && echo "Usage" && return; "$@"; }
main "$@"
"""
DNS_OURS = r"""#!/usr/bin/env sh
dns_ours_add() { change "add $1. 60" "$2"; }
dns_ours_rm() { change "delete $1." "$2"; }
change() {
  OURS_SERVER="${OURS_SERVER:-$(_readaccountconf_mutable OURS_SERVER)}"
  [ "$ready" ] && [ "$OURS_SERVER" ] || { _err "OURS_SERVER is missing"; return 1; }
  _saveaccountconf_mutable OURS_SERVER "$OURS_SERVER"
  _info "updating $OURS_SERVER"
  printf 'server %s\nzone example.org\nupdate %s TXT "%s"\nsend\n' "$OURS_SERVER" "$1" "$2" | nsupdate -k "$OURS_KEY" || { _err "not updated"; return 1; }
}
"""
FOR_LEGO = r"""#!/bin/sh
case $1 in present) what="add $2 60";; cleanup) what="delete $2";; *) exit 9;; esac
printf 'server %s\nzone example.org\nupdate %s TXT "%s"\nsend\n' "$OURS_SERVER" "$what" "$3" | nsupdate -k "$OURS_KEY"
"""


@pytest.fixture
def world(make_lab):
    Bind.require()
    require(shutil.which("nsupdate"), "nsupdate")
    one = World(make_lab())
    host = free_hosts(1)[0]
    one.primary = one.serve(Bind, host, Zone("example.org", [THEIRS], update=[KEY], ns={"ns1": [host]}))
    yield one
    one.close()


def acme_sh(lab, script=DNS_OURS):
    """Installed, in a folder of its own."""
    home = lab.root / "acme.sh"
    (home / "dnsapi").mkdir(parents=True)
    lab.write("acme.sh/acme.sh", ACME_SH, 0o755)
    lab.write("acme.sh/dnsapi/dns_ours.sh", script, 0o755)
    for folder in home, home / "dnsapi":
        folder.chmod(0o755)
    return home / "acme.sh"


def begin(world, command, variables):
    lab = world.lab
    world.open()
    lab.pebble = lab.start_pebble(nonce_reject=0, authz_reuse=0, resolver=world.ca.at)
    lab.credential("variables", variables)
    lab.credential("key", KEY_FILE)
    lab.dns_entries = ['{ name = "corp"; type = "exec"; command = [ %s ]; secrets = [ "credential:variables", "credential:key" ]; zones = [ "example.org" ]; }'
                       % ", ".join('"%s"' % c for c in command)]
    lab.start()
    return lab


def variables(world, prefix="OURS"):
    server = "%s %d" % (world.primary.addresses[0], world.primary.port)
    return "# who takes updates\nexport %s_SERVER=\"%s\"\n\n%s_KEY=/dev/fd/4\n" % (prefix, server, prefix)


def left_in_memory():
    return set(Path("/dev/shm").glob("tmp.*"))


@pytest.mark.parametrize("adapter", ["acme-sh", "lego-exec"])
def test_order(world, adapter):
    """Both values of a name and its wildcard are added and removed; a value of others stays; nothing of the secrets is left anywhere."""
    lab, before = world.lab, left_in_memory()
    command = {"acme-sh": lambda: [HOOKS / "acme-sh", acme_sh(lab), "dns_ours"],
               "lego-exec": lambda: [HOOKS / "lego-exec", lab.write("for-lego", FOR_LEGO, 0o755)]}[adapter]()
    begin(world, command, variables(world))
    lab.snippet("site", ["example.org", "*.example.org"], prove='"dns:corp"')
    lab.wait_issued("site")
    check_pair(lab, lab.live / "site", ["example.org", "*.example.org"])
    wait_until(lambda: world.primary.txt(CHALLENGE) == ["theirs"], 10, lambda: "only theirs: %s" % world.primary.txt(CHALLENGE))
    wait_until(lambda: left_in_memory() <= before, 10, "nothing is left of what the script saved")


if THEIR_ACME_SH:  # Debian has none: nothing to miss
    def test_order_with_a_script_of_acme_sh(world):
        lab = world.lab
        home = lab.root / "acme.sh"
        shutil.copytree(Path(THEIR_ACME_SH).parent, home)
        for path in [home, *home.rglob("*")]:
            path.chmod(0o755)
        host, port = world.primary.addresses[0], world.primary.port
        begin(world, [HOOKS / "acme-sh", home / "acme.sh", "dns_nsupdate"],
              "export NSUPDATE_SERVER='%s'\nNSUPDATE_SERVER_PORT=%d\nNSUPDATE_KEY=/dev/fd/4\nNSUPDATE_ZONE=example.org\n" % (host, port))
        lab.snippet("site", ["www.example.org"], prove='"dns:corp"')
        lab.wait_issued("site")
        check_pair(lab, lab.live / "site", ["www.example.org"])
        wait_until(lambda: world.primary.txt("_acme-challenge.www.example.org") == [], 10, "nothing left")
        assert world.primary.txt(CHALLENGE) == ["theirs"]


@pytest.mark.parametrize("adapter", ["acme-sh", "lego-exec"])
def test_what_the_script_complains_of_is_told(world, adapter):
    """And it is tried again soon: neither contract tells a refusal from bad luck."""
    lab = world.lab
    script = lab.write("for-lego", "#!/bin/sh\necho 'the API is down'; exit 3\n", 0o755) if adapter == "lego-exec" else None
    failing = "dns_ours_add() { _info 'a moment'; _err 'the API is down'; return 1; }\n"
    begin(world, [HOOKS / adapter, script] if script else [HOOKS / adapter, acme_sh(lab, failing), "dns_ours"], variables(world))
    lab.snippet("site", ["example.org"], prove='"dns:corp"')
    error = lab.wait_state("site", "failed")["last_error"]
    assert error["kind"] == "temp" and "the API is down" in error["detail"], error
    assert lab.pebble.requests("POST", "/chalZ") == 0


# --- what an adapter refuses, without dovad ---

def run(tmp_path, argv, environment=""):
    variables = tmp_path / "variables"
    variables.write_text(environment)
    with variables.open() as f:
        env = dict(PATH=os.environ["PATH"], DOVAD_SECRET_FD_V=str(3))
        return subprocess.run(["/bin/sh", "-c", 'exec "$@" 3<&0 </dev/null', "sh", *map(str, argv)], stdin=f, env=env, timeout=30,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


RECORD = [CHALLENGE, "-value", "example.org"]


@pytest.fixture
def stand_in(tmp_path):
    (tmp_path / "dnsapi").mkdir()
    (tmp_path / "acme.sh").write_text(ACME_SH)
    (tmp_path / "dnsapi/dns_shows.sh").write_text('dns_shows_add() { echo "$1 $2 [$TOKEN]"; echo "$TOKEN" > "$HOME/token"; }\n')
    (tmp_path / "dns_broken.sh").write_text("dns_broken_add() {\n")
    return tmp_path / "acme.sh"


@pytest.mark.parametrize("environment, shown", [("TOKEN=a b", "a b"), ("export TOKEN=\"$(id)`id`\"\n", "$(id)`id`"), ("TOKEN='it''s'\n", "it''s"), ("TOKEN==x=\n", "=x="),
                                                ("#TOKEN=no\n\n  \nTOKEN=", "")])
def test_variables(stand_in, environment, shown):
    """They are taken as they stand: nothing is expanded or run."""
    ended = run(stand_in.parent, [HOOKS / "acme-sh", stand_in, "dns_shows", "add", *RECORD], environment)
    assert (ended.returncode, ended.stdout) == (0, "%s -value [%s]\n" % (CHALLENGE, shown)), ended


@pytest.mark.parametrize("line", ["TOKEN s3cret", "TO-KEN=s3cret", "s3cret"])
def test_broken_variables_are_not_shown(stand_in, line):
    ended = run(stand_in.parent, [HOOKS / "acme-sh", stand_in, "dns_shows", "add", *RECORD], "A=1\n" + line + "\n")
    assert (ended.returncode, ended.stdout) == (1, "line 2 of the first secret is not NAME=VALUE\n"), ended


@pytest.mark.parametrize("argv, said", [
    (["/nowhere/acme.sh", "dns_shows", "add"], "/nowhere/acme.sh cannot be read"), (["{}", "dns_gone", "add"], "there is no dns_gone.sh in"),
    (["{}", "shows", "add"], "shows is not the name of a DNS script"), (["{}", "dns_shows", "remove"], "has no function dns_shows_rm"),
    (["{}", "dns_shows", "run"], "the action is add or remove"), (["{}", "dns_broken", "add"], "dns_broken.sh"), (["dns_shows", "add"], "usage: acme-sh")])
def test_acme_sh_refuses(stand_in, argv, said):
    ended = run(stand_in.parent, [HOOKS / "acme-sh", *[a.format(stand_in) for a in argv], *RECORD])
    assert ended.returncode == 1 and said in ended.stdout, ended


def test_lego_raw_mode_is_refused(tmp_path):
    """It wants what no command is given: the program is not run."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ntouch %s/ran\necho \"$@\"\n" % tmp_path)
    program.chmod(0o755)
    ended = run(tmp_path, [HOOKS / "lego-exec", program, "add", *RECORD], "EXEC_MODE=RAW\n")
    assert ended.returncode == 1 and ended.stdout.startswith("EXEC_MODE=RAW cannot be had:") and not (tmp_path / "ran").exists(), ended
    ended = run(tmp_path, [HOOKS / "lego-exec", program, "remove", *RECORD], "EXEC_MODE=\n")
    assert (ended.returncode, ended.stdout) == (0, "cleanup %s. -value\n" % CHALLENGE)
    assert "cannot be run" in run(tmp_path, [HOOKS / "lego-exec", tmp_path / "gone", "add", *RECORD]).stdout
