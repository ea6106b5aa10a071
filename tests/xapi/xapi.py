#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for xapi, the daemon of XenServer and XCP-ng, that keeps to xapi's own rules, and misbehaves when told to.

Usage: xapi.py DATA-FOLDER CERTIFICATE-AND-KEY.pem [OTHER.pem]; listens on 127.0.0.1, and as a second host of the same
pool on 127.0.0.2, with OTHER.pem; prints the port, ends when stdin ends. User root, password "pass word". HTTPS only.
POST /jsonrpc, PUT /import, PUT /import_raw_vdi, GET /export_raw_vdi.

The rules (sources: xapi-project/xen-api ocaml/xapi/{import,import_raw_vdi,xapi_session}.ml, doc/content/xen-api):
PUT wants an exact Content-Length and refuses any Transfer-Encoding; it answers 200 before it has read the body, and how
it ended is only in the task; a body that ends early, a wrong sum, an unknown field fail the task and leave nothing.

POST /_control takes JSON {"NAME": VALUE}, until {"reset": true}; GET /_control: what was asked of us so far.
  cut N         the next upload's connection is broken off after N bytes (times: how often, default 1)
  rpc500 N      the next N calls are answered 500           put500 N      the next N uploads with a task are
  slave ADDR    login elsewhere than there: HOST_IS_SLAVE   redirect URL  uploads elsewhere than there are sent there
  task_fails C  an upload that was read whole fails with error code C in its task (times)
  sr_size N     the storage has N bytes                     expire_at N   sessions end at byte N of an upload (times)
  leave_half    a failed import leaves its VM and VDI       slow S        seconds of sleep for each MiB of an upload
  no_200        an upload is answered when it is over       garbage       calls are answered with no JSON
