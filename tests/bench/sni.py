# SPDX-License-Identifier: ISC
"""sni.py PORT LIVE: a web server that serves NAME.example.org from LIVE/NAME as it is at this moment. It says nothing but a dot for each visit."""
import socket
import ssl
import sys


def pick(connection, name, _):
    folder = '%s/%s' % (sys.argv[2], name.split('.')[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + '/fullchain.pem', folder + '/privkey.pem')
    connection.context = context
    print('.', end='', flush=True)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.sni_callback = pick
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=1000)
while True:
    try:
        context.wrap_socket(listener.accept()[0], server_side=True).close()
    except (OSError, ValueError):
        pass
