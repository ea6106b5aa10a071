# SPDX-License-Identifier: Apache-2.0
# Stands between pvimg and an S3 server: writes each request's first line to stdout, and does what the file says:
#   {"cut": N, "times": T}            after N bytes of bodies since the file was written the connection breaks; T times (1)
#   {"status": S, "code": "Name", "times": T, "on": "text"}   answers requests whose line holds `on` itself
#   {"wait": SECONDS, "on": "text"}   holds such requests up before they go on
#   {"forget": ["header"]}            leaves these headers of requests out on the way, as a server that does not know them
#   {"lose": "text"}                  passes such a request on, and breaks the connection in place of the answer (once)
# argv: its port, the server's port, the file.
import json, os, socket, sys, threading, time

port, server, told_path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
state = {"stamp": None, "told": {}, "bytes": 0, "done": 0}


def told():
    try:
        stamp = os.stat(told_path).st_mtime_ns
        if stamp != state["stamp"]:
            state.update(stamp=stamp, told=json.load(open(told_path)), bytes=0, done=0)
    except FileNotFoundError:
        pass
    return state["told"]


class Cut(Exception):
    pass


def head_of(f):
    lines = []
    while True:
        line = f.readline(65536)
        if not line:
            raise Cut
        if line == b"\r\n":
            return lines
        lines.append(line)


def value(lines, name):
    for line in lines[1:]:
        key, _, rest = line.partition(b":")
        if key.lower() == name:
            return rest.strip()
    return None


def body(f, out, lines, counted):
    size = value(lines, b"content-length")
    left = int(size) if size else 0
    while left:
        data = f.read(min(left, 65536))
        if not data:
            raise Cut
        left -= len(data)
        if counted:
            with lock:
                t = told()
                state["bytes"] += len(data)
                if "cut" in t and state["done"] < t.get("times", 1) and state["bytes"] > t["cut"]:
                    state["done"] += 1
                    raise Cut
        if out:
            out.sendall(data)
    return size


def own_answer(client, f, lines, t):
    body(f, None, lines, False)
    text = f"<?xml version='1.0'?><Error><Code>{t['code']}</Code><Message>as told</Message></Error>".encode()
    client.sendall(f"HTTP/1.1 {t['status']} told\r\nContent-Type: application/xml\r\nContent-Length: {len(text)}\r\n\r\n".encode()
                   + (b"" if lines[0].startswith(b"HEAD") else text))


def answer(client, f, first):
    lines = head_of(f)
    client.sendall(b"".join(l for l in lines if not l.lower().startswith(b"connection:")) + b"\r\n")
    if first.startswith(b"HEAD") or int(lines[0].split()[1]) in (204, 304):
        return
    # the server was asked to close: what is left is the body, in chunks or not
    while data := f.read1(65536):
        client.sendall(data)


def serve(client):
    upstream = None
    try:
        f = client.makefile("rb", 1 << 16)
        while True:
            lines = head_of(f)
            with lock:
                t = dict(told())
                print(lines[0].decode().strip(), flush=True)
                hit = "on" in t and t["on"].encode() in lines[0]
                own = hit and "status" in t and state["done"] < t.get("times", 1)
                lost = "lose" in t and t["lose"].encode() in lines[0] and state["done"] == 0
                if own or lost:
                    state["done"] += 1
            if own:
                own_answer(client, f, lines, t)
                continue
            if hit and "wait" in t:
                time.sleep(t["wait"])
            forget = [h.encode() for h in t.get("forget", [])]
            lines = [l for l in lines if l.partition(b":")[0].lower() not in forget]
            if value(lines, b"expect"):
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                lines = [l for l in lines if not l.lower().startswith(b"expect:")]
            upstream = socket.create_connection(("127.0.0.1", server))
            upstream.sendall(b"".join(l for l in lines if not l.lower().startswith(b"connection:")) + b"Connection: close\r\n\r\n")
            body(f, upstream, lines, True)
            if lost:
                upstream.recv(65536)
                raise Cut
            answer(client, upstream.makefile("rb", 1 << 16), lines[0])
            upstream.close()
    except (Cut, OSError):
        pass
    finally:
        for s in (client, upstream):
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()


listener = socket.create_server(("127.0.0.1", port))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