"""
import http.server
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
import uuid

import vhd
import xva

NULL = xva.NULL
MIB = xva.MIB
PASSWORD = "pass word"


class ApiError(Exception):
    pass


def new_ref():
    return "OpaqueRef:" + str(uuid.uuid4())


class World:
    """All objects of the host: {class: {ref: record}}."""

    def __init__(self, folder):
        self.lock = threading.RLock()
        self.folder = folder
        self.control, self.log, self.sessions = {}, [], set()
        self.o = {k: {} for k in ("pool", "host", "SR", "VM", "VDI", "VBD", "VIF", "network", "task")}
        sr = self.add("SR", {"name_label": "Local storage", "type": "ext", "content_type": "user", "shared": False,
                             "physical_size": str(1 << 42), "other_config": {}})
        self.add("SR", {"name_label": "Second storage", "type": "nfs", "content_type": "user", "shared": True,
                        "physical_size": str(1 << 42), "other_config": {}})
        self.add("SR", {"name_label": "DVD drives", "type": "udev", "content_type": "iso", "shared": False,
                        "physical_size": "0", "other_config": {}})
        host = self.add("host", {"name_label": "stand-in", "address": "127.0.0.1"})
        self.add("pool", {"name_label": "", "master": host, "default_SR": sr, "other_config": {}})
        self.add("network", {"name_label": "Pool-wide network associated with eth0", "bridge": "xenbr0",
                             "other_config": {}})
        self.add("VM", {"name_label": "Other install media", "name_description": "", "is_a_template": True,
                        "is_default_template": True, "VBDs": [], "VIFs": [], "power_state": "Halted",
                        "other_config": {"default_template": "true"}})

    def add(self, kind, record):
        ref = new_ref()
        record = dict(record)
        record["uuid"] = str(uuid.uuid4())
        self.o[kind][ref] = record
        return ref

    def get(self, kind, ref):
        if ref not in self.o[kind]:
            raise ApiError("HANDLE_INVALID", kind, ref)
        return self.o[kind][ref]

    def tell(self, name):
        """The value of a misbehaviour that counts down; None when it is not wanted now."""
        with self.lock:
            if name not in self.control:
                return None
            got = self.control[name]
            key = "times" if name not in ("rpc500", "put500") else name
            left = self.control.get(key, 1) - 1
            self.control[key] = left
            if left <= 0:
                self.control.pop(name, None)
                self.control.pop("times", None)
            return got

    def file_of(self, vdi_ref):
        return os.path.join(self.folder, self.get("VDI", vdi_ref)["uuid"])

    def used(self, sr):
        return sum(int(v["virtual_size"]) for v in self.o["VDI"].values() if v["SR"] == sr)

    def new_vdi(self, sr, name, size, more=None):
        record = self.get("SR", sr)
        if record["content_type"] == "iso":
            raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr)
        room = int(self.control.get("sr_size", record["physical_size"]))
        if self.used(sr) + size > room:
            raise ApiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
        vdi = {"name_label": name, "name_description": "", "other_config": {}, "type": "user", "sharable": False,
               "read_only": False}
        vdi.update(more or {})
        vdi.update({"SR": sr, "virtual_size": str(size), "VBDs": []})
        ref = self.add("VDI", vdi)
        with open(self.file_of(ref), "wb") as f:
            f.truncate(size)
        return ref

    def drop_vdi(self, ref):
        os.unlink(self.file_of(ref))
        for vbd in list(self.get("VDI", ref)["VBDs"]):
            self.drop_device("VBD", vbd)
        del self.o["VDI"][ref]

    def drop_device(self, kind, ref):
        record = self.o[kind].pop(ref)
        vm = self.o["VM"].get(record["VM"])
        if vm and ref in vm[kind + "s"]:
            vm[kind + "s"].remove(ref)
        vdi = self.o["VDI"].get(record.get("VDI"))
        if vdi and ref in vdi["VBDs"]:
            vdi["VBDs"].remove(ref)

    def drop_vm(self, ref):
        vm = self.get("VM", ref)
        for kind in ("VBD", "VIF"):
            for device in list(vm[kind + "s"]):
                self.drop_device(kind, device)
        del self.o["VM"][ref]


class Rpc:
    """The calls, by name with '_' for '.'; session is checked before."""

    def __init__(self, world, here=None):
        self.w, self.here = world, here

    def call(self, method, params):
        if method == "session.login_with_password":
            return self.login(*params)
        if not params or params[0] not in self.w.sessions:
            raise ApiError("SESSION_INVALID", params[0] if params else "")
        session, args = params[0], params[1:]
        if method == "session.logout":
            self.w.sessions.discard(session)
            return ""
        kind, _, verb = method.partition(".")
        own = getattr(self, kind + "_" + verb, None)
        if own:
            return own(*args)
        if kind in self.w.o:
            return self.generic(kind, verb, method, args)
        raise ApiError("MESSAGE_METHOD_UNKNOWN", method)

    def login(self, user, password, version="", originator=""):
        if self.w.control.get("slave", self.here) != self.here:
            raise ApiError("HOST_IS_SLAVE", self.w.control["slave"])
        if (user, password) != ("root", PASSWORD):
            raise ApiError("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        session = new_ref()
        self.w.sessions.add(session)
        return session

    def generic(self, kind, verb, method, args):
        objects = self.w.o[kind]
        if verb == "get_all":
            return list(objects)
        if verb == "get_all_records":
            return objects
        if verb == "get_all_records_where":
            if args[0] != 'field "is_a_template"="true"':
                raise ApiError("INTERNAL_ERROR", "the stand-in knows no such expression")
            return {r: v for r, v in objects.items() if v["is_a_template"]}
        if verb == "get_record":
            return self.w.get(kind, args[0])
        if verb == "get_by_name_label":
            return [r for r, v in objects.items() if v.get("name_label") == args[0]]
        if verb == "get_by_uuid":
            for r, v in objects.items():
                if v["uuid"] == args[0]:
                    return r
            raise ApiError("UUID_INVALID", kind, args[0])
        if verb in ("set_name_label", "set_name_description", "set_is_a_template"):
            record, value = self.w.get(kind, args[0]), args[1]
            if verb == "set_is_a_template" and not isinstance(value, bool):
                raise ApiError("FIELD_TYPE_ERROR", "is_a_template")
            record[verb[4:]] = value
            return ""
        if verb == "add_to_other_config":
            config = self.w.get(kind, args[0])["other_config"]
            if args[1] in config:
                raise ApiError("MAP_DUPLICATE_KEY", kind, "other_config", args[0], args[1])
            if not isinstance(args[2], str):
                raise ApiError("FIELD_TYPE_ERROR", "other_config")
            config[args[1]] = args[2]
            return ""
        if verb == "remove_from_other_config":
            self.w.get(kind, args[0])["other_config"].pop(args[1], None)
            return ""
        if verb.startswith("get_"):
            record = self.w.get(kind, args[0])
            if verb[4:] in record:
                return record[verb[4:]]
        raise ApiError("MESSAGE_METHOD_UNKNOWN", method)

    def task_create(self, label, description):
        return self.w.add("task", {"name_label": label, "name_description": description, "status": "pending",
                                   "progress": 0.0, "result": "", "error_info": [], "other_config": {}})

    def task_destroy(self, ref):
        self.w.get("task", ref)
        del self.w.o["task"][ref]
        return ""

    def task_cancel(self, ref):
        task = self.w.get("task", ref)
        if task["status"] == "pending":
            task["cancel"] = True
        return ""

    def VM_destroy(self, ref):
        vm = self.w.get("VM", ref)
        if vm.get("is_default_template"):
            raise ApiError("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", ref)
        if vm["power_state"].lower() != "halted":
            raise ApiError("VM_BAD_POWER_STATE", ref, "halted", vm["power_state"])
        self.w.drop_vm(ref)
        return ""

    def VM_create(self, record):
        for field in "name_label name_description user_version is_a_template affinity memory_static_max " \
                     "memory_dynamic_max memory_dynamic_min memory_static_min VCPUs_params VCPUs_max " \
                     "VCPUs_at_startup actions_after_shutdown actions_after_reboot actions_after_crash " \
                     "PV_bootloader PV_kernel PV_ramdisk PV_args PV_bootloader_args PV_legacy_args " \
                     "HVM_boot_policy HVM_boot_params platform PCI_bus other_config recommendations".split():
            if field not in record:
                raise ApiError("INTERNAL_ERROR", "Field %s not present in rpc" % field)
        vm = dict(record)
        vm.update({"VBDs": [], "VIFs": [], "power_state": "Halted", "is_default_template": False})
        return self.w.add("VM", vm)

    def device(self, kind, record):
        vm = self.w.get("VM", record["VM"])
        if record.get("VDI", NULL) != NULL:
            self.w.get("VDI", record["VDI"])
        ref = self.w.add(kind, record)
        vm[kind + "s"].append(ref)
        if record.get("VDI", NULL) != NULL:
            self.w.get("VDI", record["VDI"])["VBDs"].append(ref)
        return ref

    def VBD_create(self, record):
        for field in "VM VDI userdevice bootable mode type empty other_config qos_algorithm_type " \
                     "qos_algorithm_params".split():
            if field not in record:
                raise ApiError("INTERNAL_ERROR", "Field %s not present in rpc" % field)
        return self.device("VBD", record)

    def VIF_create(self, record):
        self.w.get("network", record["network"])
        for field in "device network VM MAC MTU other_config qos_algorithm_type qos_algorithm_params".split():
            if field not in record:
                raise ApiError("INTERNAL_ERROR", "Field %s not present in rpc" % field)
        return self.device("VIF", record)

    def VDI_create(self, record):
        for field in "name_label name_description SR virtual_size type sharable read_only other_config".split():
            if field not in record:
                raise ApiError("INTERNAL_ERROR", "Field %s not present in rpc" % field)
        return self.w.new_vdi(record["SR"], record["name_label"], int(record["virtual_size"]), record)

    def VDI_destroy(self, ref):
        self.w.get("VDI", ref)
        self.w.drop_vdi(ref)
        return ""


class Upload:
    """The body of a PUT: counted, slowed, broken off."""

    def __init__(self, handler, world, length, task):
        self.h, self.w, self.left, self.task = handler, world, length, task
        self.length, self.done = length, 0
        self.cut = world.control.get("cut") if task else None
        self.expire = world.control.get("expire_at") if task else None

    def read(self, n):
        n = min(n, self.left)
        if n == 0:
            return b""
        if self.cut is not None:
            if self.done >= self.cut:
                self.w.tell("cut")
                self.h.break_off()
                return b""
            n = min(n, self.cut - self.done)
        data = self.h.rfile.read(n)
        self.left -= len(data)
        self.done += len(data)
        if self.w.control.get("slow"):
            time.sleep(self.w.control["slow"] * len(data) / MIB)
        with self.w.lock:
            if self.expire is not None and self.done >= self.expire:
                self.w.tell("expire_at")
                self.w.sessions.clear()
                self.expire = None
            if self.task:
                if self.task.get("cancel"):
                    raise xva.Refused("TASK_CANCELLED")
                self.task["progress"] = self.done / self.length if self.length else 0.0
        return data


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def log_message(self, *args):
        pass

    def note(self, what):
        with self.world.lock:
            self.world.log.append(what)

    def head(self, code, *headers):
        text = "HTTP/1.1 %d %s\r\n" % (code, {200: "OK", 302: "Found"}.get(code, "Error"))
        self.wfile.write((text + "".join(h + "\r\n" for h in headers) + "\r\n").encode())
        self.wfile.flush()

    def answer(self, code, body, *headers):
        self.head(code, "Content-Length: %d" % len(body), *headers)
        self.wfile.write(body)

    def break_off(self):
        """As a router does that forgets a connection: no goodbye, neither of TLS nor of TCP."""
        self.close_connection = True
        raw = self.connection
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(raw.detach())

    def here(self):
        return self.connection.getsockname()[0]

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def do_POST(self):
        if self.path == "/_control":
            with self.world.lock:
                got = json.loads(self.body())
                if got.pop("reset", False):
                    self.world.control.clear()
                    self.world.log.clear()
                self.world.control.update(got)
            return self.answer(200, b"{}")
        if self.path != "/jsonrpc":
            return self.answer(404, b"")
        if self.headers.get("Transfer-Encoding"):
            return self.answer(500, b"no")
        text = self.body()
        if self.world.tell("rpc500") is not None:
            self.note("500")
            return self.answer(500, b"<html><body><h1>HTTP 500 internal server error</h1></body></html>")
        if self.world.control.get("garbage"):
            return self.answer(200, b'{"jsonrpc": "2.0", "result": [')
        return self.answer(200, self.rpc(text), "Content-Type: application/json", "Cache-Control: no-cache, no-store")

    def rpc(self, text):
        call = json.loads(text)
        reply = {"jsonrpc": "2.0", "id": call["id"]}
        assert call["jsonrpc"] == "2.0" and call["id"] is not None and isinstance(call["params"], list)
        self.note(call["method"])
        with self.world.lock:
            try:
                reply["result"] = Rpc(self.world, self.here()).call(call["method"], call["params"])
            except ApiError as e:
                reply["error"] = {"code": 1, "message": e.args[0], "data": list(e.args[1:])}
            except TypeError as e:
                reply["error"] = {"code": 1, "message": "MESSAGE_PARAMETER_COUNT_MISMATCH", "data": [str(e)]}
            return json.dumps(reply).encode()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/_control":
            with self.world.lock:
                return self.answer(200, json.dumps({"log": self.world.log, "control": self.world.control,
                                                    "sessions": len(self.world.sessions)}).encode())
        if url.path != "/export_raw_vdi" or query.get("session_id") not in self.world.sessions:
            return self.answer(401, b"")
        with self.world.lock:
            f = open(self.world.file_of(query["vdi"]), "rb")
        with f:
            self.head(200, "Content-Length: %d" % os.fstat(f.fileno()).st_size)
            while data := f.read(MIB):
                self.wfile.write(data)
        return None

    def do_PUT(self):
        self.close_connection = True
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        w = self.world
        task_ref = query.get("task_id")
        self.note("PUT %s%s" % (url.path, " task" if task_ref else ""))
        if url.path not in ("/import", "/import_raw_vdi"):
            return self.answer(404, b"")
        if query.get("session_id") not in w.sessions:
            return self.answer(401, b"", "WWW-Authenticate: Basic realm=\"XenServer\"")
        if urllib.parse.urlsplit(w.control.get("redirect", "")).hostname not in (None, self.here()):
            return self.head(302, "Location: %s%s" % (w.control["redirect"], self.path), "Connection: close",
                             "Content-Length: 0")
        if task_ref and w.tell("put500") is not None:
            return self.answer(500, b"no")
        if task_ref is not None and task_ref not in w.o["task"]:
            return self.answer(500, b"HANDLE_INVALID")
        task = w.o["task"].get(task_ref)
        length = self.headers.get("Content-Length")
        if self.headers.get("Transfer-Encoding"):
            self.fail(task, "IMPORT_ERROR_CANNOT_HANDLE_CHUNKED")
            return self.answer(403, b"", "Connection: close")
        if length is None:
            self.fail(task, "INTERNAL_ERROR", "no Content-Length")
            return self.answer(400, b"", "Connection: close")
        if url.path == "/import_raw_vdi" and "vdi" not in query:
            self.fail(task, "INTERNAL_ERROR", "Importing a VHD directly into an SR not yet supported")
            return self.answer(400, b"", "Connection: close")
        if not w.control.get("no_200"):
            self.head(200, "Connection: close", "Cache-Control: no-cache, no-store", "content-type: application/octet-stream")
        upload = Upload(self, w, int(length), task)
        made = []
        try:
            result = (self.take_xva if url.path == "/import" else self.take_vdi)(upload, query, made)
            if upload.left:
                raise xva.Refused("INTERNAL_ERROR", "%d bytes more than the archive has" % upload.left)
            code = w.tell("task_fails") if task else None
            if code:
                raise xva.Refused(code)
            with w.lock:
                if task is not None:
                    task.update({"status": "success", "progress": 1.0, "result": result})
        except (ApiError, xva.Refused, OSError, ValueError, KeyError) as e:
            args = [str(a) for a in e.args] if isinstance(e, (ApiError, xva.Refused)) else ["INTERNAL_ERROR", repr(e)]
            if not w.control.get("leave_half"):
                self.undo(made)
            self.fail(task, *args)
        if w.control.get("no_200"):
            self.head(200, "Connection: close", "Content-Length: 0")
        return None

    def fail(self, task, *why):
        with self.world.lock:
            if task is not None:
                task.update({"status": "cancelled" if why[0] == "TASK_CANCELLED" else "failure",
                             "error_info": list(why)})

    def undo(self, made):
        with self.world.lock:
            for kind, ref in reversed(made):
                if ref in self.world.o[kind]:
                    (self.world.drop_vm if kind == "VM" else self.world.drop_vdi)(ref)

    def take_xva(self, upload, query, made):
        w = self.world
        with w.lock:
            sr = query.get("sr_id") or next(iter(w.o["pool"].values()))["default_SR"]
            if sr not in w.o["SR"]:
                raise ApiError("DEFAULT_SR_NOT_FOUND", sr)
        made_vdis = {}

        def new_disk(name, record, objects):
            with w.lock:
                ref = w.new_vdi(sr, record["name_label"], int(record["virtual_size"]), record)
                made.append(("VDI", ref))
                made_vdis[name] = ref
                path = w.file_of(ref)
                if len(made) == 1:
                    made.extend(("VM", r) for r in self.make_vms(objects).values())
            f = open(path, "r+b")

            def put(offset, data):
                f.seek(offset)
                f.write(data)
                f.flush()
            return put

        objects = xva.read(upload.read, new_disk)
        with w.lock:
            vms = {name: ref for (kind, ref), name in
                   zip([m for m in made if m[0] == "VM"], objects["VM"])}
            rpc = Rpc(w)
            for vbd in objects["VBD"].values():
                rpc.device("VBD", dict(vbd, VM=vms[vbd["VM"]], VDI=made_vdis[vbd["VDI"]]))
            network = next(iter(w.o["network"]))
            for vif in objects["VIF"].values():
                rpc.device("VIF", dict(vif, VM=vms[vif["VM"]], network=network))
        inner = "".join("<value>%s</value>" % r for r in vms.values())
        return "<value><array><data>%s</data></array></value>" % inner

    def make_vms(self, objects):
        ret = {}
        for name, record in objects["VM"].items():
            vm = dict(record)
            vm.update({"VBDs": [], "VIFs": [], "is_default_template": False, "power_state": "Halted"})
            ret[name] = self.world.add("VM", vm)
        return ret

    def take_vdi(self, upload, query, made):
        w = self.world
        if query.get("format") != "vhd":
            raise xva.Refused("INTERNAL_ERROR", "the stand-in takes format=vhd alone")
        with w.lock:
            vdi = w.get("VDI", query["vdi"])
            path, size = w.file_of(query["vdi"]), int(vdi["virtual_size"])
        with open(path, "r+b") as f:
            def put(offset, data):
                f.seek(offset)
                f.write(data)
            vhd.read(upload.read, size, put)
        return "<value>%s</value>" % query["vdi"]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    # the handshake is made in the connection's own thread
    def finish_request(self, request, client_address):
        request.settimeout(60)
        try:
            tls = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        try:
            self.RequestHandlerClass(tls, client_address, self)
        except (OSError, ValueError):
            pass
        try:
            tls.close()
        except OSError:
            pass

    def handle_error(self, request, client_address):
        if os.environ.get("XAPI_DEBUG"):
            super().handle_error(request, client_address)


def listen(address, port, pem):
    server = Server((address, port), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(pem)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    folder, pem = sys.argv[1:3]
    os.makedirs(folder, exist_ok=True)
    Handler.world = World(folder)
    port = listen("127.0.0.1", 0, pem)
    listen("127.0.0.2", port, sys.argv[3] if len(sys.argv) > 3 else pem)
    print(port, flush=True)
    sys.stdin.read()


main()
