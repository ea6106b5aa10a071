#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server that misbehaves on request. Usage: httpd.py FOLDER [PORTFILE]; listens on 127.0.0.1.

The port is printed on stdout (and written to PORTFILE); the server ends when stdin ends. The first part of a path says
how the rest, a file below FOLDER, is answered:
  ok        whole, or the range asked for          norange   always whole, 200
  flaky     500 twice for each file, then ok       down      always 503
  cut       the first answer breaks off half-way   always-cut  every answer breaks off after 100 kB at most
  slow      ten bytes, then silence                wrong     right length, other bytes
  long      more bytes than the file has           short     ten bytes less, and says so
  chunked   no Content-Length, more bytes than the file has
  redirect  to ok                                  loop      to itself
  to-file   to file:///etc/hostname                no-place  302 without Location, with a body
  auth      ok for user "us er", password "p@ss:w/d"; else 401
  auth-away like auth, then redirected to localhost (another host name), where a password would be a leak
  bare      ok, but 400 when any Authorization came along
GET /log gives all request lines so far, with " auth" when credentials came along. A request with an absolute URL is one
to a proxy: answered from the URL's path, logged with " proxy" and, when credentials for the proxy came along, "+auth".
"""
import base64
import http.server
import os
import sys
import threading
import time

USER = base64.b64encode(b"us er:p@ss:w/d").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root = "."
    log = []
    seen = {}
    lock = threading.Lock()

    def log_message(self, *args):
        pass

    def head(self, code, length=None, **more):
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def fail(self, code, **more):
        body = b"<html>no</html>"
        self.head(code, len(body), **more)
        self.wfile.write(body)

    def count(self, key):
        with self.lock:
            self.seen[key] = self.seen.get(key, 0) + 1
            return self.seen[key]

    def wanted(self, data):
        """Offset asked for by Range: bytes=N-, or None."""
        field = self.headers.get("Range", "")
        if not field.startswith("bytes=") or not field.endswith("-"):
            return None
        return int(field[6:-1])

    def send(self, data, limit=None):
        start = self.wanted(data)
        if start is not None and start >= len(data):
            return self.fail(416, Content_Range="bytes */%d" % len(data))
        if start is None:
            part = data
            self.head(200, len(part))
        else:
            part = data[start:]
            self.head(206, len(part), Content_Range="bytes %d-%d/%d" % (start, len(data) - 1, len(data)))
        if limit is not None and limit < len(part):
            self.wfile.write(part[:limit])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return None
        self.wfile.write(part)
        return None

    def do_GET(self):
        path, note = self.path, ""
        if path.startswith("http://"):
            note = " proxy" + ("+auth" if self.headers.get("Proxy-Authorization") else "")
            path = "/" + path[7:].split("/", 1)[1]
        if self.headers.get("Authorization"):
            note += " auth"
        if path == "/log":
            body = "".join(line + "\n" for line in self.log).encode()
            self.head(200, len(body))
            self.wfile.write(body)
            return
        rng = self.headers.get("Range")
        self.log.append(path + (" " + rng if rng else "") + note)
        mode, _, name = path[1:].partition("/")
        answer = getattr(self, "mode_" + mode.replace("-", "_"), None)
        full = os.path.join(self.root, *name.replace("%2B", "+").replace("%25", "%").split("/"))
        if answer is None or not os.path.isfile(full):
            self.fail(404)
            return
        with open(full, "rb") as file:
            data = file.read()
        try:
            answer(data, name)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def mode_ok(self, data, name):
        self.send(data)

    def mode_norange(self, data, name):
        self.head(200, len(data))
        self.wfile.write(data)

    def mode_flaky(self, data, name):
        if self.count("flaky/" + name) <= 2:
            self.fail(500)
        else:
            self.send(data)

    def mode_down(self, data, name):
        self.fail(503)

    def mode_cut(self, data, name):
        self.send(data, len(data) // 2 if self.count("cut/" + name) == 1 else None)

    def mode_always_cut(self, data, name):
        self.send(data, 100000)

    def mode_slow(self, data, name):
        self.head(200, len(data))
        self.wfile.write(data[:10])
        self.wfile.flush()
        time.sleep(20)
        self.close_connection = True

    def mode_wrong(self, data, name):
        self.send(bytes(b ^ 0x55 for b in data))

    def mode_long(self, data, name):
        self.send(data + b"more")

    def mode_chunked(self, data, name):
        self.head(200, Transfer_Encoding="chunked")
        body = data + b"x" * 100000
        self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")

    def mode_short(self, data, name):
        self.send(data[:-10])

    def mode_redirect(self, data, name):
        self.fail(302, Location="/ok/" + name)

    def mode_loop(self, data, name):
        self.fail(302, Location="/loop/" + name)

    def mode_to_file(self, data, name):
        self.fail(302, Location="file:///etc/hostname")

    def mode_no_place(self, data, name):
        self.head(302, len(data))
        self.wfile.write(data)

    def allowed(self):
        if self.headers.get("Authorization") == "Basic " + USER:
            return True
        self.fail(401, WWW_Authenticate='Basic realm="x"')
        return False

    def mode_auth(self, data, name):
        if self.allowed():
            self.send(data)

    def mode_auth_away(self, data, name):
        if self.allowed():
            self.fail(302, Location="http://localhost:%d/bare/%s" % (self.server.server_address[1], name))

    def mode_bare(self, data, name):
        if self.headers.get("Authorization"):
            self.fail(400)
        else:
            self.send(data)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Clients that hang up are what the tests are about."""


def main():
    Handler.root = sys.argv[1]
    server = Server(("127.0.0.1", 0), Handler)
    port = str(server.server_address[1])
    if len(sys.argv) > 2:
        with open(sys.argv[2] + ".new", "w") as file:
            file.write(port + "\n")
        os.rename(sys.argv[2] + ".new", sys.argv[2])
    os.write(1, port.encode() + b"\n")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
