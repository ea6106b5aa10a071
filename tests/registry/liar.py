#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that misbehaves on request, in front of a good one. Usage: liar.py GOOD-URL PORTFILE; listens on 127.0.0.1 and ends
when stdin ends. The first part of a repository's name says how it answers; the rest is the good one's repository:
  s401 s429 s500  that status, always      half       blobs over 100 kB break off in the middle
  wrong           blobs over 100 kB have other bytes  swapped  a tag's manifest is another tag's of the same stage
  unsigned        the signature is that of another record       junk     the manifest is no manifest
  long            the manifest never ends             basic    ok for user "us er", password "p@ss:w/d"; else 401
  bearer          ok with a token, which that user gets from /token
GET /count/MODE: how many requests there were for it."""
import base64
import http.server
import json
import os
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

LOGIN = "Basic " + base64.b64encode(b"us er:p@ss:w/d").decode()
TOKEN = "a.b-c_d"
PLAIN = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    good = ""
    count = {}

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **more):
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in more:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def ask(self, path, data=None):
        request = urllib.request.Request(self.good + path, data=data, method=self.command)
        for name in ("Accept", "Content-Type"):
            if self.headers.get(name):
                request.add_header(name, self.headers[name])
        try:
            with PLAIN.open(request) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def other_manifest(self, repository, tag):
        stage = tag.split("-")[0]
        tags = json.loads(self.ask("/v2/%s/tags/list" % repository)[1])["tags"]
        return [t for t in sorted(tags) if t.startswith(stage + "-") and t != tag and tag[:40] not in t][0]

    def allowed(self, mode):
        login = self.headers.get("Authorization")
        if mode == "basic" and login != LOGIN:
            self.answer(401, WWW_Authenticate='Basic realm="x"')
        elif mode == "bearer" and login != "Bearer " + TOKEN:
            self.answer(401, WWW_Authenticate='Bearer realm="http://127.0.0.1:%d/token",service="a b"' %
                        self.server.server_address[1])
        else:
            return True
        return False

    def token(self):
        asked = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        good = self.headers.get("Authorization") == LOGIN and asked["service"] == ["a b"]
        body = json.dumps({"token": TOKEN}).encode()
        if good and asked["scope"][0].startswith("repository:bearer/pvimg:pull"):
            self.answer(200, body)
        else:
            self.answer(401)

    def manifest(self, mode, repository, tag):
        if mode == "swapped":
            tag = self.other_manifest(repository, tag)
        if mode == "junk":
            return self.answer(200, b'{"config": {}, "layers": []}')
        if mode == "long":
            return self.answer(200, b"[" * 1000000)
        status, body, _ = self.ask("/v2/%s/manifests/%s" % (repository, tag))
        if mode == "unsigned" and status == 200:
            doc = json.loads(body)
            other = json.loads(self.ask("/v2/%s/manifests/%s" % (repository, self.other_manifest(repository, tag)))[1])
            doc["layers"][0] = other["layers"][0]
            body = json.dumps(doc).encode()
        return self.answer(status, body)

    def blob(self, mode, path):
        status, body, _ = self.ask(path)
        if mode == "wrong" and len(body) > 100000:
            body = body[:-10] + b"0123456789"
        if mode == "half" and len(body) > 100000:
            self.close_connection = True
            return self.answer(status, body[: len(body) // 2], Content_Length=str(len(body)))
        return self.answer(status, body)

    def do_GET(self):
        parts = self.path.lstrip("/").split("/")
        if parts[0].startswith("token"):
            return self.token()
        if parts[0] == "count":
            return self.answer(200, str(self.count.get(parts[1], 0)).encode())
        mode, repository = parts[1], "/".join(parts[2:-2])
        self.count[mode] = self.count.get(mode, 0) + 1
        if mode in ("s401", "s429", "s500"):
            return self.answer(int(mode[1:]), b"no")
        if not self.allowed(mode):
            return None
        if parts[-2] == "manifests":
            return self.manifest(mode, repository, parts[-1])
        return self.blob(mode, "/v2/%s/blobs/%s" % (repository, parts[-1]))

    do_HEAD = do_GET

    def do_POST(self):
        self.close_connection = True
        self.answer(500)

    do_PUT = do_POST


def main():
    Handler.good = sys.argv[1]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, address: None
    with open(sys.argv[2] + ".new", "w", encoding="ascii") as file:
        file.write("%d\n" % server.server_address[1])
    os.rename(sys.argv[2] + ".new", sys.argv[2])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
