#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands before a real Glance in the tests: TLS, a strict stand-in for Keystone, version 3, and bad luck when told to.

Usage: front.py GLANCE-PORT CERTIFICATE-AND-KEY.pem; listens on 127.0.0.1, https and http; prints both ports, ends when stdin
ends. Below /open everything is Glance's; below /image only with a valid token; /identity is Keystone's.
The rules of Keystone are those of its api-ref (v3, authenticate): a body has the named members and no others; a wrong name and
a wrong password are answered alike, 401; a token comes in X-Subject-Token, with 201.
User "tester" of domain "Lab", password "pass word"; project "images"; application credential id "app1", name "uploads",
secret "apple sauce".

GET /_log: METHOD PATH STATUS of what was asked of us since; GET /_list: ID NAME STATUS FORMAT HIDDEN of every image, as Glance
itself says, newest first. POST /_control takes JSON {"NAME": VALUE} and forgets what was told before:
  cut N         an upload's connection is broken off after N bytes (times: how often, default 1)
  fail {"METHOD": STATUS}   such calls are answered so, and do nothing (times)
  lose [METHOD] such calls are done, and their answers are lost (times)
  expire_at N   tokens end at byte N of an upload (times)        expire_always  tokens end at once
  slow S        seconds of sleep for each MiB of an upload
  wrong_hash    records have another os_hash_value         no_hash   records have none, and no checksum
  catalog NAME  "none": without image service; "region": two regions; "http": it is at a host that has no https
  garbage       calls to Glance are answered with no JSON
