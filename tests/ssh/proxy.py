#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands between ssh and sshd, and breaks connections.

Usage: proxy.py PORT SSHD-PORT DIR
  DIR/cut    a number: the next connection ends after so many bytes to the server, and the file is removed
  DIR/always the same for every connection while the file is there
  DIR/slow   while it is there, at most 2 MB/s goes to the server
"""
import os
import socket
import sys
import threading
import time

port, to, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def told(name):
    try:
        with open(os.path.join(folder, name)) as f:
            return int(f.read() or 0)
    except (OSError, ValueError):
        return None


def pump(a, b, left, slow):
    while True:
        try:
            data = a.recv(16384)
        except OSError:
            data = b""
        if left is not None and data:
            if left < len(data):
                data = data[:left]
            left -= len(data)
        try:
            b.sendall(data)
        except OSError:
            data = b""
        if not data or left == 0:
            break
        if slow and told("slow") is not None:
            time.sleep(len(data) / 2e6)
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    left = told("always")
    if left is None:
        left = told("cut")
        if left is not None:
            os.unlink(os.path.join(folder, "cut"))
    server = socket.create_connection(("127.0.0.1", to))
    threading.Thread(target=pump, args=(client, server, left, True), daemon=True).start()
    threading.Thread(target=pump, args=(server, client, None, False), daemon=True).start()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen()
with open(os.path.join(folder, "proxy.port"), "w") as f:
    f.write(str(listener.getsockname()[1]))
while True:
    serve(listener.accept()[0])
