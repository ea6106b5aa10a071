#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks at a pool by xapi's own calls, the stand-in's or a real one's, and ends with an assertion where something is wrong.

Usage: look.py HOST[:PORT] whole NAME FILE...   one template NAME, whose disk is one of FILE: prints which; nothing half
       look.py HOST[:PORT] list NAME            label and serial of each template that was published as NAME, newest first
       look.py HOST[:PORT] forget NAME          destroys them all
User and password: PVIMG_XAPI_USER (root), PVIMG_XAPI_PASSWORD. The host's certificate is not looked at: that is pvimg's.
"""
import json
import os
import ssl
import sys
import urllib.parse
import urllib.request

context = ssl._create_unverified_context()
host = sys.argv[1]
session = None


def call(method, *params):
    params = ([session] if session else []) + list(params)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request("https://%s/jsonrpc" % host, body, {"Content-Type": "application/json"})
    reply = json.load(urllib.request.urlopen(request, context=context, timeout=60))
    if reply.get("error"):
        raise AssertionError("%s: %s" % (method, reply["error"]))
    return reply["result"]


def templates(name):
    every = call("VM.get_all_records")
    mine = {r: v for r, v in every.items() if v["other_config"].get("pvimg-name") == name}
    return sorted(mine.items(), key=lambda m: -int(m[1]["other_config"]["pvimg-serial"]))


def disks(vm):
    records = [call("VBD.get_record", b) for b in vm["VBDs"]]
    return [b["VDI"] for b in records if b["type"] == "Disk"]


def same(vdi, path):
    """Bit for bit, as the host exports it."""
    query = urllib.parse.urlencode({"session_id": session, "vdi": vdi, "format": "raw"})
    reply = urllib.request.urlopen("https://%s/export_raw_vdi?%s" % (host, query), context=context, timeout=60)
    equal = True
    with open(path, "rb") as f:
        while True:
            a = reply.read(1 << 20)
            b = f.read(len(a) or 1)
            equal = equal and a == b
            if not a:
                return equal


def nothing_half(name):
    for kind in ("VM", "VDI"):
        half = [v["name_label"] for v in call(kind + ".get_all_records").values() if ".uploading-" in v["name_label"]]
        assert not half, "left on the host: %s" % half
    tasks = [v for v in call("task.get_all_records").values() if v["name_label"] == "pvimg publish"]
    assert not tasks, "a task is left: %s" % tasks
    vdis = [v for v in call("VDI.get_all_records").values() if v["name_label"] == name]
    assert len(vdis) == len(templates(name)), "%d disks for %d templates" % (len(vdis), len(templates(name)))


def whole(name, *paths):
    found = [(r, v) for r, v in call("VM.get_all_records").items() if v["name_label"] == name]
    assert len(found) == 1, "%d things have the name %s" % (len(found), name)
    vm = found[0][1]
    assert vm["is_a_template"] and len(disks(vm)) == 1, vm
    assert vm["HVM_boot_policy"] == "BIOS order" and "c" in vm["HVM_boot_params"]["order"], vm
    which = [p for p in paths if same(disks(vm)[0], p)]
    assert len(which) == 1, "the disk is %s of %s" % (which, paths)
    nothing_half(name)
    print(which[0])


def forget(name):
    for ref, vm in templates(name):
        for vdi in disks(vm):
            call("VDI.destroy", vdi)
        call("VM.destroy", ref)


session = call("session.login_with_password", os.environ.get("PVIMG_XAPI_USER", "root"),
               os.environ["PVIMG_XAPI_PASSWORD"], "1.0", "pvimg tests")
try:
    if sys.argv[2] == "whole":
        whole(*sys.argv[3:])
    elif sys.argv[2] == "list":
        for _, record in templates(sys.argv[3]):
            print(record["name_label"], record["other_config"]["pvimg-serial"], sep="\t")
    else:
        forget(sys.argv[3])
finally:
    call("session.logout")
