# SPDX-License-Identifier: ISC
"""python3 tests/servers/cas --state FILE --port 0 ...: prints one line of JSON with its ports, then serves until it is told to end."""
import argparse
import json
import os
import signal
import sys

if not __package__:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from cas import Server, control  # noqa: E402


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def arguments():
    p = argparse.ArgumentParser(prog="cas")
    p.add_argument("--state", metavar="FILE", help="what the account has (JSON); read, and written back")
    p.add_argument("--address", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--tls", metavar="BASE", help="BASE.pem and BASE.key: the CA of our own certificate, made when not there; without it: plain HTTP")
    p.add_argument("--host", action="append", help="a name or address of our own certificate (localhost, 127.0.0.1)")
    p.add_argument("--control", metavar="PATH|PORT", help="where control.py listens")
    p.add_argument("--dns", type=address, metavar="ADDRESS:PORT", help="whom the CA asks for proofs")
    p.add_argument("--http", type=int, default=80, help="where it fetches files")
    p.add_argument("--https", type=int, default=443)
    p.add_argument("--https-ca", metavar="FILE")
    p.add_argument("--files-at", metavar="ADDRESS", help="where it fetches files whatever the name")
    p.add_argument("--key", action="append", default=[], metavar="ID:SECRET", help="an access key, besides those of the state")
    p.add_argument("--site", choices=("china", "international"))
    p.add_argument("--option", action="append", default=[], metavar="NAME=JSON")
    p.add_argument("--time", action="append", default=[], metavar="NAME=SECONDS")
    p.add_argument("--running", action="store_true", help="the clock of delays runs with the real one")
    return p.parse_args()


def main():
    a = arguments()
    data = {"site": a.site} if a.site else None
    server = Server(data, a.state, a.address, a.port, a.tls, a.host or ("localhost", "127.0.0.1"), a.running, dns_server=a.dns, http=a.http, https=a.https,
                    https_ca=a.https_ca, files_at=a.files_at)
    for key in a.key:
        server.state.add_key(*key.split(":", 1))
    server.state.set("options", {k: json.loads(v) for k, v in (o.split("=", 1) for o in a.option)})
    server.state.set("times", {k: float(v) for k, v in (o.split("=", 1) for o in a.time)})
    told = {"port": server.port}
    if a.control:
        told["control"] = control.listen(server, int(a.control) if a.control.isdigit() else a.control)
    print(json.dumps(told), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.close()


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
main()