"""
import http.client
import http.server
import json
import socket
import ssl
import struct
import sys
import threading
import time
import uuid

MIB = 1 << 20


class World:
    def __init__(self, glance):
        self.lock = threading.RLock()
        self.glance, self.control, self.log, self.tokens = glance, {}, [], set()

    def take(self, name, key=None):
        """The value of a misbehaviour that counts down; None when it is not wanted now."""
        with self.lock:
            if name not in self.control or (key is not None and key not in self.control[name]):
                return None
            got = self.control[name]
            left = self.control.get("times", 1) - 1
            self.control["times"] = left
            if left <= 0:
                self.control.pop(name)
                self.control.pop("times")
            return got


    def list(self):
        found = []
        for hidden in ("", "&os_hidden=true"):
            peer = http.client.HTTPConnection("127.0.0.1", self.glance, timeout=60)
            peer.request("GET", "/v2/images?limit=200" + hidden)
            found += json.load(peer.getresponse())["images"]
            peer.close()
        found.sort(key=lambda i: -int(i.get("pvimg_serial", 0)))
        return [f"{i['id']} {i['name']} {i['status']} {i['disk_format']}/{i['container_format']} {i['os_hidden']}"
                for i in found]


class Refused(Exception):
    pass


def exactly(value, *names):
    if not isinstance(value, dict) or set(value) != set(names):
        raise Refused(400, "members " + ", ".join(names) + " are wanted")
    return [value[n] for n in names]


def check_domain(domain):
    if domain not in ({"name": "Lab"}, {"id": "lab1"}):
        raise Refused(401, "no such domain")


def check_user(user, password):
    if "id" in user:
        if exactly(user, "id", *password)[0] != "u1":
            raise Refused(401, "no such user")
    else:
        name, domain = exactly(user, "name", "domain", *password)[:2]
        check_domain(domain)
        if name != "tester":
            raise Refused(401, "no such user")
    if password and user["password"] != "pass word":
        raise Refused(401, "wrong password")


def log_in(world, body):
    """The answer's body and the token."""
    (auth,) = exactly(body, "auth")
    scope = auth.pop("scope", None)
    (identity,) = exactly(auth, "identity")
    method = identity.get("methods")
    if method == ["password"]:
        exactly(identity, "methods", "password")
        check_user(exactly(identity["password"], "user")[0], ["password"])
    elif method == ["application_credential"]:
        exactly(identity, "methods", "application_credential")
        app = identity["application_credential"]
        if scope is not None:
            raise Refused(401, "an application credential cannot request a scope")
        if "id" in app:
            named = exactly(app, "id", "secret")[0] == "app1"
        else:
            named = exactly(app, "name", "secret", "user")[0] == "uploads"
            check_user(app["user"], [])
        if not named or app["secret"] != "apple sauce":
            raise Refused(401, "wrong credential")
    elif method == ["token"]:
        exactly(identity, "methods", "token")
        if exactly(identity["token"], "id")[0] not in world.tokens:
            raise Refused(401, "no such token")
    else:
        raise Refused(400, "no such method")
    token = {"methods": method, "user": {"id": "u1", "name": "tester"}, "expires_at": "2038-01-01T00:00:00.000000Z"}
    if scope is not None:
        (project,) = exactly(scope, "project")
        if "id" in project:
            if exactly(project, "id")[0] != "p1":
                raise Refused(401, "no such project")
        else:
            name, domain = exactly(project, "name", "domain")
            check_domain(domain)
            if name != "images":
                raise Refused(401, "no such project")
    if scope is not None or method == ["application_credential"]:
        token["project"] = {"id": "p1", "name": "images"}
        token["catalog"] = world.catalog()
    new = "gAAAA" + uuid.uuid4().hex
    world.tokens.add(new)
    return {"token": token}, new


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def note(self, status):
        with self.server.world.lock:
            self.server.world.log.append(f"{self.command} {self.path} {status}")

    def answer(self, status, value, headers=()):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.note(status)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def break_off(self):
        self.note("broken off")
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.connection.close()

    # --- what stands before Glance ---

    def control(self):
        world = self.server.world
        with world.lock:
            if self.path == "/_log":
                lines = world.log
            elif self.path == "/_list":
                lines = world.list()
            else:
                world.control, world.log = json.loads(self.body()), []
                lines = []
        data = "".join(line + "\n" for line in lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def keystone(self):
        try:
            if self.command != "POST" or self.path != "/identity/v3/auth/tokens":
                raise Refused(404, "not here")
            if self.headers.get("Content-Type") != "application/json":
                raise Refused(400, "application/json is wanted")
            with self.server.world.lock:
                value, token = log_in(self.server.world, json.loads(self.body()))
            self.answer(201, value, [("X-Subject-Token", token), ("Vary", "X-Auth-Token")])
        except Refused as e:
            self.answer(e.args[0], {"error": {"code": e.args[0], "message": e.args[1]}})

    def forward_new(self, peer):
        """A record that is made; Glance, which knows no projects here, is told whose it is."""
        record = json.loads(self.body())
        if self.path.startswith("/image/") and isinstance(record, dict):
            record["owner"] = "p1"
        data = json.dumps(record).encode()
        peer.putheader("Content-Length", str(len(data)))
        peer.endheaders(data)

    def forward_body(self, peer):
        """False: the connection was to be broken off."""
        world, left, done = self.server.world, int(self.headers["Content-Length"]), 0
        upload = self.command == "PUT"
        cut = world.take("cut") if upload else None
        expire = world.take("expire_at") if upload else None
        while left:
            want = min(left, MIB // 4)
            if cut is not None:
                want = min(want, cut - done)
                if want <= 0:
                    return False
            if expire is not None and done >= expire:
                world.tokens.clear()
            data = self.rfile.read(want)
            if not data:
                return False
            peer.sendall(data)
            done += len(data)
            left -= len(data)
            if upload:
                time.sleep(world.control.get("slow", 0) * len(data) / MIB)
        return cut is None

    def changed(self, data):
        """A record as we were told to spoil it."""
        control = self.server.world.control
        if "garbage" in control:
            return b"<html>busy</html>"
        if self.command != "GET" or not ({"wrong_hash", "no_hash"} & set(control)):
            return data
        record = json.loads(data)
        if "wrong_hash" in control and record.get("os_hash_value"):
            record["os_hash_value"] = "0" * 128
        if "no_hash" in control:
            for key in ("os_hash_value", "os_hash_algo"):
                record.pop(key, None)
        return json.dumps(record).encode()

    def forward(self, path):
        world = self.server.world
        status = world.take("fail", self.command)
        if status:
            self.body()
            return self.answer(status[self.command], {})
        lose = world.take("lose", self.command)
        peer = http.client.HTTPConnection("127.0.0.1", world.glance, timeout=60)
        try:
            peer.putrequest(self.command, path)
            if "Content-Type" in self.headers:
                peer.putheader("Content-Type", self.headers["Content-Type"])
            if self.command == "POST":
                self.forward_new(peer)
            else:
                peer.putheader("Content-Length", self.headers.get("Content-Length", "0"))
                peer.endheaders()
            if self.command != "POST" and "Content-Length" in self.headers and not self.forward_body(peer.sock):
                return self.break_off()
            reply = peer.getresponse()
            data = reply.read()
            if lose:
                return self.break_off()
            return self.answer(reply.status, self.changed(data) if data else data)
        except OSError:
            return self.break_off()
        finally:
            peer.close()

    def serve(self):
        world = self.server.world
        if self.path in ("/_control", "/_log", "/_list"):
            return self.control()
        if self.path.startswith("/identity/"):
            return self.keystone()
        if "Transfer-Encoding" in self.headers:
            return self.answer(400, {"error": "an exact length is wanted"})
        if self.path.startswith("/image/"):
            if "expire_always" in world.control:
                world.tokens.clear()
            if self.headers.get("X-Auth-Token") not in world.tokens:
                if self.command != "PUT":
                    self.body()
                self.close_connection = True
                return self.answer(401, {"error": {"code": 401, "message": "unauthorized"}})
            return self.forward(self.path[len("/image"):])
        if self.path.startswith("/open/"):
            if "X-Auth-Token" in self.headers:
                return self.answer(400, {"error": "a token goes where none is wanted"})
            return self.forward(self.path[len("/open"):])
        return self.answer(404, {})

    def do(self):
        try:
            self.serve()
        except (OSError, ValueError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class TlsServer(Server):
    def finish_request(self, request, client_address):
        request.settimeout(60)
        self.RequestHandlerClass(self.context.wrap_socket(request, server_side=True), client_address, self)


def main():
    world = World(int(sys.argv[1]))
    tls, plain = TlsServer(("127.0.0.1", 0), Handler), Server(("127.0.0.1", 0), Handler)
    tls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.context.load_cert_chain(sys.argv[2])
    port = tls.server_address[1]

    def endpoint(interface, region, url):
        return {"id": uuid.uuid4().hex, "interface": interface, "region": region, "region_id": region, "url": url}

    def catalog():
        kind = world.control.get("catalog")
        here = f"https://127.0.0.1:{port}/image"
        identity = {"type": "identity", "id": "k1", "name": "keystone",
                    "endpoints": [endpoint("public", "one", f"https://127.0.0.1:{port}/identity/v3")]}
        if kind == "none":
            return [identity]
        if kind == "http":
            here = "http://images.example.org:9292"
        points = [endpoint("admin", "one", "http://10.0.0.1:9292"), endpoint("public", "one", here + "/v2/")]
        if kind == "region":
            points.insert(0, endpoint("public", "zero", "https://127.0.0.1:1/elsewhere"))
        return [identity, {"type": "image", "id": "g1", "name": "glance", "endpoints": points}]

    world.catalog = catalog
    for server in (tls, plain):
        server.world = world
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(port, plain.server_address[1], flush=True)
    sys.stdin.read()


main()
